"""The HTTP front of the embedded engine, asked as BI tools ask: it answers what reads the tables, and nothing else."""

import gzip
import json
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.addresses import address
from sinks.http_answers import Answers, Engine
from sinks.http_front import OPEN_AT_MOST, HttpFront, PortTaken, offered
from sinks.reader import Reader
from tests.stores import rows_of, store_at
from tests.test_reader import REACHES, READS, WRITES


@pytest.fixture(scope="module")
def stored(store_dsn):
    for store in store_at(store_dsn):
        with store.open() as opened:
            opened.write("sessions", rows_of("sessions", {"visitor_id": "v", "session_id": "1", "steps": ["cart"]}), token="t")
        yield store


@contextmanager
def front_on(stored, **said):
    engine = Engine(address(stored.dsn).path)
    front = HttpFront(Answers(engine, stored.database), 0, stop_queries=engine.stop_queries, **said)
    front.start()
    try:
        yield front
    finally:
        front.close()
        engine.close()


@pytest.fixture(scope="module")
def front(stored):
    with front_on(stored) as front:
        yield front


@pytest.fixture
def client(front):
    client = clickhouse_connect.get_client(host="127.0.0.1", port=front.port)
    yield client
    client.close()


def ask(front, body=None, *, headers=None, path="/", **fields):
    """(status, headers, body) of one request."""
    at = f"http://127.0.0.1:{front.port}{path}" + (f"?{urllib.parse.urlencode(fields)}" if fields else "")
    data = body.encode() if isinstance(body, str) else body
    try:
        with urllib.request.urlopen(urllib.request.Request(at, data, headers or {}), timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_it_says_that_it_is_there(front):
    assert ask(front, path="/ping")[::2] == (200, b"Ok.\n")
    assert ask(front)[::2] == (200, b"Ok.\n")
    assert ask(front, path="/play")[0] == 404


@pytest.mark.parametrize("way", ["address", "body", "both", "form"])
def test_a_statement_stands_in_the_address_in_the_body_or_in_both(front, way):
    sql = "SELECT session_id, {n:UInt8} AS n FROM sessions_now"
    if way == "form":
        parts = {"query": sql, "param_n": "7"}
        body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts.items())
        found = ask(front, f"{body}--x--\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"})
    elif way == "address":
        found = ask(front, query=sql, param_n="7")
    elif way == "body":
        found = ask(front, sql, param_n="7")
    else:
        found = ask(front, "FROM sessions_now", query="SELECT session_id, {n:UInt8} AS n", param_n="7")
    assert found[::2] == (200, b"1\t7\n")


def test_the_format_is_that_of_the_statement_else_that_of_the_request(front):
    for sql, fields in (
        ("SELECT 1 AS a FORMAT JSONEachRow", {"default_format": "CSV"}),
        ("SELECT 1 AS a", {"default_format": "JSONEachRow"}),
        ("SELECT 1 AS a FORMAT JSONEachRow SETTINGS max_threads = 1", {}),
        ("SELECT 1 AS a -- FORMAT CSV\nFORMAT\n jsoneachrow;", {}),
    ):
        status, headers, body = ask(front, sql, **fields)
        assert (status, json.loads(body), headers["X-ClickHouse-Format"]) == (200, {"a": 1}, "JSONEachRow")
    assert ask(front, "SELECT 'FORMAT CSV' AS `FORMAT`")[2] == b"FORMAT CSV\n"
    assert ask(front, "SELECT 1 AS a", default_format="JSON")[1]["Content-Type"].startswith("application/json")
    assert ask(front, "SELECT 1", headers={"X-ClickHouse-Format": "CSVWithNames"})[2] == b'"1"\n1\n'
    status, headers, _ = ask(front, "SELECT 1 FORMAT Nonsense")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "73")


@pytest.mark.parametrize(("encoding", "unpack"), [("lz4", lz4.frame.decompress), ("gzip", gzip.decompress)])
def test_answers_and_bodies_may_be_compressed(front, encoding, unpack):
    pack = {"lz4": lz4.frame.compress, "gzip": gzip.compress}[encoding]
    headers = {"Accept-Encoding": f"br;q=1.0, {encoding}", "Content-Encoding": encoding}
    status, answered, body = ask(front, pack(b"SELECT number FROM numbers(1000)"), headers=headers, enable_http_compression="1")
    assert (status, answered["Content-Encoding"]) == (200, encoding)
    assert unpack(body) == b"".join(b"%d\n" % n for n in range(1000))
    assert ask(front, "SELECT 1", headers={"Accept-Encoding": encoding})[2] == b"1\n"


def test_what_cannot_be_unpacked_or_would_be_too_large_is_refused(front):
    bomb = gzip.compress(b" " * (10 << 20) + b"SELECT 1")
    for body, encoding in (
        (bomb, "gzip"),
        (lz4.frame.compress(b" " * (10 << 20)), "lz4"),
        (b"rubbish", "gzip"),
        (bomb[:50], "gzip"),
        (b"x", "br"),
    ):
        assert ask(front, body, headers={"Content-Encoding": encoding})[0] == 403
    assert ask(front, " " * (2 << 20) + "SELECT 1")[0] == 413
    status, _, said = ask(front, "SELECT 1", compress="1")
    assert (status, b"compress=1" in said) == (403, True)


def test_the_database_is_ours_unless_another_one_is_named(front, stored):
    for fields in ({}, {"database": "default"}, {"database": stored.database}):
        assert ask(front, "SELECT currentDatabase(), count() FROM sessions_now", **fields)[2] == f"{stored.database}\t1\n".encode()
    assert ask(front, "SELECT name FROM tables WHERE name = 'one' AND database = 'system'", database="system")[2] == b"one\n"
    status, headers, _ = ask(front, "SELECT 1", database="nowhere")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "81")


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("SELECT nothing FROM sessions", 404, "47"),
        ("SELECT * FROM nothing", 404, "60"),
        ("SELECT throwIf(number = 1) FROM numbers(2)", 500, "395"),
        ("DROP TABLE sessions", 403, "164"),
        (b"SELECT '\xff'", 400, "62"),
    ],
)
def test_an_error_has_the_code_of_the_engine_and_a_status(front, sql, status, code):
    answered, headers, body = ask(front, sql)
    assert (answered, headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert b"formatQuery" not in body


@pytest.mark.parametrize("sql", [sql for sql in READS if "SETTINGS" not in sql])
def test_what_reads_the_tables_is_answered(front, sql):
    status, _, body = ask(front, sql, default_format="JSONCompactEachRow")
    assert status == 200, body
    assert [tuple(json.loads(line)) for line in body.splitlines()] == READS[sql]


@pytest.mark.parametrize("sql", [*WRITES, *REACHES])
def test_what_does_more_than_read_the_tables_is_refused(front, stored, tmp_path, monkeypatch, sql):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a secret")
    status, _, body = ask(front, sql)
    assert status >= 400
    assert b"a secret" not in body
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert stored.query("SELECT count() AS n FROM sessions").item() == 1


@pytest.mark.parametrize(
    ("sql", "fields"),
    [
        ("SELECT * FROM {d:Identifier}.{t:Identifier}", {"param_d": "default", "param_t": "secret.csv"}),
        ("DESCRIBE { d : Identifier }.secret", {"param_d": "`default`"}),
        ("SELECT 1", {"allow_ddl": "1"}),
        ("SELECT 1", {"max_memory_usage": "0"}),
        ("SELECT 1", {"log_comment = 'x', readonly": "0"}),
        ("SELECT 1", {"param_x = 1, readonly": "0"}),
        ("DROP TABLE sessions", {"readonly": "0"}),
        ("INSERT INTO sessions (site) FORMAT TSV\nx", {"readonly": "0"}),
    ],
)
def test_what_comes_beside_the_statement_changes_none_of_that(front, stored, sql, fields):
    assert ask(front, sql, **fields)[0] == 403
    assert stored.query("SELECT count() AS n FROM sessions").item() == 1


def test_limits_can_be_made_smaller_and_not_larger(front):
    assert ask(front, "SELECT getSetting('max_execution_time')", max_execution_time="3")[2] == b"3\n"
    for told in ("9999", "0", "x"):
        assert ask(front, "SELECT getSetting('max_execution_time')", max_execution_time=told)[2] == b"20\n"
    assert ask(front, "SELECT sleep(2)", max_execution_time="1")[0] == 408
    for sql, code in (
        ("SELECT repeat('x', 1000) FROM numbers(100000)", "396"),
        ("SELECT toString(number) FROM numbers(10000000)", "396"),
        ("SELECT groupArray(number) FROM numbers(1000000000)", "241"),
    ):
        status, headers, body = ask(front, sql)
        assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, code), body[:300]


def test_a_query_that_failed_half_way_leaves_nothing_to_the_next(front):
    for _ in range(5):
        assert (
            ask(front, "SELECT toUInt64(number) AS x, throwIf(number = 900000) FROM numbers(1000000)", default_format="JSON")[0]
            == 500
        )
        assert ask(front, "SELECT 7")[2] == b"7\n"


def test_only_this_machine_is_answered_by_name(front):
    """A web page may let its name point here; what it asks then bears that name."""
    assert ask(front, "SELECT 1", headers={"Host": "evil.example:8123"})[0] == 403
    assert ask(front, "SELECT 1", headers={"Host": f"localhost:{front.port}"})[0] == 200


# With ClickHouse's own client --------------------------------------------------------------------------------------------


def test_the_client_connects_and_reads(client):
    assert client.ping()
    assert client.server_version
    assert client.query("SELECT session_id, steps FROM sessions_now").result_rows == [("1", ["cart"])]
    assert client.query_df("SELECT count() AS n FROM sessions_now")["n"][0] == 1
    assert client.query_arrow("SELECT toInt64(number) AS n FROM numbers(100000)").num_rows == 100_000
    assert client.command("SELECT count() FROM sessions_now") == 1
    with client.query_rows_stream("SELECT number FROM numbers(100000)") as rows:
        assert sum(1 for _ in rows) == 100_000
    assert client.query("SELECT session_id FROM sessions_now LIMIT 0").column_names == ("session_id",)
    assert client.raw_query("SELECT 1", fmt="CSVWithNames") == b'"1"\n1\n'


@pytest.mark.parametrize("value", ["it's", "a\tb\nc", "back\\slash", "ünï", "", "\\N", ["a'", "b"], 7, None])
def test_parameters_arrive_as_they_are(client, value):
    kind = {str: "String", list: "Array(String)", int: "UInt8", type(None): "Nullable(String)"}[type(value)]
    assert client.query(f"SELECT {{x:{kind}}}", parameters={"x": value}).result_rows == [(value,)]


def test_the_client_is_told_what_is_wrong(client):
    with pytest.raises(DatabaseError) as refused:
        client.command("DROP TABLE sessions")
    assert refused.value.code == 164
    with pytest.raises(DatabaseError) as unknown:
        client.query("SELECT * FROM nothing")
    assert unknown.value.code == 60


def test_ebbtide_sql_reads_through_it(front, stored):
    with Reader(f"clickhouse://127.0.0.1:{front.port}", stored.database) as reader:
        assert reader.query("SELECT session_id FROM sessions_now").rows() == [("1",)]


# Many, slow and stubborn ones --------------------------------------------------------------------------------------------


def test_many_at_once_are_answered_or_told_to_come_again(front):
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ask(front, "SELECT sleep(0.2)")[0])) for _ in range(3 * OPEN_AT_MOST)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= OPEN_AT_MOST
    assert ask(front, "SELECT 1")[2] == b"1\n"


def connected(front, request):
    client = socket.create_connection(("127.0.0.1", front.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(request)
    return client


@pytest.mark.parametrize("body", ["SELECT", "SELECT repeat('x', 1000) FROM numbers(20000)"])
def test_clients_that_never_read_or_never_finish_asking_are_let_go(stored, body):
    """As many as there is room for; then there is room for others."""
    length = len(body) if len(body) > 10 else 1_000
    request = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    with front_on(stored, patience_s=2.0) as front, ExitStack() as clients:
        for _ in range(OPEN_AT_MOST):
            clients.enter_context(connected(front, request.encode()))
        for status in (503, 200):
            until = time.monotonic() + 30
            while ask(front, "SELECT 1")[0] != status:
                assert time.monotonic() < until, status
                time.sleep(0.02)


def test_closing_ends_what_runs(stored):
    said = []
    with front_on(stored) as front:
        asking = threading.Thread(
            target=lambda: said.append(outcome(front, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)"))
        )
        asking.start()
        time.sleep(0.5)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    asking.join()
    assert said


def outcome(front, sql):
    try:
        return ask(front, sql)[0]
    except OSError as error:
        return error


def test_a_port_that_is_taken_is_told(stored, front):
    with pytest.raises(PortTaken, match=f"port {front.port} .*in use"), offered(stored.dsn, stored.database, front.port):
        pass
