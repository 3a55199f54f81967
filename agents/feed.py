"""Simulated events of all families on their way out: to Kafka, as the emitters of a shop would send them, or into a folder.

Time:    the record time of an event is the simulated time of its arrival, not that of the wall. A broker may refuse records that are more
         than an hour ahead of its clock, and forget at once those that are older than its retention
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, get_args

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agents.emitter import Emitter
from agents.event_files import WRITERS, Format, Write, ndjson
from pipeline.simulator.entries import contract_of
from pipeline.simulator.simulator import Simulated, Simulator

_Slice = TypeVar("_Slice")

SLICE_S = 0.25
"""Wall time of what is sent in one go when the feed is paced."""
SLICE_EVENTS = 20_000
"""About so many events are made in one go when it is not."""


FRAMES: Mapping[str, str] = {"clickstream": "events", "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
"""Family -> its frame in what the simulator tells."""
TRUTHS: Mapping[str, str] = {
    "visits": "truth",
    "frictions": "frictions",
    "cases": "cases",
    "incidents": "incidents",
    "contacts": "contacts",
    "customers": "customers",
}
"""Name of a file of truth -> its frame."""


@dataclass(frozen=True)
class Outlet:
    """Where events of one family go."""

    topic: str
    schema_id: int
    """What the receiver will look up."""


@dataclass(frozen=True)
class Fed:
    """What was handed out."""

    n: int
    """Events of the clickstream, copies among them."""
    seconds: float
    """Wall time that it took."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Family -> its events, of those that went out beside the clickstream."""

    @property
    def per_s(self) -> float:
        """Events a second, of all families."""
        return (self.n + sum(self.others.values())) / max(self.seconds, 1e-9)


def to_kafka(
    simulator: Simulator,
    bootstrap: str,
    topic: str,
    schema_id: int,
    *,
    others: Mapping[str, Outlet] | None = None,
    n_events: int | None = None,
    speed: float | None = None,
    truth: Path | None = None,
    librdkafka: Mapping[str, Any] | None = None,
    progress: bool = False,
    stop: threading.Event | None = None,
) -> Fed:
    """Send simulated events to topics that exist, keyed as the contract says.

    Args:
        simulator: Its `start_at` is the simulated time at which the feed begins.
        bootstrap: `host:port` of the broker.
        topic: The clickstream.
        schema_id: What the receiver will look up.
        others: Where the other families go; what is not named is not sent.
        n_events: Exactly so many of the clickstream, and of the others what arrived meanwhile; None: for ever.
        speed: Simulated seconds in a second; None: as fast as the broker takes them.
        truth: A file for the truth, as lines of JSON whose `truth` says what they are of.
        librdkafka: Settings of the client as they are, for security.
        progress: Show how far it is, on standard error, if that is a terminal.
        stop: Ends the feed when it is set; None: SIGINT and SIGTERM do.

    **Delivery:** exactly once and in order within a partition, on all replicas, also when it is stopped; what is not delivered is an error.

    Raises: ValueError on a speed that is none; NotDelivered if the topic is not there, or refused an event for good
    """
    if speed is not None and not speed > 0:
        message = f"speed: simulated time goes on, so it is above 0, not {speed}"
        raise ValueError(message)
    every = (
        timedelta(seconds=SLICE_S * speed) if speed else timedelta(days=min(1.0, SLICE_EVENTS / max(simulator.events_per_day, 1.0)))
    )
    began, n = time.monotonic(), 0
    sent = dict.fromkeys(others or {}, 0)
    with (
        _until_stopped(stop) as stopped,
        _shown("events to Kafka", n_events, progress=progress) as show,
        ExitStack() as files,
    ):
        emitters = {"clickstream": Emitter(bootstrap, topic, schema_id, librdkafka or {})}
        for family, outlet in (others or {}).items():
            emitters[family] = Emitter(bootstrap, outlet.topic, outlet.schema_id, librdkafka or {}, family=family)
        write_truth = None if truth is None else ndjson(files, truth)
        chapters = simulator.chapters(every, n_events=n_events)
        for chapter in _paced(chapters, stopped) if speed else chapters:
            if stopped.is_set():
                break
            for family, emitter in emitters.items():
                emitter.send(getattr(chapter, FRAMES[family]))
            if write_truth is not None:
                _tell(chapter, write_truth)
            for family in sent:
                sent[family] += getattr(chapter, FRAMES[family]).height
            n += chapter.events.height
            show(chapter.events.height)
        for emitter in emitters.values():
            emitter.flush()
    return Fed(n, time.monotonic() - began, sent)


def _tell(chapter: Simulated, write: Write) -> None:
    """Write all truth of a chapter as lines that say what they are of."""
    for name, frame in TRUTHS.items():
        rows = getattr(chapter, frame)
        if rows.height:
            write(rows.select(pl.lit(name).alias("truth"), pl.all()))


def to_folder(
    simulator: Simulator,
    folder: Path,
    *,
    n_events: int,
    formats: Sequence[Format] = ("ndjson",),
    truth: Path | None = None,
    progress: bool = False,
    stop: threading.Event | None = None,
) -> Fed:
    """Write `clickstream.ndjson` or `.parquet`, `order`, `delivery`, `ticket` likewise, in order of arrival, and beside them the folder `truth`.

    So many events of the clickstream, and all that follows from the visits that have arrived whole: orders until they are over, weeks later. The
    truth has a folder of its own, for it is no event: who reads all events of the folder does not meet it; `truth` names a file that gets all of it
    as well. What was there under these names is replaced.

    Raises: ValueError on no format or an unknown one
    """
    if not formats or not set(formats) <= set(get_args(Format)):
        message = f"formats: some of {', '.join(get_args(Format))}, not {', '.join(formats) or 'none'}"
        raise ValueError(message)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    every = timedelta(days=min(1.0, SLICE_EVENTS / max(simulator.events_per_day, 1.0)))
    began, sent = time.monotonic(), dict.fromkeys(FRAMES, 0)
    with _until_stopped(stop) as stopped, _shown("events to files", n_events, progress=progress) as show, ExitStack() as files:
        write = {family: [WRITERS[name](files, folder / f"{family}.{name}") for name in formats] for family in FRAMES}
        write_truths = {name: ndjson(files, folder / "truth" / f"{name}.ndjson") for name in TRUTHS}
        write_truth = None if truth is None else ndjson(files, truth)
        for chapter in simulator.chapters(every, n_events=n_events, whole=True):
            if stopped.is_set():
                break
            for family, frame in FRAMES.items():
                events = getattr(chapter, frame).select(contract_of(family).names())
                for write_events in write[family]:
                    write_events(events)
                sent[family] += events.height
            for name, frame in TRUTHS.items():
                write_truths[name](getattr(chapter, frame))
            if write_truth is not None:
                _tell(chapter, write_truth)
            show(chapter.events.height)
    return Fed(sent.pop("clickstream"), time.monotonic() - began, sent)


def _paced(slices: Iterator[_Slice], stopped: threading.Event) -> Iterator[_Slice]:
    """Each slice when the wall has come to its end; late ones at once, until they have caught up."""
    began = time.monotonic()
    for number, chapter in enumerate(slices, start=1):
        stopped.wait(max(0.0, began + number * SLICE_S - time.monotonic()))
        yield chapter


@contextmanager
def _until_stopped(stop: threading.Event | None) -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into an event, if nobody else does; the second is what it always was."""
    if stop is not None:
        yield stop
        return
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, ask)
    try:
        yield stopped
    finally:
        restore()


@contextmanager
def _shown(what: str, n_events: int | None, *, progress: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is moved on by so many events."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task(what, total=n_events)
        yield lambda n: bar.advance(task, n)
