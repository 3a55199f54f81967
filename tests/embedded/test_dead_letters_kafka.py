"""Dead letters on a real broker: on their topic, in ClickHouse, sent again after a mend; and a topic of rubbish stops the worker."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from agents.cli import main
from agents.defects import EXIT_DATA
from agents.publish_settings import PublishSettings
from agents.settings import ClickHouseSettings, DeadLetterSettings, KafkaSettings, Settings, StoreSettings, WorkerSettings
from agents.worker import assemble
from schemas.contracts import schema
from tests.brokers import KAFKA
from tests.counting_worker import SHORT_SESSION
from tests.running_clicks import Clicks, MemoryWriter, worker_on
from tests.wire import datum, framed

pytestmark = pytest.mark.broker

CONTRACT = schema("clickstream")
NOW = datetime.now(UTC).replace(microsecond=0)
KNOWN, LATER = 1, 2
"""Schema ids: registered from the beginning, and registered when somebody has noticed."""


def event(name, at=NOW, visitor="ann"):
    return {"event_id": name, "event_type": "page_view", "event_at": at, "site": "shop", "visitor_id": visitor}


def ms(at):
    return round(at.timestamp() * 1_000)


def send(broker, topic, *values, at=NOW, key=b"ann"):
    broker.produce(topic, 0, values, keys=[key] * len(values), record_times_ms=[ms(at)] * len(values))


def test_what_cannot_be_used_reaches_whoever_subscribes(broker):
    clicks = Clicks(broker)
    clicks.make(100)
    broker.produce(clicks.topic, 1, [b"no event at all"], keys=[b"\xff\0"], record_times_ms=[1_700_000_000_000])

    async def story():
        worker = worker_on(broker, clicks, MemoryWriter())
        async with worker.running():
            assert await worker.settled(60)

    asyncio.run(story())

    (letter,) = broker.read(f"{broker.prefix}.dead_letters")
    said = {name: value.decode() for name, value in letter.headers()}
    assert (letter.key(), letter.value()) == (b"\xff\0", b"no event at all")
    assert (said["topic"], said["partition"], said["offset"], said["reason"]) == (clicks.topic, "1", "25", "undecodable")
    assert (said["stage"], said["family"], said["record_at_ms"]) == ("counts", "clickstream", "1700000000000")
    assert said["detail"] == "no event"
    assert "schema_id" not in said


@pytest.fixture
def shop(broker, store, tiny_registry, monkeypatch):
    """Settings of a shop whose producer is ahead of its registry."""
    topic = broker.create_topics("clickstream")
    assert tiny_registry.registered(f"{topic}-value", json.dumps(CONTRACT)) == KNOWN
    for name in [name for name in os.environ if name.startswith("EBBTIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EBBTIDE_KAFKA__BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("EBBTIDE_KAFKA__CLICKSTREAM_TOPIC", topic)
    monkeypatch.setenv("EBBTIDE_KAFKA__SCHEMA_REGISTRY_URL", tiny_registry.url)
    monkeypatch.setenv("EBBTIDE_CLICKHOUSE__DSN", store.dsn)
    monkeypatch.setenv("EBBTIDE_CLICKHOUSE__DATABASE", store.database)
    monkeypatch.setenv("COLUMNS", "300")
    return Settings(
        kafka=KafkaSettings(
            bootstrap=broker.bootstrap, prefix=broker.prefix, clickstream_topic=topic, schema_registry_url=tiny_registry.url
        ),
        clickhouse=ClickHouseSettings(dsn=store.dsn, database=store.database, batch_age_s=0.1),
        store=StoreSettings(events=True),
        worker=WorkerSettings(checkpoint_s=0.3, linger_ms=20),
        publish=PublishSettings(tables=()),  # its contracts would have the ids that events have here
    )


def work_off(settings):
    """Run a worker until nothing is left to do. Returns fate -> records."""

    async def story():
        assembled = assemble(settings)
        assembled.writer.start()
        async with assembled.worker.running() as worker:
            assert await worker.settled(60)
            fates = worker.folds["sessions"].fates[0]
        assert await asyncio.to_thread(assembled.writer.close, 20)
        return fates

    return asyncio.run(story())


def letters(*arguments):
    done = CliRunner().invoke(main, ["dead-letters", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def answer(*arguments):
    done = letters(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_after_a_mend_a_dead_letter_is_sent_again_and_applied_once(shop, broker, store, tiny_registry, monkeypatch):
    topic, later = shop.kafka.clickstream_topic, {**CONTRACT, "fields": [*CONTRACT["fields"], NEW_FIELD]}
    fresh, old = event("fresh"), event("old", NOW - timedelta(hours=5))
    send(broker, topic, framed(KNOWN, datum(event("first"), CONTRACT)))
    send(broker, topic, framed(LATER, datum({**fresh, "mood": "sad"}, later)), key=b"\xffann")
    send(broker, topic, framed(LATER, datum(old, later)), at=NOW - timedelta(hours=5))
    send(broker, topic, b"rubbish")
    first = work_off(shop)
    assert first["rejected"] == 3

    # What is there.
    listed = answer("list", "--reason", "unknown_schema", "--topic", topic, "--since", "1h")
    assert [(row["reason"], row["n"], row["n_replayed"]) for row in listed["counts"]] == [("unknown_schema", 1, 0)]
    assert answer("list", "--limit", "1")["n"] == 3
    (newest,) = listed["newest"]
    assert (newest["offset"], newest["key"]) == (1, "0xff616e6e")
    shown = letters("list").stdout
    assert "undecodable" in shown
    assert f"{topic}/0/3" in shown
    assert "no dead letters" in letters("list", "--reason", "too_long").stdout

    # What is one of them.
    one = answer("show", f"{topic}/0/1")
    assert one["payload_hex"] == framed(LATER, datum({**fresh, "mood": "sad"}, later)).hex()
    assert (one["problem"], one["fields"]) == (f"unknown_schema: no schema with id {LATER} for clickstream", {})
    said = letters("show", f"{topic}/0/3").stdout
    assert "72 75 62 62 69 73 68" in said
    assert "rubbish" in said
    assert "undecodable" in said
    assert letters("show", f"{topic}/0/77").exit_code == 1
    assert letters("show", "nowhere").exit_code == 2

    # The mend, and what would become of them.
    tiny_registry.registered(f"{topic}-value", json.dumps(later))
    assert answer("show", f"{topic}/0/1")["fields"]["mood"] == "sad"
    assert "it would be taken" in letters("show", f"{topic}/0/1").stdout
    looked = answer("replay", "--dry-run")
    expected = {"planned": 3, "left_out": {}, "readable": 2, "too_late": 1, "unreadable": {"undecodable": 1}}
    assert looked == {"sent": 0, **expected}
    refused = letters("replay", "--reason", "unknown_schema")
    assert refused.exit_code == 1
    assert "say --yes" in refused.stderr
    assert "1 are older than dedup_horizon (1 h): they come back as too_late" in refused.stderr
    with monkeypatch.context() as person:
        person.setattr("agents.cli_dead_letters.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
        declined = CliRunner().invoke(main, ["dead-letters", "replay"], input="n\n")
    assert declined.exit_code == 1
    assert "Send 3 records again?" in declined.stderr
    assert broker.end_offsets(topic) == [4]

    # Sent, once; and again, because somebody insists.
    assert answer("replay", "--reason", "unknown_schema", "--yes")["sent"] == 2
    second = answer("replay", "--reason", "unknown_schema", "--yes")
    assert (second["sent"], second["left_out"]) == (0, {"sent again before": 2})
    assert "there is nothing to send" in letters("replay", "--reason", "unknown_schema").stdout
    assert answer("replay", "--reason", "unknown_schema", "--yes", "--again")["sent"] == 2
    assert [(row["n"], row["n_replayed"]) for row in answer("list", "--reason", "unknown_schema")["counts"]] == [(2, 2)]

    before, again = (broker.read(topic)[offset] for offset in (1, 4))
    assert (again.key(), again.value(), again.timestamp()[1]) == (before.key(), before.value(), before.timestamp()[1])
    assert dict(again.headers())["ebbtide-replay-of"].decode().endswith(f"/{topic}/0/1")

    fates = work_off(shop)
    assert {fate: n - first.get(fate, 0) for fate, n in fates.items() if fate != "n_late"} == {
        "applied": 1,
        "duplicate": 1,
        "too_late": 2,
        "rejected": 0,
    }
    assert store.query("SELECT event_id FROM events_now ORDER BY event_id")["event_id"].to_list() == ["first", "fresh"]
    assert {row["reason"]: row["n"] for row in answer("list")["counts"]} == {"unknown_schema": 2, "undecodable": 1, "too_late": 2}


NEW_FIELD = {"name": "mood", "type": ["null", "string"], "default": None}


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
def test_a_topic_of_rubbish_stops_the_worker_and_a_greater_limit_lets_it_go_on(shop, broker, store, tmp_path):
    topic = shop.kafka.clickstream_topic
    send(broker, topic, *(framed(KNOWN, datum(event(f"good-{number}"), CONTRACT)) for number in range(20)))
    send(broker, topic, *[b"rubbish"] * 30)
    send(broker, topic, framed(KNOWN, datum(event("last"), CONTRACT)))

    variables = {"KAFKA__PREFIX": broker.prefix, "CLICKHOUSE__DSN": f"chdb://{tmp_path}", "DEAD_LETTERS__MAX_RUN": "10"}
    variables |= {"KAFKA__LIBRDKAFKA": json.dumps(SHORT_SESSION)}  # it leaves its partitions to nobody for so long
    stopped = subprocess.run(
        [sys.executable, "-m", "agents", "worker"],
        env={**os.environ, **{f"EBBTIDE_{name}": value for name, value in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert stopped.returncode == EXIT_DATA, stopped.stderr
    assert f"topic {topic} has turned to rubbish: the limit is passed at offset 30 of partition 0." in stopped.stderr
    assert "Nothing was skipped" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert broker.committed(broker.prefix, topic, 1) == [None]
    assert sum(broker.end_offsets(f"{broker.prefix}.dead_letters")) == 0

    fates = work_off(shop.model_copy(update={"dead_letters": DeadLetterSettings(max_run=30)}))

    assert (fates["applied"], fates["rejected"]) == (21, 30)
    found = store.query("SELECT (SELECT count() FROM events_now) AS events, (SELECT count() FROM dead_letters_now) AS letters")
    assert found.rows() == [(21, 30)]
