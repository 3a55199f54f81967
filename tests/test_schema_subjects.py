"""`ebbtide schemas`: contracts get into a registry, and none that would break a reader."""

import json
import uuid
from contextlib import closing

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from typer.testing import CliRunner

from agents.cli import main
from agents.registry import RegistryUnavailable
from agents.schema_subjects import INCOMPATIBLE, LEVEL, NEW, REGISTERED, THERE, Contracts, differences, subjects
from schemas.contracts import FAMILIES, schema

pytestmark = [pytest.mark.broker, pytest.mark.registry, pytest.mark.xdist_group("apicurio")]


@pytest.fixture
def names():
    """Subjects of a test's own."""
    return {family: f"{uuid.uuid4().hex[:8]}-{family}-value" for family in FAMILIES}


@pytest.fixture
def contracts(apicurio, names):
    with closing(Contracts(apicurio.url, names)) as opened:
        yield opened


@pytest.fixture
def client(apicurio):
    with SchemaRegistryClient({"url": apicurio.url}) as opened:
        yield opened


def avro(contract):
    return RegisteredSchema(json.dumps(contract), "AVRO")


def changed(family, *, without=(), **new):
    fields = [field for field in schema(family)["fields"] if field["name"] not in without]
    return {**schema(family), "fields": [*fields, *({"name": name, **field} for name, field in new.items())]}


def by_family(found, field):
    return {subject.family: getattr(subject, field) for subject in found}


def test_all_four_families_are_registered_once_and_held_to_backward(contracts, client, names):
    assert set(by_family(contracts.looked_at(), "verdict").values()) == {NEW}

    first, second = contracts.registered(), contracts.registered()

    assert set(by_family(first, "verdict").values()) == {REGISTERED}
    assert set(by_family(second, "verdict").values()) == {THERE}
    assert by_family(first, "schema_id") == by_family(second, "schema_id") == by_family(contracts.looked_at(), "schema_id")
    for family, name in names.items():
        assert client.get_compatibility(name) == LEVEL
        assert json.loads(client.get_latest_version(name).schema.schema_str) == schema(family)


def test_what_was_registered_refuses_a_schema_that_could_not_read_it_and_takes_one_that_can(contracts, client, names):
    contracts.registered()

    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(names["order"], avro(changed("order", gift={"type": "string"})))
    assert refused.value.http_status_code == 409
    client.register_schema(names["order"], avro(changed("order", gift={"type": ["null", "string"], "default": None})))

    assert by_family(contracts.registered(), "version")["order"] == 1


def test_one_incompatible_contract_and_nothing_is_registered(contracts, client, names):
    client.register_schema(names["delivery"], avro(changed("delivery", without=["event_id"])))
    client.set_compatibility(names["delivery"], "NONE")

    found = contracts.registered()

    assert by_family(found, "verdict") == {"clickstream": NEW, "order": NEW, "delivery": INCOMPATIBLE, "ticket": NEW}
    assert by_family(found, "detail")["delivery"] == "with version 1: event_id is not in it, and has no default"
    assert not set(names.values()) - {names["delivery"]} & set(client.get_subjects())
    assert client.get_versions(names["delivery"]) == [1]


def test_a_subject_that_asks_for_more_is_not_loosened(contracts, client, names):
    contracts.registered()
    client.set_compatibility(names["ticket"], "FULL_TRANSITIVE")
    client.set_compatibility(names["order"], "FORWARD")

    levels = by_family(contracts.registered(), "level")

    assert (levels["ticket"], levels["order"]) == ("FULL_TRANSITIVE", LEVEL)


def test_what_differs_is_said():
    theirs = changed("order", without=["event_id", "site"], site={"type": "long"})

    assert list(differences(schema("order"), theirs)) == [
        "event_id is not in it, and has no default",
        "site is long in it, and string in ours",
    ]


def test_a_registry_that_does_not_answer_is_said_and_no_password():
    with (
        closing(Contracts("http://ann:secret@127.0.0.1:1", subjects("clicks"))) as nowhere,
        pytest.raises(RegistryUnavailable, match=r"Schema Registry 127\.0\.0\.1:1: ConnectError"),
    ):
        nowhere.registered()


# As commands ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch, apicurio):
    monkeypatch.setenv("EBBTIDE_KAFKA__SCHEMA_REGISTRY_URL", apicurio.url)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments, topic):
        monkeypatch.setenv("EBBTIDE_KAFKA__CLICKSTREAM_TOPIC", topic)
        done = CliRunner().invoke(main, ["schemas", *arguments])
        return done.exit_code, done.stdout, done.stderr

    return call


def test_the_command_registers_and_shows_what_stands_there(called):
    topic = f"clicks-{uuid.uuid4().hex[:8]}"

    code, shown, said = called("check", topic=topic)
    assert code == 0, said
    assert NEW in shown
    code, shown, said = called("register", "--json", topic=topic)

    assert code == 0, said
    assert shown.count("\n") == 1
    told = json.loads(shown)
    assert told["ok"]
    assert [(each["subject"], each["level"]) for each in told["subjects"]] == [
        (f"{name}-value", LEVEL) for name in (topic, "orders", "deliveries", "tickets", "ebbtide.alerts", "ebbtide.at_risk")
    ]
    _, shown, _ = called("register", topic=topic)
    assert f"{topic}-value" in shown
    assert THERE in shown


def test_the_command_refuses_what_is_incompatible(called, client):
    topic = f"clicks-{uuid.uuid4().hex[:8]}"
    client.register_schema(f"{topic}-value", avro(changed("clickstream", without=["visitor_id"])))

    code, shown, said = called("register", topic=topic)

    assert code == 1
    assert INCOMPATIBLE in shown
    assert "visitor_id is not in it, and has no default" in shown
    assert "our contract cannot read what stands there; nothing was registered" in said
    assert client.get_versions(f"{topic}-value") == [1]


def test_without_a_registry_nothing_need_be_registered(called, monkeypatch):
    monkeypatch.delenv("EBBTIDE_KAFKA__SCHEMA_REGISTRY_URL")

    code, _, said = called("register", topic="clicks")

    assert code == 1
    assert "kafka.schema_registry_url: no Schema Registry is set" in said
