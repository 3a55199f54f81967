"""What happens in shops where one of the ten signs holds, or nearly does: events of all four families, for the folds to read.

Each scenario tells of one thing (a ticket, a customer, a visit, an order): of the sign or not, in each of the ways that there are.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.builders import Event, happened

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday, in working hours: when what is looked at begins."""
LATER = AT + timedelta(days=150)
"""Something is seen of every shop by then: longer after than anybody waits."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Told = Iterator[Event]


def event(family: str, event_type: str, after: timedelta, **fields: Any) -> Event:
    """Something so long after AT."""
    return {"family": family, **happened(event_type, AT + after, fields, {})}


def ticket(n: int, *then: tuple[str, timedelta, Event], opens: timedelta = timedelta(0), **opening: Any) -> Told:
    """A ticket about the payment, of a customer of its own: its opening, and what follows so long after it."""
    who = {"customer_id": f"c{n}", "journey": "shop", "step": "payment"}
    yield event("ticket", "ticket_opened", opens, ticket_id=f"t{n}", **who | opening)
    for event_type, after, fields in then:
        yield event("ticket", event_type, opens + after, ticket_id=f"t{n}", **fields)


REPLIED = (("agent_reply", HOUR, {"agent_id": "a"}), ("solved", 2 * HOUR, {}))
AGAIN = (("reopened", 3 * HOUR, {}), ("agent_reply", 4 * HOUR, {"agent_id": "a"}), ("solved", 5 * HOUR, {}))
ANGRY = {"text": "This is horrible, I am so angry and disappointed!", "language": "en"}


def rated(score: int, kind: str = "csat") -> tuple[str, timedelta, Event]:
    """An answer about the ticket."""
    return f"{kind}_answered", 6 * HOUR, {"score": score}


def praise(n: int, *, hit: bool) -> Told:
    """Who is content with the person finds it hard, writes angrily, or would not recommend the shop some days later; or likes all of it."""
    ways = [rated(2, "ces"), ("customer_message", MINUTE, ANGRY), rated(5, "ces")]
    yield from ticket(n, *REPLIED, rated(5), ways[n % 3] if hit else rated(7, "ces"))
    yield event("ticket", "nps_answered", 9 * DAY, customer_id=f"c{n}", score=4 if hit else 9)


def confusion(n: int, *, hit: bool) -> Told:
    """A search that finds nothing is an hour before the ticket, or two days; on the same browser, or of the same customer."""
    before = HOUR if hit else 2 * DAY
    known = {"customer_id": f"c{n}"} if n % 2 else {}
    yield event("clickstream", "search", -before, visitor_id=f"v{n}", query="shoos", n_results=0, **known)
    yield from ticket(n, *REPLIED, **known or {"customer_id": None, "visitor_id": f"v{n}"})


def churn(n: int, *, hit: bool) -> Told:
    """Content with the service; then the wait for the next order is over without one, or not."""
    yield event("order", "order_placed", -10 * DAY, order_id=f"o{n}/1", customer_id=f"c{n}")
    yield from ticket(n, *REPLIED, rated(4))
    if not hit:
        yield event("order", "order_placed", 40 * DAY, order_id=f"o{n}/2", customer_id=f"c{n}")


def simple_task(n: int, *, hit: bool) -> Told:
    """The ticket asks how to, or something else."""
    yield from ticket(n, *REPLIED, topic="how_to" if hit else f"topic {n}")


def exhaustion(n: int, *, hit: bool) -> Told:
    """The card is refused twice, or once."""
    standing: Event = {"visitor_id": f"v{n}", "session_id": f"s{n}"}
    way = [
        ("add_to_cart", 0, {}), ("begin_checkout", 1, {}), ("add_shipping_info", 2, {}), ("add_payment_info", 3, {}),
        ("payment_failed", 4, {"reason": "card_declined"}), *([("payment_failed", 5, {"reason": "card_declined"})] if hit else []),
    ]  # fmt: skip
    for event_type, minute, fields in way:
        yield event("clickstream", event_type, minute * MINUTE, page=f"/{event_type}", **standing, **fields)


def no_person(n: int, *, hit: bool) -> Told:
    """The customer gives up, or waits for days behind the bot; else a person comes, or nobody has seen yet whether one does."""
    bot = ("bot_reply", MINUTE, {})
    late = (bot, ("agent_reply", 7 * DAY, {"agent_id": "a"}), ("solved", 8 * DAY, {}))
    ways = [(bot, ("customer_left", HOUR, {})), late]
    if hit or n % 2:
        yield from ticket(n, *(ways[n % 2] if hit else REPLIED))
    else:
        yield from ticket(n, bot, opens=LATER - AT - HOUR)


def no_help(n: int, *, hit: bool) -> Told:
    """The reply is no help, is late, or the customer comes again about the same; else all is well, or may be yet."""
    ways = [(*REPLIED, *AGAIN), (*REPLIED, rated(2)), (("agent_reply", 3 * DAY, {"agent_id": "a"}), ("solved", 3 * DAY + HOUR, {}))]
    if hit and n % 4 == 3:
        yield from ticket(n, *REPLIED, opens=DAY, customer_id=f"c{n - 1}", topic=f"topic {n - 1}")
    elif hit or n % 2:
        yield from ticket(n, *(ways[n % 4] if hit else (*REPLIED, rated(4))), topic=f"topic {n}")
    else:
        yield from ticket(n, opens=LATER - AT - HOUR, topic=f"topic {n}")


def bot_alone(n: int, *, hit: bool) -> Told:
    """Behind the bot there is nobody, and it does not help; or it does."""
    bot, solved = ("bot_reply", MINUTE, {}), ("solved", HOUR, {})
    ways = [(bot, ("customer_left", HOUR, {})), (bot,), (bot, solved, AGAIN[0], ("solved", 5 * HOUR, {})), (bot, solved, rated(1))]
    yield from ticket(n, *(ways[n % 4] if hit else (bot, solved)))


def alone(n: int, *, hit: bool) -> Told:
    """The parcel was promised and does not come for weeks, or until the customer has asked. Else it is an hour late, or in time."""
    about = {"order_id": f"o{n}", "delivery_id": f"p{n}"}
    promised_at = AT + 2 * DAY
    yield event("order", "order_placed", timedelta(0), order_id=f"o{n}", customer_id=f"c{n}", promised_at=promised_at)
    yield event("order", "order_shipped", HOUR, **about)
    yield event("delivery", "in_transit", 2 * HOUR, **about)
    if hit and n % 2:
        yield from ticket(n, *REPLIED, opens=2 * DAY + HOUR, order_id=f"o{n}")
    comes = (3 * DAY if n % 2 else 20 * DAY) if hit else 2 * DAY + (HOUR if n % 2 else -HOUR)
    yield event("delivery", "in_transit", 2 * DAY - 2 * HOUR, **about)
    yield event("delivery", "delivered", comes, **about)


def escalation(n: int, *, hit: bool) -> Told:
    """A matter of no haste goes up, around twice, or is opened again twice; else it is passed on once."""
    passed_on = ("transferred", MINUTE, {"team": "second line"})
    twice = (passed_on, ("transferred", 2 * MINUTE, {"team": "third line"}))
    ways = [(("escalated", MINUTE, {"priority": "urgent"}), *REPLIED), (*twice, *REPLIED), (*REPLIED, *AGAIN, ("reopened", DAY, {}), ("solved", DAY + HOUR, {}))]  # fmt: skip
    yield from ticket(n, *(ways[n % 3] if hit else (passed_on, *REPLIED)), priority="normal")


SCENARIOS: dict[str, Callable[..., Told]] = {
    "praise_and_complaints": praise,
    "born_of_confusion": confusion,
    "churn_despite_csat": churn,
    "help_for_simple_tasks": simple_task,
    "exhausting_purchase": exhaustion,
    "person_hard_to_reach": no_person,
    "slow_or_unhelpful_replies": no_help,
    "bots_without_people": bot_alone,
    "left_alone_after_sale": alone,
    "small_issues_escalate": escalation,
}
"""In order of the signs."""


def _overdue() -> Told:
    """An order that is late, and a ticket about it that goes up."""
    about: Event = {"order_id": "late", "delivery_id": "p-late", "customer_id": "late"}
    yield event("order", "order_placed", -5 * DAY, order_id="late", customer_id="late", promised_at=AT - DAY)
    yield event("order", "order_shipped", -5 * DAY, order_id="late", delivery_id="p-late")
    yield event("delivery", "in_transit", -4 * DAY, **about)
    yield from ticket(901, ("escalated", MINUTE, {}), *REPLIED, order_id="late", customer_id="late", priority="low")
    yield event("delivery", "delivered", DAY, **about)


OUTBOUND: Event = {"is_outbound": True}
LOUD: Event = {"visitor_id": "bot", "session_id": "bot", "is_bot": True}
IGNORED: dict[str, Callable[[], Iterable[Event]]] = {
    "praise_and_complaints": lambda: [
        *ticket(900, *REPLIED, rated(5)), *ticket(901, *REPLIED, rated(2), rated(1, "ces")), *ticket(902, *REPLIED, rated(5), rated(1, "ces"), **OUTBOUND),
    ],
    "born_of_confusion": lambda: [*ticket(900, customer_id=None, order_id="o"), *ticket(901, **OUTBOUND)],
    "churn_despite_csat": lambda: [
        *ticket(900, *REPLIED, rated(5)),
        event("order", "order_placed", -10 * DAY, order_id="o901", customer_id="c901"), *ticket(901, *REPLIED, rated(1)),
        event("order", "order_placed", 60 * DAY, order_id="o902", customer_id="late"), *ticket(902, *REPLIED, rated(5), opens=61 * DAY, customer_id="late"),
    ],
    "help_for_simple_tasks": lambda: ticket(900, topic="how_to", **OUTBOUND),
    "exhausting_purchase": lambda: [
        *(event("clickstream", "payment_failed", minute * MINUTE, visitor_id="not-buying", page="/") for minute in range(2)),
        *({**each, **LOUD, "event_id": f"bot-{each['event_id']}"} for each in exhaustion(900, hit=True)),
    ],
    "person_hard_to_reach": lambda: ticket(900, ("customer_left", HOUR, {}), **OUTBOUND),
    "slow_or_unhelpful_replies": lambda: ticket(900, ("customer_left", HOUR, {}), rated(1)),
    "bots_without_people": lambda: [*ticket(900, topic="nobody replied"), *ticket(901, ("bot_reply", MINUTE, {}), opens=LATER - AT - HOUR)],
    "left_alone_after_sale": lambda: [
        event("order", "order_placed", LATER - AT - HOUR, order_id="new", customer_id="new"),
        event("order", "order_placed", timedelta(0), order_id="off", customer_id="off", promised_at=AT + DAY),
        event("order", "order_cancelled", HOUR, order_id="off"),
        event("order", "rfq_submitted", timedelta(0), order_id="ask", customer_id="ask"),
    ],
    "small_issues_escalate": lambda: [*ticket(900, ("escalated", MINUTE, {}), *REPLIED, priority="Urgent"), *_overdue()],
}  # fmt: skip
"""What a sign does not look at, whatever happens."""


def known_shop() -> Told:
    """That a shop is seen at the begin and the end, and sends what is awaited; of what no sign looks at."""
    yield from ticket(998, *REPLIED, opens=-9 * DAY, **OUTBOUND)
    yield from ticket(999, *REPLIED, opens=LATER - AT - DAY, **OUTBOUND)
    yield event("ticket", "nps_answered", LATER - AT, score=9)


def write(folder: Path, shops: Iterable[tuple[str, Iterable[Event]]]) -> None:
    """Files of events, a site each shop."""
    files: dict[str, list[str]] = defaultdict(list)
    for site, events in shops:
        for nth, each in enumerate(events):
            said = {name: value for name, value in each.items() if value is not None}
            files[each["family"]].append(json.dumps({**said, "site": site, "event_id": f"{nth}-{each['event_id']}"}, default=str))
    for family, lines in files.items():
        (folder / f"{family}.ndjson").write_text("\n".join(lines), encoding="utf-8")
