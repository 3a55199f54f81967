"""What could not be used, as rows of the table `dead_letters`: with its bytes, where it lay, and why.

Frames:  REJECTS, REFUSED -> DEAD_LETTERS
Cases:   a payload above 1 MiB -> its beginning, and `detail` says so: it would not fit into a message of ours
"""

import polars as pl

from agents.arrow_batches import Source
from pipeline.decode import Records
from pipeline.frames import DEAD_LETTERS, REJECTS

LARGEST_PAYLOAD = 1 << 20
LONGEST_KEY = 4 << 10


def dead_letters(rejects: pl.DataFrame, source: Source, *, cluster_id: str, family: str) -> pl.DataFrame:
    """Rejected records of one source partition as rows. Frames: REJECTS -> DEAD_LETTERS."""
    keys = [None if key is None else _text(key[:LONGEST_KEY]) for key in rejects["key"]]
    size = pl.col("payload").bin.size()
    cut = pl.concat_str(pl.col("detail").fill_null(""), pl.lit(" [the first MiB of "), size, pl.lit(" bytes]"))
    known = {"site": "", "cluster_id": cluster_id, "topic": source.topic, "family": family, "stage": source.stage}
    return rejects.select(
        *(pl.lit(value).alias(name) for name, value in known.items()),
        "partition",
        "offset",
        pl.lit(0, dtype=pl.Int64).alias("row"),
        pl.col("record_at").alias("received_at"),
        "reason",
        pl.when(size > LARGEST_PAYLOAD).then(cut).otherwise(pl.col("detail").fill_null("")).alias("detail"),
        "schema_id",
        pl.Series("key", keys, pl.String).fill_null(""),
        pl.col("payload").bin.head(LARGEST_PAYLOAD).fill_null(b""),
        pl.lit(None, dtype=DEAD_LETTERS.schema["replayed_at"]).alias("replayed_at"),
        pl.lit(0, dtype=pl.UInt8).alias("is_deleted"),
    ).select(*DEAD_LETTERS.schema)


def with_bytes(refused: pl.DataFrame, records: Records) -> pl.DataFrame:
    """Refused events with the records they came in. Frames: REFUSED -> REJECTS."""
    places = pl.DataFrame(
        {"partition": records.partitions, "offset": records.offsets, "at": range(len(records.offsets))},
        schema={"partition": pl.Int32, "offset": pl.Int64, "at": pl.Int64},
    )
    found = refused.join(places, on=["partition", "offset"], how="left", maintain_order="left")
    at = found["at"].to_list()
    return found.with_columns(
        pl.Series("record_at", [records.record_at_ms[row] for row in at], pl.Int64).cast(REJECTS["record_at"]),
        pl.Series("key", [records.keys[row] for row in at], pl.Binary),
        pl.Series("payload", [records.values[row] for row in at], pl.Binary),
        pl.lit(None, dtype=REJECTS["schema_id"]).alias("schema_id"),
    ).select(*REJECTS)


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key.hex()
