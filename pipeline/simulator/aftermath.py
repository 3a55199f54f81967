"""What people make of it: who writes to support, who stays and comes back by a rhythm of their own, and who leaves for good.

Frames:  Stories, Groups -> events of the families `order`, `delivery`, `ticket` with `visit`; truth: CASES, INCIDENTS, CONTACTS, CUSTOMERS
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.case_truth import CASES, CONTACTS, INCIDENTS, WAITS
from pipeline.simulator.cases import Group, groups, met
from pipeline.simulator.columns import TIME
from pipeline.simulator.contacts import contacts, senders, tickets_of_visits
from pipeline.simulator.decisions import decisions, people, place, time_where_it_is, times
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import told
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.stories import Stories
from pipeline.simulator.tickets import Served, surveys


@dataclass(frozen=True)
class Aftermath:
    """All that follows from some visits."""

    orders: pl.DataFrame
    """Events of the contract, with the row of the `visit` that they go back to; so the next two."""
    deliveries: pl.DataFrame
    tickets: pl.DataFrame
    cases: pl.DataFrame
    """case_truth.CASES, with `visit` and `ended_ms`; the next three likewise."""
    incidents: pl.DataFrame
    contacts: pl.DataFrame
    customers: pl.DataFrame
    next_ms: Ints
    """When the person of each visit comes back by their rhythm; NEVER_MS: no order decides that."""
    has_left: Bools
    """The person of each visit has left for good."""
    ticket_id: pl.Series
    """The ticket about each visit."""
    n_orders: Ints
    n_contacts: Ints


@dataclass(frozen=True)
class _Known:
    """What the truth is written from."""

    story: Stories
    facts: pl.DataFrame
    cells: pl.DataFrame
    """cases.CELLS with `ticket`, the row of `contacted`: null where it belongs to none; `case` is -1 where it belongs to none."""
    contacted: pl.DataFrame
    served: Served
    decided: pl.DataFrame
    ended_ms: Ints


def aftermath(rng: np.random.Generator, story: Stories, weather: Weather) -> Aftermath:
    """Tell what follows from these visits."""
    parts = groups(rng, story, weather)
    facts = pl.concat([part.facts for part in parts])
    begins = np.cumsum([0, *(part.facts.height for part in parts)])
    cells = pl.concat([part.cells.with_columns(pl.col("case") + first) for part, first in zip(parts, begins, strict=False)])
    orders, deliveries = (_of_visits(parts, begins, facts, family) for family in ("orders", "deliveries"))

    contacted, served = contacts(rng, story, facts, cells, weather)
    whose = senders(rng, contacted, served)
    of_tickets = told(rng, "ticket", served.blocks, whose)
    n_bad = np.bincount(cells["case"].to_numpy(), minlength=facts.height)
    asked = np.flatnonzero(facts["asks"].to_numpy())
    answers = told(
        rng, "ticket", surveys(rng, facts["delivered_ms"].to_numpy()[asked], n_bad[asked]), facts.select("site", "customer_id", "visitor_id", "order_id")[asked]
    )  # fmt: skip
    from_tickets = met("ticket", of_tickets).with_columns(pl.col("case").alias("ticket"))
    from_tickets = from_tickets.with_columns(contacted["case"].gather(from_tickets["ticket"]).alias("case"))
    from_answers = met("ticket", answers).with_columns(
        pl.lit(None, pl.Int64).alias("ticket"), pl.Series("case", asked)[met("ticket", answers)["case"]]
    )
    all_cells = pl.concat([cells.with_columns(pl.lit(None, pl.Int64).alias("ticket")), from_tickets, from_answers])

    ended_ms = _ended(facts, contacted, served)
    decided = decisions(rng, facts, all_cells, ended_ms)
    tickets_told = pl.concat(
        [
            of_tickets.with_columns(contacted["visit"].gather(of_tickets["case"]).alias("visit")),
            answers.with_columns(facts["visit"].gather(asked).gather(answers["case"]).alias("visit")),
        ]
    )
    n_contacts = np.bincount(contacted["visit"].to_numpy(), minlength=story.visits.height)
    known = _Known(story, facts, all_cells, contacted, served, decided, ended_ms)
    n_events = sum(np.bincount(frame["case"].to_numpy(), minlength=facts.height) for frame in (orders, deliveries))
    next_ms, has_left, customers = people(story, facts, decided, ended_ms, n_contacts)
    return Aftermath(
        orders=orders,
        deliveries=deliveries,
        tickets=tickets_told,
        cases=_cases(known, np.asarray(n_events)),
        incidents=_incidents(known),
        contacts=_told_contacts(known, of_tickets, weather),
        customers=customers,
        next_ms=next_ms,
        has_left=has_left,
        ticket_id=tickets_of_visits(story, contacted, served),
        n_orders=np.bincount(facts.filter(pl.col("document_type") == "order")["visit"].to_numpy(), minlength=story.visits.height),
        n_contacts=n_contacts,
    )


def _of_visits(parts: list[Group], begins: Ints, facts: pl.DataFrame, family: str) -> pl.DataFrame:
    told_all: pl.DataFrame = pl.concat(
        [getattr(part, family).with_columns(pl.col("case") + first) for part, first in zip(parts, begins, strict=False)]
    )
    return told_all.with_columns(facts["visit"].gather(told_all["case"]).alias("visit"))


def _ended(facts: pl.DataFrame, contacted: pl.DataFrame, served: Served) -> Ints:
    """When the last of each case has happened, its tickets among it."""
    ended_ms = facts["ended_ms"].to_numpy().copy()
    case = contacted["case"].to_numpy()
    np.maximum.at(ended_ms, case[case >= 0], served.ended_ms[case >= 0])
    return ended_ms


def _cases(known: _Known, n_events: Ints) -> pl.DataFrame:
    """Frames: -> CASES, with `visit` and `ended_ms`."""
    story, facts, decided, contacted, ended_ms = known.story, known.facts, known.decided, known.contacted, known.ended_ms
    n = facts.height
    of_cases = known.cells.filter(pl.col("case") >= 0).sort("at_ms")
    is_wait = pl.col("kind").is_in(WAITS)
    lists = of_cases.group_by("case").agg(
        pl.col("kind").filter(~is_wait).unique(maintain_order=True).alias("met"),
        pl.col("kind").filter(is_wait).unique(maintain_order=True).alias("waited"),
    )
    case = contacted["case"].to_numpy()
    return (
        facts.with_row_index("case")
        .with_columns(
            *decided,
            pl.col("case").cast(pl.Int64),
            story.truth["visit_id"].gather(facts["visit"]),
            pl.col("order_id").alias("case_id"),
            time_where_it_is("began_ms").alias("began_at"),
            time_where_it_is("promised_ms").alias("promised_at"),
            time_where_it_is("delivered_ms").alias("delivered_at"),
            pl.Series("ended_ms", ended_ms),
            pl.Series(ended_ms).cast(TIME).alias("ended_at"),
            pl.Series("n_contacts", np.bincount(case[case >= 0], minlength=n)),
            pl.Series("n_events", n_events),
            place(decided["because"], 0).alias("left_at_journey"),
            place(decided["because"], 1).alias("left_at_step"),
        )
        .join(lists, on="case", how="left", maintain_order="left")
        .with_columns(pl.col("met", "waited").fill_null([]))
        .select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CASES.items()))
    )


def _incidents(known: _Known) -> pl.DataFrame:
    """Frames: -> INCIDENTS, with `visit` and `ended_ms`."""
    facts, contacted, served, decided = known.facts, known.contacted, known.served, known.decided
    shown = known.cells.filter(pl.col("event_id").is_not_null())
    case, ticket = shown["case"].to_numpy(), shown["ticket"].fill_null(-1).to_numpy()
    has_case, has_ticket = pl.Series(case >= 0), pl.Series(ticket >= 0)
    ours = ("visit", "site", "customer_id", "visitor_id")
    of_case = pl.concat([facts.select(*ours, "order_id"), facts.select(*ours, "order_id").clear(1)])[
        np.where(case >= 0, case, facts.height)
    ]
    of_ticket = pl.concat([contacted.select(*ours), contacted.select(*ours).clear(1)])[
        np.where(ticket >= 0, ticket, contacted.height)
    ]
    ticket_id = pl.concat([served.ticket_id, pl.Series([None], dtype=pl.String)]).gather(
        np.where(ticket >= 0, ticket, contacted.height)
    )
    cause = pl.concat([decided.select("because", "decided_ms"), pl.DataFrame({"because": [""], "decided_ms": [-1]})])[
        np.where(case >= 0, case, facts.height)
    ]
    return shown.with_columns(
        *(of_case[name].zip_with(has_case, of_ticket[name]) for name in ours),
        of_case["order_id"].zip_with(has_case, pl.repeat(None, shown.height, dtype=pl.String, eager=True)).alias("case_id"),
        ticket_id.zip_with(has_ticket, pl.repeat(None, shown.height, dtype=pl.String, eager=True)).alias("ticket_id"),
        time_where_it_is("at_ms").alias("at"),
        ((shown["kind"] == cause["because"]) & (shown["at_ms"] == cause["decided_ms"])).alias("made_leave"),
        pl.col("at_ms").alias("ended_ms"),
    ).select("visit", "ended_ms", *INCIDENTS.names())


def _told_contacts(known: _Known, events: pl.DataFrame, weather: Weather) -> pl.DataFrame:
    """Frames: -> CONTACTS, with `visit` and `ended_ms`."""
    story, facts, contacted, served = known.story, known.facts, known.contacted, known.served
    n = contacted.height
    case = contacted["case"].to_numpy()
    case_id = pl.concat([facts["order_id"], pl.Series([None], dtype=pl.String)]).gather(np.where(case >= 0, case, facts.height))
    shock = "" if weather.scenario.support is None else weather.scenario.support.name
    return contacted.select(
        "visit", pl.Series("ended_ms", served.ended_ms), served.ticket_id.alias("ticket_id"), "site",
        story.truth["visit_id"].gather(contacted["visit"]).alias("visit_id"), case_id.alias("case_id"), "customer_id", "visitor_id",
        "about", "topic", "journey", "step", served.channel.alias("channel"), "nth", time_where_it_is("at_ms").alias("opened_at"),
        times(served.replied_ms).alias("replied_at"), times(served.solved_ms).alias("solved_at"),
        pl.Series("is_service_good", served.is_good), pl.Series("has_left", served.has_left),
        pl.Series("shock", np.where(served.is_shocked, shock, "")),
        pl.Series("n_events", np.bincount(events["case"].to_numpy(), minlength=n)),
    ).select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CONTACTS.items()))  # fmt: skip
