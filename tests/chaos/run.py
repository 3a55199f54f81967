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

from confluent_kafka import KafkaException, TopicPartition

from agents.audit import audit
from agents.child_process import ChildProcess
from agents.kafka_checkpoints import CLAIM_KEY
from agents.manifests import Manifest
from agents.settings_sources import load
from agents.topics import manifests
from agents.topics import passed as passed_topic
from agents.topics import rows as rows_topic
from pipeline.frames import FATE_NAMES
from tests.chaos.figures import Figures
from tests.chaos.standing import differing_letters, differing_views, told_fates
from tests.chaos.traffic import CLICKS, PARTITIONS, Clicks

HOUSE = Path(__file__).parents[2]
TICK_S = 0.05
NAMES = {CLICKS: CLICKS, "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
PATIENCE_S = 240.0
"""How long anything may take before the run is given up."""
SETTLE_S = 30.0
"""How long the views may differ after everything was read and written: there is nothing left to wait for but a last flush."""
SETTINGS = """
[kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
partitions = {partitions}
{topics}
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
{more}
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
        self,
        broker,
        folder,
        store,
        *,
        seed,
        rate,
        at_once=0,
        dsn=None,
        session_s=10.0,
        checkpoint_s=1.0,
        program="agents",
        of=Clicks,
    ):
        """Make the topics. So many records come at once, the others so many a second; `dsn`: how workers reach the store, if not as we do; `of`: what is sent."""
        self.broker, self.store, self.rate, self._at_once = broker, store, rate, at_once
        self.traffic, self.faults = of(seed), {}
        self.log = self.traffic.log
        self.topics = {family: broker.create_topics(NAMES[family], n, retention_ms="-1") for family, n in of.partitions.items()}
        self.topic = self.topics[CLICKS]
        self._program, self._settings_file = program, folder / "settings.toml"
        named = "\n".join(f'{NAMES[family]}_topic = "{topic}"' for family, topic in self.topics.items())
        said = {
            "bootstrap": broker.bootstrap,
            "prefix": broker.prefix,
            "partitions": PARTITIONS,
            "topics": named,
            "more": of.settings,
        }
        stores = {"dsn": dsn or store.dsn, "database": store.database}
        times = {"session_ms": round(session_s * 1_000), "checkpoint_s": checkpoint_s}
        self._settings_file.write_text(SETTINGS.format(**said, **stores, **times))
        self.settings = load(self._settings_file)
        self._workers, self._names = {}, 0
        self._records, self._stop = self.traffic.records(), threading.Event()
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
                self._producer.produce(self.topics[record.family], record.value, record.key, record.partition, timestamp=at_ms)
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
        """Send the last there is, and wait until all of it is read, and what came of it is in the store."""
        self._stop.set()
        self._loading.join()
        for last_ones in self.traffic.endings():
            for record in last_ones:
                self._send(record)
            self.until(lambda: not self._producer.flush(1.0), "the broker has everything")
            self.caught_up()
        assert not self._not_delivered, self._not_delivered
        assert self._delivered == sum(self.log.sent.values())
        assert {family: self.broker.end_offsets(topic) for family, topic in self.topics.items()} == self._sent()

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
        """Clicks by partition."""
        return self._sent()[CLICKS]

    def _sent(self):
        return {family: [self.log.sent[family, at] for at in range(n)] for family, n in self.traffic.partitions.items()}

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
        for family, ends in self._sent().items():
            self._read(self.topics[family], ends)
        for passed in self.traffic.passed:
            self._read(passed_topic(self.broker.prefix, passed))
        self._read(rows_topic(self.broker.prefix))
        if fault is not None:
            self.faults.setdefault(fault, []).append(time.monotonic() - since)

    def _read(self, topic, ends=None):
        """Wait until all up to these offsets is in a checkpoint; None: all there is now."""
        ends = self.broker.end_offsets(topic) if ends is None else ends
        self.until(
            lambda: all(at >= end for at, end in zip(self.committed(topic, len(ends)), ends, strict=True)),
            f"all of {topic} up to {ends} is read",
        )

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
        right, (fates, letters) = self.traffic.tables(self.settings), self.traffic.fates(self.settings)
        until = time.monotonic() + SETTLE_S
        while (wrong := self.differences(right, letters)) and time.monotonic() < until:
            time.sleep(1.0)
        books = audit(self.settings, recount=True)
        told = told_fates(self.settings, books, self.traffic.behind)
        found = {fate: sum(n for (_, _, of), n in told.items() if of == fate) for fate in FATE_NAMES}
        sent = sum(self.log.sent.values())
        figures = Figures.of(what, self.broker.kind, sent, found, wrong, self.faults)
        figures.tell()
        assert told == fates
        assert sent == sum(found.values())
        assert [account.wrong for account in books] == [()] * len(books)
        recounted = {(account.topic, account.partition): account.recounted for account in books}
        assert recounted == {(self.topics[family], at): n for family, of in self._sent().items() for at, n in enumerate(of)}
        return wrong

    def differences(self, right, letters):
        """A line for everything in which the views differ from the oracle."""
        return differing_views(self.store, right) + differing_letters(self.store, {(self.topics[of], *at) for of, *at in letters})
