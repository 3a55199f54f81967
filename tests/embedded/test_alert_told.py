"""Pages of a shop break for two hours, and whoever is to be told is told once, the whole way: clicks on a broker, `ebbtide worker`, the topic of alerts,
a webhook, Alertmanager, ClickHouse, `ebbtide alerts`. The worker is killed while the alert is open.
"""

import io
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import pytest
from typer.testing import CliRunner

from agents.child_process import ChildProcess
from agents.cli import main
from agents.emitter import Emitter
from agents.settings_sources import load
from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.scenarios import Scenario, Shock
from pipeline.simulator.shops import SHOPS
from pipeline.simulator.simulator import Simulator
from schemas.contracts import schema
from sinks.outgoing import signature
from tests.brokers import EMBEDDED
from tests.chaos.run import program_of
from tests.chaos.traffic import schema_id

pytestmark = pytest.mark.broker
pytest_plugins = ("tests.alertmanager", "tests.receiver")

HOUSE = Path(__file__).parents[2]
PATIENCE_S = 240.0
HISTORY_H = 10
BEGINS_H, LASTS_H, ENDS_H = 11, 2, 15
"""Hours of the shop: when its pages begin to break, for how long, and when the last event comes."""
KEY = b"a key of both"
SETTINGS = """
[kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
partitions = 2
clickstream_topic = "{topic}"
librdkafka = {{ "session.timeout.ms" = "3000", "heartbeat.interval.ms" = "500" }}
[clickhouse]
dsn = "{store.dsn}"
database = "{store.database}"
batch_age_s = 0.2
[fulfilment]
enabled = false
[spikes]
history_h = {history_h}
[publish]
tables = ["alerts"]
[worker]
checkpoint_s = 0.3
[telemetry]
listen = ""
[[alerts.channels]]
name = "hook"
kind = "webhook"
url = "{hook}"
secret_file = "{secret}"
updates = true
allow_private = true
heartbeat_min = 0
{manager}
"""
MANAGER = """
[[alerts.channels]]
name = "manager"
kind = "alertmanager"
url = "{url}"
allow_private = true
repeat_s = 30
"""


def monday():
    """The last one that is over: the same day of the week makes the same visits."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday() or 7)


class Way:
    """The whole way, from the shop to those who are told."""

    def __init__(self, broker, store, folder, hook, manager, *, shop):
        self.broker, self.store, self.hook, self.manager = broker, store, hook, manager
        topic = broker.create_topics("clickstream", 2, retention_ms="-1")
        (folder / "key").write_bytes(KEY)
        told = {"bootstrap": broker.bootstrap, "prefix": broker.prefix, "topic": topic, "store": store, "history_h": HISTORY_H}
        channels = {"hook": hook.url, "secret": folder / "key", "manager": MANAGER.format(url=manager.url) if manager else ""}
        self.settings = folder / "settings.toml"
        self.settings.write_text(SETTINGS.format(**told, **channels))
        load(self.settings)
        self.emitter = Emitter(broker.bootstrap, topic, schema_id(), {})
        self._chapters, self._sent_h = shop.slices(timedelta(hours=1)), 0
        self.worker = None

    def send(self, until_h):
        """All that happens in the shop until this hour."""
        while self._sent_h < until_h:
            self.emitter.send(next(self._chapters))
            self._sent_h += 1
        self.emitter.flush()

    def hire(self):
        """Start a worker."""
        command = [sys.executable, "-m", "agents", "worker", "--settings", str(self.settings)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("EBBTIDE_")}
        self.worker = ChildProcess(command, env={**kept, "PYTHONPATH": str(HOUSE)})

    def kill(self):
        """End it in the middle of whatever it does."""
        os.kill(program_of(self.worker), signal.SIGKILL)
        self.worker.kill()

    def until(self, condition, what):
        """Wait; the worker may not end by itself meanwhile."""
        limit = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.worker.exit_code is None, self.worker.printed()
            assert time.monotonic() < limit, f"it is not so that {what}: {self.told()}; {self.worker.printed()}"
            time.sleep(0.05)

    def told(self):
        """(alert_id, state) of all news that came by the webhook, in order; what came twice under one key counts once."""
        for got in self.hook.got:
            signed = signature(KEY, int(got.headers["Ebbtide-Timestamp"]), got.body)
            assert got.headers["Ebbtide-Signature"] == signed
        news = {got.headers["Idempotency-Key"]: got.said for got in self.hook.got}
        return [(said["alert"]["alert_id"], said["state"].partition("-")[0]) for said in news.values()]

    def published(self):
        """alert_id -> what the topic says of it, one after the other; what was said again after a kill, or taken back before, counts once."""
        contract, rows = fastavro.parse_schema(dict(schema("alerts"))), []
        for message in self.broker.read(f"{self.broker.prefix}.alerts"):
            if message.value() is not None:
                rows.append(fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), contract, None))
                assert json.loads(message.key()) == {"site": rows[-1]["site"], "alert_id": rows[-1]["alert_id"]}
        rows.sort(key=lambda row: row["version"])
        newest = {row["alert_id"]: row for row in rows}
        opened = {(row["alert_id"], row["opened_at"]) for row in rows}
        assert len(opened) == len(newest), "each opened once"
        assert not any(row["is_deleted"] for row in newest.values())
        said = {}
        for row in rows:
            said.setdefault(row["alert_id"], {})[row["updated_at"], row["status"]] = row["status"]
        return {alert_id: list(statuses.values()) for alert_id, statuses in said.items()}

    def stored(self):
        """alert_id -> status, as the view has it."""
        return dict(self.store.query("SELECT alert_id, status FROM alerts_now").rows())

    def listed(self, *arguments):
        """What `ebbtide alerts` says."""
        done = CliRunner().invoke(main, ["alerts", *arguments, "--json", "--settings", str(self.settings)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


def states(told, alert_id):
    return [state for of, state in told if of == alert_id]


def notified(manager, what):
    """Alerts that Alertmanager has sent on as firing or resolved."""
    return {alert_id for told in manager.notified(what) for alert_id, _ in told}


def is_once(said):
    """Whether it opens, and is over, and nothing comes after that."""
    return len(said) > 1 and said == ["open"] * (len(said) - 1) + ["resolved"]


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_an_alert_opens_once_and_is_over_once_though_the_worker_is_killed_between(
    broker, server_store, tmp_path, manager_if_any, other_receiver
):
    broken = Shock("broken", begins_ms=BEGINS_H * HOUR_MS, lasts_ms=LASTS_H * HOUR_MS, obstacle="page_error", chance=0.8)
    shop = Simulator(2, monday(), SHOPS[:1], 1_500, scenario=Scenario("broken", pages=broken))
    way = Way(broker, server_store, tmp_path, other_receiver, manager_if_any, shop=shop)
    way.send(BEGINS_H + 1)
    way.hire()
    try:
        way.until(way.told, "it is told")
        alert_id, _ = way.told()[0]
        way.until(lambda: way.stored().get(alert_id) == "open", "it stands in ClickHouse")
        listed = {each["alert_id"]: each for each in way.listed("list", "--open")["alerts"]}[alert_id]
        assert (listed["rule"], listed["signal"]) == ("friction", "page_error")

        way.kill()
        way.hire()
        way.send(BEGINS_H + LASTS_H)
        way.until(lambda: len(states(way.told(), alert_id)) > 1, "there is news of it")
        assert states(way.told(), alert_id)[-1] == "open"
        way.send(ENDS_H)
        way.until(lambda: all(states(way.told(), of)[-1] == "resolved" for of, _ in way.told()), "it is told to be over")
        every = {of for of, _ in way.told()}
        way.until(lambda: way.stored() == dict.fromkeys(every, "resolved"), "it is over in ClickHouse")
        if manager_if_any:
            way.until(lambda: notified(manager_if_any, "resolved") == every, "Alertmanager")
            assert notified(manager_if_any, "firing") == every
        shown = [way.listed("show", of[:8]) for of in every]
    finally:
        way.worker.kill()

    assert {(each["status"], each["cause"]) for each in shown} == {("resolved", "page_error")}
    assert all(each["look_at"] for each in shown)
    places = [each["step"] for each in shown]
    assert len(set(places)) == len(places) <= 3, "pages break at every step, and each is told once"
    assert all(is_once(states(way.told(), of)) for of in every)
    published = way.published()
    assert published.keys() == every
    assert all(map(is_once, published.values()))
