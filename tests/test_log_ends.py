from faust.types import TP

from agents.log_ends import TRUSTED_S, LogEnds

CLICKS, ORDERS = TP("clicks", 0), TP("orders", 0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_end_nobody_told_is_not_known_and_not_reached():
    ends = LogEnds(Clock())

    assert ends[CLICKS] is None
    assert not ends.reached(CLICKS, 10**12)


def test_an_end_is_reached_by_the_position_of_the_last_record():
    ends = LogEnds(Clock())
    ends.hear({CLICKS: 10})

    assert ends[CLICKS] == 10
    assert ends.reached(CLICKS, 9)
    assert not ends.reached(CLICKS, 8)


def test_the_end_of_an_empty_log_is_reached_before_its_beginning():
    ends = LogEnds(Clock())
    ends.hear({CLICKS: 0})

    assert ends.reached(CLICKS, -1)


def test_a_broker_that_has_been_silent_is_not_a_log_without_events():
    clock = Clock()
    ends = LogEnds(clock)
    ends.hear({CLICKS: 10, ORDERS: 10})

    clock.now += TRUSTED_S
    assert ends.reached(CLICKS, 9)
    clock.now += 0.1
    ends.hear({ORDERS: 10})

    assert not ends.reached(CLICKS, 9)
    assert ends.reached(ORDERS, 9)
    assert ends[CLICKS] == 10


def test_old_news_does_not_shorten_a_log():
    """What a fetch told is newer than the statistics that were written before it and are read after it."""
    ends = LogEnds(Clock())
    ends.hear({CLICKS: 500})
    ends.hear({CLICKS: 120})

    assert ends[CLICKS] == 500
    assert not ends.reached(CLICKS, 119)


def test_a_partition_that_went_is_not_known_any_more():
    ends = LogEnds(Clock())
    ends.hear({CLICKS: 500, ORDERS: 7})
    ends.forget([CLICKS])
    ends.hear({CLICKS: 3})

    assert (ends[CLICKS], ends[ORDERS]) == (3, 7)
