"""Some people's tickets, cases and time as tests say them: `told(opened(at="10:00"), until="+1d 10:00")` is what the fold by person would be told."""

from collections.abc import Sequence

import polars as pl

from pipeline.awaited_types import SEEN
from pipeline.contact_views import ToldContacts, told_contacts
from pipeline.events import event_schema
from pipeline.journeys_rules import JourneysRules
from pipeline.person_log import CASE, LAPSE, PEOPLE, PERSON, SIGNAL, TICKETS, VISIT, PersonLog
from tests.builders import Event, clock, happened

PERSONS = ("anna", "ben")


def ticket(event_type: str, *, at: str, person: int = 0, **fields) -> Event:
    """Something that happened to a ticket, `t1` if nothing else is said; a field that is None is not said."""
    said = {name: value for name, value in {"ticket_id": "t1", **fields}.items() if value is not None}
    return {**happened(event_type, at, said, {}), "person": person}


def opened(*, at: str, **fields) -> Event:
    """A customer asks for help."""
    return ticket("ticket_opened", at=at, **fields)


def case(*, person: int = 0, **fields) -> Event:
    """A document as fulfilment says it."""
    return {"person": person, "site": "shop", "order_id": "o1", "case_type": "order", **fields}


def log(*events: Event, until: str, cases: Sequence[Event] = (), keys: Sequence[str] = ()) -> PersonLog:
    """What is at home with two customers, or with people of these keys."""
    keys = keys or tuple(f"customer:{name}" for name in PERSONS)
    people = pl.DataFrame(
        [
            {
                "partition": 0,
                "site": "shop",
                "key": key,
                "customer_id": key.removeprefix("customer:") if key.startswith("customer:") else None,
                "now_ms": int(clock(until).timestamp() * 1000),
            }
            for key in keys
        ],
        schema=PEOPLE,
    )
    columns = {"person": pl.Int64, **event_schema("ticket")}
    unknown = {name for event in events for name in event} - set(columns)
    assert not unknown, f"ticket has no field {sorted(unknown)}"
    tickets = pl.DataFrame([{name: event.get(name) for name in columns} for event in events], schema=TICKETS)
    nothing = {
        name: pl.DataFrame(schema={**PERSON, **fact}) for name, fact in (("visits", VISIT), ("lapses", LAPSE), ("signals", SIGNAL))
    }
    return PersonLog(
        people=people,
        tickets=tickets.sort("person", "event_at", "event_id"),
        cases=pl.DataFrame([{name: each.get(name) for name in (*PERSON, *CASE)} for each in cases], schema={**PERSON, **CASE}),
        **nothing,
    )


def told(
    *events: Event, until: str = "+9d 00:00", rules: JourneysRules | None = None, seen: pl.DataFrame | None = None, **known
) -> ToldContacts:
    """What there is to say of them."""
    return told_contacts(log(*events, until=until, **known), SEEN.to_frame() if seen is None else seen, rules or JourneysRules())
