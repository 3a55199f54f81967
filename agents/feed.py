"""Simulated events on their way out: to Kafka, as the emitters of a shop would send them, or into a folder.

Time:    the record time of an event is the simulated time of its arrival, not that of the wall. A broker may refuse records that are more
         than an hour ahead of its clock, and forget at once those that are older than its retention
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, get_args

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agents.emitter import Emitter
from agents.event_files import WRITERS, Format, ndjson
from pipeline.simulator.contract import CONTRACT
from pipeline.simulator.simulator import Simulator

SLICE_S = 0.25
"""Wall time of what is sent in one go when the feed is paced."""
SLICE_EVENTS = 20_000
"""About so many events are made in one go when it is not."""


@dataclass(frozen=True)
class Fed:
    """What was handed out."""

    n: int
    """Events, copies among them."""
    seconds: float
    """Wall time that it took."""

    @property
    def per_s(self) -> float:
        """Events a second."""
        return self.n / max(self.seconds, 1e-9)


def to_kafka(
    simulator: Simulator,
    bootstrap: str,
    topic: str,
    schema_id: int,
    *,
    n_events: int | None = None,
    speed: float | None = None,
    librdkafka: Mapping[str, Any] | None = None,
    progress: bool = False,
    stop: threading.Event | None = None,
) -> Fed:
    """Send simulated events to a topic that exists, keyed by visitor.

    Args:
        simulator: Its `start_at` is the simulated time at which the feed begins.
        bootstrap: `host:port` of the broker.
        topic: The clickstream.
        schema_id: What the receiver will look up.
        n_events: Exactly so many; None: for ever.
        speed: Simulated seconds in a second; None: as fast as the broker takes them.
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
    with _until_stopped(stop) as stopped, _shown("events to Kafka", n_events, progress=progress) as show:
        emitter = Emitter(bootstrap, topic, schema_id, librdkafka or {})
        slices = simulator.slices(every, n_events=n_events)
        for events in _paced(slices, stopped) if speed else slices:
            if stopped.is_set():
                break
            emitter.send(events)
            n += events.height
            show(events.height)
        emitter.flush()
    return Fed(n, time.monotonic() - began)


def to_folder(
    simulator: Simulator,
    folder: Path,
    *,
    n_events: int,
    formats: Sequence[Format] = ("ndjson",),
    progress: bool = False,
    stop: threading.Event | None = None,
) -> Fed:
    """Write `clickstream.ndjson` or `.parquet` in order of arrival, and beside them `truth/visits.ndjson` and `truth/frictions.ndjson`.

    The truth has a folder of its own, for it is no event: who reads all events of the folder does not meet it. It tells of the visits that
    have arrived whole. What was there under these names is replaced.

    Raises: ValueError on no format or an unknown one
    """
    if not formats or not set(formats) <= set(get_args(Format)):
        message = f"formats: some of {', '.join(get_args(Format))}, not {', '.join(formats) or 'none'}"
        raise ValueError(message)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    every = timedelta(days=min(1.0, SLICE_EVENTS / max(simulator.events_per_day, 1.0)))
    began, n = time.monotonic(), 0
    with _until_stopped(stop) as stopped, _shown("events to files", n_events, progress=progress) as show, ExitStack() as files:
        write = [WRITERS[name](files, folder / f"clickstream.{name}") for name in formats]
        write_visits, write_frictions = (ndjson(files, folder / "truth" / f"{name}.ndjson") for name in ("visits", "frictions"))
        for chapter in simulator.chapters(every, n_events=n_events):
            if stopped.is_set():
                break
            events = chapter.events.select(CONTRACT.names())
            for write_events in write:
                write_events(events)
            write_visits(chapter.truth)
            write_frictions(chapter.frictions)
            n += events.height
            show(events.height)
    return Fed(n, time.monotonic() - began)


def _paced(slices: Iterator[pl.DataFrame], stopped: threading.Event) -> Iterator[pl.DataFrame]:
    """Each slice when the wall has come to its end; late ones at once, until they have caught up."""
    began = time.monotonic()
    for number, events in enumerate(slices, start=1):
        stopped.wait(max(0.0, began + number * SLICE_S - time.monotonic()))
        yield events


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
