"""SIGKILL of the only worker at random moments under load: of clicks alone, with more state than one chunk holds, and of all families, whose intake sends batches again."""

import random

import pytest

from tests.brokers import EMBEDDED, KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run
from tests.chaos.shop import Shop
from tests.chaos.traffic import Clicks

N_KILLS = 3 if IS_SHORT else 20
LOAD = {"rate": 100, "at_once": 4_000, "session_s": 3.0} if IS_SHORT else {"rate": 150, "at_once": 20_000}
ONE_CHUNK = 900_000

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(300 if IS_SHORT else 2_400)]


@pytest.mark.parametrize("of", [Shop] if IS_SHORT else [Clicks, Shop])
@pytest.mark.parametrize("broker", [EMBEDDED] if IS_SHORT else [EMBEDDED, KAFKA], indirect=True)
def test_a_worker_killed_at_any_moment_changes_no_result(broker, server_store, tmp_path, of):
    dice = random.Random(SEED)
    with Run(broker, tmp_path, server_store, seed=SEED, of=of, **LOAD) as run:
        worker = run.hire()
        run.working()
        for _ in range(N_KILLS):
            run.working(dice.uniform(0.0, 4.0))
            run.kill(worker)
            worker = run.hire()
        run.caught_up("kill")
        size, chunks = run.largest_state()
        wrong = run.account(f"{N_KILLS} kills, {of.what}, {size:,} bytes of sessions in {chunks} chunks")
    assert wrong == []
    assert chunks > 1
    assert IS_SHORT or of is Shop or size > ONE_CHUNK
