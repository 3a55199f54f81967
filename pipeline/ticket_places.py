"""Where in which journey a ticket or an answer belongs, and which team answers for that.

Frames:  what was said, and the order -> `journey`, `step`, `owner`, none of them empty
Cases:   it says a journey and a step -> these | a journey alone -> its first step | a step alone says nothing
         it names an order -> `delivered` if that had come by then, else the first step of what the order is (an RFQ, an approval ...)
         neither -> what it falls back to
"""

from functools import cache

import polars as pl

from pipeline.case_journeys import JOURNEYS
from pipeline.case_map import CaseMap
from pipeline.journey_map import JourneyMap
from pipeline.journeys_rules import JourneysRules

SUPPORT = "support"
"""A journey, and the team that owns it."""
OPENED, REPLIED, SOLVED = "opened", "replied", "solved"
"""Its steps, as they ship."""

UNNAMED = "step"
"""A step that only the shop can name."""

ASKED = pl.Schema(
    {
        "person": pl.Int64(),
        "at_ms": pl.Int64(),
        "order_id": pl.String(),
        "journey": pl.String(),
        "step": pl.String(),
        "else_journey": pl.String(),
        "else_step": pl.String(),
    }
)
"""`at_ms`: whether the order had been delivered by then; `else_`: where the row belongs if nothing else is known."""

_JOURNEY_OF_CASE = {case_type: journeys[0] for case_type, journeys in JOURNEYS.items()}


def places(asked: pl.DataFrame, cases: pl.DataFrame, rules: JourneysRules) -> pl.DataFrame:
    """Where each row belongs. Frames: ASKED, PERSON + CASE -> `journey`, `step`, `owner`."""
    first_steps, owners = _known(rules.journeys, rules.web_journeys)
    known = cases.select("person", "order_id", "case_type", pl.col("delivered_at").to_physical().alias("delivered_ms"))
    case_journey = pl.col("case_type").fill_null("order").replace_strict(_JOURNEY_OF_CASE, default="order", return_dtype=pl.String)
    has_come = (case_journey == "order") & (pl.col("delivered_ms") <= pl.col("at_ms")).fill_null(value=False)
    delivered = rules.journeys.step("order", "delivered").name
    case_step = pl.when(has_come).then(pl.lit(delivered)).otherwise(_of(first_steps, case_journey))
    of_itself, of_order = pl.col("journey").is_not_null(), pl.col("order_id").is_not_null()
    own_step = pl.coalesce("step", _of(first_steps, pl.col("journey")), pl.lit(UNNAMED))
    return (
        asked.join(known, on=["person", "order_id"], how="left", maintain_order="left")
        .select(
            pl.when(of_itself).then("journey").when(of_order).then(case_journey).otherwise("else_journey").alias("journey"),
            pl.when(of_itself).then(own_step).when(of_order).then(case_step).otherwise("else_step").alias("step"),
        )
        .with_columns(
            pl.coalesce(
                _of(owners, pl.concat_str("journey", pl.lit("/"), "step")),
                _of(owners, pl.concat_str("journey", pl.lit("/"))),
                pl.lit(SUPPORT),
            ).alias("owner")
        )
    )


def accounts_of_orders(asked: pl.DataFrame, cases: pl.DataFrame) -> pl.Series:
    """The company of the order of each row, null if nobody says. Frames: `person`, `order_id`; PERSON + CASE -> `account_id`."""
    known = cases.select("person", "order_id", pl.when(pl.col("account_id") != "").then("account_id").alias("account_id"))
    return asked.join(known, on=["person", "order_id"], how="left", maintain_order="left")["account_id"]


def _of(table: dict[str, str], key: pl.Expr) -> pl.Expr:
    return key.replace_strict(table, default=None, return_dtype=pl.String)


@cache
def _known(journeys: CaseMap, web: JourneyMap) -> tuple[dict[str, str], dict[str, str]]:
    """Journey -> its first step; `journey/step` -> its owner, with no step for those that only the shop can name."""
    steps = [
        *((step.journey, step.name, step.owner) for step in journeys.steps),
        *((journey.name, step.name, step.owner) for journey in web.journeys for step in journey.steps),
    ]
    first: dict[str, str] = {}
    for journey, step, _ in steps:
        first.setdefault(journey, step or UNNAMED)
    return first, {f"{journey}/{step}": owner for journey, step, owner in steps}
