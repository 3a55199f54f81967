"""Customers who did not order again in their own rhythm.

Frames:  PersonLog -> PERSON + LAPSE
Time:    lapsed once now > due; the order that comes later recovers it within the window, and is a return after that
Cases:   who is no customer yet -> nothing is awaited | the order is cancelled later -> the wait of the one before it goes on
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.expectation import Expectation
from pipeline.groups import NEVER, Millis
from pipeline.hashing import hex128
from pipeline.journeys_rules import JourneysRules
from pipeline.people_counts import BEGUN
from pipeline.person_log import LAPSE, PERSON, PersonLog
from pipeline.rhythms import due_ms, orders
from pipeline.table import TIME, schema
from pipeline.watermark import milliseconds

LAPSES = schema({**PERSON, **LAPSE})


@dataclass(frozen=True)
class NextOrders:
    """The waits for an order that have lapsed."""

    lapses: pl.DataFrame
    """PERSON + LAPSE. `outcome_id`: hash of site, expectation, customer and the order that began the wait."""
    begun: pl.DataFrame
    """BEGUN: all waits."""
    next_ms: Millis
    """Of each person when the next wait is due, at or after now; NEVER: none is open."""


def next_orders(log: PersonLog, rules: JourneysRules) -> NextOrders:
    """The lapses of all expectations of persons."""
    next_ms = np.full(log.people.height, NEVER, dtype=np.int64)
    whose = log.people.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("person"), "customer_id", "now_ms")
    # A customer has one key, and all orders are at home there; a guest may come back as anybody.
    found = orders(log.cases).join(whose.filter(pl.col("customer_id").fill_null("") != ""), on="person", maintain_order="left")
    lapses, begun = [LAPSES.to_frame()], [BEGUN.to_frame()]
    for expectation in rules.of_persons:
        every = found.with_columns(due_ms(found, expectation)).with_columns(
            (pl.col("next_ms") <= pl.col("due_ms")).fill_null(value=False).alias("is_met")
        )
        begun.append(_begun(every, expectation))
        waits = every.filter(~pl.col("is_met")).drop("is_met")
        ahead = waits.filter(pl.col("due_ms") >= pl.col("now_ms"))
        np.minimum.at(next_ms, ahead["person"].to_numpy(), ahead["due_ms"].to_numpy())
        lapses.append(_lapses(waits.filter(pl.col("due_ms") < pl.col("now_ms")), expectation))
    return NextOrders(pl.concat(lapses), pl.concat(begun), next_ms)


def _begun(waits: pl.DataFrame, expectation: Expectation) -> pl.DataFrame:
    return waits.select(
        "person",
        *(
            pl.lit(getattr(expectation, said)).alias(name)
            for name, said in (("expectation", "name"), ("journey", "journey"), ("step", "step"))
        ),
        pl.col("placed_ms").alias("began_ms"),
        pl.col("due_ms").alias("lapsed_ms"),
        "is_met",
        (~pl.col("is_met") & (pl.col("due_ms") < pl.col("now_ms"))).alias("is_lapsed"),
    )


def _lapses(over: pl.DataFrame, expectation: Expectation) -> pl.DataFrame:
    if over.is_empty():
        return LAPSES.to_frame()
    recovery_ms, silence_ms = milliseconds(expectation.recovery), milliseconds(expectation.silence)
    recovers = pl.col("next_ms") <= pl.col("due_ms") + recovery_ms
    name = pl.Series([expectation.name]).new_from_index(0, over.height)
    rows = over.with_columns(
        name.alias("expectation"),
        hex128(over["site"], name, over["customer_id"], over["order_id"]).alias("outcome_id"),
        pl.lit(expectation.journey).alias("journey"),
        pl.lit(expectation.step).alias("step"),
        pl.lit(expectation.owner).alias("owner"),
        pl.col("placed_ms").cast(TIME).alias("began_at"),
        pl.col("due_ms").cast(TIME).alias("due_at"),
        pl.col("due_ms").cast(TIME).alias("lapsed_at"),
        (pl.col("due_ms") + silence_ms).cast(TIME).alias("silent_at"),
        (pl.col("due_ms") + recovery_ms).cast(TIME).alias("recovers_until"),
        pl.when(recovers).then("next_ms").cast(TIME).alias("recovered_at"),
        pl.when(~recovers).then("next_ms").cast(TIME).alias("returned_at"),
        pl.lit("provisional").alias("status"),
        pl.col("amount_minor").alias("value_minor"),
        pl.lit(0, dtype=pl.UInt8).alias("is_deleted"),
    )
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in LAPSES.items() if name not in rows.columns]
    return rows.with_columns(absent).select(LAPSES.names())
