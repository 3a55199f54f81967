"""Orders and deliveries on a real broker, through intake, to a fold behind it: whoever is killed, every event is applied once."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.app import Connection, build_app
from agents.arrow_batches import Batch
from agents.batch_decoding import batch_decoder
from agents.child_process import ChildProcess
from agents.intake_stages import upstream
from agents.registry import LocalRegistry
from agents.stages import Stage
from pipeline.passed import COMMERCE
from pipeline.watermark import UNREAD, in_ms
from tests.builders import happened, order
from tests.collecting import TABLES_READ, CollectingFold
from tests.intake_worker import QUICK, TOPICS, stages
from tests.running_clicks import everything, until
from tests.wire import datum, framed, schema

pytestmark = pytest.mark.broker

HOUSE = Path(__file__).parents[2]
IN_PARTITIONS = {"order": 3, "delivery": 2}
SLOW, FAR_BEHIND = ("delivery", 1), timedelta(hours=1)
"""A source far behind all others."""


def value(event, family):
    return framed(LocalRegistry().schema_id(family), datum(event, schema(family)))


class Shop:
    """Orders and their parcels, under any key and in any partition; some come twice, some are rubbish."""

    def __init__(self, broker):
        self.broker, self.dice = broker, random.Random(5)
        for family, n in IN_PARTITIONS.items():
            broker.create_topics(TOPICS[family], n)
        self.sent = Counter()
        self.rubbish = Counter()
        self.ids = set()
        self.now = datetime.now(UTC) - timedelta(hours=2)

    def topic(self, family):
        return f"{self.broker.prefix}.{TOPICS[family]}"

    def sell(self, n):
        """So many orders, each with a parcel that is scanned."""
        made = {(family, at): [] for family, of_topic in IN_PARTITIONS.items() for at in range(of_topic)}
        for _ in range(n):
            number = len(self.ids)
            self.now += timedelta(milliseconds=50)
            bought = order(at=self.now, order_id=f"{number}", event_id=f"o{number}")
            knows_its_order = {"order_id": f"{number}"} if self.dice.random() < 0.7 else {}
            scanned = happened(
                "in_transit", self.now, {"delivery_id": f"P{number}", "event_id": f"d{number}", **knows_its_order}, {}
            )
            for family, event in (("order", bought), ("delivery", scanned)):
                for _ in range(2 if self.dice.random() < 0.05 else 1):
                    at = self.dice.randrange(IN_PARTITIONS[family])
                    behind = FAR_BEHIND if (family, at) == SLOW else timedelta()
                    made[family, at].append(value({**event, "event_at": self.now - behind}, family))
                self.ids.add((family, event["event_id"]))
            if self.dice.random() < 0.01:
                made["order", 0].append(b"rubbish")
                self.rubbish["order", 0] += 1
        for (family, at), values in made.items():
            self.broker.produce(self.topic(family), at, values)
            self.sent[family, at] += len(values)


def behind(broker):
    """A worker with the fold behind intake, in a group of its own."""
    stage = Stage(
        "collect",
        f"{broker.prefix}.{COMMERCE}",
        CollectingFold(),
        batch_decoder(*TABLES_READ),
        upstream=upstream(stages(broker.prefix), COMMERCE),
    )
    return build_app(Connection(broker.bootstrap, f"{broker.prefix}.behind"), QUICK, [stage], None)


def intake(broker):
    """Intake in a process of its own."""
    return ChildProcess(
        [sys.executable, "-m", "tests.intake_worker", broker.bootstrap, broker.prefix], env={**os.environ, "PYTHONPATH": str(HOUSE)}
    )


def applied(folding):
    return sum(fates.get("applied", 0) for fates in folding.origins.values())


def told_by_hand(broker, partition):
    """The slowest source, by what the messages of a partition say."""
    told = {}
    for message in everything(broker, f"{broker.prefix}.{COMMERCE}", partition):
        with suppress(ValueError):
            about = Batch(message.value()).about
            told[about.source] = max(told.get(about.source, 0), about.watermark_ms or 0)
    assert len(told) == sum(IN_PARTITIONS.values())
    return min(told.values())


def test_whoever_is_killed_and_whatever_is_said_twice_every_event_is_applied_once(broker):
    shop, commerce = Shop(broker), f"{broker.prefix}.{COMMERCE}"
    shop.sell(1_500)
    hired = [intake(broker)]

    async def story():
        worker = behind(broker)
        async with worker.running():
            folding = worker.folds["collect"]
            await until(lambda: applied(folding) > 500)
            await asyncio.to_thread(shop.sell, 500)
            await until(lambda: applied(folding) > 3_200)
            await asyncio.to_thread(hired[0].kill)
            # What it said is said once more by nobody we know, and something is said that is no message at all.
            again = [message.value() for message in await asyncio.to_thread(everything, broker, commerce, 0)]
            await asyncio.to_thread(broker.produce, commerce, 0, [b"what is this", *again])
            hired.append(intake(broker))
            await asyncio.to_thread(shop.sell, 500)
            await until(lambda: sum(sum(fates.values()) - fates["n_late"] for fates in folding.origins.values()) == good(shop))
            assert await worker.settled(60)
            return folding.origins, in_ms(folding.watermarks["watermark"]).tolist(), folding.unaccounted(), folding.progress

    try:
        until_there(broker, commerce, hired[0])
        origins, reached, unaccounted, progress = asyncio.run(story())
    finally:
        for each in hired[len(hired) > 1 :]:  # the first was killed
            each.kill()

    for (family, at), n in shop.sent.items():
        fates = origins[shop.topic(family), at]
        assert fates["applied"] + fates.get("duplicate", 0) + fates.get("too_late", 0) == n - shop.rubbish[family, at], (family, at)
    assert sum(fates["applied"] for fates in origins.values()) == len(shop.ids)
    assert set(unaccounted.values()) == {0}
    assert progress.dead_letters == {"undecodable": 1}
    assert all(UNREAD < ms <= told_by_hand(broker, at) for at, ms in enumerate(reached))
    assert max(reached) < (shop.now - FAR_BEHIND).timestamp() * 1_000, "time waits for the slowest"


def until_there(broker, topic, maker):
    """Wait until somebody has made a topic."""
    until = time.monotonic() + 60
    while topic not in broker.admin.list_topics(timeout=10).topics:
        assert maker.exit_code is None, maker.printed()
        assert time.monotonic() < until
        time.sleep(0.1)


def good(shop):
    return sum(shop.sent.values()) - sum(shop.rubbish.values())
