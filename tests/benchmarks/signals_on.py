"""The sessions fold with no signals, with four and with all of them, step by step in turn, over the same events.

Twice: over made-up events that hit many open sessions (open_sessions), and over the simulated shop, whose events are of all kinds.

Run by the benchmark of signals (runs_apart).
"""

import time
from dataclasses import replace

import polars as pl

from pipeline import frames
from pipeline.events import event_schema
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.signals import SIGNALS
from tests.benchmarks.clicks import clicks
from tests.benchmarks.open_sessions import EVENTS, Shop, bytes_a_session
from tests.benchmarks.runs_apart import say, told

FOUR = ("rage_click", "form_error_loop", "slow_page", "page_error")
ON = {"none": (), "four": tuple(signal for signal in SIGNALS if signal.name in FOUR), "all": SIGNALS}
RULES = {name: replace(SessionRules(), signals=signals) for name, signals in ON.items()}


def over_open_sessions(n, steps):
    """Seconds of wall and CPU of each step, and bytes of state a session."""
    shops = {name: Shop(n, rules) for name, rules in RULES.items()}
    took = {name: [] for name in shops}
    for _ in range(steps):
        for name, shop in shops.items():
            took[name].append(shop.step(shop.next_batch()))
    return took, {name: bytes_a_session(shop.state, shop.state.n_open) for name, shop in shops.items()}


def over_simulated(n):
    """Seconds of wall and CPU of each step, and how often each signal fired."""
    position = [pl.lit(0, pl.Int32).alias("partition"), pl.int_range(n, dtype=pl.Int64).alias("offset"), "record_at"]
    events = clicks(n).select(*event_schema("clickstream"), *position)
    folds = {name: SessionsFold(rules) for name, rules in RULES.items()}
    states = {name: (fold.empty(), frames.WATERMARKS.to_frame()) for name, fold in folds.items()}
    took = {name: [] for name in folds}
    for batch in events.iter_slices(EVENTS):
        for name, fold in folds.items():
            began, cpu_s = time.perf_counter(), time.process_time()
            done = fold.step(states[name][0], batch, states[name][1])
            took[name].append((time.perf_counter() - began, time.process_time() - cpu_s))
            states[name] = done.state, done.watermarks
    return took, states["all"][0].fired.height


def measured(n, steps, n_simulated):
    open_took, kept = over_open_sessions(n, steps)
    simulated_took, n_fired = over_simulated(n_simulated)
    return {"events": EVENTS, "open": open_took, "simulated": simulated_took, "kept": kept, "n_fired": n_fired}


if __name__ == "__main__":
    say(**measured(**told()))
