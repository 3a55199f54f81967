"""What people make of it: who writes to support, who stays and comes back by a rhythm of their own, and who leaves for good.

Frames:  Stories, Groups -> events of the families `order`, `delivery`, `ticket` with `visit`; truth: CASES, INCIDENTS, CONTACTS, CUSTOMERS
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.case_truth import CASES, CONTACTS, CUSTOMERS, INCIDENTS, LEAVE, LEAVE_FOR_NO_REASON, PLACES, WAITS
from pipeline.simulator.cases import CELLS, Group, groups, met
from pipeline.simulator.columns import TIME
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import about, told
from pipeline.simulator.orders import NEVER_MS
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.stories import Stories
from pipeline.simulator.tickets import CONTACTED, Served, surveys, tickets
from pipeline.simulator.truth import NO_REASON
from pipeline.simulator.words import LANGUAGES

CONTACT = {
    "payment_declined_twice": 0.25, "eta_slip": 0.18, "failed_attempt": 0.12, "delivery_exception": 0.30, "return_soon": 0.10,
    "late_delivery": 0.15, "lost_parcel": 0.65, "slow_quote": 0.15, "slow_approval": 0.05, "stalled_onboarding": 0.20,
}  # fmt: skip
"""Probability that who meets it, or waits so, writes to support about it; about a case once, and again if that was no use."""
CONTACT_OF_VISIT = 0.10
"""Probability that who leaves a visit because of a friction writes to support: the others go without a word."""
HOW_TO_OF_CASE, HOW_TO_OF_VISIT = 0.04, 0.002
"""Probability of a question that nothing gave rise to."""
IN_A_FLOOD = 8.0
"""Factor of all of these while support is flooded."""
_AGAIN = (0.35, 0.05)
"""Probability that a ticket served badly, and well, is followed by another one about the same."""
_AGAIN_IF_LEFT = 0.4
_ROUNDS = 3
_TOPICS = {"order": "order", "return": "return", "rfq": "quote", "approval": "approval", "onboarding": "account"}
_UNKNOWN_SENDERS = 0.03
"""Of the tickets that are not chats, those that say nothing of who writes."""


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


def aftermath(rng: np.random.Generator, story: Stories, weather: Weather) -> Aftermath:
    """Tell what follows from these visits."""
    parts = groups(rng, story, weather)
    facts = pl.concat([part.facts for part in parts])
    begins = np.cumsum([0, *(part.facts.height for part in parts)])
    cells = pl.concat([part.cells.with_columns(pl.col("case") + first) for part, first in zip(parts, begins, strict=False)])
    orders, deliveries = (_of_visits(parts, begins, facts, family) for family in ("orders", "deliveries"))

    contacted, served = _contacts(rng, story, facts, cells, weather)
    whose = _senders(rng, contacted, served)
    of_tickets = told(rng, "ticket", served.blocks, whose)
    n_bad = np.bincount(cells["case"].to_numpy(), minlength=facts.height)
    asked = np.flatnonzero(facts["asks"].to_numpy())
    answers = told(
        rng, "ticket", surveys(rng, facts["delivered_ms"].to_numpy()[asked], n_bad[asked]), facts.select("site", "customer_id", "visitor_id", "order_id")[asked]
    )  # fmt: skip
    from_tickets = met("ticket", of_tickets).with_columns(pl.col("case").alias("ticket"))
    from_tickets = from_tickets.with_columns(contacted["case"].gather(from_tickets["ticket"]).alias("case"))
    from_answers = met("ticket", answers).with_columns(pl.lit(None, pl.Int64).alias("ticket"), pl.Series("case", asked)[met("ticket", answers)["case"]])
    all_cells = pl.concat([cells.with_columns(pl.lit(None, pl.Int64).alias("ticket")), from_tickets, from_answers])

    ended_ms = _ended(facts, contacted, served)
    decided = _decisions(rng, facts, all_cells, ended_ms)
    tickets_told = pl.concat(
        [
            of_tickets.with_columns(contacted["visit"].gather(of_tickets["case"]).alias("visit")),
            answers.with_columns(facts["visit"].gather(asked).gather(answers["case"]).alias("visit")),
        ]
    )
    n_contacts = np.bincount(contacted["visit"].to_numpy(), minlength=story.visits.height)
    cases = _cases(story, facts, all_cells, decided, contacted, orders, deliveries, ended_ms)
    next_ms, has_left, customers = _people(story, facts, decided, ended_ms, n_contacts)
    return Aftermath(
        orders=orders,
        deliveries=deliveries,
        tickets=tickets_told,
        cases=cases,
        incidents=_incidents(facts, all_cells, contacted, served, decided),
        contacts=_told_contacts(story, facts, contacted, served, of_tickets, weather),
        customers=customers,
        next_ms=next_ms,
        has_left=has_left,
        ticket_id=_tickets_of_visits(story, contacted, served),
        n_orders=np.bincount(facts.filter(pl.col("document_type") == "order")["visit"].to_numpy(), minlength=story.visits.height),
        n_contacts=n_contacts,
    )


def _of_visits(parts: list[Group], begins: Ints, facts: pl.DataFrame, family: str) -> pl.DataFrame:
    told_all = pl.concat([getattr(part, family).with_columns(pl.col("case") + first) for part, first in zip(parts, begins, strict=False)])
    return told_all.with_columns(facts["visit"].gather(told_all["case"]).alias("visit"))


def _contacts(
    rng: np.random.Generator, story: Stories, facts: pl.DataFrame, cells: pl.DataFrame, weather: Weather
) -> tuple[pl.DataFrame, Served]:
    """Everybody who writes to support, again and again if need be."""
    found = pl.concat([_about_cases(rng, facts, cells, weather), _about_visits(rng, story, weather)])
    rounds, asked = [], found
    for _ in range(_ROUNDS):
        if not asked.height:
            break
        rounds.append((asked, tickets(rng, asked, weather)))
        served = rounds[-1][1]
        n = asked.height
        chance = np.where(served.has_left, _AGAIN_IF_LEFT, np.array(_AGAIN)[served.is_good.astype(np.int64)])
        again = rng.random(n) < chance
        later_ms = served.ended_ms + about(rng, n, 16 * HOUR_MS, 0.6) + HOUR_MS
        asked = asked.with_columns(pl.Series("at_ms", later_ms), pl.col("nth") + 1).filter(pl.Series(again))
    if not rounds:
        return found, tickets(rng, found, weather)
    contacted = pl.concat([asked for asked, _ in rounds])
    offset, blocks = 0, []
    for asked, served in rounds:
        blocks += [block.with_columns(pl.col("case") + offset) for block in served.blocks]
        offset += asked.height
    everything = [served for _, served in rounds]
    arrays = ("is_good", "is_shocked", "replied_ms", "solved_ms", "has_left", "ended_ms")
    return contacted, Served(
        blocks=blocks,
        ticket_id=pl.concat([served.ticket_id for served in everything]),
        channel=pl.concat([served.channel for served in everything]),
        **{name: np.concatenate([getattr(served, name) for served in everything]) for name in arrays},
    )


def _about_cases(rng: np.random.Generator, facts: pl.DataFrame, cells: pl.DataFrame, weather: Weather) -> pl.DataFrame:
    """Contacts about what was met or waited for, at most one a case, and questions. Frames: -> CONTACTED."""
    n = facts.height
    questions = pl.DataFrame({"case": np.arange(n), "kind": ["how_to"] * n, "at_ms": facts["began_ms"]}, schema=dict(list(CELLS.items())[:3]))
    could = pl.concat([cells.select("case", "kind", "at_ms"), questions])
    at_ms = could["at_ms"].to_numpy() + about(rng, could.height, 2 * HOUR_MS, 0.9) + 60_000
    chance = could["kind"].replace_strict({**CONTACT, "how_to": HOW_TO_OF_CASE}, default=0.0, return_dtype=pl.Float64).to_numpy()
    writes = rng.random(could.height) < _in_weather(chance, at_ms, weather)
    chosen = could.with_columns(pl.Series("at_ms", at_ms)).filter(pl.Series(writes)).sort("case", "at_ms").unique("case", keep="first", maintain_order=True)
    whose = facts.drop("began_ms", "promised_ms", "delivered_ms", "ended_ms", "outcome", "shock", "asks", "parent_id")[chosen["case"]]
    place = chosen["kind"].replace_strict({kind: journey for kind, (journey, _) in PLACES.items()}, default="order", return_dtype=pl.String)
    is_question = chosen["kind"] == "how_to"
    topic = place.replace_strict(_TOPICS, default="order", return_dtype=pl.String)
    step = chosen["kind"].replace_strict({kind: step for kind, (_, step) in PLACES.items()}, default="placed", return_dtype=pl.String)
    return (
        chosen.with_columns(
            *whose,
            pl.col("kind").alias("about"),
            pl.Series("topic", ["how_to"]).new_from_index(0, chosen.height).zip_with(is_question, topic),
            place.alias("journey"),
            step.alias("step"),
            pl.lit(None, pl.String).alias("page"),
            pl.lit(0, pl.Int64).alias("nth"),
        )
        .select(CONTACTED.names())
        .cast(dict(CONTACTED))
    )


def _about_visits(rng: np.random.Generator, story: Stories, weather: Weather) -> pl.DataFrame:
    """Contacts of those who left a visit because of a friction, and questions. Frames: -> CONTACTED."""
    whole, visits = story.truth, story.visits
    hurt = ((whole["ended_by"] != "") & ~whole["is_bot"]).to_numpy()
    at_ms = whole["ended_at"].to_physical().to_numpy() + about(rng, whole.height, 20 * 60_000, 1.2) + 30_000
    chance = np.where(hurt, CONTACT_OF_VISIT, np.where(whole["is_bot"].to_numpy(), 0.0, HOW_TO_OF_VISIT))
    writes = np.flatnonzero(rng.random(whole.height) < _in_weather(chance, at_ms, weather))
    fatal = story.frictions.filter("made_leave").select("visit_id", pl.col("page").alias("at_page"))
    chosen = whole.with_columns(visits["country"], visits["account_id"])[writes].join(fatal, on="visit_id", how="left", maintain_order="left")
    is_hurt = pl.Series(hurt[writes])
    return chosen.select(
        pl.Series("visit", writes),
        pl.lit(-1, pl.Int64).alias("case"),
        pl.when(is_hurt).then("ended_by").otherwise(pl.lit("how_to")).alias("about"),
        pl.when(is_hurt).then(pl.lit("shop")).otherwise(pl.lit("how_to")).alias("topic"),
        pl.when(is_hurt).then(pl.lit("shop")).alias("journey"),
        pl.when(is_hurt & (pl.col("furthest_step") != "")).then("furthest_step").alias("step"),
        pl.col("at_page").alias("page"),
        pl.Series("at_ms", at_ms[writes]),
        pl.lit(0, pl.Int64).alias("nth"),
        "site", "country", "visitor_id", "session_id", "customer_id",
        pl.when(pl.col("customer_id").is_not_null()).then("account_id").alias("account_id"),
        pl.lit(None, pl.String).alias("order_id"),
    ).cast(dict(CONTACTED))  # fmt: skip


def _in_weather(chance: np.ndarray, at_ms: Ints, weather: Weather) -> np.ndarray:
    flooded = weather.hits(weather.scenario.support, at_ms)
    return np.where(flooded, np.minimum(chance * IN_A_FLOOD, 0.9), chance)


def _senders(rng: np.random.Generator, contacted: pl.DataFrame, served: Served) -> pl.DataFrame:
    """What a ticket's events say of who writes: a chat knows the browser, a mail the customer or the order, some nothing at all."""
    is_chat = served.channel == "chat"
    known = is_chat | pl.Series(rng.random(contacted.height) >= _UNKNOWN_SENDERS)
    return contacted.select(
        "site",
        served.ticket_id.alias("ticket_id"),
        served.channel.alias("channel"),
        pl.col("country").replace_strict(LANGUAGES, default="en", return_dtype=pl.String).alias("language"),
        pl.when(known).then("order_id").alias("order_id"),
        pl.when(known).then("customer_id").alias("customer_id"),
        pl.when(known).then("account_id").alias("account_id"),
        pl.when(is_chat).then("visitor_id").alias("visitor_id"),
        pl.when(is_chat & (pl.col("case") < 0)).then("session_id").alias("session_id"),
    )


def _ended(facts: pl.DataFrame, contacted: pl.DataFrame, served: Served) -> Ints:
    """When the last of each case has happened, its tickets among it."""
    ended_ms = facts["ended_ms"].to_numpy().copy()
    case = contacted["case"].to_numpy()
    np.maximum.at(ended_ms, case[case >= 0], served.ended_ms[case >= 0])
    return ended_ms


def _decisions(rng: np.random.Generator, facts: pl.DataFrame, cells: pl.DataFrame, ended_ms: Ints) -> pl.DataFrame:
    """Who leaves for good, because of what. Frames: -> a row a case: `left`, `because`, `chance`, `decided_ms`."""
    n = facts.height
    of_cases = cells.filter(pl.col("case") >= 0).unique(["case", "kind"], keep="first", maintain_order=True)
    chance = of_cases["kind"].replace_strict(LEAVE, default=0.0, return_dtype=pl.Float64)
    fatal = (
        of_cases.with_columns(chance.alias("chance"))
        .filter(pl.Series(rng.random(of_cases.height)) < chance)
        .sort("case", "at_ms")
        .unique("case", keep="first", maintain_order=True)
        .select("case", pl.col("kind").alias("because"), "chance", pl.col("at_ms").alias("decided_ms"))
    )
    tired = rng.random(n) < LEAVE_FOR_NO_REASON
    decided = pl.DataFrame({"case": np.arange(n), "tired": tired, "ended_ms": ended_ms}).join(fatal, on="case", how="left", maintain_order="left")
    return decided.select(
        (pl.col("because").is_not_null() | pl.col("tired")).alias("left"),
        pl.coalesce("because", pl.when("tired").then(pl.lit(NO_REASON)).otherwise(pl.lit(""))).alias("because"),
        pl.coalesce("chance", pl.when("tired").then(LEAVE_FOR_NO_REASON).otherwise(0.0)).alias("chance"),
        pl.coalesce("decided_ms", "ended_ms").alias("decided_ms"),
    )


def _place(because: pl.Series, which: int) -> pl.Series:
    """Journey or step of a cause; who leaves for no reason does so at the end."""
    places = {kind: place[which] for kind, place in PLACES.items()}
    return because.replace_strict({**places, NO_REASON: ("order", "delivered")[which]}, default="", return_dtype=pl.String)


def _cases(
    story: Stories,
    facts: pl.DataFrame,
    cells: pl.DataFrame,
    decided: pl.DataFrame,
    contacted: pl.DataFrame,
    orders: pl.DataFrame,
    deliveries: pl.DataFrame,
    ended_ms: Ints,
) -> pl.DataFrame:
    """Frames: -> CASES, with `visit` and `ended_ms`."""
    n = facts.height
    of_cases = cells.filter(pl.col("case") >= 0).sort("at_ms")
    is_wait = pl.col("kind").is_in(WAITS)
    lists = of_cases.group_by("case").agg(
        pl.col("kind").filter(~is_wait).unique(maintain_order=True).alias("met"),
        pl.col("kind").filter(is_wait).unique(maintain_order=True).alias("waited"),
    )
    case = contacted["case"].to_numpy()
    counts = sum(np.bincount(frame["case"].to_numpy(), minlength=n) for frame in (orders, deliveries))
    return (
        facts.with_row_index("case")
        .with_columns(
            *decided,
            pl.col("case").cast(pl.Int64),
            story.truth["visit_id"].gather(facts["visit"]),
            pl.col("order_id").alias("case_id"),
            _time("began_ms").alias("began_at"),
            _time("promised_ms").alias("promised_at"),
            _time("delivered_ms").alias("delivered_at"),
            pl.Series("ended_ms", ended_ms),
            pl.Series(ended_ms).cast(TIME).alias("ended_at"),
            pl.Series("n_contacts", np.bincount(case[case >= 0], minlength=n)),
            pl.Series("n_events", counts),
            _place(decided["because"], 0).alias("left_at_journey"),
            _place(decided["because"], 1).alias("left_at_step"),
        )
        .join(lists, on="case", how="left", maintain_order="left")
        .with_columns(pl.col("met", "waited").fill_null([]))
        .select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CASES.items()))
    )


def _incidents(facts: pl.DataFrame, cells: pl.DataFrame, contacted: pl.DataFrame, served: Served, decided: pl.DataFrame) -> pl.DataFrame:
    """Frames: -> INCIDENTS, with `visit` and `ended_ms`."""
    shown = cells.filter(pl.col("event_id").is_not_null())
    case, ticket = shown["case"].to_numpy(), shown["ticket"].fill_null(-1).to_numpy()
    has_case, has_ticket = pl.Series(case >= 0), pl.Series(ticket >= 0)
    ours = ("visit", "site", "customer_id", "visitor_id")
    of_case = pl.concat([facts.select(*ours, "order_id"), facts.select(*ours, "order_id").clear(1)])[np.where(case >= 0, case, facts.height)]
    of_ticket = pl.concat([contacted.select(*ours), contacted.select(*ours).clear(1)])[np.where(ticket >= 0, ticket, contacted.height)]
    ticket_id = pl.concat([served.ticket_id, pl.Series([None], dtype=pl.String)]).gather(np.where(ticket >= 0, ticket, contacted.height))
    because = pl.concat([decided["because"], pl.Series([""])]).gather(np.where(case >= 0, case, facts.height))
    return shown.with_columns(
        *(of_case[name].zip_with(has_case, of_ticket[name]) for name in ours),
        of_case["order_id"].zip_with(has_case, pl.repeat(None, shown.height, dtype=pl.String, eager=True)).alias("case_id"),
        ticket_id.zip_with(has_ticket, pl.repeat(None, shown.height, dtype=pl.String, eager=True)).alias("ticket_id"),
        _time("at_ms").alias("at"),
        (shown["kind"] == because).alias("made_leave"),
        pl.col("at_ms").alias("ended_ms"),
    ).select("visit", "ended_ms", *INCIDENTS.names())


def _told_contacts(
    story: Stories, facts: pl.DataFrame, contacted: pl.DataFrame, served: Served, events: pl.DataFrame, weather: Weather
) -> pl.DataFrame:
    """Frames: -> CONTACTS, with `visit` and `ended_ms`."""
    n = contacted.height
    case = contacted["case"].to_numpy()
    case_id = pl.concat([facts["order_id"], pl.Series([None], dtype=pl.String)]).gather(np.where(case >= 0, case, facts.height))
    shock = "" if weather.scenario.support is None else weather.scenario.support.name
    return contacted.select(
        "visit", pl.Series("ended_ms", served.ended_ms), served.ticket_id.alias("ticket_id"), "site",
        story.truth["visit_id"].gather(contacted["visit"]).alias("visit_id"), case_id.alias("case_id"), "customer_id", "visitor_id",
        "about", "topic", "journey", "step", served.channel.alias("channel"), "nth", _time("at_ms").alias("opened_at"),
        _time_of(served.replied_ms).alias("replied_at"), _time_of(served.solved_ms).alias("solved_at"),
        pl.Series("is_service_good", served.is_good), pl.Series("has_left", served.has_left),
        pl.Series("shock", np.where(served.is_shocked, shock, "")),
        pl.Series("n_events", np.bincount(events["case"].to_numpy(), minlength=n)),
    ).select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CONTACTS.items()))  # fmt: skip


def _people(
    story: Stories, facts: pl.DataFrame, decided: pl.DataFrame, ended_ms: Ints, n_contacts: Ints
) -> tuple[Ints, Bools, pl.DataFrame]:
    """When the person of each visit comes back, who has left, and their decisions. Frames: -> CUSTOMERS, with `visit` and `ended_ms`."""
    visits = story.visits
    visit, left = facts["visit"].to_numpy(), decided["left"].to_numpy()
    is_order = (facts["document_type"] == "order").to_numpy()
    next_ms, has_left = np.full(visits.height, NEVER_MS), np.zeros(visits.height, dtype=bool)
    has_left[visit[left]] = True
    # One order decides when the next one comes; nobody comes back before the visit is over.
    stays = is_order & ~has_left[visit]
    back_ms = np.maximum(facts["began_ms"].to_numpy() + visits["rhythm_ms"].to_numpy()[visit], visits["ended_ms"].to_numpy()[visit] + HOUR_MS)
    np.maximum.at(next_ms, visit[stays], back_ms[stays])
    comes_ms = np.where(has_left[visit], NEVER_MS, next_ms[visit])
    n_orders = visits["n_orders"].to_numpy()[visit] + is_order
    customers = facts.with_columns(
        *decided,
        pl.col("order_id").alias("case_id"),
        pl.Series("decided_at", decided["decided_ms"]).cast(TIME),
        pl.Series("n_visits", visits["n_visits"].to_numpy()[visit] + 1),
        pl.Series("n_orders", n_orders),
        pl.Series("n_contacts", visits["n_contacts"].to_numpy()[visit] + n_contacts[visit]),
        _place(decided["because"], 0).alias("journey"),
        _place(decided["because"], 1).alias("step"),
        _time_of(comes_ms).alias("came_back_at"),
        pl.Series("ended_ms", ended_ms),
    ).select("visit", "ended_ms", *(pl.col(name).cast(dtype) for name, dtype in CUSTOMERS.items()))
    return next_ms, has_left, customers


def _tickets_of_visits(story: Stories, contacted: pl.DataFrame, served: Served) -> pl.Series:
    """The first ticket about each visit itself; null: none."""
    about_visit = (contacted["case"] < 0).to_numpy() & (contacted["nth"] == 0).to_numpy()
    row = np.full(story.visits.height, contacted.height)
    row[contacted["visit"].to_numpy()[about_visit]] = np.flatnonzero(about_visit)
    return pl.concat([served.ticket_id, pl.Series([None], dtype=pl.String)]).gather(row)


def _time(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != NEVER_MS).then(pl.col(name)).cast(TIME)


def _time_of(at_ms: Ints) -> pl.Series:
    column = pl.Series("at", at_ms)
    return column.to_frame().select(_time("at")).to_series()
