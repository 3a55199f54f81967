"""What a worker tells those who watch it, asked as they ask: over HTTP."""

import asyncio
import json
import re
import threading
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.app import SINK, Connection, build_app
from agents.metrics import METRICS
from agents.refused_rows import RefusedRows
from agents.telemetry import told
from sinks.batching import Batching
from sinks.writer import Writer
from tests.brokers import EMBEDDED
from tests.counting import CountingFold, counting_stage
from tests.house.test_alerts import ALERTS, promtool
from tests.running_clicks import PARTITIONS, QUICK, Clicks, MemoryWriter, counted, until, worker_on

pytestmark = pytest.mark.broker

ANYWHERE = "127.0.0.1:0"


def get(address, path):
    """Status and body."""
    try:
        with urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def samples(page):
    """(name, labels as sorted pairs) -> value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def total(found, name, **labels):
    """Sum of all samples of a name that have these labels."""
    return sum(value for (each, pairs), value in found.items() if each == name and labels.items() <= dict(pairs).items())


def test_a_worker_tells_what_it_has_done_and_where_it_stands(broker, store):
    clicks, desk = Clicks(broker), RefusedRows()
    desk.writer = writer = Writer(store.open, refused=desk, defect=lambda _: None, batching=Batching(age_s=0.2))
    writer.start()
    clicks.make(4_000)
    broker.produce(clicks.topic, 1, [b"no event at all"])

    async def story():
        worker = worker_on(broker, clicks, writer)
        with told(ANYWHERE, worker, writer, prefix=broker.prefix, stuck_after_s=60) as address:
            ask = lambda path: asyncio.to_thread(get, address, path)  # noqa: E731 - said once
            before = await ask("/readyz"), await ask("/healthz"), await ask("/metrics")
            async with worker.running():
                await until(lambda: counted(worker) == 4_000)
                assert await worker.settled(60)
                after = await ask("/readyz"), await ask("/healthz"), await ask("/metrics"), await ask("/other")
        return before, after

    (before_ready, before_healthy, (_, before)), (ready, healthy, (status, page), other) = asyncio.run(story())
    assert writer.close(10)

    assert (before_ready[0], before_healthy[0], ready[0], healthy[0], status, other[0]) == (503, 200, 200, 200, 200, 404)
    assert json.loads(ready[1])["stages"] == dict.fromkeys(("counts", SINK), f"{PARTITIONS} of {PARTITIONS} partitions taken over")
    assert total(samples(before), "ebbtide_records_total") == 0
    found = samples(page)
    assert total(found, "ebbtide_records_total", stage="counts", topic=clicks.topic, fate="applied") == 4_000
    assert total(found, "ebbtide_records_total", fate="rejected", partition="1") == 1
    assert total(found, "ebbtide_dead_letters_total", reason="undecodable") == 1
    assert total(found, "ebbtide_dead_letters_total") == 1
    assert total(found, "ebbtide_batch_records_sum", stage="counts") == 4_001
    assert 0 < total(found, "ebbtide_step_seconds_sum", stage="counts") < 60
    assert total(found, "ebbtide_checkpoint_seconds_count", stage="counts") >= 1
    assert total(found, "ebbtide_lag_records") == 0
    assert total(found, "ebbtide_partitions_taken_over") == total(found, "ebbtide_partitions_assigned") == 2 * PARTITIONS
    assert total(found, "ebbtide_open_entities", stage="counts") == clicks.visitors
    assert total(found, "ebbtide_state_bytes", stage="counts") > 1_000
    assert total(found, "ebbtide_sink_backlog_rows") == total(found, "ebbtide_sink_backlog_bytes") == 0
    assert total(found, "ebbtide_sink_buffer_bytes") == writer.buffer_bytes
    unaccounted = [value for (name, _), value in found.items() if name == "ebbtide_unaccounted_records"]
    assert unaccounted == [0] * PARTITIONS
    delays = [value for (name, _), value in found.items() if name == "ebbtide_watermark_delay_seconds"]
    assert len(delays) == PARTITIONS
    assert all(-1 < delay < 120 for delay in delays)

    names = {name for name, _ in found}
    told_of = {family.name for family in text_string_to_metric_families(page)}
    of_alerts = {
        name for name in {metric.name for metric in METRICS} if name.startswith("ebbtide_alert")
    }  # nobody is told of any here
    assert {metric.name.removesuffix("_total") for metric in METRICS if metric.name not in of_alerts} <= told_of
    assert set(re.findall(r"\b(ebbtide_\w+)", ALERTS)) - of_alerts <= names
    linted = promtool("check", "metrics", said=page)
    assert linted.returncode == 0, linted.stdout + linted.stderr


class Blocked(CountingFold):
    """A step that does not return before it is told to."""

    gate = threading.Event()

    def step(self, state, batch, watermarks):
        if len(batch):
            self.gate.wait()
        return super().step(state, batch, watermarks)


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)  # nothing of it is the broker's
def test_a_stage_that_stands_still_is_not_healthy_though_its_client_is(broker):
    Blocked.gate.clear()
    clicks = Clicks(broker)

    async def story():
        stage = replace(counting_stage(clicks.topic), fold=Blocked())
        worker = build_app(Connection(broker.bootstrap, broker.prefix), QUICK, [stage], MemoryWriter())
        with told(ANYWHERE, worker, None, prefix=broker.prefix, stuck_after_s=6.0) as address:
            async with worker.running():
                await until(lambda: len(worker.shells["counts"].positions()) == PARTITIONS)
                well = await asyncio.to_thread(get, address, "/healthz")
                await asyncio.to_thread(clicks.make, 400)
                stuck = well
                async with asyncio.timeout(30):
                    while stuck[0] == 200:
                        await asyncio.sleep(0.1)
                        stuck = await asyncio.to_thread(get, address, "/healthz")
                Blocked.gate.set()
                await until(lambda: counted(worker) == 400)
                async with asyncio.timeout(30):
                    while (again := await asyncio.to_thread(get, address, "/healthz"))[0] != 200:  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.1)
        return well, stuck, again

    well, stuck, again = asyncio.run(story())
    assert (well[0], stuck[0], again[0]) == (200, 503, 200)
    assert "stands still" in json.loads(stuck[1])["stages"]["counts"]
    assert "stands still" not in json.loads(stuck[1])["stages"][SINK]


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)  # nothing of it is the broker's
def test_a_port_that_is_taken_is_no_reason_not_to_work(broker, caplog):
    worker = worker_on(broker, Clicks(broker))
    with (
        told(ANYWHERE, worker, None, prefix="a", stuck_after_s=60) as first,
        told(first, worker, None, prefix="b", stuck_after_s=60) as second,
    ):
        assert first != second
        assert get(second, "/healthz")[0] == 200
        assert f"{first} is taken" in caplog.text
    worker.reader.close()
