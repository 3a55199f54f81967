"""People of a simulated shop, put together from what the folds by visitor and by order say of the whole stream.

It stands in for the fold by person: all records are known, so a home is looked up once. Frames: -> PersonLog
"""

from datetime import timedelta

import polars as pl

from pipeline.expectations import EXPECTATIONS
from pipeline.person_log import CASE, LAPSE, PEOPLE, PERSON, SIGNAL, TICKETS, VISIT, PersonLog
from pipeline.simulator.simulator import Simulated

WINDOWS = {each.name: (each.silence, each.recovery) for each in EXPECTATIONS} | {
    "order_after_commit": (timedelta(hours=24), timedelta(days=7))
}


def people(told: Simulated, sessions: dict[str, pl.DataFrame], commerce: dict[str, pl.DataFrame], now: int) -> PersonLog:
    """Everybody, as one who has read everything knows them. `now`: epoch ms."""
    links = _links(told, sessions)
    visits = _known(sessions["sessions"].filter(pl.col("is_bot") == 0))
    visits = _homed(visits, "started_at", links)
    placed = (
        told.orders.filter(pl.col("event_type").cast(pl.String) == "order_placed")
        .group_by("site", "order_id")
        .agg(pl.col("event_at").min().alias("placed_at"), pl.col("cart_id").drop_nulls().first())
    )
    cases = _known(commerce["cases"]).join(placed, on=["site", "order_id"], how="left")
    cases = _homed(cases, "opened_at", links)
    home_of_visit = visits.select("site", "visitor_id", "session_id", "home")
    home_of_case = cases.select("site", "order_id", "home")
    carts = visits.select("site", "visitor_id", "session_id", "cart_id")
    of_visits = _known(sessions["outcomes"]).join(carts, on=["site", "visitor_id", "session_id"], how="left")
    lapses = pl.concat(
        [
            of_visits.join(home_of_visit, on=["site", "visitor_id", "session_id"]),
            _known(commerce["outcomes"]).join(home_of_case, on=["site", "order_id"]),
        ],
        how="diagonal",
    )
    silence = pl.col("expectation").replace_strict(
        {name: spans[0] for name, spans in WINDOWS.items()}, return_dtype=pl.Duration("ms")
    )
    recovery = pl.col("expectation").replace_strict(
        {name: spans[1] for name, spans in WINDOWS.items()}, return_dtype=pl.Duration("ms")
    )
    lapses = lapses.with_columns(
        (pl.col("lapsed_at") + silence).alias("silent_at"), (pl.col("lapsed_at") + recovery).alias("recovers_until")
    )
    signals = pl.concat(
        [
            _known(sessions["signals"]).join(home_of_visit, on=["site", "visitor_id", "session_id"]),
            _known(commerce["signals"]).join(home_of_case, on=["site", "order_id"]),
        ],
        how="diagonal",
    )
    tickets = _tickets(told, links, home_of_case)
    homes = pl.concat([frame.select("site", "home") for frame in (visits, cases, tickets)]).unique().sort("site", "home")
    homes = homes.with_row_index("person").with_columns(pl.col("person").cast(pl.Int64))
    everybody = homes.select(
        pl.lit(0, pl.Int32).alias("partition"),
        "site",
        pl.col("home").alias("key"),
        pl.when(pl.col("home").str.starts_with("customer:"))
        .then(pl.col("home").str.strip_prefix("customer:"))
        .alias("customer_id"),
        pl.lit(now, pl.Int64).alias("now_ms"),
    )

    def placed_at_home(frame: pl.DataFrame, shape: pl.Schema, *order: str) -> pl.DataFrame:
        whole = frame.join(homes, on=["site", "home"])
        absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in shape.items() if name not in whole.columns]
        wanted = pl.Schema({**PERSON, **shape})
        return whole.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in wanted.items()).sort("person", *order)

    return PersonLog(
        everybody.select(PEOPLE.names()),
        placed_at_home(tickets, pl.Schema({n: t for n, t in TICKETS.items() if n != "person"}), "event_at", "event_id"),
        placed_at_home(visits, VISIT, "started_at", "session_id"),
        placed_at_home(cases, CASE, "opened_at", "order_id"),
        placed_at_home(lapses, LAPSE, "lapsed_at", "expectation", "outcome_id"),
        placed_at_home(signals, SIGNAL, "fired_at", "signal", "signal_id"),
    )


def _known(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))


def _links(told: Simulated, sessions: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Which visitor was which customer when."""
    known = ("site", "visitor_id", pl.col("event_at").alias("linked_at"), "customer_id")
    seen = [sessions["identities"].select("site", "visitor_id", "linked_at", "customer_id")]
    seen += [events.select(known).drop_nulls() for events in (told.orders, told.tickets)]
    return pl.concat(seen).sort("linked_at", "customer_id", descending=[False, True])


def _homed(frame: pl.DataFrame, at: str, links: pl.DataFrame) -> pl.DataFrame:
    """With `home`: its own customer, else that of the visitor's next link, else the visitor, the account, the order."""
    found = frame.sort(at).join_asof(
        links.rename({"customer_id": "linked_customer_id"}).sort("linked_at"),
        left_on=at,
        right_on="linked_at",
        by=["site", "visitor_id"],
        strategy="forward",
        check_sortedness=False,
    )
    customer = pl.coalesce("customer_id", "linked_customer_id")
    parts = [("customer:", customer), ("visitor:", pl.col("visitor_id")), ("account:", pl.col("account_id"))]
    if "order_id" in frame.columns:
        parts.append(("order:", pl.col("order_id")))
    return found.with_columns(
        pl.coalesce(pl.when(value.is_not_null()).then(pl.concat_str(pl.lit(kind), value)) for kind, value in parts).alias("home")
    )


def _tickets(told: Simulated, links: pl.DataFrame, home_of_case: pl.DataFrame) -> pl.DataFrame:
    """Events of tickets at home: a ticket as a whole, by what any of its events knows."""
    who = ("customer_id", "visitor_id", "account_id", "order_id")
    events = told.tickets.with_columns(pl.coalesce("ticket_id", "event_id").alias("whole")).unique(["site", "event_id"])
    whole = events.group_by("site", "whole").agg(pl.col("event_at").min(), *(pl.col(name).drop_nulls().first() for name in who))
    whole = _homed(whole, "event_at", links).join(
        home_of_case.rename({"home": "home_of_case"}), on=["site", "order_id"], how="left"
    )
    is_weak = pl.col("home").is_null() | pl.col("home").str.starts_with("order:")
    home = pl.when(is_weak).then(pl.coalesce("home_of_case", "home")).otherwise("home")
    home = pl.coalesce(home, pl.concat_str(pl.lit("ticket:"), "whole"))
    return events.join(whole.select("site", "whole", home.alias("home")), on=["site", "whole"]).drop("whole")
