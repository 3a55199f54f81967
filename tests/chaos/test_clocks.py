"""The clock of the machine jumps under a worker, ahead and back, by itself and with a kill."""

import time

import pytest

from tests.brokers import EMBEDDED, KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run
from tests.chaos.traffic import PARTITIONS

JUMPS_S = [7_200, -86_400] if IS_SHORT else [5, -5, 7_200, -7_200, 86_400, -86_400, 30 * 86_400, -30 * 86_400]
LOAD = {"rate": 150, "session_s": 3.0} if IS_SHORT else {"rate": 200, "at_once": 5_000}

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 1_200)]
ONE_BROKER = pytest.mark.parametrize("broker", [EMBEDDED if IS_SHORT else KAFKA], indirect=True)


class Clock:
    """A clock that can be told to be wrong, by so many seconds, while a worker runs."""

    def __init__(self, folder):
        self._file = folder / "clock"
        self.jump(0)
        self.environment = {"CLOCK": str(self._file)}

    def jump(self, seconds):
        """Be wrong by so much."""
        there = self._file.with_suffix(".new")
        there.write_text(str(seconds))
        there.replace(self._file)


@ONE_BROKER
def test_a_clock_that_jumps_under_a_worker_changes_no_result(broker, server_store, tmp_path):
    clock = Clock(tmp_path)
    with Run(broker, tmp_path, server_store, seed=SEED, program="tests.chaos.skewed_ebbtide", **LOAD) as run:
        run.hire(**clock.environment)
        run.working(1.0)
        for seconds in JUMPS_S:
            clock.jump(seconds)
            run.working(2.0)
            run.caught_up(f"jump of {seconds:+,} s")
        clock.jump(0)
        wrong = run.account("the clock")
    assert wrong == []


def said_tomorrow(store):
    """Rows of sessions whose version is of a time to come."""
    soon = round((time.time() + 60) * 1_000_000)
    return store.query(f"SELECT count() AS n FROM sessions WHERE version > {soon}").item()


@ONE_BROKER
def test_a_worker_killed_while_its_clock_is_ahead_leaves_nothing_that_outlives_it(broker, server_store, tmp_path):
    """What it said after its last checkpoint has versions of a time to come, and its successor's clock is right."""
    clock = Clock(tmp_path)
    with Run(broker, tmp_path, server_store, seed=SEED, checkpoint_s=8.0, program="tests.chaos.skewed_ebbtide", **LOAD) as run:
        worker = run.hire(**clock.environment)
        run.working()  # a checkpoint has just been made
        kept = run.committed(run.topic, PARTITIONS)
        clock.jump(7_200)
        run.until(lambda: said_tomorrow(server_store), "something has been said with a wrong version")
        run.kill(worker)
        assert run.committed(run.topic, PARTITIONS) == kept
        clock.jump(0)
        run.hire(**clock.environment)
        run.caught_up("kill, two hours ahead")
        wrong = run.account("the clock and a kill")
    assert wrong == []
