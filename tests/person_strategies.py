"""People made to be mixed up: devices that several share, orders of guests, tickets that know little, companies of two; and what is told of them here, so that whose a
record is shows in a row."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

import numpy as np
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from pipeline.journeys_views import PeopleTold
from pipeline.person_log import PersonLog
from tests.builders import MONDAY, Event

RULES = JourneysRules()
FEW = settings(max_examples=15, deadline=None)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def tell(log: PersonLog, _seen: pl.DataFrame, _rules: JourneysRules) -> PeopleTold:
    """Of every ticket, how many of its events are at home and with whom; of every lapse with whom it is, and how many signals, visits and cases are there too."""
    people = log.people.with_row_index("person").with_columns(pl.col("person").cast(pl.Int64))
    whose = people.select("person", "partition", pl.col("key").alias("detail"))
    together = _counted(log)
    tickets = (
        log.tickets.filter(pl.col("ticket_id").is_not_null())
        .group_by("person", "site", "ticket_id")
        .agg(pl.len().cast(pl.Float64).alias("value"))
        .join(whose, on="person")
        .select(
            "partition",
            "site",
            pl.lit("ticket").alias("signal"),
            pl.col("ticket_id").alias("signal_id"),
            "ticket_id",
            "value",
            "detail",
        )
    )
    lapses = (
        log.lapses.join(whose, on="person")
        .join(together, on="person")
        .select(
            "partition",
            "site",
            "expectation",
            "outcome_id",
            pl.col("detail").alias("cause"),
            pl.col("together").alias("cause_id"),
            "value_minor",
        )
    )
    return PeopleTold({"signals": tickets, "outcomes": lapses}, np.full(people.height, NEVER, dtype=np.int64))


def _counted(log: PersonLog) -> pl.DataFrame:
    counts = log.people.select(pl.int_range(pl.len()).alias("person"))
    for name in ("visits", "cases", "signals", "tickets"):
        rows: pl.DataFrame = getattr(log, name)
        counts = counts.join(rows.group_by("person").agg(pl.len().alias(name)), on="person", how="left")
    return counts.select("person", pl.concat_str(pl.all().exclude("person").fill_null(0), separator=" ").alias("together"))


@dataclass(frozen=True)
class Town:
    """What comes, in the order in which it happened: rows as PeopleLine takes them."""

    rows: tuple[Event, ...]


_CUSTOMERS, _VISITORS, _ORDERS, _TICKETS = ("anna", "bert"), ("v", "w"), ("1", "2"), ("S", "T")


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """Up to twelve things that are heard of two customers, two devices, two orders and two tickets."""
    said = draw(st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 2**32)), min_size=1, max_size=12))
    rows = []
    for place, (kind, seed) in enumerate(said):
        rng = Random(seed)
        at = MONDAY + rng.randint(0, 20) * HOUR
        rows.append({"site": "shop", "record_at": MONDAY, "said_version": place, **_SAID[kind](rng, at, place)})
    return Town(tuple(rows))


def _visit(rng, at, _place):
    visitor, session = rng.choice(_VISITORS), rng.choice("ab")
    customer = rng.choice((*_CUSTOMERS, None, None, None))
    times = {"started_at": at, "ended_at": at}
    return {
        "family": "visit",
        "key": f"visitor:{visitor}",
        "visitor_id": visitor,
        "session_id": session,
        "customer_id": customer,
        **times,
        **_maybe_gone(rng),
    }


def _case(rng, at, _place):
    order = rng.choice(_ORDERS)
    return {"family": "case", "key": f"order:{order}", "order_id": order, "opened_at": at, "placed_at": at, **_maybe_gone(rng)}


def _lapse(rng, at, _place):
    number = rng.randint(0, 2)
    whose = {"visitor_id": rng.choice(_VISITORS), "session_id": rng.choice("ab")} if number else {"order_id": rng.choice(_ORDERS)}
    # One id lies under one key for ever.
    outcome = f"{number} {whose.get('visitor_id')} {whose.get('order_id')}"
    key = f"visitor:{whose['visitor_id']}" if number else f"order:{whose['order_id']}"
    times = {"began_at": at, "due_at": at, "lapsed_at": at}
    return {
        "family": "lapse",
        "key": key,
        "expectation": "any",
        "outcome_id": outcome,
        "value_minor": rng.randint(1, 3),
        **whose,
        **times,
        **_maybe_gone(rng),
    }


def _signal(rng, at, _place):
    visitor = rng.choice(_VISITORS)
    said = {
        "signal": "any",
        "signal_id": f"{rng.randint(0, 1)} {visitor}",
        "fired_at": at,
        "visitor_id": visitor,
        "session_id": rng.choice("ab"),
    }
    return {"family": "signal", "key": f"visitor:{visitor}", **said, **_maybe_gone(rng)}


def _ticket(rng, at, place):
    ticket = rng.choice((*_TICKETS, *_TICKETS, None))
    order = rng.choice((*_ORDERS, None))
    key = (
        f"ticket:{ticket}"
        if ticket
        else f"order:{order}"
        if order
        else rng.choice(("customer:anna", "visitor:v", "account:acme", f"event:{place}"))
    )
    return {
        "family": "ticket",
        "key": key,
        "event_id": str(place),
        "event_type": "customer_message",
        "event_at": at,
        "ticket_id": ticket,
        "order_id": order,
    }


def _login(rng, at, place):
    """Clicks and orders never tell at the same time: which of the two writes the row of `identities` would be chance."""
    told_by, later = rng.choice((("clickstream", HOUR / 2), ("order", 0 * HOUR)))
    return _link(f"visitor:{rng.choice(_VISITORS)}", f"customer:{rng.choice(_CUSTOMERS)}", at + later, place, told_by)


def _order_link(rng, at, place):
    to = rng.choice((*(f"customer:{each}" for each in _CUSTOMERS), *(f"visitor:{each}" for each in _VISITORS)))
    return _link(f"order:{rng.choice(_ORDERS)}", to, at, place, "order")


def _ticket_link(rng, at, place):
    to = rng.choice(("customer:anna", "visitor:v", "visitor:w", "order:1", "order:2"))
    return _link(f"ticket:{rng.choice(_TICKETS)}", to, at, place, "ticket")


def _link(key, belongs_to, at, place, told_by):
    return {"family": "link", "event_id": str(place), "event_at": at, "key": key, "belongs_to": belongs_to, "told_by": told_by}


def _maybe_gone(rng):
    return {"is_deleted": int(rng.random() < 0.2)}


_SAID = {
    "visit": _visit,
    "case": _case,
    "lapse": _lapse,
    "signal": _signal,
    "ticket": _ticket,
    "login": _login,
    "order is": _order_link,
    "ticket is": _ticket_link,
}
_KINDS = (*_SAID, "login", "lapse", "ticket")
