"""What is heard of sources, and how far time has come with the slowest of them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.about import About, Source
from pipeline.sources import Heard, slowest
from pipeline.watermark import UNREAD

ORDERS, DELIVERIES = Source("intake-order", "orders", 0), Source("intake-delivery", "deliveries", 0)


def about(watermark_ms=None, *, source=ORDERS, epoch=0, **said):
    return About(source, epoch, 0, watermark_ms, **said)


def after(*messages, known=None):
    """What is remembered after (about, last_row) pairs or abouts alone."""
    known = known or Heard(ORDERS)
    for message in messages:
        said, last_row = message if isinstance(message, tuple) else (message, -1)
        known = known.after(said, last_row) or known
    return known


def reached(*heard, before=UNREAD):
    return slowest(before, heard)


def told(ms):
    return Heard(ORDERS, watermark_ms=ms)


IDLE = Heard(ORDERS, is_idle=True)


def test_time_has_come_as_far_as_with_the_slowest_source():
    assert reached(told(50), told(10), told(99)) == 10


def test_a_source_that_has_told_nothing_yet_holds_everything_back():
    assert reached(told(50), Heard(DELIVERIES)) == UNREAD


def test_an_idle_source_is_left_out():
    assert reached(told(50), IDLE) == 50


def test_if_all_are_idle_there_is_no_watermark():
    assert reached(IDLE, IDLE) == UNREAD
    assert reached() == UNREAD


def test_an_idle_source_counts_from_its_first_record_on_and_time_waits_for_it():
    woken = after(about(is_idle=True), about())

    assert reached(told(50), woken, before=50) == 50
    assert reached(told(90), woken, before=50) == 50
    assert reached(told(90), after(about(20), known=woken), before=50) == 50
    assert reached(told(90), after(about(60), known=woken), before=50) == 60


def test_a_batch_of_an_epoch_that_is_over_is_ignored():
    known = after(about(10, epoch=5), about(epoch=9, is_marker=True))

    assert known.after(about(99, epoch=5)) is None
    assert known.after(about(20, epoch=9)).watermark_ms == 20


def test_a_source_that_was_idle_holds_back_when_somebody_new_reads_it():
    """What came while nobody read is not known yet."""
    known = after(about(is_idle=True, epoch=5), about(epoch=9, is_marker=True))

    assert not known.is_idle
    assert reached(told(50), known) == UNREAD


def test_a_source_that_goes_on_from_a_checkpoint_takes_no_watermark_back():
    assert after(about(50, epoch=5), about(20, epoch=9, is_marker=True)).watermark_ms == 50


def test_what_was_heard_is_known_by_its_offset_and_comes_anew_after_a_turn():
    known = after((about(), 41), (about(), -1), (about(epoch=1), 17))

    assert known.offset == 41
    assert known.after(about(epoch=2, turn=1), 3).offset == 3


def test_what_was_forwarded_says_nothing_of_time_nor_place():
    known = after((about(50), 41), (about(99, is_forwarded=True, epoch=3), 77))

    assert (known.watermark_ms, known.offset, known.epoch) == (50, 41, 3)


def test_fates_add_up():
    known = Heard(ORDERS).counted({"applied": 3, "n_late": 1}).counted({"applied": 2, "duplicate": 1})

    assert known.fates == {"applied": 5, "n_late": 1, "duplicate": 1}


@st.composite
def stories(draw, *, may_idle):
    """Messages of several sources in any order, epochs and watermarks that jump, and sources that say nothing for long."""
    sources = [Source("intake-order", "orders", partition) for partition in range(draw(st.integers(1, 4)))]
    message = st.builds(
        about,
        st.none() | st.integers(-5, 50),
        source=st.sampled_from(sources),
        epoch=st.integers(0, 2),
        is_idle=st.booleans() if may_idle else st.just(value=False),
        is_forwarded=st.booleans(),
    )
    return sources, draw(st.lists(message, max_size=40))


def lived(story):
    """After each message: how far time had come, how far it has come, and what is known of every source."""
    sources, messages = story
    known, now = {source: Heard(source) for source in sources}, UNREAD
    for message in messages:
        known[message.source] = known[message.source].after(message) or known[message.source]
        before, now = now, slowest(now, known.values())
        yield before, now, tuple(known.values())


@settings(max_examples=300)
@given(stories(may_idle=True))
def test_time_never_goes_back_and_never_goes_on_beyond_a_source_that_is_not_idle(story):
    for before, now, known in lived(story):
        assert now >= before
        if now > before:
            assert all(each.is_idle or each.watermark_ms >= now for each in known)


@settings(max_examples=300)
@given(stories(may_idle=False))
def test_where_nobody_is_idle_time_is_never_ahead_of_any_source(story):
    for _, now, known in lived(story):
        assert all(now == UNREAD if each.watermark_ms is None else now <= each.watermark_ms for each in known)


@pytest.mark.parametrize("ms", [None, 0, -1])
def test_what_is_said_of_a_message_is_read_back(ms):
    said = About(ORDERS, 3, 17, ms, 5, "order", turn=2, is_idle=ms is None, is_forwarded=True)

    assert About.from_metadata(said.to_metadata()) == said
    assert About.from_metadata(replace(said, is_idle=False).to_metadata()) != replace(said, is_idle=True)
