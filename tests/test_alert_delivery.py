"""Channels are told: signed, again after a failure, at least once, each at its own pace."""

import asyncio
import hashlib
import hmac
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from agents import alert_delivery
from agents.alert_delivery import Delivery, Reached, entries_of
from agents.alert_desk import Desk, News, Told
from agents.alert_settings import Channel
from agents.metrics_page import alert_families
from pipeline.alert_routes import Mutes, Route
from pipeline.alert_words import labels
from sinks import outgoing
from sinks.inside import is_inside
from sinks.outgoing import Answer, post, session
from tests.alert_rows import NOW, alert, minutes, resolved

pytest_plugins = ("tests.receiver",)

SECRET = b"between us"


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(alert_delivery, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(alert_delivery, "LOOK_S", 0.1)


def webhook(receiver, name="hook", **said):
    return Channel(name, "webhook", receiver.url, allow_private=True, **said)


@pytest.fixture
def telling():
    """Begins to tell channels of alerts; stopped afterwards."""
    begun = []

    def tell(*channels, mutes=None):
        desk = Desk(channels, mutes or Mutes())
        desk.restore(0, [])
        delivery = Delivery(desk, "ebbtide")
        begun.append(delivery)
        delivery.start()
        return delivery

    yield tell
    for delivery in begun:
        delivery.close()


def says(delivery, *rows):
    for row in rows:
        delivery.desk.take(0, row, datetime.now(UTC))
    delivery.look()


def until(condition, timeout_s=10.0):
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_a_webhook_hears_of_the_opening_and_of_the_end_signed_and_named(telling, receiver):
    delivery = telling(webhook(receiver, secret=SECRET))

    says(delivery, alert())
    receiver.until(1)
    says(delivery, resolved())
    first, second = receiver.until(2)

    for got, state in ((first, "open-warning"), (second, "resolved")):
        stamp = got.headers["Ebbtide-Timestamp"]
        assert abs(int(stamp) - time.time()) < 60
        expected = hmac.new(SECRET, stamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
        assert got.headers["Ebbtide-Signature"] == f"v1={expected}"
        assert got.headers["Idempotency-Key"] == f"a1:{state}"
        assert got.said["state"] == state
    assert first.said["alert"]["segment"] == "step = payment and device = mobile"
    assert first.said["alert"]["opened_at"] == minutes(-10).isoformat().replace("+00:00", "Z")
    until(lambda: delivery.reached["hook"].delivered == 2)


def test_what_fails_is_sent_again_under_the_same_key(telling, receiver, caplog):
    receiver.answers = [503, "close", 429, 408]
    delivery = telling(webhook(receiver, secret=SECRET))

    says(delivery, alert())

    assert {got.headers["Idempotency-Key"] for got in receiver.until(5)} == {"a1:open-warning"}
    until(lambda: "takes what it is told again" in caplog.text)
    assert delivery.reached["hook"].failing_since is None
    assert delivery.reached["hook"].failed == 4
    assert caplog.text.count("cannot be told of alert a1") == 1, "once, and not of every attempt"


def test_what_was_taken_is_not_sent_again_though_its_answer_never_ends(receiver, monkeypatch):
    monkeypatch.setattr(outgoing, "TOTAL_S", 0.3)
    receiver.answers = [(200, {"Transfer-Encoding": "chunked"})]

    assert posted(receiver.url, allow_private=True).is_well


def test_a_receiver_that_asks_for_patience_gets_it():
    reached = Reached()
    please = Answer(429, "", retry_after_s=7.0)

    reached.heard(please)

    assert reached.patience_s(please) == 7.0
    assert reached.patience_s(Answer(429, "", retry_after_s=1e9)) == 3_600.0
    for _ in range(20):
        reached.heard(Answer(None, "away"))
    assert 150 <= reached.patience_s(Answer(None, "away")) <= 300
    reached.heard(Answer(200, ""))
    assert reached.patience_s(Answer(200, "")) == 0.0


def test_what_is_refused_is_told_of_and_not_sent_again_and_the_next_is(telling, receiver, caplog):
    receiver.answers = [400]
    delivery = telling(webhook(receiver))

    says(delivery, alert("bad", opened_at=minutes(-20)), alert("good"))

    receiver.until(2)
    until(lambda: delivery.reached["hook"].delivered == 1)
    assert receiver.states() == [("bad", "open-warning"), ("good", "open-warning")]
    assert delivery.reached["hook"].refused == 1
    assert "does not take alert bad (open-warning), and is not asked again: it answered 400: ok" in caplog.text


def test_a_redirect_is_not_followed(telling, receiver, other_receiver, caplog):
    receiver.answers = [(302, {"Location": other_receiver.url})]
    delivery = telling(webhook(receiver))

    says(delivery, alert())

    until(lambda: "it answered 302, and redirects are not followed" in caplog.text)
    assert other_receiver.got == []


def test_one_alert_that_a_receiver_fails_over_holds_up_no_other(telling, receiver):
    receiver.answers = [500, 200, 500]
    delivery = telling(webhook(receiver))

    says(delivery, alert("poison", opened_at=minutes(-20)), alert("other"))

    receiver.until(4)
    assert [alert_id for alert_id, _ in receiver.states()] == ["poison", "other", "poison", "poison"]


def test_a_channel_that_is_slow_holds_up_no_other(telling, receiver, other_receiver):
    receiver.answers = [60.0]
    delivery = telling(webhook(receiver, "slow"), webhook(other_receiver, "quick"))

    says(delivery, alert("a1"))
    other_receiver.until(1)
    says(delivery, alert("a2"))
    other_receiver.until(2)

    assert receiver.got == []


def test_a_receiver_that_never_answers_is_given_up_on_and_tried_again(telling, receiver, monkeypatch):
    monkeypatch.setattr(outgoing, "TOTAL_S", 0.3)
    receiver.answers = [30.0]
    delivery = telling(webhook(receiver))

    says(delivery, alert())

    until(lambda: delivery.reached["hook"].delivered == 1)
    assert delivery.reached["hook"].failed >= 1


def test_a_channel_gets_what_its_route_says(telling, receiver, other_receiver):
    critical = webhook(receiver, "critical", route=Route(severities=("critical",)))
    checkout = webhook(other_receiver, "checkout", route=Route(owners=("checkout",), sites=("shop",)))
    delivery = telling(critical, checkout)

    says(delivery, alert("a1", severity="critical"), alert("a2", owner="checkout"), alert("a3", owner="checkout", site="other"))

    receiver.until(1)
    other_receiver.until(1)
    time.sleep(0.2)
    assert receiver.states() == [("a1", "open-critical")]
    assert other_receiver.states() == [("a2", "open-warning")]


def test_a_chat_gets_a_text_that_it_does_not_take_for_markup(telling, receiver):
    delivery = telling(webhook(receiver, is_chat=True))

    says(delivery, alert())

    (got,) = receiver.until(1)
    assert list(got.said) == ["text"]
    assert "*warning: Abandonment at &lt;payment&gt; is 61 % (shop)*" in got.said["text"]
    assert "rate 61 %, usual 24 % (74 of 121)" in got.said["text"]
    assert "ebbtide alerts show a1" in got.said["text"]


def test_a_webhook_hears_now_and_then_that_it_would_be_told(telling, receiver):
    delivery = telling(webhook(receiver, secret=SECRET, heartbeat_s=0.1))

    beats = receiver.until(3)

    assert beats[0].said == {"type": "heartbeat", "from": "ebbtide", "channel": "hook"}
    assert "Ebbtide-Signature" in beats[0].headers
    says(delivery, alert())
    until(lambda: receiver.states() == [("a1", "open-warning")])


def test_who_does_not_hold_the_first_partition_sends_no_heartbeat(receiver):
    desk = Desk([webhook(receiver, heartbeat_s=0.05)], Mutes())
    desk.restore(1, [])
    delivery = Delivery(desk, "ebbtide")
    delivery.start()
    try:
        desk.take(1, alert(), NOW)
        delivery.look()
        receiver.until(1)
        time.sleep(0.2)
    finally:
        delivery.close()

    assert len(receiver.got) == 1


# Where to -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.9",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:0a00:0001::",
        "2001:0:0a00:0001::",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "fec0::1",
        "ff0e::1",
    ],
)
def test_an_address_inside_is_known_as_one(address):
    assert is_inside(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_an_address_outside_is_known_as_one(address):
    assert not is_inside(address)


def posted(url, *, allow_private):
    async def sent():
        async with session(allow_private=allow_private) as through:
            return await post(through, url, b"{}", {})

    return asyncio.run(sent())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_an_address_inside_is_refused_whatever_its_name(receiver, host):
    url = f"http://{host}:{receiver.port}/"

    answer = posted(url, allow_private=False)

    assert receiver.got == []
    assert answer.status is None
    assert not answer.is_final, "a name may lead elsewhere tomorrow"
    assert "allow_private is not set" in str(answer)


def test_what_is_looked_at_is_the_address_that_is_connected_to(receiver, monkeypatch):
    """A name that leads outside when it is checked and inside when it is used: there is one look, at what is used."""
    answers = ["93.184.216.34", "127.0.0.1"]
    asked = []

    async def resolved_to(_self, host, port=0, family=0):  # noqa: ARG001 - as the resolver's
        asked.append(host)
        return [
            {
                "hostname": host,
                "host": answers[min(len(asked), len(answers)) - 1],
                "port": port,
                "family": 2,
                "proto": 6,
                "flags": 0,
            }
        ]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolved_to)
    monkeypatch.setattr("aiohttp.resolver.AsyncResolver.resolve", resolved_to, raising=False)
    asked.append("a first look")

    answer = posted(f"http://rebound.example:{receiver.port}/", allow_private=False)

    assert asked[1:] == ["rebound.example"]
    assert receiver.got == []
    assert "127.0.0.1 is an address of this machine" in str(answer)


def test_a_body_goes_to_an_address_inside_where_that_is_allowed(receiver):
    assert posted(receiver.url, allow_private=True).is_well


# Alertmanager's way ---------------------------------------------------------------------------------------------------------


def entries(row, last, *, is_new=True):
    found = entries_of(News(("shop", "a1"), row, "x", last, is_new), NOW, minutes(4))
    return [(entry["labels"]["severity"], entry["labels"]["device"], entry["endsAt"] > NOW.isoformat()) for entry in found]


def test_an_alert_that_becomes_worse_or_moves_ends_under_its_old_labels():
    now_ms = int(NOW.timestamp() * 1_000)
    bad = alert(severity="critical")
    before, now = labels(alert()), labels(bad)

    assert entries(alert(), None) == [("warning", "mobile", True)]
    assert entries(bad, Told("open-warning", 1, now_ms, before)) == [("critical", "mobile", True), ("warning", "mobile", False)]
    assert entries(bad, Told("open-critical", 2, now_ms, now, before)) == [
        ("critical", "mobile", True),
        ("warning", "mobile", False),
    ]
    assert entries(bad, Told("open-critical", 2, now_ms - 1_000_000, now, before)) == [("critical", "mobile", True)]
    assert entries(alert(device="tablet"), Told("open-warning", 2, now_ms, before)) == [
        ("warning", "tablet", True),
        ("warning", "mobile", False),
    ]
    assert entries(resolved(severity="critical"), Told("open-warning", 2, now_ms, before)) == [("warning", "mobile", False)]


def test_what_becomes_worse_in_a_mute_goes_on_as_it_is_known():
    known = Told("open-warning", 1, int(NOW.timestamp() * 1_000), labels(alert()))

    assert entries(alert(severity="critical"), known, is_new=False) == [("warning", "mobile", True)]


# Watched --------------------------------------------------------------------------------------------------------------------


def test_how_it_goes_is_exported(telling, receiver, other_receiver):
    receiver.answers = [503] * 1_000
    delivery = telling(webhook(receiver, "away"), webhook(other_receiver, "well"))
    says(delivery, alert("a1"), alert("a2"), resolved("a3"))
    other_receiver.until(3)
    until(lambda: delivery.reached["well"].delivered == 3 and delivery.reached["away"].failed >= 1)
    failing_since = delivery.reached["away"].failing_since

    told = {
        (family.name, *sample.labels.values()): sample.value
        for family in alert_families(SimpleNamespace(delivery=delivery), failing_since + 1_000, time.time())
        for sample in family.samples
    }

    assert told["ebbtide_alerts_open",] == 2
    assert told["ebbtide_alerts_waiting", "away"] == 3
    assert told["ebbtide_alerts_waiting", "well"] == 0
    assert told["ebbtide_alert_messages", "well", "delivered"] == 3
    assert told["ebbtide_alert_messages", "away", "failed"] >= 1
    assert told["ebbtide_alert_channel_unreached_seconds", "away"] == pytest.approx(1_000)
    assert told["ebbtide_alert_channel_unreached_seconds", "well"] == 0
    assert ("ebbtide_alert_channel_success_age_seconds", "away") not in told


def test_a_channel_whose_alerts_are_somebody_elses_now_is_not_taken_for_silent(telling, receiver):
    receiver.answers = [503]
    delivery = telling(webhook(receiver))
    says(delivery, alert())
    until(lambda: delivery.reached["hook"].failing_since is not None)

    delivery.desk.forget(0)
    delivery.look()

    until(lambda: delivery.reached["hook"].failing_since is None)
    assert len(receiver.got) == 1
