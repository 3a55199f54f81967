"""Rows of `outcomes`: waits that have lapsed, and what was decided of them. What explains them is told by whoever knows the person: see `attribution`.

Frames:  CaseLog, WAITS -> rows of frames.OUTCOMES, with `partition`
Time:    provisional until the silence window is over, then silent; recovered if it came within the recovery window, `returned_at` if later still
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from pipeline.awaited_types import was_seen
from pipeline.case_log import CaseLog
from pipeline.expectation import Expectation
from pipeline.frames import TIME
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.groups import NEVER, Millis, Places, at, picked, told_ms
from pipeline.hashing import also128, hash128, hexed


def lapsed(
    log: CaseLog, waits: pl.DataFrame, seen: pl.DataFrame, expectations: Sequence[Expectation], seen_within: timedelta
) -> pl.DataFrame:
    """The waits that have lapsed by now, less those of a type that the shop never sent. Frames: WAITS, SEEN -> WAITS."""
    case = waits["case"].to_numpy()
    over = waits.filter(pl.Series(log.now_ms[case] > waits["lapsed_ms"].to_numpy(), dtype=pl.Boolean))
    return over.filter(can_lapse(log, over, seen, expectations, seen_within, by_ms=over["lapsed_ms"].to_numpy()))


def can_lapse(
    log: CaseLog,
    waits: pl.DataFrame,
    seen: pl.DataFrame,
    expectations: Sequence[Expectation],
    seen_within: timedelta,
    *,
    by_ms: Millis,
) -> pl.Series:
    """Whether the shop is known by then to send what each of these waits awaits, where that is asked. Frames: WAITS, SEEN."""
    asked = {place: each.expect for place, each in enumerate(expectations) if each.enabled == "auto"}
    place = waits["expectation"].to_numpy().astype(np.int64)
    rows = np.flatnonzero(np.isin(place, [*asked]))
    kept = np.ones(len(place), dtype=bool)
    due = log.known.select("partition", "site")[waits["case"].to_numpy()[rows]].with_columns(
        pl.Series("place", place[rows]), pl.Series("due_ms", by_ms[rows])
    )
    kept[rows] = was_seen(seen, asked, due, seen_within.days)
    return pl.Series(kept, dtype=pl.Boolean)


def counted(log: CaseLog, begun: pl.DataFrame, over: pl.DataFrame) -> pl.DataFrame:
    """The waits that count: all but those that came due where the shop never sends what is awaited. Frames: WAITS, those that have lapsed -> WAITS, `is_lapsed`."""
    is_ahead = log.now_ms[begun["case"].to_numpy()] <= begun["lapsed_ms"].to_numpy()
    others = begun.filter(pl.col("is_met") | pl.col("is_void") | pl.Series(is_ahead, dtype=pl.Boolean))
    return pl.concat(
        [others.with_columns(pl.lit(value=False).alias("is_lapsed")), over.with_columns(pl.lit(value=True).alias("is_lapsed"))]
    )


def outcomes(log: CaseLog, who: pl.DataFrame, over: pl.DataFrame, rules: FulfilmentRules) -> pl.DataFrame:
    """Frames: WAITS that have lapsed -> rows of frames.OUTCOMES and facts.BESIDE."""
    case, first, last = (over[name].to_numpy() for name in ("case", "first", "last"))
    met_ms, silent_ms, recovery_ms, lapsed_ms = (
        over[name].to_numpy() for name in ("met_ms", "silent_ms", "recovery_ms", "lapsed_ms")
    )
    is_met = met_ms != NEVER
    recovers = is_met & (met_ms <= recovery_ms)
    is_silent = log.now_ms[case] > silent_ms
    status = np.select([recovers, is_silent], ["recovered", "silent"], "provisional")
    decided = np.select([recovers, is_silent], [met_ms, silent_ms], NEVER)
    definitions = pl.DataFrame(
        {
            name: [getattr(expectation, name) for expectation in rules.expectations]
            for name in ("name", "journey", "step", "owner", "key")
        }
    )[over["expectation"].cast(pl.UInt32)]
    of_case = who[case]
    delivery_id, return_id, step = (
        picked(log.events[name], first).cast(pl.String) for name in ("delivery_id", "return_id", "step")
    )
    is_parcel = definitions["key"] == "parcel"
    key = pl.DataFrame(
        [definitions["key"], of_case["order_id"], delivery_id, return_id.alias("return_id"), step.alias("step")]
    ).select(
        pl.when(pl.col("key") == "parcel")
        .then(pl.col("delivery_id"))
        .when(pl.col("key") == "order")
        .then(pl.col("order_id"))
        .when(pl.col("key") == "step")
        .then(pl.concat_str("order_id", "step", separator="/", ignore_nulls=True))
        .otherwise(pl.concat_str("order_id", "return_id", separator="/", ignore_nulls=True))
        .fill_null("")
        .alias("key")
    )["key"]
    event = hexed(*(log.events[name].gather(first).to_numpy() for name in ("event_key", "event_low")))
    ids = (
        hexed(*also128(hash128(of_case["site"], definitions["name"], key), event))
        if over.height
        else pl.Series([], dtype=pl.String)
    )
    return pl.DataFrame(
        [
            of_case["partition"],
            of_case["site"],
            definitions["name"].alias("expectation"),
            ids.alias("outcome_id"),
            definitions["journey"],
            definitions["step"],
            definitions["owner"],
            picked(log.events["assignee_id"], last).alias("assignee_id"),
            of_case["visitor_id"],
            of_case["session_id"],
            of_case["order_id"],
            picked(log.events["quote_id"], last).alias("quote_id"),
            delivery_id.zip_with(is_parcel, pl.repeat(None, over.height, dtype=pl.String, eager=True)).alias("delivery_id"),
            of_case["customer_id"],
            of_case["account_id"],
            _time("began_at", log.ms[first]),
            _time("due_at", over["due_ms"].to_numpy()),
            _time("lapsed_at", lapsed_ms),
            _time("decided_at", decided),
            _time("recovered_at", np.where(recovers, met_ms, NEVER)),
            _time("returned_at", np.where(is_met & ~recovers, met_ms, NEVER)),
            pl.Series("status", status.tolist(), pl.String),
            told_ms("value_minor", at(log.number("amount_minor"), log.cases.last(log.has("amount_minor")))[case]),
            of_case["currency"],
            of_case["country"],
            of_case["cart_id"],
            _time("silent_at", silent_ms),
            _time("recovers_until", recovery_ms),
        ]
    )


def _time(name: str, ms: Places) -> pl.Series:
    return told_ms(name, ms).cast(TIME)
