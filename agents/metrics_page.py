"""The running worker as metrics: its state is read when somebody asks, so that who works counts nothing twice and locks nothing.

The state belongs to other threads. What they replace is read as it is; what they change in place may change under a reader, who then
reads again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TypeVar

import polars as pl
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from agents import metrics
from agents.alerting import Alerting
from agents.app import SINK, Worker
from agents.folding import Folding
from agents.measures import Histogram
from agents.metrics import Metric
from agents.shell import Shell
from pipeline.frames import FATE_NAMES, PASSED, TABLES
from pipeline.rejects import Reason
from sinks.writer import Writer

T = TypeVar("T")

TRIES = 10
"""A dictionary that grows while it is read is read again so often."""

Row = tuple[tuple[object, ...], float]
"""Values of the labels, and the value."""


class WorkerMetrics(Collector):
    """Reads a worker, and the writer of its sink."""

    def __init__(
        self,
        worker: Worker,
        writer: Writer | None,
        prefix: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take the clocks that the worker has."""
        self._worker, self._writer, self._prefix, self._clock, self._wall = worker, writer, prefix, clock, wall

    def collect(self) -> Iterator[Family]:
        """Every family of `metrics`, in its order."""
        yield _values(metrics.BUILD, [((version("ebbtide"), self._prefix), 1)])
        for metric, read in self._of_folds():
            yield _values(metric, self._every(read))
        for metric, look in self._of_shells():
            yield _values(
                metric, (((name,), value) for name, shell in self._worker.shells.items() if (value := look(shell)) is not None)
            )
        yield from self._histograms()
        yield from self._places()
        yield from self._sink()
        if self._worker.alerting is not None:
            yield from alert_families(self._worker.alerting, self._clock(), self._wall())

    def _every(self, read: Callable[[str, Folding], Iterable[Row]]) -> Iterator[Row]:
        for name, fold in self._worker.folds.items():
            yield from steady(partial(_listed, read, name, fold))

    def _of_folds(self) -> Iterator[tuple[Metric, Callable[[str, Folding], Iterable[Row]]]]:
        yield (
            metrics.RECORDS,
            lambda name, fold: (
                ((name, fold.topic, partition, fate), fold.progress.fates.get((partition, fate), 0))
                for partition in {*fold.positions(), *(partition for partition, _ in tuple(fold.progress.fates))}
                for fate in (*FATE_NAMES, PASSED)
                if fate != PASSED or (partition, fate) in fold.progress.fates
            ),
        )
        yield (
            metrics.LATE,
            lambda name, fold: (
                ((name, fold.topic, partition), n)
                for (partition, fate), n in tuple(fold.progress.fates.items())
                if fate == "n_late"
            ),
        )
        yield (
            metrics.DEAD_LETTERS,
            lambda name, fold: (((name, fold.topic, reason), fold.progress.dead_letters.get(reason, 0)) for reason in Reason),
        )
        yield metrics.OPEN, lambda name, fold: [((name,), fold.n_open)]
        yield metrics.STATE_BYTES, lambda name, fold: [((name,), fold.n_bytes)]
        yield metrics.UNACCOUNTED, lambda name, fold: (((name, fold.topic, at), n) for at, n in fold.unaccounted().items())
        yield (
            metrics.WATERMARK_DELAY,
            lambda name, fold: (
                ((name, fold.topic, partition), self._wall() - ms / 1_000)
                for partition, ms in fold.watermarks.select("partition", pl.col("watermark").cast(pl.Int64)).drop_nulls().rows()
            ),
        )

    def _of_shells(self) -> Iterator[tuple[Metric, Callable[[Shell], float | None]]]:
        now = self._clock()
        assigned = self._worker.group.assignment() if self._worker.has_begun else ()
        yield metrics.TICK_AGE, lambda shell: max(0.0, now - shell.ticked_at) if shell.positions() else None
        yield metrics.CHECKPOINT_AGE, lambda shell: self._checkpoint_age(shell, now)
        yield metrics.ASSIGNED, lambda shell: sum(tp.topic == shell.topic for tp in assigned)
        yield metrics.TAKEN_OVER, lambda shell: len(shell.positions())
        yield metrics.INBOX_BYTES, lambda shell: shell.inbox.size

    @staticmethod
    def _checkpoint_age(shell: Shell, now: float) -> float | None:
        kept_at = shell.measures.kept_at
        if kept_at is None:
            return None
        return max(0.0, now - kept_at) if steady(lambda: shell.work.dirty) else 0.0

    def _histograms(self) -> Iterator[Family]:
        looks: list[tuple[Metric, Callable[[Shell], Histogram]]] = [
            (metrics.BATCH_RECORDS, lambda shell: shell.measures.batch_records),
            (metrics.STEP_SECONDS, lambda shell: shell.measures.step_seconds),
            (metrics.CHECKPOINT_SECONDS, lambda shell: shell.measures.checkpoint_seconds),
        ]
        for metric, look in looks:
            family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            for name, shell in self._worker.shells.items():
                family.add_metric([name], look(shell).cumulative(), look(shell).sum)
            yield family

    def _places(self) -> Iterator[Family]:
        """Of every stage's partitions: how far the log goes on."""
        lags: list[Row] = []
        ages: list[Row] = []
        for name, shell in self._worker.shells.items():
            for tp, position in shell.positions().items():
                heard = self._worker.group.heard(tp)
                if heard is not None:
                    end, age_s = heard
                    behind = 0 if self._worker.group.caught_up(tp, position) else max(0, end - position - 1)
                    lags.append(((name, tp.topic, tp.partition), behind))
                    ages.append(((name, tp.topic, tp.partition), age_s))
        yield _values(metrics.LAG, lags)
        yield _values(metrics.LOG_END_AGE, ages)

    def _sink(self) -> Iterator[Family]:
        worker, writer = self._worker, self._writer
        told = {name: fold.progress.rows for name, fold in worker.folds.items()}
        if worker.sink is not None:
            told[SINK] = worker.sink.progress.rows
        yield _values(metrics.ROWS, (((name, table), n) for name, rows in told.items() for table, n in tuple(rows.items())))
        if worker.sink is not None:
            yield _values(metrics.FENCED, [((), worker.sink.fenced)])
            yield _values(metrics.UNREADABLE, [((), worker.sink.unreadable)])
        if writer is not None:
            waiting = writer.waiting()
            yield _values(metrics.SINK_ROWS, [((), waiting.rows)])
            yield _values(metrics.SINK_BYTES, [((), waiting.size)])
            yield _values(metrics.SINK_AGE, [((), waiting.age_s)])
            yield _values(metrics.SINK_LIMIT, [((), writer.buffer_bytes)])
            yield _values(metrics.REFUSED, (((table,), waiting.refused.get(table, 0)) for table in TABLES))


def alert_families(alerting: Alerting, now: float, wall: float) -> Iterator[Family]:
    """How it goes with alerts and those who are told of them."""
    desk, reached = alerting.delivery.desk, alerting.delivery.reached
    at = datetime.fromtimestamp(wall, UTC)
    yield _values(metrics.ALERTS_OPEN, [((), desk.n_open())])
    yield _values(metrics.ALERTS_WAITING, (((channel.name,), desk.waiting(channel, at)) for channel in desk.channels))
    results = ("delivered", "failed", "refused")
    yield _values(
        metrics.MESSAGES, (((name, result), getattr(each, result)) for name, each in reached.items() for result in results)
    )
    since = {name: each.failing_since for name, each in reached.items()}
    yield _values(metrics.UNREACHED, (((name,), 0.0 if begun is None else now - begun) for name, begun in since.items()))
    ages = {name: each.succeeded_at for name, each in reached.items()}
    yield _values(metrics.REACHED_AGE, (((name,), now - last) for name, last in ages.items() if last is not None))
    yield _values(metrics.GIVEN_UP, [((), desk.given_up)])


def _listed(read: Callable[[str, Folding], Iterable[Row]], name: str, fold: Folding) -> list[Row]:
    return list(read(name, fold))


def _values(metric: Metric, rows: Iterable[Row]) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in rows:
        family.add_metric([str(label) for label in labels], value)
    return family


def steady(read: Callable[[], T]) -> T:
    """What is read, if need be again: a dictionary of another thread may grow meanwhile."""
    for _ in range(TRIES):
        try:
            return read()
        except RuntimeError:  # changed size during iteration
            continue
    return read()
