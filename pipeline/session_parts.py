"""Parts of sessions: what the fold remembers, and how two pieces of one part become one.

A *stream* is one visitor's events with one `session_id`, or without any. A *cluster* is a stretch of a stream without a longer silence than its
patience. A *part* is what one customer did in a cluster (or nobody known). Every column of a part is a minimum, a maximum, a sum, or the value at
the first or last event that has one: so parts can be put together in any order, and late events do no harm.

Frames:  PARTS, REACHED (steps of a part), COMMITS (its first event from the commit step on), each found by `visitor_key`
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames
from pipeline.groups import NEVER
from pipeline.hashing import Hashes, also64, hash64
from pipeline.risk import NOT_TOLD

CONTEXT = ("device", "browser", "os", "country", "app_version")
ORIGIN = ("campaign", "acquisition_channel")

_WORD = pl.Categorical()
"""Few words that stand in many rows take four bytes each."""

PARTITION = pl.Int16()
"""A topic has a few thousand partitions at most, and every row of state says its own."""

PARTS = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": PARTITION,
        "part": pl.UInt64,
        "site": _WORD,
        "visitor_id": pl.String,
        "session_id": pl.String,
        "is_reused": pl.Boolean,
        "customer_id": pl.String,
        "account_id": pl.String,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "n_events": pl.UInt32,
        "engaged_ms": pl.UInt32,
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
        "is_quiet": pl.Boolean,
        "sent_ms": pl.Int64,
        "at_risk": pl.UInt8,
        "rises_ms": pl.Int64,
    }
)
"""The stream of a part is not kept: it follows from `visitor_key` and `session_id` (`with_stream`). `engaged_ms` ends at 49 days. `part`: made from its first event when it was first seen, so one in every site that has that id; with `visitor_key` links REACHED, COMMITS and signals to it. `session_id`: as emitted. `is_reused`: the emitter
used the id again after it was forgotten. `is_quiet`: it was last sent as closed. `sent_ms`: its last event when it was last sent. `at_risk`: the band of risk that
was told last (risk.RiskBands); `rises_ms`: the watermark beyond which it is another one, if no event comes; both null: kept by a version that told nobody."""

REACHED = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": PARTITION,
        "part": pl.UInt64,
        "place": pl.Int16,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "n_events": pl.UInt32,
        "engaged_ms": pl.UInt32,
    }
)
"""Steps a part has reached; `place` = number of the journey * 64 + index of the step."""

COMMITS = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": PARTITION,
        "part": pl.UInt64,
        "journey": pl.Int16,
        "ms": pl.Int64,
        "tie": pl.UInt64,
        "high": pl.UInt64,
        "low": pl.UInt64,
    }
)
"""The first event of a part from the commit step of a journey on; `high` and `low`: hash of its `event_id`."""

LASTS = frames.schema(
    {
        "visitor_key": pl.UInt64,
        "partition": PARTITION,
        "part": pl.UInt64,
        "kind": pl.UInt8,
        "ms": pl.Int64,
        "tie": pl.UInt64,
        "text": pl.String,
        "amount_minor": pl.Int64,
        "currency": _WORD,
    }
)
"""What the last event of a part said that said it: `kind` ORDER and CART have their id in `text`, AMOUNT has the amount and its currency. Few parts have any."""

ORDER, CART, AMOUNT = range(3)

PLACES = 64


@dataclass(frozen=True)
class Remembered:
    """What is remembered of the visitors that a step touches; the parts may have `cluster`."""

    parts: pl.DataFrame
    reached: pl.DataFrame
    commits: pl.DataFrame
    lasts: pl.DataFrame
    fired: pl.DataFrame
    closings: pl.DataFrame
    marks: pl.DataFrame
    window: pl.DataFrame
    wide: pl.DataFrame
    """The last three: events that signals look back at (signal_window.Window)."""


@dataclass(frozen=True)
class _Pick:
    """Columns taken together from the first or last event that has one of them; `{name}_ms` and `{name}_tie` say which event that was."""

    name: str
    is_last: bool
    values: Mapping[str, str]
    """Column of a part -> column of the event."""
    told_by: tuple[str, ...]
    """Columns of the event of which one must be there."""

    @property
    def order(self) -> tuple[str, str]:
        """The columns that place the event."""
        return f"{self.name}_ms", f"{self.name}_tie"

    def extreme(self) -> pl.Expr:
        """The first or last row number."""
        return pl.col(self.name).max() if self.is_last else pl.col(self.name).min()


_PICKS = (
    _Pick("entry", is_last=False, values={"entry_page": "page"}, told_by=("page",)),
    _Pick("exit", is_last=True, values={"exit_page": "page"}, told_by=("page",)),
    _Pick("origin", is_last=False, values={name: name for name in ORIGIN}, told_by=ORIGIN),
)

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


def with_stream(parts: pl.DataFrame) -> pl.DataFrame:
    """The parts with `stream`: a hash of whose it is and the emitter's id. Frames: PARTS -> PARTS and `stream`."""
    return parts.with_columns(pl.Series("stream", also64(parts["visitor_key"].to_numpy(), parts["session_id"]), pl.UInt64))


def engaged_ms() -> pl.Expr:
    """The sum of `engaged_ms`, or the most there is room for."""
    return pl.col("engaged_ms").cast(pl.Int64).sum().clip(0, MOST_ENGAGED_MS).cast(pl.UInt32)


MOST_ENGAGED_MS = 2**32 - 1


def by_customer(cluster: NDArray[np.int64], customer_id: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each cluster (numbered from 0, in order) and customer in it, nobody among them; and the first row of each."""
    customer = hash64(customer_id)
    customer[customer_id.is_null().to_numpy()] = 0
    first = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1])) if len(cluster) else np.zeros(0, dtype=np.int64)
    if (customer == customer[first][cluster]).all():
        return cluster, first
    with np.errstate(over="ignore"):
        both = customer ^ (cluster.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    _, first, number = np.unique(both, return_index=True, return_inverse=True)
    return number, first


def pieces(events: pl.DataFrame) -> pl.DataFrame:
    """What each part has got in this batch.

    Frames:  events in order of (stream, event_ms, tie) with `piece` (a number a part) and `part` -> PARTS and `stream`
    """
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    rows_of = [pl.when(pl.any_horizontal(pl.col(*pick.told_by).is_not_null())).then(row).alias(pick.name) for pick in _PICKS]
    grouped = (
        events.select(
            "piece", "event_ms", "engaged_ms", "account_id", "customer_id", "is_bot", *CONTEXT, *rows_of, row.alias("row")
        )
        .group_by("piece")
        .agg(
            pl.col("row").min(),
            pl.col("customer_id").first(),
            pl.col("account_id").min(),
            pl.col("event_ms").min().alias("first_ms"),
            pl.col("event_ms").max().alias("last_ms"),
            pl.len().alias("n_events").cast(pl.UInt32),
            engaged_ms(),
            *(pl.col(name).min() for name in CONTEXT),
            pl.col("is_bot").any(),
            *(pick.extreme() for pick in _PICKS),
        )
    )
    # All columns in one query: a look-up of its own costs more than the values do.
    looked_up = [pl.col(name).gather(grouped["row"]).alias(name) for name in (*_SAME, "part")]
    for pick in _PICKS:
        columns = {**pick.values, **dict(zip(pick.order, ("event_ms", "tie"), strict=True))}
        looked_up += [pl.col(of_event).gather(grouped[pick.name]).alias(of_part) for of_part, of_event in columns.items()]
    never = {"is_reused": False, "is_quiet": False, "sent_ms": None, "at_risk": NOT_TOLD, "rises_ms": NEVER}
    return (
        grouped.drop("row", *(pick.name for pick in _PICKS))
        .hstack(events.select(looked_up))
        .with_columns(pl.lit(value).alias(name) for name, value in never.items())
        .select(*(pl.col(name).cast(dtype) for name, dtype in PARTS.items()), "stream")
    )


def merged(parts: pl.DataFrame, group: str) -> pl.DataFrame:
    """One row a group, of the rows of PARTS with a column `group`; rows that stand alone go through untouched. Further columns are equal in a group.

    Cases:   two parts -> the id of the earlier one stays; quiet only if all were; sent as of the latest
    """
    alone = parts[group].is_unique()
    if alone.all():
        return parts
    many = parts.filter(~alone)
    orders = {pick.name: _order(many, pick.order, none_ms=-_NONE_MS if pick.is_last else _NONE_MS) for pick in _PICKS}
    orders["earliest"] = _order(many, ("first_ms", "part"), none_ms=_NONE_MS)
    grouped = (
        many.with_columns(pl.Series(name, np.argsort(order)) for name, order in orders.items())
        .group_by(group, maintain_order=True)
        .agg(
            pl.col("earliest").min(),
            pl.col("customer_id").max(),
            pl.col("account_id").min(),
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
            pl.col("n_events").sum(),
            engaged_ms(),
            *(pl.col(name).min() for name in CONTEXT),
            pl.col("is_bot").any(),
            pl.col("is_reused").all(),
            pl.col("is_quiet").all(),
            pl.col("sent_ms").max(),
            pl.col("at_risk").max(),
            pl.col("rises_ms").min(),
            *(pick.extreme() for pick in _PICKS),
        )
    )
    # A rank is a place in an order, and the order says which row stands there.
    rows = {name: pl.Series(order[grouped[name].to_numpy()]) for name, order in orders.items()}
    further = [name for name in parts.columns if name not in (*PARTS, *_SAME, group)]
    looked_up = [pl.col(name).gather(rows["earliest"]) for name in (*_SAME, "part", *further)]
    for pick in _PICKS:
        looked_up += [pl.col(name).gather(rows[pick.name]) for name in (*pick.values, *pick.order)]
    whole = grouped.drop(rows.keys()).hstack(many.select(looked_up)).select(parts.columns)
    return pl.concat([parts.filter(alone), whole])


_NONE_MS = 2**62
"""A time that is never the first; its negative is never the last."""


def _order(rows: pl.DataFrame, by: tuple[str, str], *, none_ms: int) -> NDArray[np.int64]:
    """The rows in order of a time and a tie; those without stand where nobody looks."""
    at, tie = rows.select(pl.col(by[0]).fill_null(none_ms), pl.col(by[1]).fill_null(0))
    order: NDArray[np.int64] = np.lexsort((tie.to_numpy(), at.to_numpy()))
    return order


def lasts(events: pl.DataFrame) -> pl.DataFrame:
    """The last order, cart and amount that each part named. Frames: events in order, with `piece` and `part` -> LASTS."""
    none = pl.lit(None)
    said = (
        (ORDER, "order_id", {"text": pl.col("order_id"), "amount_minor": none, "currency": none}),
        (CART, "cart_id", {"text": pl.col("cart_id"), "amount_minor": none, "currency": none}),
        (AMOUNT, "amount_minor", {"text": none}),
    )
    of_part = ("piece", "part", "visitor_key", "partition", "event_ms", "tie")
    events = events.select(*of_part, "order_id", "cart_id", "amount_minor", "currency")
    found = [
        events.filter(pl.col(told_by).is_not_null())
        .unique("piece", keep="last", maintain_order=True)
        .with_columns(pl.lit(kind).alias("kind"), pl.col("event_ms").alias("ms"), **values)
        .select(pl.col(name).cast(dtype) for name, dtype in LASTS.items())
        for kind, told_by, values in said
    ]
    return pl.concat(found)


def latest(rows: pl.DataFrame, *of: str) -> pl.DataFrame:
    """Of LASTS the last of each kind of each of these. Frames: LASTS -> LASTS."""
    return rows.sort("ms", "tie").unique([*of, "kind"], keep="last", maintain_order=True)
