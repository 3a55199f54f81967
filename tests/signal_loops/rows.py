"""What the loops have in common: an event, when it was, and what is said of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Row = Mapping[str, Any]
"""An event; a field that is missing is null."""

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Told:
    """What a loop says of an event."""

    event: Row
    value: float | None
    element: str | None
    detail: str


def ms(event: Row) -> int:
    """When it happened."""
    return int((event["event_at"] - EPOCH) / timedelta(milliseconds=1))


def since(before: Row, event: Row) -> int:
    """Time between two events."""
    return ms(event) - ms(before)


def said(event: Row, *fields: str) -> str:
    """`: ` and what the first of these fields says that says something."""
    return next((f": {event[field][:200]}" for field in fields if event.get(field) is not None), "")


def same(one: Row, other: Row, *fields: str) -> bool:
    """Whether two events say the same; two that say nothing do."""
    return all(one.get(field) == other.get(field) for field in fields)


def first_of_runs(events: Iterable[Row], fields: Sequence[str], within_ms: int) -> Iterator[Row]:
    """Those that have none like them within this time before."""
    before: list[Row] = []
    for event in events:
        if not any(same(each, event, *fields) and since(each, event) <= within_ms for each in before):
            yield event
        before.append(event)


def completed(chains: Iterable[Sequence[Row]], n: int, within_ms: int) -> Iterator[tuple[Row, int]]:
    """Of each chain of attempts the n-th within this time, the first of every run; and how long it took."""
    for chain in chains:
        last: Row | None = None
        for place, event in enumerate(chain):
            if place < n - 1 or since(chain[place - n + 1], event) > within_ms:
                continue
            if last is None or since(last, event) > within_ms:
                yield event, since(chain[place - n + 1], event)
            last = event


def back_and_forth(views: Sequence[Row], places: Sequence[str], n: int, within_ms: int) -> Iterator[tuple[Row, str, int]]:
    """Where the n-th stay by turns at two places begins, the first of every run: the view, the other place, and how long it took."""
    stays: list[list[int]] = []
    for at in range(len(views)):
        if stays and places[stays[-1][-1]] == places[at]:
            stays[-1].append(at)
        else:
            stays.append([at])
    before: tuple[int, int] | None = None  # the last stay that completed, and the stay from which on all have been by turns
    begin = 0
    for number, stay in enumerate(stays):
        # Three in a row are by turns if the third is where the first was.
        if number >= 2 and places[stay[0]] != places[stays[number - 2][0]]:
            begin = number - 1
        if number - begin + 1 < n:
            continue
        here, left = views[stay[0]], views[stays[number - n + 1][-1]]
        if since(left, here) > within_ms:
            continue
        if before is None or before[1] != begin or since(views[stays[before[0]][0]], here) > within_ms:
            yield here, places[stays[number - 1][0]], since(left, here)
        before = number, begin


def cut(events: Iterable[Row], ends: Sequence[str]) -> list[list[Row]]:
    """The events in chains, without those of types that end one."""
    chains: list[list[Row]] = [[]]
    for event in events:
        if event["event_type"] in ends:
            chains.append([])
        else:
            chains[-1].append(event)
    return chains


def by(events: Iterable[Row], field: str) -> dict[Any, list[Row]]:
    """The events by what they say in a field."""
    found: dict[Any, list[Row]] = {}
    for event in events:
        found.setdefault(event.get(field), []).append(event)
    return found


def in_order(told: Iterable[Told], events: Sequence[Row]) -> list[Told]:
    """What was told, in the order of the events."""
    return sorted(told, key=lambda each: [event is each.event for event in events].index(True))


def in_checkout(event: Row, before: Iterable[Row], within_s: int) -> bool:
    """Whether the last thing done in the checkout, of those before an event, was no purchase and lies not too far back."""
    deeds = [each for each in before if each["event_type"] in (*MARKS, "purchase")]
    return bool(deeds) and deeds[-1]["event_type"] != "purchase" and since(deeds[-1], event) <= within_s * 1_000


MARKS = ("begin_checkout", "add_shipping_info", "add_payment_info", "payment_submitted", "payment_failed")


def once(found: Sequence[Told], reports: Sequence[Told], events: Sequence[Row], within_ms: int) -> list[Told]:
    """What we found and what a tool reported, each thing once: a finding not after a report of it, a report not after anything of it."""
    kept = []
    both = in_order([*found, *reports], events)
    for place, told in enumerate(both):
        is_report = any(told is report for report in reports)
        near = [
            each
            for each in both[:place]
            if same(each.event, told.event, "page") and each.element == told.element and since(each.event, told.event) <= within_ms
        ]
        if not any(is_report or any(each is report for report in reports) for each in near):
            kept.append(told)
    return kept
