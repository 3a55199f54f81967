"""What cases add to the counts: the waits that began with them, those that were met, those that lapsed, and signals.

Frames:  CaseLog, what was told of it -> rollups.CONTRIBUTIONS with `entity`
Cases:   a wait that is void -> it began, and is neither met nor lapsed | one that came due where the shop never sends what is awaited -> was none
Source:  DECISIONS.md: what counts as begun
"""

import polars as pl

from pipeline.case_log import CaseLog
from pipeline.case_views import Told
from pipeline.frames import schema
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.rollups import CONTRIBUTIONS, as_measures, end_of, interval_of, measured, named, signal_matures
from pipeline.watermark import milliseconds

CASES = schema({"entity": pl.UInt64, **CONTRIBUTIONS})


def contributions(log: CaseLog, told: Told, rules: FulfilmentRules) -> pl.DataFrame:
    """What these cases add to the counts. Frames: -> CASES."""
    parts = _waits(log, told, rules), _signals(log, told, rules)
    return pl.concat(measured(rows, rules.dimensions, "entity") for rows in parts)


def _waits(log: CaseLog, told: Told, rules: FulfilmentRules) -> pl.DataFrame:
    begun = told.begun
    case = begun["case"].to_numpy()
    decided_ms = begun["lapsed_ms"].to_numpy() + milliseconds(rules.allowed_lateness)
    waits = (
        named(rules.expectations)[begun["expectation"].cast(pl.UInt32)]
        .hstack(told.who.select("partition", "site", "country")[case])
        .hstack(begun.select("is_met", "is_lapsed"))
        .with_columns(
            log.known["case_key"].gather(case).alias("entity"),
            pl.Series("ms", log.ms[begun["first"].to_numpy()], pl.Int64),
            pl.Series("decided_ms", decided_ms, pl.Int64),
            pl.lit(1, pl.Int64).alias("n"),
        )
        .with_columns(interval_of("ms", rules.interval), end_of(pl.col("decided_ms"), rules.interval).alias("matures_ms"))
    )
    return as_measures(waits)


def _signals(log: CaseLog, told: Told, rules: FulfilmentRules) -> pl.DataFrame:
    rows = told.tables["signals"].select("partition", "site", "country", "signal", "journey", "step", "fired_at")
    return rows.with_columns(
        log.known["case_key"].gather(told.of_signals).alias("entity"),
        pl.col("fired_at").to_physical().alias("ms"),
        pl.lit(1, pl.Int64).alias("n"),
        pl.lit("signals").alias("measure"),
    ).with_columns(interval_of("ms", rules.interval), signal_matures("ms", rules.interval, rules.allowed_lateness))
