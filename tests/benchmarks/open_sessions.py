"""The sessions fold over states of several sizes, step by step in turn, all with the same mix of events.

A step is of 20,000 events: nearly all hit sessions that are open, three events each, and some begin new ones. The visitors hit are never drawn
twice in one step, so that a step touches as many sessions in a small state as in a large one. Ids have 36 characters.

Run by the benchmark of the fold (runs_apart).
"""

import time
from datetime import timedelta

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline import frames
from pipeline.events import POSITION, event_schema
from pipeline.keyed_rows import KeyedRows
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from tests.benchmarks.clicks import clicks
from tests.benchmarks.runs_apart import peak_bytes, say, told

RULES = SessionRules()
BEGAN_MS = 1_767_600_000_000
STEP_MS = 2_000
"""Event time of a step: at 10,000 events a second about a million sessions are open."""
EVENTS, HITS, NEW = 20_000, 3, 134
"""Of a step; of each session that it touches; sessions that begin in it."""
PRELOADED = 100_000
"""Sessions that begin in one step before anything is measured."""
RENEWED, RENEWED_BELOW = 3, 100_000
"""After so many steps a state of less than so many sessions is made anew: hit again and again, they would soon have more clicks to look back at."""
TYPES = {"page_view": 0.5, "view_item": 0.3, "click": 0.17, "add_to_cart": 0.03}
PAGES = pl.Series([f"/shoes/{number}" for number in range(1_000)])
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def ids(n, seed):
    """So many ids of 36 characters, in the shape of a UUID."""
    letters = HEX[np.random.default_rng(seed).integers(0, 16, (n, 36), dtype=np.uint8)]
    letters[:, [8, 13, 18, 23]] = ord("-")
    offsets = pa.py_buffer(np.arange(0, 36 * n + 1, 36, dtype=np.int64))
    return pl.Series(pa.LargeStringArray.from_buffers(n, offsets, pa.py_buffer(letters)))


class Shop:
    """A state with so many open sessions, and what happens in it next."""

    def __init__(self, n, rules=RULES):
        self.n, self.next_seed, self.at_ms = n, n, BEGAN_MS
        self.visitors, self.sessions = ids(n, self.seed()), ids(n, self.seed())
        self.fold = SessionsFold(rules)
        self.state, self.watermarks = self.fold.empty(), frames.WATERMARKS.to_frame()
        order = np.random.default_rng(self.seed()).permutation(n)
        for begin in range(0, n, PRELOADED):
            who = order[begin : begin + PRELOADED]
            self.step(self.batch(self.visitors.gather(who), self.sessions.gather(who), ["page_view"] * len(who), "home"))
            self.step(self.batch(self.visitors.gather(who), self.sessions.gather(who), ["view_item"] * len(who), "product"))

    def seed(self):
        self.next_seed += 1
        return self.next_seed

    def next_batch(self):
        """What a step reads."""
        rng = np.random.default_rng(self.seed())
        who = np.repeat(rng.choice(self.n, EVENTS // HITS + 1 - NEW, replace=False), HITS)[: EVENTS - NEW * HITS]
        rng.shuffle(who)
        fresh = [ids(NEW, self.seed()).gather(np.repeat(np.arange(NEW), HITS)) for _ in range(2)]
        types = pl.Series(list(TYPES)).gather(rng.choice(len(TYPES), EVENTS, p=list(TYPES.values()))).to_list()
        visitors, sessions = (
            pl.concat([known.gather(who), new]) for known, new in zip((self.visitors, self.sessions), fresh, strict=True)
        )
        return self.batch(visitors, sessions, types, "product")

    def batch(self, visitors, sessions, types, page_type):
        rng, n = np.random.default_rng(self.seed()), len(visitors)
        event_at = pl.Series(np.sort(rng.integers(self.at_ms, self.at_ms + STEP_MS, n))).cast(frames.TIME)
        self.at_ms += STEP_MS
        said = {
            "event_id": ids(n, self.seed()), "event_type": types, "event_at": event_at, "visitor_id": visitors, "session_id": sessions,
            "page": PAGES.gather(rng.integers(0, len(PAGES), n)),
        }  # fmt: skip
        always = {
            "site": "shop", "page_type": page_type, "device": "mobile", "browser": "chrome", "os": "android", "country": "DE",
            "app_version": "1.2.3", "acquisition_channel": "direct",
        }  # fmt: skip
        events = pl.DataFrame(said).with_columns(pl.lit(value).alias(name) for name, value in always.items())
        contract = event_schema("clickstream")
        absent = [pl.lit(None, dtype).alias(name) for name, dtype in contract.items() if name not in events.columns]
        position = [pl.lit(0).alias("partition"), pl.int_range(pl.len()).alias("offset"), pl.col("event_at").alias("record_at")]
        return events.with_columns(*absent, *position).select(
            pl.col(name).cast(dtype) for name, dtype in {**contract, **POSITION}.items()
        )

    def step(self, batch):
        """Seconds of wall and of CPU."""
        began, cpu_s = time.perf_counter(), time.process_time()
        done = self.fold.step(self.state, batch, self.watermarks)
        took = time.perf_counter() - began, time.process_time() - cpu_s
        self.state, self.watermarks = done.state, done.watermarks
        assert done.fates["n"].sum() == batch.height
        assert done.fates["fate"].to_list() == ["applied"]
        return took

    def sweep(self):
        """A step in which everything is looked at for what can be forgotten: one in ten minutes of event time."""
        self.at_ms += timedelta(minutes=10) // timedelta(milliseconds=1)
        return self.step(self.next_batch())


def bytes_a_session(state, n):
    """Frame -> rows, Arrow bytes as a checkpoint takes them, and bytes in memory, all a session."""
    kept = {name: table.frame() for name, table in vars(state).items() if isinstance(table, KeyedRows)}
    kept |= {"ids": pl.concat([piece.frame() for piece in state.ids.pieces(0)]), "rollups": state.rollups.counts.frame()}
    arrow = {name: frame.to_arrow(compat_level=pl.CompatLevel.oldest()).nbytes / n for name, frame in kept.items()}
    return {name: (frame.height / n, arrow[name], frame.estimated_size() / n) for name, frame in kept.items()}


def simulated(n):
    """The state after so many events of the simulated shop, whose visitors do whatever visitors do; and how many sessions it holds."""
    position = [pl.lit(0, pl.Int32).alias("partition"), pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"), "record_at"]
    events = clicks(n).select(*event_schema("clickstream"), *position)
    fold, watermarks = SessionsFold(RULES), frames.WATERMARKS.to_frame()
    state = fold.empty()
    for batch in events.iter_slices(EVENTS):
        done = fold.step(state, batch, watermarks)
        state, watermarks = done.state, done.watermarks
    return state, state.parts.height


def measured(sizes, rounds, steps, n_simulated):
    shops = [Shop(n) for n in sizes]
    took = [[[] for _ in range(rounds)] for _ in shops]
    for step in range(rounds * steps):
        shops = [Shop(n) if n < RENEWED_BELOW and step % RENEWED == 0 else shop for n, shop in zip(sizes, shops, strict=True)]
        batches = [shop.next_batch() for shop in shops]
        for of_size, shop, batch in zip(took, shops, batches, strict=True):
            of_size[step // steps].append(shop.step(batch))
    largest = shops[-1].state
    found = {"events": EVENTS, "took": took, "n_open": largest.n_open, "kept": bytes_a_session(largest, largest.n_open)}
    found |= {"sweep_s": [shop.sweep()[0] for shop in shops], "peak_bytes_then": peak_bytes()}
    del shops, largest
    state, n = simulated(n_simulated)
    return {**found, "n_simulated": n, "kept_simulated": bytes_a_session(state, n)}


if __name__ == "__main__":
    say(**measured(**told()))
