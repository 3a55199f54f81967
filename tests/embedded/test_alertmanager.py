"""The real Alertmanager is told: it groups, keeps alive what goes on, says what is over, and notices when nobody tells it anything."""

import time
from datetime import UTC, datetime

from agents import alert_delivery
from agents.alert_delivery import Delivery
from agents.alert_desk import Desk
from agents.alert_settings import ChannelSettings
from pipeline.alert_routes import Mutes
from tests.alert_rows import alert, resolved

pytest_plugins = ("tests.alertmanager", "tests.receiver")

REPEAT_S = 0.6


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
        manager.until(lambda: len(manager.notified("firing")) == 2)
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
        manager.until(lambda: ("a1", "warning") in set().union(*manager.notified("resolved")))
        manager.until(lambda: manager.active() == {("a2", "critical"), ("b1", "warning"), ("EbbtideWatchdog", "none")})
        assert delivery.reached["am"].refused == 0
    finally:
        delivery.close()

    # Also the watchdog: whoever watches it knows that nobody would be told.
    manager.until(lambda: manager.active() == set())
    manager.until(
        lambda: any(
            each["labels"]["alertname"] == "EbbtideWatchdog" and each["status"] == "resolved"
            for got in manager.receiver.got
            for each in got.said["alerts"]
        )
    )
