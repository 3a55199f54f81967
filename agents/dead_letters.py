"""What could not be used, as rows of the table `dead_letters`: with its bytes, where it lay, and why.

Frames:  REJECTS, REFUSED -> DEAD_LETTERS
Cases:   a payload above 1 MiB -> its beginning, and `detail` says so: it would not fit into a message of ours | a key above 4 KiB -> the same
         a key that is no UTF-8 -> 0x and hex, and so is one that begins with 0x: so every key can be had back from its text
"""

from contextlib import suppress

import polars as pl

from pipeline.about import Source
from pipeline.decode import Records
from pipeline.frames import DEAD_LETTERS, REJECTS

LARGEST_PAYLOAD = 1 << 20
LONGEST_KEY = 4 << 10
HEX = "0x"
"""What a key begins with that stands in hex."""


def dead_letters(rejects: pl.DataFrame, source: Source, *, cluster_id: str, family: str) -> pl.DataFrame:
    """Rejected records of one source partition as rows. Frames: REJECTS -> DEAD_LETTERS."""
    keys = [None if key is None else key_text(key[:LONGEST_KEY]) for key in rejects["key"]]
    size, key_size = pl.col("payload").bin.size(), pl.col("key").bin.size()
    cut = pl.when(size > LARGEST_PAYLOAD).then(pl.format(" [the first MiB of {} bytes]", size)).otherwise(pl.lit(""))
    key_cut = (
        pl.when(key_size > LONGEST_KEY).then(pl.format(" [the first 4 KiB of a key of {} bytes]", key_size)).otherwise(pl.lit(""))
    )
    known = {"site": "", "cluster_id": cluster_id, "topic": source.topic, "family": family, "stage": source.stage}
    return rejects.select(
        *(pl.lit(value).alias(name) for name, value in known.items()),
        "partition",
        "offset",
        pl.lit(0, dtype=pl.Int64).alias("row"),
        pl.col("record_at").alias("received_at"),
        "reason",
        pl.concat_str(pl.col("detail").fill_null(""), cut.fill_null(""), key_cut.fill_null("")).alias("detail"),
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


def is_cut(detail: str) -> bool:
    """Whether a row says that not all of its record is there."""
    return detail.endswith(" bytes]") and (" [the first MiB of " in detail or " [the first 4 KiB of a key of " in detail)


def key_text(key: bytes) -> str:
    """A key in the column `key`."""
    if not key.startswith(HEX.encode()):
        with suppress(UnicodeDecodeError):
            return key.decode()
    return HEX + key.hex()


def key_bytes(text: str) -> bytes | None:
    """The key of which this is the text. None is no key, and an empty one is taken for none."""
    if text.startswith(HEX):
        return bytes.fromhex(text.removeprefix(HEX))
    return text.encode() or None
