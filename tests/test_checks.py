"""What the contract asks of an event beyond its types."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.checks import Bounds, checked
from pipeline.events import POSITION, event_schema
from pipeline.frames import REFUSED
from schemas.contracts import FAMILIES, event_types, required

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def event(family, **fields):
    return {
        "event_id": "e",
        "event_type": event_types(family)[0],
        "event_at": AT,
        "site": "shop",
        **dict.fromkeys(required(family)[4:], "x"),
        **fields,
    }


def frame(family, *events, record_at=AT):
    schema = pl.Schema({**event_schema(family), **POSITION})
    rows = [{"partition": 1, "offset": 10 + number, "record_at": record_at, **said} for number, said in enumerate(events)]
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def verdict(family, bounds=Bounds(), record_at=AT, **fields):  # noqa: B008 - frozen
    """Reason and detail of one event between two good ones."""
    events = frame(family, event(family), event(family, **fields), event(family), record_at=record_at)
    good, refused = checked(events, family, bounds)
    assert good.height + refused.height == 3
    assert refused.schema == REFUSED
    if refused.is_empty():
        return None
    ((partition, offset, reason, detail),) = refused.rows()
    assert (partition, offset) == (1, 11)
    assert good["offset"].to_list() == [10, 12]
    return reason, detail


@pytest.mark.parametrize("family", FAMILIES)
def test_good_events_pass_untouched(family):
    events = frame(family, *(event(family, event_type=event_type) for event_type in event_types(family)))

    good, refused = checked(events, family, Bounds())

    assert_frame_equal(good, events)
    assert (refused.height, refused.schema) == (0, REFUSED)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_events_are_checked_too(family):
    good, refused = checked(frame(family), family, Bounds())

    assert (good.height, refused.height) == (0, 0)
    assert refused.schema == REFUSED


@pytest.mark.parametrize(("family", "name"), [(family, name) for family in FAMILIES for name in required(family)])
def test_what_is_required_is_neither_null_nor_empty(family, name):
    assert verdict(family, **{name: None}) == ("missing_field", f"{name} is missing")
    if name != "event_at":
        assert verdict(family, **{name: ""}) == ("missing_field", f"{name} is missing")


def test_an_event_may_be_a_little_ahead_of_its_record():
    assert verdict("order", event_at=AT + timedelta(minutes=10)) is None
    assert verdict("order", event_at=AT + timedelta(minutes=10, milliseconds=1)) == (
        "from_the_future",
        "event_at is 600 s ahead of the record time, 600 allowed",
    )
    assert verdict("order", Bounds(max_future=timedelta(0)), event_at=AT + timedelta(milliseconds=1))[0] == "from_the_future"


def test_nothing_happened_before_there_was_anything():
    first = datetime(1990, 1, 1, tzinfo=UTC)

    assert verdict("delivery", event_at=first) is None
    assert verdict("delivery", event_at=first - timedelta(milliseconds=1)) == (
        "before_min_event_at",
        "event_at is before 1990-01-01T00:00:00Z",
    )
    assert verdict("delivery", Bounds(min_event_at=AT), event_at=AT - timedelta(seconds=1))[0] == "before_min_event_at"


def test_a_wrong_clock_is_corrected_by_when_it_sent():
    """The device is an hour fast and sent two minutes after the click: it happened two minutes before the record."""
    hour = timedelta(hours=1)
    events = frame(
        "clickstream",
        event("clickstream", event_at=AT + hour - timedelta(minutes=2), sent_at=AT + hour),
        event("clickstream", event_at=AT - timedelta(seconds=5)),
        event("clickstream", event_at=AT - hour - timedelta(seconds=3), sent_at=AT - hour),
    )

    good, refused = checked(events, "clickstream", Bounds())

    assert refused.is_empty()
    assert good["event_at"].to_list() == [AT - timedelta(minutes=2), AT - timedelta(seconds=5), AT - timedelta(seconds=3)]
    assert_frame_equal(good.drop("event_at"), events.drop("event_at"))


def test_a_clock_that_makes_no_sense_is_judged_after_its_correction():
    assert verdict("clickstream", event_at=AT, sent_at=AT - timedelta(days=1))[0] == "from_the_future"
    assert verdict("clickstream", event_at=AT - timedelta(days=36_000), sent_at=AT - timedelta(days=36_000)) is None, (
        "a clock not set"
    )


@pytest.mark.parametrize("far", [(1 << 63) - 1, -(1 << 63), 1 << 61, -(1 << 62)])
def test_no_clock_makes_a_number_run_over(far):
    events = frame("clickstream", *[event("clickstream")] * 3).with_columns(
        pl.Series("event_at", [far, far, 0], pl.Int64).cast(pl.Datetime("ms", "UTC")),
        pl.Series("sent_at", [-far - 1, None, far], pl.Int64).cast(pl.Datetime("ms", "UTC")),
    )

    good, refused = checked(events, "clickstream", Bounds())

    assert good.is_empty()
    assert refused["reason"].to_list() == [
        "from_the_future" if far > 0 else "before_min_event_at",
        "from_the_future" if far > 0 else "before_min_event_at",
        "before_min_event_at" if far > 0 else "from_the_future",
    ]


def test_without_a_record_time_nothing_is_corrected_and_nothing_is_from_the_future():
    events = frame("order", event("order", event_at=AT + timedelta(days=90), sent_at=AT), record_at=None)

    good, refused = checked(events, "order", Bounds())

    assert refused.is_empty()
    assert_frame_equal(good, events)


def test_strings_are_measured_in_bytes():
    assert verdict("order", reason="é" * 4_096) is None
    assert verdict("order", reason="é" * 4_096 + "x") == ("too_long", "reason has 8193 bytes, 8192 allowed")
    assert verdict("order", Bounds(max_string_bytes=12), reason="x" * 13)[0] == "too_long"


def test_a_ticket_may_say_more():
    assert verdict("ticket", text="t" * (64 << 10)) is None
    assert verdict("ticket", text="t" * ((64 << 10) + 1)) == ("too_long", "text has 65537 bytes, 65536 allowed")
    assert verdict("ticket", topic="t" * 8_193)[0] == "too_long"


@pytest.mark.parametrize(
    ("event_type", "least", "most"), [("csat_answered", 1, 5), ("nps_answered", 0, 10), ("ces_answered", 1, 7)]
)
def test_a_score_lies_in_the_range_of_its_survey(event_type, least, most):
    for score in (least, most, None):
        assert verdict("ticket", event_type=event_type, score=score) is None
    for score in (least - 1, most + 1, -(1 << 31)):
        assert verdict("ticket", event_type=event_type, score=score) == (
            "out_of_range",
            f"score is {score}, {event_type} has {least}..{most}",
        )
    assert verdict("ticket", event_type="closed", score=99) is None


def test_a_number_is_a_number():
    for value in (float("nan"), float("inf"), float("-inf")):
        assert verdict("clickstream", value=value) == ("out_of_range", "value is not a number")
    assert verdict("clickstream", value=-0.0) is None


@pytest.mark.parametrize("name", ["promised_from_at", "promised_at", "due_at"])
def test_a_time_is_one_that_a_table_can_hold(name):
    assert verdict("order", **{name: datetime(2299, 12, 31, tzinfo=UTC)}) is None
    assert verdict("order", **{name: datetime(2300, 1, 1, tzinfo=UTC)}) == ("out_of_range", f"{name} is not between 1900 and 2299")
    assert verdict("order", **{name: datetime(1899, 12, 31, tzinfo=UTC)})[0] == "out_of_range"


def test_an_unknown_type_is_a_reason_of_its_own():
    assert verdict("order", event_type="order_beamed") == ("unknown_type", "event_type is order_beamed")
    assert verdict("order", event_type="page_view")[0] == "unknown_type"


def test_rubbish_of_an_unknown_type_is_rubbish():
    assert verdict("order", event_type="order_beamed", site="")[0] == "missing_field"
    assert verdict("order", event_type="order_beamed", reason="x" * 9_000)[0] == "too_long"


def test_what_a_stranger_wrote_fits_on_a_line():
    assert verdict("order", event_type="a\nb\t\x1b[31m\u2028c") == ("unknown_type", "event_type is a b [31m c")
    assert verdict("order", event_type="x" * 100) == ("unknown_type", f"event_type is {'x' * 60}…")


def test_several_rules_broken_in_one_batch_are_told_of_every_row_once():
    bad = [{"site": None}, {"event_type": "?"}, {}, {"reason": "x" * 9_000, "site": ""}, {"event_at": AT + timedelta(days=1)}]
    events = frame("order", *(event("order", **said) for said in bad))
    in_chunks = pl.concat([events[:2], events[2:]], rechunk=False)

    for each in (events, in_chunks):
        good, refused = checked(each, "order", Bounds())

        assert good["offset"].to_list() == [12]
        assert refused.select("offset", "reason").rows() == [
            (10, "missing_field"),
            (11, "unknown_type"),
            (13, "missing_field"),
            (14, "from_the_future"),
        ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_future": timedelta(seconds=-1)}, "max_future must not be negative"),
        ({"min_event_at": datetime(1990, 1, 1)}, "min_event_at must be a time with a zone"),  # noqa: DTZ001 - that is what is wrong
        ({"min_event_at": datetime(1, 1, 1, tzinfo=UTC)}, "min_event_at must be a time with a zone from 1900"),
        ({"max_string_bytes": 0}, "max_string_bytes must be between 1 and 16 MiB"),
        ({"max_message_bytes": 1 << 30}, "max_message_bytes must be between 1 and 16 MiB"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Bounds(**wrong)
