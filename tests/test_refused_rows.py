import json
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

from agents.refused_rows import RefusedRows, as_dead_letters
from sinks.columns import conformed, sifted
from sinks.writer import Refused

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ROWS = pa.table(
    {"site": ["shop", "shop"], "visitor_id": ["ann", "bob"], "ended_at": [None, NOW], "version": pa.array([7, 8], pa.int64())}
)
REFUSED = Refused("sessions", ROWS, "a time is missing")


class Writer:
    def __init__(self):
        self.puts = []

    def put(self, table, rows, done):
        self.puts.append((table, rows, done))


@pytest.fixture
def desk():
    desk = RefusedRows()
    desk.writer = Writer()
    return desk


def test_refused_rows_become_dead_letters_and_are_safe_when_those_are_written(desk):
    safe = []
    desk(REFUSED, lambda: safe.append(True))
    ((table, rows, done),) = desk.writer.puts

    assert (table, rows.num_rows, safe) == ("dead_letters", 2, [])
    done()
    assert safe == [True]


def test_the_row_can_be_read_and_the_table_takes_it():
    letters = as_dead_letters(REFUSED, NOW)
    good, bad = sifted("dead_letters", conformed("dead_letters", letters))

    assert (good.num_rows, bad.num_rows) == (2, 0)
    first = letters.to_pylist()[0]
    assert json.loads(first["payload"]) == {"site": "shop", "visitor_id": "ann", "ended_at": None, "version": 7}
    assert (first["topic"], first["stage"], first["reason"], first["detail"], first["version"]) == (
        "sessions",
        "sinks",
        "refused_by_clickhouse",
        "a time is missing",
        7,
    )


def test_the_same_row_refused_again_is_the_same_dead_letter_and_another_is_another():
    once, again = (pl.DataFrame(pl.from_arrow(as_dead_letters(REFUSED, NOW))) for _ in range(2))

    assert once["offset"].to_list() == again["offset"].to_list()
    assert once["offset"].n_unique() == 2
    assert once["offset"].min() >= 0


def test_a_dead_letter_that_is_refused_is_told_and_given_up(desk, caplog):
    safe = []
    desk(Refused("dead_letters", ROWS, "no room"), lambda: safe.append(True))

    assert safe == [True]
    assert desk.writer.puts == []
    assert "no room" in caplog.text
