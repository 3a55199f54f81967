"""Counts, row by row: whatever is counted is said once, with its time, its place and when it can have been decided, and added up here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from pipeline.expectation import Expectation
from pipeline.frames import ROLLUPS
from tests.oracle import floor, row_of
from tests.session_oracle import Row

SIGNALS = "signals"


class Rules(Protocol):
    """How a fold counts."""

    @property
    def interval(self) -> timedelta: ...
    @property
    def dimensions(self) -> tuple[str, ...]: ...
    @property
    def allowed_lateness(self) -> timedelta: ...


@dataclass(frozen=True)
class Counted:
    """One thing that is counted."""

    site: str
    measure: str
    at: datetime
    decided: datetime | None
    """None: with the end of its interval."""
    journey: str
    step: str
    expectation: str = ""
    signal: str = ""
    dimensions: Mapping[str, str | None] = field(default_factory=dict)


def of_wait(
    site: str, expectation: Expectation, began: datetime, state: str, decided: datetime, **dimensions: str | None
) -> Iterator[Counted]:
    """A wait: it began, and was met, or lapsed, or neither."""
    for measure in ("began", *({"met": ("met",), "lapsed": ("abandoned",)}.get(state, ()))):
        place = (expectation.journey, expectation.step, expectation.name)
        yield Counted(site, measure, began, decided, *place, dimensions=dimensions)


def of_signal(row: Row, **dimensions: str | None) -> Counted:
    """A signal that fired."""
    place = (row["journey"] or "", row["step"] or "", "", row["signal"])
    return Counted(row["site"], SIGNALS, row["fired_at"], None, *place, dimensions=dimensions)


def rollup_rows(found: Iterable[Counted], rules: Rules, source: str, partition: int = 0) -> list[Row]:
    """The rows of `rollups`: every count that is more than nothing."""
    counted: Counter[tuple[tuple[str, object], ...]] = Counter()
    matures: dict[tuple[tuple[str, object], ...], datetime] = {}
    for one in found:
        begins = floor(one.at, rules.interval)
        key = {
            **{name: getattr(one, name) for name in ("site", "measure", "journey", "step", "expectation", "signal")},
            **{name: one.dimensions.get(name) or "" for name in rules.dimensions},
            "interval_at": begins,
        }
        segment = tuple(sorted(key.items()))
        counted[segment] += 1
        over = begins + rules.interval + rules.allowed_lateness
        if one.decided is not None:
            until = one.decided + rules.allowed_lateness
            start = floor(until, rules.interval)
            over = start if start == until else start + rules.interval
        matures[segment] = max(over, matures.get(segment, over))
    beside = {"interval_s": rules.interval // timedelta(seconds=1), "source": source, "source_partition": partition}
    return [row_of("rollups", **dict(key), **beside, n=n, matures_at=matures[key]) for key, n in counted.items()]


def over_partitions(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts whatever partition counted them, less those of nothing."""
    key = [name for name in ROLLUPS.key if name != "source_partition"]
    summed = (
        rows.filter(pl.col("n") != 0).group_by(key).agg(pl.col("n").sum(), pl.col("matures_at").max(), pl.col("is_deleted").max())
    )
    zero = pl.lit(0, ROLLUPS.schema["source_partition"]).alias("source_partition")
    return summed.with_columns(zero).select(ROLLUPS.schema.names()).sort(ROLLUPS.key)
