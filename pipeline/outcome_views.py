"""What became of every lapse of some people, and why: rows of `outcomes`.

Everything is told from all that is known of a person, so that it does not matter what came first: a contact, an order or a login that is learned after the
verdict corrects it.

Frames:  PersonLog; PERSON + LAPSE, PERSON + SIGNAL, MOMENTS -> ToldOutcomes
Time:    provisional until `silent_at`, then silent, unless a contact or what was expected came
Cases:   what was expected came by the due time after all -> no row | within the recovery window -> recovered, whatever else | later -> it stays, with `returned_at`
         a contact, also one before it would be silent -> contacted
Source:  DESIGN 4
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.attribution import causes
from pipeline.frames import OUTCOMES, schema
from pipeline.groups import NEVER, Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.lapse_contacts import contacts
from pipeline.lapse_orders import ordered_at
from pipeline.person_log import PERSON, PersonLog

_COLUMNS = ("partition", *(name for name in OUTCOMES.schema if name != "is_deleted"))
_SHAPE = schema({**PERSON, "partition": pl.Int32, **{name: OUTCOMES.schema[name] for name in _COLUMNS[1:]}})


@dataclass(frozen=True)
class ToldOutcomes:
    """What there is to say of the lapses of some people."""

    rows: pl.DataFrame
    """Columns of frames.OUTCOMES, `partition` and `person`."""
    silent_ms: pl.Series
    """When each is silent, unless somebody makes contact."""
    next_ms: Millis
    """Of each person the first time at or after now beyond which something becomes silent; NEVER: nothing does."""


def told_outcomes(
    log: PersonLog, lapses: pl.DataFrame, signals: pl.DataFrame, moments: pl.DataFrame, rules: JourneysRules
) -> ToldOutcomes:
    """Say what became of these lapses. Frames: all lapses and signals of these people, PERSON + LAPSE and SIGNAL; MOMENTS."""
    if lapses.is_empty():  # of most people, most of the time
        nobody_s = pl.Series("silent_ms", [], pl.Int64)
        return ToldOutcomes(pl.DataFrame(schema=_SHAPE), nobody_s, np.full(log.people.height, NEVER, dtype=np.int64))
    lapses = _that_lapsed(known(lapses), known(log.cases))
    of_persons = [each.name for each in rules.of_persons]
    people = log.people.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("person"),
        "partition",
        pl.col("customer_id").alias("person_customer_id"),
        pl.col("now_ms"),
    )
    rows = (
        lapses.with_row_index("row")
        .join(contacts(lapses, known(moments)), on="row", how="left", maintain_order="left")
        .join(causes(lapses, known(signals), rules.attribution, of_persons), on="row", how="left", maintain_order="left")
        .join(people, on="person", how="left", maintain_order="left")
    )
    recovers = pl.col("recovered_at").is_not_null()
    is_contacted = pl.col("contacted_at").is_not_null()
    is_silent = pl.col("now_ms") > pl.col("silent_at").to_physical()
    rows = rows.with_columns(
        pl.when(recovers)
        .then(pl.lit("recovered"))
        .when(is_contacted)
        .then(pl.lit("contacted"))
        .when(is_silent)
        .then(pl.lit("silent"))
        .otherwise(pl.lit("provisional"))
        .alias("status"),
        pl.when(recovers)
        .then("recovered_at")
        .when(is_contacted)
        .then(pl.max_horizontal("contacted_at", "lapsed_at"))
        .when(is_silent)
        .then("silent_at")
        .alias("decided_at"),
        pl.coalesce("person_customer_id", "customer_id").alias("customer_id"),
    )
    return ToldOutcomes(rows.select("person", *_COLUMNS), rows["silent_at"].to_physical().alias("silent_ms"), _next(log, rows))


def known(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with what is '' as null: a fact that went through a table's form says nothing so."""
    return frame.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))


def _that_lapsed(lapses: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """The lapses with what the person's orders made of them, less those that were met in time."""
    told = lapses.with_columns(ordered_at(lapses, cases)).filter((pl.col("ordered_at") > pl.col("due_at")).fill_null(value=True))
    recovers = pl.col("ordered_at") <= pl.col("recovers_until")
    return told.with_columns(
        pl.coalesce("recovered_at", pl.when(recovers).then("ordered_at")),
        pl.coalesce("returned_at", pl.when(~recovers).then("ordered_at")),
    ).drop("ordered_at")


def _next(log: PersonLog, rows: pl.DataFrame) -> Millis:
    following = np.full(log.people.height, NEVER, dtype=np.int64)
    open_ones = rows.filter(pl.col("status") == "provisional")
    np.minimum.at(following, open_ones["person"].to_numpy(), open_ones["silent_at"].to_physical().to_numpy())
    return following
