"""The ten questions: each is one query over the `_now` views, its answer is right, and its page says what it means."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from sinks.questions import questions
from tests.question_page import FILE, page
from tests.question_rows import fill
from tests.stores import HOUSE, Store, store_at

MONDAY, MARCH = date(2026, 3, 2), date(2026, 3, 1)
WEEKS = {
    date(2025, 5, 5): 1,
    date(2025, 8, 11): 5,
    date(2025, 8, 18): 1,
    date(2025, 8, 25): 1,
    date(2025, 9, 29): 1,
    date(2025, 12, 1): 1,
}
"""Orders of long ago: a week in which nothing was ordered and nobody wrote has no row."""
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "funnel": [
        ("shop", "desktop", "browse", 1, 1.0),
        ("shop", "mobile", "browse", 2, 1.0),
        ("shop", "mobile", "product", 2, 1.0),
        ("shop", "mobile", "cart", 1, 0.5),
    ],
    "silent_rate": [("order", "delivered", "", MONDAY, 4, 4, 1.0), ("shop", "cart", "mobile", MONDAY, 11, 10, 10 / 11)],
    "causes_by_money": [
        ("slow_page", "shop", "EUR", 1, 0, 9_000),
        ("delivered_by_promise", "shop", "EUR", 1, 0, 8_000),
        ("eta_slip", "carrier", "EUR", 1, 0, 8_000),
        ("rage_click", "shop", "EUR", 2, 0, 7_000),
        ("dead_click", "shop", "EUR", 1, 0, 4_000),
        ("rage_click", "shop", "JPY", 2, 0, 700_600),
        ("dead_click", "shop", "", 1, 1, None),
    ],
    "late_deliveries": [
        ("dhl", "AT", 1, 1, 1.0, 1.0, 0),
        ("dhl", "DE", 2, 1, 0.5, 10.0, 1),
        ("dhl", "FR", 0, 0, None, None, 1),
        ("dhl", "NL", 0, 0, None, None, 0),
    ],
    "late_and_back": [(0, 2, 1, 0.5), (1, 2, 1, 0.5)],
    "replies_by_team": [
        ("second", 1, 0, 10.0, None, 2.0, 1),
        ("first", 3, 1, 1.5, 1440.0, 5.0, 1),
        ("", 1, 1, None, None, None, 0),
    ],
    "contacts_per_order": [
        *(("shop", day, n, 0, 0.0) for day, n in WEEKS.items()),
        ("shop", MONDAY, 4, 4, 100.0),
        ("shop", date(2026, 3, 9), 0, 1, None),
    ],
    "nps": [(date(2025, 8, 1), 0, 1, 100.0), (MARCH, 0, 3, 100 * 2 / 3), (MARCH, 1, 1, -100.0), (MARCH, None, 1, 0.0)],
    "days_to_quote": [("other", "firm", 1, 0, 9.0), ("shop", "firm", 2, 1, 2.0), ("shop", "waits", 1, 1, None)],
    "behind_a_spike": [
        ("shop", "browser", "Firefox", 1, 3.0, None, 2.0),
        ("shop", "app_version", "2", 2, 2.0, None, 2.0),
        ("shop", "browser", "Safari", 1, 1.0, 1.0, 0.0),
        ("other", "app_version", "2", 1, 2.0, None, None),
        ("other", "browser", "Edge", 1, 2.0, None, None),
    ],
}


@pytest.fixture(scope="module")
def shop(store_dsn: str) -> Iterator[Store]:
    """A database with some rows in every table."""
    for store in store_at(store_dsn):
        fill(store)
        yield store


def test_there_are_ten_questions_numbered_and_asked_in_words():
    assert [question.number for question in questions()] == list(range(1, 11))
    assert [question.name for question in questions()] == list(ANSWERS)
    assert all(question.text.endswith("?") for question in questions())


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_one_query_answers_the_question(shop, question):
    found = shop.query(question.sql)

    assert found.rows() == ANSWERS[question.name]
    assert found.columns == list(question.columns), "the page says what each column means"


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_a_question_reads_views_alone(question):
    """A table holds every version of a row."""
    read = set(re.findall(r"(?:FROM|JOIN) ([a-z_]+)", question.sql))
    within = set(re.findall(r"(\w+) AS\s*\(", question.sql))

    assert {name for name in read - within if not name.endswith("_now")} == set()


def test_a_store_without_a_row_answers_with_none(store):
    assert [question.name for question in questions() if not store.query(question.sql).is_empty()] == []


def test_the_page_of_the_questions_is_fresh(shop):
    """`make docs` writes it again."""
    assert (HOUSE / FILE).read_text() == f"{page(shop.query)}\n"
