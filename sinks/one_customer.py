"""What the tables say of one customer.

Cases:   a guest's order -> the customer's whose login comes next on that browser, as a visit without a login is
"""

# ruff: noqa: S608 - every value is quoted, names are ours

import polars as pl

from sinks.reader import Reader
from sinks.story_rows import among, quoted, rows, same, view

NAMING = ("customers", "sessions", "cases", "contacts", "outcomes", "identities")
"""Tables that can name a customer, the one that tells most first."""
TABLES = (*NAMING, "steps", "signals", "answers", "events")
"""What is read."""


def customers(reader: Reader, customer_id: str, site: str | None = None) -> pl.DataFrame:
    """Sites that have a customer of this id: `site`, `customer_id`, `tables` that name them. Raises: as `Reader.query`."""
    wanted = same(customer_id=customer_id, site=site)
    each = " UNION ALL ".join(f"SELECT site, '{table}' AS name FROM {view(reader, table)} WHERE {wanted}" for table in NAMING)
    return reader.query(
        f"SELECT site, {quoted(customer_id)} AS customer_id, arrayStringConcat(arraySort(groupUniqArray(name)), ', ') AS tables "
        f"FROM ({each}) GROUP BY site ORDER BY site"
    )


def customer(reader: Reader, site: str, customer_id: str) -> dict[str, object] | None:
    """The row of `customers`; None: there is none. Raises: as `Reader.query`."""
    return next(iter(rows(reader, "customers", same(site=site, customer_id=customer_id), "customer_id").to_dicts()), None)


def customer_rows(reader: Reader, site: str, customer_id: str, *, with_events: bool) -> dict[str, pl.DataFrame]:
    """What there is about a customer, by table; steps and events if they are asked for. Raises: as `Reader.query`."""
    of_site, theirs = same(site=site), same(site=site, customer_id=customer_id)
    links = rows(reader, "identities", theirs, "linked_at, visitor_id")
    cases = _cases(reader, of_site, customer_id, links)
    contacts = rows(reader, "contacts", theirs, "opened_at, ticket_id")
    sessions = rows(reader, "sessions", theirs, "started_at, visitor_id, session_id")
    in_visits = f"(visitor_id, session_id) IN (SELECT visitor_id, session_id FROM {view(reader, 'sessions')} WHERE {theirs})"
    of_orders, of_tickets = among("order_id", cases["order_id"]), among("ticket_id", contacts["ticket_id"])
    nobodys = f"customer_id = '' AND ({in_visits} OR {of_orders} OR {of_tickets})"
    mine = f"{of_site} AND (customer_id = {quoted(customer_id)} OR {nobodys})"
    found = {
        "identities": links,
        "cases": cases,
        "contacts": contacts,
        "sessions": sessions,
        "signals": rows(reader, "signals", mine, "fired_at, signal, signal_id"),
        "outcomes": rows(reader, "outcomes", mine, "due_at, expectation"),
        "answers": rows(reader, "answers", mine, "answered_at, kind"),
    }
    if not with_events:
        return found
    of_cases = f"instance = 'case' AND {among('instance_id', cases['order_id'])}"
    steps = f"{of_site} AND (instance = 'session' AND {in_visits} OR {of_cases})"
    browsers = among("visitor_id", sessions["visitor_id"])
    events = (
        f"{of_site} AND (customer_id = {quoted(customer_id)} OR {of_orders} OR {of_tickets} OR customer_id = '' AND {browsers})"
    )
    return found | {
        "steps": rows(reader, "steps", steps, "first_at, step_index"),
        "events": _of_visits(rows(reader, "events", events, "event_at, event_id"), sessions),
    }


def _of_visits(events: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Without what others did on the same browser: a click that names nobody lies within a visit of theirs."""
    spans = sessions.sort("started_at").select("visitor_id", "started_at", "ended_at")
    placed = events.sort("event_at").join_asof(
        spans, left_on="event_at", right_on="started_at", by="visitor_id", strategy="backward", check_sortedness=False
    )
    is_theirs = (pl.col("family") != "clickstream") | (pl.col("customer_id") != "") | (pl.col("event_at") <= pl.col("ended_at"))
    return placed.filter(is_theirs).select(events.columns)


def _cases(reader: Reader, of_site: str, customer_id: str, links: pl.DataFrame) -> pl.DataFrame:
    """Their orders, and those that a guest placed on a browser on which they logged in next."""
    visitors = among("visitor_id", links["visitor_id"])
    wanted = f"{of_site} AND (customer_id = {quoted(customer_id)} OR customer_id = '' AND {visitors})"
    found = rows(reader, "cases", wanted, "opened_at, order_id")
    every = rows(reader, "identities", f"{of_site} AND {visitors}", "linked_at, visitor_id")
    following = found.sort("opened_at").join_asof(
        every.sort("linked_at").select("visitor_id", "linked_at", pl.col("customer_id").alias("next_customer")),
        left_on="opened_at",
        right_on="linked_at",
        by="visitor_id",
        strategy="forward",
        check_sortedness=False,
    )
    theirs = (pl.col("customer_id") == customer_id) | (pl.col("next_customer") == customer_id)
    return following.filter(theirs).sort("opened_at", "order_id").select(found.columns)
