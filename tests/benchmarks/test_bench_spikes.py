"""Spikes of 10,000 segments at one step an interval: time of a step, memory of the state, and what a checkpoint writes after it.

And of a backlog: three days in one step.
"""

import statistics
from dataclasses import replace
from time import perf_counter, process_time

import numpy as np
import polars as pl
import pytest

from pipeline.spike_rules import SpikeRules
from pipeline.spikes import SpikesFold
from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import scaled
from tests.count_rows import MONDAY_MS, CountedShop, heard_rows, segment_rows, watermarks

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

SPAN_MS = 300_000
WARM, MEASURED = 40, 30
MOST_S = 3.0
MOST_OF_BACKLOG_S = 0.004
"""Of a core: what is done for each interval by itself takes twice as much."""


def test_ten_thousand_segments_are_judged_in_a_small_part_of_an_interval():
    n, fold = scaled(10_000, 1_000), SpikesFold(SpikeRules(most_series=20_000))
    state, written = fold.empty(), {}
    seconds, new_bytes, n_whole = [], [], 0
    for step in range(WARM + MEASURED):
        at = MONDAY_MS + step * SPAN_MS
        rows = heard_rows(segment_rows(n, at, seed=step))
        begin = perf_counter()
        state = fold.step(fold.step(state, rows, watermarks(at)).state, rows.clear(), watermarks(at + SPAN_MS)).state
        took = perf_counter() - begin
        pieces = {piece.name: piece for piece in state.pieces(0)}
        fresh = {name: _size(pieces[name].frame()) for name in pieces if name not in written}
        written = {name: size for name, size in written.items() if name in pieces} | fresh
        if step == WARM - 1:
            state = aged(state)
            written = {}
        if step > WARM:
            seconds.append(took)
            new_bytes.append(sum(fresh.values()))
        n_whole = sum(written.values())
    show(
        f"{state.parts[0].n_series:,} series, medians of {MEASURED} intervals of five minutes",
        ("", "median", "most"),
        [
            ("seconds a step", statistics.median(seconds), max(seconds)),
            ("MiB a checkpoint after a step", statistics.median(new_bytes) / MIB, max(new_bytes) / MIB),
            ("MiB of a whole checkpoint", n_whole / MIB, n_whole / MIB),
            ("MiB of state in memory", state.n_bytes / MIB, state.n_bytes / MIB),
        ],
    )
    frames = {piece.name: piece.frame() for piece in state.pieces(0)}
    begin = perf_counter()
    restored = fold.empty().restored(0, frames)
    show("restored", ("", "seconds"), [("whole state", perf_counter() - begin)])
    kept = {piece.name: piece.frame() for piece in restored.pieces(0)}
    series = {name: frame for name, frame in frames.items() if name.startswith("series.")}
    assert all(kept[name].equals(frame, null_equal=True) for name, frame in series.items())
    assert state.parts[0].n_series >= n
    assert statistics.median(seconds) < MOST_S


def test_a_backlog_is_judged_many_intervals_at_once():
    shop, fold = CountedShop(1, countries=(("DE", 0.7), ("FR", 0.3))), SpikesFold()
    days = scaled(3, 1)
    rows = heard_rows([row for _, its in shop.rows(days * 288) for row in its])
    state = fold.step(fold.empty(), rows, watermarks(MONDAY_MS)).state
    begin, used = perf_counter(), process_time()
    state = fold.step(state, rows.clear(), watermarks(MONDAY_MS + (days + 1) * 86_400_000)).state
    took, used = perf_counter() - begin, process_time() - used
    n = len(state.parts[0].series) * days * 288
    show(
        f"{n:,} intervals of {state.parts[0].n_series} series in one step",
        ("", "seconds", "ms an interval"),
        [("by the clock", took, 1e3 * took / n), ("of cores", used, 1e3 * used / n)],
    )
    assert used / n < MOST_OF_BACKLOG_S


def aged(state):
    """As if there had been weeks: every slot of a season and every place of a level is filled."""
    part, rng = state.parts[0], np.random.default_rng(1)
    series = {}
    for family, its in part.series.items():
        arrays = {name: array.copy() for name, array in its.its.items()}
        for name in ("day", "week", "last"):
            arrays[name] = np.where(np.isnan(arrays[name]), rng.normal(0.2, 0.02, arrays[name].shape), arrays[name])
        series[family] = replace(its, its=arrays)
    return replace(state, parts={0: replace(part, series=series)})


def _size(frame: pl.DataFrame) -> int:
    sink = frame.write_ipc(None, compression="lz4")
    return sink.getbuffer().nbytes
