"""`ebbtide at-risk`: who may be slipping away, as the topic says it."""

import json
from datetime import timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from agents import topics
from agents.cli import main
from agents.producer import Producer
from agents.publishing import Publishing
from agents.registry import LocalRegistry
from agents.topics import Topic, make_topics
from pipeline.risk_tables import AT_RISK
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
def called(broker, monkeypatch):
    prefix = broker.prefix
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("EBBTIDE_KAFKA__BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("EBBTIDE_KAFKA__PREFIX", prefix)

    def call(*arguments, said=()):
        if said:
            topic = topics.published(prefix, AT_RISK.name)
            make_topics(broker.admin, [Topic.of_published(topic, 2, is_compacted=True)])
            producer = Producer(broker.bootstrap, {})
            publishing = Publishing(producer, {AT_RISK.name: (topic, 2)}, LocalRegistry().schema_id)
            for version, of_step in enumerate(said):
                publishing.say(AT_RISK.name, rows(*of_step), version)
            producer.flush()
            producer.close()
        done = CliRunner().invoke(main, ["at-risk", *arguments])
        return done.exit_code, done.stdout, done.stderr

    return call


def test_who_is_at_risk_is_shown_the_likeliest_first_and_who_is_over_is_not(called):
    code, shown, said = called(
        said=[[ANN, BOB], [CASE, {**BOB, **OVER}], [{**ANN, "would_lapse_at": clock("10:31") + timedelta(minutes=4)}]]
    )

    assert code == 0, said
    lines = [line for line in shown.splitlines() if "%" in line]
    assert [next(who for who in ("cleo", "ann", "bob") if who in line) for line in lines] == ["cleo", "ann"]
    assert "82%" in lines[1]
    assert "10:35" in lines[1]
    assert "payment_failed, rage_click" in lines[1]
    assert "EUR 49.00" in lines[1]
    _, shown, _ = called("--site", "shop", "--json")
    found = json.loads(shown)
    assert (found["n"], [each["entity_id"] for each in found["at_risk"]]) == (1, ["ann/s1"])


def test_where_nothing_is_published_it_says_what_to_do(called):
    code, _, said = called()

    assert code == 1
    assert "publish.tables" in said
