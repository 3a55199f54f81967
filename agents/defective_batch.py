"""What is said of a batch over which a step failed: which records, and the command that folds them again, else the file that holds them."""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from agents.batch_dump import dumped
from agents.runs import Run

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Again:
    """How to fold a batch again."""

    command: tuple[str, ...] = ("ebbtide", "replay")
    """Up to the options that name the batch; none: it cannot be had again."""
    instead: str = ""
    """What to do where there is no command."""


def described(
    stage: str, topic: str, again: Again, *, runs: Collection[Run], reached: Mapping[int, int], watermarks: pl.DataFrame
) -> str:
    """Name the batch. `reached`: partition held -> last offset applied before it. Frames: WATERMARKS as the fold was given them."""
    spans: dict[int, tuple[int, int]] = {}
    n = 0
    for run in runs:
        partition = run.tp.partition
        spans[partition] = (spans[partition][0] if partition in spans else run[0].offset() or 0, run.last)
        n += len(run)
    places = ", ".join(f"{topic}-{partition} offsets {first} to {last}" for partition, (first, last) in sorted(spans.items()))
    batch = f"{n} record{'s' if n != 1 else ''}: {places}" if spans else "no records: time alone went on"
    if not again.command:
        how = f"{again.instead} {dumped(stage, runs)}" if spans else again.instead
    else:
        how = "To fold it again, with the state that it met: " + shlex.join(
            [*again.command, *_options(topic, spans, reached, watermarks)]
        )
    return f"The batch of stage {stage} that caused it has {batch}. Nothing of it was kept.\n{how}"


def _options(topic: str, spans: Mapping[int, tuple[int, int]], reached: Mapping[int, int], watermarks: pl.DataFrame) -> list[str]:
    """The options of `ebbtide replay`; a partition without records is only brought to where it stood."""
    options = ["--topic", topic]
    for partition in sorted(spans.keys() | reached.keys()):
        if partition in spans:
            first, last = spans[partition]
            options += ["--from", f"{partition}:{first}", "--to", f"{partition}:{last}"]
        elif reached[partition] >= 0:
            options += ["--to", f"{partition}:{reached[partition]}"]
    for partition, ms in watermarks.select("partition", pl.col("watermark").cast(pl.Int64)).rows():
        if ms is not None:
            options += ["--watermark", f"{partition}:{spelt(ms)}"]
    return options


def spelt(ms: int) -> str:
    """A time in milliseconds as people write it."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
