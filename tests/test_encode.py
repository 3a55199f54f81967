"""What is encoded is what fastavro would have written, byte for byte."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.decode import Bounds, Records, decode
from pipeline.encode import encode
from pipeline.events import POSITION, event_schema
from pipeline.simulator.simulator import simulated
from schemas.contracts import FAMILIES, required, schema
from tests.wire import datum, framed

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)).map(  # noqa: DTZ001 - hypothesis wants them so
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
values = {
    pl.String: st.text(st.characters(codec="utf-8"), max_size=80)
    | st.integers(60, 70).map(lambda n: "x" * n)
    | st.just("ü" * 5_000),
    pl.Int32: st.integers(-(1 << 31), (1 << 31) - 1) | st.integers(-70, 70),
    pl.Int64: st.integers(-(1 << 63), (1 << 63) - 1)
    | st.integers(-70, 70)
    | st.integers(0, 63).map(lambda bits: 1 << bits - 1 if bits else 0),
    pl.Float64: st.floats(),
    pl.Boolean: st.booleans(),
    pl.Datetime: times,
}


@st.composite
def frames(draw):
    family = draw(st.sampled_from(FAMILIES))
    told = draw(st.sets(st.sampled_from(event_schema(family).names())))
    rows = [
        {
            name: draw(values[type(dtype)] if name in required(family) else st.none() | values[type(dtype)])
            for name, dtype in event_schema(family).items()
            if name in told or name in required(family)
        }
        for _ in range(draw(st.integers(1, 5)))
    ]
    return family, pl.DataFrame(rows, schema={name: event_schema(family)[name] for name in rows[0]})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(frames(), st.integers(0, (1 << 32) - 1))
def test_a_frame_becomes_the_bytes_that_fastavro_writes(told, schema_id):
    family, events = told

    written = encode(events, family, schema_id)

    assert written == [framed(schema_id, datum(row, schema(family))) for row in events.to_dicts()]


def test_what_a_shop_does_comes_back_as_it_was():
    clicks = simulated(5, 5_000).events
    n = clicks.height

    decoded = decode(
        Records(
            [0] * n,
            range(n),
            clicks["record_at"].to_physical().to_list(),
            [None] * n,
            encode(clicks.drop("record_at"), "clickstream", 9),
        ),
        "clickstream",
        {9: schema("clickstream")},
        Bounds(),
    )

    assert_frame_equal(decoded.events.select(clicks.columns), clicks)
    assert encode(decoded.events, "clickstream", 9, 1) == encode(clicks, "clickstream", 9), "where a record lay is not told"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_events_are_no_values(family):
    assert encode(pl.DataFrame(schema=event_schema(family)), family, 1) == []
    assert encode(pl.DataFrame(schema={**event_schema(family), **POSITION}), family, 1) == []


def test_a_frame_in_chunks_and_slices_is_written_like_any_other():
    clicks = simulated(6, 600).events
    whole = encode(clicks, "clickstream", 1)

    assert encode(pl.concat([clicks[:100], clicks[100:101], clicks[101:]], rechunk=False), "clickstream", 1) == whole
    assert encode(clicks[77:99], "clickstream", 1) == whole[77:99]


def test_what_the_contract_does_not_allow_is_not_written():
    event = {"event_id": "e", "event_type": "order_placed", "event_at": AT, "site": "shop", "order_id": "o"}
    types = {name: event_schema("order")[name] for name in event}

    with pytest.raises(ValueError, match="order_id is required in order, and not there in every row"):
        encode(pl.DataFrame([event, {**event, "order_id": None}], schema=types), "order", 2)
    with pytest.raises(ValueError, match="site is required in order"):
        encode(pl.DataFrame([event], schema=types).drop("site"), "order", 2)
    with pytest.raises(ValueError, match="order has no column colour"):
        encode(pl.DataFrame([event], schema=types).with_columns(colour=pl.lit("red")), "order", 2)
