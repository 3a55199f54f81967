"""The stages of intake in a process of their own, for tests that kill it.

python -m tests.intake_worker BOOTSTRAP PREFIX
"""

import asyncio
import logging
import sys

from agents.app import Connection, build_app
from agents.intake_stages import intake_stages
from agents.registry import LocalRegistry, decoder
from agents.stages import ShellSettings
from pipeline.checks import Bounds

TOPICS = {"order": "orders", "delivery": "deliveries", "ticket": "tickets"}
QUICK = ShellSettings(linger_s=0.02, checkpoint_s=0.5)
SHORT_SESSION = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
"""A member that was killed is missed soon."""


def connection(broker_or_bootstrap, prefix):
    return Connection(broker_or_bootstrap, prefix, partitions=2, librdkafka=SHORT_SESSION)


def stages(prefix):
    topic_of = {family: f"{prefix}.{topic}" for family, topic in TOPICS.items()}
    return intake_stages(prefix, topic_of, lambda family: decoder(LocalRegistry(), family, Bounds()))


async def work(bootstrap, prefix):
    async with build_app(connection(bootstrap, prefix), QUICK, stages(prefix), None).running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("agents").setLevel(logging.INFO)
    asyncio.run(work(sys.argv[1], sys.argv[2]))
