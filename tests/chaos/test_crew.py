"""Two, then three workers, of which some join, some leave, some are killed and one is frozen for longer than its session."""

import random
import time

import pytest

from tests.brokers import KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run, freeze
from tests.chaos.shop import Shop
from tests.chaos.traffic import Clicks

SESSION_S, FROZEN_S = (4.0, 8.0) if IS_SHORT else (10.0, 60.0)
ROUNDS = 1 if IS_SHORT else 3
LOAD = {"rate": 100} if IS_SHORT else {"rate": 150, "at_once": 5_000}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 2_400)]


@pytest.mark.parametrize("of", [Clicks] if IS_SHORT else [Clicks, Shop])
@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_workers_that_join_leave_die_freeze_and_wake_change_no_result(broker, server_store, tmp_path, of):
    dice = random.Random(SEED)
    with Run(broker, tmp_path, server_store, seed=SEED, of=of, session_s=SESSION_S, **LOAD) as run:
        crew = [run.join(), run.join()]
        run.working()
        for _ in range(ROUNDS):
            since = time.monotonic()
            crew.append(run.join())
            run.caught_up("join", since)
            frozen = crew.pop(dice.randrange(len(crew)))
            freeze(run.program(frozen), FROZEN_S * dice.uniform(1.0, 1.1))
            run.caught_up("freeze, wake")
            run.kill(crew.pop(dice.randrange(len(crew))))
            run.caught_up("kill")
            crew.append(frozen)
            run.leave(crew.pop(dice.randrange(len(crew))))
            run.caught_up("leave")
            crew.append(run.join())
        wrong = run.account(f"two and three workers, {of.what}")
    assert wrong == []
