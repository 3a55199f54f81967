"""The fold by order again, row by row: what the `_now` views must show after all records of a log.

It is the specification, so it is written to be read: plain loops over dicts, all records at hand. Definitions of expectations, statuses and steps are
values, and shared; hashes too.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipeline.calendars import WORKING_HOURS, Calendar
from pipeline.case_journeys import CASE_TYPES, JOURNEYS, STATUSES, STEPS, TYPE_OF, CaseStep
from pipeline.case_log import SCANS
from pipeline.case_signals import CASE_SIGNALS, JOURNEY_OF
from pipeline.expectation import PARCEL_TYPES, Expectation
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.hashing import also64, hash128
from tests.counts_oracle import Counted, of_signal, of_wait, rollup_rows
from tests.oracle import hashed, row_of
from tests.session_oracle import APPLIED, Row, Watermarks, verdicts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEIGHTS = {signal.name: signal.weight for signal in CASE_SIGNALS}
OWNERS = {(step.journey, step.name): step.owner for step in STEPS}


@dataclass
class Case:
    """One document with its parcels, or a parcel alone."""

    site: str
    order_id: str | None
    events: list[Row]
    owned: set[str]
    """Parcels that belong to it."""
    now: datetime | None
    rules: FulfilmentRules
    signals: list[Row] = field(default_factory=list)
    lapses: list[Row] = field(default_factory=list)

    def of(self, *types: str) -> list[Row]:
        """Its events of these types."""
        return [event for event in self.events if event["event_type"] in types]

    def first(self, name: str) -> Any:
        """The first value that is said."""
        return next((event[name] for event in self.events if said(event, name)), None)

    def last(self, name: str) -> Any:
        """The last value that is said."""
        return next((event[name] for event in reversed(self.events) if said(event, name)), None)

    def parcels(self) -> dict[str, list[Row]]:
        """Its own parcels and their events."""
        found: dict[str, list[Row]] = defaultdict(list)
        for event in self.events:
            if event.get("delivery_id") in self.owned:
                found[event["delivery_id"]].append(event)
        return dict(found)

    def passed(self, at: datetime | None) -> bool:
        """Whether the watermark is beyond a time."""
        return at is not None and self.now is not None and self.now > at


def said(event: Row, name: str) -> bool:
    """Whether an event has a value: an empty string is none."""
    return event.get(name) not in (None, "")


def tables(log: Iterable[Row], rules: FulfilmentRules, watermarks: Watermarks | None = None) -> dict[str, list[Row]]:
    """Table -> what its `_now` view shows."""
    judged, reached = verdicts(log, rules)
    applied = [verdict.record for verdict in judged if verdict.fate == APPLIED]
    reached = reached if watermarks is None else watermarks
    found: dict[str, list[Row]] = {name: [] for name in ("cases", "deliveries", "steps", "signals", "outcomes", "rollups")}
    for partition in sorted({event["partition"] for event in applied}):
        events = [event for event in applied if event["partition"] == partition]
        counted: list[Counted] = []
        for case in cases_of(events, rules, reached[partition]):
            case.signals = list(signal_rows(case))
            case.lapses = list(lapse_rows(case, events))
            if case.order_id is not None:
                found["cases"].append(case_row(case))
                found["steps"] += step_rows(case)
            found["deliveries"] += delivery_rows(case)
            found["signals"] += [row_of("signals", **row) for row in case.signals]
            found["outcomes"] += [row_of("outcomes", **row) for row in case.lapses]
            counted += counts_of(case, events)
        found["rollups"] += rollup_rows(counted, rules, "fulfilment", partition)
    return found


def counts_of(case: Case, everything: list[Row]) -> Iterator[Counted]:
    """What it adds to the counts."""
    country = case.first("country")
    for expectation, wait, state, lapsed in judged_waits(case, everything):
        yield from of_wait(case.site, expectation, wait.first["event_at"], state, lapsed, country=country)
    for row in case.signals:
        yield of_signal(row, country=country)


def order_of(event: Row) -> tuple[datetime, int]:
    """Time, then the hash of its id."""
    high, _ = hash128(pl.Series([event["event_id"]]))
    return event["event_at"], int(also64(high, pl.Series([event["family"]]))[0])


def cases_of(events: list[Row], rules: FulfilmentRules, now: datetime | None) -> Iterator[Case]:
    """Whose events belong together, of one partition."""
    events = sorted(events, key=order_of)
    owner: dict[tuple[str, str], str] = {}
    for event in events:
        if said(event, "order_id") and said(event, "delivery_id"):
            owner.setdefault((event["site"], event["delivery_id"]), event["order_id"])
    grouped: dict[tuple[str, str | None, str | None], list[Row]] = defaultdict(list)
    for event in events:
        parcel = event.get("delivery_id") or None
        order_id = event.get("order_id") or owner.get((event["site"], parcel or ""))
        grouped[event["site"], order_id, None if order_id else parcel].append(event)
    for (site, order_id, parcel), own in grouped.items():
        parcels = {event["delivery_id"] for event in own if said(event, "delivery_id")}
        owned = {parcel} if parcel else {each for each in parcels if owner.get((site, each)) == order_id}
        yield Case(site, order_id, own, owned, now, rules)


# Time


def promise_of(case: Case, parcel: str | None) -> datetime | None:
    """What was promised: with the order, else of the parcel."""
    by_order: list[datetime] = [e["promised_at"] for e in case.events if said(e, "promised_at") and e["family"] == "order"]
    if by_order:
        return by_order[0]
    own: list[datetime] = [e["promised_at"] for e in case.parcels().get(parcel or "", []) if said(e, "promised_at")]
    return own[0] if own else None


def promise_of_case(case: Case) -> datetime | None:
    """Of an order: the latest promise of its parcels, where the order itself says none."""
    found = [at for parcel in (None, *case.parcels()) if (at := promise_of(case, parcel)) is not None]
    return max(found, default=None)


def kept_until(case: Case, promised: datetime | None) -> datetime | None:
    """Until when a promise is kept."""
    if promised is None or case.rules.promise_by == "time":
        return promised
    calendar = calendar_of(case)
    local = promised.astimezone(ZoneInfo(calendar.time_zone))
    next_day = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(calendar.time_zone))
    return next_day.astimezone(UTC) - timedelta(milliseconds=1)


def calendar_of(case: Case) -> Calendar:
    """The calendar of its site."""
    calendars = case.rules.calendars
    return calendars.of_site.get(case.site, calendars.default)


def after_working(calendar: Calendar, at: datetime, span: timedelta) -> datetime:
    """Day by day, until the span is used up."""
    zone = ZoneInfo(calendar.time_zone)
    day = at.astimezone(zone).date()
    while True:
        if day.weekday() in calendar.weekdays and day not in calendar.holidays:
            opens = datetime.combine(day, calendar.opens, zone).astimezone(UTC)
            closes = datetime.combine(day, calendar.closes, zone).astimezone(UTC)
            begins = max(at, opens)
            if begins <= closes and span <= closes - begins:
                return begins + span
            span -= max(closes - begins, timedelta(0))
        day += timedelta(days=1)


# Waits


@dataclass
class Wait:
    """One wait."""

    first: Row
    last: Row
    due: datetime
    met: datetime | None = None
    void: datetime | None = None


Moves = dict[tuple[str, str], timedelta]
"""Family and id of an event -> by how much it moves the date of its parcel."""


def name_of(event: Row) -> tuple[str, str]:
    """What an event is known by within its case."""
    return event["family"], event["event_id"]


def date_moves(case: Case) -> Moves:
    """Every event that moves the date of its parcel; by nothing if nobody knows how much."""
    moved: Moves = {}
    for events in case.parcels().values():
        eta: datetime | None = None
        for event in events:
            if said(event, "eta_at"):
                if eta is not None and event["eta_at"] != eta:
                    moved[name_of(event)] = event["eta_at"] - eta
                eta = event["eta_at"]
            elif event["event_type"] == "eta_changed":
                moved[name_of(event)] = timedelta(0)
    return moved


def is_of(case: Case, event: Row, names: Sequence[str], moved: Moves) -> bool:
    """Whether an event is of one of these types."""
    is_own = event.get("delivery_id") in case.owned
    by_type = event["event_type"] in names
    by_date = "date_moved" in names and is_own and name_of(event) in moved
    return by_type or by_date or ("parcel_event" in names and is_own)


def sub_of(case: Case, event: Row, key: str) -> tuple[bool, Any]:
    """What an event is about; and whether it is about this case at all."""
    if key == "parcel" and said(event, "delivery_id"):
        return event["delivery_id"] in case.owned, event["delivery_id"]
    name = {"step": "step", "return": "return_id"}.get(key)
    return True, (event.get(name) or None) if name else None


def due_of(case: Case, event: Row, expectation: Expectation) -> datetime | None:
    """When the wait that this event begins is due."""
    if expectation.due == "promised_at":
        return kept_until(case, promise_of(case, event.get("delivery_id")))
    if expectation.due is not None and said(event, expectation.due):
        at: datetime = event[expectation.due]
        return at
    if expectation.within is None:
        return None
    if expectation.calendar == WORKING_HOURS:
        return after_working(calendar_of(case), event["event_at"], expectation.within)
    begins: datetime = event["event_at"]
    return begins + expectation.within


def waits_of(case: Case, expectation: Expectation) -> Iterator[Wait]:
    """All waits of one expectation."""
    moved = date_moves(case)
    asked = []
    for event in case.events:
        is_ours, sub = sub_of(case, event, expectation.key)
        arms = is_of(case, event, expectation.after, moved) and due_of(case, event, expectation) is not None
        if is_ours:
            asked.append((event, sub, arms))
    subs = {sub for _, sub, arms in asked if arms}
    if len(subs) > 1:
        subs.discard(None)
    for wanted in subs:
        own = [
            (event, arms and sub == wanted)
            for event, sub, arms in asked
            if sub == wanted or (not arms and (sub is None or wanted is None))
        ]
        own.sort(key=lambda each: (each[0]["event_at"], not each[1]))
        yield from (one_wait if expectation.re_arm == "first" else moving_waits)(case, expectation, own, moved)


def one_wait(case: Case, expectation: Expectation, own: list[tuple[Row, bool]], moved: Moves) -> Iterator[Wait]:
    """The wait from the first event that arms it; whenever what is expected came, it counts."""
    first = next(event for event, arms in own if arms)

    def earliest(names: Sequence[str]) -> datetime | None:
        return min((event["event_at"] for event, _ in own if is_of(case, event, names, moved)), default=None)

    due = due_of(case, first, expectation)
    assert due is not None
    at_once = earliest(expectation.at_once)
    if at_once is not None:
        due = min(due, max(at_once, first["event_at"]))
    yield Wait(first, first, due, earliest(expectation.expect), earliest(expectation.unless))


def moving_waits(case: Case, expectation: Expectation, own: list[tuple[Row, bool]], moved: Moves) -> Iterator[Wait]:
    """A wait that a further event moves until it is due, and then another one. What is expected ends all that have not ended."""
    waits: list[Wait] = []
    for event, arms in own:
        at = event["event_at"]
        if is_of(case, event, expectation.expect, moved):
            for wait in waits:
                wait.met = wait.met or at
        if is_of(case, event, expectation.unless, moved):
            for wait in waits:
                wait.void = wait.void or at
        if waits and is_of(case, event, expectation.at_once, moved):
            waits[-1].due = min(waits[-1].due, at)
        if arms:
            due = due_of(case, event, expectation)
            assert due is not None
            open_ = waits[-1] if waits and waits[-1].met is None and waits[-1].void is None else None
            if open_ is not None and at <= open_.due:
                open_.last, open_.due = event, due
            else:
                waits.append(Wait(event, event, due))
    yield from waits


def was_seen(expectation: Expectation, at: datetime, site: str, events: list[Row], rules: FulfilmentRules) -> bool:
    """Whether the shop is known to send what is awaited."""
    since = (at - EPOCH).days - rules.seen_within.days
    return any(
        event["site"] == site and event["event_type"] in expectation.expect and event["event_at"] <= at and (event["event_at"] - EPOCH).days >= since
        for event in events
    )  # fmt: skip


def state_of(wait: Wait, *, is_over: bool) -> str:
    """Met, void, lapsed, or open."""
    in_time = wait.met is not None and wait.met <= wait.due
    voided = wait.void is not None and wait.void <= wait.due and (wait.met is None or wait.void <= wait.met)
    if in_time and voided:
        return "met" if wait.met == wait.void else "void"
    if in_time or voided:
        return "met" if in_time else "void"
    return "lapsed" if is_over else "open"


def judged_waits(case: Case, everything: list[Row]) -> Iterator[tuple[Expectation, Wait, str, datetime]]:
    """All its waits, what became of each, and when it would lapse; less those for what the shop never sends."""
    for expectation in (each for each in case.rules.expectations if each.enabled != "off"):
        for wait in waits_of(case, expectation):
            lapsed = max(wait.due, wait.first["event_at"])
            state = state_of(wait, is_over=case.passed(lapsed))
            is_auto = expectation.enabled == "auto"
            if state == "lapsed" and is_auto and not was_seen(expectation, lapsed, case.site, everything, case.rules):
                continue
            yield expectation, wait, state, lapsed


def lapse_rows(case: Case, everything: list[Row]) -> Iterator[Row]:
    """Its rows of `outcomes`; their causes tells whoever knows the person."""
    for expectation, wait, state, lapsed in judged_waits(case, everything):
        if state == "lapsed":
            yield lapse_row(case, expectation, wait, lapsed)


def lapse_row(case: Case, expectation: Expectation, wait: Wait, lapsed: datetime) -> Row:
    """One lapse."""
    recovered = wait.met if wait.met is not None and wait.met <= lapsed + expectation.recovery else None
    silent = lapsed + expectation.silence
    status, decided = "provisional", None
    if recovered is not None:
        status, decided = "recovered", recovered
    elif case.passed(silent):
        status, decided = "silent", silent
    first = wait.first
    key = {
        "order": case.order_id or "",
        "parcel": first.get("delivery_id") or "",
        "step": "/".join(filter(None, (case.order_id, first.get("step")))),
        "return": "/".join(filter(None, (case.order_id, first.get("return_id")))),
    }[expectation.key]
    return {
        **who(case),
        "expectation": expectation.name,
        "outcome_id": hashed(case.site, expectation.name, key, hashed(first["event_id"])),
        "journey": expectation.journey,
        "step": expectation.step,
        "owner": expectation.owner,
        "assignee_id": wait.last.get("assignee_id"),
        "quote_id": wait.last.get("quote_id"),
        "delivery_id": first.get("delivery_id") if expectation.key == "parcel" else None,
        "began_at": first["event_at"],
        "due_at": wait.due,
        "lapsed_at": lapsed,
        "decided_at": decided,
        "recovered_at": recovered,
        "returned_at": None if recovered is not None else wait.met,
        "status": status,
        "value_minor": case.last("amount_minor"),
        "currency": case.first("currency"),
        "country": case.first("country"),
    }


def who(case: Case) -> Row:
    """The ids that its rows have."""
    names = ("visitor_id", "session_id", "customer_id", "account_id")
    return {"site": case.site, "order_id": case.order_id, **{name: case.first(name) for name in names}}


# Signals and steps


def signal_rows(case: Case) -> Iterator[Row]:
    """Its rows of `signals`."""
    rule, moved = case.rules.signals, date_moves(case)
    failures, has_come, asked = 0, None, False
    for event in case.events:
        kind, value = event["event_type"], None
        fires = []
        if kind == "payment_failed":
            failures += 1
            fires += ["payment_declined_twice"] if failures == 2 else []
        if kind == "payment_authorized":
            failures = 0
        slip = moved.get(name_of(event)) if event.get("delivery_id") in case.owned else None
        if slip is not None and slip >= rule.slip:
            fires.append("eta_slip")
            value = slip / timedelta(hours=1)
        if kind in ("attempt_failed", "exception") and event.get("delivery_id") in case.owned:
            fires.append({"attempt_failed": "failed_attempt", "exception": "delivery_exception"}[kind])
        if kind == "return_requested" and not asked:
            asked = True
            came = [e["event_at"] for e in case.of("delivered") if e["event_at"] <= event["event_at"]]
            has_come = max(came, default=None)
            if has_come is not None and event["event_at"] - has_come <= rule.soon:
                fires.append("return_soon")
                value = (event["event_at"] - has_come) / timedelta(hours=1)
        for name in fires:
            journey, step = JOURNEY_OF[name]
            yield {
                **who(case),
                "signal": name,
                "signal_id": hashed(case.site, name, case.order_id or event["delivery_id"], hashed(event["event_id"])),
                "fired_at": event["event_at"],
                "journey": journey,
                "step": step,
                "owner": OWNERS[journey, step],
                "value": value if name in ("eta_slip", "return_soon") else None,
                "weight": WEIGHTS[name],
                "rule": "default",
                "detail": event.get("reason"),
                "country": case.first("country"),
            }


def steps_reached(case: Case) -> dict[tuple[str, str], tuple[CaseStep, list[Row]]]:
    """Journey and step -> the step and its events."""
    found: dict[tuple[str, str], tuple[CaseStep, list[Row]]] = {}
    has_return = bool(case.of("return_requested", "return_received"))
    for event in case.events:
        for step in STEPS:
            if event["event_type"] in step.event_types and (event["event_type"] != "order_refunded" or has_return):
                name = step.name or event.get("step") or "step"
                found.setdefault((step.journey, name), (step, []))[1].append(event)
    return found


def step_rows(case: Case) -> Iterator[Row]:
    """Its rows of `steps`."""
    for (journey, name), (step, events) in steps_reached(case).items():
        met = [row["weight"] for row in case.signals if (row["journey"], row["step"]) == (journey, name)]
        ids = who(case)
        del ids["order_id"]
        yield row_of(
            "steps",
            **ids,
            instance="case",
            instance_id=case.order_id,
            journey=journey,
            step=name,
            step_index=step.index,
            is_commit=int(step.is_commit),
            is_goal=int(step.is_goal),
            owner=step.owner,
            first_at=events[0]["event_at"],
            last_at=events[-1]["event_at"],
            n_events=len(events),
            engaged_ms=0,
            n_signals=len(met),
            friction_score=min(100.0, sum(met, start=0.0)),
        )


# Documents and parcels


def type_of(case: Case) -> str:
    """What the document is."""
    named = case.first("document_type")
    if named is not None:
        return named if named in CASE_TYPES else "other"
    telling = [e["event_type"] for e in case.events if e["family"] == "order" and e["event_type"] != "order_changed"]
    return TYPE_OF.get(telling[0], "order") if telling else "order"


def status_of(case: Case) -> tuple[str, datetime | None]:
    """Its status, and since when."""
    came = [delivered_at(events) for events in case.parcels().values()]
    whole = bool(came) and None not in came
    last = [e for e in case.of("delivered") if e.get("delivery_id") in case.owned][-1:] if whole else []
    telling = [e for e in case.events if e["event_type"] in STATUSES or (last and e is last[0])]
    if not telling:
        return "open", None
    status = (STATUSES | {"delivered": "delivered"})[telling[-1]["event_type"]]
    return status, None if status == "open" else telling[-1]["event_at"]


def delivered_at(events: list[Row]) -> datetime | None:
    """When a parcel came."""
    return next((e["event_at"] for e in events if e["event_type"] == "delivered"), None)


def place_of(case: Case) -> tuple[str, str]:
    """Journey and furthest step."""
    journeys = JOURNEYS[type_of(case)]
    found = [
        (journeys.index(journey), step.index, events[-1]["event_at"], name, journey)
        for (journey, name), (step, events) in steps_reached(case).items()
        if journey in journeys
    ]
    return (max(found)[4], max(found)[3]) if found else (journeys[0], "")


def case_row(case: Case) -> Row:
    """The row of `cases`."""
    status, closed = status_of(case)
    journey, step = place_of(case)
    parcels = case.parcels()
    came = [delivered_at(events) for events in parcels.values()]
    delivered = max(at for at in came if at is not None) if came and None not in came else None
    promised = promise_of_case(case)
    until = kept_until(case, promised)
    late = delivered - until if delivered is not None and until is not None else None
    is_late = (
        late > timedelta(0)
        if late is not None
        else delivered is None and case.passed(until) and status not in ("cancelled", "returned")
    )
    refunds = [e["refund_minor"] for e in case.events if said(e, "refund_minor")]
    scans = [e for e in case.events if e["event_type"] in SCANS and e.get("delivery_id") in case.owned]
    silences = []
    for events in parcels.values():
        end = delivered_at(events)
        marks = [
            e["event_at"] for e in events if e["event_type"] in (*SCANS, "order_shipped") and (end is None or e["event_at"] <= end)
        ]
        silences += [after - before for before, after in itertools.pairwise(marks)]
    return row_of(
        "cases",
        **who(case),
        case_type=type_of(case),
        parent_id=case.first("parent_id"),
        journey=journey,
        step=step,
        status=status,
        reason=case.last("reason"),
        opened_at=case.events[0]["event_at"],
        closed_at=closed,
        cancelled_at=when(case.of("order_cancelled", "rfq_withdrawn", "approval_withdrawn")),
        amount_minor=case.last("amount_minor"),
        refund_minor=sum(refunds) if refunds else None,
        currency=case.first("currency"),
        payment_method=case.last("payment_method"),
        country=case.first("country"),
        carrier=case.last("carrier"),
        assignee_id=case.last("assignee_id"),
        due_at=case.last("due_at"),
        quoted_at=when(case.of("quote_received", "bulk_price_offered")),
        answered_at=when(case.of("quote_accepted", "quote_rejected")),
        n_quotes=len(case.of("quote_received", "bulk_price_offered")),
        promised_at=promised,
        shipped_at=when(case.of("order_shipped")),
        first_scan_at=when(scans),
        delivered_at=delivered,
        late_ms=in_ms(late),
        is_late=int(is_late),
        n_parcels=len(parcels),
        n_updates=len([e for e in case.events if e["event_type"] in PARCEL_TYPES]),
        longest_silence_ms=in_ms(max(silences, default=None)),
        n_attempts_failed=len(case.of("attempt_failed")),
        n_payment_failures=len(case.of("payment_failed")),
        is_reorder=int(any(e.get("is_reorder") for e in case.events)),
        is_returned=int(bool(case.of("return_requested"))),
        n_signals=len(case.signals),
    )


def delivery_rows(case: Case) -> Iterator[Row]:
    """Its rows of `deliveries`."""
    moved = date_moves(case)
    for parcel, events in case.parcels().items():
        promised = promise_of(case, parcel)
        until, delivered = kept_until(case, promised), delivered_at(events)
        telling = [e for e in events if said(e, "order_id")]
        linked_by = ""
        if telling:
            linked_by = "delivery" if telling[0]["family"] == "delivery" else "order"
        elif case.passed(events[0]["event_at"] + case.rules.link_horizon):
            linked_by = "unlinked"
        states = [e["event_type"] for e in events if e["event_type"] in (*SCANS, "info_received", "expired", "order_shipped")]
        status = "delivered" if delivered else (states[-1] if states else "")
        countries = [e["country"] for e in events if said(e, "country")]
        yield row_of(
            "deliveries",
            site=case.site,
            delivery_id=parcel,
            order_id=case.order_id,
            linked_by=linked_by,
            customer_id=case.first("customer_id"),
            carrier=last_of(events, "carrier"),
            country=countries[0] if countries else case.first("country"),
            shipped_at=when(e for e in events if e["event_type"] == "order_shipped"),
            first_scan_at=when(e for e in events if e["event_type"] in SCANS),
            promised_at=promised,
            eta_at=last_of(events, "eta_at"),
            n_eta_changes=len([e for e in events if name_of(e) in moved]),
            delivered_at=delivered,
            late_ms=in_ms(delivered - until) if delivered is not None and until is not None else None,
            n_attempts_failed=len([e for e in events if e["event_type"] == "attempt_failed"]),
            n_notified=len([e for e in events if e["event_type"] == "customer_notified"]),
            status="shipped" if status == "order_shipped" else status,
        )


def when(events: Iterable[Row]) -> datetime | None:
    """The time of the first."""
    return next((event["event_at"] for event in events), None)


def last_of(events: list[Row], name: str) -> Any:
    """The last value that is said."""
    return next((event[name] for event in reversed(events) if said(event, name)), None)


def in_ms(span: timedelta | None) -> int | None:
    """A span in ms."""
    return None if span is None else span // timedelta(milliseconds=1)
