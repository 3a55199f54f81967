"""Where schemas come from, and what it means when they do not come."""

import json
import threading
from datetime import UTC, datetime

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient

from agents.registry import (
    UNKNOWN_AT_ONCE,
    UNKNOWN_FOR_S,
    ConfluentRegistry,
    LocalRegistry,
    RegistryUnavailable,
    UnknownSchema,
    Writers,
    decoder,
)
from pipeline.decode import Bounds
from schemas.contracts import FAMILIES, local_registry, schema
from tests.schema_registry import APICURIO
from tests.wire import datum, framed, records

TOPICS = {"clickstream": "clickstream", "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
FAST = {"max.retries": 1, "retries.wait.ms": 1, "timeout": 2}
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
ORDER = {"event_id": "e", "event_type": "order_placed", "event_at": AT, "site": "shop", "order_id": "o"}


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tiny(tiny_registry, clock):
    registry = ConfluentRegistry(tiny_registry.url, TOPICS, settings=FAST, clock=clock)
    yield registry
    registry.close()


@pytest.fixture(params=["tiny_registry", pytest.param("apicurio", marks=APICURIO)])
def url(request):
    return request.getfixturevalue(request.param).url


@pytest.fixture
def connect(url):
    made = []

    def connected():
        made.append(ConfluentRegistry(url, TOPICS, settings=FAST))
        return made[-1]

    yield connected
    for registry in made:
        registry.close()


def registered(url, subject, contract):
    with SchemaRegistryClient({"url": url}) as client:
        return client.register_schema(subject, RegisteredSchema(json.dumps(contract), "AVRO"))


# The ids that ship ----------------------------------------------------------------------------------------------------------


def test_local_ids_are_those_that_ship():
    registry = LocalRegistry()

    for schema_id, (family, version) in local_registry().items():
        assert registry.writer(schema_id) == (family, schema(family, version))
    for family in FAMILIES:
        assert registry.writer(registry.schema_id(family)) == (family, schema(family))
    with pytest.raises(UnknownSchema):
        registry.writer(5_000)


def test_a_family_sees_its_own_schemas_alone():
    writers = Writers(LocalRegistry(), "order")

    assert writers.get(2) == schema("order")
    assert writers.get(1) is None
    assert writers.get(99) is None


def test_a_decoder_wants_nothing_but_records():
    decode = decoder(LocalRegistry(), "order", Bounds())

    decoded = decode(
        records([framed(2, datum(ORDER, schema("order"))), framed(1, b"\0"), framed(9, b"\0")], int(AT.timestamp() * 1000))
    )

    assert decoded.events["order_id"].to_list() == ["o"]
    assert decoded.rejects["reason"].to_list() == ["unknown_schema"] * 2


# A registry -----------------------------------------------------------------------------------------------------------------


def test_a_contract_is_registered_once_and_found_by_everybody(connect):
    ids = {family: connect().schema_id(family) for family in FAMILIES}

    assert {family: connect().schema_id(family) for family in FAMILIES} == ids
    assert len(set(ids.values())) == len(FAMILIES)
    for family, schema_id in ids.items():
        assert connect().writer(schema_id) == (family, schema(family))


def test_what_was_written_with_an_id_is_decoded_with_it(connect):
    schema_id = connect().schema_id("order")
    decode = decoder(connect(), "order", Bounds())

    decoded = decode(
        records([framed(schema_id, datum(ORDER, schema("order"))), framed(1_000_000, b"\0")], int(AT.timestamp() * 1000))
    )

    assert decoded.events["order_id"].to_list() == ["o"]
    assert decoded.rejects.select("reason", "schema_id").rows() == [("unknown_schema", 1_000_000)]


def test_a_later_version_of_a_producer_is_read(connect, url):
    connect().schema_id("order")
    later = {
        **schema("order"),
        "fields": [*schema("order")["fields"], {"name": "gift_wrap", "type": ["null", "boolean"], "default": None}],
    }
    schema_id = registered(url, "orders-value", later)

    decoded = decoder(connect(), "order", Bounds())(
        records([framed(schema_id, datum({**ORDER, "gift_wrap": True}, later))], int(AT.timestamp() * 1000))
    )

    assert decoded.events["order_id"].to_list() == ["o"]
    assert connect().writer(schema_id) == ("order", later)


def test_a_schema_of_another_subject_is_of_the_family_whose_name_it_has(connect, url):
    named = {"type": "record", "name": "order", "namespace": "shop", "fields": [{"name": "site", "type": "string"}]}
    strange = {"type": "record", "name": "weather", "fields": [{"name": "site", "type": "string"}]}
    no_record = {"type": "enum", "name": "colour", "symbols": ["RED"]}

    assert connect().writer(registered(url, "shop.order", named)) == ("order", named)
    for number, contract in enumerate((strange, no_record)):
        schema_id = registered(url, f"strange-{number}", contract)
        with pytest.raises(UnknownSchema):
            connect().writer(schema_id)


def test_an_unknown_id_is_unknown(connect):
    registry = connect()

    for _ in range(2):
        with pytest.raises(UnknownSchema):
            registry.writer(123_456_789)


# Its whims ------------------------------------------------------------------------------------------------------------------


def test_what_is_known_is_never_asked_for_again(tiny, tiny_registry):
    schema_id = tiny_registry.registered("orders-value", json.dumps(schema("order")))
    for _ in range(3):
        assert tiny.writer(schema_id)[0] == "order"
    asked = list(tiny_registry.asked)
    tiny_registry.answer = 500, b"{}"

    assert tiny.writer(schema_id)[0] == "order"
    assert tiny_registry.asked == asked == [f"GET /schemas/ids/{schema_id}", f"GET /schemas/ids/{schema_id}/subjects"]


def test_an_id_that_is_registered_later_is_found_later(tiny, tiny_registry, clock):
    with pytest.raises(UnknownSchema):
        tiny.writer(1)
    tiny_registry.registered("orders-value", json.dumps(schema("order")))

    with pytest.raises(UnknownSchema):
        tiny.writer(1)
    clock.now += UNKNOWN_FOR_S

    assert tiny.writer(1)[0] == "order"


def test_a_flood_of_made_up_ids_is_not_passed_on(tiny, tiny_registry, clock):
    for schema_id in range(1_000, 3_000):
        with pytest.raises(UnknownSchema):
            tiny.writer(schema_id)
    assert len(tiny_registry.asked) == UNKNOWN_AT_ONCE

    clock.now += UNKNOWN_FOR_S
    schema_id = tiny_registry.registered("tickets-value", json.dumps(schema("ticket")))

    assert tiny.writer(schema_id)[0] == "ticket"


@pytest.mark.parametrize(
    "answer",
    [
        (500, b'{"error_code": 50001, "message": "store"}'),
        (503, b"busy"),
        (401, b"who are you"),
        (200, b"<html>"),
        (404, b"<html>"),
    ],
)
def test_a_registry_that_fails_is_an_error_and_no_reject(tiny, tiny_registry, answer):
    tiny_registry.answer = answer

    with pytest.raises(RegistryUnavailable, match=r"Schema Registry http://127\.0\.0\.1:\d+ did not fetch schema 1: "):
        tiny.writer(1)
    with pytest.raises(RegistryUnavailable, match="did not register orders-value: "):
        tiny.schema_id("order")
    tiny_registry.answer = None
    schema_id = tiny_registry.registered("orders-value", json.dumps(schema("order")))

    assert tiny.writer(schema_id)[0] == "order", "nothing bad is remembered"


def test_a_registry_that_is_not_there_is_an_error_and_tells_no_password(tiny_registry):
    tiny_registry.stop()
    registry = ConfluentRegistry(tiny_registry.url.replace("http://", "http://ann:secret@"), TOPICS, settings=FAST)

    with pytest.raises(RegistryUnavailable, match="did not fetch schema 1: ConnectError") as failed:
        decoder(registry, "order", Bounds())(records([framed(1, b"\0")], 0))

    assert "secret" not in str(failed.value)


def test_a_family_without_a_topic_has_no_subject(tiny):
    with pytest.raises(KeyError, match="parcels"):
        tiny.schema_id("parcels")


def test_many_threads_ask_once(tiny, tiny_registry):
    schema_id = tiny_registry.registered("orders-value", json.dumps(schema("order")))
    found = []
    threads = [threading.Thread(target=lambda: found.append(tiny.writer(schema_id)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["order"] * 8
    assert len(tiny_registry.asked) == 2
