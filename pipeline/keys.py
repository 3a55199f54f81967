"""Whose an event is, and in which partition all that belongs to the same one lies.

Frames:  event_schema of order, delivery or ticket -> Series of keys, LINKS
Cases:   an empty id is none | a delivery without an order -> its parcel | a survey of nobody -> a key of its own
         a ticket knows its customer -> it lies under the ticket's key all the same: other events of it do not know him
Source:  DECISIONS.md on keys and links

A key is `kind:id`, and means something together with its site. Where a record lies is its own lasting key, and only who holds that says whose it is. A *link* says that a key is another, stronger one: whoever holds the weaker one hears of it. An account is never linked: two people of
a company stay two.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.frames import TIME, schema
from pipeline.hashing import hash64

LINKS = schema(
    {
        "site": pl.String,
        "event_id": pl.String,
        "event_at": TIME,
        "key": pl.String,
        "belongs_to": pl.String,
        "told_by": pl.String,
    }
)
"""One key that is another: `key` is the weaker, at which the row arrives; `told_by` is the family of the event that knew both."""

_LINKED = {"customer": "customer_id", "visitor": "visitor_id", "order": "order_id", "ticket": "ticket_id"}
"""Kind -> column, of the keys of a person that are linked, the strongest first."""
_CONTACT = {"ticket": "ticket_id", "order": "order_id", "customer": "customer_id", "visitor": "visitor_id", "account": "account_id"}
_CASE = {"order": "order_id", "parcel": "delivery_id"}


def case_keys(events: pl.DataFrame) -> pl.Series:
    """The order of each event, else its parcel."""
    return events.select(pl.coalesce(_key(events, kind, column) for kind, column in _CASE.items()).alias("key")).to_series()


def contact_keys(events: pl.DataFrame) -> pl.Series:
    """The ticket of each event; of a survey that has none its order, else who answered."""
    keys = (*(_key(events, kind, column) for kind, column in _CONTACT.items()), pl.concat_str(pl.lit("event:"), "event_id"))
    return events.select(pl.coalesce(keys).alias("key")).to_series()


def partitions(site: pl.Series, key: pl.Series, n_partitions: int) -> NDArray[np.int32]:
    """The partition of each key, in a topic of so many: `hash64(site, key)` modulo their number, for ever."""
    found: NDArray[np.int32] = (hash64(site, key) % np.uint64(n_partitions)).astype(np.int32)
    return found


def case_links(events: pl.DataFrame, family: str) -> pl.DataFrame:
    """Parcels whose order an event knows; of each batch and partition every link once. Frames: -> LINKS and `partition`."""
    return _once(_links(events, family, _CASE))


def person_links(events: pl.DataFrame, family: str) -> pl.DataFrame:
    """What an event knows of whose it is. Frames: -> LINKS and `partition`.

    Cases:  a visitor -> every time, for a device may have several people, and time tells them apart | else of each batch and partition once
    """
    links = _links(events, family, _LINKED)
    is_visitor = pl.col("key").str.starts_with("visitor:")
    return pl.concat([links.filter(is_visitor), _once(links.filter(~is_visitor))])


def _links(events: pl.DataFrame, family: str, kinds: dict[str, str]) -> pl.DataFrame:
    """From every id of an event to its strongest."""
    known = list(_keys(events, kinds))
    strongest = pl.coalesce(known)
    told = ("partition", "site", "event_id", "event_at")
    found = [
        events.select(*told, key.alias("key"), strongest.alias("belongs_to")).filter(
            pl.col("key").is_not_null() & (pl.col("key") != pl.col("belongs_to"))
        )
        for key in known[1:]
    ]
    links = pl.concat([pl.DataFrame(schema={"partition": pl.Int32, **LINKS}).drop("told_by"), *found])
    return links.with_columns(pl.lit(family).alias("told_by")).select("partition", *LINKS)


def _keys(events: pl.DataFrame, kinds: dict[str, str]) -> Iterator[pl.Expr]:
    """Those of the kinds that this family can know."""
    return (_key(events, kind, column) for kind, column in kinds.items() if column in events.columns)


def _key(events: pl.DataFrame, kind: str, column: str) -> pl.Expr:
    if column not in events.columns:
        return pl.lit(None, dtype=pl.String)
    return pl.when(pl.col(column) != "").then(pl.concat_str(pl.lit(f"{kind}:"), column))


def _once(links: pl.DataFrame) -> pl.DataFrame:
    return links.unique(["partition", "site", "key", "belongs_to"], keep="first", maintain_order=True)
