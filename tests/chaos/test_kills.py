"""SIGKILL of the only worker at random moments under load, with more state than one chunk holds."""

import random

import pytest

from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run

N_KILLS = 3 if IS_SHORT else 20
LOAD = {"rate": 100, "at_once": 8_000, "session_s": 6.0} if IS_SHORT else {"rate": 200, "at_once": 20_000}
ONE_CHUNK = 900_000

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 1_500)]


def test_a_worker_killed_at_any_moment_changes_no_result(broker, server_store, tmp_path):
    dice = random.Random(SEED)
    with Run(broker, tmp_path, server_store, seed=SEED, **LOAD) as run:
        for _ in range(N_KILLS):
            worker = run.hire()
            run.working(dice.uniform(0.0, 4.0))
            run.kill(worker)
        run.hire()
        run.caught_up("kill")
        state = run.largest_state()
        _, wrong = run.account(f"{N_KILLS} kills")
    print(state, len(wrong), wrong[:20], wrong[-20:])
    assert state > ONE_CHUNK
    assert wrong == []
