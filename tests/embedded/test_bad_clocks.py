"""A real topic with repeats, disorder and wrong clocks, through the whole worker: every record is in a table or a dead letter with its bytes."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from agents.settings import ClickHouseSettings, KafkaSettings, Settings, StoreSettings, TelemetrySettings, WorkerSettings
from agents.worker import assemble
from pipeline.frames import FATE_NAMES
from tests import wire

pytestmark = pytest.mark.broker

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
HONEST, STRANGERS = 300, 20


def arriving():
    """(record time, event), in order of arrival; a fifth of the honest ones comes twice."""
    dice, base = Random(5), {"event_type": "page_view", "site": "shop", "page": "/"}
    begin = datetime.now(UTC).replace(microsecond=0) - DAY
    found = []
    for number in range(HONEST):
        at = begin + number * 10 * SECOND
        event = base | {"event_id": f"h{number}", "visitor_id": f"v{number % 9}", "event_at": at}
        found.append((at + dice.randint(0, 50) * SECOND, event))  # out of order, within the allowed lateness
        if number % 5 == 0:
            found.append((at + dice.randint(51, 3_000) * SECOND, event))
    for off in (2 * DAY, -2 * DAY):
        for number in range(STRANGERS):
            at = begin + (600 + number * 100) * SECOND
            event = base | {"event_id": f"s{off.days}/{number}", "visitor_id": f"s{off.days}", "event_at": at + off}
            said = event | {"sent_at": at + off + SECOND} if number % 2 else event
            found.append((at + 2 * SECOND, said))
    return sorted(found, key=lambda each: each[0])


def test_every_record_is_in_a_table_or_a_dead_letter(broker, store):
    topic, log = broker.create_topics("clickstream"), arriving()
    values = [wire.value(event, "clickstream") for _, event in log]
    broker.produce(topic, 0, values, record_times_ms=[round(at.timestamp() * 1_000) for at, _ in log])
    settings = Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap, prefix=broker.prefix, partitions=1, clickstream_topic=topic),
        clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.2),
        store=StoreSettings(events=True),
        worker=WorkerSettings(checkpoint_s=0.5, max_batch_events=50),
        telemetry=TelemetrySettings(listen=""),
    )

    async def story():
        assembled = assemble(settings)
        assembled.writer.start()
        async with assembled.worker.running():
            async with asyncio.timeout(90):
                while assembled.worker.folds["sessions"].progress.events < len(log):  # noqa: ASYNC110 - of another thread
                    await asyncio.sleep(0.1)
            assert await assembled.worker.settled(60)
            folding = assembled.worker.folds["sessions"]
            told = folding.fates[0], folding.unaccounted(), dict(folding.progress.dead_letters)
        assert await asyncio.to_thread(assembled.writer.close, 20)
        return told

    fates, unaccounted, dead_letters = asyncio.run(story())

    assert {fate: fates.get(fate, 0) for fate in FATE_NAMES} == {
        "applied": HONEST + STRANGERS,
        "duplicate": HONEST // 5,
        "rejected": STRANGERS // 2,
        "too_late": STRANGERS // 2,
    }
    assert unaccounted == {0: 0}
    assert dead_letters == {"from_the_future": STRANGERS // 2, "too_late": STRANGERS // 2}
    letters = store.query(f"SELECT reason, offset, hex(payload) AS payload FROM {store.database}.dead_letters_now")
    assert Counter(letters["reason"].to_list()) == dead_letters
    assert all(values[offset].hex().upper() == payload for _, offset, payload in letters.rows())
    events = store.query(f"SELECT visitor_id, event_at FROM {store.database}.events_now").rows()
    assert Counter(visitor[0] for visitor, _ in events) == {"v": HONEST, "s": STRANGERS}
    right = {at - SECOND for at, event in log if event["visitor_id"].startswith("s") and "sent_at" in event}
    assert {at for visitor, at in events if visitor.startswith("s")} == right
