"""The grammar of expectations, and the catalogue of them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import expectations
from pipeline.case_journeys import STEPS
from pipeline.expectations import CATALOGUE, EXPECTATIONS, NAMES, OF_PERSONS, OF_TICKETS
from pipeline.expectations.first_reply_after_ticket import FIRST_REPLY_AFTER_TICKET
from pipeline.expectations.next_order import NEXT_ORDER
from pipeline.expectations.refund_after_return import REFUND_AFTER_RETURN
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journeys_rules import JourneysRules

PLACES = {(step.journey, step.name) for step in STEPS}


def test_every_file_is_in_the_catalogue_and_called_like_its_expectation():
    files = {path.stem for path in Path(expectations.__file__).parent.glob("*.py")} - {"__init__"}

    assert files == set(NAMES)
    assert tuple(expectation.name for expectation in CATALOGUE) == NAMES
    assert set(CATALOGUE) == {*EXPECTATIONS, *OF_TICKETS, *OF_PERSONS}


@pytest.mark.parametrize("expectation", CATALOGUE, ids=NAMES)
def test_every_expectation_says_what_it_means_whose_it_is_and_where_its_numbers_come_from(expectation):
    assert expectation.meaning.endswith(".")
    assert expectation.source
    assert expectation.owner
    assert {journey for journey, _ in PLACES} >= {expectation.journey}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"after": ("return_recieved",)}, "return_recieved is no event type"),
        ({"expect": ()}, "needs a name"),
        ({"within": None}, "say `within`"),
        ({"due": "ordered_at"}, "due is one of due_at, promised_at"),
        ({"key": "customer"}, "key is one of order, parcel, step, return"),
        ({"calendar": "mondays"}, "calendar one of always, working"),
        ({"silence": timedelta(days=-1)}, "not negative"),
        ({"key": "person"}, "only the next order can be awaited"),
        ({"rhythm": NEXT_ORDER.rhythm}, "a rhythm is one of a person"),
    ],
)
def test_what_cannot_be_waited_for_is_refused_with_its_name(change, told):
    with pytest.raises(ValueError, match=told) as error:
        replace(REFUND_AFTER_RETURN, **change)

    assert "refund_after_return" in str(error.value)


def test_a_ticket_waits_for_what_happens_to_tickets_and_for_a_span():
    with pytest.raises(ValueError, match="order_placed is no event type of tickets"):
        replace(FIRST_REPLY_AFTER_TICKET, expect=("order_placed",))
    with pytest.raises(ValueError, match="agent_reply is no event type of orders and deliveries"):
        replace(REFUND_AFTER_RETURN, expect=("agent_reply",))
    with pytest.raises(ValueError, match="say `within`"):
        replace(FIRST_REPLY_AFTER_TICKET, due="due_at")


def test_the_fold_by_person_is_told_expectations_of_tickets_and_persons_each_once():
    with pytest.raises(ValueError, match="for each ticket or person, and not refund_after_return"):
        JourneysRules(expectations=(REFUND_AFTER_RETURN,))
    with pytest.raises(ValueError, match="every name once"):
        JourneysRules(expectations=(FIRST_REPLY_AFTER_TICKET, FIRST_REPLY_AFTER_TICKET))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"retention": timedelta(0)}, "retention must be longer than nothing"),
        ({"allowed_lateness": timedelta(-1)}, "allowed_lateness must not be negative"),
        ({"seen_within": timedelta(hours=30)}, "whole days"),
        ({"expectations": (REFUND_AFTER_RETURN, REFUND_AFTER_RETURN)}, "every name once"),
        ({"expectations": (NEXT_ORDER,)}, "for each order, parcel, step, return, and not next_order"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        FulfilmentRules(**change)
