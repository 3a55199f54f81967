"""Cases that anybody may call friction or not: how many of them fire, against the distance to the rule's own number.

The simulator draws them across the whole range in which products differ, and knows no rule (an import contract). Here the drawn number is held against the rule's:
the curve must be a step at 1, for a rule that is a number and nothing else decides alike wherever the number comes from.
What has no number in its rule has no border: a coupon is refused or it is not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from rich.table import Table

from pipeline.signals import SIGNALS
from pipeline.simulator.obstacles import OBSTACLES
from pipeline.simulator.simulator import simulated
from tests.simulated_shop import WHO, drawn_seed, folded

N_EVENTS = 100_000
RULES: dict[str, Any] = {signal.name: signal.rule for signal in SIGNALS}
BINS = tuple(range(5, 16))
"""Tenths of the rule's number, from a half to one and a half."""
NEAR = 0.1
"""So near to the number, other events of the visit may decide."""
CROWDED = tuple(
    replace(each, while_exploring=min(0.7, 2 * each.while_exploring), while_buying=min(0.7, 3 * each.while_buying), makes_leave=0.0)
    for each in OBSTACLES
)
"""More of everything, and nobody leaves because of it: only whether it is found is asked."""


@dataclass(frozen=True)
class Border:
    """What is drawn of one kind of friction, and from where on the rule calls it so."""

    drawn: str
    at: Callable[[Any], float]
    fires_above: bool = True
    is_sharp: bool = True
    """Nothing else decides."""


BORDERS = {
    "rage_click": Border("time between two hits", lambda rule: rule.span_ms / (rule.clicks - 1), fires_above=False),
    "dead_click": Border("time to the reaction", lambda rule: rule.within_ms),
    "error_click": Border("time to the error", lambda rule: rule.within_ms, fires_above=False),
    "page_thrashing": Border("time between two looks", lambda rule: rule.within_s * 1_000 / (rule.views - 1), fires_above=False),
    "step_ping_pong": Border("times back and here again", lambda rule: (rule.stays - 1) / 2),
    "form_error_loop": Border(
        "time between two attempts", lambda rule: rule.within_s * 1_000 / (rule.errors - 1), fires_above=False
    ),
    # The page of a search has a query of its own. Whether they come soon enough is up to the visitor.
    "search_dead_end": Border("further queries", lambda rule: rule.queries - 1, is_sharp=False),
    "price_surprise": Border("growth of the total", lambda rule: rule.least_share),
    "login_failed_repeatedly": Border("failures", lambda rule: rule.failures),
    # The own pace decides as well, and what else is done on the page takes time too.
    "payment_hesitation": Border("time before paying", lambda rule: rule.least_s * 1_000, is_sharp=False),
    "option_flipping": Border("settings by turns", lambda rule: rule.flips + 1),
    "slow_page": Border("the vital", lambda _rule: 1.0),
}


@pytest.fixture(scope="module")
def seed() -> int:
    return drawn_seed()


@pytest.fixture(scope="module")
def cases(seed) -> pl.DataFrame:
    """Every vague case: `kind`, `ratio` of the drawn number to the rule's, `fired`."""
    told = simulated(seed, N_EVENTS, obstacles=CROWDED, vague=1.0)
    fired = folded(told)["signals"].select(*WHO, pl.col("signal").alias("kind"), pl.col("fired_at").alias("at")).sort("at")
    planted = (
        told.frictions.filter(~pl.col("is_bot") & ~pl.col("is_clear") & pl.col("kind").is_in(list(BORDERS)), role="obstacle")
        .sort("began_at")
        .with_row_index("which")
    )
    spans = planted.select(*WHO, "kind", "which", "began_at", pl.col("at").alias("over_at"))
    found = fired.join_asof(spans, left_on="at", right_on="began_at", by=[*WHO, "kind"], check_sortedness=False)
    hit = found.filter(pl.col("at") <= pl.col("over_at"))["which"].unique()
    slow = RULES["slow_page"]
    vital = pl.col("element").replace_strict({"LCP": slow.lcp_ms, "INP": slow.inp_ms, "CLS": slow.cls}, default=1.0)
    border = pl.col("kind").replace_strict({kind: float(border.at(RULES[kind])) for kind, border in BORDERS.items()})
    return planted.select(
        "kind",
        (pl.col("measure") / (border * pl.when(pl.col("kind") == "slow_page").then(vital).otherwise(1.0))).alias("ratio"),
        pl.col("which").is_in(hit.implode()).alias("fired"),
    )


def test_the_curves_are_printed(cases, seed, capsys):
    columns = (f"{tenths / 10:.1f}" for tenths in BINS)
    table = Table("signal", "drawn", "n", *columns, title=f"share fired, by drawn number / rule's number, on seed {seed}")
    tenths = (pl.col("ratio") * 10 + 1e-6).floor().cast(pl.Int64)
    for kind, border in BORDERS.items():
        of_kind = cases.filter(kind=kind)
        shares = dict(of_kind.group_by(tenths.alias("tenths")).agg(pl.col("fired").mean()).rows())
        table.add_row(kind, border.drawn, str(of_kind.height), *(f"{shares[at]:.2f}" if at in shares else "" for at in BINS))
    with capsys.disabled():
        Console(width=150).print("", table)

    assert cases["kind"].n_unique() == len(BORDERS)


@pytest.mark.parametrize("kind", [kind for kind, border in BORDERS.items() if border.is_sharp])
def test_the_curve_is_a_step_at_the_number_of_the_rule(kind, cases, seed):
    is_above = BORDERS[kind].fires_above
    above, below = (cases.filter(of_side, kind=kind) for of_side in (pl.col("ratio") >= 1 + NEAR, pl.col("ratio") <= 1 - NEAR))
    friction, calm = (above, below) if is_above else (below, above)

    assert min(friction.height, calm.height) > 5, f"EBBTIDE_SEED={seed}"
    assert friction["fired"].mean() >= 0.95, f"EBBTIDE_SEED={seed}"
    assert calm["fired"].mean() <= 0.05, f"EBBTIDE_SEED={seed}"
