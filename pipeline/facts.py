"""What the folds by visitor and by order tell the one by person: facts, made from the rows that they say anyway.

Where people are told, a lapse is no row of `outcomes` here: what became of it says whoever knows the person. It is said on the topic of rows all the same, as a
table that nobody stores: what a successor does not say again, he must take back.

Frames:  rows of frames.TABLES with BESIDE -> the same without; Passed of FACTS and LINK
Cases:   a bot -> no fact | a session that turns out to be a bot's -> taken back
         a lapse of a parcel -> under the parcel's key, for its order may be learned later | a signal of a parcel whose order is not known -> nobody could use it
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from pipeline import frames
from pipeline.passed import LINK, PEOPLE, Passed, travelling
from pipeline.person_log import FACT_IDS, FACTS, LAPSE
from pipeline.risk_tables import AT_RISK
from pipeline.table import Column, Table

BESIDE: Mapping[str, tuple[str, ...]] = {"cases": ("cart_id", "placed_at"), "outcomes": ("cart_id", "silent_at", "recovers_until")}
"""Table -> what stands beside its columns for facts alone."""

LAPSES = Table(
    "lapse", FACT_IDS["lapse"], tuple(Column(name, dtype, "") for name, dtype in LAPSE.items()), "a lapse, as who saw it"
)
SENT = Table(
    "sent",
    ("site", "kind", "id", "further_id", "lies_at", "sent_to"),
    (
        *(Column(name, pl.String, "") for name in ("site", "kind", "id", "further_id", "lies_at", "sent_to", "own_key")),
        Column("is_deleted", pl.UInt8, ""),
    ),
    "a record that the fold by person has sent on",
)
UNSTORED = {table.name: table for table in (LAPSES, SENT, AT_RISK)}
"""Tables on the topic of rows that nobody stores."""
SAID = {**frames.TABLES, **UNSTORED}
"""All that stands on that topic."""

_FACT_OF = {"sessions": "visit", "cases": "case", "outcomes": "lapse", "signals": "signal"}

By = Literal["visitor", "order"]


@dataclass(frozen=True)
class Told:
    """What a fold says of its rows."""

    tables: dict[str, pl.DataFrame]
    """Table of SAID -> its columns, and `partition`."""
    passed: tuple[Passed, ...] = ()


def rows_alone(rows: Mapping[str, pl.DataFrame]) -> Told:
    """Where nobody is told."""
    return Told({name: _bare(name, of_table) for name, of_table in rows.items() if of_table.height})


def with_facts(rows: Mapping[str, pl.DataFrame], by: By, were_people: Callable[[], pl.DataFrame] | None = None) -> Told:
    """Rows, and the facts that they are. `were_people`: sessions that were told as no bot's, by their ids."""
    tables, passed = {}, []
    for name, of_table in rows.items():
        if of_table.is_empty():
            continue
        bare = _bare(name, of_table)
        if name in _FACT_OF:
            fact = _FACT_OF[name]
            told = _fact(fact, bare.hstack(of_table.select(BESIDE.get(name, ()))), were_people)
            if name == "outcomes":
                bare, name = LAPSES.conform(told), LAPSES.name  # noqa: PLW2901 - it stands for them
            passed += _passed(fact, told, by)
        if name == "identities":
            passed += _logins(bare)
        if name == "cases":
            passed += _owners(bare)
        tables[name] = bare
    return Told(tables, tuple(each for each in passed if each.rows.height))


def among(rows: Mapping[str, pl.DataFrame], said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Of all that is told now, what was said of the same ids. Frames: rows of frames.TABLES with BESIDE; of SAID."""
    found = {}
    for name, now in rows.items():
        was = said.get(LAPSES.name if name == "outcomes" and LAPSES.name in said else name)
        if was is not None:
            key = SAID[name].key
            ids = was.select(key).unique().with_columns(pl.lit(value=True).alias("is_said"))
            is_said = _bare(name, now).select(key).join(ids, on=key, how="left", nulls_equal=True, maintain_order="left")["is_said"]
            found[name] = now.filter(is_said.fill_null(value=False))
    return found


def taken_back(gone: Mapping[str, pl.DataFrame], partition: int, by: By) -> tuple[Passed, ...]:
    """The facts that rows of a partition were which nobody says any more. Frames: rows of SAID with `is_deleted` 1."""
    passed = []
    for name, rows in gone.items():
        fact = "lapse" if name == LAPSES.name else _FACT_OF.get(name)
        if fact is not None and rows.height:
            absent = (pl.lit(None, dtype).alias(column) for column, dtype in FACTS[fact].items() if column not in rows.columns)
            passed += _passed(fact, rows.with_columns(*absent, pl.lit(partition, pl.Int32).alias("partition")), by)
    return tuple(passed)


def _bare(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    return SAID[name].conform(rows.drop(BESIDE.get(name, ()), strict=False))


def _fact(fact: str, rows: pl.DataFrame, were_people: Callable[[], pl.DataFrame] | None) -> pl.DataFrame:
    if fact == "visit" and (is_bot := rows["is_bot"] == 1).any():
        bots, rows = rows.filter(is_bot), rows.filter(~is_bot)
        if were_people is not None:
            turned = bots.join(were_people(), on=FACT_IDS["visit"], how="semi").with_columns(
                pl.lit(1, pl.UInt8).alias("is_deleted")
            )
            rows = pl.concat([rows, turned])
    return rows.select("partition", *(pl.col(name).cast(dtype) for name, dtype in FACTS[fact].items()))


def _passed(fact: str, rows: pl.DataFrame, by: By) -> list[Passed]:
    keys = [("visitor", "visitor_id")] if by == "visitor" else [("order", "order_id")]
    if by == "order" and fact == "lapse":
        keys.insert(0, ("parcel", "delivery_id"))
    key = pl.coalesce(
        pl.when(pl.col(name).fill_null("") != "").then(pl.concat_str(pl.lit(f"{kind}:"), name)) for kind, name in keys
    )
    keyed = rows.with_columns(key.alias("key")).filter(pl.col("key").is_not_null())
    return [Passed(PEOPLE, fact, keyed.select("partition", *(name for name in travelling(fact) if name in keyed.columns)))]


def _logins(rows: pl.DataFrame) -> list[Passed]:
    """Links of visitors. A login that is not told any more has happened all the same: another one of its session was earlier."""
    logins = rows.filter(pl.col("is_deleted") == 0)
    return [_links(logins, "linked_at", pl.concat_str(pl.lit("visitor:"), "visitor_id"), _customer(), "clickstream")]


def _owners(rows: pl.DataFrame) -> list[Passed]:
    """Links of orders: intake says them of every event that names both; who has forgotten them hears them again when the case changes."""
    visitor = pl.when(pl.col("visitor_id") != "").then(pl.concat_str(pl.lit("visitor:"), "visitor_id"))
    known = rows.filter(pl.col("is_deleted") == 0, (pl.col("customer_id") != "") | (pl.col("visitor_id") != ""))
    return [_links(known, "opened_at", pl.concat_str(pl.lit("order:"), "order_id"), pl.coalesce(_customer(), visitor), "order")]


def _customer() -> pl.Expr:
    return pl.when(pl.col("customer_id") != "").then(pl.concat_str(pl.lit("customer:"), "customer_id"))


def _links(rows: pl.DataFrame, at: str, key: pl.Expr, belongs_to: pl.Expr, told_by: str) -> Passed:
    told = rows.select(
        "partition",
        "site",
        pl.lit(None, pl.String).alias("event_id"),
        pl.col(at).alias("event_at"),
        key.alias("key"),
        belongs_to.alias("belongs_to"),
        pl.lit(told_by).alias("told_by"),
    )
    return Passed(PEOPLE, LINK, told)
