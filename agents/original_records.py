"""Records that a fold behind another stage refused, with their bytes: they are fetched from where they lay, for only columns come this far.

Frames:  REFUSED_OF_ORIGIN -> REJECTS
Cases:   the record is not on the broker any more -> a dead letter without bytes
"""

from collections.abc import Iterator, Mapping

import polars as pl

from agents.checkpoints import Reading
from agents.log_reader import Record
from pipeline.frames import REJECTS


def with_original_bytes(refused: pl.DataFrame, reader: Reading) -> Iterator[tuple[str, str, dict[int, pl.DataFrame]]]:
    """Original topic and family, and for each partition of the stage's own topic its REJECTS, under the place where they lay."""
    if refused.is_empty():
        return
    for (topic, family), rows in refused.partition_by(["origin_topic", "family"], as_dict=True, maintain_order=True).items():
        found: dict[tuple[int, int], Record] = {}
        for (partition,), its_own in rows.partition_by("origin_partition", as_dict=True).items():
            offsets = set(its_own["origin_offset"].to_list())
            found |= {(partition, each.offset): each for each in _records(reader, topic, partition, offsets)}
        by_partition = rows.partition_by("partition", as_dict=True, maintain_order=True)
        yield topic, family, {partition: _rejects(part, found) for (partition,), part in by_partition.items()}


def _rejects(refused: pl.DataFrame, found: Mapping[tuple[int, int], Record]) -> pl.DataFrame:
    records = [found.get(place) for place in refused.select("origin_partition", "origin_offset").rows()]
    return refused.select(
        pl.col("origin_partition").alias("partition"),
        pl.col("origin_offset").alias("offset"),
        pl.Series("record_at", [each and each.at_ms for each in records], pl.Int64).cast(REJECTS["record_at"]),
        "reason",
        "detail",
        pl.lit(None, dtype=REJECTS["schema_id"]).alias("schema_id"),
        pl.Series("key", [each and each.key for each in records], pl.Binary),
        pl.Series("payload", [each and each.value for each in records], pl.Binary),
    ).select(*REJECTS)


def _records(reader: Reading, topic: str, partition: int, offsets: set[int]) -> Iterator[Record]:
    """Those of the records that are still there; what was refused in one step lies together."""
    bounds = reader.bounds(topic, partition)
    first, last = max(min(offsets), bounds.first), max(offsets)
    if last >= bounds.end:  # some brokers tell too low an end
        last = min(last, reader.end(topic, partition, bounds.end) - 1)
    return (record for record in reader.read(topic, partition, first, last) if record.offset in offsets)
