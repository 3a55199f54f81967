"""What a predecessor said after its last checkpoint, and what of it must be taken back.

Whoever goes on from a checkpoint reads the same records, but cuts them into other batches: a session whose first event came late was said to have
begun in one interval, and then in another; he who reads both events at once never says the first. A row that nobody says again would stand for ever.
So a successor reads what was said after the checkpoint, says again what his state still says, and takes back the rest; then it is as if nothing had
been said since the checkpoint. What comes again, comes.

What a frozen predecessor said under an epoch that was over, nobody has heard, and it is left alone: its owner may have said the same before his
checkpoint, and would not say it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from agents.arrow_batches import Batch
from agents.checkpoints import Reading
from pipeline.about import Source
from pipeline.facts import SAID
from pipeline.frames import SESSIONS
from pipeline.risk import ENDED
from pipeline.risk_tables import AT_RISK


@dataclass(frozen=True)
class Said:
    """A stretch of the rows topic: offsets from `first` to `last`, of one partition."""

    topic: str
    partition: int
    first: int
    last: int

    def rows(self, reader: Reading, source: Source, epoch: int) -> tuple[dict[str, pl.DataFrame], int]:
        """What was heard of a source there: table -> the last row of each id. And the highest version it was said with.

        `epoch`: the newest that had been told before.
        """
        found: dict[str, list[pl.DataFrame]] = {}
        highest = 0
        for record in reader.read(self.topic, self.partition, self.first, self.last):
            try:
                batch = Batch(record.value or b"")
            except ValueError:  # somebody else's: the sink says so
                continue
            if batch.about.source != source:
                continue
            if batch.about.is_marker:
                epoch = max(epoch, batch.about.epoch)
            elif batch.about.epoch >= epoch:
                found.setdefault(batch.about.table, []).append(pl.DataFrame(pl.from_arrow(batch.rows())).drop("version"))
                highest = max(highest, batch.about.version)
        return {table: pl.concat(rows).unique(SAID[table].key, keep="last") for table, rows in found.items()}, highest


def taken_back(said: Mapping[str, pl.DataFrame], now: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The rows that are said no more, as deleted. `now`: those that still are."""
    gone = {}
    for table, rows in said.items():
        if table == AT_RISK.name:  # whoever is no longer at risk need not be taken back
            rows = rows.filter(pl.col("is_over") == 0)  # noqa: PLW2901 - those of them that matter
        left = rows.join(now[table], on=SAID[table].key, how="anti", nulls_equal=True) if table in now else rows
        merged = _GONE.get(table, {})
        gone[table] = left.with_columns(is_deleted=pl.lit(1, dtype=pl.UInt8), **merged)
    return gone


_GONE: Mapping[str, Mapping[str, pl.Expr]] = {
    SESSIONS.name: {"status": pl.lit("merged")},
    AT_RISK.name: {"risk": pl.lit(0.0), "reasons": pl.concat_list(pl.lit(ENDED)), "is_over": pl.lit(1, dtype=pl.UInt8)},
}
"""What a row says once it is taken back, beside that it is."""
