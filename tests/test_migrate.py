"""The tables of ClickHouse are those of the frames, and every migration is applied once."""

import re
import uuid
from datetime import UTC, datetime

import pytest

from agents.store_claim import Kind, claim
from pipeline.frames import TABLES
from sinks import columns
from sinks.clickhouse import connect
from sinks.migrate import Migration, MigrationRefused, apply, migrations, pending
from sinks.view_comments import comments
from tests.stores import rows_of

AT = "2026-03-01 12:00:00"


@pytest.fixture(name="store", params=["embedded_store", "server_store"])
def tables_here_and_there(request):
    """The engine in this process, and behind HTTP."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(store):
    with store.open() as opened:
        yield opened.client()


def test_the_live_tables_have_the_columns_of_the_frames(client):
    """Names, order, types and comments: `frames.TABLES` is the dictionary, the migrations say it to ClickHouse."""
    asked = "SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    live = {}
    for table, *column in client.query(asked).result_rows:
        live.setdefault(table, []).append(tuple(column))

    for table in TABLES.values():
        wanted = [
            (column.name, columns.engine_type(table, column), columns.comment(column)) for column in columns.stored_columns(table)
        ]
        assert live[table.name] == wanted, table.name
        assert live[f"{table.name}_now"] == wanted, f"{table.name}_now"


def test_no_column_of_a_table_or_view_is_without_a_comment(client, store):
    claim(client, store.database, Kind.REPLAY)  # makes the table of writers, as every worker and replay does
    asked = "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' ORDER BY table, name"

    assert client.query(asked).result_rows == []


def test_a_view_that_is_made_anew_gets_its_comments_back(client, store):
    client.command("CREATE OR REPLACE VIEW customers_now AS SELECT *, 1 AS one FROM customers FINAL WHERE is_deleted = 0")
    apply(client, store.database)

    said = dict(
        client.query(
            "SELECT name, comment FROM system.columns WHERE table = 'customers_now' AND database = currentDatabase()"
        ).result_rows
    )
    assert said == {**comments()["customers_now"], "one": ""}


def test_every_comment_is_of_a_column_that_there_is(client):
    asked = "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
    live = set(client.query(asked).result_rows)

    assert {(view, column) for view, said in comments().items() for column in said} <= live


ON_TOP = {"visits_now", "sites_now", "service_facts", "service_weekly", "experience_facts", "experience_weekly"}
"""Views over the `_now` views."""


def test_every_table_replaces_rows_by_its_key_and_only_rollups_are_partitioned(client):
    asked = "SELECT name, engine_full, sorting_key, partition_key, comment FROM system.tables WHERE database = currentDatabase()"
    live = {name: rest for name, *rest in client.query(asked).result_rows}

    assert set(live) == {"migrations", *ON_TOP, *TABLES, *(f"{name}_now" for name in TABLES)}
    for name, table in TABLES.items():
        engine, key, partition, comment = live[name]
        assert engine.startswith("ReplacingMergeTree(version, is_deleted)"), name
        assert "non_replicated_deduplication_window = 1000" in engine, name
        assert tuple(key.split(", ")) == table.key, name
        assert partition == ("toYYYYMM(interval_at)" if name == "rollups" else ""), name
        assert comment == table.meaning, name
        assert live[f"{name}_now"][3], f"{name}_now"


def test_every_view_says_the_setting_that_makes_final_exact(client):
    asked = "SELECT name, as_select FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
    views = dict(client.query(asked).result_rows)

    assert len(views) == len(TABLES) + len(ON_TOP)
    for name, select in views.items():
        assert "use_skip_indexes_if_final_exact_mode = 1" in select, name
        assert select.count("FINAL") == select.count("is_deleted = 0"), name


def test_columns_named_low_cardinality_or_always_there_exist():
    every = {column.name for table in TABLES.values() for column in table.columns}
    assert every >= columns.LOW_CARDINALITY
    for table, names in columns.ALWAYS_THERE.items():
        assert names <= set(TABLES[table].schema)


def test_migrations_are_numbered_without_gaps():
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_statement_ends_with_a_semicolon_at_the_end_of_a_line():
    migration = Migration(1, "x", "SELECT 'a; b';\n-- and\nSELECT 2;\n")
    assert migration.statements == ("SELECT 'a; b'", "-- and\nSELECT 2")


def test_a_second_time_there_is_nothing_to_apply(client, store):
    assert pending(client, store.database) == ()
    assert apply(client, store.database) == ()


def test_a_dry_run_changes_nothing(store_dsn):
    client = connect(store_dsn)
    try:
        assert apply(client, "nowhere", dry_run=True) == migrations()
        assert not client.query("SELECT name FROM system.databases WHERE name = 'nowhere'").result_rows
    finally:
        client.close()


def test_a_migration_that_broke_off_is_applied_once_more(client, store):
    client.command("DROP VIEW events_now")
    client.command("ALTER TABLE migrations DELETE WHERE number = 9 SETTINGS mutations_sync = 1")

    assert [migration.number for migration in apply(client, store.database)] == [9]
    assert client.query("SELECT count() FROM events_now").result_rows == [(0,)]


def test_a_database_that_is_newer_than_we_are_is_refused(client, store):
    client.command("INSERT INTO migrations (number, name, digest) VALUES (9999, 'later', '')")
    with pytest.raises(MigrationRefused, match=r"is newer than this version of Ebbtide: it has migration 9999"):
        apply(client, store.database)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(client, store):
    client.command("INSERT INTO migrations (number, name, digest) VALUES (3, 'signals', 'other')")
    with pytest.raises(MigrationRefused, match="0003_signals"):
        pending(client, store.database)


# The views -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(store):
    """Write rows of several versions, each in a part of its own."""

    with store.open() as opened:

        def write(table, *rows, version=1):
            for row in rows:
                opened.write(table, rows_of(table, row, version=version), token=uuid.uuid4().hex)

        yield write


def session(session_id, visitor_id="v", customer_id="", at=AT, **said):
    return {"visitor_id": visitor_id, "session_id": session_id, "customer_id": customer_id, "started_at": moment(at), **said}


def link(at, customer_id, visitor_id="v", **said):
    return {"visitor_id": visitor_id, "linked_at": moment(at), "customer_id": customer_id, **said}


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def customers(store, table="sessions_now", key="session_id", end=""):
    found = store.query(f"SELECT {key} AS k, customer_id FROM {table} ORDER BY k, customer_id {end}")
    return list(found.iter_rows())


def test_a_view_shows_the_latest_version_whatever_came_last(store, written):
    written("sessions", session("1", status="open"), version=2)
    written("sessions", session("1", status="abandoned"), version=3)
    written("sessions", session("1", status="browsed"), version=1)

    assert store.query("SELECT status FROM sessions_now")["status"].to_list() == ["abandoned"]


def test_a_retracted_row_is_gone_and_an_older_version_does_not_bring_it_back(store, written):
    written("sessions", session("1"), session("2"))
    written("sessions", session("1", is_deleted=1), version=3)
    written("sessions", session("1"), version=2)
    assert customers(store) == [("2", "")]

    written("sessions", session("1"), version=4)
    assert customers(store) == [("1", ""), ("2", "")]


def test_an_anonymous_session_has_the_customer_of_the_next_login(store, written):
    written(
        "sessions",
        session("before", at="2026-03-01 10:00:00"),
        session("between", at="2026-03-02 10:00:00"),
        session("same moment", at="2026-03-03 12:00:00"),
        session("after", at="2026-03-04 10:00:00"),
        session("known", customer_id="c9", at="2026-03-01 10:00:00"),
        session("of another", visitor_id="w", at="2026-03-01 10:00:00"),
    )
    written(
        "identities",
        link("2026-03-01 12:00:00", "c1"),
        link("2026-03-03 12:00:00", "c2"),
        link("2026-03-05 12:00:00", "c3", site="other shop"),
    )

    assert customers(store) == [
        ("after", ""), ("before", "c1"), ("between", "c2"), ("known", "c9"), ("of another", ""), ("same moment", "c2"),
    ]  # fmt: skip


def test_a_retracted_link_and_an_older_version_of_one_give_no_customer(store, written):
    written("sessions", session("1", at="2026-03-01 10:00:00"))
    written("identities", link("2026-03-01 11:00:00", "wrong"), link("2026-03-01 12:00:00", "c1"))
    written("identities", link("2026-03-01 11:00:00", "", is_deleted=1), version=2)
    written("identities", link("2026-03-01 12:00:00", "c2"), version=2)

    assert customers(store) == [("1", "c2")]


@pytest.mark.parametrize(
    "end", ["", "SETTINGS final = 1", "SETTINGS join_use_nulls = 1", "SETTINGS use_skip_indexes_if_final_exact_mode = 0"]
)
def test_no_row_is_multiplied_however_many_versions_and_links_there_are(store, written, end):
    for version in (1, 2, 3):
        written("sessions", session("1"), session("2", visitor_id="w"), version=version)
        written("steps", step("1", "cart"), step("1", "checkout"), step("2", "cart", visitor_id="w"), version=version)
        written("signals", signal("x", "1"), signal("y", "2", visitor_id="w"), version=version)
        written("identities", *(link(f"2026-03-0{day} 12:00:00", f"c{day}") for day in (1, 2, 3)), version=version)

    assert customers(store, end=end) == [("1", "c1"), ("2", "")]
    assert customers(store, "steps_now", "concat(session_id, '/', step)", end) == [
        ("1/cart", "c1"),
        ("1/checkout", "c1"),
        ("2/cart", ""),
    ]
    assert customers(store, "signals_now", "signal_id", end) == [("x", "c1"), ("y", "")]


def step(session_id, name, visitor_id="v", **said):
    where = {"instance": "session", "instance_id": f"{visitor_id}/{session_id}", "journey": "purchase", "step": name}
    return {**where, "session_id": session_id, "visitor_id": visitor_id, **said}


def signal(signal_id, session_id, visitor_id="v", **said):
    return {"signal": "rage_click", "signal_id": signal_id, "session_id": session_id, "visitor_id": visitor_id, **said}


def test_steps_and_signals_take_the_customer_by_the_start_of_their_session(store, written):
    """The login came after the session began and before the signal fired: it is still the session's."""
    written("sessions", session("1", at="2026-03-01 10:00:00"))
    written("identities", link("2026-03-01 10:30:00", "c1"), link("2026-03-01 12:00:00", "c2"))
    late = moment("2026-03-01 11:00:00")
    written("steps", step("1", "cart", first_at=late), step("1", "checkout", customer_id="c7"), step("lost", "cart"))
    written("signals", signal("x", "1", fired_at=late), signal("y", "lost"))

    assert customers(store, "steps_now", "concat(session_id, '/', step)") == [
        ("1/cart", "c1"), ("1/checkout", "c7"), ("lost/cart", ""),
    ]  # fmt: skip
    assert customers(store, "signals_now", "signal_id") == [("x", "c1"), ("y", "")]


def test_a_step_of_a_case_has_no_session_to_take_a_customer_from(store, written):
    written("sessions", session("1"))
    written("identities", link(AT, "c1"))
    written("steps", {"instance": "case", "instance_id": "o1", "journey": "order", "step": "paid", "visitor_id": "v"})

    assert customers(store, "steps_now", "instance_id") == [("o1", "")]


def test_a_view_is_a_plain_one_that_names_its_tables_with_their_database(client, store):
    shown = client.query("SHOW CREATE VIEW signals_now").result_rows[0][0]
    assert set(re.findall(r"FROM (\S+?)\.\w+\s", shown)) == {store.database}
