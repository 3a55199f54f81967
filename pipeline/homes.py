"""Whose a record is, as far as the holder of its key knows.

The holder of a visitor gives each record to the customer who logs in next; that of an order or a ticket gives all that lies there to the strongest that a link
names. What is not at home there is sent on, and whoever receives it asks the same.

Frames:  LYING, HELD_LINKS -> `home` (null: here), `start_ms` (null: nobody asks)
Cases:   a visit says its customer -> his | lapses and signals of a visit -> with it | no login follows -> it stays with the visitor
         what an order or a ticket sends on -> all of it by the same time: the order's, else its earliest; so what belongs together stays together
         a lapse of a parcel -> the order that it names | a customer, a company, a survey of nobody -> here
         a fact that was taken back -> wherever it was sent
Source:  DESIGN 1 rule 4; DECISIONS.md on homes
"""

import polars as pl

from pipeline.frames import schema

LYING = schema(
    {
        "holder": pl.UInt64,
        "kind": pl.String,
        "key": pl.String,
        "own_ms": pl.Int64,
        "given_ms": pl.Int64,
        "session_id": pl.String,
        "order_id": pl.String,
        "customer_id": pl.String,
        "is_deleted": pl.Boolean,
        "sent_to": pl.String,
        "sent_ms": pl.Int64,
    }
)
"""A record where it lies. `kind`: one of person_state.KINDS; `key`: that of the holder; `own_ms`: when it began."""

_STRONGEST = ("customer", "visitor", "order")


def homes(lying: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Find the home of every record, in their order."""
    rows = lying.with_row_index("row")
    found = [
        _linked(rows.filter(_is_of("key", "order") | _is_of("key", "ticket")), links),
        _of_visitors(rows.filter(_is_of("key", "visitor")), links),
        rows.filter(_is_of("key", "parcel")).select(
            "row", _key("order", "order_id").alias("home"), pl.lit(None, pl.Int64).alias("start_ms")
        ),
    ]
    is_gone = pl.col("is_deleted")
    is_asked = pl.col("home").is_not_null() & ~_is_of("home", "customer")
    placed = rows.join(pl.concat(found), on="row", how="left", maintain_order="left")
    return placed.select(
        pl.when(is_gone).then("sent_to").otherwise("home").alias("home"),
        pl.when(is_gone).then("sent_ms").when(is_asked).then("start_ms").alias("start_ms"),
    )


def _linked(rows: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """At the key of an order or a ticket: all to one home."""
    rank = pl.coalesce(pl.when(_is_of("belongs_to", kind)).then(pl.lit(rank, pl.Int8)) for rank, kind in enumerate(_STRONGEST))
    strongest = (
        links.with_columns(rank.alias("rank"))
        .filter(pl.col("rank").is_not_null())
        .sort("rank", "event_ms", "belongs_to")
        .unique("holder", keep="first", maintain_order=True)
        .select("holder", pl.col("belongs_to").alias("home"))
    )
    is_here = ~pl.col("is_deleted")
    is_case = is_here & (pl.col("kind") == "case") & _is_of("key", "order")
    starts = rows.group_by("holder").agg(
        pl.coalesce(pl.col("own_ms").filter(is_case).min(), pl.coalesce("given_ms", "own_ms").filter(is_here).min()).alias(
            "start_ms"
        )
    )
    return (
        rows.select("row", "holder")
        .join(strongest, on="holder", how="left")
        .join(starts, on="holder", how="left")
        .select(pl.col("row"), "home", "start_ms")
    )


def _of_visitors(rows: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """At the key of a visitor: each record by its own time, unless whoever sent it on gave it one."""
    if rows.is_empty():
        return rows.select("row", pl.lit(None, pl.String).alias("home"), pl.lit(None, pl.Int64).alias("start_ms"))
    logins = (
        links.filter(_is_of("belongs_to", "customer"))
        .sort("event_ms", "belongs_to")
        .unique(["holder", "event_ms"], keep="first", maintain_order=True)
        .select("holder", "event_ms", pl.col("belongs_to").alias("next"))
    )
    timed = rows.with_columns(pl.coalesce("given_ms", "own_ms").alias("place_ms")).sort("place_ms")
    timed = timed.join_asof(
        logins, left_on="place_ms", right_on="event_ms", by="holder", strategy="forward", check_sortedness=False
    )
    of_visit = (pl.col("kind") == "visit") & pl.col("given_ms").is_null()
    placed = timed.with_columns(
        pl.when(of_visit).then(pl.coalesce(_key("customer", "customer_id"), "next")).otherwise("next").alias("home")
    )
    visits = placed.filter(of_visit, ~pl.col("is_deleted")).select(
        "holder", "session_id", pl.col("home").alias("of_visit"), pl.lit(value=True).alias("has_visit")
    )
    follows = pl.col("kind").is_in(["lapse", "signal"]) & pl.col("given_ms").is_null() & pl.col("has_visit")
    return placed.join(visits.unique(["holder", "session_id"], keep="first"), on=["holder", "session_id"], how="left").select(
        "row", pl.when(follows).then("of_visit").otherwise("home").alias("home"), pl.lit(None, pl.Int64).alias("start_ms")
    )


def _is_of(column: str, kind: str) -> pl.Expr:
    """Whether a key is of this kind."""
    return pl.col(column).str.starts_with(f"{kind}:")


def _key(kind: str, column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.concat_str(pl.lit(f"{kind}:"), column))
