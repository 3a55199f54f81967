"""Whatever stands on a topic: the good is unchanged, the bad is rejected with its bytes, and no record changes another.

The oracle is fastavro, one datum at a time, and the checks again in plain Python.
"""

import io
import math
from datetime import UTC, datetime, timedelta

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import single_datums
from pipeline.datums import Body, columns
from pipeline.decode import Bounds, decode
from pipeline.events import event_schema
from pipeline.layouts import Place
from schemas.contracts import FAMILIES, event_types, required, schema
from tests.wire import SCHEMA_IDS, WRITERS, framed, records, value

BOUNDS = Bounds(max_string_bytes=40, max_text_bytes=90, max_message_bytes=4_000)
RECORD_AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
RECORD_MS = int(RECORD_AT.timestamp() * 1000)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAIN = {family: single_datums.plain_schema(tuple(  # times as numbers: of any size
    Place(field["name"], kind, isinstance(field["type"], list), is_time=False)
    for field in schema(family)["fields"]
    for plain in [field["type"][1] if isinstance(field["type"], list) else field["type"]]
    for kind in [plain["type"] if isinstance(plain, dict) else plain]
)) for family in FAMILIES}  # fmt: skip

soon = st.integers(-10_000, 700_000).map(lambda ms: RECORD_AT + timedelta(milliseconds=ms))
texts = st.text(st.characters(codec="utf-8"), max_size=14)
numbers = {"int": st.integers(-(1 << 31), (1 << 31) - 1), "long": st.integers(-(1 << 63), (1 << 63) - 1)}


@st.composite
def events(draw, family):
    """A sound event that says much or little."""
    event = {"event_type": draw(st.sampled_from(event_types(family))), "event_at": draw(soon)}
    for field in schema(family)["fields"]:
        name = field["name"]
        plain = field["type"][1] if isinstance(field["type"], list) else field["type"]
        if name in event or (isinstance(field["type"], list) and draw(st.integers(0, 3))):
            continue
        if isinstance(plain, dict):
            event[name] = draw(soon)
        elif plain == "string":
            event[name] = draw(texts.filter(bool) if name in required(family) else texts | st.just("x" * 64) | st.just("é" * 6))
        elif plain in numbers:
            event[name] = draw(st.integers(-3, 12) | numbers[plain])
        else:
            event[name] = draw(st.booleans() if plain == "boolean" else st.floats())
    return event


@st.composite
def hostile(draw, sound):  # noqa: PLR0911 - one for each way to spoil it
    """What may become of a sound value on its way, and what somebody may have made up."""
    how = draw(
        st.sampled_from(["cut", "longer", "flipped", "flipped", "flipped", "spliced", "forged", "made up", "none", "padded"])
    )
    if how == "cut":
        return sound[: draw(st.integers(0, len(sound) - 1))]
    if how == "longer":
        return sound + draw(st.binary(min_size=1, max_size=9))
    if how == "flipped":
        flipped = bytearray(sound)
        for _ in range(draw(st.integers(1, 3))):
            flipped[draw(st.integers(0, len(sound) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(flipped)
    if how == "spliced":
        at = draw(st.integers(5, len(sound)))
        return sound[:at] + draw(st.binary(max_size=12)) + sound[min(len(sound), at + draw(st.integers(0, 6))) :]
    if how == "padded":  # the same values in longer varints
        at = draw(st.integers(5, len(sound) - 1))
        return sound[:at] + bytes([sound[at] | 0x80]) + b"\x80" * draw(st.integers(0, 9)) + b"\0" + sound[at + 1 :]
    if how == "forged":  # a length, an index or a number that asks for too much
        huge = draw(
            st.sampled_from(
                [b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x03", b"\x80" * 11 + b"\1", b"\xfe\xff\xff\xff\x0f", b"\1", b"\4"]
            )
        )
        at = draw(st.integers(5, len(sound)))
        return sound[:at] + huge + sound[at + 1 :]
    if how == "made up":
        return draw(st.binary(max_size=60)) if draw(st.booleans()) else sound[:5] + draw(st.binary(max_size=60))
    return None


@st.composite
def topics(draw):
    """A family, and values of which some are sound."""
    family = draw(st.sampled_from(FAMILIES))
    sound = [value(event, family) for event in draw(st.lists(events(family), min_size=1, max_size=6))]
    values = []
    for each in sound:
        values.append(each)
        values += draw(st.lists(hostile(each), max_size=3))
    return family, draw(st.permutations(values))


def by_the_book(payload, family):  # noqa: PLR0911 - one for each thing to find
    """What one record is: its event, with `event_at` corrected and times in milliseconds, else the reason."""
    if payload is None:
        return "undecodable"
    if len(payload) > BOUNDS.max_message_bytes:
        return "too_long"
    if len(payload) < 6 or payload[0] != 0:
        return "undecodable"
    if int.from_bytes(payload[1:5], "big") != SCHEMA_IDS[family]:
        other = WRITERS.get(int.from_bytes(payload[1:5], "big"))
        return "unknown_schema" if other is None else "another family"
    body = payload[5:]
    try:
        event = fastavro.schemaless_reader(io.BytesIO(body), PLAIN[family])
        again = io.BytesIO()
        fastavro.schemaless_writer(again, PLAIN[family], event)
    except Exception:  # noqa: BLE001 - whatever it is, the datum is none
        return "undecodable"
    if again.getvalue() != body:
        return "undecodable"
    for field in PLAIN[family]["fields"]:
        said = event[field["name"]]
        if "int" in field["type"] and said is not None and abs(said + 0.5) > 1 << 31:
            return "undecodable"
    return reason_of(event, family) or event


def reason_of(event, family):  # noqa: PLR0911 - one for each rule
    """The checks again, in plain Python."""
    if any(event[name] in (None, "") for name in required(family)):
        return "missing_field"
    if event["sent_at"] is not None:
        far = 1 << 61
        event["event_at"] = max(-far, min(far, event["event_at"])) + RECORD_MS - max(-far, min(far, event["sent_at"]))
    if event["event_at"] > RECORD_MS + 600_000:
        return "from_the_future"
    if event["event_at"] < (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1):
        return "before_min_event_at"
    for name, said in event.items():
        if isinstance(said, str) and len(said.encode()) > (BOUNDS.max_text_bytes if name == "text" else BOUNDS.max_string_bytes):
            return "too_long"
    scores = {"csat_answered": (1, 5), "nps_answered": (0, 10), "ces_answered": (1, 7)}
    if family == "ticket" and event["event_type"] in scores and event["score"] is not None:
        least, most = scores[event["event_type"]]
        if not least <= event["score"] <= most:
            return "out_of_range"
    for name, said in event.items():
        if isinstance(said, float) and not math.isfinite(said):
            return "out_of_range"
        if name.endswith("_at") and said is not None and not -2_208_988_800_000 <= said <= 10_413_705_600_000:
            return "out_of_range"
    return None if event["event_type"] in event_types(family) else "unknown_type"


def told(decoded, family):
    """Offset -> the event with times in milliseconds, or the reason."""
    frame = decoded.events
    rows = frame.select(frame["offset"], *(frame[name].to_physical() for name in event_schema(family))).to_dicts()
    good = {row.pop("offset"): row for row in rows}
    bad = {row["offset"]: row["reason"] for row in decoded.rejects.to_dicts()}
    assert not set(good) & set(bad)
    return good | bad


def same(left, right):
    return left == right if isinstance(left, str) or isinstance(right, str) else repr(left) == repr(right)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(topics())
def test_every_record_is_what_it_is_alone_by_the_book(topic):
    family, values = topic
    others = {SCHEMA_IDS[family]: WRITERS[SCHEMA_IDS[family]]}

    decoded = decode(records(values, RECORD_MS), family, others, BOUNDS)

    found = told(decoded, family)
    assert sorted(found) == list(range(100, 100 + len(values)))
    for offset, payload in zip(range(100, 100 + len(values)), values, strict=True):
        expected = by_the_book(payload, family)
        expected = "unknown_schema" if expected == "another family" else expected
        assert same(found[offset], expected), (payload, found[offset], expected)
    assert decoded.events["offset"].is_sorted()
    assert decoded.rejects["offset"].is_sorted()
    for reject in decoded.rejects.to_dicts():
        assert reject["payload"] == values[reject["offset"] - 100]
        assert reject["key"] == b"key-%d" % reject["offset"]
        assert "\n" not in reject["detail"]
        assert reject["detail"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(topics(), st.randoms(use_true_random=False))
def test_neither_neighbours_nor_batches_change_a_record(topic, random):
    family, values = topic
    whole = records(values, RECORD_MS)
    at_once = told(decode(whole, family, WRITERS, BOUNDS), family)

    cut = random.randint(0, len(values))
    pieces = [whole.slice(0, cut), whole.slice(cut, len(values))]
    parts = {offset: said for piece in pieces for offset, said in told(decode(piece, family, WRITERS, BOUNDS), family).items()}

    assert repr(sorted(at_once.items())) == repr(sorted(parts.items()))


# Any flat schema ------------------------------------------------------------------------------------------------------------

layouts = st.lists(
    st.tuples(st.sampled_from(["string", "int", "long", "double", "boolean"]), st.booleans()), min_size=1, max_size=7
).map(lambda fields: tuple(Place(f"f{number}", kind, null, is_time=False) for number, (kind, null) in enumerate(fields)))
tokens = st.sampled_from([b"\x80" * 7, b"\xff" * 8, b"\x81" * 9, b"\x80" * 8 + b"\1", b"\xfe" * 7 + b"\1", b"\x28" + b"x" * 20])
octets = st.sampled_from([0, 0, 0, 1, 2, 2, 2, 3, 4, 6, 12, 0x7F, 0x80, 0x81, 0xC3, 0xA9, 0xFE, 0xFF]) | st.integers(0, 255)

datums = st.lists(octets.map(lambda octet: bytes([octet])) | tokens, max_size=24).map(b"".join)


@settings(max_examples=4000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layouts, st.lists(datums, min_size=1, max_size=20))
def test_what_is_read_at_once_is_what_is_read_alone(places, values):
    assert_read_alike(places, values)


@pytest.mark.parametrize("kind", ["string", "int", "long", "double", "boolean"])
@pytest.mark.parametrize("index", [None, b"\0", b"\1", b"\2", b"\4", b"\x82\0"])
def test_every_first_byte_is_read_at_once_as_it_is_alone(kind, index):
    """Short ones and long ones by themselves as well: where all are short, another way is taken."""
    places = (Place("f", kind, is_nullable=index is not None, is_time=False),)
    tails = [
        b"",
        b"\0",
        b"\1",
        b"a",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\xff\xff\xff\x0f",
        b"\xff\xff\xff\x1f",
        b"\x80" * 6 + b"\1",
        b"abcdefg",
        b"z" * 64,
    ]
    for firsts in (range(128), range(128, 256), range(256)):
        assert_read_alike(places, [(index or b"") + bytes([first]) + tail for first in firsts for tail in tails])


def assert_read_alike(places, values):
    body = Body(values)

    found = columns(body, body.starts, body.ends, places)

    plain = single_datums.plain_schema(places)
    lists = {name: None if series is None else series.to_list() for name, series in found.series.items()}
    for row, datum in enumerate(values):
        alone = single_datums.read(datum, plain, places)
        if not found.marked[row]:
            at_once = {name: None if column is None else column[row] for name, column in lists.items()}
            assert repr(at_once) == repr(alone), datum
        elif not isinstance(alone, str):
            assert any(isinstance(said, int) and abs(said) >= 1 << 54 for said in alone.values()), (
                "only huge numbers are marked and sound"
            )


def test_a_million_bytes_of_noise_crash_nothing():
    generator = np.random.default_rng(20_261_125)
    noise = [b"\0\0\0\0" + bytes([generator.integers(1, 5)]) + generator.bytes(generator.integers(0, 200)) for _ in range(10_000)]

    for family in FAMILIES:
        decoded = decode(records(noise, RECORD_MS), family, WRITERS, BOUNDS)

        assert decoded.events.height + decoded.rejects.height == len(noise)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_datum_does_not_borrow_from_its_neighbour(family):
    """The bytes that are missing in one are the first of the next: joined, they would be read as if nothing were wrong."""
    event = {
        "event_id": "aaaa", "event_type": event_types(family)[0], "event_at": RECORD_AT, "site": "shop",
        **dict.fromkeys(required(family)[4:], "bbbb"),
    }  # fmt: skip
    sound = value(event, family)
    for cut in range(6, len(sound)):
        rest = framed(SCHEMA_IDS[family], sound[cut:])
        decoded = decode(records([sound, sound[:cut], rest, sound], RECORD_MS), family, WRITERS, BOUNDS)

        assert decoded.events["offset"].to_list() == [100, 103]
        assert decoded.rejects["payload"].to_list() == [sound[:cut], rest]


def test_a_varint_of_nine_bytes_is_not_cut_at_the_eighth():
    places = (Place("n", "long", is_nullable=False, is_time=False), Place("b", "boolean", is_nullable=False, is_time=False))
    body = Body([b"\xff" * 8 + b"\1", b"\xff" * 8 + b"\1\1", b"\xff" * 7 + b"\1\1"])

    found = columns(body, body.starts, body.ends, places)

    assert found.marked.tolist() == [True, True, False]
