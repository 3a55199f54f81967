"""The counts that are still to be judged: of each id the newest, and which intervals are ripe.

Series that are judged together are a family: those of one rule and expectation, at one site and of one length of interval.

Frames:  rows of passed.heard(COUNT) -> COUNTED
Time:    an interval is ripe once all its counts are final (`matures_at`), and not before counts of its kind usually are; leading rules: once it is over
Cases:   an older version -> dropped | a count of an interval that was judged -> changes nothing | comes again -> changes nothing
         a wait that is due in weeks where others take days -> its interval is judged like others: it began, and has not lapsed
Source:  DECISIONS.md: One wait that is due in weeks holds no verdict back
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
FAR = 2
"""An interval that is final so many times later than is usual is not waited for ..."""
ENOUGH = 5
"""... and so many intervals say what is usual."""
Moments = NDArray[np.int64]
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
    def kind(self) -> "Kind":
        """Of which it is."""
        return Kind(self.rule, self.interval_s)


@dataclass(frozen=True, order=True)
class Kind:
    """Families that differ by site and expectation alone: they are looked at in one go."""

    rule: str
    interval_s: int

    @property
    def span_ms(self) -> int:
        """Length of intervals."""
        return self.interval_s * 1_000

    @property
    def is_leading(self) -> bool:
        """Whether they are judged as soon as an interval is over."""
        return self.rule in LEADING

    def ahead(self, counted: pl.DataFrame, judged_ms: Mapping[Family, int]) -> pl.DataFrame:
        """The counts of these families that are to be judged yet.

        Frames: COUNTED -> the same, `family`: which of them it is of, `from_ms`: start of its interval that the count belongs to
        """
        what, of = COUNTS_OF[self.rule]
        is_its = (pl.col("measure") == what) & (pl.col("interval_s") == self.interval_s)
        is_of = (pl.col("measure") == of) & (pl.col("interval_s") <= self.interval_s)
        whose = pl.DataFrame(
            [(at, family.site, family.expectation, since) for at, (family, since) in enumerate(judged_ms.items())],
            schema={"family": pl.Int64, "site": pl.String, "about": pl.String, "since_ms": pl.Int64},
            orient="row",
        )
        return (
            counted.filter(is_its | is_of)
            .with_columns(
                (pl.col("interval_ms") // self.span_ms * self.span_ms).alias("from_ms"),
                (pl.lit("") if self.is_leading else pl.col("expectation")).alias("about"),
            )
            .join(whose, on=["site", "about"])
            .filter(pl.col("from_ms") >= pl.col("since_ms"))
        )

    def intervals(self, ahead: pl.DataFrame) -> dict[int, pl.DataFrame]:
        """Of each family its intervals, in order. `late_ms`, `late_of_ms`: how long after its end what is counted is final, and what it is held against."""
        what, of = COUNTS_OF[self.rule]
        late = pl.col("matures_ms") - pl.col("from_ms") - self.span_ms
        found = (
            ahead.group_by("family", "from_ms")
            .agg(
                late.filter(pl.col("measure") == what).max().alias("late_ms"),
                late.filter(pl.col("measure") == of).max().alias("late_of_ms"),
                (pl.col("source") == "sessions").all().alias("of_visits"),
            )
            .sort("family", "from_ms")
        )
        return {family: its for (family,), its in found.partition_by("family", as_dict=True).items()}


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
    """How long after its end an interval is usually final, of what is counted ..."""
    lag_of_ms: int = 0
    """... and of what it is held against: either may be counted by another fold, which decides later."""
    is_of_visits: bool = True
    """Whether nobody but the fold of visits counts it."""

    @property
    def after_ms(self) -> int:
        """How long after its end an interval is usually judged."""
        return max(self.lag_ms, self.lag_of_ms)

    def looked_at(self, its: pl.DataFrame, *, kind: Kind) -> tuple["Ripeness", Moments]:
        """What its intervals say, and when each of them is ripe. Frames: Kind.intervals."""
        ends = its["from_ms"].to_numpy() + kind.span_ms
        of_visits = self.is_of_visits and bool(its["of_visits"].all())
        if kind.is_leading:
            return Ripeness(self.judged_ms, is_of_visits=of_visits), ends
        lag_ms = _usual(its["late_ms"].drop_nulls().to_numpy(), self.lag_ms)
        lag_of_ms = _usual(its["late_of_ms"].drop_nulls().to_numpy(), self.lag_of_ms)
        seen = Ripeness(self.judged_ms, lag_ms, lag_of_ms, of_visits)
        late = its.select(pl.max_horizontal("late_ms", "late_of_ms")).to_series().to_numpy()
        return seen, ends + np.where(late <= FAR * seen.after_ms, np.maximum(late, seen.after_ms), seen.after_ms)


def _usual(late_ms: Moments, was_ms: int) -> int:
    """Half of the intervals are final so long after their end, or earlier. Where they are few it never falls."""
    if not len(late_ms):
        return was_ms
    median = int(np.sort(late_ms)[len(late_ms) // 2])
    return median if len(late_ms) >= ENOUGH else max(was_ms, median)
