"""Sending on what is not at home: to its home, again when it changes; and to where it was before, that it is another's.

Whoever had told a record, and has it no more, asks the new home to say its rows once more: the stamps of the two differ, and only what has been heard of
the old one's is surely outdone.

Frames:  RECORDS with `is_news`, `key`, `home`, `start_ms`; GONE -> Passed
"""

from collections.abc import Iterator

import polars as pl

from pipeline.frames import TIME
from pipeline.passed import PEOPLE, Passed, travelling
from pipeline.person_state import IDS, KINDS


def forwarded(kind: str, rows: pl.DataFrame, gone: pl.DataFrame, ids: pl.DataFrame) -> Iterator[Passed]:
    """What to send on of one kind. `gone`: GONE; `ids`: of these what they are found by."""
    moved = pl.col("home").ne_missing(pl.col("sent_to"))
    is_new = pl.col("is_news") | moved | pl.col("start_ms").ne_missing(pl.col("sent_ms"))
    sent = rows.filter(pl.col("home").is_not_null() & is_new)
    if sent.height:
        yield _passed(
            kind,
            sent.select(
                "partition",
                *KINDS[kind],
                pl.col("home").alias("key"),
                pl.col("version").alias("said_version"),
                pl.col("start_ms").cast(TIME).alias("starts_at"),
                pl.lit(None, pl.Boolean).alias("is_gone"),
                pl.lit(None, pl.String).alias("passed_to"),
            ),
        )
    away = rows.filter(moved & pl.col("sent_to").is_not_null()).select(
        "partition", *IDS[kind], pl.col("sent_to").alias("key"), pl.coalesce("home", "key").alias("passed_to")
    )
    lost = gone.select("partition", pl.coalesce("sent_to", "passed_to").alias("key"), "passed_to").hstack(ids)
    left = pl.concat([away, lost.select(away.columns)])
    if left.height:
        yield _passed(kind, left.with_columns(pl.lit(value=True).alias("is_gone")))


def _passed(kind: str, rows: pl.DataFrame) -> Passed:
    """The columns of travelling(kind) that the rows have."""
    return Passed(
        PEOPLE, kind, rows.select("partition", *(name for name in travelling(kind) if name in rows.columns)), is_forwarded=True
    )


def ids_of(kind: str, old: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    """What these are found by. Frames: RECORDS, GONE of the same -> the columns of IDS."""
    return old.select(IDS[kind])[gone["place"].to_numpy()] if gone.height else old.select(IDS[kind]).clear()
