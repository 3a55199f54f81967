"""Dead letters on a real broker: they reach their topic, and a topic of rubbish stops the worker."""

import asyncio

import pytest

from tests.running_clicks import Clicks, MemoryWriter, worker_on

pytestmark = pytest.mark.broker


def test_what_cannot_be_used_reaches_whoever_subscribes(broker):
    clicks = Clicks(broker)
    clicks.make(100)
    broker.produce(clicks.topic, 1, [b"no event at all"], keys=[b"\xff\0"], record_times_ms=[1_700_000_000_000])

    async def story():
        worker = worker_on(broker, clicks, MemoryWriter())
        async with worker.running():
            assert await worker.settled(60)

    asyncio.run(story())

    (letter,) = broker.read(f"{broker.prefix}.dead_letters")
    said = {name: value.decode() for name, value in letter.headers()}
    assert (letter.key(), letter.value()) == (b"\xff\0", b"no event at all")
    assert (said["topic"], said["partition"], said["offset"], said["reason"]) == (clicks.topic, "1", "25", "undecodable")
    assert (said["stage"], said["family"], said["record_at_ms"]) == ("counts", "clickstream", "1700000000000")
    assert said["detail"] == "no event"
    assert "schema_id" not in said
