"""Conditions in settings: what can be asked of an event, and errors that point at the word."""

import polars as pl
import pytest

from pipeline.conditions import ConditionWrong, columns_of, condition
from pipeline.events import event_schema

EVENTS = pl.DataFrame(
    [
        {"event_type": "click", "element": "buy", "page": "/cart", "amount_minor": 20_000, "query": "12"},
        {"event_type": "search", "element": "it's", "page": "/", "amount_minor": 5, "query": "no number"},
        {},
    ],
    schema=event_schema("clickstream"),
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("event_type = 'click' AND element = 'buy'", [True, False, False]),
        ("amount_minor BETWEEN 5 AND 10 OR element IN ('buy', 'pay')", [True, True, False]),
        ("NOT (amount_minor > 10)", [False, True, False]),
        ("element IS NULL", [False, False, True]),
        ("page LIKE '/ca%' OR element = 'it''s'", [True, True, False]),
        ("TRY_CAST(query AS INT) > 10", [True, False, False]),
        ("LENGTH(COALESCE(query, '')) < 3", [True, False, True]),
        ("CASE WHEN amount_minor > 10 THEN true ELSE false END", [True, False, False]),
    ],
)
def test_a_condition_is_asked_of_each_event_and_null_is_no(text, holds):
    assert EVENTS.select(condition(text)).to_series().to_list() == holds
    assert [one.select(condition(text)).item() for one in EVENTS.iter_slices(1)] == holds


def test_it_is_known_which_columns_it_asks():
    assert columns_of("element = 'buy' AND amount_minor > 3 AND element <> 'x'") == ("amount_minor", "element")


@pytest.mark.parametrize(
    ("text", "problem", "word"),
    [
        ("element = 'elements' AND elements = 'buy'", "there is no column 'elements'; the nearest is 'element'", "elements ="),
        ('coupon = "SPRING"', "a text stands in single quotes: 'SPRING'", '"SPRING"'),
        ("page IS NULL OR amount_minor > 'x'", "amount_minor is a number", "amount_minor"),
        ("event_at > '2026-01-01'", "event_at is a time", "event_at"),
        ("amount_minor + 1", "this says a number", "amount_minor"),
        ("amount_minor > 3 AND AND page IS NULL", "not understood: AND", "AND page"),
        ("coupon IS NUL", "not understood: NUL", "NUL"),
        ("amount_minor > 3 coupon", "not understood: coupon", "coupon"),
        ("coupon = ,", "not understood: ,", ","),
        ("amount_minor > AVG(amount_minor)", "there is no function AVG for a single event", "AVG"),
        ("LOWR(query) = 'x'", "did you mean LOWER?", "LOWR"),
        ("amount_minor > 1 OVER (PARTITION BY page)", "asked of each event by itself", "OVER"),
        ("amount_minor = (SELECT 1)", "asked of each event by itself", "SELECT"),
        ("CAST(query AS INT) > 3", "TRY_CAST", "CAST"),
        ("query::int > 3", "TRY_CAST", "::"),
        ("query REGEXP page", "needs a pattern in single quotes", "REGEXP"),
        ("query REGEXP '['", "regex", "query"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_points_at_the_word(text, problem, word):
    with pytest.raises(ConditionWrong) as found:
        condition(text)

    first, line, under = str(found.value).split("\n")
    assert problem in first
    assert line.strip() == text
    assert line[under.index("^") :].startswith(word)


def test_what_is_missing_at_the_end_is_said_there():
    with pytest.raises(ConditionWrong, match=r"something is missing at the end\n    LOWER\(query = 'x'\n {21}\^$"):
        condition("LOWER(query = 'x'")
    with pytest.raises(ConditionWrong, match="it is empty"):
        condition("")


def test_of_several_lines_the_right_one_is_shown():
    with pytest.raises(ConditionWrong, match=r"\n    AND elements = 'x'\n {8}\^{8}$"):
        condition("page = '/'\nAND elements = 'x'\nAND query = 'y'")
