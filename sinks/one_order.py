"""What the tables say of one order, or of any other document of commerce.

Cases:   an event of a parcel that names no order -> found by the parcel in what it said
         an event of a ticket that names no order -> found by the ticket
"""

# ruff: noqa: S608 - every value is quoted, names are ours

from collections.abc import Mapping

import polars as pl

from sinks.reader import Reader
from sinks.story_rows import among, quoted, rows, same, view

NAMING = ("cases", "deliveries", "sessions", "contacts")
"""Tables that can name an order, the one that tells most first."""
TABLES = (*NAMING, "steps", "signals", "outcomes", "answers", "events")
"""What is read."""


def orders(reader: Reader, order_id: str, site: str | None = None) -> pl.DataFrame:
    """Sites that have an order of this id: `site`, `order_id`, `tables` that name it. Raises: as `Reader.query`."""
    wanted = same(order_id=order_id, site=site)
    each = " UNION ALL ".join(f"SELECT site, '{table}' AS name FROM {view(reader, table)} WHERE {wanted}" for table in NAMING)
    return reader.query(
        f"SELECT site, {quoted(order_id)} AS order_id, arrayStringConcat(arraySort(groupUniqArray(name)), ', ') AS tables "
        f"FROM ({each}) GROUP BY site ORDER BY site"
    )


def case(reader: Reader, site: str, order_id: str) -> dict[str, object] | None:
    """Its row of `cases`; None: it has none. Raises: as `Reader.query`."""
    return next(iter(rows(reader, "cases", same(site=site, order_id=order_id), "order_id").to_dicts()), None)


def order_rows(reader: Reader, order: Mapping[str, object]) -> dict[str, pl.DataFrame]:
    """What there is about an order, by table; `cases`: those that came of it. Raises: as `Reader.query`."""
    site, order_id = order["site"], order["order_id"]
    of_site, its = same(site=site), same(site=site, order_id=order_id)
    contacts = rows(reader, "contacts", its, "opened_at, ticket_id")
    deliveries = rows(reader, "deliveries", its, "shipped_at, delivery_id")
    names_it = f"order_id = {quoted(order_id)} OR {among('ticket_id', contacts['ticket_id'])}"
    about = f"{of_site} AND ({names_it})"
    of_parcels = among("delivery_id", deliveries["delivery_id"])
    return {
        "contacts": contacts,
        "deliveries": deliveries,
        "sessions": rows(reader, "sessions", f"{of_site} AND (order_id = {quoted(order_id)} OR {_visit(order)})", "started_at"),
        "steps": rows(reader, "steps", same(site=site, instance="case", instance_id=order_id), "first_at, step_index"),
        "signals": rows(reader, "signals", about, "fired_at, signal, signal_id"),
        "outcomes": rows(reader, "outcomes", f"{of_site} AND ({names_it} OR {of_parcels})", "due_at, expectation"),
        "answers": rows(reader, "answers", about, "answered_at, kind"),
        "cases": rows(reader, "cases", same(site=site, parent_id=order_id), "opened_at, order_id"),
        "events": rows(reader, "events", f"{of_site} AND ({names_it} OR {_of_parcels(deliveries)})", "event_at, event_id"),
    }


def _visit(order: Mapping[str, object]) -> str:
    """The visit in which it was placed, as the order says."""
    visitor_id, session_id = order.get("visitor_id"), order.get("session_id")
    return f"({same(visitor_id=visitor_id, session_id=session_id)})" if visitor_id and session_id else "0"


def _of_parcels(deliveries: pl.DataFrame) -> str:
    """Events that name a parcel and no order: the parcel stands as a word in what they said."""
    words = " OR ".join(f"has(splitByChar(' ', detail), {quoted(each)})" for each in deliveries["delivery_id"])
    return f"(family = 'delivery' AND order_id = '' AND ({words}))" if words else "0"
