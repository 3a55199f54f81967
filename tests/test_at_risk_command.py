"""`ebbtide at-risk`: who may be slipping away, as the topic says it."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from agents import at_risk_command, topics
from agents.at_risk_command import line
from agents.cli import INTERRUPTED, main
from agents.producer import Producer
from agents.publishing import Publishing
from agents.registry import LocalRegistry
from agents.settings_sources import load
from agents.topics import Topic, make_topics
from pipeline.risk_tables import AT_RISK
from tests.brokers import EMBEDDED
from tests.builders import clock

ANN = {
    "site": "shop", "kind": "session", "entity_id": "ann/s1", "visitor_id": "ann", "session_id": "s1", "journey": "shop", "step": "payment", "owner": "payments",
    "risk": 0.82, "reasons": ["payment_failed", "rage_click"], "expectation": "order_after_commit", "would_lapse_at": clock("10:31"), "value_minor": 4_900,
    "currency": "EUR", "updated_at": clock("10:02"), "is_over": 0,
}  # fmt: skip
BOB = {**ANN, "entity_id": "bob/s2", "visitor_id": "bob", "session_id": "s2", "risk": 0.55, "reasons": []}
CASE = {
    **ANN,
    "site": "other",
    "kind": "case",
    "entity_id": "q1",
    "visitor_id": None,
    "session_id": None,
    "order_id": "q1",
    "customer_id": "cleo",
    "risk": 0.9,
}
OVER = {"risk": 0.0, "reasons": ["met"], "is_over": 1}


def rows(*said):
    return AT_RISK.conform(pl.DataFrame([{"partition": 0, **row} for row in said], schema_overrides=dict(AT_RISK.schema)))


@pytest.fixture
def publish(broker, monkeypatch):
    """Say rows on the topic, a step each, under ever higher versions."""
    prefix, versions = broker.prefix, itertools.count()
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("EBBTIDE_KAFKA__BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("EBBTIDE_KAFKA__PREFIX", prefix)

    def say(*steps):
        topic = topics.published(prefix, AT_RISK.name)
        make_topics(broker.admin, [Topic.of_published(topic, 2, is_compacted=True)])
        producer = Producer(broker.bootstrap, {})
        publishing = Publishing(producer, {AT_RISK.name: (topic, 2)}, LocalRegistry().schema_id)
        for of_step in steps:
            publishing.say(AT_RISK.name, rows(*of_step), next(versions))
        producer.flush()
        producer.close()

    return say


def called(*arguments):
    done = CliRunner().invoke(main, ["at-risk", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_who_is_at_risk_is_shown_the_likeliest_first_and_who_is_over_is_not(publish, monkeypatch):
    publish([ANN, BOB], [CASE, {**BOB, **OVER}], [{**ANN, "would_lapse_at": clock("10:31") + timedelta(minutes=4)}])
    code, shown, said = called()

    assert code == 0, said
    lines = [line for line in shown.splitlines() if "%" in line]
    assert [next(who for who in ("cleo", "ann", "bob") if who in line) for line in lines] == ["cleo", "ann"]
    assert "82%" in lines[1]
    assert "10:35" in lines[1]
    assert "payment_failed, rage_click" in lines[1]
    assert "EUR 49.00" in lines[1]
    monkeypatch.setenv("COLUMNS", "80")
    _, shown, _ = called("--site", "shop")
    assert shown.startswith("2026-03-02 10:02   82%  ann, session s1  shop, payment, payments")
    _, shown, _ = called("--site", "shop", "--json")
    found = json.loads(shown)
    assert (found["n"], [each["entity_id"] for each in found["at_risk"]]) == (1, ["ann/s1"])


def test_who_follows_is_told_who_is_at_risk_and_then_every_change_that_is_one(publish):
    publish([ANN])
    with at_risk_command.listening(load(None), "shop") as heard:
        assert [row["entity_id"] for row in heard.known.now] == ["ann/s1"]
        # Bob was never told as at risk, the case is of another site: nobody asked.
        publish([{**BOB, **OVER}, CASE], [{**ANN, "risk": 0.95}], [BOB], [{**ANN, **OVER}])
        told = {row["version"]: line(row) for row in itertools.islice(heard.changes(), 3)}

    assert [told[version] for version in sorted(told)] == [
        "2026-03-02 10:02   95%  ann, session s1  shop, payment, payments  order_after_commit by 2026-03-02 10:31  payment_failed, rage_click  EUR 49.00",
        "2026-03-02 10:02   55%  bob, session s2  shop, payment, payments  order_after_commit by 2026-03-02 10:31  EUR 49.00",
        "2026-03-02 10:02  over  ann, session s1: it came",
    ]


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_following_prints_a_line_of_json_a_change_until_it_is_stopped(publish):
    publish([ANN])
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen([sys.executable, "-m", "agents", "at-risk", "--follow", "--json"], stdout=out) as running,
    ):
        until(lambda: printed(out))
        publish([{**ANN, **OVER}])
        until(lambda: len(printed(out)) == 2)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == INTERRUPTED
        first, then = printed(out)

    assert (first["n"], first["at_risk"][0]["entity_id"]) == (1, "ann/s1")
    assert (then["entity_id"], then["is_over"], then["reasons"]) == ("ann/s1", 1, ["met"])


def printed(out):
    return [json.loads(each) for each in os.pread(out.fileno(), 100_000, 0).decode().splitlines()]


def until(is_so, timeout_s=30.0):
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.usefixtures("publish")
def test_where_nothing_is_published_it_says_what_to_do():
    code, _, said = called()

    assert code == 1
    assert "publish.tables" in said
