"""The fold by person again, row by row: what the `_now` views must show after all records of a log, by an end of time.

It is the specification, so it is written to be read: plain loops over dicts, all records at hand. Whose a record is says people_oracle, what service
was contacts_oracle; here is what became of every lapse, and why. Numbers of rules, names and hashes are values, and shared.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from pipeline import expectations
from pipeline.attribution import Attribution
from pipeline.expectation import Expectation
from pipeline.expectations.next_order import NEXT_ORDER
from pipeline.journeys_rules import JourneysRules
from tests import contacts_oracle
from tests.counts_oracle import Counted, of_signal, of_wait, rollup_rows
from tests.oracle import ORDER_AFTER_COMMIT, hashed, row_of
from tests.people_oracle import SURVEYS, Person, identities, people, said
from tests.session_oracle import Row

DAY = timedelta(days=1)
TABLES = ("contacts", "answers", "outcomes", "customers", "signals", "identities", "rollups")


def tables(log: Sequence[Row], rules: JourneysRules, until: datetime | None) -> dict[str, list[Row]]:
    """Table -> what its `_now` view shows; of `signals` and `identities`, what this fold says."""
    found: dict[str, list[Row]] = {name: [] for name in TABLES}
    counted: list[Counted] = []
    for person in people(log, rules, until):
        service = contacts_oracle.told(person, rules)
        outcomes = list(outcome_rows(person, service, rules))
        counted += counts_of(person, service, outcomes, rules)
        found["contacts"] += service.contacts
        found["answers"] += service.answers
        found["signals"] += service.signals
        found["outcomes"] += outcomes
        if person.customer_id is not None:
            found["customers"].append(customer_row(person, service, outcomes, rules))
    found["rollups"] += rollup_rows(counted, rules, "journeys")
    found["identities"] += [row_of("identities", **row) for row in identities(log)]
    return found


def counts_of(person: Person, service: contacts_oracle.Service, outcomes: Sequence[Row], rules: JourneysRules) -> Iterator[Counted]:
    """What one person adds to the counts, whichever partition counts it."""
    for _, expectation, wait, state, lapsed in contacts_oracle.judged_waits(person, service.tickets, rules):
        yield from of_wait(person.site, expectation, wait.first["event_at"], state, lapsed)
    for expectation, order, due, following in order_waits(person, rules):
        state = "met" if following is not None and following <= due else "lapsed" if person.passed(due) else "open"
        yield from of_wait(person.site, expectation, order["placed_at"], state, due)
    silent_at = {(lapse["expectation"], lapse["outcome_id"]): lapse["silent_at"] for lapse in lapses_of(person, service, rules)}
    for row in outcomes:
        if row["status"] != "provisional":
            place = (row["journey"], row["step"], row["expectation"])
            segment = {name: row[name] for name in ("device", "country", "acquisition_channel")}
            decided = silent_at[row["expectation"], row["outcome_id"]]
            yield Counted(row["site"], row["status"], row["began_at"], decided, *place, dimensions=segment)
    for row in service.signals:
        yield of_signal(row)


# What became of a lapse


def lapses_of(person: Person, service: contacts_oracle.Service, rules: JourneysRules) -> list[Row]:
    """Everything that was expected of or for one person and did not come: what other folds saw, and what is seen here."""
    told = [lapse for fact in person.lapses if (lapse := with_order(person, fact)) is not None]
    return told + service.lapses + list(next_orders(person, rules))


def with_order(person: Person, fact: Row) -> Row | None:
    """A lapse of a visit: an order of the same person meets it. None: it came in time."""
    if fact["expectation"] != ORDER_AFTER_COMMIT:
        return fact
    met = [
        case["placed_at"]
        for case in person.cases
        if said(case, "placed_at")
        and case["placed_at"] >= fact["began_at"]
        and (not said(fact, "cart_id") or not said(case, "cart_id") or fact["cart_id"] == case["cart_id"])
    ]
    return came(fact, min(met)) if met else fact


def came(lapse: Row, at: datetime) -> Row | None:
    """A lapse after what was expected came."""
    if at <= lapse["due_at"]:
        return None
    return {**lapse, ("recovered_at" if at <= lapse["recovers_until"] else "returned_at"): at}


def outcome_rows(person: Person, service: contacts_oracle.Service, rules: JourneysRules) -> Iterator[Row]:
    """Its rows of `outcomes`."""
    lapses = lapses_of(person, service, rules)
    signals = person.signals + service.signals
    for lapse in lapses:
        contact = contact_about(lapse, service)
        cells = {name: value for name, value in lapse.items() if name in _FROM_LAPSE}
        if person.customer_id is not None:
            cells["customer_id"] = person.customer_id
        yield row_of(
            "outcomes",
            **cells,
            **decided(lapse, contact, person),
            **cause_of(lapse, lapses, signals, rules.attribution),
            contacted_at=contact["event_at"] if contact else None,
            contact_ticket_id=contact["ticket_id"] if contact else None,
        )


_FROM_LAPSE = (
    *("site", "expectation", "outcome_id", "journey", "step", "owner", "assignee_id", "visitor_id", "session_id", "order_id"),
    *("quote_id", "delivery_id", "ticket_id", "customer_id", "account_id", "began_at", "due_at", "lapsed_at", "recovered_at"),
    *("returned_at", "value_minor", "currency", "device", "browser", "country", "app_version", "acquisition_channel"),
)


def contact_about(lapse: Row, service: contacts_oracle.Service) -> Row | None:
    """The first time that they turned to support about it."""
    for event in service.moments:
        if not lapse["began_at"] <= event["event_at"] <= lapse["silent_at"]:
            continue
        if said(lapse, "ticket_id") and event["event_at"] == lapse["began_at"]:
            continue  # what began the wait for support is no contact about it
        order_id, journey = service.about(event)
        is_its_own = said(lapse, "ticket_id") and event.get("ticket_id") == lapse["ticket_id"]
        if is_its_own or (order_id == lapse["order_id"] if order_id else journey in (None, lapse["journey"])):
            return event
    return None


def decided(lapse: Row, contact: Row | None, person: Person) -> Row:
    """Its status, and since when."""
    if said(lapse, "recovered_at"):
        return {"status": "recovered", "decided_at": lapse["recovered_at"]}
    if contact is not None:
        return {"status": "contacted", "decided_at": max(contact["event_at"], lapse["lapsed_at"])}
    if person.passed(lapse["silent_at"]):
        return {"status": "silent", "decided_at": lapse["silent_at"]}
    return {"status": "provisional", "decided_at": None}


# Why


def cause_of(lapse: Row, lapses: Sequence[Row], signals: Sequence[Row], numbers: Attribution) -> Row:
    """The signal or earlier lapse that explains it best."""
    found: list[tuple[float, datetime, bool, str, str]] = []
    for signal in signals:
        points = numbers.points.get(signal["signal"], signal["weight"] or 0.0)
        if points > 0 and since(lapse, numbers) < signal["fired_at"] <= lapse["lapsed_at"] and fits(lapse, signal):
            weight = score(lapse, signal, signal["fired_at"], points, numbers)
            found.append((weight, signal["fired_at"], True, signal["signal"], signal["signal_id"]))
    for other in lapses:
        points = numbers.points.get(other["expectation"], numbers.lapse_weight)
        if points > 0 and since(lapse, numbers) < other["lapsed_at"] < lapse["lapsed_at"] and fits(lapse, other):
            weight = score(lapse, other, other["lapsed_at"], points, numbers)
            found.append((weight, other["lapsed_at"], False, other["expectation"], other["outcome_id"]))
    if not found:
        return {}
    best = max(each[:3] for each in found)
    _, _, _, cause, cause_id = min(each for each in found if each[:3] == best)
    return {"cause": cause, "cause_id": cause_id}


def is_of_person(lapse: Row) -> bool:
    """Whether it is about nothing but the customer."""
    return lapse["expectation"] in {each.name for each in expectations.OF_PERSONS}


def fits(lapse: Row, other: Row) -> bool:
    """Whether something can have to do with a lapse: it is of the same visit, order or ticket. To a whole person all of it has."""
    if is_of_person(lapse):
        return True
    in_visit = said(lapse, "session_id") and all(lapse.get(name) == other.get(name) for name in ("visitor_id", "session_id"))
    same_thing = any(said(lapse, name) and lapse.get(name) == other.get(name) for name in ("order_id", "ticket_id"))
    return same_thing or (in_visit and not said(other, "ticket_id"))


def since(lapse: Row, numbers: Attribution) -> datetime:
    """From when on something can explain it: where it is about a person, since they ordered."""
    at: datetime = lapse["began_at"]
    return at if is_of_person(lapse) else at - numbers.lookback


def score(lapse: Row, other: Row, at: datetime, points: float, numbers: Attribution) -> float:
    """How well it explains it."""
    half_life = numbers.half_life
    if is_of_person(lapse):
        half_life = numbers.person_half_life
    elif lapse["expectation"] == ORDER_AFTER_COMMIT:
        half_life = numbers.visit_half_life
    at_its_step = (other["journey"], other["step"]) == (lapse["journey"], lapse["step"])
    return float(points * 0.5 ** ((lapse["lapsed_at"] - at) / half_life) * (numbers.at_own_step if at_its_step else 1.0))


# Customers


def orders_of(person: Person) -> list[Row]:
    """Documents that were placed and not cancelled, in order of time."""
    placed = [case for case in person.cases if said(case, "placed_at") and not said(case, "cancelled_at")]
    return sorted(placed, key=lambda case: (case["placed_at"], case["order_id"]))


def next_orders(person: Person, rules: JourneysRules) -> Iterator[Row]:
    """The waits for an order that have lapsed."""
    for expectation, order, due, following in order_waits(person, rules):
        if not person.passed(due) or (following is not None and following <= due):
            continue
        recovers_until = due + expectation.recovery
        yield {
            **{name: order.get(name) for name in ("site", "visitor_id", "order_id", "account_id", "currency")},
            "customer_id": person.customer_id,
            "expectation": expectation.name,
            "outcome_id": hashed(person.site, expectation.name, person.customer_id or "", order["order_id"]),
            "journey": expectation.journey,
            "step": expectation.step,
            "owner": expectation.owner,
            "value_minor": order.get("amount_minor"),
            "began_at": order["placed_at"],
            "due_at": due,
            "lapsed_at": due,
            "silent_at": due + expectation.silence,
            "recovers_until": recovers_until,
            "recovered_at": following if following is not None and following <= recovers_until else None,
            "returned_at": following if following is not None and following > recovers_until else None,
        }


def order_waits(person: Person, rules: JourneysRules) -> Iterator[tuple[Expectation, Row, datetime, datetime | None]]:
    """Each order waits for the next one, as long as the customer's own rhythm says: the order, the due time, and when the next one came."""
    orders = orders_of(person) if person.customer_id is not None else []
    for expectation in (each for each in rules.expectations if each.key == "person" and each.enabled != "off"):
        for place, order in enumerate(orders):
            due = order["placed_at"] + patience(expectation, orders[: place + 1])
            yield expectation, order, due, orders[place + 1]["placed_at"] if place + 1 < len(orders) else None


def patience(expectation: Expectation, orders: Sequence[Row]) -> timedelta:
    """How long one waits for the next order after these."""
    rhythm, within = expectation.rhythm, expectation.within
    assert within is not None
    if rhythm is None or len(orders) < rhythm.at_least:
        return within
    recent = [order["placed_at"] for order in orders[-rhythm.last :]]
    gaps = [after - before for before, after in itertools.pairwise(recent)]
    return max(rhythm.shortest, median(gaps) * rhythm.times)


def customer_row(person: Person, service: contacts_oracle.Service, outcomes: Sequence[Row], rules: JourneysRules) -> Row:
    """The row of `customers`."""
    orders = orders_of(person)
    placed = [order["placed_at"] for order in orders]
    days = {local_day(at, person.site, rules) for at in placed}
    gaps = [after - before for before, after in itertools.pairwise(placed)]
    answers = [event for event in person.tickets if event["event_type"] in SURVEYS]
    scores = [event["score"] for event in answers if event["event_type"] == "nps_answered" and event.get("score") is not None]
    seen = [visit[name] for visit in person.visits for name in ("started_at", "ended_at")]
    seen += [case[name] for case in person.cases for name in ("opened_at", "placed_at")]
    seen += [event["event_at"] for event in (*service.moments, *answers)]
    seen = [at for at in seen if at is not None]
    spent, currency = money(orders)
    return row_of(
        "customers",
        site=person.site,
        customer_id=person.customer_id,
        account_id=company(person),
        first_seen_at=min(seen, default=None),
        last_seen_at=max(seen, default=None),
        n_sessions=len(person.visits),
        n_orders=len(orders),
        n_order_days=len(days),
        n_contacts=len({event.get("ticket_id") for event in service.moments}),
        n_lapses=len(outcomes),
        n_silent=len([row for row in outcomes if row["status"] == "silent"]),
        n_late_deliveries=len([case for case in person.cases if case["is_late"]]),
        first_order_at=placed[0] if placed else None,
        second_order_at=placed[1] if len(placed) > 1 else None,
        last_order_at=placed[-1] if placed else None,
        median_days_between_orders=median(gaps) / DAY if gaps else None,
        is_repeat=int(len(days) > 1),
        nps=scores[-1] if scores else None,
        loyalty_state=loyalty(person, orders, len(days), max(seen, default=None), rules),
        spent_minor=spent,
        currency=currency,
    )


def local_day(at: datetime, site: str, rules: JourneysRules) -> date:
    """The day on which it is, where the site is."""
    calendar = rules.calendars.of_site.get(site, rules.calendars.default)
    return at.astimezone(ZoneInfo(calendar.time_zone)).date()


def company(person: Person) -> str | None:
    """The account that was said last."""
    said_at = [(visit["started_at"], 0, visit["account_id"]) for visit in person.visits if said(visit, "account_id")]
    said_at += [(case["opened_at"], 1, case["account_id"]) for case in person.cases if said(case, "account_id")]
    return max(said_at)[2] if said_at else None


def money(orders: Sequence[Row]) -> tuple[int | None, str | None]:
    """What was paid less what was paid back, of the orders in the currency of the last one that has a total."""
    priced = [order for order in orders if order["amount_minor"] is not None]
    if not priced:
        return None, None
    currency = priced[-1]["currency"] or None
    return sum(o["amount_minor"] - (o["refund_minor"] or 0) for o in priced if (o["currency"] or None) == currency), currency


def loyalty(person: Person, orders: Sequence[Row], n_days: int, last_seen: datetime | None, rules: JourneysRules) -> str:
    """How they stand to the shop, by the wait for the next order."""
    awaited = next((each for each in rules.expectations if each.key == "person"), NEXT_ORDER)
    assert awaited.within is not None
    since = orders[-1]["placed_at"] if orders else last_seen
    wait = patience(awaited, orders) if orders else awaited.within
    if since is not None:
        if person.passed(since + wait):
            return "lapsed"
        if person.passed(since + timedelta(milliseconds=wait / timedelta(milliseconds=1) * rules.at_risk_after // 1)):
            return "at_risk"
    if len(orders) > 1 and orders[-1]["placed_at"] > orders[-2]["placed_at"] + patience(awaited, orders[:-1]):
        return "returned"
    return "active" if n_days > 1 else "new"
