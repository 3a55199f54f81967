"""The thread that writes: it owns one client of ClickHouse, gathers rows by table, and never makes anybody wait.

What does not pass is tried again for ever, table by table, so that one that is broken holds up no other. Rows that ClickHouse
refuses are searched for by halves and handed back; the others are written. An error that we do not know is first taken for one that somebody
mends; when it stays with one row, and the table takes another one at the same time, it is about that row.

**Delivery:** at least once, in the order of each table; effectively once, for a row replaces the one of its id and version. `done` is
called when all rows of that `put` are in ClickHouse, or refused and safe elsewhere. What is not done when the process ends was not
written, or nobody knows: it has to come again.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from sinks.batching import Backoff, Batching, Gathered
from sinks.failures import Cure, WriteFailed
from sinks.lanes import Batch, Lane, Put
from sinks.sink import OpenSink, Sink

log = logging.getLogger(__name__)

SAY_AGAIN_S = 30.0
"""A failure that lasts is told of so often."""
FEWER_AFTER = 3
"""Failures in a row before fewer rows are tried at once."""


@dataclass(frozen=True)
class Refused:
    """Rows that ClickHouse does not take, however often they come, and why."""

    table: str
    rows: pa.Table
    reason: str


OnRefused = Callable[[Refused, Callable[[], None]], None]
"""Is handed refused rows, and what to call, from any thread, when they are safe elsewhere."""


@dataclass(frozen=True)
class Waiting:
    """What is not done yet, and what will never be."""

    rows: int
    size: int
    """Bytes."""
    age_s: float
    """How long the oldest row has waited; 0: none does."""
    refused: dict[str, int]
    """Table -> rows refused since the process began."""


class Writer:
    """Writes rows in a thread of its own."""

    def __init__(
        self,
        open_sink: OpenSink,
        *,
        refused: OnRefused,
        defect: Callable[[BaseException], None],
        batching: Batching | None = None,
        buffer_bytes: int = 256 << 20,
        backoff: Backoff | None = None,
    ) -> None:
        """Take what opens a sink, in the thread; who is handed refused rows; and who must know that the thread has failed.

        `refused` may call `put`. If what it puts is refused as well it hears of that too, and must not put it again.
        """
        self._open_sink, self._refused, self._defect = open_sink, refused, defect
        self._batching, self._backoff = batching or Batching(), backoff or Backoff()
        self.buffer_bytes = buffer_bytes
        """Above it `full` is true, and the caller brings no more."""
        self._lanes: dict[str, Lane] = {}
        self._waiting_bytes, self._waiting_rows, self._unfinished = 0, 0, 0
        self._refused_rows: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._ended = False
        self._chance = random.Random()  # noqa: S311 - it spreads attempts, it hides nothing
        self._said: dict[tuple[str, int | None], float] = {}
        self._thread = threading.Thread(target=self._run, name="clickhouse-writer", daemon=True)

    # From any thread ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, table: str, rows: pa.Table, done: Callable[[], None]) -> None:
        """Take rows, without waiting; `done` is called from another thread. Frames: TABLES[table] and `version`."""
        put = Put(rows, rows.nbytes, time.monotonic(), done)
        with self._changed:
            assert not self._ended, "the writer has ended"
            lane = self._lanes.setdefault(table, Lane(table))
            was_full = self._batching.is_full(lane.gathered)
            lane.waiting.append(put)
            lane.gathered = lane.gathered.added(rows.num_rows, put.size, put.came)
            self._waiting_bytes += put.size
            self._waiting_rows += rows.num_rows
            self._unfinished += 1
            if len(lane.waiting) == 1 or self._batching.is_full(lane.gathered) != was_full:
                self._changed.notify()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of what is not done yet."""
        return self._waiting_bytes

    def waiting(self) -> Waiting:
        """Say what waits."""
        with self._changed:
            busy = [lane for lane in self._lanes.values() if lane.busy]
            came = [(lane.batch.puts if lane.batch else lane.waiting)[0].came for lane in busy]
            age_s = max(0.0, time.monotonic() - min(came)) if came else 0.0
            return Waiting(self._waiting_rows, self._waiting_bytes, age_s, dict(self._refused_rows))

    @property
    def full(self) -> bool:
        """Whether more waits than should."""
        return self._waiting_bytes > self.buffer_bytes

    def close(self, drain_s: float) -> bool:
        """Write what waits, for at most so long, and end. Whether all was done."""
        with self._changed:
            self._closing_at = time.monotonic() + drain_s
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(drain_s + 1.0)
        return not self._unfinished

    # The thread -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            sink = self._open_sink()
            try:
                while (lane := self._next()) is not None:
                    self._write(sink, lane)
            finally:
                with self._changed:
                    self._ended = True
                sink.close()
        except BaseException as error:  # noqa: BLE001 - without this thread nothing is written, and nobody would notice
            self._defect(error)

    def _next(self) -> Lane | None:
        """Wait for the next table that has something to be written; None when it is time to end."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._closing_at is not None and (not self._unfinished or now >= self._closing_at):
                    return None
                due = {lane.table: self._due_at(lane) for lane in self._lanes.values() if lane.busy}
                first = min(due, key=lambda table: due[table], default=None)
                if first is not None and due[first] <= now:
                    lane = self._lanes[first]
                    if lane.batch is None:
                        self._cut(lane)
                    return lane
                times = [at for at in (due.get(first or ""), self._closing_at) if at is not None]
                self._changed.wait(min(times) - now if times else None)

    def _due_at(self, lane: Lane) -> float:
        """When to write the batch of a table, or the next one: at once when the writer is to end."""
        if lane.batch is not None or self._closing_at is not None:
            return lane.not_before
        return max(self._batching.due_at(lane.gathered) or 0.0, lane.not_before)

    def _cut(self, lane: Lane) -> None:
        """Make a batch of what has waited longest."""
        taken, puts = Gathered(), []
        while lane.waiting and self._batching.fits(taken, lane.waiting[0].rows.num_rows, lane.waiting[0].size):
            put = lane.waiting.popleft()
            taken = taken.added(put.rows.num_rows, put.size, put.came)
            puts.append(put)
        lane.batch = Batch(puts)
        lane.gathered = lane.gathered.without(taken, lane.waiting[0].came if lane.waiting else None)

    def _write(self, sink: Sink, lane: Lane) -> None:
        """Write the batch of a table, as far as it goes."""
        batch = lane.batch
        assert batch is not None, f"nothing of {lane.table} is to be written"
        if batch.parts is None:
            if newer := batch.unknown(lane.table):
                self._put_off(lane, WriteFailed(newer, cure=Cure.UPGRADE))
                return
            batch.parts = batch.whole(lane.table)
        while batch.parts:
            token, rows = batch.parts[0]
            try:
                sink.write(lane.table, rows, token=token)
            except WriteFailed as failure:
                if failure.cure != Cure.REFUSAL and not self._is_about(sink, lane, rows, failure):
                    self._put_off(lane, failure)
                    if failure.fewer_may_pass and lane.failures >= FEWER_AFTER and rows.num_rows > 1:
                        batch.halve()
                    return
                if rows.num_rows == 1:
                    batch.parts.popleft()
                    batch.refuse(rows, str(failure), failure.code)
                else:
                    batch.halve()
            else:
                batch.parts.popleft()
                lane.taken = rows.take([0])
            self._went_through(lane)
        with self._changed:  # who asks what waits has just seen it
            lane.batch = None
        self._hand_back(lane.table, batch)
        self._settle(batch)

    @staticmethod
    def _is_about(sink: Sink, lane: Lane, rows: pa.Table, failure: WriteFailed) -> bool:
        """Whether an error that we do not know is about this row: it stays, while the table takes another one."""
        if rows.num_rows != 1 or lane.taken is None or not failure.may_be_rows or lane.failures < FEWER_AFTER:
            return False
        try:
            sink.write(lane.table, lane.taken, token=uuid.uuid4().hex)
        except WriteFailed:
            return False
        return True

    def _put_off(self, lane: Lane, failure: WriteFailed) -> None:
        """Try again later: this table, or all if nobody answered."""
        now, is_of_table = time.monotonic(), failure.code is not None or failure.cure == Cure.UPGRADE
        lane.failures += 1
        until = now + self._backoff.wait_s(lane.failures, self._chance.random())
        with self._changed:
            lane.not_before = until
            for other in () if is_of_table else self._lanes.values():
                other.not_before = max(other.not_before, until)
        about = (lane.table if is_of_table else "", failure.code)
        if now >= self._said.get(about, float("-inf")) + SAY_AGAIN_S:
            self._said[about] = now
            said = {"table": lane.table}
            log.warning("rows of %s wait, and are tried again: %s. What to do: %s", lane.table, failure, failure.advice, extra=said)

    def _went_through(self, lane: Lane) -> None:
        if lane.failures:
            log.info(
                "rows of %s are written again, after %d failed attempts", lane.table, lane.failures, extra={"table": lane.table}
            )
            lane.failures = 0
            self._said.clear()

    def _hand_back(self, table: str, batch: Batch) -> None:
        for reason, rows in batch.refused.values():
            together = pa.concat_tables(rows)
            log.error("%d rows of %s are refused: %s", together.num_rows, table, reason, extra={"table": table})
            with self._changed:
                batch.open += 1
                self._refused_rows[table] = self._refused_rows.get(table, 0) + together.num_rows
            self._refused(Refused(table, together, reason), lambda: self._settle(batch))

    def _settle(self, batch: Batch) -> None:
        with self._changed:
            batch.open -= 1
            if batch.open:
                return
            self._waiting_bytes -= sum(put.size for put in batch.puts)
            self._waiting_rows -= sum(put.rows.num_rows for put in batch.puts)
        for put in batch.puts:
            put.done()
        with self._changed:
            self._unfinished -= len(batch.puts)
            self._changed.notify()
