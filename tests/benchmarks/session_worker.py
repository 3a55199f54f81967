"""The worker as it is, with the stage `sessions`, in a process of its own, with a clock beside every part of a step.

Run by the benchmarks of the worker (runs_apart).
"""

import asyncio
import time
from functools import partial

from agents.app import SINK, Connection, build_app
from agents.folding import Folding
from agents.stages import ShellSettings, Stage
from pipeline.decode import Bounds, decode
from pipeline.friction import WEIGHTS
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.signals import SIGNALS
from schemas.contracts import schema
from tests.benchmarks.clicks import SCHEMA_ID
from tests.benchmarks.runs_apart import peak_bytes, say, told

STAGE = "sessions"


class Clocks:
    """Wall time spent in each part of a worker, and when the first and the last event went through."""

    def __init__(self):
        self.spent_s = {}
        self.began_at = self.ended_at = self.began_cpu_s = self.ended_cpu_s = None

    def timed(self, name, work):
        """The same function, watched."""
        self.spent_s.setdefault(name, 0.0)

        def watched(*args, **options):
            began = time.perf_counter()
            try:
                return work(*args, **options)
            finally:
                self.spent_s[name] += time.perf_counter() - began

        return watched

    def watch(self, worker, n_events):
        """Watch a worker that has not begun. Returns the event that says that so many events are applied."""
        shell, fold, done = worker.shells[STAGE], worker.folds[STAGE], asyncio.Event()
        loop = asyncio.get_running_loop()
        put, step = shell.inbox.put, self.timed("steps", fold.step)

        def put_first(run):
            self.spent_s.update(dict.fromkeys(self.spent_s, 0.0))
            self.began_at, self.began_cpu_s = time.perf_counter(), time.process_time()
            shell.inbox.put = put
            put(run)

        def step_until_last(*args):
            step(*args)
            if fold.progress.events >= n_events and self.ended_at is None:
                self.ended_at, self.ended_cpu_s = time.perf_counter(), time.process_time()
                loop.call_soon_threadsafe(done.set)

        shell.inbox.put, fold.step = put_first, step_until_last
        shell._save = self.timed("checkpoints", shell._save)
        return done


class WatchedFold:
    """The sessions fold, watched."""

    def __init__(self, fold, clocks):
        self.family, self.tables, self.empty = fold.family, fold.tables, fold.empty
        self.step = clocks.timed("fold", fold.step)


class Taking:
    """A store that takes everything at once, and keeps nothing."""

    full = False

    def put(self, _table, _rows, done):
        done()


class Stuck:
    """A store that has gone away: it takes one batch, and never says that it has it."""

    full = False

    def put(self, _table, _rows, _done):
        self.full = True


WRITERS = {"none": lambda: None, "taking": Taking, "stuck": Stuck}


def worker_of(asked, clocks):
    signals = tuple(signal for signal in SIGNALS if signal.name in asked.get("signals", WEIGHTS))
    rules = SessionRules(store_events=asked.get("store_events", False), signals=signals)
    fold = WatchedFold(SessionsFold(rules), clocks)
    read = partial(decode, family=fold.family, writers={SCHEMA_ID: schema(fold.family)}, bounds=Bounds())
    stage = Stage(STAGE, asked["topic"], fold, clocks.timed("decode", read))
    settings = ShellSettings(**asked.get("settings", {}))
    return build_app(Connection(asked["bootstrap"], asked["prefix"]), settings, [stage], WRITERS[asked.get("writer", "none")]())


def found_by(clocks, worker):
    fold: Folding = worker.folds[STAGE]
    return {
        "seconds": clocks.ended_at - clocks.began_at,
        "cpu_s": clocks.ended_cpu_s - clocks.began_cpu_s,
        "steps": fold.progress.steps,
        "spent_s": clocks.spent_s,
        "rows": fold.progress.rows,
        "fates": {
            fate: sum(of.get(fate, 0) for of in fold.fates.values()) for fate in ("applied", "duplicate", "rejected", "too_late")
        },
        "n_open": fold._state.n_open,
        "peak_bytes_then": peak_bytes(),
    }


async def idle_share(idle_s):
    """CPU time a second of this process, all threads together, while nothing comes."""
    began, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.sleep(idle_s)
    return (time.process_time() - cpu_s) / (time.perf_counter() - began)


async def measured(asked):
    clocks = Clocks()
    worker = worker_of(asked, clocks)
    done = clocks.watch(worker, asked["n_events"])
    async with worker.running():
        await done.wait()
        found = found_by(clocks, worker)
        if SINK in worker.shells:
            found |= {"is_held": worker.shells[SINK].inbox.is_held, "sink_bytes": worker.shells[SINK].inbox.size}
        if asked.get("writer") != "stuck" and asked.get("settles", True):
            assert await worker.settled(120), "the worker does not come to an end"
        if asked.get("idle_s"):
            steps = worker.folds[STAGE].progress.steps
            found["idle_share"] = await idle_share(asked["idle_s"])
            found["idle_steps"] = worker.folds[STAGE].progress.steps - steps
    return found


if __name__ == "__main__":
    say(**asyncio.run(measured(told())))
