"""SQL of a person reads the tables, and nothing else of this machine."""

import time
from datetime import UTC, date, datetime

import polars as pl
import pytest

from sinks.failures import ReadRefused
from sinks.reader import Reader
from sinks.statements import refuse_more_than_reading
from tests.stores import SOME_TIME, rows_of, store_at

SECRET = "a secret"


@pytest.fixture
def secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text(SECRET)
    return tmp_path


def stored(dsn):
    """A database with one session, for all tests here: they read."""
    for store in store_at(dsn):
        with store.open() as opened:
            opened.write("sessions", rows_of("sessions", {"visitor_id": "v", "session_id": "1", "steps": ["cart"]}), token="t")
        yield store


@pytest.fixture(scope="module")
def embedded(store_dsn):
    yield from stored(store_dsn)


@pytest.fixture(scope="module")
def on_server(server):
    yield from stored(server.dsn)


@pytest.fixture(params=["embedded", "on_server"])
def reader(request):
    store = request.getfixturevalue(request.param)
    with Reader(store.dsn, store.database) as opened:
        yield opened


READS = {
    "SELECT session_id FROM sessions_now": [("1",)],
    "select session_id from sessions_now -- the sessions\n;": [("1",)],
    "WITH s AS (SELECT * FROM sessions_now) SELECT count() FROM s": [(1,)],
    "(SELECT 1 AS a) UNION ALL (SELECT 1)": [(1,), (1,)],
    "FROM sessions_now SELECT session_id": [("1",)],
    "EXISTS TABLE sessions": [(1,)],
    "SHOW TABLES LIKE 'sessions%'": [("sessions",), ("sessions_now",)],
    "SELECT name FROM (SELECT name FROM system.columns WHERE table = 'sessions' AND database = currentDatabase() LIMIT 1)": [
        ("site",)
    ],
    "SELECT number FROM numbers(2)": [(0,), (1,)],
    "SELECT 'INTO OUTFILE x; DROP TABLE sessions; FORMAT CSV', `file` FROM (SELECT 1 AS `file`)": [
        ("INTO OUTFILE x; DROP TABLE sessions; FORMAT CSV", 1)
    ],
    "SELECT format FROM (SELECT 'it''s \\'so\\'' AS format) ORDER BY format": [("it's 'so'",)],
    "SELECT format('{}-{}', 'a', 'b')": [("a-b",)],
    "SELECT session_id FROM sessions_now WHERE session_id = '2'": [],
}


@pytest.mark.parametrize("sql", READS)
def test_statements_that_read_tables_are_answered(reader, sql):
    assert reader.query(sql).rows() == READS[sql]


def test_describe_and_explain_are_answered(reader):
    assert reader.query("DESCRIBE sessions")["comment"][0] == "shop, brand or market"
    assert "sessions" in "\n".join(reader.query("EXPLAIN SELECT count() FROM sessions_now")["explain"])
    assert "CREATE TABLE" in reader.query("SHOW CREATE TABLE sessions").item()


WRITES = [
    "DROP TABLE sessions",
    "INSERT INTO sessions (site) VALUES ('x')",
    "WITH x AS (SELECT 1) INSERT INTO sessions (site) SELECT 'x'",
    "CREATE TABLE x ENGINE = Memory AS SELECT 1",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "ALTER TABLE sessions DELETE WHERE 1",
    "OPTIMIZE TABLE sessions",
    "TRUNCATE TABLE sessions",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "USE default",
    "SET readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1; DROP TABLE sessions",
    "SELECT 1;;DROP TABLE sessions",
    "SELECT 1 PARALLEL WITH DROP TABLE sessions",
    "SELECT 1 /* */; /* */ DROP TABLE sessions -- ",
    "EXPLAIN AST SELECT 1; DROP TABLE sessions",
    "\\'); DROP TABLE sessions; SELECT (\\'",
]


@pytest.mark.parametrize("sql", WRITES)
def test_statements_that_change_something_are_refused(reader, sql):
    with pytest.raises(ReadRefused):
        reader.query(sql)
    assert reader.query("SELECT count() AS n FROM sessions").item() == 1


REACHES = [
    "SELECT * FROM file('secret.csv', LineAsString)",
    "SELECT file('secret.csv')",
    "SELECT FILE('secret.csv')",
    "SELECT \"file\" ('secret.csv')",
    "SELECT `file`/* */('secret.csv')",
    "SELECT * APPLY(file) FROM (SELECT 'secret.csv')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT 'secret.csv')",
    "SELECT COLUMNS('a') APPLY file FROM (SELECT 'secret.csv' AS a)",
    "SELECT arrayMap(x -> file(x), ['secret.csv'])",
    "SELECT 1 IN file('secret.csv')",
    "SELECT 1 WHERE file('secret.csv') != ''",
    "SELECT 1 LIMIT length(file('secret.csv'))",
    "WITH f AS (SELECT file('secret.csv')) SELECT * FROM f",
    "SELECT count() OVER (PARTITION BY file('secret.csv'))",
    "SHOW TABLES WHERE file('secret.csv') != ''",
    "DESCRIBE file('secret.csv')",
    "DESCRIBE TABLE file('secret.csv', LineAsString)",
    "EXPLAIN SELECT * FROM file('secret.csv', LineAsString)",
    "SELECT * FROM (EXPLAIN SELECT file('secret.csv'))",
    "SELECT * FROM eval('SELECT file(''secret.csv'')')",
    "SELECT * FROM view(SELECT file('secret.csv'))",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('secret.csv')))",
    "SELECT * FROM 'secret.csv'",
    "SELECT * FROM default.`secret.csv`",
    "DESCRIBE default.`secret.csv`",
    "EXISTS default.`secret.csv`",
    "SELECT * FROM url('http://127.0.0.1:1/')",
    "SELECT * FROM s3('http://127.0.0.1:1/a.csv')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM sqlite('made.db', 'a')",
    "SELECT * FROM executable('secret', 'TSV', 'a String')",
    "SELECT * FROM python(os)",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM merge(REGEXP('.*'), '.*')",
    "SELECT AIGenerate('x')",
    "SELECT 1 INTO OUTFILE 'made.csv'",
    "SELECT 1 INTO\n OUTFILE 'made.csv' FORMAT CSV",
    "SHOW TABLES INTO OUTFILE 'made.csv'",
    "SELECT 1 UNION ALL SELECT 2 INTO OUTFILE 'made.csv' AND STDOUT",
    "EXPLAIN SELECT 1 INTO OUTFILE 'made.csv'",
]


@pytest.mark.parametrize("sql", REACHES)
def test_statements_that_reach_out_of_the_tables_are_refused(embedded, secret, sql):
    """Tried where it matters: the embedded engine has no users and no grants, and would do most of these under `readonly = 1`."""
    with Reader(embedded.dsn, embedded.database) as reader, pytest.raises(ReadRefused) as refused:
        reader.query(sql)
    assert SECRET not in str(refused.value)
    assert [path.name for path in secret.iterdir()] == ["secret.csv"], "nothing was made"


def test_the_engine_is_read_only_beneath_the_look_at_the_statement(reader):
    assert reader.query("SELECT getSetting('readonly')").item() == 1


def test_every_table_function_of_the_engine_is_refused_but_those_that_make_their_rows(embedded):
    """A new engine brings new ones: they are refused as well."""
    with embedded.open() as opened:
        names = {name.lower() for name in opened.query("SELECT name FROM system.table_functions")["name"]}
    allowed = set()
    for name in names:
        try:
            refuse_more_than_reading(f"SELECT * FROM {name}(1)", frozenset(names), is_embedded=True)
        except ReadRefused:
            continue
        allowed.add(name)
    assert allowed == {
        "format", "fuzzquery", "generate_series", "generaterandom", "generateseries", "null", "numbers", "numbers_mt", "primes",
        "values", "view", "zeros", "zeros_mt",
    } & names  # fmt: skip


def test_a_mistake_is_told_in_the_words_of_the_engine_without_what_is_ours(reader):
    for sql, said in (
        ("SELECT nothing FROM sessions", r"^Unknown expression.*identifier.*nothing"),
        ("SELEC 1", r"^Syntax error"),
        ("", r"^Empty query"),
        ("SELECT 1; SELECT 2", r"Multi-statements are not allowed"),
        ("SELECT * FROM sessions FORMAT CSV", r"^FORMAT is not allowed here: leave it out"),
        ("SELECT throwIf(number = 1) FROM numbers(2)", r"^Value passed to 'throwIf'"),
    ):
        with pytest.raises(ReadRefused, match=said) as refused:
            reader.query(sql)
        for ours in ("formatQuery", "(version", "DB::Exception"):
            assert ours not in str(refused.value)


def test_a_query_that_failed_half_way_leaves_nothing_to_the_next(reader):
    """The embedded client answers the next query with what the failed one left over, if it is kept."""
    for _ in range(3):
        with pytest.raises(ReadRefused):
            reader.query("SELECT toUInt64(number) AS x, toUInt8(throwIf(number = 900000)) AS y FROM numbers(1000000)")
        assert reader.query("SELECT toUInt64(7) AS x, toUInt8(1) AS y").rows() == [(7, 1)]


def test_times_are_utc_wherever_the_machine_stands(reader):
    found = reader.query(
        "SELECT started_at, toStartOfHour(started_at) AS hour, toDate(started_at) AS day, toDateTime('2026-01-01 10:00:00') AS plain,"
        " toTimeZone(started_at, 'Asia/Tokyo') AS there FROM sessions_now"
    )
    assert found.row(0) == (SOME_TIME, SOME_TIME, date(2026, 3, 1), datetime(2026, 1, 1, 10, tzinfo=UTC), SOME_TIME)
    assert found.schema["started_at"] == pl.Datetime("ms", "UTC")


def test_every_type_becomes_a_column(reader):
    found = reader.query(
        "SELECT NULL AS absent, [1, 2] AS list, map('a', 1) AS map, (1, 'x') AS tuple, toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS id,"
        " toIPv4('127.0.0.1') AS address, toDecimal64(1.5, 2) AS money, unhex('ff00') AS bytes, toLowCardinality('x') AS low, true AS flag,"
        " CAST('b' AS Enum8('a' = 1, 'b' = 2)) AS named, 1, 1"
    )
    assert found.width == 13
    row = found.to_dicts()[0]
    assert (row["absent"], row["list"], row["map"], row["tuple"]) == (None, [1, 2], '{"a": 1}', '[1, "x"]')
    assert (row["id"], row["address"], str(row["money"])) == ("61f0c404-5cb3-11e7-907b-a6006ad3dba0", "127.0.0.1", "1.50")
    assert (row["bytes"], row["low"], row["flag"], row["named"], row["1"], row["1_2"]) == ("ff00", "x", True, "b", 1, 1)


def test_no_rows_have_their_columns_and_types(reader):
    found = reader.query("SELECT session_id, started_at, n_events, steps FROM sessions_now WHERE 0")
    assert found.schema == {
        "session_id": pl.String,
        "started_at": pl.Datetime("ms", "UTC"),
        "n_events": pl.UInt32,
        "steps": pl.List(pl.String),
    }


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with (
        Reader(f"chdb://{tmp_path}/nowhere", "ebbtide") as reader,
        pytest.raises(ReadRefused, match="there is no embedded store in"),
    ):
        reader.query("SELECT 1")
    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_is_not_there_is_named(embedded):
    with Reader(embedded.dsn, "nowhere") as reader, pytest.raises(ReadRefused, match="nowhere"):
        reader.query("SELECT 1")


def test_a_small_question_is_answered_at_once(reader):
    reader.query("SELECT 1")
    begun = time.monotonic()
    reader.query("SELECT 1")
    assert time.monotonic() - begun < 2.0
