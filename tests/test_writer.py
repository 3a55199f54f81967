"""The thread that writes: nothing waits for it, nothing is lost in it."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.batching import Backoff, Batching
from sinks.columns import arrow_schema
from sinks.failures import Cure, WriteFailed
from sinks.memory import MemorySink
from sinks.writer import Writer
from tests.stores import rows_of

SOON = Batching(rows=1_000, size=1 << 20, age_s=0.02)
AT_ONCE = Backoff(first_s=0.001, longest_s=0.01)
AWAY = WriteFailed("nobody answers")
BUSY = WriteFailed("too many parts", code=252)
PATIENCE_S = 20.0


def sessions(*ids, **said):
    return rows_of("sessions", *({"visitor_id": "v", "session_id": str(n), **said} for n in ids)).to_arrow()


@dataclass
class Desk:
    """A writer, and what it says."""

    writer: Writer
    done: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    defects: list = field(default_factory=list)

    def put(self, table, rows, name):
        self.writer.put(table, rows, partial(self.done.append, name))

    def wait(self, n):
        until = time.monotonic() + PATIENCE_S
        while len(self.done) < n:
            assert time.monotonic() < until, f"{self.done}, {self.defects}"
            time.sleep(0.005)


@pytest.fixture
def desk():
    """Make a writer; every one is closed at the end."""
    made = []

    def make(open_sink, *, batching=SOON, on_refused=None, start=True, **said):
        desk = Desk(None)

        def refused(what, settled):
            desk.refused.append(what)
            if on_refused:
                on_refused(desk, what, settled)
            else:
                settled()

        desk.writer = Writer(
            open_sink, refused=refused, defect=desk.defects.append, batching=batching, backoff=said.pop("backoff", AT_ONCE), **said
        )
        if start:
            desk.writer.start()
        made.append(desk)
        return desk

    yield make
    for one in made:
        one.writer.close(0.0)


def test_rows_are_written_together_and_every_put_is_done_in_order(desk):
    sink = MemorySink()
    at = desk(lambda: sink, start=False)
    for n in range(50):
        at.put("sessions", sessions(n), n)
    at.writer.start()
    at.wait(50)

    assert at.done == list(range(50))
    assert sink.now("sessions").height == 50
    assert sink.trail == [("sessions", 50, "written")]
    assert at.writer.waiting_bytes == 0


def test_a_batch_is_not_larger_than_it_may_be(desk):
    sink = MemorySink()
    at = desk(lambda: sink, batching=Batching(rows=10, size=1 << 20, age_s=60.0), start=False)
    for n in range(7):
        at.put("sessions", sessions(*range(4 * n, 4 * n + 4)), n)
    at.writer.start()
    at.wait(6)

    assert [rows for _, rows, _ in sink.trail] == [8, 8, 8]
    assert at.done == list(range(6)), "the last four rows are young, and wait for others"


def test_a_put_that_is_larger_than_a_batch_is_written_all_the_same(desk):
    sink = MemorySink()
    at = desk(lambda: sink, batching=Batching(rows=10, size=1 << 20, age_s=60.0))
    at.put("sessions", sessions(*range(35)), 0)
    at.wait(1)
    assert sink.trail == [("sessions", 35, "written")]


def test_no_rows_are_done_as_well_in_their_place(desk):
    sink = MemorySink()
    at = desk(lambda: sink)
    at.put("sessions", sessions(1), "a")
    at.put("sessions", arrow_schema("sessions").empty_table(), "b")
    at.wait(2)
    assert at.done == ["a", "b"]


def test_what_fails_is_tried_again_until_it_passes_with_the_same_token_and_in_order(desk, caplog):
    sink = MemorySink(fails=[AWAY, BUSY, AWAY])
    at = desk(lambda: sink, start=False)
    with caplog.at_level(logging.INFO, logger="sinks.writer"):
        at.put("sessions", sessions(1, status="open"), "a")
        at.put("sessions", sessions(1, status="abandoned"), "b")
        at.writer.start()
        at.wait(2)

    assert at.done == ["a", "b"]
    assert [became for _, _, became in sink.trail] == ["failed", "failed", "failed", "written"]
    told = [record.getMessage() for record in caplog.records]
    assert "is ClickHouse running" in told[0], "a failure says what to do about it"
    assert "does not keep up with merging" in told[1]
    assert told[2:] == ["rows of sessions are written again, after 3 failed attempts"], "the same failure is not told all the time"


def test_what_only_a_person_can_mend_is_kept_and_tried_again(desk, caplog):
    """A missing table, a wrong password: the rows are fine, none of them is given up."""
    sink = MemorySink(fails=[WriteFailed("no such table", code=60), WriteFailed("no such user", code=516)])
    at = desk(lambda: sink)
    at.put("sessions", sessions(1), 0)
    at.wait(1)
    assert (at.refused, sink.now("sessions").height) == ([], 1)
    assert "ebbtide migrate" in caplog.text
    assert "password" in caplog.text


def test_a_table_that_is_broken_holds_up_no_other(desk):
    broken = threading.Event()

    class Half(MemorySink):
        def write(self, table, rows, *, token):
            if table == "sessions" and not broken.is_set():
                raise BUSY
            super().write(table, rows, token=token)

    sink = Half()
    at = desk(lambda: sink)
    at.put("sessions", sessions(1), "sessions")
    for n in range(20):
        at.put("steps", rows_of("steps", {"instance_id": str(n)}).to_arrow(), n)
    at.wait(20)
    assert "sessions" not in at.done

    broken.set()
    at.wait(21)
    assert at.done[-1] == "sessions"


@pytest.mark.parametrize("is_table", [True, False])
def test_rows_of_a_newer_version_wait_for_it_and_hold_up_no_other_table(desk, caplog, is_table):
    """While workers are replaced one by one, an old one may read what a new one says. Its rows are no dead letters."""
    sink = MemorySink()
    at = desk(lambda: sink)
    if is_table:
        at.put("forecasts", sessions(1), "newer")
    else:
        at.put("sessions", sessions(1).append_column("mood", [["well"]]), "newer")
    for n in range(5):
        at.put("steps", rows_of("steps", {"instance_id": str(n)}).to_arrow(), n)
    at.wait(5)

    assert (sorted(at.done), at.refused, at.defects) == ([*range(5)], [], [])
    assert at.writer.waiting().rows == 1
    assert ("table forecasts" if is_table else "column mood of table sessions") in caplog.text
    assert "run the version that has written them" in caplog.text


def test_putting_never_waits_and_says_when_it_is_enough(desk):
    gate = threading.Event()

    class Stuck(MemorySink):
        def write(self, table, rows, *, token):
            gate.wait()
            super().write(table, rows, token=token)

    rows = sessions(*range(100))
    at = desk(Stuck, batching=Batching(rows=100, size=1 << 20, age_s=1.0), buffer_bytes=10 * rows.nbytes)
    begun = time.monotonic()
    for n in range(10):
        at.put("sessions", rows, n)
    assert not at.writer.full
    for n in range(10, 200):
        at.put("sessions", rows, n)
    assert time.monotonic() - begun < 5.0
    assert at.writer.full
    assert at.writer.waiting_bytes == 200 * rows.nbytes

    gate.set()
    at.wait(200)
    assert not at.writer.full
    assert at.writer.waiting_bytes == 0


def test_a_batch_does_not_vanish_while_somebody_asks_what_waits(desk):
    """A scrape comes when it comes, also when a batch has just been written."""
    gate = threading.Event()

    class Gated(MemorySink):
        def write(self, table, rows, *, token):
            gate.wait(PATIENCE_S)
            super().write(table, rows, token=token)

    asked = desk(Gated)
    asked.put("sessions", sessions(1), 1)
    until = time.monotonic() + PATIENCE_S
    lane = asked.writer._lanes["sessions"]
    while lane.batch is None:
        assert time.monotonic() < until
        time.sleep(0.005)

    with asked.writer._changed:  # as `waiting` does
        gate.set()
        while lane.taken is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(0.1)
        assert lane.batch is not None

    asked.wait(1)


def test_rows_that_are_refused_are_found_handed_back_and_the_others_written(desk):
    sink = MemorySink(refuses=lambda row: row["session_id"] in {"13", "14", "77"})
    at = desk(lambda: sink, batching=Batching(rows=100, size=1 << 20, age_s=60.0))  # one batch, however slow the machine
    for n in range(10):
        at.put("sessions", sessions(*range(10 * n, 10 * n + 10)), n)
    at.wait(10)

    assert sink.now("sessions").height == 97
    assert [what.table for what in at.refused] == ["sessions"]
    assert at.refused[0].rows["session_id"].to_pylist() == ["13", "14", "77"]
    assert Counter(became for _, _, became in sink.trail)["refused"] < 30, "it is searched by halves"


def test_a_failure_amid_the_search_loses_nothing(desk):
    fails = [None, AWAY, None, None, AWAY, None, AWAY]
    sink = MemorySink(fails=fails, refuses=lambda row: row["session_id"] == "3")
    at = desk(lambda: sink, start=False)
    at.put("sessions", sessions(*range(8)), 0)
    at.writer.start()
    at.wait(1)
    assert sink.now("sessions")["session_id"].sort().to_list() == [str(n) for n in range(8) if n != 3]
    assert at.refused[0].rows["session_id"].to_pylist() == ["3"]


def test_rows_that_the_table_must_not_take_are_handed_back_without_a_search(desk):
    sink = MemorySink()
    at = desk(lambda: sink, start=False)
    at.put("sessions", sessions(1, 2), "good")
    at.put("sessions", sessions(3, started_at=None), "without a time")
    at.put("sessions", pa.table({"what": [1]}), "something else")
    at.put("sessions", pa.table({"what": ["is this"]}), "something else again")
    at.writer.start()
    at.wait(4)

    assert at.done == ["good", "without a time", "something else", "something else again"]
    assert sink.trail == [("sessions", 2, "written")]
    assert [(what.reason, what.rows.num_rows) for what in at.refused] == [
        ("a time or number is missing that no row lacks", 1),
        ("table sessions has no column what", 1),
        ("table sessions has no column what", 1),
    ]


def test_a_put_with_refused_rows_is_done_when_they_are_safe_elsewhere(desk):
    """Else a crash between the two would lose them: the position behind them would be kept, and they nowhere."""
    sink = MemorySink(refuses=lambda row: row.get("session_id") == "1", fails=[None, None, None, BUSY, BUSY])

    def to_dead_letters(desk, what, settled):
        rows = rows_of(
            "dead_letters", *({"topic": what.table, "partition": 0, "offset": n, "row": 0} for n in range(what.rows.num_rows))
        )
        desk.writer.put("dead_letters", rows.to_arrow(), lambda: (desk.done.append("dead letter"), settled()))

    at = desk(lambda: sink, on_refused=to_dead_letters, start=False)
    at.put("sessions", sessions(1, 2), "put")
    at.writer.start()
    at.wait(2)
    assert at.done == ["dead letter", "put"]
    assert sink.now("dead_letters").height == 1


class Strange(MemorySink):
    """Fails with an error that nobody knows, on some rows or all."""

    def __init__(self, is_strange):
        super().__init__()
        self.is_strange = is_strange

    def write(self, table, rows, *, token):
        if any(self.is_strange(one) for one in rows["session_id"].to_pylist()):
            raise WriteFailed("bad arguments", code=36)
        super().write(table, rows, token=token)


def test_an_unknown_error_that_stays_with_one_row_is_about_that_row(desk):
    sink = Strange(lambda one: one == "13")
    at = desk(lambda: sink)
    at.put("sessions", sessions(*range(20)), 0)
    at.put("sessions", sessions(*range(20, 30)), 1)
    at.wait(2)
    assert sink.now("sessions").height == 29
    assert [what.rows["session_id"].to_pylist() for what in at.refused] == [["13"]]


def test_an_unknown_error_of_the_table_costs_no_row(desk):
    is_broken = threading.Event()
    sink = Strange(lambda _one: is_broken.is_set())
    at = desk(lambda: sink)
    at.put("sessions", sessions(1), 0)
    at.wait(1)
    is_broken.set()
    at.put("sessions", sessions(*range(2, 6)), 1)
    time.sleep(0.3)
    assert (at.done, at.refused) == ([0], [])

    is_broken.clear()
    at.wait(2)
    assert at.refused == []
    assert sink.now("sessions").height == 5


def test_a_batch_that_is_too_much_for_a_server_is_written_in_parts(desk):
    class Small(MemorySink):
        def write(self, table, rows, *, token):
            if rows.num_rows > 10:
                raise WriteFailed("memory limit exceeded", code=241)
            super().write(table, rows, token=token)

    sink = Small()
    at = desk(lambda: sink)
    at.put("sessions", sessions(*range(100)), 0)
    at.wait(1)
    assert at.refused == []
    assert sink.now("sessions").height == 100


def test_closing_writes_what_waits_however_young_it_is(desk):
    sink = MemorySink()
    at = desk(lambda: sink, batching=Batching(age_s=3_600.0))
    at.put("sessions", sessions(1), 0)
    assert at.writer.close(PATIENCE_S)
    assert at.done == [0]
    assert not sink.is_open


def test_closing_waits_no_longer_than_it_was_told_and_says_that_something_is_left(desk):
    at = desk(lambda: MemorySink(fails=repeat(AWAY)))
    at.put("sessions", sessions(1), 0)
    begun = time.monotonic()
    assert not at.writer.close(0.3)
    assert time.monotonic() - begun < 3.0
    assert at.done == []


def test_an_idle_writer_closes_at_once(desk):
    at = desk(MemorySink)
    begun = time.monotonic()
    assert at.writer.close(PATIENCE_S)
    assert time.monotonic() - begun < 5.0


def test_a_defect_in_the_thread_is_told(desk):
    at = desk(lambda: MemorySink(fails=[TypeError("bad code")]))
    at.put("sessions", sessions(1), 0)
    until = time.monotonic() + PATIENCE_S
    while not at.defects and time.monotonic() < until:
        time.sleep(0.01)
    assert [str(defect) for defect in at.defects] == ["bad code"]


# With the real engine ------------------------------------------------------------------------------------------------------


def test_a_constraint_of_the_table_refuses_rows_and_the_others_are_there(desk, store):
    """The engine refuses: 469. Whatever it says of the row, these rows are one refusal."""
    store.command("ALTER TABLE sessions ADD CONSTRAINT no_sevens CHECK session_id NOT LIKE '%7'")
    at = desk(store.open)
    for n in range(4):
        at.put("sessions", sessions(*range(10 * n, 10 * n + 10)), n)
    at.wait(4)

    assert store.query("SELECT count() AS n FROM sessions_now")["n"][0] == 36
    assert sorted(what for refused in at.refused for what in refused.rows["session_id"].to_pylist()) == ["17", "27", "37", "7"]


def test_a_table_that_is_not_there_yet_gets_its_rows_when_it_is(desk, store):
    store.command("RENAME TABLE sessions TO elsewhere")
    at = desk(store.open)
    at.put("sessions", sessions(1), 0)
    time.sleep(0.3)
    assert (at.done, at.refused) == ([], [])

    store.command("RENAME TABLE elsewhere TO sessions")
    at.wait(1)
    assert store.query("SELECT count() AS n FROM sessions_now")["n"][0] == 1


def test_a_server_that_crashed_and_came_back_has_everything_once(desk, server, server_store):
    at = desk(server_store.open, backoff=Backoff(first_s=0.05, longest_s=0.5))
    at.put("sessions", sessions(*range(100)), 0)
    at.wait(1)
    server.kill()
    for n in range(1, 20):
        at.put("sessions", sessions(*range(100 * n, 100 * n + 100)), n)
    time.sleep(0.3)
    assert at.done == [0]

    server.start()
    at.wait(20)
    assert at.done == list(range(20))
    found = server_store.query("SELECT count() AS n, uniqExact(session_id) AS different FROM sessions")
    assert found.row(0) == (2_000, 2_000)


def test_a_write_over_a_dead_connection_is_told_as_something_that_passes(server_store):
    with server_store.open() as sink:
        sink.client()
        sink.address = type(sink.address)("http", "127.0.0.1", 1, "default", "")
        sink.close()
        with pytest.raises(WriteFailed) as failed:
            sink.write("sessions", sessions(1), token="t")
    assert (failed.value.cure, failed.value.code) == (Cure.WAITING, None)


@settings(max_examples=40, deadline=None)
@given(
    puts=st.lists(st.tuples(st.sampled_from(["sessions", "steps"]), st.integers(0, 6)), max_size=12),
    fails=st.lists(st.sampled_from([None, AWAY, BUSY, WriteFailed("no table", code=60)]), max_size=10),
    bad=st.sets(st.integers(0, 40), max_size=6),
    rows=st.integers(1, 12),
)
def test_whatever_fails_every_row_is_written_or_handed_back_and_done_in_order(puts, fails, bad, rows):
    sink = MemorySink(fails=fails, refuses=lambda row: int(row.get("session_id") or row.get("instance_id")) in bad)
    at = Desk(None)

    def refused(what, settled):
        at.refused.append(what)
        settled()

    batching = Batching(rows=rows, size=1 << 20, age_s=0.001)
    at.writer = Writer(lambda: sink, refused=refused, defect=at.defects.append, batching=batching, backoff=AT_ONCE)
    numbers, expected = iter(range(1_000)), {"sessions": set(), "steps": set()}
    for n, (table, size) in enumerate(puts):
        ids = [str(next(numbers)) for _ in range(size)]
        expected[table].update(ids)
        said = [{"visitor_id": "v", "session_id": one} if table == "sessions" else {"instance_id": one} for one in ids]
        at.put(table, rows_of(table, *said).to_arrow() if said else arrow_schema(table).empty_table(), (table, n))
    at.writer.start()
    assert at.writer.close(PATIENCE_S)

    assert at.defects == []
    for table, key in (("sessions", "session_id"), ("steps", "instance_id")):
        written = set(sink.now(table)[key].to_list())
        handed_back = [one for what in at.refused if what.table == table for one in what.rows[key].to_pylist()]
        assert written == {one for one in expected[table] if int(one) not in bad}
        assert sorted(handed_back, key=int) == sorted(expected[table] - written, key=int)
        assert [n for name, n in at.done if name == table] == [n for n, (name, _) in enumerate(puts) if name == table]
    assert at.writer.waiting_bytes == 0
