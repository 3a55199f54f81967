import os

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from agents.arrow_batches import Batch, messages, without_rows
from agents.topics import MESSAGE_BYTES
from pipeline.about import About, Source
from pipeline.frames import SESSIONS

SOURCE = Source("sessions", "clickstream", 3)
ABOUT = About(SOURCE, epoch=17, last_offset=4_711, watermark_ms=1_700_000_000_000, version=99, table="sessions")


def read_back(sent):
    return pl.concat([pl.DataFrame(pl.from_arrow(Batch(message).rows())) for message in sent])


def noise(rows, size):
    return pl.DataFrame({"at": range(rows), "payload": [os.urandom(size) for _ in range(rows)]})


def test_rows_are_read_back_with_their_version():
    rows = SESSIONS.conform(pl.DataFrame({"partition": [3, 3], "visitor_id": ["ann", "bob"], "steps": [["cart"], []]})).drop(
        "partition"
    )

    assert_frame_equal(read_back(messages(rows, ABOUT)), rows.with_columns(pl.lit(99, dtype=pl.Int64).alias("version")))


def test_who_said_it_stands_in_the_metadata_and_not_in_the_rows():
    (message,) = messages(pl.DataFrame({"site": ["shop"]}), ABOUT)
    batch = Batch(message)

    assert batch.about == ABOUT
    assert batch.rows().schema.metadata is None


@pytest.mark.parametrize("watermark_ms", [None, 0, -1])
def test_a_watermark_may_be_unknown_or_before_1970(watermark_ms):
    about = About(SOURCE, 1, 2, watermark_ms)

    assert Batch(without_rows(about)).about == about


def test_a_marker_has_no_rows():
    batch = Batch(without_rows(About(SOURCE, 18, 41, None, is_marker=True)))

    assert batch.about.is_marker
    assert batch.rows().num_rows == 0


def test_no_message_is_larger_than_every_broker_takes():
    rows = noise(3_000, 1_000)
    sent = list(messages(rows, ABOUT))

    assert len(sent) > 3
    assert max(map(len, sent)) <= MESSAGE_BYTES
    assert_frame_equal(read_back(sent).drop("version"), rows)


def test_what_compresses_well_is_one_message():
    rows = pl.DataFrame({"site": ["a shop with quite a long name"] * 50_000})

    assert len(list(messages(rows, ABOUT))) == 1


def test_a_row_that_alone_is_too_large_is_a_message_of_its_own():
    rows = pl.DataFrame({"payload": [b"small", os.urandom(MESSAGE_BYTES + 1), b"small too"]})
    sent = list(messages(rows, ABOUT))

    assert [len(message) > MESSAGE_BYTES for message in sent].count(True) == 1
    assert_frame_equal(read_back(sent).drop("version"), rows)


@pytest.mark.parametrize(
    "message",
    [b"", b"hello", bytes(100), noise(1, 10).write_ipc_stream(None).getvalue()],
    ids=["nothing", "text", "zeros", "somebody else's"],
)
def test_what_is_no_batch_of_ours_is_refused(message):
    with pytest.raises(ValueError, match="no Arrow batch of ours"):
        Batch(message)
