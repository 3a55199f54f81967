"""What a stage that reads an internal topic has heard of its sources: which rows are news, and how far time has come.

It depends on the order of the messages, so it is asked in the step and nowhere else. What it remembers is part of a checkpoint.

Cases:   a message of an epoch that is over -> ignored | a record that came before -> left out, and has no fate: its source was restarted
         links, types seen and forwarded rows may come again: they change nothing
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from agents import logs
from pipeline.about import Head, Source
from pipeline.decode import Decoded
from pipeline.frames import TIME
from pipeline.passed import UNCOUNTED
from pipeline.sources import Heard, slowest
from pipeline.watermark import UNREAD, from_ms

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What of a step's messages counts."""

    events: pl.DataFrame
    """passed.heard, without what is to be ignored."""
    watermarks: pl.DataFrame
    """`Hearing.reached` after them."""
    n_records: dict[int, int]
    """Partition -> rows that must have a fate."""
    versions: dict[int, int]
    """Partition -> highest version received."""


@dataclass
class _Ear:
    """One partition."""

    heard: dict[Source, Heard]
    waits_for: set[Source]
    """Sources that count for the watermark."""
    reached_ms: int

    def take(self, head: Head) -> bool:
        """Whether a message counts."""
        source, about = head.about.source, head.about
        after = self.heard.get(source, Heard(source)).after(about, head.last_row)
        if after is None:
            return False
        self.heard[source] = after
        if not (about.is_marker or about.is_forwarded):
            self.waits_for.add(source)
        self.reached_ms = slowest(self.reached_ms, (self.heard[each] for each in self.waits_for))
        return True

    def reached_by(self, stage: str) -> int | None:
        """How far time has come with one of the stages before this one; None: it has none."""
        ms = slowest(UNREAD, (self.heard[each] for each in self.waits_for if each.stage == stage))
        return None if ms == UNREAD else max(ms, self.reached_ms)


@dataclass
class Hearing:
    """All partitions of one stage's topic."""

    sources: frozenset[Source]
    """Those that time waits for from the start."""
    apart: Mapping[str, str] = field(default_factory=dict)
    """Stage whose time is told apart as well -> the column in which it stands."""
    fenced: int = 0
    """Messages ignored because their writer had lost the partition."""
    n_again: int = 0
    """Records left out because they had come before."""
    _ears: dict[int, _Ear] = field(default_factory=dict)

    def begin(self, partition: int, kept: Iterable[Heard], reached_ms: int) -> None:
        """Take a partition as its checkpoint says. A source that is not there any more is remembered, and not waited for."""
        heard = {source: Heard(source) for source in self.sources} | {each.source: each for each in kept}
        self._ears[partition] = _Ear(heard, set(self.sources), reached_ms)

    def end(self, partition: int) -> None:
        """Forget a partition."""
        self._ears.pop(partition, None)

    def kept(self, partition: int) -> tuple[Heard, ...]:
        """What a checkpoint must keep."""
        return tuple(self._ears[partition].heard.values())

    def is_idle(self, partition: int) -> bool:
        """Whether nobody has ever said anything, and all say so."""
        ear = self._ears[partition]
        return ear.reached_ms == UNREAD and all(ear.heard[source].is_idle for source in ear.waits_for)

    @property
    def fates(self) -> dict[tuple[str, int], dict[str, int]]:
        """Original topic and partition -> fate -> records, of the partitions held."""
        found: dict[tuple[str, int], dict[str, int]] = {}
        for ear in tuple(self._ears.values()):
            for source, heard in tuple(ear.heard.items()):
                counted = found.setdefault((source.topic, source.partition), {}) if heard.fates else {}
                for fate, n in heard.fates.items():
                    counted[fate] = counted.get(fate, 0) + n
        return found

    def news(self, decoded: Decoded) -> News:
        """Take messages, one after the other."""
        told, versions = [], dict.fromkeys(self._ears, 0)
        for head in decoded.heads:
            ear, about = self._ears[head.partition], head.about
            known = ear.heard.get(about.source)
            came_to = -1 if known is None or known.turn != about.turn else known.offset
            if ear.take(head):
                versions[head.partition] = max(versions[head.partition], about.version)
                if about.table:
                    told.append((head.partition, head.offset, came_to, None if ear.reached_ms == UNREAD else ear.reached_ms))
            elif not about.is_marker:
                self._ignored(head)
        events = self._unheard(decoded.events, told)
        counted = events.filter(~pl.col("family").is_in(UNCOUNTED), ~pl.col("is_forwarded")).group_by("partition").len()
        return News(events, self.reached(), dict(counted.rows()), versions)

    def reached(self) -> pl.DataFrame:
        """How far time has come. Frames: -> WATERMARKS of all partitions held, and the columns of `apart`."""
        marks = from_ms({partition: ear.reached_ms for partition, ear in self._ears.items()})
        of_stages = [
            pl.Series(column, [self._ears[partition].reached_by(stage) for partition in marks["partition"]], pl.Int64).cast(TIME)
            for stage, column in self.apart.items()
        ]
        return marks.with_columns(of_stages)

    def count(self, fates: pl.DataFrame) -> None:
        """Note what became of records. Frames: FATES_OF_ORIGIN."""
        if fates.is_empty():
            return
        for (partition, topic, of_topic), rows in fates.partition_by(
            ["partition", "origin_topic", "origin_partition"], as_dict=True
        ).items():
            ear = self._ears[partition]
            source = next(each for each in ear.heard if (each.topic, each.partition) == (topic, of_topic))
            counted = dict(rows.group_by("fate").agg(pl.col("n").sum()).rows()) | {"n_late": rows["n_late"].sum()}
            ear.heard[source] = ear.heard[source].counted(counted)

    def _unheard(self, events: pl.DataFrame, told: list[tuple[int, int, int, int | None]]) -> pl.DataFrame:
        """Rows of messages that count, without records that came before."""
        schema: Mapping[str, pl.DataType | type[pl.DataType]] = {
            "partition": pl.Int32,
            "offset": pl.Int64,
            "came_to": pl.Int64,
            "watermark": pl.Int64,
        }
        verdicts = pl.DataFrame(told, schema=schema, orient="row").with_columns(pl.col("watermark").cast(TIME))
        looked_at = events.select("partition", "offset", "family", "is_forwarded", "origin_offset")
        rows = looked_at.join(verdicts, on=["partition", "offset"], how="left", maintain_order="left")
        is_heard = pl.col("came_to").is_not_null()
        is_new = pl.col("family").is_in(UNCOUNTED) | pl.col("is_forwarded") | (pl.col("origin_offset") > pl.col("came_to"))
        chosen = rows.select(heard=is_heard, news=is_heard & is_new.fill_null(value=True))
        self.n_again += int((chosen["heard"] & ~chosen["news"]).sum())
        news = events.with_columns(rows["watermark"])
        return news if chosen["news"].all() else news.filter(chosen["news"])

    def _ignored(self, head: Head) -> None:
        self.fenced += 1
        source, about = head.about.source, head.about
        newest = self._ears[head.partition].heard[source].epoch
        fields = logs.about(stage=source.stage, topic=source.topic, partition=source.partition, epoch=about.epoch)
        log.warning("rows of %s ignored: written under epoch %d, and %d is the newest", source, about.epoch, newest, extra=fields)
