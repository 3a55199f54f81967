"""Households made to stand on every edge of the rules of the fold by person: logins before, within and after, shared devices, two people of one account.

A *household* is two devices, two customers of one company, a few orders and tickets, and nobody knows beforehand whose is what. Its log is what lies on the
topic `people`: events of tickets, links, and facts, of which later versions correct earlier ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.calendars import Calendar, Calendars
from pipeline.expectations import CATALOGUE
from pipeline.journeys_rules import JourneysRules
from pipeline.keys import partitions
from pipeline.sentiment import SentimentRule
from pipeline.ticket_signals import TicketRule
from tests.builders import MONDAY, Event
from tests.strategies import HOUR, MINUTE, MS, PROFILE, SECOND, numbered, placed

DAY = timedelta(days=1)
FAR = MONDAY + 700 * DAY
"""A time by which everything has been decided."""

RULES = JourneysRules(
    identity_lookback=900 * DAY,
    customer_memory=900 * DAY,
    return_horizon=900 * DAY,
    count_memory=900 * DAY,
    expectations=tuple(replace(each, enabled="on") for each in CATALOGUE if each.key in ("ticket", "person")),
)
"""Nothing is forgotten: what can still be known is known; and what is expected of support is, whether a shop is known to give it or not."""

OTHER_RULES = replace(
    RULES,
    expectations=tuple(
        replace(
            each, enabled="on" if each.key == "person" else "auto", calendar="always", re_arm="first" if number % 2 else "latest"
        )
        for number, each in enumerate(CATALOGUE)
        if each.key in ("ticket", "person")
    ),
    calendars=Calendars({"shop": Calendar("Europe/Berlin")}, Calendar("America/New_York")),
    seen_within=2 * DAY,
    dimensions=("country", "acquisition_channel"),
    interval=DAY,
    dedup_horizon=10 * DAY,
    ticket_signals=TicketRule(repeat_within=HOUR, transfers=1, low_csat=1, low_nps=3, negative=-0.1),
    sentiment=SentimentRule(language="en"),
)
"""Awaited types must have been seen, all hours count, and what moves a wait is turned round."""

PAUSES = (SECOND, timedelta(0), MINUTE, 20 * MINUTE, HOUR, 6 * HOUR, DAY, DAY + MS, 2 * DAY, 3 * DAY, 7 * DAY + MS, 16 * DAY)
FAR_PAUSES = (*PAUSES, 40 * DAY, 121 * DAY)
WINDOWS = ((30 * MINUTE, DAY), (DAY, 3 * DAY), (2 * DAY, DAY))
"""How long a wait is, and how long after it one is silent."""

DELAYS: Mapping[str, Sequence[timedelta]] = {
    "in time": (timedelta(0), SECOND, 5 * MINUTE, 10 * MINUTE),
    "not too late": (timedelta(0), MINUTE, 11 * MINUTE, DAY, 8 * DAY, 29 * DAY),
    "any": (*(4 * [timedelta(0)]), MINUTE, 11 * MINUTE, 3 * HOUR, 2 * DAY, 9 * DAY, 31 * DAY, -HOUR),
}
AGAIN = (timedelta(0), SECOND, HOUR, 9 * DAY, 31 * DAY)

SPOKEN: tuple[Event, ...] = (
    {"event_type": "ticket_opened", "channel": "email", "topic": "delivery", "text": "Where is my parcel?", "language": "en"},
    {"event_type": "ticket_opened", "channel": "chat", "topic": "how_to"},
    {"event_type": "ticket_opened", "channel": "phone", "is_outbound": True, "team": "sales"},
    {"event_type": "customer_message", "text": "This is horrible, I am so angry and disappointed!", "language": "en"},
    {"event_type": "customer_message", "text": "Thank you, wonderful!", "language": "en-GB"},
    {"event_type": "customer_message", "text": "Schrecklich, wie immer!", "language": "de"},
    {"event_type": "customer_message", "is_outbound": True},
    {"event_type": "customer_message", "priority": "high"},
    {"event_type": "agent_reply", "agent_id": "a1", "team": "care"},
    {"event_type": "agent_reply", "agent_id": "a2", "is_outbound": True},
    {"event_type": "bot_reply", "channel": "bot"},
    {"event_type": "bot_reply"},
    {"event_type": "human_requested"},
    {"event_type": "human_joined", "agent_id": "a3"},
    {"event_type": "assigned", "team": "second line", "agent_id": "a2"},
    {"event_type": "transferred", "team": "back office"},
    {"event_type": "transferred", "team": "care"},
    {"event_type": "escalated"},
    {"event_type": "escalated", "priority": "urgent"},
    {"event_type": "customer_left"},
    {"event_type": "solved"},
    {"event_type": "solved", "agent_id": "a1"},
    {"event_type": "reopened"},
    {"event_type": "closed"},
    {"event_type": "csat_answered", "score": 1},
    {"event_type": "csat_answered", "score": 4, "text": "Great help", "language": "en"},
    {"event_type": "ces_answered", "score": 2},
    {"event_type": "nps_answered", "score": 5},
)
SURVEYS: tuple[Event, ...] = (
    {"event_type": "nps_answered", "score": 3, "text": "Never again, terrible service", "language": "en"},
    {"event_type": "nps_answered", "score": 9},
    {"event_type": "csat_answered", "score": 2, "order": True},
    {"event_type": "ces_answered", "score": 6, "journey": "order", "step": "delivered"},
)
EXPECTED = (
    ("delivered_by_promise", "order", "delivered", "carrier"),
    ("first_scan_after_shipping", "order", "scanned", "carrier"),
    ("answer_after_quote", "rfq", "answered", "customer"),
)
MET = (
    ("rage_click", "shop", "cart", 10.0),
    ("slow_page", "shop", "payment", 10.0),
    ("payment_failed", "shop", "payment", 30.0),
)
BEFALLEN = (
    ("eta_slip", "order", "delivered", 20.0),
    ("failed_attempt", "order", "delivered", 15.0),
    ("payment_declined_twice", "order", "paid", 30.0),
)


@dataclass
class Household:
    """Some people who can be mistaken for each other, as they live on."""

    dice: Random
    number: int
    site: str
    records: list[tuple[datetime, Event]] = field(default_factory=list)
    """When each is known, and what."""
    edges: list[datetime] = field(default_factory=list)
    """Times at which something changes."""
    at: datetime = MONDAY
    versions: int = 0
    visits: int = 0

    @property
    def devices(self) -> tuple[str, ...]:
        return f"v{self.number}a", f"v{self.number}b"

    @property
    def customers(self) -> tuple[str, ...]:
        return f"c{self.number}a", f"c{self.number}b"

    def live(self, deeds: int, pauses: Sequence[timedelta]) -> None:
        """Do so many things."""
        ways = (*(3 * [self.visit]), *(3 * [self.order]), *(4 * [self.speak]), self.survey, self.login)
        self.at += self.dice.choice((10 * HOUR, 23 * HOUR))
        for _ in range(deeds):
            self.at += self.dice.choice(pauses)
            if self.edges and self.dice.random() < 0.4:
                self.at = self.dice.choice(self.edges) + self.dice.choice((-MS, timedelta(0), MS))
            self.dice.choice(ways)()

    def visit(self) -> None:
        """Somebody is on the page, with a name or without, and may leave a full cart."""
        dice, at = self.dice, self.at
        self.visits += 1
        ids: Event = {"visitor_id": dice.choice(self.devices), "session_id": f"s{self.visits}"}
        key, ended = f"visitor:{ids['visitor_id']}", at + dice.choice((MINUTE, HOUR))
        customer = dice.choice((None, None, *self.customers))
        cart = dice.choice((None, f"k{self.number}1", f"k{self.number}2"))
        visit = {**ids, "started_at": at, "ended_at": ended, "journey": "shop", "cart_id": cart, "is_bot": 0}
        self.fact("visit", key, at, visit | {"status": "open"}, account_id=dice.choice((None, "acme")))
        if customer is not None:
            identified = dice.choice((at, at + MINUTE, ended))
            self.link(identified, key, f"customer:{customer}", "clickstream")
            visit["customer_id"] = ids["customer_id"] = customer
        bought = dice.random() < 0.3
        status = "converted" if bought else "abandoned"
        self.fact("visit", key, ended, visit | {"status": status, "furthest_step": "cart"}, account_id="acme")
        for place in range(dice.choice((0, 0, 1, 2))):
            signal, journey, step, weight = dice.choice(MET)
            fired = dice.choice((at, at + place * MINUTE, ended))
            self.signal(key, fired, f"{self.visits}-{place}", {**ids, "signal": signal, "journey": journey, "step": step}, weight)
        if not bought:
            due = ended + 30 * MINUTE
            lapse = {**ids, "expectation": "order_after_commit", "outcome_id": f"l{self.number}-{self.visits}", "journey": "shop"}
            lapse |= {
                "step": dice.choice(("cart", "payment")),
                "owner": "shop",
                "cart_id": cart,
                "value_minor": 4_900,
                "currency": "EUR",
            }
            lapse |= {"device": "mobile", "country": "DE"}
            self.lapse(key, at, due, DAY, lapse)
        if bought and dice.random() < 0.6:
            self.order(visitor=ids["visitor_id"], customer=customer, cart=cart)

    def order(self, visitor: str | None = None, customer: str | None = None, cart: str | None = None) -> None:
        """A document; of a guest, of a customer, or of nobody yet."""
        dice, at = self.dice, self.at
        order_id = f"o{self.number}{dice.choice('abcde')}"
        key = f"order:{order_id}"
        if visitor is None and customer is None:
            visitor, customer = dice.choice((None, *self.devices)), dice.choice((None, *self.customers))
        ids = {"visitor_id": visitor, "customer_id": customer, "order_id": order_id}
        self.links(at, ids, dice.choice(("order", "order", "delivery")))
        is_order = dice.random() < 0.8
        case = {**ids, "cart_id": cart or dice.choice((None, f"k{self.number}1")), "account_id": dice.choice((None, "acme"))}
        case |= {"case_type": "order" if is_order else "rfq", "status": "open", "opened_at": at, "is_late": 0}
        if is_order:
            case |= {"placed_at": at, "amount_minor": dice.choice((4_900, 100)), "currency": "EUR"}
        self.fact("case", key, at, case)
        if dice.random() < 0.6:
            later = at + dice.choice((DAY, 3 * DAY))
            status = dice.choice(("delivered", "cancelled", "returned"))
            case |= {"status": status, "is_late": dice.choice((0, 1)), "refund_minor": dice.choice((None, 900))}
            case |= {"cancelled_at" if status == "cancelled" else "delivered_at": later}
            self.fact("case", key, later, case)
        for place in range(dice.choice((0, 1, 1, 2))):
            expectation, journey, step, owner = dice.choice(EXPECTED)
            within, silence = dice.choice(WINDOWS)
            lapse = {**ids, "expectation": expectation, "outcome_id": f"l{order_id}-{expectation}-{place}", "journey": journey}
            lapse |= {"step": step, "owner": owner, "value_minor": 4_900, "currency": "EUR"}
            self.lapse(key, at, at + within, silence, lapse)
        for _ in range(dice.choice((0, 0, 1))):
            signal, journey, step, weight = dice.choice(BEFALLEN)
            self.signal(
                key, at + dice.choice((HOUR, DAY)), order_id, {**ids, "signal": signal, "journey": journey, "step": step}, weight
            )

    def speak(self) -> None:
        """A few events of one ticket, each saying what it likes of whose it is."""
        dice = self.dice
        ticket_id = f"t{self.number}{dice.choice('abc')}"
        knows = dice.choice(
            (("order_id",), ("visitor_id",), ("customer_id",), ("order_id", "customer_id"), ("visitor_id", "order_id"), ())
        )
        about = dice.choice((None, f"o{self.number}{dice.choice('abc')}"))
        ids = {"order_id": about, "visitor_id": dice.choice(self.devices), "customer_id": dice.choice(self.customers)}
        for _ in range(dice.choice((1, 1, 2, 4))):
            said = {name: ids[name] for name in knows if dice.random() < 0.8}
            place = {"journey": dice.choice(("order", "shop")), "step": "cart"} if dice.random() < 0.2 else {}
            self.ticket({"ticket_id": ticket_id, **said, **place, "account_id": dice.choice((None, "acme")), **dice.choice(SPOKEN)})
            self.at += dice.choice((timedelta(0), SECOND, MINUTE, HOUR, DAY))

    def survey(self) -> None:
        """An answer of no ticket; of somebody, an account, or nobody."""
        dice = self.dice
        deed = dict(dice.choice(SURVEYS))
        ids: Event = {"account_id": dice.choice((None, "acme"))}
        if deed.pop("order", False):
            ids["order_id"] = f"o{self.number}{dice.choice('abc')}"
        elif dice.random() < 0.8:
            ids |= dice.choice(({"customer_id": dice.choice(self.customers)}, {"visitor_id": dice.choice(self.devices)}))
        self.ticket({**ids, **deed})

    def login(self) -> None:
        """A device is somebody's, as another family than the clicks knows."""
        ids = {"visitor_id": self.dice.choice(self.devices), "customer_id": self.dice.choice(self.customers)}
        self.links(self.at, ids, self.dice.choice(("order", "ticket", "clickstream")))

    def ticket(self, said: Event) -> None:
        """One event of a ticket, and its links."""
        event = {name: value for name, value in said.items() if value is not None}
        event |= {"event_id": f"{self.number}-{len(self.records)}", "event_at": self.at}
        key = next((f"{kind}:{event[name]}" for kind, name in _OWN if name in event), f"event:{event['event_id']}")
        self.tell(self.at, {"family": "ticket", "key": key, **event})
        self.links(self.at, event, "ticket")

    def links(self, at: datetime, ids: Mapping[str, Any], told_by: str) -> None:
        """From every id to the strongest."""
        known = [f"{kind}:{ids[name]}" for kind, name in _LINKED if ids.get(name) is not None]
        for weaker in known[1:]:
            self.link(at, weaker, known[0], told_by)

    def link(self, at: datetime, key: str, belongs_to: str, told_by: str) -> None:
        event_id = f"{self.number}-link{len(self.records)}"
        link = {"family": "link", "event_id": event_id, "event_at": at, "key": key, "belongs_to": belongs_to, "told_by": told_by}
        self.edges.append(at)
        self.tell(at, link)

    def lapse(self, key: str, began: datetime, due: datetime, silence: timedelta, said: Event) -> None:
        """A wait that lapsed; now and then it is taken back, or what was awaited came late."""
        dice, began = self.dice, min(began, due)
        times = {"began_at": began, "due_at": due, "lapsed_at": due, "silent_at": due + silence, "recovers_until": due + 7 * DAY}
        self.edges += times.values()
        said = {**said, **times, "status": "provisional"}
        self.fact("lapse", key, due, said)
        fate = dice.random()
        if fate < 0.15:
            self.fact("lapse", key, due + dice.choice((MINUTE, 2 * DAY)), said, is_deleted=1)
        elif fate < 0.4 and key.startswith("order:"):
            later = due + dice.choice((HOUR, 7 * DAY, 7 * DAY + MS))
            name = "recovered_at" if later <= said["recovers_until"] else "returned_at"
            self.fact("lapse", key, later, said | {name: later})

    def signal(self, key: str, fired: datetime, part: str, said: Event, weight: float) -> None:
        said = {**said, "signal_id": f"g{self.number}-{part}-{said['signal']}", "fired_at": fired, "weight": weight}
        self.edges.append(fired)
        self.fact("signal", key, fired, said)
        if self.dice.random() < 0.1:
            self.fact("signal", key, fired, said, is_deleted=1)

    def fact(self, name: str, key: str, at: datetime, said: Event, **more: Any) -> None:
        """One version of a fact; it is known at that time. Ids are never null."""
        self.versions += 1
        self.tell(at, {"family": name, "key": key, "version": self.versions, "is_deleted": 0, **said, **more})

    def tell(self, at: datetime, record: Event) -> None:
        self.records.append((at, {"site": self.site, "story": str(self.number), **record}))


_OWN = (
    ("ticket", "ticket_id"),
    ("order", "order_id"),
    ("customer", "customer_id"),
    ("visitor", "visitor_id"),
    ("account", "account_id"),
)
_LINKED = (("customer", "customer_id"), ("visitor", "visitor_id"), ("order", "order_id"), ("ticket", "ticket_id"))


@dataclass(frozen=True)
class Town:
    """Some households and how their records arrive; always the same of one seed."""

    seed: int
    households: int
    delays: str = "any"
    n_partitions: int = 3

    @cached_property
    def log(self) -> list[Event]:
        """Late, out of order, some again, cut into batches."""
        dice, post = Random(self.seed), Random(self.seed + 1)
        delays = DELAYS[self.delays]
        arriving: list[tuple[datetime, Event]] = []
        for number in range(self.households):
            household = Household(dice, number, ("shop", "outlet")[number % 2])
            household.live(dice.choice((2, 5, 9)), dice.choice((PAUSES, PAUSES, FAR_PAUSES)))
            # A fact lies behind its earlier versions: one partition says them all.
            latest: dict[str, datetime] = {}
            for at, record in (*household.records, *types_seen(dice, household)):
                arrives = at + post.choice(delays)
                if "version" in record:
                    name = named(record)
                    arrives = latest[name] = max(arrives, latest.get(name, arrives))
                arriving.append((arrives, {**record, "known_at": at}))
        if self.delays == "any":
            arriving += [(at + post.choice(AGAIN), record) for at, record in post.choices(arriving, k=len(arriving) // 10)]
        cuts = set(post.sample(range(len(arriving)), k=min(len(arriving), post.choice((2, 4, 6)))))
        return as_read(arriving, self.n_partitions, [number in cuts for number in range(len(arriving))])


def types_seen(dice: Random, household: Household) -> Iterator[tuple[datetime, Event]]:
    """What the shop is known to send, as intake tells all partitions: early, late, or never."""
    for _ in range(dice.choice((0, 0, 1, 3))):
        at = dice.choice(household.edges or [MONDAY])
        event_type = dice.choice(("agent_reply", "bot_reply", "solved", "human_joined"))
        told = {"family": "types", "site": household.site, "event_type": event_type, "event_at": at, "story": str(household.number)}
        yield max(at, MONDAY) + dice.choice((timedelta(0), HOUR, 9 * DAY)), told


def named(record: Event) -> str:
    """What a fact is found by, in one word."""
    parts = ("family", "visitor_id", "session_id", "order_id", "outcome_id", "signal_id")
    return "/".join(str(record.get(part)) for part in parts)


def as_read(arriving: Iterable[tuple[datetime, Event]], n_partitions: int, cuts: Sequence[bool] = ()) -> list[Event]:
    """The topic `people`: each record in the partition of its key, or in all, with where it lay before and how far time had come."""
    log = placed([(at, {"partition": 0, **record}) for at, record in arriving])
    keyed = pl.DataFrame([(r["site"], r.get("key")) for r in log], schema={"site": pl.String, "key": pl.String}, orient="row")
    keys = partitions(keyed["site"], keyed["key"], n_partitions).tolist()
    watermark, read = None, list[Event]()
    for number, (record, partition) in enumerate(zip(log, keys, strict=True)):
        origin = {"origin_topic": "tickets", "origin_partition": record["partition"], "origin_offset": record["offset"]}
        cut = {"cut_before": True} if number < len(cuts) and cuts[number] else {}
        for to in range(n_partitions) if record["family"] == "types" else (partition,):
            read.append({**record, **origin, "partition": to, "watermark": watermark} | cut)
            cut = {}
        told = record["record_at"] - RULES.allowed_lateness
        watermark = told if watermark is None else max(watermark, told)
    return numbered(read)


def reached(log: Sequence[Event]) -> datetime | None:
    """How far time has come after the last batch."""
    return max((record["watermark"] for record in log if record["watermark"] is not None), default=None)


def on_time(log: Sequence[Event], n_partitions: int) -> list[Event]:
    """The same records, each when it is known."""
    once = [record for record in log if record["family"] != "types" or record["partition"] == 0]
    return as_read([(record["known_at"], {**record, "partition": 0}) for record in once], n_partitions)


FEW = settings(max_examples=2) if PROFILE == "ci" else settings()
"""A step of this fold costs more, over few records, than one of sessions."""


def towns(delays: str = "any") -> st.SearchStrategy[Town]:
    """Many households or a few."""
    return st.builds(
        Town,
        seed=st.integers(0, 2**32),
        households=st.sampled_from((24, 24, 10, 2)),
        delays=st.just(delays),
        n_partitions=st.sampled_from((3, 1, 4)),
    )
