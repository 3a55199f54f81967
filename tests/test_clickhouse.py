"""A client of ClickHouse: where it is, who else has it, and what it says when something fails."""

import subprocess
import sys
import threading

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.addresses import Embedded, Server, address
from sinks.clickhouse import ClickHouse, connect
from sinks.failures import _PASSING, _REFUSALS, Cure, StoreBusy, WriteFailed, failure
from tests.stores import rows_of

HOLDS = """
import sys
from sinks.clickhouse import connect
client = connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("dsn", "meant"),
    [
        ("clickhouse://default@127.0.0.1:8123", Server("http", "127.0.0.1", 8123, "default", "")),
        ("clickhouse://host", Server("http", "host", 8123, "default", "")),
        ("clickhouse://me:p%40ss%2Fword@host:9", Server("http", "host", 9, "me", "p@ss/word")),
        ("http://host", Server("http", "host", 8123, "default", "")),
        ("https://host", Server("https", "host", 8443, "default", "")),
        ("clickhouses://host:9", Server("https", "host", 9, "default", "")),
    ],
)
def test_a_dsn_says_where_a_server_is(dsn, meant):
    assert address(dsn) == meant


def test_a_dsn_says_where_the_embedded_store_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert address("chdb:///var/lib/x") == Embedded(tmp_path.__class__("/var/lib/x"))
    assert address("chdb://data") == Embedded(tmp_path / "data")


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "chdb://",
        "chdb://:memory:",
        "chdb:///x?readonly=1",
        "clickhouse://",
        "host:8123",
        "clickhouse://host/database",
        "mysql://host",
    ],
)
def test_a_dsn_that_says_something_else_is_refused(dsn):
    with pytest.raises(ValueError, match=r"chdb://|DSN"):
        address(dsn)


def test_an_address_does_not_show_its_password():
    at = address("clickhouse://me:secret@host")
    assert "secret" not in f"{at} {at!r}"


def test_a_store_that_another_process_has_is_told_as_busy_and_by_whom(tmp_path):
    dsn = f"chdb://{tmp_path}/store"
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreBusy, match=rf"is in use: process {holder.pid} has it open"):
            connect(dsn)
        with pytest.raises(WriteFailed, match="is in use") as failed, ClickHouse(dsn, "ebbtide") as store:
            store.write("sessions", rows_of("sessions", {"session_id": "1"}), token="t")
        assert failed.value.cure == Cure.REPAIR
    finally:
        holder.stdin.close()
        holder.wait(20)
        holder.stdout.close()


@pytest.mark.usefixtures("store_dsn")
def test_a_second_store_in_one_process_is_told_as_such(tmp_path):
    with pytest.raises(StoreBusy, match="this process has another one open"):
        connect(f"chdb://{tmp_path}/other")


def test_a_store_may_be_opened_by_several_threads_of_one_process(store):
    seen = []

    def look():
        with store.open() as opened:
            seen.append(opened.query("SELECT 1 AS one").item())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 4


def test_a_client_is_for_one_thread(store):
    with store.open() as opened:
        opened.query("SELECT 1")
        raised = []

        def ask():
            try:
                opened.query("SELECT 1")
            except AssertionError as error:
                raised.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert raised == ["a client of ClickHouse is for one thread"]


def test_a_client_of_the_engine_that_is_kept_answers_with_what_a_failed_query_left_over(store):
    """Why ours is thrown away after every error. If this fails, the engine or its client has been mended."""
    client = connect(store.dsn)
    try:
        with pytest.raises(DatabaseError):
            client.query("SELECT toUInt64(number) AS x, toUInt8(throwIf(number = 900000)) AS y FROM numbers(1000000)")
        assert client.query("SELECT toUInt64(7) AS x, toUInt8(1) AS y").result_rows != [(7, 1)]
    finally:
        client.close()


def test_a_write_that_failed_leaves_nothing_to_the_next_query(store):
    store.command("ALTER TABLE sessions ADD CONSTRAINT no_sevens CHECK session_id != '7'")
    with store.open() as opened:
        with pytest.raises(WriteFailed) as failed:
            opened.write("sessions", rows_of("sessions", {"session_id": "7"}), token="t")
        assert failed.value.code == 469
        assert opened.query("SELECT toUInt64(7) AS x, toUInt8(1) AS y").rows() == [(7, 1)]


@pytest.mark.parametrize("status", [500, 502, 413, 429])
def test_what_a_gateway_says_in_the_place_of_a_server_passes(status):
    failed = failure(DatabaseError(f"HTTP driver received HTTP status {status}"))
    assert (failed.code, failed.cure, failed.fewer_may_pass) == (None, Cure.WAITING, status == 413)


def test_a_full_disk_passes_whatever_code_it_has():
    """What the engine says when files can still be reserved and none can be opened: words of 26.9, on a file system without inodes."""
    said = (
        "Code: 76. DB::ErrnoException: Cannot open file a.txt: , errno: 28, strerror: No space left on device. (CANNOT_OPEN_FILE)"
    )
    denied = said.replace("No space left on device", "Permission denied")
    failed, other = (failure(DatabaseError(words, code=76)) for words in (said, denied))
    assert (failed.code, failed.cure, failed.may_be_rows) == (243, Cure.WAITING, False)
    assert "make room" in failed.advice
    assert str(failed) == "Cannot open file a.txt: , errno: 28, strerror: No space left on device."
    assert (other.code, other.cure) == (76, Cure.REPAIR)


def test_after_a_query_that_failed_half_way_the_next_one_is_right(store):
    with store.open() as opened:
        for _ in range(3):
            with pytest.raises(DatabaseError):
                opened.query("SELECT toUInt64(number) AS x, toUInt8(throwIf(number = 900000)) AS y FROM numbers(1000000)")
            assert opened.query("SELECT toUInt64(7) AS x, toUInt8(1) AS y").rows() == [(7, 1)]


@pytest.mark.parametrize("where", ["store", "server_store"])
def test_a_table_that_is_not_there_wants_a_person_and_says_what_to_do(request, where):
    store = request.getfixturevalue(where)
    store.command("DROP TABLE sessions SYNC")
    with store.open() as opened, pytest.raises(WriteFailed) as failed:
        opened.write("sessions", rows_of("sessions", {"session_id": "1"}), token="t")
    assert (failed.value.code, failed.value.cure, failed.value.retryable) == (60, Cure.REPAIR, False)
    assert "ebbtide migrate" in failed.value.advice


def test_error_codes_are_what_the_engine_calls_them(store):
    known = {**_PASSING, **_REFUSALS}
    names = store.query(f"SELECT number AS code, errorCodeToName(number) AS name FROM numbers(1100) WHERE number IN {tuple(known)}")
    assert dict(names.iter_rows()) == known
    assert not set(_PASSING) & set(_REFUSALS)


@pytest.mark.parametrize(
    ("code", "cure"),
    [(None, "waiting"), (159, "waiting"), (202, "waiting"), (241, "waiting"), (243, "waiting"), (252, "waiting"), (999, "waiting"),
     (349, "refusal"), (469, "refusal"), (62, "repair"), (53, "repair"), (516, "repair"), (16, "repair"), (4242, "repair")],
)  # fmt: skip
def test_a_failure_says_what_mends_it(code, cure):
    failed = WriteFailed("so it is", code=code)
    assert failed.cure == cure
    assert failed.retryable == (cure == "waiting")
    assert failed.advice
