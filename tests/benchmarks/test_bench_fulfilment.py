"""The fold by order: events a second in steps of a few and of many, and what an event takes in memory."""

import time

import polars as pl
import pytest

from pipeline.frames import WATERMARKS
from pipeline.fulfilment import FulfilmentFold
from pipeline.simulator.simulator import simulated
from tests.benchmarks.report import show
from tests.simulated_shop import commerce

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

COPIES, STEPS_OF = 60, (3_000, 20_000)
BYTES = 250
"""Of an event that is kept."""


def test_orders_and_deliveries_a_second():
    log = many(commerce(simulated(5, 200_000)))
    rows = []
    for size in STEPS_OF:
        fold = FulfilmentFold()
        state, reached = fold.empty(), pl.DataFrame({"partition": [0], "watermark": [None]}, schema=WATERMARKS)
        wall, cpu = time.perf_counter(), time.process_time()
        for begin in range(0, log.height, size):
            step = fold.step(state, log[begin : begin + size], reached)
            state, reached = step.state, step.watermarks
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        kept = state.events.n_bytes / state.events.height
        rows.append((f"{size:,}", log.height / wall, log.height / cpu, state.cases.height, kept))
    columns = ("events a step", "events/s", "events/s of CPU", "cases", "bytes an event kept")
    show(f"fold by order, {log.height:,} events of orders and deliveries", columns, rows, f"aim: {BYTES} bytes")
    assert max(row[-1] for row in rows) <= BYTES


def many(log: pl.DataFrame) -> pl.DataFrame:
    """The same shop so many times over, at the same time."""
    ids = ("order_id", "delivery_id", "event_id")
    copies = [log.with_columns(pl.concat_str(name, pl.lit(f"-{n}")).alias(name) for name in ids) for n in range(COPIES)]
    return (
        pl.concat(copies)
        .sort("record_at", maintain_order=True)
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"))
    )
