"""How much of what simulated customers really went through is found, and how much of what is found really happened.

Truth and findings meet only by who and when: a session stands for the visit in which it begins, a signal for the friction that was going on
when it fired, each for one at most. What a session, an abandonment or a signal is to the folds is not looked at.

A fresh seed every time, printed; `EBBTIDE_SEED` repeats one.
"""

from dataclasses import dataclass, replace
from math import sqrt

import polars as pl
import pytest
from rich.console import Console
from rich.table import Table

from pipeline.signals import SIGNALS
from pipeline.simulator.obstacles import KINDS as PLANTED
from pipeline.simulator.obstacles import OBSTACLES
from pipeline.simulator.simulator import simulated
from tests.simulated_shop import WHO, drawn_seed, folded

N_EVENTS = 150_000
KINDS = tuple(signal.name for signal in SIGNALS if signal.name in PLANTED)
FLOORS = {"abandoned": 0.99} | dict.fromkeys(KINDS, 0.95)
OFTEN = tuple(
    replace(
        obstacle,
        while_exploring=min(0.5, 1.5 * obstacle.while_exploring),
        while_buying=min(0.5, 2 * obstacle.while_buying),
        makes_leave=obstacle.makes_leave / 3,
    )
    for obstacle in OBSTACLES
)
"""More of everything, and more patience: what is rare at the end of a checkout must be seen often enough to be judged."""


@dataclass(frozen=True)
class Score:
    """Of `n_found` things found, `n_right` are among those that there are; of the `n_true` of these that nobody would doubt, `n_met` are found."""

    n_true: int
    n_found: int
    n_right: int
    n_met: int

    @property
    def precision(self) -> float:
        return self.n_right / self.n_found if self.n_found else 0.0

    @property
    def recall(self) -> float:
        return self.n_met / self.n_true if self.n_true else 0.0


def matched(found: pl.DataFrame, true: pl.DataFrame) -> Score:
    """`found` with `at`, `true` with `from`, `to`, `is_clear`, one after the other for each visitor: a find is right in the first one it falls into."""
    latest = true.sort("from").with_row_index("which")
    pairs = found.sort("at").join_asof(latest, left_on="at", right_on="from", by=WHO, strategy="backward", check_sortedness=False)
    right = pairs.filter(pl.col("at") <= pl.col("to")).unique("which")
    return Score(int(true["is_clear"].sum()), found.height, right.height, int(right["is_clear"].sum()))


@pytest.fixture(scope="module")
def seed() -> int:
    return drawn_seed()


@pytest.fixture(scope="module")
def scores(seed) -> dict[str, Score]:
    told = simulated(seed, N_EVENTS, obstacles=OFTEN)
    tables = folded(told)
    people = told.truth.filter(~pl.col("is_bot"))
    abandoned = tables["sessions"].filter((pl.col("status") == "abandoned") & (pl.col("is_bot") == 0))
    left = people.filter("left").select(
        *WHO, pl.col("started_at").alias("from"), pl.col("ended_at").alias("to"), pl.lit(value=True).alias("is_clear")
    )
    scored = {"abandoned": matched(abandoned.select(*WHO, pl.col("started_at").alias("at")), left)}
    for kind in KINDS:
        fired = tables["signals"].filter(pl.col("signal") == kind).select(*WHO, pl.col("fired_at").alias("at"))
        met = told.frictions.filter(~pl.col("is_bot") & (pl.col("kind") == kind))
        scored[kind] = matched(fired, met.select(*WHO, pl.col("began_at").alias("from"), pl.col("at").alias("to"), "is_clear"))
    return scored


def reaches(n_right: float, n: float, floor: float) -> bool:
    """Whether a share is at the floor, or four standard deviations below it at most: a fresh seed has few cases of some kinds."""
    return n > 0 and n_right >= floor * n - 4 * sqrt(n * floor * (1 - floor))


@pytest.mark.parametrize(
    ("n_right", "n", "is_so"),
    [(95, 100, True), (90, 100, True), (80, 100, False), (930, 1_000, True), (900, 1_000, False), (0, 0, False)],
)
def test_a_floor_is_a_floor_where_there_are_cases_enough(n_right, n, is_so):
    assert reaches(n_right, n, 0.95) is is_so


def test_the_figures_are_printed(scores, seed, capsys):
    table = Table("what", "true", "found", "precision", "recall", "floor", title=f"accuracy on {N_EVENTS} events of seed {seed}")
    for what, score in scores.items():
        figures = (f"{score.precision:.4f}", f"{score.recall:.4f}", f"{FLOORS[what]:.2f}")
        table.add_row(what, str(score.n_true), str(score.n_found), *figures)
    with capsys.disabled():
        Console().print("", table)

    assert all(score.n_true > 5 for score in scores.values())


@pytest.mark.parametrize("what", FLOORS)
def test_what_is_found_happened(what, scores, seed):
    score = scores[what]
    assert reaches(score.n_right, score.n_found, FLOORS[what]), f"EBBTIDE_SEED={seed}: {score}"


@pytest.mark.parametrize("what", FLOORS)
def test_what_happened_is_found(what, scores, seed):
    score = scores[what]
    assert reaches(score.n_met, score.n_true, FLOORS[what]), f"EBBTIDE_SEED={seed}: {score}"
