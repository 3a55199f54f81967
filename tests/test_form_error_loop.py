import pytest

from pipeline.definitions import happened
from pipeline.signal_engine import fired
from pipeline.signals.form_error_loop import FORM_ERROR_LOOP, FormErrorLoop, refusals, sent
from tests.signal_frames import rows_of, window_of


def places(events, **numbers):
    """Which of these events it fires at."""
    found = fired(window_of(rows_of(events)), [FORM_ERROR_LOOP.with_rule(**numbers)])
    return [int(event_id[1:]) for event_id in found["event_id"]]


def refusal(field, *, at_s):
    """One error of a field."""
    return refusals("card", at_s=(at_s,), field=field)[0]


@pytest.mark.parametrize(("last_s", "expected"), [(600, [2]), (600.001, [])])
def test_the_window_is_inclusive(last_s, expected):
    assert places(refusals("card", at_s=(0, 30, last_s))) == expected


@pytest.mark.parametrize(("errors", "expected"), [(2, [1]), (3, [2]), (4, [3]), (5, [])])
def test_it_fires_at_the_refusal_that_makes_it_a_loop(errors, expected):
    assert places(refusals("card", at_s=(0, 10, 20, 30)), errors=errors) == expected


def test_a_loop_that_is_left_and_begun_again_is_two():
    assert places(refusals("card", at_s=(0, 10, 20, 1_000, 1_010, 1_020))) == [2, 5]


def test_errors_on_several_fields_at_once_are_one_attempt():
    three = [refusal(field, at_s=at + nth / 100) for at in (0, 30, 60) for nth, field in enumerate(("street", "city", "zip"))]

    assert places(three[:3]) == []
    assert places(three[:6]) == []
    assert places(three) == [6]


@pytest.mark.parametrize(("apart_s", "expected"), [(1.0, []), (1.001, [2])])
def test_fields_refused_one_after_the_other_are_attempts(apart_s, expected):
    assert places([refusal(field, at_s=apart_s * nth) for nth, field in enumerate(("street", "city", "zip"))]) == expected


def test_the_same_field_refused_at_once_is_another_attempt():
    assert places([refusal("street", at_s=at) for at in (0, 0.3, 0.6)]) == [2]


@pytest.mark.parametrize(("after_s", "expected"), [(3.0, [4]), (3.001, [])])
def test_a_submit_answered_by_an_error_was_refused(after_s, expected):
    events = [
        refusal("zip", at_s=0),
        refusal("zip", at_s=10),
        sent("card", at_s=20),
        sent("newsletter", at_s=20.5),
        refusal("zip", at_s=20 + after_s),
    ]

    assert places(events) == expected


def test_a_submit_followed_by_another_submit_was_taken():
    events = [
        refusal("zip", at_s=0),
        refusal("zip", at_s=10),
        sent("card", at_s=20),
        sent("card", at_s=20.1),
        refusal("zip", at_s=21),
    ]

    assert places(events) == []


def test_forms_taken_in_turns_are_told_in_order_of_time():
    events = sorted(
        [*refusals("card", at_s=(0, 20, 40)), *refusals("address", at_s=(10, 30, 50))], key=lambda event: event["at_ms"]
    )

    assert places(events) == [4, 5]


def test_the_look_back_is_as_long_as_it_must_be():
    """Whether the second error began an attempt decides whether the fourth completed a loop, and so whether the last fires."""
    fields, at_s = ("zip", "city", "city", "city", "city"), (0, 1, 601, 601, 1_201)
    events = [refusal(field, at_s=at) for field, at in zip(fields, at_s, strict=True)]

    assert places(events) == [4]
    assert FORM_ERROR_LOOP.look_back.total_seconds() == 1_201
    assert places(events[1:]) == [2]


def test_the_evidence_says_what_was_refused_last():
    events = [*refusals("card", at_s=(0, 10)), happened("form_error", at_ms=25_900, form="card", field="expiry", message="x" * 500)]
    (row,) = fired(window_of(rows_of(events)), [FORM_ERROR_LOOP]).to_dicts()

    assert (row["element"], row["value"]) == ("card", 25_900.0)
    assert row["detail"] == f"refused 3 times in 25 s; expiry: {'x' * 200}"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"errors": 1}, "errors must be from 2 to 100, not 1"),
        ({"within_s": 0}, "within_s must be from 1 to 86400, not 0"),
        ({"attempt_ms": -1}, "attempt_ms must be from 0 to 60000, not -1"),
        ({"refusal_ms": -1}, "refusal_ms must be from 0 to 60000, not -1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        FormErrorLoop(**numbers)
