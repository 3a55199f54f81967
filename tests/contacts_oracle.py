"""What service was, row by row: tickets, answers, friction with support, and what was expected of it. The second part of the oracle of the fold by person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import polars as pl

from pipeline.case_journeys import JOURNEYS
from pipeline.expectation import Expectation
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journeys_rules import JourneysRules
from pipeline.sentiment import LANGUAGES, SentimentRule, sentiments
from pipeline.ticket_signals import TICKET_SIGNALS, TicketRule
from tests.fulfilment_oracle import Case, Wait, state_of, waits_of
from tests.oracle import hashed, row_of
from tests.people_oracle import SURVEYS, Person, first_of, said
from tests.session_oracle import Row

SUPPORT = "support"
WEIGHTS = {signal.name: signal.weight for signal in TICKET_SIGNALS}
REPLIES, HUMAN_REPLIES = ("agent_reply", "bot_reply"), ("agent_reply",)
ASKS = ("ticket_opened", "customer_message", "human_requested", "reopened")


@dataclass
class Service:
    """What one person had of support."""

    contacts: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    signals: list[Row] = field(default_factory=list)
    lapses: list[Row] = field(default_factory=list)
    moments: list[Row] = field(default_factory=list)
    """When they turned to support, in order of time and id."""
    tickets: dict[str, list[Row]] = field(default_factory=dict)

    def about(self, event: Row) -> tuple[str | None, str | None]:
        """The order and the journey that the ticket of an event names, now or later."""
        events = self.tickets.get(event.get("ticket_id") or "", [event])
        return first_of(events, "order_id"), first_of(events, "journey")


def told(person: Person, rules: JourneysRules) -> Service:
    """Say everything."""
    tickets = person.by_ticket()
    service = Service(tickets=tickets)
    service.moments = [event for event in person.tickets if is_moment(event, tickets)]
    service.contacts = [contact_row(person, events, rules) for events in tickets.values()]
    by_id = {row["ticket_id"]: row for row in service.contacts}
    service.lapses = list(lapse_rows(person, by_id, tickets, rules))
    service.answers = [
        answer_row(person, event, tickets, by_id, rules) for event in person.tickets if event["event_type"] in SURVEYS
    ]
    service.signals = list(signal_rows(service, person, rules))
    return service


def is_moment(event: Row, tickets: Mapping[str, Sequence[Row]]) -> bool:
    """Whether a customer turns to support here: the shop's own opening is none."""
    if event["event_type"] not in ASKS or event.get("is_outbound"):
        return False
    return not (event["event_type"] == "ticket_opened" and said(event, "ticket_id") and is_outbound(tickets[event["ticket_id"]]))


def is_outbound(events: Sequence[Row]) -> bool:
    """Whether the shop got in touch."""
    return bool(first_of(events, "is_outbound"))


def of(events: Sequence[Row], *types: str) -> list[Row]:
    """Those of these types."""
    return [event for event in events if event["event_type"] in types]


def first_at(events: Sequence[Row], *types: str) -> datetime | None:
    """When the first of these types happened."""
    return next((event["event_at"] for event in events if event["event_type"] in types), None)


def last_of(events: Sequence[Row], name: str) -> Any:
    """The last value that is said."""
    return first_of(list(reversed(events)), name)


def contact_row(person: Person, events: Sequence[Row], rules: JourneysRules) -> Row:
    """A row of `contacts`."""
    opened = events[0]["event_at"]
    outbound = is_outbound(events)
    replied, human = (None if outbound else first_at(events, *types) for types in (REPLIES, HUMAN_REPLIES))
    solved = solved_at(events)
    reached = "solved" if solved is not None else "replied" if of(events, *REPLIES) else "opened"
    order_id, place = first_of(events, "order_id"), (first_of(events, "journey"), first_of(events, "step"))
    journey, step = place_of(person, place, order_id, opened, (SUPPORT, step_name(SUPPORT, reached, rules)), rules)
    scores, n_unread = moods(events, rules.sentiment)
    return row_of(
        "contacts",
        site=person.site,
        **whose(person, order_id, *events),
        ticket_id=events[0]["ticket_id"],
        linked_by=linked_by(person, events, rules),
        order_id=order_id,
        session_id=first_of(events, "session_id"),
        channel=first_of(events, "channel"),
        **{name: last_of(events, name) for name in ("topic", "team", "agent_id", "priority")},
        first_priority=first_of(takewhile(lambda event: event["event_type"] != "escalated", events), "priority"),
        journey=journey,
        step=step,
        owner=owner_of(journey, step, rules),
        is_outbound=int(outbound),
        opened_at=opened,
        first_reply_at=replied,
        first_human_reply_at=human,
        solved_at=solved,
        closed_at=first_at(list(reversed(events)), "closed"),
        first_reply_ms=in_ms(opened, replied),
        resolution_ms=in_ms(opened, solved),
        n_messages=len(of(events, "customer_message")),
        n_replies=len(of(events, "agent_reply")),
        n_bot_replies=len(of(events, "bot_reply")),
        n_reopens=len(of(events, "reopened")),
        n_transfers=len(of(events, "transferred")),
        is_escalated=int(bool(of(events, "escalated"))),
        is_bot_only=int(bool(of(events, "bot_reply")) and not of(events, "agent_reply", "human_joined")),
        csat=last_of(of(events, "csat_answered"), "score"),
        ces=last_of(of(events, "ces_answered"), "score"),
        sentiment=sum(scores) / len(scores) if scores else None,
        n_texts_unread=n_unread,
        status=status_of(events),
    )


def linked_by(person: Person, events: Sequence[Row], rules: JourneysRules) -> str:
    """By what it is known whose a ticket is; nobody is waited for for ever."""
    kind = person.key.split(":")[0]
    if kind in ("customer", "visitor"):
        return kind
    if person.cases:
        return "order"
    if first_of(events, "account_id"):
        return "account"
    return "unlinked" if person.passed(events[0]["event_at"] + rules.link_horizon) else ""


def solved_at(events: Sequence[Row]) -> datetime | None:
    """When it was solved last, if it stayed so."""
    telling = of(events, "solved", "reopened")
    return telling[-1]["event_at"] if telling and telling[-1]["event_type"] == "solved" else None


def status_of(events: Sequence[Row]) -> str:
    """Its status; a customer who has left is there again when somebody talks."""
    status = "open"
    for event in events:
        named = {"reopened": "open", "solved": "solved", "closed": "closed", "customer_left": "left"}.get(event["event_type"])
        if named is not None:
            status = named
        elif status == "left" and event["event_type"] in (*ASKS, *HUMAN_REPLIES, "human_joined"):
            status = "open"
    return status


def moods(events: Sequence[Row], rule: SentimentRule) -> tuple[list[float], int]:
    """What the customer wrote, from -1 to 1, less what stands beside a score; and how many texts were not read."""
    scores, n_unread = [], 0
    for event in events:
        if is_moment(event, {event["ticket_id"]: events}) and said(event, "text"):
            score = mood(event, events, rule)
            n_unread += score is None
            scores += [] if score is None else [score]
    return scores, n_unread


def mood(event: Row, events: Sequence[Row], rule: SentimentRule) -> float | None:
    """How one text is meant; None: it is in no language that is read."""
    if not said(event, "text"):
        return None
    language = event.get("language") or first_of(events, "language") or rule.language
    if language.lower().split("-")[0] not in LANGUAGES:
        return None
    score: float = sentiments(pl.Series([event["text"]]))[0]
    return score


def answer_row(
    person: Person, event: Row, tickets: Mapping[str, Sequence[Row]], contacts: Mapping[str, Row], rules: JourneysRules
) -> Row:
    """A row of `answers`."""
    events = tickets.get(event.get("ticket_id") or "", [])
    contact = contacts.get(event.get("ticket_id") or "", {})
    order_id = event.get("order_id") or contact.get("order_id") or None
    fallback = (contact["journey"], contact["step"]) if contact else (SUPPORT, step_name(SUPPORT, "solved", rules))
    place = (event.get("journey") or None, event.get("step") or None)
    journey, step = place_of(person, place, None if contact else order_id, event["event_at"], fallback, rules)
    return row_of(
        "answers",
        site=person.site,
        **whose(person, order_id, event, *events),
        kind=SURVEYS[event["event_type"]],
        answer_id=event["event_id"],
        score=event.get("score"),
        answered_at=event["event_at"],
        order_id=order_id,
        ticket_id=event.get("ticket_id"),
        session_id=event.get("session_id") or contact.get("session_id"),
        journey=journey,
        step=step,
        owner=owner_of(journey, step, rules),
        sentiment=mood(event, events, rules.sentiment),
    )


def whose(person: Person, order_id: str | None, *events: Row) -> Row:
    """The ids of a row: what the home is comes first for a visitor and a customer, what the events say for an account, and then its order."""
    kind, _, name = person.key.partition(":")
    of_order = [case["account_id"] for case in person.cases if order_id and case["order_id"] == order_id]
    return {
        "visitor_id": name if kind == "visitor" else first_of(events, "visitor_id"),
        "customer_id": person.customer_id,
        "account_id": first_of(events, "account_id") or (of_order or [None])[0] or (name if kind == "account" else None),
    }


# Friction


def signal_rows(service: Service, person: Person, rules: JourneysRules) -> Iterator[Row]:
    """Rows of `signals`: of a ticket as its contact is, of a survey as its answer is."""
    contacts = {row["ticket_id"]: row for row in service.contacts}
    answers = {row["answer_id"]: row for row in service.answers}
    for signal, event, value in fired(service, person, rules):
        contact = contacts.get(event.get("ticket_id") or "", {})
        place = answers.get(event["event_id"]) or contact
        ids = ("site", "visitor_id", "session_id", "customer_id", "account_id", "order_id", "ticket_id", "journey", "step", "owner")
        yield row_of(
            "signals",
            **{name: place[name] for name in ids},
            signal=signal,
            signal_id=hashed(person.site, signal, event["event_id"]),
            fired_at=event["event_at"],
            page=event.get("page"),
            value=value,
            weight=WEIGHTS[signal],
            rule="default",
            detail=" ".join(contact[name] for name in ("channel", "topic", "team") if contact and contact[name]),
        )


Fired = tuple[str, Row, float | None]
"""Name of the signal, the event at which it fired, how much."""


def fired(service: Service, person: Person, rules: JourneysRules) -> Iterator[Fired]:
    """Everything that should not have happened."""
    rule = rules.ticket_signals
    yield from repeated(service, rule)
    for ticket_id, events in service.tickets.items():
        asked = [event for event in service.moments if event.get("ticket_id") == ticket_id]
        yield from (("ticket_reopened", event, None) for event in of(events, "reopened"))
        transfers = of(events, "transferred")
        if len(transfers) >= rule.transfers:
            yield "transferred_twice", transfers[rule.transfers - 1], float(len(transfers))
        yield from (("ticket_escalated", event, None) for event in of(events, "escalated")[:1])
        left = of(events, "customer_left")[:1]
        if left and not of(events[: events.index(left[0])], "agent_reply", "human_joined"):
            waited = (left[0]["event_at"] - asked[0]["event_at"]) / timedelta(seconds=1) if asked else None
            yield "left_queue", left[0], waited
        moods = [(event, mood(event, events, rules.sentiment)) for event in asked]
        angry = [(event, score) for event, score in moods if score is not None and score <= rule.negative]
        yield from (("negative_words", event, score) for event, score in angry[:1])
        if last_of(events, "topic") == "how_to" and asked and not is_outbound(events):
            yield "how_to_contact", asked[0], None
    limits = {"csat_answered": rule.low_csat, "ces_answered": rule.low_ces, "nps_answered": rule.low_nps}
    for event in (event for event in person.tickets if event["event_type"] in SURVEYS):
        if event.get("score") is not None and event["score"] <= limits[event["event_type"]]:
            yield f"low_{SURVEYS[event['event_type']]}", event, float(event["score"])
        score = mood(event, service.tickets.get(event.get("ticket_id") or "", []), rules.sentiment)
        if score is not None and score <= rule.negative:
            yield "negative_words", event, score


def repeated(service: Service, rule: TicketRule) -> Iterator[Fired]:
    """First words of a ticket soon after those of another one about the same order, or the same topic."""
    firsts: list[tuple[Row, list[Row]]] = []
    for event in service.moments:
        events = service.tickets.get(event.get("ticket_id") or "", [])
        if events and not is_outbound(events) and all(other is not events for _, other in firsts):
            firsts.append((event, events))
    for place, (event, events) in enumerate(firsts):
        hours = []
        for what in (lambda of_ticket: first_of(of_ticket, "order_id"), lambda of_ticket: last_of(of_ticket, "topic")):
            before = [earlier for earlier, other in firsts[:place] if what(events) is not None and what(other) == what(events)]
            hours += [event["event_at"] - earlier["event_at"] for earlier in before[-1:]]
        if hours and min(hours) <= rule.repeat_within:
            yield "repeat_contact", event, min(hours) / timedelta(hours=1)


# What was expected of support


def lapse_rows(
    person: Person, contacts: Mapping[str, Row], tickets: Mapping[str, Sequence[Row]], rules: JourneysRules
) -> Iterator[Row]:
    """Waits for support that have lapsed: of every ticket that the shop has not begun."""
    for ticket_id, expectation, wait, state, lapsed in judged_waits(person, tickets, rules):
        if state == "lapsed":
            yield lapse_row(contacts[ticket_id], expectation, wait, lapsed)


def judged_waits(
    person: Person, tickets: Mapping[str, Sequence[Row]], rules: JourneysRules
) -> Iterator[tuple[str, Expectation, Wait, str, datetime]]:
    """All waits for support, what became of each, and when it would lapse; less those for what the shop never sends."""
    for ticket_id, events in tickets.items():
        if is_outbound(events):
            continue
        case = Case(person.site, ticket_id, list(events), set(), person.now, FulfilmentRules(calendars=rules.calendars))
        for expectation in (each for each in rules.expectations if each.key == "ticket" and each.enabled != "off"):
            for wait in waits_of(case, expectation):
                lapsed = max(wait.due, wait.first["event_at"])
                state = state_of(wait, is_over=person.passed(lapsed))
                is_auto = expectation.enabled == "auto"
                if state == "lapsed" and is_auto and not person.has_seen(expectation.expect, lapsed, rules.seen_within):
                    continue
                yield ticket_id, expectation, wait, state, lapsed


def lapse_row(contact: Row, expectation: Expectation, wait: Wait, lapsed: datetime) -> Row:
    """One lapse."""
    recovers_until = lapsed + expectation.recovery
    ids = ("site", "visitor_id", "session_id", "order_id", "ticket_id", "customer_id", "account_id")
    return {
        **{name: contact[name] for name in ids},
        "expectation": expectation.name,
        "outcome_id": hashed(contact["site"], expectation.name, contact["ticket_id"], wait.first["event_id"]),
        "journey": expectation.journey,
        "step": expectation.step,
        "owner": expectation.owner,
        "assignee_id": contact["agent_id"],
        "began_at": wait.first["event_at"],
        "due_at": wait.due,
        "lapsed_at": lapsed,
        "silent_at": lapsed + expectation.silence,
        "recovers_until": recovers_until,
        "recovered_at": wait.met if wait.met is not None and wait.met <= recovers_until else None,
        "returned_at": wait.met if wait.met is not None and wait.met > recovers_until else None,
    }


# Where something belongs


def place_of(
    person: Person,
    place: tuple[str | None, str | None],
    order_id: str | None,
    at: datetime,
    fallback: tuple[str, str],
    rules: JourneysRules,
) -> tuple[str, str]:
    """Journey and step: as it says; else of its order, which has come by then or not; else the fallback."""
    journey, step = place
    if journey is not None:
        return journey, step or first_step(journey, rules)
    if order_id is None:
        return fallback
    case = next((case for case in person.cases if case["order_id"] == order_id), {})
    journey = JOURNEYS.get(case.get("case_type") or "order", ("order",))[0]
    came = case.get("delivered_at")
    has_come = journey == "order" and came is not None and came <= at
    return journey, step_name("order", "delivered", rules) if has_come else first_step(journey, rules)


def steps(rules: JourneysRules) -> list[tuple[str, str, str]]:
    """Journey, step and owner of everything that is known."""
    found = [(step.journey, step.name, step.owner) for step in rules.journeys.steps]
    return found + [(journey.name, step.name, step.owner) for journey in rules.web_journeys.journeys for step in journey.steps]


def first_step(journey: str, rules: JourneysRules) -> str:
    """The first step of a journey; one without a name is the shop's to name."""
    return next((step for name, step, _ in steps(rules) if name == journey), "") or "step"


def step_name(journey: str, ships_as: str, rules: JourneysRules) -> str:
    """What the shop calls a step that ships."""
    return next(step.name for step in rules.journeys.steps if (step.journey, step.known_as) == (journey, ships_as))


def owner_of(journey: str, step: str, rules: JourneysRules) -> str:
    """The team that owns a step; of a step that only the shop can name, whoever owns those; else support."""
    owners = {(name, known): owner for name, known, owner in steps(rules)}
    return owners.get((journey, step)) or owners.get((journey, "")) or SUPPORT


def in_ms(begins: datetime, ends: datetime | None) -> int | None:
    """A span in ms."""
    return None if ends is None else (ends - begins) // timedelta(milliseconds=1)
