"""What is at home with some holders, as those who tell of people are given it.

Frames:  HOLDERS, RECORDS of each kind -> PersonLog
Cases:   a holder at whom nothing is that anybody would be told of -> left out: most visitors never log in, write to support or leave a cart
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.groups import Millis
from pipeline.hashing import Hashes
from pipeline.person_log import PEOPLE, PERSON, PersonLog
from pipeline.person_state import KINDS

_ORDER = {
    "ticket": ("event_at", "event_id"),
    "visit": ("started_at", "session_id"),
    "case": ("opened_at", "order_id"),
    "lapse": ("lapsed_at", "expectation", "outcome_id"),
    "signal": ("fired_at", "signal", "signal_id"),
}
_TELLING = ("ticket", "lapse")
"""Kinds that make a holder one to be told of, customer or not."""


def is_at_home(kind: str) -> pl.Expr:
    """Whether a record (RECORDS) is at home where it lies, and there is something to tell of it."""
    is_here = pl.col("sent_to").is_null()
    return is_here if kind == "ticket" else is_here & (pl.col("is_deleted").fill_null(0) == 0)


def at_home(records: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Those of every kind that are."""
    return {kind: rows.filter(is_at_home(kind)) if rows.height else rows for kind, rows in records.items()}


def told_of(holders: pl.DataFrame, records: Mapping[str, pl.DataFrame]) -> NDArray[np.bool_]:
    """Which holders there is something to tell of. Frames: HOLDERS, of each kind what is at home."""
    is_customer = holders["key"].str.starts_with("customer:").to_numpy()
    having = [records[kind]["holder"].to_numpy() for kind in (_TELLING if not is_customer.all() else ())]
    told: NDArray[np.bool_] = (
        is_customer if not having else is_customer | np.isin(holders["holder"].to_numpy(), np.concatenate(having))
    )
    return told


def log_of(holders: pl.DataFrame, records: Mapping[str, pl.DataFrame], now_ms: Millis) -> PersonLog:
    """Frames: HOLDERS in order of `holder`, of each kind what is at home with somebody -> PersonLog; the holders are numbered as they stand."""
    key = pl.col("key")
    customer = pl.when(key.str.starts_with("customer:")).then(key.str.strip_prefix("customer:"))
    people = holders.select(
        "partition", "site", "key", customer.alias("customer_id"), pl.Series("now_ms", now_ms, pl.Int64)
    ).select(PEOPLE.names())
    keys = holders["holder"].to_numpy()
    return PersonLog(people, *(_of_people(kind, records[kind], keys) for kind in KINDS))


def _of_people(kind: str, rows: pl.DataFrame, holders: Hashes) -> pl.DataFrame:
    of = rows["holder"].to_numpy()
    place = np.minimum(np.searchsorted(holders, of), max(len(holders) - 1, 0))
    is_here = holders[place] == of if len(holders) else np.zeros(len(of), dtype=bool)
    found = rows.select(pl.Series("person", place, PERSON["person"]), *KINDS[kind])
    return (found if is_here.all() else found.filter(pl.Series(is_here))).sort("person", *_ORDER[kind])


def side_by_side(before: PersonLog, after: PersonLog) -> PersonLog:
    """Two logs as one: telling has a price of its own. The people of the first stand first, in partitions of their own (`of_before`)."""
    moved = replace(before, people=before.people.with_columns(of_before(pl.col("partition"))))
    n = before.people.height
    later = {
        name: getattr(after, name).with_columns(pl.col("person") + n)
        for name in ("tickets", "visits", "cases", "lapses", "signals")
    }
    both = {name: pl.concat([getattr(moved, name), rows]) for name, rows in later.items()}
    return PersonLog(pl.concat([moved.people, after.people]), **both)


def of_before(partition: pl.Expr) -> pl.Expr:
    """A partition that no topic has, one to one; and back."""
    return partition * -1 - 1  # named as it was
