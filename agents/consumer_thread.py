"""The one thread that owns the Kafka client: it polls, seeks, commits, pauses and hears of rebalances.

No other thread ever calls the client: such a call waits for a gap between two polls, for seconds or for ever, and some
hold the interpreter's lock meanwhile. Others put commands into a queue. Because fetch and seek are serial here, this
thread knows what a run covers, and writes it down.

**Delivery:** every record after the position of the last seek, in order, once a seek; nothing between an assignment and
the first seek of it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeVar, cast

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from faust.types import TP

from agents.arrivals import Arrivals
from agents.client_answers import log_ends, sorted_out
from agents.defects import end_process
from agents.log_ends import LogEnds
from agents.runs import Run

log = logging.getLogger(__name__)

T = TypeVar("T")

WAKE_S = 2.0
"""How long an answer may take that nobody needs; the client drops the connection of a request that is not answered in time."""


@dataclass(frozen=True)
class Limits:
    """How much the thread takes at a time, and how much may wait."""

    share: int = 8 << 20
    """Bytes of one partition that may wait for Faust; above it the partition is paused."""
    linger_s: float = 0.1
    """How long a poll waits for a full batch, and a command for a poll."""
    batch: int = 2_000
    """Records a poll; small polls are faster (bare: 2.0 M records/s with 1,000, 0.9 M with 100,000)."""
    patience_s: float = 1.0
    """How long a full partition may hold up the others before it is paused: a pause throws away what was prefetched."""


class Listener(Protocol):
    """Who must know of rebalances, in the event loop, and of arrivals, from this thread."""

    def on_generation(self, generation: int) -> None:
        """From the consumer's thread: whatever was handed over before is outdated."""

    def on_arrival(self) -> None:
        """From the consumer's thread: there is something to take."""

    def on_assigned(self, assigned: frozenset[TP], generation: int) -> Coroutine[Any, Any, None]:
        """Hear what is ours now: all of it."""

    def on_revoked(self, revoked: frozenset[TP]) -> Coroutine[Any, Any, None]:
        """Hear what is ours no more: all of it."""

    def schedule(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        """From the consumer's thread: run in the event loop."""


class ConsumerThread:
    """A consumer of a group, whose positions are given from outside."""

    def __init__(self, settings: Mapping[str, Any], listener: Listener, limits: Limits) -> None:
        """Take the settings of librdkafka; nothing is connected before `start`."""
        self.arrivals, self.ends = Arrivals(), LogEnds()
        self.owned: frozenset[TP] = frozenset()
        """What the group says is ours; kept until Faust has finished with a revocation."""
        self.seeks = 0
        """How many seeks have been made."""
        self.generation = 0
        """Grows with every assignment and every revocation; of this process only, librdkafka does not tell the group's."""
        self._settings, self._listener, self._limits = dict(settings), listener, limits
        self._following: dict[TP, int] = {}  # the offset the next record has, or follows; no entry: not sought yet
        self._empty: dict[TP, tuple[int, int]] = {}  # (begin, end): no record, as a fetch found that came to the end
        self._held: set[TP] = set()  # by a stage
        self._over: set[TP] = set()  # more than their share is waiting
        self._paused: set[TP] = set()  # as the client knows it
        self._commands: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._later: list[Callable[[], None]] = []  # seeks asked for during a rebalance
        self._rebalancing = False
        self._closing, self._ended = threading.Event(), threading.Event()
        self._client: Client
        self._thread = threading.Thread(target=self._run, name="kafka-consumer", daemon=True)

    # From any thread ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the client (bad settings raise here) and start to poll."""
        own = {"error_cb": self._on_error, "on_commit": self._on_commit, "stats_cb": self._on_statistics}
        self._client = Client({**self._settings, **own}, logger=log)
        self._thread.start()

    def close(self) -> None:
        """Ask the thread to leave the group and end; does not wait."""
        self._closing.set()
        self.arrivals.taken.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """Do this in the consumer's thread, between two polls."""
        done: Future[T] = Future()
        self._commands.put((done, work))
        if self._ended.is_set():  # nobody will come for it
            done.cancel()
        return done

    def tell(self, work: Callable[[], None]) -> None:
        """Do this in the consumer's thread, and let the caller go on; its failure is a defect."""
        self.call(work).add_done_callback(_end_if_failed)

    def position(self, tp: TP) -> int | None:
        """Offset of the next record to be fetched; None before the first seek."""
        return self._following.get(tp)

    def caught_up(self, tp: TP, position: int) -> bool:
        """Whether `position`, the last offset applied, is all there is, as the broker said a moment ago.

        Never true of a partition that is paused, not sought yet, or whose broker is silent.
        """
        begin, end = self._empty.get(tp, (position + 2, 0))
        if begin <= position + 1 < end:  # the rest holds no record, for example the end of a transaction
            position = end - 1
        return tp in self._following and tp not in self._paused and self.ends.reached(tp, position)

    # Commands: in the consumer's thread, through `call` ---------------------------------------------------------------------

    def subscribe(self, topics: list[str]) -> None:
        """Join the group for these topics."""
        self._client.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def seek(self, offsets: Mapping[TP, int]) -> None:
        """Fetch these partitions from these offsets on; the first seek after an assignment is what starts the fetch.

        Cases: not ours -> ignored | during a rebalance -> done when the poll that told of it is over
        """
        if self._rebalancing:
            # A poll that tells of a rebalance may return records fetched before it. They must find no position: with one
            # they would be taken for what follows it.
            self._later.append(lambda: self.seek(offsets))
            return
        sought = {tp: offset for tp, offset in offsets.items() if tp in self.owned}
        if not sought:
            return
        self.arrivals.forget(sought)
        self._empty = {tp: span for tp, span in self._empty.items() if tp not in sought}
        self._following = {tp: at for tp, at in self._following.items() if tp in self.owned} | sought
        # assign() and not seek(): it is atomic over all partitions, drops what was prefetched, and never answers "Erroneous
        # state" as seek() does while a partition is being looked up.
        self._client.assign([TopicPartition(tp.topic, tp.partition, at) for tp, at in self._following.items()])
        self.seeks += 1
        self._set_pauses(anew=True)

    def commit(self, offsets: Mapping[TP, int]) -> None:
        """Tell the group how far we are, for monitoring; not during a rebalance, which it would answer with another one."""
        mine = [TopicPartition(tp.topic, tp.partition, at) for tp, at in offsets.items() if tp in self._following]
        if mine and not self._rebalancing:
            self._client.commit(offsets=mine, asynchronous=True)

    def hold(self, tps: Collection[TP]) -> None:
        """Stop fetching these until they are released; a hold ends with the assignment."""
        self._held |= self.owned & set(tps)
        self._set_pauses()

    def release(self, tps: Collection[TP]) -> None:
        """Go on fetching these."""
        self._held -= set(tps)
        self._set_pauses()

    def watermark_offsets(self, tps: Collection[TP], timeout_s: float = 10.0) -> dict[TP, tuple[int, int]]:
        """Ask the broker for the first offset and the end of each; blocks the thread meanwhile.

        Of a partition that has not been fetched from yet the embedded broker says too little: where its last batch begins,
        plus one.
        """
        asked = {tp: self._client.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), timeout=timeout_s) for tp in tps}
        silent = [tp for tp, answer in asked.items() if answer is None]
        if silent:
            message = f"no answer within {timeout_s:.0f} s about the offsets of {silent}"
            raise TimeoutError(message)
        return {tp: (first, max(end, self.ends[tp] or 0)) for tp, (first, end) in asked.items()}

    # The loop ---------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._serve()
                self._keep_to_share()
                self._deliver(self._client.consume(self._limits.batch, self._limits.linger_s))
                later, self._later = self._later, []
                for seek in later:
                    seek()
            self._client.close()
        except BaseException as error:  # noqa: BLE001 - without this thread the worker is alive and reads nothing
            end_process(error)
        self._ended.set()
        self._serve(cancel=True)

    def _serve(self, wait_s: float = 0.0, *, cancel: bool = False) -> None:
        """Do what other threads have asked for; wait so long for the first of it."""
        while True:
            try:
                done, work = self._commands.get(timeout=wait_s) if wait_s else self._commands.get_nowait()
            except queue.Empty:
                return
            wait_s = 0.0
            if cancel:
                done.cancel()
            elif done.set_running_or_notify_cancel():  # who waits may have been cancelled when Faust stopped
                try:
                    done.set_result(work())
                except Exception as error:  # noqa: BLE001 - it is the caller's
                    done.set_exception(error)

    def _keep_to_share(self) -> None:
        """Keep memory bounded: wait a little for Faust to take, then pause what is over its share."""
        until = time.monotonic() + self._limits.patience_s
        self._over &= self.arrivals.larger_than(self._limits.share / 2)
        while not self._closing.is_set():
            self.arrivals.taken.clear()
            full = self.arrivals.larger_than(self._limits.share) - self._held - self._over
            if not full or time.monotonic() >= until:
                self._over |= full
                break
            self.arrivals.taken.wait(0.05)
            self._serve()
        self._set_pauses()

    def _set_pauses(self, *, anew: bool = False) -> None:
        """Pause what is held or over its share, of what is being fetched, and nothing else."""
        wanted = (self._held | self._over) & self._following.keys()
        resumed = self._paused & self._following.keys() - wanted
        self._change(self._client.resume, resumed)
        self._change(self._client.pause, wanted if anew else wanted - self._paused)
        was_idle, self._paused = self._paused >= self._following.keys(), wanted
        if resumed and was_idle:
            self._wake_brokers_of(resumed)

    def _wake_brokers_of(self, tps: Collection[TP]) -> None:
        """Make the client fetch these at once: its thread for a broker with nothing to fetch from it sleeps for up to a second, which a resume does not end and a request does.

        Not where anything is being fetched: a request would wait behind that fetch, and the fetch after it has these anyway.
        """
        with suppress(KafkaException):  # then it wakes by itself
            self._client.offsets_for_times([TopicPartition(tp.topic, tp.partition, 0) for tp in tps], timeout=WAKE_S)

    @staticmethod
    def _change(change: Callable[[list[TopicPartition]], None], tps: Collection[TP]) -> None:
        if tps:
            change([TopicPartition(tp.topic, tp.partition) for tp in tps])

    def _deliver(self, messages: list[Message]) -> None:
        """Cut what was fetched into runs, write down what each covers, and hand them over."""
        messages, ends = sorted_out(messages)
        runs: dict[TP, Run] = {}
        for topic, of_topic in groupby(messages, Message.topic):  # the client hands over one partition after the other
            for partition, of_partition in groupby(of_topic, Message.partition):
                tp = TP(cast("str", topic), cast("int", partition))
                if tp in self._following:  # else not ours any more, or not sought yet: nobody could say what it covers
                    run = runs.setdefault(tp, Run(after=self._following[tp] - 1, seeks=self.seeks))
                    run.add(list(of_partition))
        for tp, run in runs.items():
            if cast("int", run[0].offset()) < self._following[tp]:
                message = f"{tp.topic}-{tp.partition}: offset {run[0].offset()} came, {self._following[tp]} or higher had to come"
                raise AssertionError(message)
        self._following |= {tp: run.last + 1 for tp, run in runs.items()}
        self._empty |= {tp: (self._following[tp], end) for tp, end in ends.items() if tp in self._following}
        if not runs:
            return
        cached = {tp: self._client.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), cached=True) for tp in runs}
        self.ends.hear({tp: max(answer[1], self._following[tp]) for tp, answer in cached.items() if answer})
        self.arrivals.put(runs)
        self._listener.on_arrival()

    # What the client tells, inside of a poll --------------------------------------------------------------------------------

    def _on_assign(self, _client: Client, partitions: list[TopicPartition]) -> None:
        # Nothing is fetched before the first seek: the position is the shell's to say, after its take-over. And without any
        # assign() here the client would assign by itself, from the committed offsets.
        self._client.assign([])
        self.owned = frozenset(TP(at.topic, at.partition) for at in partitions)
        with self._rebalance():
            self._wait_for(self._listener.on_assigned(self.owned, self.generation))

    def _on_revoke(self, _client: Client, _partitions: list[TopicPartition]) -> None:
        revoked = self.owned
        self._change(self._client.resume, self._paused & self._following.keys())
        self._client.unassign()
        self._held, self._over, self._paused, self._following = set(), set(), set(), {}
        self.arrivals.forget(revoked)
        self.ends.forget(revoked)
        with self._rebalance():
            self._wait_for(self._listener.on_revoked(revoked))
        self.owned = frozenset()
        self._held.clear()
        self._later.clear()

    @contextmanager
    def _rebalance(self) -> Iterator[None]:
        self.generation += 1
        self._listener.on_generation(self.generation)
        self._rebalancing = True
        yield
        self._rebalancing = False

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Let Faust finish with a rebalance before the group goes on; the client heartbeats meanwhile, we serve commands."""
        if self._closing.is_set():
            work.close()
            return
        done = self._listener.schedule(work)
        while not (done.done() or self._closing.is_set()):
            self._serve(0.02)
        if done.done() and not done.cancelled():
            done.result()

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        log.warning("kafka: %s", error.str())

    @staticmethod
    def _on_commit(error: KafkaError | None, _partitions: list[TopicPartition]) -> None:
        if error is not None:  # they are for monitoring: the next ones will do
            log.info("group offsets not committed: %s", error.str())

    def _on_statistics(self, statistics: str) -> None:
        """Hear where the logs end."""
        self.ends.hear({tp: end for tp, end in log_ends(statistics).items() if tp in self._following})


def _end_if_failed(done: "Future[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        end_process(error)
