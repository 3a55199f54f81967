"""Sending on what is not at home: to its home, again when it changes; and to where it was before, that it is another's.

Whoever had told a record, and has it no more, asks at its own key, and from there it is sent once more on its way, to be said once more where it is at home now: the
stamps of the two homes differ, and only what has been heard of the old one's is surely outdone; and if two ways to one home crossed, it may have been dropped there.
What was sent where is said on the topic of rows, as a table that nobody stores: a successor who sends it elsewhere takes it back.

Frames:  RECORDS with `is_news`, `key`, `home`, `start_ms`; GONE -> Passed, rows of SENT
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pipeline.facts import SENT
from pipeline.frames import TIME
from pipeline.passed import PEOPLE, Passed, travelling
from pipeline.person_state import IDS, KINDS

_OWN_IDS = {kind: tuple(name for name in names if name != "site") for kind, names in IDS.items()}


@dataclass(frozen=True)
class Sending:
    """What is sent on of one kind."""

    passed: tuple[Passed, ...]
    sent: pl.DataFrame
    """Rows of SENT, and `partition`."""


def forwarded(kind: str, rows: pl.DataFrame, gone: pl.DataFrame, ids: pl.DataFrame) -> Sending:
    """What to send on. `gone`: GONE; `ids`: of these what they are found by, and the `key` where they lay."""
    moved = pl.col("home").ne_missing(pl.col("sent_to"))
    starts_anew = pl.col("start_ms").ne_missing(pl.col("sent_ms"))
    sent = rows.filter(pl.col("home").is_not_null() & (pl.col("is_news") | moved | starts_anew))
    own_key = pl.coalesce("own_key", "key").alias("own_key")
    moved_on = rows.filter(moved & pl.col("sent_to").is_not_null()).select("partition", *IDS[kind], "key", "sent_to", own_key)
    lost = gone.select("partition", "sent_to", "own_key").hstack(ids).select(moved_on.columns)
    left = pl.concat([moved_on, lost])
    told = sent.filter(moved | starts_anew).with_columns(pl.col("home").alias("sent_to"))
    said = pl.concat([_said(kind, left.filter(pl.col("sent_to").is_not_null()), is_deleted=1), _said(kind, told, is_deleted=0)])
    away = left.with_columns(pl.coalesce("sent_to", "own_key").alias("key"), pl.lit(value=True).alias("is_gone"))
    return Sending(
        tuple(each for each in (_passed(kind, _as_sent(kind, sent, "home", "start_ms")), _passed(kind, away)) if each.rows.height),
        said,
    )


def sent_now(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
    """All that was sent of these records. Frames: RECORDS with `key` -> rows of SENT, and `partition`."""
    return _said(kind, rows.filter(pl.col("sent_to").is_not_null()), is_deleted=0)


def sent_again(kind: str, rows: pl.DataFrame, said: pl.DataFrame) -> Iterator[Passed]:
    """Once more what was said to be sent, as it is now. Frames: RECORDS with `key`, SENT -> Passed."""
    sent = rows.filter(pl.col("sent_to").is_not_null())
    named = _said(kind, sent, is_deleted=0).select(SENT.key).with_row_index("row")
    again = sent[named.join(said, on=SENT.key, how="semi")["row"]]
    if again.height:
        yield _passed(kind, _as_sent(kind, again, "sent_to", "sent_ms"))


def sent_no_more(said: pl.DataFrame, partition: int) -> Iterator[Passed]:
    """What a predecessor sent on and nobody sends any more: it is wherever it lies. Frames: SENT -> Passed."""
    for kind, names in _OWN_IDS.items():
        rows = said.filter(pl.col("kind") == kind)
        if rows.height:
            ids = [pl.col(own).alias(name) for own, name in zip(("id", "further_id"), names, strict=False)]
            yield _passed(
                kind,
                rows.select(
                    pl.lit(partition, pl.Int32).alias("partition"),
                    "site",
                    *ids,
                    pl.col("sent_to").alias("key"),
                    "own_key",
                    pl.lit(value=True).alias("is_gone"),
                ),
            )


def ids_of(kind: str, old: pl.DataFrame, gone: pl.DataFrame, holders: pl.DataFrame) -> pl.DataFrame:
    """What these are found by, and the key where they lay. Frames: RECORDS, GONE of the same, HOLDERS -> the columns of IDS, `key`."""
    rows = old.select("holder", *IDS[kind])[gone["place"].to_numpy()] if gone.height else old.select("holder", *IDS[kind]).clear()
    return rows.join(holders.select("holder", "key"), on="holder", how="left", maintain_order="left").drop("holder")


def _as_sent(kind: str, rows: pl.DataFrame, to: str, start: str) -> pl.DataFrame:
    return rows.select(
        "partition",
        *KINDS[kind],
        pl.col(to).alias("key"),
        pl.col("version").alias("said_version"),
        pl.col(start).cast(TIME).alias("starts_at"),
        pl.coalesce("own_key", "key").alias("own_key"),
    )


def _passed(kind: str, rows: pl.DataFrame) -> Passed:
    """The columns of travelling(kind) that the rows have."""
    columns = (name for name in travelling(kind) if name in rows.columns)
    return Passed(PEOPLE, kind, rows.select("partition", *columns), is_forwarded=True)


def _said(kind: str, rows: pl.DataFrame, *, is_deleted: int) -> pl.DataFrame:
    own = dict(zip(("id", "further_id"), _OWN_IDS[kind], strict=False))
    return SENT.conform(
        rows.select(
            "partition",
            "site",
            pl.lit(kind).alias("kind"),
            *(pl.col(name).alias(which) for which, name in own.items()),
            pl.col("key").alias("lies_at"),
            "sent_to",
            pl.coalesce("own_key", "key").alias("own_key"),
            pl.lit(is_deleted, pl.UInt8).alias("is_deleted"),
        )
    )
