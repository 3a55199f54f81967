"""A stage that stands still for minutes under load, for longer than a group waits for a member that does not ask for records."""

import time

import pytest

from tests.brokers import EMBEDDED, KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run

PAUSED_S = 8.0 if IS_SHORT else 150.0
LOAD = {"rate": 150, "session_s": 4.0} if IS_SHORT else {"rate": 200}

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 1_200)]


@pytest.mark.parametrize("broker", [EMBEDDED if IS_SHORT else KAFKA], indirect=True)
def test_a_stage_that_stands_still_under_load_changes_no_result(broker, server_store, tmp_path):
    gate = tmp_path / "gate"
    with Run(broker, tmp_path, server_store, seed=SEED, program="tests.chaos.gated_ebbtide", **LOAD) as run:
        run.hire(GATE=str(gate))
        run.working(1.0)
        gate.touch()
        time.sleep(PAUSED_S)
        gate.unlink()
        run.caught_up(f"paused {PAUSED_S:.0f} s")
        wrong = run.account("a stage")
    assert wrong == []
