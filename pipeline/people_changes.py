"""What a step has to say of people: how they are told after it, where that differs from before.

Frames:  rows of tables, twice -> upserts
Cases:   a record has left -> its rows are not said any more, and not taken back: they are said by whoever has it now. But what was found in a ticket (lapses,
         signals) is: whoever has it now may find others. He says his later, for what is taken back is stamped before the ticket is sent on
         two holders say the same row, for a record is on its way from one to the other -> once; who has it in the end is asked to say it again
         a record came that lies here already -> its rows are said once more: its last teller may have said his later than we said ours;
         a lapse of which there is nothing to say is taken back, for he may have had something
"""

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline import frames
from pipeline.changed_rows import changed_rows
from pipeline.frames import schema

_TICKETS, _EVENTS, _LAPSES = ["site", "ticket_id"], ["site", "event_id"], ["site", "expectation", "outcome_id"]

_OF_RECORDS = ("contacts", "answers")
"""Tables whose rows are found by what they are of, whatever else is known of it."""


def changes(
    was: Mapping[str, pl.DataFrame],
    now: Mapping[str, pl.DataFrame],
    left: Mapping[str, pl.DataFrame],
    came: Mapping[str, pl.DataFrame],
) -> dict[str, pl.DataFrame]:
    """The rows to say. `left`, `came`: kind -> records that were at home and are elsewhere now; that came, and are at home."""
    found = {}
    for name in {**was, **now, frames.OUTCOMES.name: None}:
        old, new = (_conformed(name, tables) for tables in (was, now))
        rows = _of_table(name, old, new, left, came)
        if name == frames.OUTCOMES.name and came.get("lapse", new).height:
            rows = pl.concat([rows, _nothing_of(came["lapse"], pl.concat([new, rows])).select(rows.columns)])
        if rows.height:
            found[name] = once(name, rows)
    return found


def once(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Each row of a table once: while a record is on its way from one home to another, two may have it."""
    key: Sequence[str] = frames.TABLES[name].key
    which = ["partition", *key]
    if rows.height == rows.select(which).n_unique():
        return rows
    return rows.sort("is_deleted", descending=True, maintain_order=True).unique(which, keep="last", maintain_order=True)


def _conformed(name: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    table = frames.TABLES[name]
    rows = tables.get(name)
    if rows is None or rows.is_empty():
        return schema({**table.schema, **({} if "partition" in table.schema else {"partition": pl.Int32})}).to_frame()
    return table.conform(rows.drop("person", strict=False))


def _of_table(
    name: str, old: pl.DataFrame, new: pl.DataFrame, left: Mapping[str, pl.DataFrame], came: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """The rows to say of one table."""
    if old.is_empty() and new.is_empty():
        return new
    key = frames.TABLES[name].key
    said = changed_rows(old, new, key)
    lapses = {kind: rows for kind, rows in left.items() if kind == "lapse"}
    said = said.filter((pl.col("is_deleted") == 0) | ~_is_of(said, name, left if name in _OF_RECORDS else lapses))
    again = new.filter(_is_of(new, name, came))
    return pl.concat([said, again.join(said, on=key, how="anti", nulls_equal=True).select(said.columns)])


def _nothing_of(lapses: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Of lapses of which nothing is told, their rows as taken back."""
    untold = lapses.select("partition", *_LAPSES).unique().join(told, on=_LAPSES, how="anti")
    return frames.OUTCOMES.conform(untold.with_columns(pl.lit(1, pl.UInt8).alias("is_deleted")))


def _is_of(rows: pl.DataFrame, name: str, records: Mapping[str, pl.DataFrame]) -> pl.Series:
    """Which rows of a table are about some records."""
    tickets, lapses = records.get("ticket"), records.get("lapse")
    is_of = pl.repeat(value=False, n=rows.height, eager=True, dtype=pl.Boolean)
    if rows.is_empty() or name == "customers":
        return is_of
    if tickets is not None and tickets.height:
        if "ticket_id" in rows.columns:
            is_of |= _among(rows, _TICKETS, tickets.filter(pl.col("ticket_id").fill_null("") != ""), _TICKETS)
        if name == "answers":
            is_of |= _among(rows, ["site", "answer_id"], tickets, _EVENTS)
        if name == "signals" and (tickets["ticket_id"].fill_null("") == "").any():
            # That of a survey does not name it; what is said once more harms nobody.
            is_of |= rows["ticket_id"].fill_null("") == ""
    if name == "outcomes" and lapses is not None and lapses.height:
        is_of |= _among(rows, _LAPSES, lapses, _LAPSES)
    return is_of


def _among(rows: pl.DataFrame, of_rows: list[str], records: pl.DataFrame, of_records: list[str]) -> pl.Series:
    ids = records.select(of_records).unique().with_columns(pl.lit(value=True).alias("is_of"))
    found = rows.select(of_rows).join(ids, left_on=of_rows, right_on=of_records, how="left", maintain_order="left")
    return found["is_of"].fill_null(value=False)
