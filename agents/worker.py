"""`ebbtide worker`: settings -> broker, registry, folds and ClickHouse put together, and run until a signal.

**Delivery:** see shell and sinking. Nothing depends on a graceful stop.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from confluent_kafka.admin import AdminClient

from agents import topics
from agents.alert_delivery import Delivery
from agents.alert_desk import Desk
from agents.alert_settings import channels
from agents.alerting import Alerting, AlertRecords
from agents.app import Connection, Worker, build_app
from agents.commerce_stages import commerce_stages
from agents.defective_batch import Again
from agents.defects import EXIT_DATA, end_process
from agents.publishing import schema_ids
from agents.refused_rows import RefusedRows
from agents.registry import decoder, open_registry, patiently
from agents.rubbish_limit import Limited
from agents.settings import Settings
from agents.spike_stages import with_spikes
from agents.stages import Decode, ShellSettings, Stage
from agents.store_claim import ClaimedStore, claim_for_worker
from agents.takeover import InputsFrom
from agents.telemetry import told
from agents.topics import look_at
from pipeline.frames import ALERTS
from pipeline.passed import COMMERCE, COUNTS
from pipeline.sessions import SessionsFold
from sinks.batching import Batching
from sinks.clickhouse import ClickHouse, connect
from sinks.failures import failure
from sinks.writer import Writer

log = logging.getLogger(__name__)

DRAIN_S = 10.0
"""How long a stop waits for what is on its way to ClickHouse."""


@dataclass(frozen=True)
class Assembled:
    """A worker and the thread that writes for it."""

    worker: Worker
    writer: Writer


def assemble(
    settings: Settings,
    *,
    inputs_from: InputsFrom | None = None,
    state_dir: Path | None = None,
    downtime_counts: bool = True,
    again: Again | None = None,
) -> Assembled:
    """Put a worker together: tables and topics that are missing are made. Blocks, starts nothing.

    Args:
        settings: As they were read.
        inputs_from: Where to go on when the next record is not on the broker; None: refuse.
        state_dir: Where state is kept, beside a broker that keeps nothing; None: on the broker.
        downtime_counts: Whether event time goes on while nobody runs; not where it is simulated.
        again: How a batch that it fails over is folded again; None: with `ebbtide replay`.

    Raises: MISHAPS of agents.mishaps - no broker, tables of another version, settings that do not fit
    """
    kafka = settings.kafka
    cluster = look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=log))
    name, store = f"{cluster.cluster_id}/{kafka.prefix}", settings.clickhouse
    is_claimed = _claimed(settings, name)
    refused = RefusedRows()
    writer = Writer(
        lambda: ClaimedStore(ClickHouse(store.dsn, store.database), name, is_claimed=is_claimed),
        refused=refused,
        defect=end_process,
        batching=Batching(rows=store.batch_rows, size=store.batch_bytes, age_s=store.batch_age_s),
        buffer_bytes=store.buffer_bytes,
    )
    refused.writer = writer
    ids = schema_ids(kafka.schema_registry_url, kafka.prefix, settings.publish.tables)
    ids.asked(settings.publish.tables)
    worker = build_app(
        Connection(
            kafka.bootstrap,
            kafka.prefix,
            kafka.partitions,
            frozenset(
                {*(topics.passed(kafka.prefix, to) for to in (COMMERCE, COUNTS)), topics.published(kafka.prefix, ALERTS.name)}
            ),
            kafka.replication,
            kafka.librdkafka,
            state_dir,
            settings.publish.tables,
            ids.of,
        ),
        ShellSettings(
            max_batch_events=settings.worker.max_batch_events,
            linger_s=settings.worker.linger_ms / 1_000,
            checkpoint_s=settings.worker.checkpoint_s,
            inbox_bytes=settings.worker.inbox_bytes,
            time_speed=settings.worker.time_speed,
            downtime_counts=downtime_counts,
            inputs_from=inputs_from,
        ),
        _stages(settings, again or Again()),
        writer,
        _alerting(settings),
    )
    return Assembled(worker, writer)


def _stages(settings: Settings, again: Again) -> list[Stage[Any]]:
    kafka = settings.kafka
    registry = open_registry(kafka.schema_registry_url, topics=kafka.topics)

    def decode_of(family: str) -> Decode:
        return _patient(decoder(registry, family, settings.bounds()))

    def watch_of(topic: str) -> Limited:
        return Limited(settings.dead_letters.limit(), topic=topic, stop=partial(end_process, code=EXIT_DATA))

    rules, clicks = replace(settings.session_rules(), tells_people=settings.fulfilment.enabled), kafka.clickstream_topic
    fold = SessionsFold(rules)
    visits: Stage[Any] = Stage(fold.name, clicks, fold, decode_of(fold.family), watch_of(clicks), again)
    stages = [visits]
    if settings.fulfilment.enabled:
        rules_of = settings.fulfilment_rules(), settings.journeys_rules()
        stages = commerce_stages(kafka, visits, rules_of, decode_of, watch_of)
    return with_spikes(stages, kafka.prefix, settings.spike_rules()) if settings.spikes.enabled else stages


def _alerting(settings: Settings) -> Alerting | None:
    """Who tells of alerts, if anybody is to be told. Raises: ChannelUnfit."""
    told = channels(settings.alerts.channels)
    if not told:
        return None
    kafka = settings.kafka
    desk = Desk(told, settings.alerts.muted(settings.calendars_of_sites()))
    registry = open_registry(kafka.schema_registry_url, topics={ALERTS.name: topics.published(kafka.prefix, ALERTS.name)})
    return Alerting(Delivery(desk, kafka.prefix), AlertRecords(registry))


def _claimed(settings: Settings, name: str) -> bool:
    """Make the tables, and say who writes them. A server that is away or full is no reason not to start: rows wait for it in Kafka."""
    store = settings.clickhouse
    try:
        client = connect(store.dsn)
        try:
            claim_for_worker(client, store.database, name)
        finally:
            client.close()
    except (ClickHouseError, OSError) as error:
        told = failure(error)
        if not told.retryable:
            raise
        log.warning("ClickHouse is not to be had now (%s); rows wait in Kafka, and its tables are made when it is", told)
        return False
    return True


def _patient(decode: Decode) -> Decode:
    """Decode that waits for a registry that does not answer: nothing that could be read may be rejected."""
    return lambda records: patiently(partial(decode, records), "events wait until it does")


async def work(settings: Settings, *, inputs_from: InputsFrom | None = None, again: Again | None = None) -> None:
    """Run a worker until SIGINT or SIGTERM; a second signal does not wait for anything. `again` as in `assemble`."""
    assembled = assemble(settings, inputs_from=inputs_from, again=again)
    asked = asyncio.create_task(stop_asked())
    await asyncio.sleep(0)  # before it joins the group: one that is ended after that leaves its partitions to nobody for a session
    assembled.writer.start()
    log.info("worker %s reads %s at %s", settings.kafka.prefix, settings.kafka.clickstream_topic, settings.kafka.bootstrap)
    async with assembled.worker.running(), told_at(settings, assembled):
        await asked
        log.info("stopping: a second signal does not wait")
    await asyncio.to_thread(assembled.writer.close, DRAIN_S)


@asynccontextmanager
async def told_at(settings: Settings, assembled: Assembled) -> AsyncIterator[None]:
    """Tell those who watch how the worker is, while the block runs."""
    watched = settings.telemetry
    with told(
        watched.listen, assembled.worker, assembled.writer, prefix=settings.kafka.prefix, stuck_after_s=watched.stuck_after_s
    ):
        yield


async def stop_asked() -> None:
    """Wait for SIGINT or SIGTERM; afterwards they act as usual."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    try:
        await asked.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
