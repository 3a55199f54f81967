"""Decoding the clickstream: all records at once, and one by one."""

import io
import statistics
import time

import fastavro
import polars as pl
import pytest

from pipeline.decode import Bounds, Records, decode
from pipeline.encode import encode
from pipeline.events import event_schema
from schemas.contracts import schema
from tests.benchmarks.clicks import SCHEMA_ID, clicks
from tests.benchmarks.report import show
from tests.benchmarks.runs_apart import scaled

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

FAMILY, ROUNDS, A_STEP = "clickstream", 7, 50_000
WRITERS = {SCHEMA_ID: schema(FAMILY)}
STRANGE = 1 << 60
"""A number whose varint has nine bytes: sound, and too strange for the fast way."""


def records_of(events):
    n, at_ms = events.height, events["record_at"].to_physical().to_list()
    values = encode(events.select(*event_schema(FAMILY)), FAMILY, SCHEMA_ID)
    return Records([0] * n, range(n), at_ms, events["visitor_id"].cast(pl.Binary).to_list(), values)


def told(records, n_slow):
    """Decode, and see that it went the way that is measured."""
    decoded = decode(records, FAMILY, WRITERS, Bounds())
    assert (decoded.events.height, decoded.n_slow) == (len(records), n_slow)


def by_fastavro(records):
    """What decoding costs without any of ours: records to dicts."""
    parsed = fastavro.parse_schema(schema(FAMILY))
    for value in records.values:
        fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed, None)


def test_records_decoded_at_once():
    events = clicks(scaled(A_STEP, 10_000))
    few = events.head(events.height // 10)
    plain, strange = records_of(events), records_of(few.with_columns(pl.lit(STRANGE).alias("watched_ms")))
    hostile = records_of(few)
    hostile = Records(
        hostile.partitions, hostile.offsets, hostile.record_at_ms, hostile.keys, [value[:-3] for value in hostile.values]
    )
    ways = {
        "fast, all at once": (plain, lambda: told(plain, 0)),
        "slow, one by one": (strange, lambda: told(strange, len(strange))),
        "slow, all of them cut short": (hostile, lambda: refused(hostile)),
        "fastavro alone, to dicts": (strange, lambda: by_fastavro(strange)),
    }
    took = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (_, work) in ways.items():
            began, cpu_s = time.perf_counter(), time.process_time()
            work()
            took[name].append((time.perf_counter() - began, time.process_time() - cpu_s))
    rows = []
    for name, (records, _) in ways.items():
        seconds, cpu_s = (statistics.median(one[at] for one in took[name]) for at in range(2))
        size = sum(map(len, records.values))
        rows.append((name, len(records), len(records) / seconds, len(records) / cpu_s, size / seconds / 1e6))
    show(
        f"decode, clickstream, {len(event_schema(FAMILY))} columns, medians of {ROUNDS} by turns",
        ("", "records", "records/s", "records/s of CPU", "MB/s"),
        rows,
    )
    fast, slow = (rows[at][2] for at in range(2))
    assert fast > 5 * slow


def refused(records):
    decoded = decode(records, FAMILY, WRITERS, Bounds())
    assert (decoded.rejects.height, decoded.n_slow) == (len(records), len(records))
