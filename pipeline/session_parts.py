"""Parts of sessions: what the fold remembers, and how two pieces of one part become one.

A *stream* is one visitor's events with one `session_id`, or without any. A *cluster* is a stretch of a stream without a longer silence than its
patience. A *part* is what one customer did in a cluster (or nobody known). Every column of a part is a minimum, a maximum, a sum, or the value at
the first or last event that has one: so parts can be put together in any order, and late events do no harm.

Frames:  PARTS, REACHED (steps of a part), COMMITS (its first event from the commit step on), each found by `visitor_key`
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames
from pipeline.hashing import Hashes, hash64

CONTEXT = ("device", "browser", "os", "country", "app_version")
ORIGIN = ("campaign", "acquisition_channel")

_WORD = pl.Categorical()
"""Few words that stand in many rows take four bytes each."""

PARTS = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": pl.Int32,
        "part": pl.UInt64,
        "stream": pl.UInt64,
        "site": _WORD,
        "visitor_id": pl.String,
        "session_id": pl.String,
        "is_reused": pl.Boolean,
        "customer_id": pl.String,
        "account_id": pl.String,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "n_events": pl.UInt32,
        "engaged_ms": pl.Int64,
        **dict.fromkeys(CONTEXT, _WORD),
        "is_bot": pl.Boolean,
        "entry_page": pl.String,
        "entry_ms": pl.Int64,
        "entry_tie": pl.UInt64,
        "exit_page": pl.String,
        "exit_ms": pl.Int64,
        "exit_tie": pl.UInt64,
        **dict.fromkeys(ORIGIN, _WORD),
        "origin_ms": pl.Int64,
        "origin_tie": pl.UInt64,
        "order_id": pl.String,
        "order_ms": pl.Int64,
        "order_tie": pl.UInt64,
        "cart_id": pl.String,
        "cart_ms": pl.Int64,
        "cart_tie": pl.UInt64,
        "amount_minor": pl.Int64,
        "currency": _WORD,
        "amount_ms": pl.Int64,
        "amount_tie": pl.UInt64,
        "is_quiet": pl.Boolean,
        "sent_ms": pl.Int64,
    }
)
"""`part`: hash of its first event when it was first seen; links REACHED, COMMITS and signals to it. `session_id`: as emitted. `is_reused`: the emitter
used the id again after it was forgotten. `is_quiet`: it was last sent as closed. `sent_ms`: its last event when it was last sent."""

REACHED = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": pl.Int32,
        "part": pl.UInt64,
        "place": pl.Int16,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "n_events": pl.UInt32,
        "engaged_ms": pl.Int64,
    }
)
"""Steps a part has reached; `place` = number of the journey * 64 + index of the step."""

COMMITS = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": pl.Int32,
        "part": pl.UInt64,
        "journey": pl.Int16,
        "ms": pl.Int64,
        "tie": pl.UInt64,
        "high": pl.UInt64,
        "low": pl.UInt64,
    }
)
"""The first event of a part from the commit step of a journey on; `high` and `low`: hash of its `event_id`."""

PLACES = 64

_FIRST = (
    (("entry_page",), "entry"),
    (ORIGIN, "origin"),
)
_LAST = (
    (("exit_page",), "exit"),
    (("order_id",), "order"),
    (("cart_id",), "cart"),
    (("amount_minor", "currency"), "amount"),
)
"""Columns taken together from the first or last event that has one of them, and the name of its time and tie."""

_SAME = ("visitor_key", "partition", "stream", "site", "visitor_id", "session_id")
"""Equal in all pieces of one part."""


def clusters(
    stream: Hashes, first_ms: NDArray[np.int64], last_ms: NDArray[np.int64], patience_ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number of the cluster of every row, from 0; rows are in order of (stream, first_ms)."""
    n = len(stream)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    new_stream = np.ones(n, dtype=bool)
    new_stream[1:] = stream[1:] != stream[:-1]
    # A running maximum within each stream: the streams are lifted one above the other.
    lift = np.cumsum(new_stream) * (int(last_ms.max()) - int(last_ms.min()) + 1)
    reach_ms = np.maximum.accumulate(last_ms + lift) - lift
    begins = new_stream.copy()
    begins[1:] |= first_ms[1:] - reach_ms[:-1] > patience_ms[1:]
    numbers: NDArray[np.int64] = np.cumsum(begins) - 1
    return numbers


def pieces(events: pl.DataFrame) -> pl.DataFrame:
    """What each part has got in this batch.

    Frames:  events in order of (stream, event_ms, tie) with `piece` (a number a part) and `event_key` -> PARTS and `piece`
    """
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    picked = {
        **{name: ("min", columns) for columns, name in _FIRST},
        **{name: ("max", columns) for columns, name in _LAST},
    }
    of_event = {"entry_page": "page", "exit_page": "page"}
    rows_of = [
        pl.when(pl.any_horizontal(pl.col(of_event.get(column, column)).is_not_null() for column in columns[: _MARKING[name]]))
        .then(row)
        .alias(name)
        for name, (_, columns) in picked.items()
    ]
    grouped = (
        events.select(
            "piece",
            "event_ms",
            "engaged_ms",
            "account_id",
            "customer_id",
            "is_bot",
            "event_key",
            *_SAME,
            *CONTEXT,
            *rows_of,
            row.alias("row"),
        )
        .group_by("piece")
        .agg(
            pl.col("row").min(),
            pl.col("customer_id").first(),
            pl.col("account_id").min(),
            pl.col("event_ms").min().alias("first_ms"),
            pl.col("event_ms").max().alias("last_ms"),
            pl.len().alias("n_events").cast(pl.UInt32),
            pl.col("engaged_ms").sum(),
            *(pl.col(name).min() for name in CONTEXT),
            pl.col("is_bot").any(),
            *(getattr(pl.col(name), how)() for name, (how, _) in picked.items()),
        )
    )
    # All columns in one query: a look-up of its own costs more than the values do.
    looked_up = [pl.col(name).gather(grouped["row"]).alias(name) for name in _SAME]
    looked_up.append(pl.col("event_key").gather(grouped["row"]).alias("part"))
    for name, (_, values) in picked.items():
        at = grouped[name]
        looked_up += [pl.col(of_event.get(value, value)).gather(at).alias(value) for value in values]
        looked_up += [pl.col("event_ms").gather(at).alias(f"{name}_ms"), pl.col("tie").gather(at).alias(f"{name}_tie")]
    never = {"is_reused": False, "is_quiet": False, "sent_ms": None}
    return (
        grouped.select("piece", "first_ms", "last_ms", "n_events", "engaged_ms", "account_id", "customer_id", "is_bot", *CONTEXT)
        .hstack(events.select(looked_up))
        .with_columns(pl.lit(value).alias(name) for name, value in never.items())
        .select(*(pl.col(name).cast(dtype) for name, dtype in PARTS.items()), "piece")
    )


_MARKING = {"entry": 1, "origin": 2, "exit": 1, "order": 1, "cart": 1, "amount": 1}
"""How many of the columns taken together make an event one that has them."""


def merged(parts: pl.DataFrame, group: str) -> pl.DataFrame:
    """One row a group, of the rows of PARTS with a column `group`; rows that stand alone go through untouched. Further columns are equal in a group.

    Cases:   two parts -> the id of the earlier one stays; quiet only if all were; sent as of the latest
    """
    alone = parts[group].is_unique()
    if alone.all():
        return parts
    many = parts.filter(~alone)
    ranks, takes = [], []
    for (columns, name), how in [*((first, "min") for first in _FIRST), *((last, "max") for last in _LAST)]:
        ranks.append(pl.Series(name, _ranks(many, name, last=how == "max")))
        takes.append((columns, name, how))
    ranks.append(pl.Series("earliest", _order(many, ("first_ms", "part"))))
    grouped = (
        many.with_columns(ranks)
        .group_by(group, maintain_order=True)
        .agg(
            pl.col("earliest").min(),
            pl.col("customer_id").max(),
            pl.col("account_id").min(),
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
            pl.col("n_events").sum(),
            pl.col("engaged_ms").sum(),
            *(pl.col(name).cast(pl.String).min().cast(_WORD) for name in CONTEXT),
            pl.col("is_bot").any(),
            pl.col("is_reused").all(),
            pl.col("is_quiet").all(),
            pl.col("sent_ms").max(),
            *(getattr(pl.col(name), how)() for _, name, how in takes),
        )
    )
    # A rank is a place in an order; the inverse gives the row.
    earliest = pl.Series(_rows(many, ("first_ms", "part"))[grouped["earliest"].to_numpy()])
    further = [name for name in parts.columns if name not in PARTS and name != group]
    looked_up = [pl.col(name).gather(earliest) for name in (*_SAME, "part", *further)]
    for values, name, how in takes:
        at = pl.Series(_rows(many, (f"{name}_ms", f"{name}_tie"), last=how == "max")[grouped[name].to_numpy()])
        looked_up += [pl.col(value).gather(at) for value in (*values, f"{name}_ms", f"{name}_tie")]
    aggregated = grouped.drop("earliest", *(name for _, name, _ in takes))
    whole = aggregated.hstack(many.select(looked_up)).select(parts.columns)
    return pl.concat([parts.filter(alone), whole])


def _ranks(rows: pl.DataFrame, name: str, *, last: bool) -> NDArray[np.int64]:
    return _order(rows, (f"{name}_ms", f"{name}_tie"), last=last)


def _order(rows: pl.DataFrame, by: Sequence[str], *, last: bool = False) -> NDArray[np.int64]:
    """Place of each row in the order by these columns; rows without a value stand where neither a first nor a last one is looked for."""
    order = _rows(rows, by, last=last)
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _rows(rows: pl.DataFrame, by: Sequence[str], *, last: bool = False) -> NDArray[np.int64]:
    missing = -(2**62) if last else 2**62
    keys = [rows[name].fill_null(0 if name.endswith(("tie", "part")) else missing).to_numpy() for name in by]
    order: NDArray[np.int64] = np.lexsort(keys[::-1])
    return order


def customer_keys(parts: pl.DataFrame) -> Hashes:
    """One number a customer; 0 for nobody."""
    keys = hash64(parts["customer_id"])
    keys[parts["customer_id"].is_null().to_numpy()] = 0
    return keys
