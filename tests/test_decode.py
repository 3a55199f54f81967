"""Records to events: what is read, how fast a way it takes, and what becomes of the rest."""

from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline import decode as decoding
from pipeline import readings, single_datums
from pipeline.decode import Bounds, Records, decode
from pipeline.encode import encode
from pipeline.events import POSITION, event_schema
from pipeline.frames import REJECTS
from pipeline.layouts import NotFlat, Place, fitting, layout
from pipeline.rejects import Reason
from pipeline.simulator.simulator import simulated
from schemas.contracts import FAMILIES, event_types, examples, required, schema
from tests.wire import SCHEMA_IDS, WRITERS, datum, event_of, framed, loose, records, value

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)


def smallest(family, **fields):
    return (
        {"event_id": "e", "event_type": event_types(family)[0], "event_at": AT, "site": "shop"}
        | dict.fromkeys(required(family)[4:], "x")
        | fields
    )


def reasons(decoded):
    return dict(decoded.rejects.select("offset", "reason").iter_rows())


def detail(decoded):
    (said,) = decoded.rejects["detail"]
    return said


@pytest.fixture(scope="module")
def clicks():
    return simulated(11, 20_000).events


@pytest.fixture
def alone(monkeypatch):
    """How many datums were read alone."""
    read, seen = single_datums.read, []

    def counted(*arguments):
        seen.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(readings.single_datums, "read", counted)
    return seen


# The fast way ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_examples_of_every_family_take_the_fast_way(family, alone):
    events = [event_of(example, family) for example in examples(family, valid=True).values()]
    at_ms = [int((event.get("sent_at") or event["event_at"]).timestamp() * 1000) for event in events]

    decoded = decode(records([value(event, family) for event in events], at_ms), family, WRITERS, Bounds())

    assert (decoded.events.height, decoded.n_slow, alone) == (len(events), 0, [])


def test_what_a_shop_sends_takes_the_fast_way(clicks, alone):
    values = encode(clicks, "clickstream", 1)
    n = len(values)

    decoded = decode(
        Records([0] * n, range(n), clicks["record_at"].to_physical().to_list(), [None] * n, values),
        "clickstream",
        WRITERS,
        Bounds(),
    )

    assert (decoded.rejects.height, decoded.n_slow, alone) == (0, 0, [])
    assert_frame_equal(decoded.events.select(clicks.columns), clicks)


def test_one_bad_datum_sends_only_itself_the_slow_way(alone):
    sound = [value(smallest("order", event_id=f"e{number}"), "order") for number in range(50)]
    values = [*sound[:20], sound[20][:-1], *sound[20:]]

    decoded = decode(records(values, AT_MS), "order", WRITERS, Bounds())

    assert decoded.events["event_id"].to_list() == [f"e{number}" for number in range(50)]
    assert reasons(decoded) == {120: "undecodable"}
    assert decoded.n_slow == len(alone) == 1


def test_a_huge_number_takes_the_slow_way_and_is_sound():
    events = [
        smallest("clickstream", sequence=sequence, event_id=str(sequence))
        for sequence in (1, (1 << 63) - 1, -(1 << 63), 1 << 55, 7)
    ]

    decoded = decode(records([value(event, "clickstream") for event in events], AT_MS), "clickstream", WRITERS, Bounds())

    assert decoded.events["sequence"].to_list() == [event["sequence"] for event in events]
    assert decoded.n_slow == 3


# The frame ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frame_has_the_columns_of_the_contract_and_where_each_record_lay(family):
    decoded = decode(records([value(smallest(family), family)], AT_MS), family, WRITERS, Bounds())

    assert decoded.events.schema == pl.Schema({**event_schema(family), **POSITION})
    assert decoded.events.select(*POSITION).rows() == [(3, 100, AT)]
    assert decoded.rejects.schema == REJECTS


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_read_is_an_empty_frame(family):
    decoded = decode(Records([], [], [], [], []), family, WRITERS, Bounds())

    assert decoded.events.schema == pl.Schema({**event_schema(family), **POSITION})
    assert decoded.events.is_empty()
    assert decoded.rejects.schema == REJECTS
    assert decoded.rejects.is_empty()


def test_a_frame_is_one_chunk_whatever_it_was_read_from():
    """Some expressions of polars 2.1 panic on columns of several chunks."""
    sound = value(smallest("order"), "order")
    values = [sound, sound[:-1], value(smallest("order", amount_minor=1 << 60), "order"), framed(9, sound[5:]), sound]

    decoded = decode(records(values, AT_MS), "order", {**WRITERS, 9: schema("order")}, Bounds())

    assert decoded.events.height == 4
    assert set(decoded.events.n_chunks("all")) == {1}


def test_more_than_is_joined_at_once_is_decoded_in_pieces(monkeypatch):
    values = [value(smallest("ticket", event_id=f"e{number}", text="t" * 50 * number), "ticket") for number in range(12)]
    values[5] = None
    whole = decode(records(values, AT_MS), "ticket", WRITERS, Bounds())
    monkeypatch.setattr(decoding, "_AT_ONCE", 700)

    pieces = decode(records(values, AT_MS), "ticket", WRITERS, Bounds())

    assert_frame_equal(pieces.events, whole.events)
    assert_frame_equal(pieces.rejects, whole.rejects)
    assert set(pieces.events.n_chunks("all")) == {1}


def test_records_are_cut_like_lists():
    whole = Records([1, 1, 2], [7, 8, 0], [10, 11, 12], [b"a", None, b"c"], [b"x", b"y", None])

    assert len(whole) == 3
    assert whole.slice(1, 3) == Records([1, 2], [8, 0], [11, 12], [None, b"c"], [b"y", None])


def test_records_of_several_schema_ids_keep_their_order():
    kinds = [1, 41, 1, 42, 41, 1]
    values = [
        framed(
            kind,
            datum(
                smallest("clickstream", event_id=str(number)), loose(schema("clickstream")) if kind == 42 else schema("clickstream")
            ),
        )
        for number, kind in enumerate(kinds)
    ]

    decoded = decode(
        records(values, AT_MS),
        "clickstream",
        {1: schema("clickstream"), 41: schema("clickstream"), 42: loose(schema("clickstream"))},
        Bounds(),
    )

    assert decoded.events["event_id"].to_list() == list("012345")
    assert decoded.events["offset"].to_list() == list(range(100, 106))


# Other versions -------------------------------------------------------------------------------------------------------------


def changed(family, *, drop=(), add=(), types=None):
    fields = [{**field, "type": (types or {}).get(field["name"], field["type"])} for field in schema(family)["fields"]]
    return {**schema(family), "fields": [*add[:1], *(field for field in fields if field["name"] not in drop), *add[1:]]}


def nullable(name, avro):
    return {"name": name, "type": ["null", avro], "default": None}


def decoded_as(writer, event, family="clickstream"):
    return decode(records([framed(8, datum(event, writer))], AT_MS), family, {8: writer}, Bounds())


def test_columns_of_a_later_version_are_left_out():
    later = changed(
        "clickstream",
        add=[
            nullable("mood", "string"),
            nullable("a_number", "long"),
            nullable("z_time", {"type": "long", "logicalType": "timestamp-millis"}),
            nullable("is_odd", "boolean"),
        ],
    )
    event = smallest("clickstream", page="/a", is_bot=True, mood="fine", a_number=-(1 << 40), z_time=AT, is_odd=False)

    decoded = decoded_as(later, event)

    assert decoded.events.columns == [*event_schema("clickstream"), *POSITION]
    assert decoded.events.select("event_id", "page", "is_bot").rows() == [("e", "/a", True)]
    assert decoded.n_slow == 0


def test_columns_of_an_earlier_version_are_null():
    earlier = changed("clickstream", drop=("page", "is_bot", "sent_at"))

    decoded = decoded_as(earlier, smallest("clickstream", query="shoes"))

    assert decoded.events.select("page", "is_bot", "sent_at", "query").rows() == [(None, None, None, "shoes")]


def test_a_writer_without_a_required_column_is_told_so():
    decoded = decoded_as(changed("clickstream", drop=("visitor_id",)), smallest("clickstream"))

    assert (reasons(decoded), detail(decoded)) == ({100: "missing_field"}, "visitor_id is missing")


@pytest.mark.parametrize(
    ("said", "reason"), [(7, None), (-(1 << 31), None), (1 << 31, "out_of_range"), ((1 << 63) - 1, "out_of_range")]
)
def test_a_number_that_a_later_version_made_wider_is_read_as_long_as_it_fits(said, reason):
    wider = changed("clickstream", types={"status": ["null", "long"]})

    decoded = decoded_as(wider, smallest("clickstream", status=said))

    assert list(reasons(decoded).values()) == ([] if reason is None else [reason])
    assert decoded.events["status"].to_list() == ([said] if reason is None else [])
    if reason:
        assert detail(decoded) == "status is larger than its column"


def test_a_narrower_number_of_an_earlier_version_is_read():
    narrower = changed("clickstream", types={"amount_minor": ["null", "int"], "value": ["null", "long"]})

    decoded = decoded_as(narrower, smallest("clickstream", amount_minor=1290, value=3))

    assert decoded.events.select("amount_minor", "value").rows() == [(1290, 3.0)]


# What is no event -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (None, "no value"),
        (b"", "0 bytes are no Confluent frame"),
        (b"\0\0\0\0\1", "5 bytes are no Confluent frame"),
        (b"\1\0\0\0\1abc", "the first byte is 1, that of a Confluent frame 0"),
        (b'{"event_type": "page_view"}', "the first byte is 123, that of a Confluent frame 0"),
    ],
)
def test_what_is_no_frame_is_undecodable(bad, said):
    decoded = decode(records([bad], AT_MS), "clickstream", WRITERS, Bounds())

    assert decoded.rejects.rows() == [(3, 100, AT, "undecodable", said, None, b"key-100", bad)]


def test_trailing_bytes_and_what_reads_otherwise_are_told():
    sound = value(smallest("order", is_reorder=True), "order")
    place = sound.rindex(b"\2\1")

    trailing = decode(records([sound + b"\0"], AT_MS), "order", WRITERS, Bounds())
    truth = decode(records([sound[:place] + b"\2\2" + sound[place + 2 :]], AT_MS), "order", WRITERS, Bounds())

    assert detail(trailing) == "1 bytes follow the datum"
    assert detail(truth) == "encoding it again gives other bytes"


def test_an_int_of_more_than_32_bits_is_no_int():
    contract = schema("clickstream")
    wide = {
        **contract,
        "fields": [field if field["name"] != "status" else {**field, "type": ["null", "long"]} for field in contract["fields"]],
    }

    decoded = decode(
        records([framed(1, datum(smallest("clickstream", status=1 << 31), wide))], AT_MS), "clickstream", WRITERS, Bounds()
    )

    assert reasons(decoded) == {100: "undecodable"}
    plain = (Place("n", "int", is_nullable=False, is_time=False),)
    assert (
        single_datums.read(b"\x80\x80\x80\x80\x10", single_datums.plain_schema(plain), plain) == "n is an int of more than 32 bits"
    )


def test_a_string_that_is_no_utf8_is_found_among_good_ones():
    good = [value(smallest("ticket", event_id=f"e{number}", text="grün" * number), "ticket") for number in range(100)]
    bad = value(smallest("ticket", text="abcd" * 9), "ticket").replace(b"abcd", b"ab\xff\xfe")

    decoded = decode(records([*good[:60], bad, *good[60:], bad], AT_MS), "ticket", WRITERS, Bounds())

    assert reasons(decoded) == {160: "undecodable", 201: "undecodable"}
    assert decoded.events["text"].to_list() == ["grün" * number for number in range(100)]
    assert decoded.rejects["detail"].str.starts_with("UnicodeDecodeError").all()


def test_a_message_above_the_limit_is_not_even_joined():
    large = value(smallest("ticket", text="t" * 2_000), "ticket")
    sound = value(smallest("ticket"), "ticket")

    decoded = decode(records([sound, large, sound], AT_MS), "ticket", WRITERS, Bounds(max_message_bytes=1_000))

    assert reasons(decoded) == {101: "too_long"}
    assert detail(decoded) == f"the message has {len(large)} bytes, 1000 allowed"
    assert decoded.rejects["payload"].to_list() == [large]


def test_a_length_of_exabytes_asks_for_no_memory():
    sound = value(smallest("ticket"), "ticket")
    forged = [
        sound[:5] + length + sound[6:] for length in (b"\xfe" + b"\xff" * 8 + b"\1", b"\xfe\xff\xff\xff\x7f", b"\1", b"\xff" * 12)
    ]

    decoded = decode(records([sound, *forged, sound], AT_MS), "ticket", WRITERS, Bounds())

    assert decoded.events["offset"].to_list() == [100, 105]
    assert reasons(decoded) == dict.fromkeys(range(101, 105), "undecodable")


# Schemas --------------------------------------------------------------------------------------------------------------------


def test_an_unknown_schema_id_is_told():
    decoded = decode(records([framed(0xFFFFFFFE, b"\2a"), framed(5, b"\2a")], AT_MS), "clickstream", WRITERS, Bounds())

    assert reasons(decoded) == {100: "unknown_schema", 101: "unknown_schema"}
    assert decoded.rejects["detail"].to_list() == [
        "no schema with id 4294967294 for clickstream",
        "no schema with id 5 for clickstream",
    ]
    assert decoded.rejects["schema_id"].to_list() == [-2, 5]


RECURSIVE = {
    "type": "record",
    "name": "node",
    "fields": [{"name": "site", "type": "string"}, {"name": "next", "type": ["null", "node"]}],
}


@pytest.mark.parametrize(
    ("writer", "said"),
    [
        ("string", "the schema is not a record with fields"),
        ({"type": "record", "name": "x", "fields": []}, "the schema is not a record with fields"),
        ({"type": "array", "items": "null"}, "the schema is not a record with fields"),
        (RECURSIVE, "field next is of a type that is not read"),
        ({"type": "record", "name": "x", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}, "field a is of a type that is not read"),
        ({"type": "record", "name": "x", "fields": [{"name": "a", "type": ["string", "null"]}]}, "field a is a union other than null and one type"),
        ({"type": "record", "name": "x", "fields": [{"name": "a", "type": ["null", "string", "int"]}]}, "field a is a union other than null and one type"),
        ({"type": "record", "name": "x", "fields": [{"name": "a", "type": "string"}] * 2}, "two fields have one name"),
        ({"type": "record", "name": "x", "fields": [{"type": "string"}]}, "a field has no name"),
        ({"type": "record", "name": "x", "fields": [{"name": "a", "type": "string"}]}, "it has no field of the family clickstream"),
        ({"type": "record", "name": "x", "fields": [{"name": "status", "type": "string"}]}, "field status is string, and Int32 in the contract"),
        ({"type": "record", "name": "x", "fields": [{"name": "event_at", "type": "long"}]}, "field event_at is long, and Datetime(time_unit='ms', time_zone='UTC') in the contract"),
        ({"type": "record", "name": "x", "fields": [{"name": "event_at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}, "field event_at is long, and Datetime(time_unit='ms', time_zone='UTC') in the contract"),
        ({"type": "record", "name": "x", "fields": [{"name": "sequence", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}, "field sequence is timestamp-millis, and Int64 in the contract"),
        ({"type": "record", "name": "x", "fields": [nullable(f"f{number}", "string") for number in range(2_000)] + [{"name": "site", "type": "string"}]}, "the schema has 2001 fields, 991 allowed"),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_flat_is_not_read(writer, said):
    decoded = decode(records([framed(6, b"\2a\2a")], AT_MS), "clickstream", {6: writer}, Bounds())

    assert (reasons(decoded), detail(decoded)) == ({100: "unknown_schema"}, f"schema 6: {said}")


def test_annotated_types_lie_as_plain_ones():
    writer = {"type": "record", "name": "x", "fields": [{"name": "site", "type": {"type": "string", "avro.java.string": "String"}}]}

    (place,) = fitting(writer, "order")

    assert (place.name, place.kind, place.is_nullable) == ("site", "string", False)
    with pytest.raises(NotFlat):
        layout({"type": "record", "name": "x", "fields": [{"name": "a", "type": {"type": "fixed", "size": 3, "name": "b"}}]})


def test_a_flood_of_made_up_ids_is_asked_for_after_the_real_ones_and_once_each():
    asked = []

    class Asked(dict):
        def get(self, schema_id, default=None):
            asked.append(schema_id)
            return super().get(schema_id, default)

    sound = value(smallest("order"), "order")
    forged = [framed(1_000 + number, sound[5:]) for number in range(20_000)]

    decoded = decode(records([*forged, sound, sound, *forged[:3]], AT_MS), "order", Asked(WRITERS), Bounds())

    assert decoded.events["offset"].to_list() == [20_100, 20_101]
    assert len(asked) == len(set(asked)) == 20_001
    assert 2 in asked[:4]
    assert set(decoded.rejects["detail"]) == {f"no schema with id {1_000 + number} for order" for number in range(20_000)}


@pytest.mark.parametrize("family", FAMILIES)
def test_another_familys_schema_is_not_taken_for_this_one(family):
    writers = {SCHEMA_IDS[family]: schema(family)}
    values = [value(smallest(other), other) for other in FAMILIES]

    decoded = decode(records(values, AT_MS), family, writers, Bounds())

    assert set(reasons(decoded).values()) == {Reason.UNKNOWN_SCHEMA}
    assert decoded.events.height == 1
