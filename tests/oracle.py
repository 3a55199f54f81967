"""The sessions fold again, row by row: what the `_now` views must show after all records of a log, however they were cut into batches.

It is the specification, so it is written to be read: plain loops over dicts, all records at hand, nothing remembered, nothing fast.
Only the hashes (ids of rows, ties of the order) are those of the pipeline, for they are values and not thoughts.

Cases:   rollups hold no row for a count of nothing: whether a count has ever been more than nothing depends on the batches
         events.detail is left '': it is a sentence for people
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline.frames import TABLES
from pipeline.hashing import hex128
from pipeline.journey_map import Journey
from pipeline.session_rules import SessionRules
from tests.session_oracle import APPLIED, Row, Session, Watermarks, sessions, step_of, verdicts

ORDER_AFTER_COMMIT = "order_after_commit"


def tables(log: Iterable[Row], rules: SessionRules, watermarks: Watermarks | None = None) -> dict[str, list[Row]]:
    """Table -> what its `_now` view shows. `watermarks`: how far time has come in the end; None: as far as the records tell."""
    judged, reached = verdicts(log, rules)
    applied = [verdict.record for verdict in judged if verdict.fate == APPLIED]
    told = sessions(applied, reached if watermarks is None else watermarks, rules)
    people = [session for session in told if not session.is_bot]
    return {
        "sessions": [session_row(session) for session in told],
        "steps": [row for session in told for row in step_rows(session)],
        "signals": [row for session in people for row in signal_rows(session)],
        "outcomes": [outcome_row(session) for session in people if session.status == "abandoned"],
        "identities": identity_rows(people),
        "rollups": rollup_rows(people, rules),
        "events": [event_row(event, rules) for event in applied] if rules.store_events else [],
    }


def row_of(table: str, **cells: Any) -> Row:
    """A row of a table: an absent string is '', an absent flag or count 0, any other absence None."""
    empty = {pl.String: "", pl.List(pl.String): [], pl.UInt8: 0, pl.UInt32: 0}
    schema = TABLES[table].schema
    assert set(cells) <= set(schema), f"{table} has no {set(cells) - set(schema)}"
    return {name: empty.get(dtype) if cells.get(name) is None else cells[name] for name, dtype in schema.items()}


def who(session: Session) -> Row:
    """The ids that every row of a session has."""
    return {
        "site": session.site,
        "visitor_id": session.visitor_id,
        "session_id": session.session_id,
        "customer_id": session.customer_id,
        "account_id": min(session.values("account_id"), default=None),
    }


def context(session: Session) -> Row:
    """With what, where and from where: a device does not change within a session, a campaign is that of its start."""
    return {
        **{name: min(session.values(name), default=None) for name in ("device", "browser", "os", "country", "app_version")},
        "acquisition_channel": origin(session).get("acquisition_channel"),
    }


def origin(session: Session) -> Row:
    """The first event that says where the visit came from."""
    said = [event for event in session.events if event.get("campaign") is not None or event.get("acquisition_channel") is not None]
    return said[0] if said else {}


def worth(session: Session) -> tuple[int | None, str | None]:
    """The last total of cart or order, and its currency."""
    priced = [event for event in session.events if event.get("amount_minor") is not None]
    return (priced[-1]["amount_minor"], priced[-1].get("currency")) if priced else (None, None)


def session_row(session: Session) -> Row:
    """A row of `sessions`."""
    journey = session.journey
    reached = list(session.reached(journey)) if journey else []
    names = [journey.steps[index].name for index in reached] if journey else []
    amount_minor, currency = worth(session)
    pages, fired = session.values("page"), session.signals
    return row_of(
        "sessions",
        **who(session),
        **context(session),
        journey=journey.name if journey else "",
        started_at=session.started_at,
        ended_at=session.ended_at,
        n_events=len(session.events),
        engaged_ms=sum(session.values("engaged_ms")),
        entry_page=first(pages),
        exit_page=last(pages),
        steps=names,
        furthest_step=last(names),
        furthest_step_index=last(reached),
        status=session.status,
        abandoned_step=last(names) if session.status == "abandoned" else "",
        order_id=last(session.values("order_id")),
        cart_id=last(session.values("cart_id")),
        campaign=origin(session).get("campaign"),
        is_bot=int(session.is_bot),
        cart_value_minor=amount_minor,
        currency=currency,
        n_signals=len(fired),
        friction_score=min(100.0, sum((signal.weight for signal in fired), start=0.0)),
    )


def step_rows(session: Session) -> Iterator[Row]:
    """Its rows of `steps`: of every journey, not just its own."""
    met = [(row["journey"], row["step"], row["weight"]) for row in signal_rows(session)]
    for journey in session.rules.journeys.journeys:
        for index, events in session.reached(journey).items():
            step = journey.steps[index]
            points = [weight for *place, weight in met if place == [journey.name, step.name]]
            yield row_of(
                "steps",
                **who(session),
                instance="session",
                instance_id=f"{session.visitor_id}/{session.session_id}",
                journey=journey.name,
                step=step.name,
                step_index=index,
                is_commit=int(index == journey.commit_index),
                is_goal=int(index == journey.goal_index),
                owner=step.owner,
                first_at=events[0]["event_at"],
                last_at=events[-1]["event_at"],
                n_events=len(events),
                engaged_ms=sum(event.get("engaged_ms") or 0 for event in events),
                n_signals=len(points),
                friction_score=min(100.0, sum(points, start=0.0)),
            )


def signal_rows(session: Session) -> Iterator[Row]:
    """Its rows of `signals`."""
    for fired in session.signals:
        at_event = next(event for event in session.events if event["event_id"] == fired.event_id)
        signal = next(each for each in session.rules.signals if each.name == fired.signal)
        journey, index = place_of(session, at_event, at_furthest=signal.at_furthest)
        step = journey.steps[index] if journey and index is not None else None
        yield row_of(
            "signals",
            **who(session),
            **context(session),
            signal=fired.signal,
            signal_id=hashed(session.site, fired.signal, session.visitor_id, hashed(fired.event_id)),
            fired_at=at_event["event_at"],
            order_id=last(session.values("order_id")),
            journey=journey.name if journey and step else "",
            step=step.name if step else "",
            owner=step.owner if step else "",
            page=fired.page,
            element=fired.element,
            value=fired.value,
            weight=fired.weight,
            rule=fired.rule,
            detail=fired.detail,
        )


def place_of(session: Session, at_event: Row, *, at_furthest: bool) -> tuple[Journey | None, int | None]:
    """Where in the session's journey an event happened: at its own step, else at the furthest step reached by then."""
    journey = session.journey
    if journey is None:
        return None, None
    own = step_of(at_event, journey)
    if own is not None and not at_furthest:
        return journey, own
    by_then = [step_of(event, journey) for event in session.events if event["event_at"] <= at_event["event_at"]]
    return journey, max((index for index in by_then if index is not None), default=None)


def outcome_row(session: Session) -> Row:
    """The row of `outcomes` of an abandoned session."""
    journey = session.journey
    assert journey is not None
    reached = session.reached(journey)
    step = journey.steps[max(reached)]
    began = began_with(session, journey)
    due_at = session.ended_at + session.rules.gap
    value_minor, currency = worth(session)
    around = context(session)
    del around["os"]
    return row_of(
        "outcomes",
        **who(session),
        **around,
        expectation=ORDER_AFTER_COMMIT,
        outcome_id=hashed(session.site, ORDER_AFTER_COMMIT, session.visitor_id, hashed(began["event_id"])),
        journey=journey.name,
        step=step.name,
        owner=step.owner,
        order_id=last(session.values("order_id")),
        began_at=began["event_at"],
        due_at=due_at,
        lapsed_at=due_at,
        status="provisional",
        value_minor=value_minor,
        currency=currency,
    )


def began_with(session: Session, journey: Journey) -> Row:
    """The event from which on an order was expected: the first at or beyond the commit step."""
    for event in session.events:
        index = step_of(event, journey)
        if index is not None and index >= journey.commit_index:
            return event
    raise AssertionError("an abandoned session has reached the commit step")


def identity_rows(people: Iterable[Session]) -> list[Row]:
    """The rows of `identities`. Of two customers in the same millisecond of one visitor, the one whose id is smaller."""
    found = []
    for session in people:
        for event in session.events:
            if session.customer_id is not None and event.get("customer_id") == session.customer_id:
                found.append((event, session))
                break
    rows: dict[tuple[str, str, datetime], Row] = {}
    for event, session in sorted(found, key=lambda each: (each[0]["event_at"], each[1].customer_id or "")):
        key = (session.site, session.visitor_id, event["event_at"])
        cells = {"customer_id": session.customer_id, "linked_at": event["event_at"], "source": "clickstream"}
        rows.setdefault(key, row_of("identities", site=session.site, visitor_id=session.visitor_id, **cells))
    return list(rows.values())


def rollup_rows(people: Iterable[Session], rules: SessionRules) -> list[Row]:
    """The rows of `rollups`: every count that is more than nothing."""
    counted: Counter[tuple[tuple[str, Any], ...]] = Counter()
    for session in people:
        for what, at in contributions(session):
            chosen = {name: context(session)[name] or "" for name in rules.dimensions}
            key = {
                "site": session.site,
                "source_partition": session.partition,
                "interval_at": floor(at, rules.interval),
                **what,
                **chosen,
            }
            counted[tuple(sorted(key.items()))] += 1
    interval_s = rules.interval // timedelta(seconds=1)
    return [
        row_of(
            "rollups",
            **dict(key),
            interval_s=interval_s,
            source="sessions",
            n=n,
            matures_at=dict(key)["interval_at"]
            + rules.interval
            + rules.allowed_lateness
            + (rules.gap if dict(key).get("expectation") else timedelta(0)),
        )
        for key, n in counted.items()
    ]


def contributions(session: Session) -> Iterator[tuple[Row, datetime]]:
    """What one session adds to the counts, and when."""
    yield {"measure": "sessions"}, session.started_at
    for journey in session.rules.journeys.journeys:
        for index, events in session.reached(journey).items():
            yield {"measure": "reached", "journey": journey.name, "step": journey.steps[index].name}, events[0]["event_at"]
    own = session.journey
    if own and session.status == "converted":
        goal_events = session.reached(own)[own.goal_index]
        yield {"measure": "converted", "journey": own.name, "step": own.goal}, goal_events[0]["event_at"]
    if own and max(session.reached(own)) >= own.commit_index:
        wait = {"journey": own.name, "step": own.commit_step, "expectation": ORDER_AFTER_COMMIT}
        began = began_with(session, own)["event_at"]
        yield {"measure": "began", **wait}, began
        if session.status == "converted":
            yield {"measure": "met", **wait}, began
    if own and session.status == "abandoned":
        step = own.steps[max(session.reached(own))].name
        lapse = {"measure": "abandoned", "journey": own.name, "step": step, "expectation": ORDER_AFTER_COMMIT}
        yield lapse, began_with(session, own)["event_at"]
    for row in signal_rows(session):
        yield {"measure": "signals", "signal": row["signal"], "journey": row["journey"], "step": row["step"]}, row["fired_at"]


def event_row(event: Row, rules: SessionRules) -> Row:
    """The row of `events` of an applied event."""
    told = ("site", "event_id", "event_type", "event_at", "visitor_id", "session_id", "customer_id", "order_id", "page")
    place: Row = {}
    for journey in rules.journeys.journeys:
        index = step_of(event, journey)
        if index is not None:
            place = {"journey": journey.name, "step": journey.steps[index].name}
            break
    return row_of("events", family="clickstream", **{name: event.get(name) for name in told}, **place)


def first(values: Sequence[Any]) -> Any:
    """The first, if there is one."""
    return values[0] if values else None


def last(values: Sequence[Any]) -> Any:
    """The last, if there is one."""
    return values[-1] if values else None


def floor(at: datetime, interval: timedelta) -> datetime:
    """Start of the interval that a time lies in."""
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % interval


def hashed(*columns: str) -> str:
    """The id of one row."""
    return str(hex128(*(pl.Series([column]) for column in columns))[0])
