"""The contracts, their examples and their catalogue."""

from datetime import datetime
from itertools import pairwise

import fastavro
import pytest

from pipeline.decode import Bounds, decode
from pipeline.events import event_schema
from pipeline.layouts import fitting
from pipeline.rejects import Reason
from schemas.contracts import FAMILIES, PUBLISHED, event_types, examples, local_registry, required, schema, versions
from schemas.document import TOOLS, catalogue, main
from tests.wire import SCHEMA_IDS, WRITERS, datum, event_of, framed, loose, records, value

COMMON = ["event_id", "event_type", "event_at", "sent_at", "site", "visitor_id", "session_id", "customer_id", "account_id"]
EVERY = [(family, version) for family in FAMILIES for version in versions(family)]
LOOSE = 77


def named(*, valid):
    return [
        pytest.param(family, example, id=f"{family}-{name}")
        for family in FAMILIES
        for name, example in examples(family, valid=valid).items()
    ]


def in_ms(at):
    return int(datetime.fromisoformat(at).timestamp() * 1000)


@pytest.mark.parametrize(("family", "version"), EVERY)
def test_a_contract_is_a_flat_record_that_begins_like_all_others(family, version):
    contract = schema(family, version)
    names = [field["name"] for field in contract["fields"]]

    assert (contract["name"], contract["namespace"]) == (family, "ebbtide")
    assert names[: len(COMMON)] == COMMON
    assert len(set(names)) == len(names)
    assert [place.name for place in fitting(contract, family)] == names
    fastavro.parse_schema(dict(contract))


@pytest.mark.parametrize(("family", "version"), EVERY)
def test_what_is_nullable_is_null_unless_said_otherwise(family, version):
    nullable = [field for field in schema(family, version)["fields"] if isinstance(field["type"], list)]

    assert all(field["default"] is None and field["type"][0] == "null" for field in nullable)


@pytest.mark.parametrize(("family", "version"), EVERY)
def test_every_field_is_explained(family, version):
    for field in schema(family, version)["fields"]:
        assert field["doc"]
        assert set(field.get("aka", {})) <= set(TOOLS)
        if field["name"].endswith(("_ms", "_px", "_minor")):
            assert field["unit"]


def test_what_a_family_requires():
    assert {family: required(family)[4:] for family in FAMILIES} == {
        "clickstream": ("visitor_id",),
        "order": ("order_id",),
        "delivery": ("delivery_id",),
        "ticket": (),
    }
    assert all(required(family)[:4] == ("event_id", "event_type", "event_at", "site") for family in FAMILIES)


def test_how_many_fields_and_types_each_family_has():
    assert {family: (len(event_schema(family)), len(event_types(family))) for family in FAMILIES} == {
        "clickstream": (46, 40),
        "order": (30, 28),
        "delivery": (17, 11),
        "ticket": (23, 16),
    }
    assert all(len(set(event_types(family))) == len(event_types(family)) for family in FAMILIES)


def test_the_newest_version_is_what_one_gets():
    assert schema("order") == schema("order", versions("order")[-1])
    with pytest.raises(KeyError, match="no version 99"):
        schema("order", 99)
    with pytest.raises(KeyError):
        schema("orders")


def only_grows(older, newer):
    """Whether a version may follow another: more nullable fields, wider numbers, nothing else."""
    wider = [("int", "long"), ("int", "double"), ("long", "double")]
    before, after = ({field["name"]: field["type"] for field in contract["fields"]} for contract in (older, newer))
    kept = all(
        after.get(name) == avro
        or (isinstance(avro, list) and isinstance(after.get(name), list) and (avro[1], after[name][1]) in wider)
        or (isinstance(avro, str) and (avro, after.get(name)) in wider)
        for name, avro in before.items()
    )
    added = [avro for name, avro in after.items() if name not in before]
    return kept and all(isinstance(avro, list) and avro[0] == "null" for avro in added)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_later_version_only_adds_nullable_fields_or_widens_numbers(family):
    known = [schema(family, version) for version in versions(family)]

    assert all(only_grows(older, newer) for older, newer in pairwise(known))


def test_that_rule_finds_what_breaks_it():
    def contract(**fields):
        return {"fields": [{"name": name, "type": avro} for name, avro in fields.items()]}

    first = contract(site="string", score=["null", "int"])
    assert only_grows(first, contract(site="string", score=["null", "long"], mood=["null", "string"]))
    assert not only_grows(first, contract(site="string"))
    assert not only_grows(first, contract(site="string", score=["null", "int"], mood="string"))
    assert not only_grows(first, contract(site=["null", "string"], score=["null", "int"]))
    assert not only_grows(first, contract(site="string", score=["null", "string"]))


def test_every_version_has_one_schema_id_for_ever():
    known = local_registry()

    assert sorted(known.values()) == sorted([*EVERY, *((table, version) for table in PUBLISHED for version in versions(table))])
    assert {known[number] for number in (1, 2, 3, 4)} == {(family, 1) for family in FAMILIES}
    assert known[1] == ("clickstream", 1)


@pytest.mark.parametrize(("family", "example"), named(valid=True))
def test_a_valid_example_is_decoded(family, example):
    event = event_of(example, family)
    record_ms = in_ms(example.get("sent_at", example["event_at"]))

    decoded = decode(records([value(event, family)], record_ms), family, WRITERS, Bounds())

    assert decoded.rejects.to_dicts() == []
    (row,) = decoded.events.select(event_schema(family).names()).to_dicts()
    assert {name: said for name, said in row.items() if said is not None} == event


@pytest.mark.parametrize(("family", "example"), named(valid=False))
def test_an_invalid_example_is_rejected_for_the_reason_that_it_says(family, example):
    if "hex" in example:
        bad, record_ms = bytes.fromhex(example["hex"]), 0
    else:
        event = event_of(example["event"], family)
        bad = framed(LOOSE, datum(event, loose(schema(family))))
        record_ms = in_ms(example.get("record_at", example["event"]["event_at"]))

    decoded = decode(records([bad], record_ms), family, {**WRITERS, LOOSE: loose(schema(family))}, Bounds())

    assert decoded.events.is_empty()
    (reject,) = decoded.rejects.to_dicts()
    assert reject["reason"] == example["reason"], reject["detail"]
    assert reject["payload"] == bad
    assert example["why"]


def test_every_reason_has_an_example():
    told = {example["reason"] for family in FAMILIES for example in examples(family, valid=False).values()}

    assert told == set(Reason) - {Reason.TOO_LATE}, "late is a fold's to say"


@pytest.mark.parametrize("family", FAMILIES)
def test_an_example_has_only_fields_of_its_family(family):
    known = set(event_schema(family))
    events = [*examples(family, valid=True).values(), *(bad.get("event", {}) for bad in examples(family, valid=False).values())]

    assert all(set(event) <= known for event in events)


def test_the_catalogue_is_what_the_contracts_say():
    assert main(["--check"]) == 0, "schemas/README.md is old: `make docs` writes it again"


def test_the_catalogue_names_everything_and_its_other_names():
    page = catalogue()

    for family in FAMILIES:
        assert all(f"`{name}`" in page for name in [*event_schema(family), *event_types(family)])
    assert all(f"{tool}: " in page for tool in TOOLS)


def test_the_ids_in_the_tests_are_those_that_ship():
    assert all(local_registry()[schema_id] == (family, 1) for family, schema_id in SCHEMA_IDS.items())
