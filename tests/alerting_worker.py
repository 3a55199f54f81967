"""A worker that counts clicks and tells one channel of alerts, here or in a process of its own, for tests that kill it.

python -m tests.alerting_worker BOOTSTRAP PREFIX KIND URL
"""

import asyncio
import logging
import sys

import polars as pl

from agents import alert_delivery
from agents.alert_delivery import Delivery
from agents.alert_desk import Desk
from agents.alert_settings import Channel
from agents.alerting import Alerting, AlertRecords
from agents.app import Connection, build_app
from agents.registry import LocalRegistry
from agents.stages import ShellSettings
from pipeline.alert_routes import Mutes
from pipeline.frames import ALERTS
from pipeline.published import records
from schemas.contracts import local_registry
from tests.counting import counting_stage

SHORT_SESSION = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
"""So long nobody has the partitions of one that was killed."""
REPEAT_S = 1.0


def alerting_worker(bootstrap, prefix, kind, url, stage, writer=None):
    """Not running yet."""
    channel = Channel("channel", kind, url, secret=b"key", allow_private=True, repeat_s=REPEAT_S)
    alerting = Alerting(Delivery(Desk([channel], Mutes()), prefix), AlertRecords(LocalRegistry()))
    kafka = Connection(
        bootstrap, prefix, librdkafka=SHORT_SESSION, published=("alerts",), undivided=frozenset({f"{prefix}.alerts"})
    )
    return build_app(kafka, ShellSettings(checkpoint_s=0.3, linger_s=0.02), [stage], writer, alerting)


def publish(broker, *rows):
    """Say alerts as a fold would."""
    (schema_id,) = (number for number, (table, _) in local_registry().items() if table == "alerts")
    for row in rows:
        frame = ALERTS.conform(
            pl.DataFrame(
                [{"partition": 0, **{name: row[name] for name in ALERTS.schema}}], schema={**ALERTS.schema, "partition": pl.Int32}
            )
        )
        told = records(frame, "alerts", row["version"], schema_id, 1)
        broker.produce(f"{broker.prefix}.alerts", 0, told.values, keys=[key.encode() for key in told.keys])


async def work(bootstrap, prefix, kind, url):
    async with alerting_worker(bootstrap, prefix, kind, url, counting_stage(f"{prefix}.clicks")).running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("agents").setLevel(logging.INFO)
    alert_delivery.FIRST_WAIT_S = 0.1
    asyncio.run(work(*sys.argv[1:]))
