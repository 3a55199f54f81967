"""Two laws of what is told of tickets: people do not know of each other, and nothing changes by itself before it was said to."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.awaited_types import SEEN
from pipeline.contact_views import ToldContacts, told_contacts
from pipeline.groups import NEVER
from pipeline.journeys_rules import JourneysRules
from schemas.contracts import event_types
from tests import strategies  # noqa: F401  # its profile
from tests.builders import MONDAY, Event
from tests.contact_log import case, log, ticket

N = 8
RULES = JourneysRules(expectations=tuple(replace(each, enabled="on") for each in JourneysRules().of_tickets))
TEXTS = (None, "", "This is terrible, I am angry.", "Thank you, great!", "Wo bleibt meine Bestellung?")
HOURS = (0, 1, 2, 7, 8, 9, 16, 24, 40, 72, 168)


def crowd(seed: int) -> list[Event]:
    """Some events of some tickets of N people, of whom some never write."""
    draw = Random(seed)
    events = []
    for number in range(draw.choice((0, 1, 30, 200))):
        happened_at = MONDAY + timedelta(hours=draw.choice(HOURS) + draw.choice(HOURS), minutes=draw.choice((0, 1)))
        said = {
            "ticket_id": draw.choice((None, "t1", "t1", "t2", "t3")),
            "order_id": draw.choice((None, None, "", "o1", "o2")),
            "topic": draw.choice((None, "how_to", "delivery")),
            "journey": draw.choice((None, None, None, "shop", "order")),
            "step": draw.choice((None, "payment", "delivered")),
            "language": draw.choice((None, "en", "en-GB", "de")),
            "is_outbound": draw.choice((None, None, None, False, True)),
            "score": draw.choice((None, 1, 3, 5)),
            "text": draw.choice(TEXTS),
        }
        person = draw.randrange(N - 2)
        event_type = draw.choice(("ticket_opened", *event_types("ticket")))
        events.append({**ticket(event_type, at="00:00", event_id=f"e{number}", person=person, **said), "event_at": happened_at})
    return events


def told_at(events: list[Event], now_ms: int) -> ToldContacts:
    known = log(*events, until="00:00", keys=[f"customer:c{person}" for person in range(N)], cases=[case(delivered_at=MONDAY)])
    return told_contacts(replace(known, people=known.people.with_columns(now_ms=pl.lit(now_ms))), SEEN.to_frame(), RULES)


def after(hours: int) -> int:
    return int((MONDAY + timedelta(hours=hours)).timestamp() * 1000)


def frames_of(told: ToldContacts) -> dict[str, pl.DataFrame]:
    return {**told.tables, "lapses": told.lapses, "candidates": told.signals, "moments": told.moments}


@given(seed=st.integers(0, 2**32))
def test_each_person_is_told_alone_as_among_others(seed):
    events = crowd(seed)
    together = told_at(events, after(150))
    alone = [told_at([each for each in events if each["person"] == person], after(150)) for person in range(N)]

    for name, rows in frames_of(together).items():
        assert_frame_equal(rows, pl.concat(frames_of(each)[name] for each in alone), check_row_order=False, check_exact=True)
    assert together.next_ms.tolist() == [each.next_ms[person] for person, each in enumerate(alone)]
    assert together.n_texts_unread == sum(each.n_texts_unread for each in alone)


@given(seed=st.integers(0, 2**32), hours=st.sampled_from((1, 30, 60, 200)))
def test_nothing_changes_by_itself_before_it_was_said_to(seed, hours):
    events = crowd(seed)
    now = told_at(events, after(hours))
    following_ms = int(now.next_ms.min())
    then = told_at(events, min(following_ms, after(10_000)))

    for name, rows in frames_of(now).items():
        assert_frame_equal(rows, frames_of(then)[name], check_exact=True)
    if following_ms != NEVER:
        assert int(told_at(events, following_ms + 1).next_ms.min()) > following_ms
