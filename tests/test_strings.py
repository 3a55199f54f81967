"""Strings in polars: what is none, and what is kept alive."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.strings import misread, owned, texts


def held(series):
    """Bytes of all buffers that a column of strings keeps alive."""
    return sum(buffer.size for buffer in series.to_arrow(compat_level=pl.CompatLevel.newest()).buffers() if buffer is not None)


def as_text(octets):
    try:
        return None if octets is None else octets.decode()
    except UnicodeDecodeError:
        return None


@settings(deadline=None)
@given(
    st.lists(st.none() | st.binary(max_size=4) | st.text(st.characters(codec="utf-8"), max_size=30).map(str.encode), max_size=200)
)
def test_what_is_no_utf8_is_null(values):
    octets = pl.Series("said", values, pl.Binary)

    assert texts(octets).to_list() == [as_text(value) for value in values]
    assert texts(octets).name == "said"
    assert misread(octets).tolist() == [row for row, value in enumerate(values) if value is not None and as_text(value) is None]


def test_one_bad_string_among_many_is_found():
    values = [b"sound" * (row % 9) for row in range(5_000)]
    values[4_321] = b"\xff"

    assert misread(pl.Series(values)).tolist() == [4_321]


def test_rows_that_are_kept_hold_no_more_than_themselves():
    batch = pl.DataFrame({"visitor_id": [f"a visitor with a long name {row}" for row in range(10_000)], "n": range(10_000)})
    few = batch.filter(pl.col("n") % 1_000 == 0)

    kept = owned(few)

    assert_frame_equal(kept, few)
    assert held(few["visitor_id"]) > 200_000, "a filter copies views, not strings"
    assert held(kept["visitor_id"]) < 2_000


@pytest.mark.parametrize("values", [[], [None], ["", None, "ü" * 40]])
def test_a_copy_is_the_same_frame(values):
    frame = pl.DataFrame({"text": pl.Series(values, dtype=pl.String), "n": pl.Series([1] * len(values), dtype=pl.Int32)})

    assert_frame_equal(owned(frame), frame)
    assert_frame_equal(owned(pl.concat([frame, frame], rechunk=False)), pl.concat([frame, frame]))
