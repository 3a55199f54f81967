"""The real Alertmanager is told: it groups, keeps alive what goes on, says what is over, and notices when nobody tells it anything."""

import json
import os
import shutil
import time
import urllib.request
from datetime import UTC, datetime

import pytest

from agents import alert_delivery
from agents.alert_delivery import Delivery
from agents.alert_desk import Desk
from agents.alert_settings import ChannelSettings
from agents.child_process import ChildProcess
from agents.embedded_broker import free_port
from pipeline.alert_routes import Mutes
from tests.alert_rows import alert, resolved

pytest_plugins = ("tests.receiver",)

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
"""Of Debian's package, or of its makers."""
REPEAT_S = 0.6
CONFIG = """\
global: {{resolve_timeout: 1s}}
route: {{receiver: us, group_by: [site, rule], group_wait: 200ms, group_interval: 500ms, repeat_interval: 1h}}
receivers:
  - name: us
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Manager:
    """A running Alertmanager that tells a receiver."""

    def __init__(self, folder, receiver):
        (folder / "am.yml").write_text(CONFIG.format(url=receiver.url))
        self.url, self.receiver = f"http://127.0.0.1:{free_port()}", receiver
        options = [f"--config.file={folder / 'am.yml'}", f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
        self.child = ChildProcess([PROGRAM, *options, f"--web.listen-address={self.url.removeprefix('http://')}"])

    def active(self):
        """(name or alert_id, severity) of what it takes for open."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:
            found = json.load(answer)
        return {(each["labels"].get("alert_id", each["labels"]["alertname"]), each["labels"]["severity"]) for each in found}

    def notified(self, status):
        """Sets of alerts that it has told of together: (alert_id, severity) of those with this status."""
        told = [got.said["alerts"] for got in self.receiver.got]
        return [
            found
            for alerts in told
            if (
                found := {
                    (each["labels"]["alert_id"], each["labels"]["severity"])
                    for each in alerts
                    if each["status"] == status and "alert_id" in each["labels"]
                }
            )
        ]


@pytest.fixture
def manager(tmp_path, receiver):
    if PROGRAM is None:
        assert not os.environ.get("CI"), "where everything must run, so must this"
        pytest.skip("there is no Alertmanager: apt-get install --no-install-recommends prometheus-alertmanager")
    made = Manager(tmp_path, receiver)
    try:
        until(lambda: made.child.exit_code is not None or is_up(made), made)
        yield made
    finally:
        made.child.kill()


def is_up(manager):
    try:
        return manager.active() == set()
    except OSError:
        return False


def until(condition, manager, timeout_s=20.0):
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, (manager.child.printed(), manager.receiver.got)
        time.sleep(0.05)


def test_it_fires_groups_keeps_alive_and_resolves(manager, monkeypatch):
    monkeypatch.setattr(alert_delivery, "LOOK_S", 0.1)
    said = ChannelSettings(name="am", kind="alertmanager", url=manager.url, allow_private=True, repeat_s=REPEAT_S)
    desk = Desk([said.channel()], Mutes())
    desk.restore(0, [])
    delivery = Delivery(desk, "ebbtide")

    def says(*rows):
        for row in rows:
            desk.take(0, row, datetime.now(UTC))
        delivery.look()

    says(alert("a1"), alert("a2", device="desktop"), alert("b1", site="other"))
    delivery.start()
    try:
        until(lambda: len(manager.notified("firing")) == 2, manager)
        assert {frozenset(found) for found in manager.notified("firing")} == {
            frozenset({("a1", "warning"), ("a2", "warning")}),
            frozenset({("b1", "warning")}),
        }
        told = next(each for got in manager.receiver.got for each in got.said["alerts"] if each["labels"].get("alert_id") == "a1")
        assert told["labels"]["step"] == "payment"
        assert told["annotations"]["cause"] == "payment_retry"

        time.sleep(4 * REPEAT_S + 0.8)  # longer than an alert lives there unless it is heard of again
        everything = {("a1", "warning"), ("a2", "warning"), ("b1", "warning")}
        assert manager.active() == everything | {("EbbtideWatchdog", "none")}
        assert manager.notified("resolved") == []

        says(resolved("a1"), alert("a2", device="desktop", severity="critical", version=2))
        until(lambda: ("a1", "warning") in set().union(*manager.notified("resolved")), manager)
        until(lambda: manager.active() == {("a2", "critical"), ("b1", "warning"), ("EbbtideWatchdog", "none")}, manager)
        assert delivery.reached["am"].refused == 0
    finally:
        delivery.close()

    until(lambda: manager.active() == set(), manager)  # also the watchdog: whoever watches it knows that nobody would be told
    until(
        lambda: any(
            each["labels"]["alertname"] == "EbbtideWatchdog" and each["status"] == "resolved"
            for got in manager.receiver.got
            for each in got.said["alerts"]
        ),
        manager,
    )
