"""Driving a fold over a log, and what ClickHouse's `_now` views would show of what it said: the last row of each id, without the retracted ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import polars as pl

from pipeline.facts import UNSTORED
from pipeline.fold import Step
from pipeline.frames import TABLES
from pipeline.watermark import elapsed
from tests.builders import MONDAY, Event, frame, watermarks

FAR = MONDAY + timedelta(days=30)
"""A time by which everything has closed."""

ALWAYS_FRESH = {"sessions": ("status", "journey", "steps", "furthest_step", "customer_id", "n_signals")}
"""What a row of an open session must say at any time; the rest of it may be a minute behind."""


class Fold(Protocol):
    """A fold as the shell sees it."""

    @property
    def family(self) -> str:
        """What it reads."""

    def empty(self) -> Any:
        """The state before anything was read."""

    def step(self, state: Any, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[Any]:
        """Fold one batch."""


def batches(log: Sequence[Event]) -> list[list[Event]]:
    """The log in pieces: cut where it is marked, and wherever a partition was quiet, for time goes on only between batches."""
    cut: list[list[Event]] = []
    for record in log:
        if not cut or record.get("cut_before") or "quiet_before" in record:
            cut.append([])
        cut[-1].append(record)
    return cut


def told(
    fold: Fold, log: Sequence[Event], *, until: datetime | None = None, between: Callable[[Any], Any] = lambda state: state
) -> list[Step[Any]]:
    """The steps of a fold over a log; with `until` one more, of no records, when time has come so far. `between` works on every state."""
    partitions = {record["partition"] for record in log}
    state, reached = fold.empty(), watermarks(dict.fromkeys(partitions))
    steps: list[Step[Any]] = []
    for batch in batches(log):
        if "quiet_before" in batch[0]:
            reached = elapsed(reached, {batch[0]["partition"]: batch[0]["quiet_before"]})
        steps.append(fold.step(state, frame(batch, fold.family), reached))
        state, reached = between(steps[-1].state), steps[-1].watermarks
    if until is not None:
        steps.append(fold.step(state, frame([], fold.family), watermarks(dict.fromkeys(partitions, until))))
    return steps


def now(steps: Iterable[Step[Any]]) -> dict[str, pl.DataFrame]:
    """Every table that the steps wrote, with the columns of `frames.TABLES`, in order of its id."""
    rows_of: dict[str, list[pl.DataFrame]] = {}
    for place, step in enumerate(steps):
        for name, rows in step.tables.items():
            if name in UNSTORED:
                continue
            table = TABLES[name]
            assert not rows.select(table.key).is_duplicated().any(), f"step {place} says two things about one row of {name}"
            rows_of.setdefault(name, []).append(rows.select(*table.schema, pl.lit(place).alias("place")))
    return {name: _shown(name, frames) for name, frames in rows_of.items()}


def _shown(name: str, frames: list[pl.DataFrame]) -> pl.DataFrame:
    table = TABLES[name]
    last = pl.concat(frames).sort("place", maintain_order=True).unique(table.key, keep="last")
    shown = last.filter(pl.col("is_deleted") == 0).sort(table.key).select(table.schema.names())
    assert shown.schema == table.schema, f"{name}: {shown.schema} is not {table.schema}"
    return shown


def counted(view: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The view less what depends on batches and says nothing: counts that fell to nothing, and the sentences for people in `events`."""
    shown = dict(view)
    if "rollups" in shown:
        shown["rollups"] = shown["rollups"].filter(pl.col("n") != 0)
    if "events" in shown:
        shown["events"] = shown["events"].with_columns(pl.lit("").alias("detail"))
    return shown


def rows(view: Mapping[str, pl.DataFrame]) -> dict[str, list[Event]]:
    """The view as the oracle spells it."""
    return {name: frame.to_dicts() for name, frame in view.items()}


def fates(steps: Iterable[Step[Any]]) -> dict[tuple[int, str], tuple[int, int]]:
    """(partition, fate) -> how many records of all steps, and how many of these were late."""
    summed: dict[tuple[int, str], tuple[int, int]] = {}
    for step in steps:
        assert not step.fates.select("partition", "fate").is_duplicated().any(), "a step tells each fate once a partition"
        for partition, fate, n, n_late in step.fates.select("partition", "fate", "n", "n_late").rows():
            assert n > 0, "only fates that some record had are told"
            before = summed.get((partition, fate), (0, 0))
            summed[partition, fate] = (before[0] + n, before[1] + n_late)
    return summed


def refused(steps: Iterable[Step[Any]]) -> list[tuple[int, int, str]]:
    """Partition, offset and reason of all that was refused."""
    return sorted(row for step in steps for row in step.rejects.select("partition", "offset", "reason").rows())


def differences(
    view: Mapping[str, pl.DataFrame], expected: Mapping[str, Sequence[Event]], *, only: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """A line for every row and cell in which a view differs from the oracle; `only`: in these columns of these tables."""
    lines = []
    for name in sorted({*view, *expected} if only is None else only):
        table = TABLES[name]
        shown = {tuple(row[part] for part in table.key): row for row in view[name].to_dicts()} if name in view else {}
        right = {tuple(row[part] for part in table.key): row for row in expected.get(name, ())}
        assert len(right) == len(expected.get(name, ())), f"the oracle says two things about one row of {name}"
        lines += [f"{name} {_spelt(key)}: not told" for key in right.keys() - shown.keys()]
        lines += [f"{name} {_spelt(key)}: told without reason" for key in shown.keys() - right.keys()]
        lines += [
            f"{name} {_spelt(key)}: {column} is {shown[key][column]!r}, not {right[key][column]!r}"
            for key in right.keys() & shown.keys()
            for column in (table.schema if only is None else only[name])
            if shown[key][column] != right[key][column]
        ]
    return sorted(lines)


def _spelt(key: Sequence[object]) -> str:
    return " ".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in key if part != "")


def compared(
    steps: Sequence[Step[Any]],
    others: Sequence[Step[Any]],
    *,
    only: Mapping[str, Sequence[str]] | None = None,
    with_fates: bool = True,
) -> list[str]:
    """A line for everything that some steps show and others do not, less what depends on batches."""
    lines = differences(counted(now(steps)), rows(counted(now(others))), only=only)
    if with_fates and fates(steps) != fates(others):
        lines.append(f"fates are {fates(steps)}, not {fates(others)}")
    if with_fates and sorted(row[:2] for row in refused(steps)) != sorted(row[:2] for row in refused(others)):
        lines.append(f"refused were {refused(steps)}, not {refused(others)}")
    return lines
