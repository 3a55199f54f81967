"""A stop that meets an arrival is a stop."""

import asyncio
from types import SimpleNamespace

import pytest

from agents.transport import RunConsumer


def test_a_cancellation_in_the_moment_in_which_something_arrives_is_not_swallowed():
    """Else whoever waits for the end of reading waits for ever."""

    async def story():
        consumer = SimpleNamespace(_arrived=asyncio.Event(), _take=lambda _active: {})
        reading = asyncio.create_task(RunConsumer._getmany(consumer, None, 5.0))
        await asyncio.sleep(0.01)
        consumer._arrived.set()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(story())
