"""The four signals again, in plain loops: one visitor after the other, one event after the other, all of them at hand.

It is the specification, so it is written to be read. A new signal gets a loop here, under its name in `LOOPS`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, isfinite
from typing import Any

from pipeline.definitions import AnySignal
from pipeline.signals.form_error_loop import FormErrorLoop
from pipeline.signals.page_error import PageError
from pipeline.signals.rage_click import RageClick
from pipeline.signals.slow_page import SlowPage

Row = Mapping[str, Any]
"""An event; a field that is missing is null."""

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Fired:
    """A signal that fired, and the event at which it did."""

    signal: str
    event_id: str
    page: str | None
    element: str | None
    value: float | None
    weight: float
    rule: str
    detail: str


@dataclass(frozen=True)
class Told:
    """What a loop says of an event."""

    event: Row
    value: float | None
    element: str | None
    detail: str


def signals_of(events: Iterable[Row], signals: Sequence[AnySignal]) -> list[Fired]:
    """All that fires in these events, of any visitors, each visitor's in their order; in the order of the signals."""
    visitors = defaultdict(list)
    for event in events:
        visitors[event.get("partition"), event["site"], event["visitor_id"]].append(event)
    return [
        Fired(
            signal.name,
            told.event["event_id"],
            told.event.get("page"),
            told.element,
            told.value,
            signal.weight,
            signal.profile,
            told.detail,
        )
        for signal in signals
        for theirs in visitors.values()
        for told in LOOPS[signal.name]([event for event in theirs if event["event_type"] in signal.reads], signal.rule)
    ]


def ms(event: Row) -> int:
    """When it happened."""
    return int((event["event_at"] - EPOCH) / timedelta(milliseconds=1))


# Rage click


def rage_clicks(clicks: Sequence[Row], rule: RageClick) -> Iterator[Told]:
    """The first completing hit of every run."""
    chain: list[Row] = []
    completed: Row | None = None  # the last hit of this chain that completed
    for click in (click for click in clicks if is_hit(click, rule)):
        if not chain or not is_linked(chain[-1], click, rule):
            chain, completed = [], None
        chain.append(click)
        last = chain[-rule.clicks :]
        if len(last) < rule.clicks or not is_rage(last, rule):
            continue
        if completed is None or ms(click) - ms(completed) > longest_ms(rule):
            took_ms = ms(click) - ms(last[0])
            where = f" on {click['element']}" if click.get("element") is not None else ""
            yield Told(click, float(took_ms), click.get("element"), f"{rule.clicks} hits in {took_ms} ms{where}")
        completed = click


def is_hit(click: Row, rule: RageClick) -> bool:
    """Whether it counts."""
    if click.get("element_role") in rule.ignored_roles:
        return False
    if not rule.requires_dead:
        return True
    if click.get("watched_ms") is None:
        return False
    reaction_ms = click.get("reaction_ms")
    return reaction_ms is None or (rule.reacts_within_ms is not None and reaction_ms > rule.reacts_within_ms)


def is_linked(before: Row, click: Row, rule: RageClick) -> bool:
    """Whether a hit goes on where the one before it was."""
    gap_ms = ms(click) - ms(before)
    if rule.gap_ms is not None and gap_ms > rule.gap_ms:
        return False
    if rule.span_ms is not None and gap_ms > rule.span_ms:
        return False
    if rule.same_element and (click.get("element") is None or click["element"] != before.get("element")):
        return False
    if rule.same_element and click.get("page") != before.get("page"):
        return False
    return rule.measured_from == "first" or is_near(before, click, rule)


def is_rage(last: Sequence[Row], rule: RageClick) -> bool:
    """Whether linked hits, as many as make it rage, are close enough together."""
    if rule.span_ms is not None and ms(last[-1]) - ms(last[0]) > rule.span_ms:
        return False
    return rule.measured_from == "previous" or all(is_near(last[0], click, rule) for click in last[1:])


def is_near(one: Row, other: Row, rule: RageClick) -> bool:
    """Whether two hits lie within the radius; what has no place lies nowhere."""
    if rule.radius_px is None:
        return True
    if any(hit.get(axis) is None for hit in (one, other) for axis in ("x_px", "y_px")):
        return False
    across, down = abs(one["x_px"] - other["x_px"]), abs(one["y_px"] - other["y_px"])
    if rule.distance == "manhattan":
        return bool(across + down <= rule.radius_px)
    return bool(across**2 + down**2 <= rule.radius_px**2)


def longest_ms(rule: RageClick) -> int:
    """The longest that the hits which make it rage can take."""
    limits = []
    if rule.span_ms is not None:
        limits.append(rule.span_ms)
    if rule.gap_ms is not None:
        limits.append(rule.gap_ms * (rule.clicks - 1))
    return min(limits)


# Form error loop


def form_error_loops(events: Sequence[Row], rule: FormErrorLoop) -> Iterator[Told]:
    """The first completing attempt of every run, form by form, told in the order of the events."""
    forms = defaultdict(list)
    for event in events:
        if event.get("form") is not None:
            forms[event["form"]].append(event)
    told = [loop for theirs in forms.values() for loop in loops_of_form(theirs, rule)]
    yield from sorted(told, key=lambda loop: [event is loop.event for event in events].index(True))


def loops_of_form(events: Sequence[Row], rule: FormErrorLoop) -> Iterator[Told]:
    """Those of one form."""
    attempts: list[Row] = []
    before: Row | None = None  # the error before, whether it began an attempt or not
    completed: Row | None = None
    for place, event in enumerate(events):
        if event["event_type"] == "form_submit":
            following = events[place + 1] if place + 1 < len(events) else None
            if not is_refusal(event, following, rule):
                attempts, before, completed = [], None, None
            continue
        is_same_attempt = before is not None and is_joined(before, event, rule)
        before = event
        if is_same_attempt:
            continue
        attempts.append(event)
        last = attempts[-rule.errors :]
        took_ms = ms(event) - ms(last[0])
        if len(last) < rule.errors or took_ms > rule.within_s * 1_000:
            continue
        if completed is None or ms(event) - ms(completed) > rule.within_s * 1_000:
            yield Told(event, float(took_ms), event["form"], refused(event, took_ms, rule))
        completed = event


def is_refusal(submit: Row, following: Row | None, rule: FormErrorLoop) -> bool:
    """Whether the form answered a submit with an error at once."""
    if following is None or following["event_type"] != "form_error":
        return False
    return ms(following) - ms(submit) <= rule.refusal_ms


def is_joined(before: Row, error: Row, rule: FormErrorLoop) -> bool:
    """Whether an error is of the same attempt as the one before: at once, on another field."""
    if ms(error) - ms(before) > rule.attempt_ms:
        return False
    fields = (before.get("field"), error.get("field"))
    return None not in fields and fields[0] != fields[1]


def refused(error: Row, took_ms: int, rule: FormErrorLoop) -> str:
    """One line of evidence."""
    field = f"; {error['field']}" if error.get("field") is not None else ""
    message = f": {error['message'][:200]}" if error.get("message") is not None else ""
    return f"refused {rule.errors} times in {took_ms // 1_000} s{field}{message}"


# Slow page, page error


def slow_pages(vitals: Sequence[Row], rule: SlowPage) -> Iterator[Told]:
    """Every vital that is poor."""
    borders = {"LCP": rule.lcp_ms, "INP": rule.inp_ms, "CLS": rule.cls}
    for vital in vitals:
        metric, value = vital.get("metric"), vital.get("value")
        if value is None or not isfinite(value) or metric not in borders or value <= borders[metric]:
            continue
        if metric == "CLS":
            thousandths = floor(min(min(value, 1e15) * 1_000, 1e15))
            yield Told(vital, value, metric, f"CLS {thousandths // 1_000}.{thousandths % 1_000:03}")
        else:
            yield Told(vital, value, metric, f"{metric} {floor(min(value, 1e15))} ms")


def page_errors(errors: Sequence[Row], rule: PageError) -> Iterator[Told]:
    """Every error that counts."""
    for error in errors:
        status = error.get("status") if error["event_type"] == "api_error" else None
        if error["event_type"] == "api_error":
            counted = rule.without_status if status is None else status >= rule.lowest_status
            if not counted:
                continue
        number = f" {status}" if status is not None else ""
        message = f": {error['message'][:200]}" if error.get("message") is not None else ""
        detail = f"{error['event_type']}{number}{message}"
        yield Told(error, None if status is None else float(status), error.get("element"), detail)


LOOPS: dict[str, Callable[[Sequence[Row], Any], Iterator[Told]]] = {
    "rage_click": rage_clicks,
    "form_error_loop": form_error_loops,
    "slow_page": slow_pages,
    "page_error": page_errors,
}
