"""Crowds of visitors made to stand on every edge of the rules: at the gap, at the retention, at the lateness, at the horizon.

A log is what Kafka holds: records of all partitions in order of arrival, as `builders.records` place them. `quiet_before` on a record says that
its partition was caught up and quiet for so long before it came, `cut_before` that a batch begins with it.

Hypothesis draws only the seed of a crowd and how large it is: a step of a fold costs the same over five records and over five hundred, so many
visitors a log find more than many logs. `fewest` then makes the log that shows a failure as small as it gets.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from pipeline.journey_map import SHOP, Journey, JourneyMap, JourneyStep
from pipeline.session_rules import SessionRules
from tests.builders import MONDAY, Event

T = TypeVar("T")

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
"""`ci` on every change, `thorough` when the fold itself changed."""

_ALWAYS = settings(
    deadline=None,
    derandomize=False,
    print_blob=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("ci", _ALWAYS, max_examples=5)
settings.register_profile("thorough", _ALWAYS, max_examples=200)
settings.load_profile(PROFILE)

QUOTE = Journey(
    "quote",
    (
        JourneyStep("catalogue", "sales", ("view_item",)),
        JourneyStep("asked", "sales", ("rfq_step",), ("rfq",), ("/rfq/*",), ("requested",)),
        JourneyStep("sent", "back office", ("form_submit",)),
        JourneyStep("thanked", "sales", pages=("/rfq/*/thanks",)),
    ),
    commit_step="asked",
    goal="sent",
)
"""Shares a step with the shop's journey, and goes on beyond its goal."""

HELP = Journey("help", (JourneyStep("helped", "support", ("help_view",)),), commit_step="helped", goal="helped")
"""As short as a journey can be."""

RULES = SessionRules(journeys=JourneyMap((SHOP, QUOTE, HELP)), store_events=True)

SECOND, MINUTE, HOUR, MS = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(milliseconds=1)

PAUSES = (
    *(SECOND, timedelta(0), MINUTE, 59 * SECOND, 10 * MINUTE, SECOND, 400 * MS),
    *(29 * MINUTE, 30 * MINUTE, 30 * MINUTE + MS, 31 * MINUTE, 31 * MINUTE),
    *(2 * HOUR, 23 * HOUR, 24 * HOUR, 24 * HOUR + MS, 25 * HOUR),
)
"""From one thing a visitor does to the next."""

_ON_TIME = timedelta(0)

DELAYS: Mapping[str, Sequence[timedelta]] = {
    "in time": (_ON_TIME, SECOND, 30 * SECOND, 59 * SECOND, 60 * SECOND),
    "not too late": (_ON_TIME, SECOND, 59 * SECOND, 60 * SECOND, 61 * SECOND, 10 * MINUTE, 31 * MINUTE, 60 * MINUTE, 61 * MINUTE),
    "honest": (
        *(4 * [_ON_TIME]),
        5 * SECOND,
        59 * SECOND,
        61 * SECOND,
        10 * MINUTE,
        40 * MINUTE,
        61 * MINUTE,
        61 * MINUTE + MS,
        3 * HOUR,
    ),
    "any": (
        *(4 * [_ON_TIME]),
        *(5 * SECOND, 59 * SECOND, 60 * SECOND, 61 * SECOND, 10 * MINUTE, 40 * MINUTE, 60 * MINUTE),
        *(61 * MINUTE, 61 * MINUTE + MS, 3 * HOUR, -SECOND, -5 * MINUTE),
    ),
}
"""From the event to its record: within the allowed lateness, within lateness and horizon, with no fast clock (negative), with all there is.

After 61 min the horizon is reached, a millisecond later it is passed.
"""

AGAIN = (timedelta(0), SECOND, 61 * SECOND, 59 * MINUTE, 61 * MINUTE, 62 * MINUTE, 25 * HOUR)
"""From a record to its repetition."""

SILENCES = (MINUTE, 31 * MINUTE, 25 * HOUR)
"""How long a partition is quiet."""

_BUY = {"element": "buy", "element_role": "button", "x_px": 10, "y_px": 10, "page": "/shoes/1", "watched_ms": 7_500}
_CARD = {"form": "checkout", "field": "card", "message": "invalid", "page": "/checkout"}

DEEDS: dict[str, tuple[Event, ...]] = {
    "view": ({"event_type": "page_view", "page": "/", "page_type": "home"},),
    "product": ({"event_type": "view_item", "page": "/shoes/1", "page_type": "product", "campaign": "spring"},),
    "cart": ({"event_type": "add_to_cart", "cart_id": "k1", "amount_minor": 4_900, "currency": "EUR"},),
    "another cart": ({"event_type": "view_cart", "page": "/cart", "cart_id": "k2", "amount_minor": 900, "device": "mobile"},),
    "checkout": ({"event_type": "begin_checkout", "page": "/checkout", "page_type": "checkout", "device": "desktop"},),
    "payment": ({"event_type": "payment_submitted", "browser": "Firefox", "os": "Linux", "country": "DE", "app_version": "7"},),
    "purchase": ({"event_type": "purchase", "order_id": "o1", "amount_minor": 5_400, "currency": "EUR", "account_id": "acme"},),
    "leave": ({"event_type": "page_leave", "engaged_ms": 1_500, "page": "/", "acquisition_channel": "email"},),
    "ask": ({"event_type": "rfq_step", "page": "/rfq/1", "page_type": "rfq", "engaged_ms": 10, "acquisition_channel": "search"},),
    "send": ({"event_type": "form_submit", "form": "rfq", "page": "/rfq/1/thanks"},),
    "help": ({"event_type": "help_view", "page": "/help", "page_type": "help", "campaign": "autumn", "account_id": "globex"},),
    "named step": ({"event_type": "custom", "journey": "quote", "step": "requested"},),
    "unknown step": ({"event_type": "view_item", "journey": "quote", "step": "cart", "page_type": "other"},),
    "step alone": ({"event_type": "view_item", "step": "payment"},),
    "rage": tuple({"event_type": "click", **_BUY} for _ in range(3)),
    "error loop": tuple({"event_type": "form_error", **_CARD} for _ in range(3)),
    "slow page": ({"event_type": "web_vital", "metric": "LCP", "value": 9_000.0, "page": "/"},),
    "broken page": ({"event_type": "js_error", "message": "x is undefined", "page": "/checkout"},),
    "dead": ({"event_type": "click", **_BUY}, {"event_type": "dead_click", "element": "buy", "page": "/shoes/1"}),
    "reported rage": (
        *({"event_type": "click", **_BUY} for _ in range(3)),
        {"event_type": "rage_click", "element": "buy", "page": "/shoes/1"},
    ),
    "error click": ({"event_type": "click", **_BUY}, {"event_type": "js_error", "message": "x is undefined", "page": "/shoes/1"}),
    "back and forth": tuple(
        {"event_type": "page_view", "page": page, "page_type": "listing"} for page in ("/a", "/b", "/a", "/b", "/a")
    ),
    "ping-pong": tuple(
        {"event_type": "page_view", "page": "/c", "page_type": "checkout", "step": step} for step in ("cart", "payment") * 3
    ),
    "begin a form": ({"event_type": "form_start", "form": "rfq", "page": "/rfq/1", "page_type": "rfq"},),
    "begin another": (
        {"event_type": "form_start", "form": "address"},
        {"event_type": "form_error", "form": "address", "field": "city"},
    ),
    "search": tuple({"event_type": "search", "query": query, "n_results": 9, "page_type": "search"} for query in ("coat", "parka")),
    "search in vain": ({"event_type": "search", "query": "shoos", "n_results": 0, "page_type": "search"},),
    "filter": ({"event_type": "view_item_list", "n_results": 0, "page": "/a"},),
    "coupon": ({"event_type": "coupon_rejected", "coupon": "SPRING", "reason": "expired"},),
    "costs": ({"event_type": "add_shipping_info", "amount_minor": 9_900, "currency": "EUR"},),
    "gone": ({"event_type": "out_of_stock", "product_id": "1"},),
    "declined": ({"event_type": "payment_failed", "reason": "declined"}, {"event_type": "payment_failed"}),
    "wall": (
        {"event_type": "page_view", "page": "/login", "page_type": "login"},
        {"event_type": "login_failed", "reason": "password"},
    ),
    "hesitation": tuple(
        {"event_type": "page_leave", "page": page, "page_type": "checkout", "engaged_ms": engaged_ms}
        for page, engaged_ms in (("/cart", 5_000), ("/checkout", 7_000), ("/payment", 60_000))
    ),
    "flipping": tuple({"event_type": f"{deed}_cart", "product_id": "1"} for deed in ("add_to", "remove_from") * 3),
    "reorder": ({"event_type": "reorder_started", "page": "/orders"},),
    "failed call": ({"event_type": "api_error", "status": 502, "page": "/checkout"},),
}
"""What a visitor does, as fields of events a third of a second apart."""


HABITS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "session_id": ((None,), ("s1",), (None, "s1"), ("s1", "s2")),
    "customer_id": ((None,), (None, None, "anna"), (None, None, "anna", "bert")),
    "sequence": ((None,), (None, 0, 1, 2)),
    "is_bot": ((None,), (None,), (None,), (None, False, False, True)),
}
"""What an emitter says of its events: one of these ways a visitor, one of its values an event."""


def acts(dice: Random, visitor_id: str, *, most: int = 6) -> list[Event]:
    """All that one visitor does, in order of time; not placed yet."""
    habits = {name: dice.choice(ways) for name, ways in HABITS.items()}
    standing = {"visitor_id": visitor_id, "site": dice.choice(("shop", "outlet")), "partition": dice.choice((0, 1))}
    at = MONDAY + dice.choice((10 * HOUR, 23 * HOUR + 50 * MINUTE))
    events: list[Event] = []
    for _ in range(dice.randint(1, most)):
        at += dice.choice(PAUSES)
        said = {name: dice.choice(values) for name, values in habits.items()}
        for place, deed in enumerate(DEEDS[dice.choice(tuple(DEEDS))]):
            event = {**standing, **said, **deed, "event_id": f"{visitor_id}-{len(events)}", "event_at": at + place * 333 * MS}
            events.append({name: value for name, value in event.items() if value is not None})
    return events


OTHER_SITE = {"shop": "outlet", "outlet": "shop"}
TWINS = ("v0", "v1")
"""Visitors whom the other site knows as well, who do the same there at the same time: ids of visitors and events are of their site alone."""


@dataclass(frozen=True)
class Crowd:
    """Some visitors and how their events arrive; always the same of one seed."""

    seed: int
    visitors: int
    delays: str = "any"
    """Key of DELAYS."""

    @cached_property
    def log(self) -> list[Event]:
        """Events late, out of order, some again, some after a silence, cut into batches."""
        dice = Random(self.seed)
        events = [event for number in range(self.visitors) for event in acts(dice, f"v{number}")]
        events += [{**event, "site": OTHER_SITE[event["site"]]} for event in events if event["visitor_id"] in TWINS]
        delays = DELAYS[self.delays]
        arriving = [(event["event_at"] + dice.choice(delays), event) for event in events]
        if self.delays == "any":
            arriving += [(at + dice.choice(AGAIN), event) for at, event in dice.choices(arriving, k=len(events) // 10)]
        log = placed(arriving)
        for record in dice.choices(log, k=dice.randint(0, 5)):
            record["cut_before"] = True
        if self.delays == "any":
            for record in dice.choices(log, k=dice.randint(0, 2)):
                record["quiet_before"] = dice.choice(SILENCES)
        return log


def crowds(delays: str = "any") -> st.SearchStrategy[Crowd]:
    """Many visitors or a few."""
    return st.builds(Crowd, seed=st.integers(0, 2**32), visitors=st.sampled_from((100, 100, 30, 5)), delays=st.just(delays))


def placed(arriving: Iterable[tuple[datetime, Event]]) -> list[Event]:
    """The log of events that arrive at these times: the time is the record time, and offsets follow it."""
    return numbered({**event, "record_at": at} for at, event in sorted(arriving, key=lambda each: each[0]))


def numbered(log: Iterable[Event]) -> list[Event]:
    """The log with offsets that count every record of a partition."""
    ends: dict[int, int] = {}
    records = []
    for record in log:
        ends[record["partition"]] = ends.get(record["partition"], -1) + 1
        records.append({**record, "offset": ends[record["partition"]]})
    return records


def without(log: Iterable[Event], *marks: str) -> list[Event]:
    """The log less some marks."""
    return [{name: value for name, value in record.items() if name not in marks} for record in log]


def holds(log: list[Event], broken: Callable[[list[Event]], list[str]]) -> bool:
    """Whether nothing is broken. Raises: AssertionError that tells the fewest records over which something is."""
    told = fewest(log, broken)
    assert not told, "\n".join(told)
    return True


def fewest(log: list[Event], broken: Callable[[list[Event]], list[str]]) -> list[str]:
    """What is broken, told of the fewest records of the log over which something of the kind is broken; nothing if nothing is."""
    found = broken(log)
    if not found:
        return []
    kind = found[0].split()[0]

    def fails(some: list[Event]) -> bool:
        return any(line.startswith(kind) for line in broken(some))

    ids = list(dict.fromkeys(map(_whose, log)))
    shown = _least(ids, lambda few: fails([record for record in log if _whose(record) in few]))
    few = _least([record for record in log if _whose(record) in shown], fails)
    return [f"{len(found)} lines of {len(log)} records; of {len(few)}:", *map(spelt, few), *broken(few)]


def _whose(record: Event) -> tuple[str, str]:
    """Whose story a record is of."""
    return record["site"], record.get("story") or record["visitor_id"]


def _least(items: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Fewer items that still fail: halves are left out, then quarters, in the end single ones."""
    size = (len(items) + 1) // 2
    while size:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if fewer and fails(fewer):
                items = fewer
            else:
                at += size
        size //= 2
    return items


def spelt(record: Event) -> str:
    """A record in one line."""
    hidden = {"event_at", "record_at", "partition", "offset", "event_type", "site", "visitor_id", "story"}
    said = " ".join(f"{name}={value}" for name, value in record.items() if name not in hidden)
    at = record.get("event_at", record["record_at"])  # a fact is none
    behind = record["record_at"] - at
    what = record.get("event_type", record.get("family"))
    return f"{at:%d %H:%M:%S.%f} after {behind / SECOND:.3f} s, {record['partition']} {' '.join(_whose(record))} {what} {said}"
