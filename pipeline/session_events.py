"""Events of the clickstream on their way into sessions: what becomes of each, and what is needed of those that are applied.

Frames:  event_schema("clickstream") + POSITION -> Judged
Cases:   further behind the watermark than the horizon -> too late, never applied | seen before -> duplicate | behind the watermark -> applied, and counted as late
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.event_ids import EventIds, apart
from pipeline.fates import judged_by
from pipeline.hashing import Hashes, also64, also128, hash64, hash128
from pipeline.ordering import ties
from pipeline.session_parts import LASTS, ORIGIN, PARTS, by_customer, clusters
from pipeline.session_rules import SessionRules
from pipeline.watermark import Millis, advanced, milliseconds


@dataclass(frozen=True)
class Judged:
    """A batch, with what became of each record."""

    applied: pl.DataFrame
    """The events that count, in the order they came, and `event_ms`, `tie`, `event_key` and `event_low` (hash of the id), `part_key` (what a part is
    called that begins with it: an id that was forgotten may come again, at another time), `visitor_key`, `stream`."""
    ids: EventIds
    """All applied ids, these among them."""
    rejects: pl.DataFrame
    """frames.REFUSED."""
    fates: pl.DataFrame
    """frames.FATES."""
    watermarks: pl.DataFrame
    """frames.WATERMARKS after the batch."""


def judged(batch: pl.DataFrame, watermarks: pl.DataFrame, ids: EventIds, rules: SessionRules) -> Judged:
    """Say of every record whether it is applied."""
    before_ms, after = advanced(batch, watermarks, rules.allowed_lateness)
    key, low = hash128(batch["event_id"])
    found = judged_by(batch, before_ms, after, ids, also128((key, low), batch["site"]), horizon=rules.dedup_horizon)
    chosen = found.chosen
    applied = _keyed(batch if len(chosen) == len(batch) else batch[chosen], found.event_ms[chosen], key[chosen], low[chosen])
    return Judged(applied, found.ids, found.rejects, found.fates, after)


def visitor_keys(partition: NDArray[np.int32], site: pl.Series, visitor_id: pl.Series) -> Hashes:
    """What state is found by. A visitor is one of his partition: what a worker holds beside it must not matter."""
    return apart(partition, hash64(site, visitor_id))


def _keyed(events: pl.DataFrame, event_ms: Millis, key: Hashes, low: Hashes) -> pl.DataFrame:
    visitor_key = visitor_keys(events["partition"].to_numpy(), events["site"], events["visitor_id"])
    # An id that says nothing is none.
    session_id, *ids = events.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in _IDS)
    return events.with_columns(
        session_id,
        *ids,
        pl.Series("event_ms", event_ms, pl.Int64),
        ties(events["sequence"], key),
        pl.Series("event_key", key, pl.UInt64),
        pl.Series("event_low", low, pl.UInt64),
        pl.Series("part_key", key ^ event_ms.astype(np.uint64), pl.UInt64),
        pl.Series("visitor_key", visitor_key, pl.UInt64),
        pl.Series("stream", also64(visitor_key, session_id), pl.UInt64),
    )


_IDS = ("session_id", "customer_id", "account_id")


def in_pieces(applied: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """What makes sessions of the applied events, in order of (stream, event_ms, tie).

    With `row` (the place of each in `applied`), `piece` (a number for each part of a session they belong to) and `part`.
    """
    row = _order(*(applied[name].to_numpy() for name in ("stream", "event_ms", "tie")))
    events = applied.select(name for name in applied.columns if name in _NEEDED)[row]
    event_ms = events["event_ms"].to_numpy()
    has_id = events["session_id"].is_not_null().to_numpy()
    patience_ms = np.where(has_id, milliseconds(rules.retention), milliseconds(rules.gap)).astype(np.int64)
    cluster = clusters(events["stream"].to_numpy(), event_ms, event_ms, patience_ms)
    piece, first = by_customer(cluster, events["customer_id"])
    return events.with_columns(
        pl.Series("row", row),
        pl.Series("piece", piece, pl.Int64),
        pl.Series("part", events["part_key"].to_numpy()[first][piece], pl.UInt64),
    )


def _order(stream: Hashes, event_ms: Millis, tie: Hashes) -> NDArray[np.int64]:
    """The rows in order of these. They come nearly in order of time, and two events of one stream and millisecond are rare: so the tie is seldom asked."""
    by_time = np.argsort(event_ms, kind="stable")
    order: NDArray[np.int64] = by_time[np.argsort(stream[by_time], kind="stable")]
    stream_, ms, tie_ = stream[order], event_ms[order], tie[order]
    is_wrong = (stream_[1:] == stream_[:-1]) & (ms[1:] == ms[:-1]) & (tie_[1:] < tie_[:-1])
    return np.lexsort((tie, event_ms, stream)) if is_wrong.any() else order


_NEEDED = frozenset(
    (
        *("event_type", "page", "page_type", "journey", "step", "order_id", "cart_id"),
        *(*PARTS, "stream", *LASTS, *ORIGIN, "event_ms", "tie", "part_key", "event_key", "event_low"),
    )
)
"""Columns of an event that make a session; what signals read is looked up for the events that count for some."""
