"""What rose is told of the smallest set that explains it."""

import numpy as np

from pipeline.nested_segments import Explaining, Passes, met, nested
from pipeline.rate_series import Judged

ALL, PAYMENT, MOBILE, BOTH = (
    ("shop", "", "", step, device, "", "") for step, device in (("", ""), ("payment", ""), ("", "mobile"), ("payment", "mobile"))
)
DESKTOP = ("shop", "", "", "", "desktop", "", "")
PASSES = Passes(1e-4, 30, 5, 1.2, 0.0)


def explaining(**told):
    """Each segment: so many of so many, and as many as were expected."""
    segments = {"all": ALL, "payment": PAYMENT, "mobile": MOBILE, "both": BOTH, "desktop": DESKTOP}
    n, n_of, expected = (np.array([[told[name][at]] * 3 for name in told], dtype=float) for at in range(3))
    ones = np.ones_like(n)
    flags = np.ones(len(n), dtype=bool)
    found = Judged(np.arange(len(n)), n, n_of, expected, ones, ones, ones, flags, ~flags, expected[:, 0])
    return Explaining(found, [segments[name] for name in told], is_bound=True)


def chosen(its, explained=()):
    every, explained, segments = range(len(its.segments)), set(explained), []
    for each in its.smallest(every, every, explained, PASSES):
        explained.add(each.segment)
        segments.append(each.segment)
    return segments


def test_what_happens_in_one_segment_is_told_of_it_and_not_of_those_around_it():
    its = explaining(
        all=(460, 2_000, 400), payment=(260, 2_000, 200), mobile=(310, 1_200, 250), both=(180, 1_200, 120), desktop=(150, 800, 150)
    )

    assert chosen(its) == [BOTH]


def test_what_happens_everywhere_is_told_once():
    its = explaining(all=(600, 2_000, 400), mobile=(360, 1_200, 240), desktop=(240, 800, 160))

    assert chosen(its) == [ALL]


def test_two_things_in_two_segments_are_told_both():
    its = explaining(
        all=(600, 4_000, 400), payment=(300, 4_000, 200), mobile=(240, 1_600, 160), both=(60, 1_600, 60), desktop=(300, 1_000, 100)
    )

    assert set(chosen(its)) == {PAYMENT, DESKTOP, MOBILE}


def test_an_open_alert_explains_what_lies_around_it():
    its = explaining(all=(460, 2_000, 400), both=(180, 1_200, 120))

    assert chosen(its, [BOTH]) == []


def test_a_much_stronger_segment_takes_the_place_of_an_open_alert():
    its = explaining(all=(460, 2_000, 400), both=(180, 1_200, 120), desktop=(300, 800, 150))

    assert its.instead_of(ALL, [1], PASSES).segment == BOTH
    assert its.instead_of(BOTH, [0], PASSES) is None
    assert its.instead_of(BOTH, [2], PASSES) is None


def test_of_equal_counts_the_one_with_fewer_conditions_is_told_but_with_its_step():
    assert chosen(explaining(all=(300, 1_000, 200), mobile=(300, 1_000, 200))) == [ALL]
    assert chosen(explaining(all=(300, 1_000, 200), payment=(300, 1_000, 200))) == [PAYMENT]


def test_segments_meet_where_their_conditions_agree():
    assert met(PAYMENT, MOBILE) == BOTH
    assert met(MOBILE, DESKTOP) is None
    assert nested(BOTH, ALL)
    assert not nested(PAYMENT, MOBILE)
    assert met(ALL, ("other", *ALL[1:])) is None
