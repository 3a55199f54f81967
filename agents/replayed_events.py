"""Rows of mappings and files as events: numbered, judged, what cannot be used told with its bytes.

Frames:  rows of `mapping.stream` -> event_schema(family) + POSITION for each family, DEAD_LETTERS
Time:    no file knows when a record arrived: record time = `event_at`, and `sent_at` is not looked at
Rejects: bytes that are no UTF-8, a value that does not fit its field, a family that is none, and what `checks` says
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from agents.mapping import Plan
from agents.terminal import plain
from pipeline.checks import Bounds, checked
from pipeline.events import POSITION, event_schema
from pipeline.frames import DEAD_LETTERS
from pipeline.rejects import Reason
from schemas.contracts import FAMILIES

REPLAY = "replay"
"""Cluster of dead letters that no broker held, and the stage that judged them."""
PARTITION = 0
"""Everything is in one."""
PARSING_PLACE = 1
"""`row` of a dead letter that could not be parsed; one more for each further file of the same mapping."""
NO_BYTES = "Buffer has gone"
"""What the engine says instead of the bytes of the last row of a file."""
_OWN = ("family", "mapping", "row", "misfits", "offset")


@dataclass(frozen=True)
class Batch:
    """Rows that follow each other in event time."""

    n: int
    """Rows, good and bad."""
    events: Mapping[str, pl.DataFrame]
    """Family -> its good events; those that have any."""
    rejects: pl.DataFrame
    """DEAD_LETTERS of the others."""
    raw: pl.DataFrame
    """The rows as they came, with `offset`: what `letters` needs of those that a fold refuses."""


class Judge:
    """Numbers rows through, and tells good from bad."""

    def __init__(self, bounds: Bounds) -> None:
        """Judge by these bounds."""
        self._bounds = bounds
        self._next = 0

    def batch(self, raw: pl.DataFrame) -> Batch:
        """Judge rows as the engine gave them: strings are bytes."""
        offsets = pl.Series("offset", range(self._next, self._next + raw.height), pl.Int64)
        self._next += raw.height
        raw = raw.with_columns(offsets)
        rows = raw.with_columns(text(raw[name]) for name in raw.select(cs.binary()).columns)
        bad = [*self._misread(raw, rows), *_misfits(rows), *_strangers(rows)]
        refused = pl.DataFrame(bad, schema={"offset": pl.Int64, "reason": pl.String, "detail": pl.String}, orient="row")
        if refused.height:
            rows = rows.join(refused.select("offset"), on="offset", how="anti", maintain_order="left")
        events, judged = {}, [refused]
        for family in FAMILIES:
            of_family = rows.filter(pl.col("family") == family)
            if of_family.height:
                good, wrong = checked(_events(of_family, family), family, self._bounds)
                judged.append(wrong.select(refused.columns))
                if good.height:
                    events[family] = good
        return Batch(raw.height, events, letters(raw, pl.concat(judged)), raw)

    def _misread(self, raw: pl.DataFrame, rows: pl.DataFrame) -> Iterator[tuple[int, str, str]]:
        for name, dtype in raw.schema.items():
            if dtype == pl.Binary and raw[name].null_count() < rows[name].null_count():
                for offset in raw.filter(rows[name].is_null() & raw[name].is_not_null())["offset"]:
                    yield offset, Reason.UNDECODABLE, f"{name} is no UTF-8"


def text(column: pl.Series) -> pl.Series:
    """Bytes as text; null where they are none."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:  # the cast knows all or nothing
        return pl.Series(column.name, [None if value is None else _text(value) for value in column], pl.String)


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _misfits(rows: pl.DataFrame) -> Iterator[tuple[int, str, str]]:
    """Values that their field cannot hold."""
    for offset, told in rows.filter(pl.col("misfits") != "{}").select("offset", "misfits").rows():
        values = json.loads(told)
        wrong = ", ".join(f"{name}: {value!r} does not fit" for name, value in values.items())
        yield offset, Reason.OUT_OF_RANGE if all(map(_is_number, values.values())) else Reason.UNDECODABLE, wrong


def _strangers(rows: pl.DataFrame) -> Iterator[tuple[int, str, str]]:
    """Rows of no family, and rows with a field that another family has: of files whose rows say their family."""
    for offset, family in rows.filter(~pl.col("family").is_in(FAMILIES)).select("offset", "family").rows():
        yield offset, Reason.UNDECODABLE, f"family {family!r} is none of {', '.join(FAMILIES)}"
    for family in rows["family"].unique().to_list():
        others = [name for name in rows.columns if family in FAMILIES and name not in event_schema(family) and name not in _OWN]
        for name in others:
            for offset in rows.filter((pl.col("family") == family) & pl.col(name).is_not_null())["offset"]:
                yield offset, Reason.UNDECODABLE, f"{family} has no field {name}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _events(rows: pl.DataFrame, family: str) -> pl.DataFrame:
    """Rows of one family as its frame. Frames: -> event_schema(family) + POSITION."""
    schema = event_schema(family)
    given = [pl.col(name).cast(dtype) for name, dtype in schema.items() if name in rows.columns and name != "sent_at"]
    absent = [
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.items() if name not in rows.columns or name == "sent_at"
    ]
    position = pl.lit(PARTITION, dtype=pl.Int32).alias("partition"), "offset", pl.col("event_at").alias("record_at")
    return rows.select(*given, *absent, *position).select(*schema, *POSITION)


def letters(raw: pl.DataFrame, refused: pl.DataFrame, *, stage: str = REPLAY) -> pl.DataFrame:
    """Rows that were refused, once each, with what they said as JSON. Frames: `offset`, `reason`, `detail` -> DEAD_LETTERS."""
    why = refused.unique("offset", keep="first").select("offset", pl.struct("reason", "detail").alias("_why"))
    rows = raw.join(why, on="offset", how="inner", maintain_order="left")  # the contract has a field `reason` too
    payloads = [_payload(row) for row in rows.select(pl.exclude("offset", "_why", "mapping", "row")).iter_rows(named=True)]
    return _conformed(
        rows.select(
            text(rows["mapping"]).alias("topic"),
            pl.col("row").cast(pl.Int64).alias("offset"),
            pl.lit(0, dtype=pl.Int64).alias("row"),
            pl.col("event_at").alias("received_at"),
            text(rows["family"]),
            pl.lit(stage).alias("stage"),
            pl.col("_why").struct.field("reason", "detail"),
            pl.Series("payload", payloads, pl.Binary),
        )
    )


def _payload(row: dict[str, Any]) -> bytes:
    said = {name: plain(value) if isinstance(value, bytes) else value for name, value in row.items() if value is not None}
    misfits = json.loads(said.pop("misfits"))
    return json.dumps({**said, **misfits}, ensure_ascii=False, default=plain).encode()


def unparsed(bad: Path, plans: list[Plan]) -> pl.DataFrame:
    """Rows that no format could parse, as the engine wrote them down in this folder. Frames: -> DEAD_LETTERS.

    Cases:   the last row of a file, or NDJSON -> the engine keeps no bytes, and for NDJSON no reason | a file that two mappings read -> once
    """
    csv.field_size_limit(1 << 30)
    found = []
    for place, plan in enumerate(plans):
        for reader, path in enumerate(sorted(bad.glob(f"{place}*"), key=lambda path: len(path.name))):
            if path.name.removesuffix("_new" * reader) != str(place):
                continue
            with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                for _at, _database, _table, row, reason, said in csv.reader(file):
                    found.append(_unparsed(plan, reader, int(row), reason, said))
    rows = pl.DataFrame(found, schema=_UNPARSED, orient="row").unique(["topic", "offset", "row"], keep="first", maintain_order=True)
    return _conformed(rows)


def _unparsed(plan: Plan, reader: int, row: int, reason: str, said: str) -> tuple[object, ...]:
    family = plan.families[0] if len(plan.families) == 1 else ""
    lost = said.startswith(NO_BYTES) or not said
    detail = _why(" ".join(reason.split())) if reason and not reason.startswith(NO_BYTES) else f"row {row} cannot be parsed"
    payload = b"" if lost else said.encode(errors="surrogateescape")
    return plan.source, row, PARSING_PLACE + reader, family, REPLAY, Reason.UNDECODABLE, detail, payload


def _why(reason: str) -> str:
    """The column that could not be read, and nothing of those before it: they may tell of people."""
    column, named, rest = reason.rpartition(", name: ")[2].partition(", type: ")
    value, failed, said = rest.partition(", parsed text: ")[2].partition("ERROR")
    if not named or not failed:
        return reason
    why = said.rpartition("DB::Exception: ")[2].partition(" (version ")[0]
    why = re.sub(r"\.? \([A-Z_]+\)$", "", why).strip(" :.")
    return f"{column}: {why}" if value.startswith("<EMPTY>") else f"{column} is {value.strip()}: {why}"


_UNPARSED = {
    "topic": pl.String,
    "offset": pl.Int64,
    "row": pl.Int64,
    "family": pl.String,
    "stage": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "payload": pl.Binary,
}


def _conformed(rows: pl.DataFrame) -> pl.DataFrame:
    known = {"cluster_id": REPLAY, "partition": PARTITION, "site": "", "key": "", "is_deleted": 0}
    said = rows.with_columns(pl.lit(value, dtype=DEAD_LETTERS.schema[name]).alias(name) for name, value in known.items())
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in DEAD_LETTERS.schema.items() if name not in said.columns]
    return said.with_columns(*absent, pl.col("family").fill_null("")).select(*DEAD_LETTERS.schema)
