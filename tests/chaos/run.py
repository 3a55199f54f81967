"""A chaos run: clicks onto a topic at a steady rate, workers in processes of their own, a store behind a link; and in the end the account of it.

Nobody but the worker that users run is tested here: `ebbtide worker`, with a settings file.
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
from confluent_kafka import KafkaException, TopicPartition

from agents.audit import audit
from agents.child_process import ChildProcess
from agents.kafka_checkpoints import CLAIM_KEY
from agents.manifests import Manifest
from agents.settings_sources import load
from agents.topics import manifests
from agents.topics import rows as rows_topic
from pipeline.frames import FATE_NAMES, TABLES
from tests.chaos.figures import Figures
from tests.chaos.traffic import PARTITIONS, Log, last_ones, records
from tests.embedded.test_end_to_end import stored
from tests.views import counted, differences

HOUSE = Path(__file__).parents[2]
TICK_S = 0.05
PATIENCE_S = 240.0
"""How long anything may take before the run is given up."""
SETTLE_S = 30.0
"""How long the views may differ after everything was read and written: there is nothing left to wait for but a last flush."""
SETTINGS = """
[kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
partitions = {partitions}
clickstream_topic = "{topic}"
librdkafka = {{ "session.timeout.ms" = "{session_ms}", "heartbeat.interval.ms" = "500" }}
[clickhouse]
dsn = "{dsn}"
database = "{database}"
batch_age_s = 0.2
buffer_bytes = 8388608
[store]
events = true
[worker]
checkpoint_s = {checkpoint_s}
[telemetry]
listen = ""
"""


def program_of(child: ChildProcess) -> int:
    """Process id of what runs below the shells that guard it."""
    found, looked_at = [], [child._guard.pid]
    while looked_at:
        pid = looked_at.pop()
        with suppress(FileNotFoundError):
            below = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            looked_at += below
            found += [one for one in below if Path(f"/proc/{one}/comm").read_text().strip() not in {"sh", "dash", "bash", "cat"}]
    (program,) = found
    return program


def freeze(program, seconds):
    """Stop a process, and let it go on after so long."""
    os.kill(program, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(program, signal.SIGCONT)


class Run:
    """One run. Use it as a context; whatever it started ends with it."""

    def __init__(
        self, broker, folder, store, *, seed, rate, at_once=0, dsn=None, session_s=10.0, checkpoint_s=1.0, program="agents"
    ):
        """Make the topic. So many records come at once, the others so many a second; `dsn`: how workers reach the store, if not as we do."""
        self.broker, self.store, self.rate, self._at_once = broker, store, rate, at_once
        self.topic = broker.create_topics("clickstream", PARTITIONS, retention_ms="-1")
        self.log, self.faults = Log(), {}
        self._program, self._settings_file = program, folder / "settings.toml"
        said = {"bootstrap": broker.bootstrap, "prefix": broker.prefix, "partitions": PARTITIONS, "topic": self.topic}
        stores = {"dsn": dsn or store.dsn, "database": store.database}
        times = {"session_ms": round(session_s * 1_000), "checkpoint_s": checkpoint_s}
        self._settings_file.write_text(SETTINGS.format(**said, **stores, **times))
        self.settings = load(self._settings_file)
        self._workers, self._names = {}, 0
        self._records, self._stop = records(seed), threading.Event()
        self._not_delivered, self._delivered = [], 0
        sending = {"enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 20}
        self._producer = broker.producer({**sending, "on_delivery": self._told})
        self._group = broker.consumer(broker.prefix)
        self._loading = threading.Thread(target=self._load)

    def __enter__(self):
        self._loading.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        self._loading.join()
        for worker in self._workers.values():
            worker.kill()
        self._group.close()
        del self._producer

    # The load ---------------------------------------------------------------------------------------------------------------

    def _told(self, error, _message):
        if error:
            self._not_delivered.append(error)
        self._delivered += 1

    def _send(self, record):
        at_ms = round(record.record_at.timestamp() * 1_000)
        while True:
            try:
                self._producer.produce(self.topic, record.value, record.key, record.partition, timestamp=at_ms)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        self.log.take(record)

    def _load(self):
        began, sent = time.monotonic(), 0
        while not self._stop.wait(TICK_S):
            while sent < self._at_once + self.rate * (time.monotonic() - began) and not self._stop.is_set():
                self._send(next(self._records))
                sent += 1
            self._producer.poll(0)

    def finish_load(self):
        """Send the last there is, and wait until the broker has all of it."""
        self._stop.set()
        self._loading.join()
        for record in last_ones():
            self._send(record)
        self.until(lambda: not self._producer.flush(1.0), "the broker has everything")
        assert not self._not_delivered, self._not_delivered
        assert self._delivered == sum(self.log.sent.values())
        assert self.broker.end_offsets(self.topic) == [self.log.sent[partition] for partition in range(PARTITIONS)]

    # Workers ----------------------------------------------------------------------------------------------------------------

    def hire(self, **environment):
        """Start a worker; returns its name."""
        name = f"worker-{self._names}"
        self._names += 1
        kept = {key: value for key, value in os.environ.items() if not key.startswith("EBBTIDE_")}
        command = [sys.executable, "-m", self._program, "worker", "--settings", str(self._settings_file)]
        self._workers[name] = ChildProcess(command, env={**kept, "PYTHONPATH": str(HOUSE), **environment})
        return name

    def join(self):
        """Start a worker, and wait until the group has it; returns its name."""
        before = self._members()
        name = self.hire()
        self.until(lambda: self._members() - before, f"{name} has joined")
        return name

    def _members(self):
        (described,) = self.broker.admin.describe_consumer_groups([self.broker.prefix], request_timeout=20).values()
        try:
            return {member.member_id for member in described.result().members}
        except KafkaException:  # there is no such group yet
            return set()

    def kill(self, name):
        """End a worker in the middle of whatever it does."""
        os.kill(program_of(self._workers[name]), signal.SIGKILL)
        self._workers.pop(name).kill()

    def kill_all(self):
        """End them all."""
        for name in list(self._workers):
            self.kill(name)

    def leave(self, name):
        """Let a worker go as it would like to."""
        worker = self._workers.pop(name)
        worker._guard.terminate()
        assert worker._guard.wait(PATIENCE_S) == 0, worker.printed()
        worker.kill()

    def program(self, name):
        """Process id of a worker."""
        return program_of(self._workers[name])

    def printed(self):
        """What the workers have to say, for who has to find out what went wrong."""
        return {name: worker.printed() for name, worker in self._workers.items()}

    # What is so -------------------------------------------------------------------------------------------------------------

    def until(self, condition, what, timeout_s=PATIENCE_S):
        """Wait; nobody may end by itself meanwhile."""
        until = time.monotonic() + timeout_s
        while not condition():
            for name, worker in self._workers.items():
                assert worker.exit_code is None, f"{name} ended with {worker.exit_code}: {worker.printed()}"
            assert time.monotonic() < until, f"after {timeout_s:.0f} s it is not so that {what}: {self.printed()}"
            time.sleep(0.25)

    def committed(self, topic, n):
        """How far the group has told that it is."""
        try:
            asked = self._group.committed([TopicPartition(topic, partition) for partition in range(n)], timeout=5)
        except KafkaException:
            return [-1] * n
        return [at.offset for at in asked]

    def are_read(self, ends):
        """Whether all up to these offsets is in a checkpoint."""
        return all(at >= end for at, end in zip(self.committed(self.topic, PARTITIONS), ends, strict=True))

    def sent_so_far(self):
        """By partition."""
        return [self.log.sent[partition] for partition in range(PARTITIONS)]

    def working(self, seconds=0.0):
        """Wait until the workers have got on, and then for so long."""
        ends = [at + 1 for at in self.committed(self.topic, PARTITIONS)]
        self.until(
            lambda: any(at >= end for at, end in zip(self.committed(self.topic, PARTITIONS), ends, strict=True)), "they work"
        )
        time.sleep(seconds)

    def caught_up(self, fault=None, since=None):
        """Wait until all that had been sent by now is read, and what came of it is in the store. Noted as the seconds that a fault cost."""
        since = time.monotonic() if since is None else since
        ends = self.sent_so_far()
        self.until(lambda: self.are_read(ends), f"all up to {ends} is read")
        rows = rows_topic(self.broker.prefix)
        said = self.broker.end_offsets(rows)
        self.until(
            lambda: all(at >= end for at, end in zip(self.committed(rows, len(said)), said, strict=True)), "all rows are written"
        )
        if fault is not None:
            self.faults.setdefault(fault, []).append(time.monotonic() - since)

    def largest_state(self):
        """Bytes and chunks that the newest checkpoint of a partition names, of the largest."""
        sizes = {}
        for message in self.broker.read(manifests(self.broker.prefix, "sessions")):
            if message.key() != CLAIM_KEY and message.value() is not None:
                pieces = Manifest.from_json(message.value()).pieces
                sizes[message.partition()] = sum(piece.n_bytes for piece in pieces), sum(len(piece.offsets) for piece in pieces)
        return max(sizes.values())

    # The account ------------------------------------------------------------------------------------------------------------

    def account(self, what):
        """End the load, wait until all is written, and compare everything with the oracle."""
        self.finish_load()
        self.caught_up()
        rules = self.settings.session_rules()
        right, (fates, letters) = self.log.tables(rules), self.log.fates(rules)
        until = time.monotonic() + SETTLE_S
        while (wrong := self.differences(right, letters)) and time.monotonic() < until:
            time.sleep(1.0)
        books = audit(self.settings, recount=True)
        found = {fate: sum(account.fates.get(fate, 0) for account in books) for fate in FATE_NAMES}
        figures = Figures.of(what, self.broker.kind, sum(self.log.sent.values()), found, wrong, self.faults)
        figures.tell()
        told = {(account.partition, fate): n for account in books for fate in FATE_NAMES if (n := account.fates.get(fate, 0))}
        assert told == dict(fates)
        assert figures.sent == sum(found.values())
        assert [account.wrong for account in books] == [()] * PARTITIONS
        assert [account.recounted for account in books] == self.sent_so_far()
        return wrong

    def differences(self, right, letters):
        """A line for everything in which the views differ from the oracle."""
        names = [name for name in TABLES if name != "dead_letters"]
        shown = {name: stored(self.store, name) for name in names}
        lines = differences(counted(shown), right)
        for name in names:
            n = self.store.query(f"SELECT count() AS n FROM {name}_now")["n"].item()
            if n != shown[name].height:
                lines.append(f"{name}_now shows {n} rows, not {shown[name].height}")
        found = self.store.query("SELECT `partition`, `offset` FROM dead_letters_now").select(pl.all().cast(pl.Int64)).rows()
        lines += [f"dead_letters {at}: not told" for at in sorted(letters - set(found))]
        lines += [f"dead_letters {at}: told without reason" for at in sorted(set(found) - letters)]
        lines += [f"dead_letters {at}: told twice" for at in {at for at in found if found.count(at) > 1}]
        return lines
