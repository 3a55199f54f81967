"""What a stage says to the stages behind it: rows by their key, those without one to everybody, and how far event time has come.

Rows say the watermark as it was before them: what lies behind it is late. When it has come further, a message without rows tells every partition of
every output, once all rows of the step are on their way. So a reader never knows of a time before it has what happened until then.
A column without a value in the whole step is left out: most columns of a contract are, and each costs something in every message.

**Delivery:** at least once, in order within a partition; a restart says again what it said after the last checkpoint. Offsets and epochs tell a
reader what it has (pipeline.sources).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import polars as pl

from agents.arrow_batches import as_table, messages_of, without_rows
from agents.checkpoints import Writing
from pipeline.about import About
from pipeline.keys import partitions
from pipeline.passed import Passed, travelling

TELL_AGAIN_S = 60.0
"""So often a watermark is told that has not changed: messages are not kept for ever, and a new reader must hear of every source."""


class Passing:
    """The internal topics of one stage, written to."""

    def __init__(
        self,
        producer: Writing,
        outputs: Mapping[str, tuple[str, int]],
        clock: Callable[[], float] = time.monotonic,
        *,
        untimed: str = "",
    ) -> None:
        """Take the outputs: where rows go by their own word (`Passed.to`) -> topic and its partitions; `untimed`: the topic that is not told the time."""
        self._producer, self._outputs, self._clock = producer, dict(outputs), clock
        self._timed = [output for output in self._outputs.values() if output[0] != untimed]
        self._told: dict[int, tuple[int | None, bool, float]] = {}  # source partition -> watermark, is_idle, and when

    @property
    def says(self) -> bool:
        """Whether anybody reads."""
        return bool(self._outputs)

    @property
    def tells_time(self) -> bool:
        """Whether anybody waits to hear how far time has come."""
        return bool(self._timed)

    def mark(self, about: About) -> None:
        """Tell all outputs the new epoch."""
        self._say(about, self._outputs.values())

    def rows(self, passed: Iterable[Passed], about: Callable[[int, Passed], About]) -> None:
        """Send rows, if anybody reads them; `about` says, of a source partition, what goes with them."""
        for each in (rows for rows in passed if rows.to in self._outputs):
            topic, n = self._outputs[each.to]
            said = [name for name in travelling(each.table) if _is_said(each.rows, name)]
            if "key" in each.rows.columns:
                to = pl.Series("to", partitions(each.rows["site"], each.rows["key"], n))
                keyed = each.rows.with_columns(to)
            else:
                keyed = each.rows.join(pl.DataFrame({"to": range(n)}), how="cross")
            ways = keyed.sort("partition", "to", maintain_order=True)
            table, begin = as_table(ways.select(said)), 0
            for source, output, size in ways.group_by("partition", "to", maintain_order=True).len().rows():
                for message in messages_of(table.slice(begin, size), about(source, each)):
                    self._producer.send(topic, output, message)
                begin += size

    def tell(self, about: About) -> None:
        """Tell how far time has come, if that is news."""
        known = self._told.get(about.source.partition)
        told = about.watermark_ms, about.is_idle
        if known is None or told != known[:2] or self._clock() - known[2] >= TELL_AGAIN_S:
            self._say(about, self._timed)

    def forget(self, partition: int) -> None:
        """Forget a source partition."""
        self._told.pop(partition, None)

    def _say(self, about: About, outputs: Iterable[tuple[str, int]]) -> None:
        message = without_rows(replace(about, table=""))
        for topic, n in outputs:
            for output in range(n):
                self._producer.send(topic, output, message)
        self._told[about.source.partition] = (about.watermark_ms, about.is_idle, self._clock())


def _is_said(rows: pl.DataFrame, name: str) -> bool:
    return name in rows.columns and rows[name].null_count() < rows.height
