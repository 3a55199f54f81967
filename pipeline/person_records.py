"""Records as they come to a holder, and what lies there after them.

Frames:  passed.heard("ticket", LINK, TYPES, *FACTS) -> ARRIVED of each kind, HELD_LINKS; RECORDS, ARRIVED -> RECORDS and `is_news`
Cases:   said again -> the higher version stays; the same once more -> what follows from it is said once more
         sent on, and then another's after all -> gone; sent on once more after that -> there again
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.event_ids import apart
from pipeline.frames import schema
from pipeline.hashing import Hashes, hash64
from pipeline.passed import LINK, travelling
from pipeline.person_state import HELD_LINKS, HOLDERS, IDS, KINDS, RECORDS
from pipeline.sentiment import MOST_CHARACTERS

_BESIDE = schema({"row": pl.Int64, "key": pl.String, "is_gone": pl.Boolean, "lasting_key": pl.String})
_RECORD = ["holder", "record"]
_COMING = ("partition", "key", "version", "said_version", "own_key", "starts_at", "is_gone")
"""What stands beside the columns of a record that comes."""

GONE = schema(
    {
        "holder": pl.UInt64,
        "partition": pl.Int32,
        "record": pl.UInt64,
        "sent_to": pl.String,
        "own_key": pl.String,
        "place": pl.Int64,
    }
)
"""A record that lies here no more: where it lies for ever, and where it had been sent on to (null: it was at home here)."""


def holder_keys(partition: NDArray[np.int32], site: pl.Series, key: pl.Series) -> Hashes:
    """What a holder is found by; in each partition another."""
    return apart(partition, hash64(site, key))


@dataclass(frozen=True)
class Arrived:
    """What a batch brings."""

    records: Mapping[str, pl.DataFrame]
    """Kind -> its records as they came; kinds that have any."""
    links: pl.DataFrame
    holders: pl.DataFrame
    """HOLDERS at which something arrives, each once."""

    def at(self, holders: Hashes) -> "Arrived":
        """What arrives at some of them."""
        here = pl.col("holder").is_in(pl.Series(holders, dtype=pl.UInt64).implode())
        records = {kind: rows.filter(here) for kind, rows in self.records.items()}
        return Arrived(
            {kind: rows for kind, rows in records.items() if rows.height}, self.links.filter(here), self.holders.filter(here)
        )


def arrived(batch: pl.DataFrame, tickets: pl.DataFrame) -> Arrived:
    """Sort a batch by kinds. `tickets`: those of it that are applied, or were sent on."""
    found, whose = {}, [HOLDERS.to_frame().select("holder", "partition", "site", "key")]
    for kind, columns in KINDS.items():
        rows = tickets if kind == "ticket" else batch.select(*_COMING, *columns).filter(batch["family"] == kind)
        if rows.height:
            found[kind] = _records(rows, kind)
            whose.append(found[kind].select(whose[0].columns))
    links = batch.select("partition", *travelling(LINK)).filter(batch["family"] == LINK)
    links = links.with_columns(
        pl.Series("holder", holder_keys(links["partition"].to_numpy(), links["site"], links["key"]), pl.UInt64)
    )
    whose.append(links.select(whose[0].columns))
    holders = pl.concat(whose).unique("holder", keep="first", maintain_order=True)
    return Arrived(
        found,
        links.with_columns(pl.col("event_at").to_physical().alias("event_ms")).select(HELD_LINKS.names()),
        _never_told(holders),
    )


def _never_told(holders: pl.DataFrame) -> pl.DataFrame:
    nothing = np.iinfo(np.int64).min
    return holders.with_columns(
        pl.lit(nothing).alias("told_ms"), pl.lit(np.iinfo(np.int64).max).alias("next_ms"), pl.lit(nothing).alias("needed_ms")
    ).cast(HOLDERS)


def _records(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    partition = rows["partition"].to_numpy()
    version = pl.lit(0) if kind == "ticket" else pl.coalesce("said_version", "version", pl.lit(0))
    if kind == "ticket":
        rows = rows.with_columns(pl.col("text").str.slice(0, MOST_CHARACTERS))  # nobody reads on, and it may lie here for years
    return rows.select(
        pl.Series("holder", holder_keys(partition, rows["site"], rows["key"]), pl.UInt64),
        "partition",
        pl.Series("record", hash64(*(rows[name] for name in IDS[kind])), pl.UInt64),
        version.cast(pl.Int64).alias("version"),
        pl.when(pl.col("own_key") != pl.col("key")).then("own_key").alias("own_key"),
        pl.col("starts_at").to_physical().alias("given_ms"),
        pl.lit(None, dtype=pl.String).alias("sent_to"),
        pl.lit(None, dtype=pl.Int64).alias("sent_ms"),
        *KINDS[kind],
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        "key",
        pl.col("is_gone").fill_null(value=False),
        pl.col("own_key").alias("lasting_key"),
    )


@dataclass(frozen=True)
class Merged:
    """What lies at some holders after a batch."""

    rows: pl.DataFrame
    """RECORDS; `is_news`: whether it came with the batch, known or not; `lay_at`: its row in what lay here, if it is that row."""
    gone: pl.DataFrame
    """GONE; `place`: its row in `lay`."""
    lay: pl.DataFrame
    """RECORDS that lay there before, and those that came and left at once."""


def merged(kind: str, old: pl.DataFrame, new: pl.DataFrame | None) -> Merged:
    """Put together what lay there and what has come. Frames: RECORDS, as `arrived` says."""
    columns = [*RECORDS[kind].names(), "lay_at"]
    old = old.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("lay_at"))
    if new is None:
        return Merged(old.with_columns(pl.lit(value=False).alias("is_news")), GONE.to_frame(), old)
    new = new.with_columns(pl.lit(None, dtype=pl.Int64).alias("lay_at"))
    lay, lost = old, GONE.to_frame()
    is_gone, is_home = pl.col("is_gone"), pl.col("lasting_key") == pl.col("key")
    has_gone = new["is_gone"].any()
    # Back at its own key it asks to be said, or sent, once more, and nothing else.
    asks = new.filter(is_gone & is_home) if has_gone else new.clear()
    leaves = new.filter(is_gone & ~is_home) if has_gone else new.clear()
    comes = new.filter(~is_gone) if has_gone else new
    if leaves.height:
        last = leaves.unique(_RECORD, keep="last").select(*_RECORD, pl.col("row").alias("left_at"))
        comes = comes.join(last, on=_RECORD, how="left", maintain_order="left")
        stays = pl.col("left_at").is_null() | (pl.col("row") > pl.col("left_at"))
        # What came and left at once was dropped as well, though it never lay here.
        passing = comes.filter(~stays).unique(_RECORD, keep="last", maintain_order=True).join(old, on=_RECORD, how="anti")
        lay = pl.concat([old.select(columns), passing.select(columns)])
        place = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
        lost = lay.with_columns(place).join(last, on=_RECORD, how="inner").select(GONE.names())
        comes = comes.filter(stays)
        old = old.join(last, on=_RECORD, how="anti", maintain_order="left")
    both = pl.concat([old.select(columns), comes.select(columns)])
    if both.select(_RECORD).n_unique() < both.height:
        newest = both.sort("version", maintain_order=True).unique(_RECORD, keep="last", maintain_order=True)
        given = both.unique(_RECORD, keep="last").select(*_RECORD, "given_ms")
        both = (
            newest.drop("given_ms", "sent_to", "sent_ms")
            .join(given, on=_RECORD, how="left")
            .join(old.select(*_RECORD, "sent_to", "sent_ms"), on=_RECORD, how="left")
            .select(columns)
        )
    elif asks.is_empty():
        return Merged(both.with_columns(pl.col("lay_at").is_null().alias("is_news")), lost, lay)
    news = pl.concat([comes.select(_RECORD), asks.select(_RECORD)]).unique().with_columns(pl.lit(value=True).alias("is_news"))
    is_news = both.select(_RECORD).join(news, on=_RECORD, how="left", maintain_order="left")["is_news"]
    return Merged(both.with_columns(is_news.fill_null(value=False)), lost, lay)
