"""The worker as its settings say, with the stage `sessions` or with all stages, in a process of its own, with a clock beside every part of every stage.

Run by the benchmark of four topics (runs_apart). Nothing writes to ClickHouse.
"""

import asyncio
import time
from dataclasses import replace

from agents import topics
from agents.app import Connection, build_app
from agents.defective_batch import Again
from agents.settings import FulfilmentSettings, KafkaSettings, Settings
from agents.spike_settings import SpikeSettings
from agents.stages import ShellSettings
from agents.worker import _stages
from pipeline.frames import FATE_NAMES
from pipeline.passed import COMMERCE, COUNTS
from tests.benchmarks.runs_apart import peak_bytes, say, told

SETTLED_S = 300
STILL = 1e-6
"""Event time stands where the last event was, or sessions would fall silent for ever."""


class Clocks:
    """Wall time spent in each part of each stage, and when the first and the last record went through."""

    def __init__(self):
        self.spent_s = {}
        self.began = self.ended = None

    def timed(self, stage, part, work):
        """The same function, watched."""
        spent = self.spent_s.setdefault(stage, {})
        spent[part] = 0.0

        def watched(*args, **options):
            began = time.perf_counter()
            try:
                return work(*args, **options)
            finally:
                spent[part] += time.perf_counter() - began

        return watched

    def begins(self, put):
        """Hand over runs; the first of them is the beginning."""

        def watched(run):
            if self.began is None:
                self.began = now()
            put(run)

        return watched


class WatchedFold:
    """A fold, watched: the run is at its end when one was given rows for the last time."""

    def __init__(self, name, fold, clocks):
        self._fold, self._clocks, self.has_read = fold, clocks, False
        self._step = clocks.timed(name, "fold", fold.step)

    def __getattr__(self, name):
        return getattr(self._fold, name)

    def step(self, state, batch, watermarks):
        self.has_read = self.has_read or batch.height > 0
        return self._step(state, batch, watermarks)

    def ends(self, step):
        """A step of the shell around it."""

        def watched(*args):
            self.has_read = False
            step(*args)
            if self.has_read:
                self._clocks.ended = now()

        return watched


def now():
    return time.perf_counter(), time.process_time()


def worker_of(asked, clocks):
    named = {f"{name}_topic": topic for name, topic in asked["topics"].items()}
    kafka = KafkaSettings(bootstrap=asked["bootstrap"], prefix=asked["prefix"], **named)
    # Spikes are judged interval by interval, here 45 days of them: what that costs says test_bench_spikes.
    settings = Settings(kafka=kafka, fulfilment=FulfilmentSettings(enabled=asked["with_all"]), spikes=SpikeSettings(enabled=False))
    stages = []
    for stage in _stages(settings, Again()):
        fold = WatchedFold(stage.name, stage.fold, clocks)
        stages.append(replace(stage, fold=fold, decode=clocks.timed(stage.name, "decode", stage.decode)))
    undivided = frozenset(topics.passed(kafka.prefix, to) for to in (COMMERCE, COUNTS))
    worker = build_app(
        Connection(kafka.bootstrap, kafka.prefix, kafka.partitions, undivided), ShellSettings(time_speed=STILL), stages, None
    )
    for stage in stages:
        shell, folding = worker.shells[stage.name], worker.folds[stage.name]
        folding.step = clocks.timed(stage.name, "step", stage.fold.ends(folding.step))
        shell._save = clocks.timed(stage.name, "checkpoints", shell._save)
        shell.inbox.put = clocks.begins(shell.inbox.put)
    return worker


def applied(worker):
    """Fate -> records, of all that was read."""
    accounts = [of for name, fold in worker.folds.items() for of in (*fold.fates.values(), *fold.origins.values())]
    return {fate: sum(of.get(fate, 0) for of in accounts) for fate in FATE_NAMES}


async def measured(asked):
    clocks = Clocks()
    worker = worker_of(asked, clocks)
    async with worker.running():
        while sum(applied(worker).values()) < asked["n_events"]:  # noqa: ASYNC110 - of other threads
            await asyncio.sleep(0.1)
        assert await worker.settled(SETTLED_S), "the worker does not come to an end"
        (began, began_cpu), (ended, ended_cpu) = clocks.began, clocks.ended
        rows = {}
        for fold in worker.folds.values():
            for table, n in fold.progress.rows.items():
                rows[table] = rows.get(table, 0) + n
        return {
            "seconds": ended - began,
            "cpu_s": ended_cpu - began_cpu,
            "fates": applied(worker),
            "rows": rows,
            "spent_s": clocks.spent_s,
            "steps": {name: fold.progress.steps for name, fold in worker.folds.items()},
            "peak_bytes_then": peak_bytes(),
        }


if __name__ == "__main__":
    say(**asyncio.run(measured(told())))
