"""Alerts on their topic reach whoever is to be told, on a real broker: whoever is away or killed."""

import asyncio
import sys
from pathlib import Path

import pytest

from agents import alert_delivery
from agents.app import ALERTING
from agents.child_process import ChildProcess
from tests.alert_rows import alert, resolved
from tests.alerting_worker import alerting_worker, publish
from tests.brokers import EMBEDDED
from tests.counting import counting_stage
from tests.running_clicks import Clicks, MemoryWriter, counted, until

pytestmark = pytest.mark.broker
pytest_plugins = ("tests.receiver",)

HOUSE = Path(__file__).parents[2]


def test_a_channel_that_is_away_does_not_hold_up_detection_and_hears_how_things_are_when_it_is_back(broker, receiver, monkeypatch):
    monkeypatch.setattr(alert_delivery, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(alert_delivery, "LONGEST_WAIT_S", 0.1)
    clicks, writer = Clicks(broker), MemoryWriter()
    receiver.answers = [503] * 1_000

    async def story():
        worker = alerting_worker(broker.bootstrap, broker.prefix, "webhook", receiver.url, counting_stage(clicks.topic), writer)
        async with worker.running():
            publish(broker, *(alert(f"a{n}") for n in range(20)), resolved("a3"))
            broker.produce(f"{broker.prefix}.alerts", 0, [b"no alert", None], keys=[b"a", b"b"])
            await until(lambda: len(receiver.got) >= 5)
            clicks.make(2_000)
            await until(lambda: counted(worker) == 2_000)
            await until(lambda: worker.shells[ALERTING].work.progress.events == 23)
            assert await worker.settled(30), "what waits for the channel is kept, and keeps nobody from coming to rest"
            assert writer.counts() == clicks.expected
            assert worker.alerting.delivery.reached["channel"].failing_since is not None
            receiver.answers = []
            assert worker.alerting.unreadable == 1
            before = len(receiver.got)
            await until(lambda: len(receiver.got) >= before + 20)
        return before

    before = asyncio.run(story())

    told = {got.said["alert"]["alert_id"]: got.said["state"] for got in receiver.got[before:]}
    assert told == {f"a{n}": "resolved" if n == 3 else "open-warning" for n in range(20)}


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_a_worker_that_is_killed_loses_no_resolution(broker, receiver):
    broker.create_topics("clicks", 1)
    broker.create_topics("alerts", 1)
    command = [sys.executable, "-m", "tests.alerting_worker", broker.bootstrap, broker.prefix, "webhook", receiver.url]

    def started():
        return ChildProcess(["sh", "-c", f'cd "{HOUSE}" && exec "$@"', "sh", *command])

    publish(broker, alert("a1"), alert("a2"))
    first = started()
    receiver.until(2, 30)
    receiver.answers = [30.0]  # it takes the next, and the worker does not live to hear of it
    publish(broker, resolved("a1"))
    first.kill()
    publish(broker, resolved("a2"))
    receiver.answers = []
    second = started()
    try:
        states = set()
        n = 2
        while not {("a1", "resolved"), ("a2", "resolved")} <= states:
            n += 1
            receiver.until(n, 30)
            states = set(receiver.states())
    finally:
        second.kill()

    keys = [got.headers["Idempotency-Key"] for got in receiver.got]
    assert set(keys) <= {"a1:open-warning", "a2:open-warning", "a1:resolved", "a2:resolved"}
    assert len(keys) <= 8
