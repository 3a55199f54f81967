"""What every sink promises: the embedded engine, a server over HTTP, and the one in memory that stands for them in tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipeline.frames import TABLES
from sinks.columns import arrow_schema
from sinks.failures import Cure, WriteFailed
from sinks.memory import MemorySink
from tests.stores import SOME_TIME, rows_of


@dataclass
class Trial:
    """A sink, and a look at what it shows."""

    sink: Any
    now: Any

    def write(self, table, *rows, token, version=1):
        self.sink.write(table, rows_of(table, *rows, version=version), token=token)

    def shown(self, table, column):
        return sorted(self.now(table)[column].to_list())


@pytest.fixture(params=["memory", "embedded", "server"])
def trial(request):
    if request.param == "memory":
        sink = MemorySink()
        yield Trial(sink, sink.now)
        return
    store = request.getfixturevalue("store" if request.param == "embedded" else "server_store")
    with store.open() as sink:
        yield Trial(sink, lambda table: sink.query(f"SELECT * FROM {table}_now"))


def test_what_is_written_is_there_as_it_was(trial):
    """Every type there is, absent and present; bytes that are no text; strings that need quoting."""
    said = {
        "visitor_id": "vé' \"\\\n\t☃", "session_id": "1", "started_at": SOME_TIME + timedelta(milliseconds=7), "steps": ["cart", "ça"],
        "n_events": 4_000_000_000, "engaged_ms": -5, "is_bot": 1, "friction_score": 0.1, "journey": "purchase",
    }  # fmt: skip
    trial.write("sessions", said, token="t")
    trial.write("outcomes", {"outcome_id": "o", "lapsed_at": None, "decided_at": SOME_TIME, "value_minor": 2**62}, token="t")

    session = trial.now("sessions").to_dicts()[0]
    assert {name: session[name] for name in said} == said
    assert (session["cart_value_minor"], session["furthest_step_index"], session["customer_id"], session["is_deleted"]) == (
        None,
        None,
        "",
        0,
    )
    outcome = trial.now("outcomes").to_dicts()[0]
    assert (outcome["lapsed_at"], outcome["decided_at"], outcome["value_minor"]) == (None, SOME_TIME, 2**62)


def test_bytes_that_are_no_text_come_back(trial):
    trial.write(
        "dead_letters",
        {"topic": "t", "partition": 1, "offset": 2, "row": 0, "payload": b"\xff\x00\xfe", "schema_id": None},
        token="t",
    )
    kept = trial.now("dead_letters").to_dicts()[0]["payload"]
    assert kept in (b"\xff\x00\xfe", "ff00fe")  # ClickHouse has no bytes: a client shows them as hex
    assert trial.now("dead_letters")["schema_id"].to_list() == [None]


@pytest.mark.parametrize("form", ["categories", "views", "small strings", "columns in another order", "chunks"])
def test_strings_may_come_in_any_form(trial, form):
    rows = rows_of(
        "sessions", *({"visitor_id": f"v{n}", "session_id": "1", "steps": ["cart"], "journey": f"j{n % 2}"} for n in range(4))
    )
    if form == "categories":
        rows = rows.with_columns(pl.col("journey").cast(pl.Categorical), pl.col("steps").cast(pl.List(pl.Enum(["cart"]))))
    elif form == "views":
        rows = rows.to_arrow(compat_level=pl.CompatLevel.newest())
        assert pa.string_view() in rows.schema.types
    elif form == "small strings":
        rows = rows.to_arrow()
        rows = rows.cast(
            pa.schema(
                [pa.field(field.name, pa.string() if field.type == pa.large_string() else field.type) for field in rows.schema]
            )
        )
    elif form == "columns in another order":
        rows = rows.select(reversed(rows.columns))
    else:
        one = rows.to_arrow()
        rows = pa.concat_tables([one.slice(0, 1), one.slice(1, 0), one.slice(1)])
    trial.sink.write("sessions", rows, token="t")

    shown = trial.now("sessions").sort("visitor_id")
    assert shown["journey"].to_list() == ["j0", "j1", "j0", "j1"]
    assert shown["steps"].to_list() == [["cart"]] * 4


def test_the_highest_version_is_shown_and_a_retracted_row_is_not(trial):
    for version, status in ((2, "open"), (3, "abandoned"), (1, "browsed")):
        trial.write("sessions", {"visitor_id": "v", "session_id": "1", "status": status}, token=f"t{version}", version=version)
    assert trial.shown("sessions", "status") == ["abandoned"]

    trial.write("sessions", {"visitor_id": "v", "session_id": "1", "is_deleted": 1}, token="t4", version=4)
    trial.write("sessions", {"visitor_id": "v", "session_id": "1"}, token="t5", version=3)
    assert trial.shown("sessions", "status") == []


def test_one_batch_may_hold_versions_of_one_row_in_any_order(trial):
    rows = [rows_of("sessions", {"visitor_id": "v", "session_id": "1", "status": f"s{n}"}, version=n) for n in (2, 3, 1)]
    trial.sink.write("sessions", pl.concat(rows), token="t")
    assert trial.shown("sessions", "status") == ["s3"]


def test_what_comes_again_under_its_token_is_not_written(trial):
    """The name is what counts, so that a name must never be given to other rows."""
    trial.write("sessions", {"visitor_id": "v", "session_id": "1"}, token="t")
    trial.write("sessions", {"visitor_id": "v", "session_id": "2"}, token="t")
    trial.write("steps", {"instance_id": "1"}, token="t")
    assert trial.shown("sessions", "session_id") == ["1"]
    assert trial.shown("steps", "instance_id") == ["1"]


def test_rows_of_many_years_are_written_at_once(trial):
    """One part a month of `rollups`: 180 of them are more than a server takes at once if it is not told."""
    months = [datetime(2010 + n // 12, 1 + n % 12, 1, tzinfo=UTC) for n in range(180)]
    trial.write("rollups", *({"interval_at": at, "interval_s": 300, "measure": "sessions"} for at in months), token="t")
    assert trial.now("rollups").height == 180


def test_a_row_without_a_time_that_no_row_lacks_is_refused_and_not_1970(trial):
    with pytest.raises(WriteFailed, match="no row lacks") as refused:
        trial.write("sessions", {"visitor_id": "v", "session_id": "1", "started_at": None}, token="t")
    assert refused.value.cure == Cure.REFUSAL
    assert not refused.value.retryable
    trial.write("sessions", {"visitor_id": "v", "session_id": "2"}, token="t")
    assert trial.shown("sessions", "session_id") == ["2"]


def test_a_retracted_row_may_lack_all_but_its_key(trial):
    trial.write("sessions", {"visitor_id": "v", "session_id": "1"}, token="1")
    gone = pl.DataFrame({"site": ["shop"], "visitor_id": ["v"], "session_id": ["1"], "is_deleted": [1], "version": [2]})
    trial.sink.write("sessions", gone.with_columns(pl.col("is_deleted").cast(pl.UInt8)), token="2")
    assert trial.now("sessions").height == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.with_columns(pl.lit(1).alias("surprise")), "has no column surprise"),
        (lambda rows: rows.drop("visitor_id"), "without visitor_id"),
        (lambda rows: rows.drop("version"), "without version"),
        (lambda rows: rows.with_columns(pl.lit("noon").alias("started_at")), "rows of sessions"),
        (lambda rows: rows.with_columns(pl.lit(-1).alias("n_events")), "rows of sessions"),
    ],
)
def test_columns_that_are_not_the_tables_are_refused(trial, change, said):
    rows = change(rows_of("sessions", {"visitor_id": "v", "session_id": "1"}))
    with pytest.raises(WriteFailed, match=said) as refused:
        trial.sink.write("sessions", rows, token="t")
    assert refused.value.cure == Cure.REFUSAL


def test_columns_that_do_not_come_have_their_defaults(trial):
    """A batch from before a column was added."""
    rows = rows_of("signals", {"signal": "rage_click", "signal_id": "1"}).drop("value", "detail", "browser")
    trial.sink.write("signals", rows, token="t")
    shown = trial.now("signals").to_dicts()[0]
    assert (shown.get("value"), shown.get("detail") or "") == (None, "")


def test_no_rows_are_written_in_no_time(trial):
    trial.sink.write("sessions", arrow_schema("sessions").empty_table(), token="t")
    assert trial.now("sessions").height == 0


def test_a_sink_that_was_closed_opens_again(trial):
    trial.write("sessions", {"visitor_id": "v", "session_id": "1"}, token="1")
    trial.sink.close()
    trial.write("sessions", {"visitor_id": "v", "session_id": "2"}, token="2")
    assert trial.shown("sessions", "session_id") == ["1", "2"]


def test_every_table_takes_rows(trial):
    for name, table in TABLES.items():
        key = {
            column: SOME_TIME if table.schema[column].is_temporal() else 1
            for column in table.key
            if table.schema[column] != pl.String
        }
        trial.write(name, key, token="t")
        assert trial.now(name).height == 1, name
