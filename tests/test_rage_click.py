import pytest

from pipeline.signal_engine import fired
from pipeline.signals.rage_click import RAGE_CLICK, RageClick, hits, placed
from tests.signal_frames import rows_of, window_of


def places(events, rule):
    """Which of these clicks it fires at."""
    found = fired(window_of(rows_of(events)), [RAGE_CLICK.with_rule(**vars(rule))])
    return [int(event_id[1:]) for event_id in found["event_id"]]


@pytest.mark.parametrize(("last_ms", "expected"), [(1_000, [2]), (1_001, [])])
def test_the_span_is_from_first_to_last_and_inclusive(last_ms, expected):
    assert places(hits("buy", at_ms=(0, 10, last_ms)), RageClick(span_ms=1_000)) == expected


@pytest.mark.parametrize(("gap_ms", "expected"), [(1_000, [2]), (1_001, [])])
def test_the_gap_is_between_neighbours_and_inclusive(gap_ms, expected):
    assert places(hits("buy", at_ms=(0, gap_ms, 2 * gap_ms)), RageClick(span_ms=None, gap_ms=1_000)) == expected


def test_span_and_gap_hold_together():
    rule = RageClick(span_ms=1_000, gap_ms=300)

    assert places(hits("buy", at_ms=(0, 300, 600)), rule) == [2]
    assert places(hits("buy", at_ms=(0, 100, 500)), rule) == []


@pytest.mark.parametrize(("clicks", "expected"), [(2, [1]), (3, [2]), (5, [4]), (6, [])])
def test_it_fires_at_the_hit_that_makes_it_rage(clicks, expected):
    assert places(hits("buy", at_ms=(0, 100, 200, 300, 400)), RageClick(clicks=clicks)) == expected


def test_any_hits_in_a_row_may_be_the_ones():
    """A slow hit before a fast run does not hide it."""
    assert places(hits("buy", at_ms=(0, 950, 1_050, 1_150)), RageClick()) == [3]


def test_a_run_that_slackens_for_a_moment_is_still_one():
    assert places(hits("buy", at_ms=(0, 500, 1_000, 1_510, 2_000)), RageClick()) == [2]


def test_a_run_that_calms_down_for_longer_is_over():
    assert places(hits("buy", at_ms=(0, 100, 200, 1_150, 2_100, 2_200, 2_300)), RageClick()) == [2, 6]


def test_a_hit_elsewhere_begins_anew():
    events = (*hits("buy", at_ms=(0, 100)), *hits("help", at_ms=(150,)), *hits("buy", at_ms=(200, 300, 400)))

    assert places(events, RageClick()) == [5]


def test_the_look_back_is_as_long_as_it_must_be():
    """The last of these goes on with a run whose first hit lies exactly two reaches before it."""
    events = rows_of(hits("buy", at_ms=(0, 1_000, 1_000, 2_000)))

    assert places(hits("buy", at_ms=(0, 1_000, 1_000, 2_000)), RageClick()) == [2]
    assert RAGE_CLICK.look_back.total_seconds() == 11, "a report so long after a hit, and how long that may have taken"
    assert RAGE_CLICK.with_rule(reported_ms=1).look_back.total_seconds() == 2
    assert fired(window_of(events[1:]), [RAGE_CLICK]).height == 1


@pytest.mark.parametrize(("distance", "radius_px", "expected"), [("euclidean", 5, [1]), ("euclidean", 4.99, []), ("manhattan", 7, [1]), ("manhattan", 6.5, [])])  # fmt: skip
def test_distance_is_straight_or_along_both_axes_and_inclusive(distance, radius_px, expected):
    rule = RageClick(clicks=2, radius_px=radius_px, distance=distance, same_element=False)

    assert places(placed((0, 0), (3, -4), every_ms=100), rule) == expected


def test_the_radius_is_drawn_around_the_hit_before_or_the_first():
    wandering = placed((0, 0), (8, 0), (16, 0), every_ms=100)

    assert places(wandering, RageClick(radius_px=8, measured_from="previous", same_element=False)) == [2]
    assert places(wandering, RageClick(radius_px=8, measured_from="first", same_element=False)) == []
    assert places(wandering, RageClick(radius_px=16, measured_from="first", same_element=False)) == [2]


def test_first_means_the_first_of_those_that_make_it_rage():
    wandering = placed((0, 0), (50, 0), (52, 0), (54, 0), every_ms=100)

    assert places(wandering, RageClick(radius_px=8, measured_from="first", same_element=False)) == [3]


@pytest.mark.parametrize("measured_from", ["previous", "first"])
def test_a_hit_without_a_place_is_near_nothing(measured_from):
    events = [dict(hit) for hit in placed((0, 0), (0, 0), (0, 0), (0, 0), every_ms=100)]
    events[1]["x_px"] = None

    assert places(events, RageClick(radius_px=100, measured_from=measured_from, same_element=False)) == []
    assert places(events, RageClick(clicks=2, radius_px=100, measured_from=measured_from, same_element=False)) == [3]


def test_places_at_the_ends_of_the_world_are_far_apart():
    ends = placed((-(2**31), -(2**31)), (2**31 - 1, 2**31 - 1), every_ms=100)

    for distance in ("manhattan", "euclidean"):
        assert places(ends, RageClick(clicks=2, radius_px=30, distance=distance, same_element=False)) == []


def test_a_reaction_that_takes_too_long_is_none():
    slow = hits("buy", at_ms=(0, 100, 200), watched_ms=7_500, reaction_ms=3_001)

    assert places(slow, RageClick(requires_dead=True)) == []
    assert places(slow, RageClick(requires_dead=True, reacts_within_ms=3_001)) == []
    assert places(slow, RageClick(requires_dead=True, reacts_within_ms=3_000)) == [2]


def test_roles_can_be_ignored_or_not():
    events = hits("plus", at_ms=(0, 100, 200), role="stepper")

    assert places(events, RageClick()) == []
    assert places(events, RageClick(ignored_roles=())) == [2]


def test_the_evidence_says_how_many_where_and_how_fast():
    found = fired(window_of(rows_of(hits("buy", at_ms=(0, 100, 250), page="/cart"))), [RAGE_CLICK]).to_dicts()

    assert [(row["element"], row["page"], row["value"], row["detail"]) for row in found] == [
        ("buy", "/cart", 250.0, "3 hits in 250 ms on buy")
    ]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"clicks": 1}, "clicks must be from 2 to 100, not 1"),
        ({"span_ms": None}, "span_ms or gap_ms must be given"),
        ({"clicks": 101}, "clicks must be from 2 to 100"),
        ({"gap_ms": 3_600_000}, "gap_ms must be from 0 to 60000"),
        ({"radius_px": float("nan")}, "radius_px must be from 0 to 60000, not nan"),
        ({"span_ms": -1}, "span_ms must be from 0 to 60000, not -1"),
        ({"radius_px": -1.5}, "radius_px must be from 0 to 60000, not -1.5"),
        ({"distance": "chess"}, "distance is manhattan or euclidean, not 'chess'"),
        ({"measured_from": "last"}, "measured_from is previous or first, not 'last'"),
        ({"same_element": False}, "radius_px must say what is one target"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        RageClick(**numbers)
