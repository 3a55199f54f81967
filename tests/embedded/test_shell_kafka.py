"""A worker on a real broker: whatever is dropped, killed or blocked, every event is counted once."""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from agents.app import SINK, Connection, build_app
from agents.child_process import ChildProcess
from agents.refused_rows import RefusedRows
from agents.stages import ShellSettings
from sinks.batching import Batching
from sinks.writer import Writer
from tests.counting import CountingFold, counting_stage
from tests.running_clicks import PARTITIONS, Clicks, MemoryWriter, StuckWriter, counted, shown, until, worker_on

pytestmark = pytest.mark.broker

HOUSE = Path(__file__).parents[2]


def test_every_event_is_counted_once_and_reaches_the_store(broker):
    clicks, writer = Clicks(broker), MemoryWriter()
    clicks.make(5_000)
    broker.produce(clicks.topic, 1, [b"no event at all"])

    async def story():
        worker = worker_on(broker, clicks, writer)
        async with worker.running():
            assert await worker.settled(60)
            clicks.make(3_000)
            await until(lambda: worker.folds["counts"].progress.events == 8_001)
            assert await worker.settled(60)
            return worker.folds["counts"].fates

    fates = asyncio.run(story())

    assert writer.counts() == clicks.expected
    assert sum(fate.get("applied", 0) for fate in fates.values()) == 8_000
    assert fates[1]["rejected"] == 1
    assert [row["payload"] for row in shown(broker).dead_letters()] == [b"no event at all"]


def test_rows_reach_clickhouse(broker, store):
    clicks, defects = Clicks(broker), []
    desk = RefusedRows()
    desk.writer = writer = Writer(store.open, refused=desk, defect=defects.append, batching=Batching(age_s=0.2))
    writer.start()
    clicks.make(4_000)
    broker.produce(clicks.topic, 1, [b"no event at all"])

    async def story():
        async with worker_on(broker, clicks, writer).running() as worker:
            await until(lambda: counted(worker) == 4_000)
            assert await worker.settled(60)

    asyncio.run(story())
    assert writer.close(10)

    found = store.query(f"SELECT visitor_id, n_events, engaged_ms FROM {store.database}.sessions_now")
    letters = store.query(f"SELECT reason, payload FROM {store.database}.dead_letters_now")
    assert {visitor: (n, total) for visitor, n, total in found.rows()} == clicks.expected
    assert letters.rows() == [("undecodable", "no event at all")]
    assert defects == []


def test_positions_are_told_to_the_group_for_monitoring(broker):
    clicks = Clicks(broker)
    clicks.make(400)

    async def story():
        worker = worker_on(broker, clicks)
        async with worker.running():
            assert await worker.settled(60)
            await asyncio.sleep(0.3)

    asyncio.run(story())

    assert broker.committed(broker.prefix, clicks.topic, PARTITIONS) == [100] * PARTITIONS


def test_runs_that_get_lost_on_the_way_are_fetched_again(broker):
    """3% of all runs thrown away between transport and fold, and the very last as well."""
    clicks = Clicks(broker)
    dice = random.Random(7)
    dropped = []

    async def story():
        worker = worker_on(broker, clicks)
        shell = worker.shells["counts"]
        put = shell.inbox.put

        def now_and_then(run):
            if dice.random() < 0.03 or (clicks.made == 20_000 and run.last % 5 == 4 and len(dropped) < 9):
                dropped.append(len(run))
            else:
                put(run)

        shell.inbox.put = now_and_then
        async with worker.running():
            for _ in range(40):
                await asyncio.to_thread(clicks.make, 500)
            await until(lambda: worker.folds["counts"].progress.events == 20_000)
            assert await worker.settled(60)

    asyncio.run(story())

    assert dropped
    assert shown(broker).sessions() == clicks.expected


class Crew:
    """Workers in processes of their own, under load, and the rows that their sinks have written."""

    def __init__(self, broker, folder):
        self.clicks = Clicks(broker)
        self._folder, self._made = folder, 0
        self._command = [sys.executable, "-m", "tests.counting_worker", broker.bootstrap, broker.prefix]
        self._environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
        self._workers, self._stop = {}, threading.Event()
        self._loading = threading.Thread(target=self._load)

    def __enter__(self):
        self._loading.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        self._loading.join()
        for worker in self._workers.values():
            worker.kill()

    def _load(self):
        while not self._stop.wait(0.05):
            self.clicks.make(100)

    def hire(self):
        """Start a worker; returns its name."""
        name = f"worker-{self._made}"
        self._made += 1
        self._file(name).touch()
        self._workers[name] = ChildProcess([*self._command, str(self._file(name))], env=self._environment)
        return name

    def kill(self, name):
        self._workers.pop(name).kill()

    def signal(self, name, number):
        """Send a signal to a worker; not to the shell that guards it."""
        guard = self._workers[name]._guard.pid
        children = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
        (worker,) = [
            int(pid) for pid in children if b"counting_worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 5)[2]
        ]
        os.kill(worker, number)

    def _file(self, name):
        return self._folder / name

    def written(self, name):
        """Bytes of rows that a worker's sink has written."""
        return self._file(name).stat().st_size

    def rows(self):
        """The newest version of every row that any of them has written."""
        newest = {}
        for path in self._folder.glob("worker-*"):
            for line in path.read_text().splitlines():
                with suppress(json.JSONDecodeError):  # the kill came in the middle of a line; it is written again
                    visitor, n, total, version = json.loads(line)
                    if version > newest.get(visitor, (0, 0, -1))[2]:
                        newest[visitor] = (n, total, version)
        return {visitor: (n, total) for visitor, (n, total, _) in newest.items()}

    def until(self, condition, timeout_s=90.0):
        """Wait; nobody of the crew may end by itself meanwhile."""
        until = time.monotonic() + timeout_s
        while not condition():
            for name, worker in self._workers.items():
                assert worker.exit_code is None, f"{name}: {worker.printed()}"
            assert time.monotonic() < until, {name: worker.printed() for name, worker in self._workers.items()}
            time.sleep(0.2)

    def stop_load_and_settle(self):
        """Everything there is must become rows."""
        self._stop.set()
        self._loading.join()
        self.until(lambda: self.rows() == self.clicks.expected)


def test_a_worker_killed_under_load_loses_nothing_and_doubles_nothing(broker, tmp_path):
    with Crew(broker, tmp_path) as crew:
        for _ in range(2):
            worker = crew.hire()
            crew.until(lambda name=worker: crew.written(name) > 20_000)  # it has taken over and is in the middle of it
            crew.kill(worker)
        crew.hire()
        time.sleep(1.0)
        crew.stop_load_and_settle()

        assert shown(broker).sessions() == crew.clicks.expected


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_workers_that_join_freeze_wake_leave_and_die_lose_nothing_and_double_nothing(broker, tmp_path):
    dice = random.Random(3)
    with Crew(broker, tmp_path) as crew:
        crew.hire()
        crew.until(crew.rows)
        for _ in range(4):
            second = crew.hire()
            time.sleep(dice.uniform(4, 12))
            crew.signal(second, signal.SIGSTOP)  # for longer than its session
            time.sleep(dice.uniform(12, 16))
            third = crew.hire()
            crew.signal(second, signal.SIGCONT)
            time.sleep(dice.uniform(1, 8))
            crew.kill(dice.choice([second, third]))
        crew.stop_load_and_settle()

        assert shown(broker).sessions() == crew.clicks.expected


def memory_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


LONG = pytest.param(1_000_000, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])


@pytest.mark.parametrize("n", [60_000, LONG])
def test_a_blocked_output_stage_does_not_stop_detection(broker, n):
    """A store that never takes anything: the sink's partitions are held, memory is bounded, and the fold counts on."""
    clicks = Clicks(broker, visitors=20_000)
    settings = ShellSettings(linger_s=0.02, checkpoint_s=0.3, inbox_bytes=200_000, max_batch_events=500)

    async def story():
        worker = worker_on(broker, clicks, StuckWriter(), settings)
        async with worker.running():
            await asyncio.to_thread(clicks.make, 40_000)
            await until(lambda: counted(worker) == 40_000 and worker.shells[SINK].inbox.is_held, 120)
            held, size, used_mib = worker.sink.positions(), worker.shells[SINK].inbox.size, []
            for _ in range(10):
                await asyncio.to_thread(clicks.make, n // 10)
                await until(lambda: counted(worker) == clicks.made, 600)
                used_mib.append(memory_mib())
            assert worker.sink.positions() == held
            assert worker.shells[SINK].inbox.size < size + 4_000_000  # what was on its way when it was held
            return max(used_mib[3:]) - max(used_mib[:3])

    assert asyncio.run(story()) < 60
    assert shown(broker).sessions() == clicks.expected


class Blocked(CountingFold):
    """A step that never returns."""

    def step(self, state, batch, watermarks):
        if len(batch):
            threading.Event().wait()
        return super().step(state, batch, watermarks)


@pytest.mark.parametrize("n", [50_000, LONG])
def test_a_stage_whose_step_never_returns_does_not_stop_another_nor_its_take_over(broker, monkeypatch, n):
    monkeypatch.setattr("agents.app.TAKE_OVER_PATIENCE_S", 1.0)
    clicks, others = Clicks(broker), Clicks(broker, "others")
    settings = ShellSettings(linger_s=0.02, checkpoint_s=0.3, inbox_bytes=1_000_000)

    async def story():
        counting = counting_stage(clicks.topic)
        stuck = replace(counting, name="stuck", topic=others.topic, fold=Blocked())
        worker = build_app(Connection(broker.bootstrap, broker.prefix), settings, [counting, stuck], None)
        async with worker.running():
            await asyncio.to_thread(others.make, 20_000)
            await until(lambda: worker.shells["stuck"].inbox.is_held)
            memory = memory_mib()
            await asyncio.to_thread(others.make, n)
            await asyncio.to_thread(clicks.make, 20_000)
            await until(lambda: counted(worker) == 20_000)
            grown_mib = memory_mib() - memory
            # And the group changes meanwhile: a second member comes and goes.
            member, generation = broker.consumer(broker.prefix), worker.app.consumer_generation_id
            member.subscribe([clicks.topic, others.topic])
            async with asyncio.timeout(60):
                while worker.app.consumer_generation_id == generation:
                    await asyncio.to_thread(member.poll, 0.2)
            await asyncio.to_thread(member.close)
            await until(lambda: len(worker.shells["counts"].positions()) == PARTITIONS, 90)
            await asyncio.to_thread(clicks.make, 2_000)
            await until(lambda: counted(worker) == 22_000, 90)
            return grown_mib

    assert asyncio.run(story()) < 100


def test_an_idle_worker_sleeps(broker):
    clicks, writer = Clicks(broker), MemoryWriter()
    clicks.make(2_000)

    async def story():
        worker = worker_on(broker, clicks, writer)
        async with worker.running():
            assert await worker.settled(60)
            began, cpu = time.monotonic(), time.process_time()
            await asyncio.sleep(6)
            return (time.process_time() - cpu) / (time.monotonic() - began)

    assert asyncio.run(story()) < 0.05


def test_a_stop_is_quick_and_clean(broker):
    clicks = Clicks(broker)
    clicks.make(1_000)

    async def story():
        worker = worker_on(broker, clicks, MemoryWriter())
        async with worker.running():
            await until(lambda: worker.folds["counts"].progress.events)
            leaving = time.monotonic()
        return time.monotonic() - leaving

    assert asyncio.run(story()) < 10
