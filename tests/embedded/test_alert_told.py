"""Something goes wrong in a shop for some hours, and whoever is to be told is told once, the whole way: events on a broker, `ebbtide worker`, the topic of
alerts, a webhook, Alertmanager, ClickHouse, `ebbtide alerts`. The worker is killed while the alert is open.

Pages break, told by clicks alone; and, in the long form with all four families, parcels are held up and not scanned any more. Time stands still after the last
event that was sent, so that an alert stays open until the shop goes on.
"""

import io
import json
import os
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import polars as pl
import pytest
from typer.testing import CliRunner

from agents.child_process import ChildProcess
from agents.cli import main
from agents.emitter import Emitter
from agents.feed import FRAMES
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
TOPICS = {"clickstream": "clickstream", "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
"""Family -> its topic."""
HOUR = timedelta(hours=1)
KEY = b"a key of both"
SETTINGS = """
[kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
partitions = 2
{topics}
librdkafka = {{ "session.timeout.ms" = "3000", "heartbeat.interval.ms" = "500" }}
[clickhouse]
dsn = "{store.dsn}"
database = "{store.database}"
batch_age_s = 0.2
[fulfilment]
enabled = {commerce}
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


SILENT_H, SILENT_FOR_H = 60, 10
HELD_UP_H, LAPSED_H, SCANNED_H = 68, 149, 157
"""Of a shop with parcels: when carriers begin not to scan again what leaves, a day after the first scans and a day of history, and for how long; when it is an
alert that parcels are held up; three days later, when it is one that the next scan has not come, and when that is over.
"""


def on_strike(chapters, since):
    """As of a shop whose visitors consent to be counted one in six, else orders would be rare among clicks. Of what is scanned in these hours carriers say that it
    is held up, of the rest they say so once in twelve.
    """
    for chapter in chapters:
        is_then = pl.col("event_at").is_between(since, since + SILENT_FOR_H * HOUR)
        is_held_up = is_then | (pl.col("event_id").hash(seed=1) % 12 == 0)
        at = (pl.col(name) + timedelta(minutes=5) for name in ("event_at", "record_at"))
        held_up = chapter.deliveries.filter(pl.col("event_type") == "in_transit", is_held_up).with_columns(
            pl.lit("exception").alias("event_type"), pl.col("event_id") + "-held-up", *at
        )
        yield replace(
            chapter,
            events=chapter.events.filter(pl.col("visitor_id").hash(seed=1) % 6 == 0),
            deliveries=pl.concat([chapter.deliveries, held_up]),
        )


def monday():
    """The last one that is over: the same day of the week makes the same visits."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday() or 7)


class Way:
    """The whole way, from the shop to those who are told."""

    def __init__(self, broker, store, folder, hook, manager, *, chapters, families=("clickstream",), history_h=HISTORY_H):
        self.broker, self.store, self.hook, self.manager = broker, store, hook, manager
        topics = {family: broker.create_topics(TOPICS[family], 2, retention_ms="-1") for family in families}
        named = "\n".join(f'{TOPICS[family]}_topic = "{topic}"' for family, topic in topics.items())
        (folder / "key").write_bytes(KEY)
        told = {"bootstrap": broker.bootstrap, "prefix": broker.prefix, "topics": named, "store": store, "history_h": history_h}
        told |= {"commerce": str(len(families) > 1).lower()}
        channels = {"hook": hook.url, "secret": folder / "key", "manager": MANAGER.format(url=manager.url) if manager else ""}
        self.settings = folder / "settings.toml"
        self.settings.write_text(SETTINGS.format(**told, **channels))
        load(self.settings)
        self.emitters = {
            family: Emitter(broker.bootstrap, topic, schema_id(family), {}, family=family) for family, topic in topics.items()
        }
        self._chapters, self._sent_h = chapters, 0
        self.worker = None

    def send(self, until_h):
        """All that happens in the shop until this hour."""
        while self._sent_h < until_h:
            chapter = next(self._chapters)
            for family, emitter in self.emitters.items():
                emitter.send(getattr(chapter, FRAMES[family]))
            self._sent_h += 1
        for emitter in self.emitters.values():
            emitter.flush()

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

    def kill_at_work(self):
        """Wait until it has made some progress, kill it, and start another one."""
        n = self.n_cases()
        self.until(lambda: self.n_cases() > n, "there are more cases")
        self.kill()
        self.hire()

    def n_cases(self):
        """Versions of cases that are in ClickHouse."""
        return self.store.query("SELECT count() FROM cases").item()

    def opened(self, **like):
        """An open alert of which this is so, as soon as it is told and in ClickHouse."""

        def found():
            told = {of for of, _ in self.told()}
            return told and [
                each
                for each in self.listed("list", "--open")["alerts"]
                if each["alert_id"] in told and like.items() <= each.items()
            ]

        self.until(found, f"there is an open alert with {like}")
        return found()[0]["alert_id"]

    def until_over(self):
        """All alerts, as `ebbtide alerts show` has them, when everybody knows that they are over."""
        self.until(lambda: all(states(self.told(), of)[-1] == "resolved" for of, _ in self.told()), "it is told to be over")
        every = {of for of, _ in self.told()}
        self.until(lambda: self.stored() == dict.fromkeys(every, "resolved"), "it is over in ClickHouse")
        if self.manager:
            self.until(lambda: notified(self.manager, "resolved") == every, "Alertmanager")
            assert notified(self.manager, "firing") == every
        return [self.listed("show", of[:8]) for of in every]

    def is_each_told_once(self):
        """Whether the webhook and the topic say of the same alerts, once each, that they are open and that they are over."""
        told, published = self.told(), self.published()
        return {of for of, _ in told} == published.keys() and all(
            is_once(said) for of in published for said in (published[of], states(told, of))
        )

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
    way = Way(broker, server_store, tmp_path, other_receiver, manager_if_any, chapters=shop.chapters(HOUR))
    way.send(BEGINS_H + 1)
    way.hire()
    try:
        alert_id = way.opened(rule="friction", signal="page_error")
        way.kill()
        way.hire()
        way.send(BEGINS_H + LASTS_H)
        way.until(lambda: len(states(way.told(), alert_id)) > 1, "there is news of it")
        assert states(way.told(), alert_id)[-1] == "open"
        way.send(ENDS_H)
        shown = way.until_over()
    finally:
        way.worker.kill()

    assert {(each["status"], each["cause"]) for each in shown} == {("resolved", "page_error")}
    assert all(each["look_at"] for each in shown)
    places = [each["step"] for each in shown]
    assert len(set(places)) == len(places) <= 3, "pages break at every step, and each is told once"
    assert way.is_each_told_once()


@pytest.mark.chaos
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_parcels_that_are_held_up_and_not_scanned_any_more_are_told_once_though_workers_are_killed_before_and_meanwhile(
    broker, server_store, tmp_path, manager_if_any, other_receiver
):
    silent = Shock("silent", begins_ms=SILENT_H * HOUR_MS, lasts_ms=SILENT_FOR_H * HOUR_MS, chance=0.9, stops_scans=True)
    opens_at = monday() - timedelta(weeks=1)
    shop = Simulator(2, opens_at, SHOPS[:1], 3_000, scenario=Scenario("silent", parcels=silent))
    chapters, families = on_strike(shop.chapters(HOUR), opens_at + SILENT_H * HOUR), tuple(TOPICS)
    way = Way(broker, server_store, tmp_path, other_receiver, manager_if_any, chapters=chapters, families=families, history_h=20)
    way.hire()
    try:
        for hour in (24, SILENT_H):
            way.send(hour)
            way.kill_at_work()
        way.send(HELD_UP_H)
        way.opened(rule="friction", signal="delivery_exception")
        way.kill()
        way.hire()
        way.send(LAPSED_H - 24)
        way.until_over()
        way.send(LAPSED_H)
        way.opened(rule="lapse", expectation="next_scan_after_scan")
        way.kill()
        way.hire()
        way.send(SCANNED_H)
        shown = way.until_over()
    finally:
        way.worker.kill()

    assert sorted((each["rule"], each["status"]) for each in shown) == [("friction", "resolved"), ("lapse", "resolved")]
    assert {(each["step"], each["owner"], each["cause"]) for each in shown} == {("delivered", "carrier", "delivery_exception")}
    assert all(each["look_at"] for each in shown)
    assert way.is_each_told_once()
