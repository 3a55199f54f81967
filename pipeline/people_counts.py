"""What people add to the counts: waits that began with their tickets and orders, what came of them, what became of every lapse, and signals of contacts.

Frames:  BEGUN, rows of OUTCOMES, signals -> rollups.CONTRIBUTIONS with `person`
Cases:   a lapse that is still provisional -> nothing yet: who saw the wait begin and lapse has counted it
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.frames import schema
from pipeline.journeys_rules import JourneysRules
from pipeline.person_log import PERSON
from pipeline.rollups import CONTRIBUTIONS, as_measures, end_of, interval_of, measured, signal_matures
from pipeline.watermark import milliseconds

BEGUN = schema(
    {
        **PERSON,
        "expectation": pl.String,
        "journey": pl.String,
        "step": pl.String,
        "began_ms": pl.Int64,
        "lapsed_ms": pl.Int64,
        "is_met": pl.Boolean,
        "is_lapsed": pl.Boolean,
    }
)
"""A wait for a ticket or a person that counts. `lapsed_ms`: when it lapses, unless it is met."""

PEOPLE_COUNTS = schema({**PERSON, **CONTRIBUTIONS})

_VERDICTS = ("silent", "contacted", "recovered")


@dataclass(frozen=True)
class Decided:
    """Lapses of some people."""

    rows: pl.DataFrame
    """Columns of frames.OUTCOMES and `person`."""
    silent_ms: pl.Series
    """When each is silent, unless somebody makes contact."""


def contributions(
    people: pl.DataFrame, begun: Sequence[pl.DataFrame], decided: Decided, signals: pl.DataFrame, rules: JourneysRules
) -> pl.DataFrame:
    """What these people add to the counts. Frames: PEOPLE, BEGUN, PERSON + SIGNAL -> PEOPLE_COUNTS."""
    waits = as_measures(pl.concat([BEGUN.to_frame(), *begun]).rename({"began_ms": "ms"}))
    outcomes = decided.rows.select(
        *PERSON,
        *("expectation", "journey", "step", "device", "country", "acquisition_channel"),
        pl.col("status").alias("measure"),
        pl.col("began_at").to_physical().alias("ms"),
        decided.silent_ms.alias("silent_ms"),
    ).filter(pl.col("measure").is_in(_VERDICTS))
    fired = signals.select(
        *PERSON, "signal", "journey", "step", pl.col("fired_at").to_physical().alias("ms"), pl.lit("signals").alias("measure")
    )
    lateness = milliseconds(rules.allowed_lateness)
    of_wait, of_outcome = (
        end_of(pl.col(decided) + lateness, rules.interval).alias("matures_ms") for decided in ("lapsed_ms", "silent_ms")
    )
    of_signal = signal_matures("ms", rules.interval, rules.allowed_lateness)
    whose = people.select("partition", "site")
    found = [PEOPLE_COUNTS.to_frame()]
    for rows, matures in ((waits, of_wait), (outcomes, of_outcome), (fired, of_signal)):
        if rows.height:
            counted = rows.hstack(whose[rows["person"]]).with_columns(
                interval_of("ms", rules.interval), matures, pl.lit(1, pl.Int64).alias("n")
            )
            found.append(measured(counted, rules.dimensions, *PERSON))
    return pl.concat(found)
