"""How long after its release a partition is fetched again, where all of a broker's partitions were held: a full inbox does that to a stage again and again."""

import asyncio
import statistics
import time

import pytest

from tests.benchmarks.report import show
from tests.transport_reader import Reader, filled, reading

pytestmark = [pytest.mark.bench, pytest.mark.broker]

HELD_S = (1.3, 1.5, 1.7, 1.9, 2.1)
"""Longer than a fetch that was on its way, and at no fixed distance from a second."""
AIM_S = 0.35


def test_what_is_released_is_fetched_at_once(broker):
    topic, ends = filled(broker, "clicks", [100, 100])
    reader = Reader(broker, [topic])

    async def waits():
        async with reading(reader):
            await reader.reads_to(ends)
            for held_s in HELD_S:
                reader.consumer.hold(list(ends))
                await reader.commands_are_done()
                for tp in ends:
                    broker.produce(topic, tp.partition, [b"v"] * 50)
                    ends[tp] += 50
                await asyncio.sleep(held_s)
                began = time.perf_counter()
                reader.consumer.release(list(ends))
                await reader.reads_to(ends)
                yield time.perf_counter() - began

    async def all_of_them():
        return [wait_s async for wait_s in waits()]

    found = asyncio.run(all_of_them())
    show(
        f"from a release to all records, on {broker.kind}",
        ("", "median s", "most s"),
        [("two partitions, all held before", statistics.median(found), max(found))],
        f"aim: {AIM_S} s; it was up to a second before the client was woken",
    )
    assert statistics.median(found) <= AIM_S
