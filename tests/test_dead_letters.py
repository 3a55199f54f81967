from datetime import UTC, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dead_letters import LARGEST_PAYLOAD, LONGEST_KEY, dead_letters, is_cut, key_bytes, key_text, with_bytes
from pipeline.about import Source
from pipeline.decode import Records
from pipeline.frames import DEAD_LETTERS, REFUSED, REJECTS

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
SOURCE = Source("sessions", "clickstream", 3)


def rejected(**fields):
    row = {"partition": 3, "offset": 41, "record_at": AT, "reason": "undecodable", "detail": "", "payload": b"\xff"} | fields
    return pl.DataFrame([row], schema=REJECTS)


def letter(**fields):
    letters = dead_letters(rejected(**fields), SOURCE, cluster_id="cluster", family="clickstream")
    assert letters.schema == DEAD_LETTERS.schema
    return letters.row(0, named=True)


def test_a_dead_letter_says_where_it_lay_and_why_and_keeps_its_bytes():
    found = letter(schema_id=7, key=b"ann")

    assert (found["cluster_id"], found["topic"], found["partition"], found["offset"], found["row"]) == (
        "cluster",
        "clickstream",
        3,
        41,
        0,
    )
    assert (found["stage"], found["family"], found["reason"], found["schema_id"]) == ("sessions", "clickstream", "undecodable", 7)
    assert (found["key"], found["payload"], found["received_at"]) == ("ann", b"\xff", AT)
    assert (found["site"], found["replayed_at"], found["is_deleted"]) == ("", None, 0)


def test_a_key_that_is_no_text_is_shown_in_hex():
    assert letter(key=b"\xff\x00")["key"] == "0xff00"


@settings(deadline=None)
@given(st.one_of(st.binary(min_size=1, max_size=8), st.text(min_size=1).map(str.encode), st.just(b"0xff"), st.just(b"0x")))
def test_every_key_can_be_had_back_from_its_text(key):
    assert key_bytes(key_text(key)) == key


def test_no_key_is_none_again():
    assert key_bytes(letter(key=None)["key"]) is None


def test_a_key_too_long_is_cut_and_says_so():
    found = letter(key=b"k" * (LONGEST_KEY + 1), detail="d")

    assert len(found["key"]) == LONGEST_KEY
    assert found["detail"] == f"d [the first 4 KiB of a key of {LONGEST_KEY + 1} bytes]"
    assert is_cut(found["detail"])
    assert not is_cut(letter(key=b"k" * LONGEST_KEY)["detail"])


def test_no_key_no_payload_and_no_schema_are_nothing():
    found = letter(key=None, payload=None, schema_id=None, detail=None)

    assert (found["key"], found["payload"], found["schema_id"], found["detail"]) == ("", b"", None, "")


def test_a_payload_too_large_for_a_message_is_cut_and_says_so():
    found = letter(payload=b"x" * (LARGEST_PAYLOAD + 5), detail="too long")

    assert len(found["payload"]) == LARGEST_PAYLOAD
    assert found["detail"] == f"too long [the first MiB of {LARGEST_PAYLOAD + 5} bytes]"
    assert is_cut(found["detail"])


def test_what_a_fold_refused_gets_the_bytes_of_its_record():
    records = Records([3, 3, 4], [40, 41, 41], [1, 2, 3], [b"a", None, b"c"], [b"A", b"B", b"C"])
    refused = pl.DataFrame(
        {"partition": [4, 3], "offset": [41, 41], "reason": ["too_late"] * 2, "detail": [""] * 2}, schema=REFUSED
    )

    found = with_bytes(refused, records)

    assert found.schema == REJECTS
    assert found["payload"].to_list() == [b"C", b"B"]
    assert found["key"].to_list() == [b"c", None]
    assert found["record_at"].dt.epoch("ms").to_list() == [3, 2]
