"""The counts that are still to be judged: of each id the newest, and which intervals are ripe.

Series that are judged together are a family: those of one rule and expectation, at one site and of one length of interval.

Frames:  rows of passed.heard(COUNT) -> COUNTED
Time:    an interval is ripe once all its counts are final (`matures_at`), and not before counts of its kind usually are; leading rules: once it is over
Cases:   an older version -> dropped | a count of an interval that was judged -> changes nothing | comes again -> changes nothing
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.frames import schema
from pipeline.hashing import hash64, hex128
from pipeline.keyed_rows import KeyedRows
from pipeline.watermark import UNREAD

SUBJECT = ("journey", "expectation", "signal")
CONDITIONS = ("step", "device", "country", "acquisition_channel")
"""What a segment may be narrowed by."""
DIMENSIONS = CONDITIONS[1:]
IDENTITY = (*SUBJECT, *CONDITIONS)
"""What tells two series of a family apart; '' is all."""

_ID = ("site", "source", "source_partition", "interval_ms", "interval_s", "measure", *IDENTITY)

COUNTED = schema(
    {
        "key": pl.UInt64,
        "partition": pl.Int32,
        "site": pl.String,
        "interval_ms": pl.Int64,
        "interval_s": pl.Int64,
        "source": pl.String,
        "measure": pl.String,
        **dict.fromkeys(IDENTITY, pl.String),
        "n": pl.Int64,
        "matures_ms": pl.Int64,
        "version": pl.Int64,
    }
)

ABANDONMENT, SILENCE, LAPSE, FRICTION, EXITS = "abandonment", "silence", "lapse", "friction", "exits"
LIMIT = "limit"
"""No rule of a rate: there are more series than are remembered."""
LEADING = (FRICTION, EXITS)
"""Rules that do not wait for anybody."""
COUNTS_OF = {
    ABANDONMENT: ("abandoned", "began"),
    SILENCE: ("silent", "began"),
    LAPSE: ("abandoned", "began"),
    FRICTION: ("signals", "sessions"),
    EXITS: ("reached", "reached"),
}
"""Rule -> measure that is held against another one."""
MEASURES = sorted({measure for measures in COUNTS_OF.values() for measure in measures})


@dataclass(frozen=True, order=True)
class Family:
    """Series that are judged together."""

    site: str
    rule: str
    expectation: str
    interval_s: int

    @property
    def id(self) -> str:
        """Always the same."""
        named = pl.Series([self.site, self.rule, self.expectation, str(self.interval_s)])
        return str(hex128(*(named[at : at + 1] for at in range(len(named))))[0])

    @property
    def span_ms(self) -> int:
        """Length of its intervals."""
        return self.interval_s * 1_000

    @property
    def is_leading(self) -> bool:
        """Whether it is judged as soon as an interval is over."""
        return self.rule in LEADING

    def is_its(self) -> pl.Expr:
        """Whether a count is of this family. Frames: COUNTED."""
        what, of = COUNTS_OF[self.rule]
        counts = (pl.col("measure") == what) & (pl.col("interval_s") == self.interval_s)
        is_of = (pl.col("measure") == of) & (pl.col("interval_s") <= self.interval_s)
        about = pl.lit(value=True) if self.is_leading else pl.col("expectation") == self.expectation
        return (pl.col("site") == self.site) & (counts | is_of) & about

    def counts(self, counted: pl.DataFrame) -> pl.DataFrame:
        """Its counts, with `from_ms`: start of the interval of the family that they belong to. Frames: COUNTED -> the same."""
        return counted.filter(self.is_its()).with_columns((pl.col("interval_ms") // self.span_ms * self.span_ms).alias("from_ms"))


def counted(rows: pl.DataFrame) -> pl.DataFrame:
    """The newest of each id among these, of those that anything is judged by. Frames: heard(COUNT) -> COUNTED."""
    rows = rows.filter(pl.col("measure").is_in(MEASURES)).with_columns(pl.col(name).fill_null("") for name in (*IDENTITY, "source"))
    rows = rows.with_columns(
        pl.col("interval_at").to_physical().alias("interval_ms"),
        pl.col("matures_at").to_physical().alias("matures_ms"),
        pl.col("interval_s").cast(pl.Int64),
    ).with_columns(pl.col("matures_ms").fill_null(pl.col("interval_ms") + pl.col("interval_s") * 1_000))
    keys = hash64(*(rows[name].cast(pl.String) for name in _ID))
    return newest(rows.with_columns(pl.Series("key", keys, pl.UInt64)).select(COUNTED.names()).cast(COUNTED))


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Of each key the row of the highest version; of equal ones the last."""
    return rows.sort("version", maintain_order=True).unique("key", keep="last", maintain_order=True)


def taken_in(known: KeyedRows, fresh: pl.DataFrame) -> KeyedRows:
    """What is known after these counts have come."""
    was, left = known.take(np.unique(fresh["key"].to_numpy()))
    return left.put(newest(pl.concat([was, fresh])))


def families(fresh: pl.DataFrame) -> set[Family]:
    """Those that these counts are of; a wait that begins is of no silence yet. Frames: COUNTED."""
    of_visit = pl.col("expectation") == ORDER_AFTER_COMMIT
    rule = (
        pl.when(pl.col("measure").is_in(["sessions", "signals"]))
        .then(pl.lit(FRICTION))
        .when(pl.col("measure") == "reached")
        .then(pl.lit(EXITS))
        .when(pl.col("measure") == "silent")
        .then(pl.lit(SILENCE))
        .when(of_visit)
        .then(pl.lit(ABANDONMENT))
        .otherwise(pl.lit(LAPSE))
    )
    found = (
        fresh.with_columns(rule.alias("rule"))
        .with_columns(pl.when(pl.col("rule").is_in(LEADING)).then(pl.lit("")).otherwise("expectation").alias("expectation"))
        .select("site", "rule", "expectation", "interval_s")
        .unique()
    )
    return {Family(*row) for row in found.iter_rows()}


@dataclass(frozen=True)
class Ripeness:
    """How far a family is judged, and when it can be judged next."""

    judged_ms: int = UNREAD
    """Up to which time."""
    lag_ms: int = 0
    """How long after its end an interval of it has been final at the latest."""
    is_of_visits: bool = True
    """Whether nobody but the fold of visits counts it."""

    def looked_at(self, counts: pl.DataFrame, *, is_leading: bool, span_ms: int) -> tuple["Ripeness", list[tuple[int, int]]]:
        """What its counts say: start of each interval that is still to be judged, and when it is ripe; in order. Frames: COUNTED, `from_ms`."""
        ahead = counts.filter(pl.col("from_ms") >= self.judged_ms)
        its = (
            ahead.group_by("from_ms")
            .agg(pl.col("matures_ms").max(), (pl.col("source") == "sessions").all().alias("of_visits"))
            .sort("from_ms")
        )
        end = its["from_ms"] + span_ms
        lag_ms = 0 if is_leading else max(self.lag_ms, int((its["matures_ms"] - end).to_numpy().max(initial=0)))
        ripe = end if is_leading else pl.Series(np.maximum(its["matures_ms"].to_numpy(), end.to_numpy() + lag_ms))
        seen = Ripeness(self.judged_ms, lag_ms, self.is_of_visits and bool(its["of_visits"].all()))
        return seen, list(zip(its["from_ms"].to_list(), ripe.to_list(), strict=True))
