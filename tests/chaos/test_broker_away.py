"""Apache Kafka killed and started again, or frozen, under two workers and their load."""

import time

import pytest

from tests.brokers import KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run, freeze, program_of

DOWN_S, FROZEN_S = ([3.0], [5.0]) if IS_SHORT else ([3.0, 15.0], [5.0, 30.0])
LOAD = {"rate": 100, "session_s": 6.0} if IS_SHORT else {"rate": 200, "at_once": 5_000}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 1_500)]


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_a_broker_that_dies_or_freezes_and_comes_back_changes_no_result(broker, server_store, tmp_path):
    with Run(broker, tmp_path, server_store, seed=SEED, **LOAD) as run:
        run.hire()
        run.hire()
        run.working()
        for seconds in DOWN_S:
            run.working(1.0)
            broker.server.stop()
            time.sleep(seconds)
            broker.server.start()
            run.caught_up(f"killed, down {seconds:.0f} s")
        for seconds in FROZEN_S:
            run.working(1.0)
            freeze(program_of(broker.server._child), seconds)
            run.caught_up(f"frozen {seconds:.0f} s")
        wrong = run.account("the broker")
    assert wrong == []
