"""Which segments explain what rose: the strongest first, and then only what is left without it.

If abandonment doubles on mobiles at the payment, it rises as well at the payment, on mobiles and over all. The segment in which it happened has the
greatest likelihood ratio, for what lies around it only dilutes it (as in a scan statistic). So that one is taken; what is beyond expectation in what
another segment shares with it is taken out of that one, and what is left is judged again.

Cases:   two things in two segments that overlap -> each is found, for each is left without the other | the same counts in two segments -> the wider one
         an open alert -> explains before all others; while it is young, one that lies within it, or around it, and is far likelier takes its place
Source:  Kulldorff 1997, A spatial scan statistic, Communications in Statistics 26; Agarwal, Barman, Gunopulos, Young, Korn, Srivastava 2007, Efficient and effective explanation of change in hierarchical summaries, KDD:
         parsimonious explanations; here by greed
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.rate_series import WINDOWS, Judged
from pipeline.rate_tails import Floats, normal_tail, surprise

Segment = tuple[str, ...]
"""Values of spike_counts.IDENTITY: the first N_SUBJECT say what it is about, the others are conditions."""
N_SUBJECT = 3
LIKELIER = 3.0
"""By how much its log likelihood ratio must be greater for a segment to take the place of an open alert."""
WEAK_P = 0.01
"""A segment so unlikely may be what explains a discovery, even if it is none itself."""


@dataclass(frozen=True)
class Evidence:
    """Of one segment, over the stretch that shows it best."""

    segment: Segment
    place: int
    """Among those that were judged."""
    window: int
    n: float
    n_of: float
    expected: float
    p: float
    """Corrected for the number of stretches."""
    ratio: float
    """Log likelihood ratio: what was seen against what was expected, if it is as noisy as the step is over all dimensions. So it can be compared."""
    recent: tuple[float, float]
    """How many there were in the last few intervals, and were expected."""


def met(one: Segment, other: Segment) -> Segment | None:
    """What two segments share; None: nothing."""
    if one[:N_SUBJECT] != other[:N_SUBJECT]:
        return None
    shared = list(one)
    for at in range(N_SUBJECT, len(one)):
        if one[at] and other[at] and one[at] != other[at]:
            return None
        shared[at] = one[at] or other[at]
    return tuple(shared)


def within(one: Segment, other: Segment) -> bool:
    """Whether one lies within the other, or is it."""
    return met(one, other) == one


def nested(one: Segment, other: Segment) -> bool:
    """Whether one lies within the other."""
    return within(one, other) or within(other, one)


def part_of(one: Segment, other: Segment) -> Segment | None:
    """What another signal of the journey shares with a segment, where either place lies within the other; None: it is elsewhere."""
    there = (*one[:N_SUBJECT], *other[N_SUBJECT:])
    if one[0] != other[0] or one[:N_SUBJECT] == other[:N_SUBJECT] or not nested(one, there):
        return None
    return (*other[:N_SUBJECT], *(mine or theirs for mine, theirs in zip(one[N_SUBJECT:], other[N_SUBJECT:], strict=True)))


class Explaining:
    """The segments of a family in an interval, and what is explained of them."""

    def __init__(self, found: Judged, segments: Sequence[Segment], *, is_bound: bool) -> None:
        """`segments`: of each of those that were judged."""
        self.found = found
        self.segments = segments
        self.is_bound = is_bound
        self.places: Mapping[Segment, int] = {segment: place for place, segment in enumerate(segments)}

    def evidence(self, place: int, without: Iterable[Segment] = (), window: int | None = None) -> Evidence:
        """Of a segment, without what these explain of it, over the stretch that shows it best, or over this one."""
        found, segment = self.found, self.segments[place]
        n = found.n[place].copy()
        for other in without:
            shared = self.places.get(met(segment, other) or ())
            if shared is not None:
                n -= np.maximum(0.0, found.n[shared] - found.expected[shared])
        n_of, expected = np.maximum(found.n_of[place], 1.0), found.expected[place]
        z = surprise(n, n_of, expected, found.dispersion[place], is_bound=self.is_bound)
        best = int(z.argmax()) if window is None else WINDOWS.index(window)
        widest = self.places.get((*segment[: N_SUBJECT + 1], *("" for _ in segment[N_SUBJECT + 1 :])), place)
        yardstick = surprise(n, n_of, expected, found.dispersion[widest], is_bound=self.is_bound)[best]
        p = min(1.0, len(WINDOWS) * float(normal_tail(z[best])))
        seen = float(n[best]), float(found.n_of[place, best]), float(expected[best])
        return Evidence(
            segment, place, WINDOWS[best], *seen, p, max(0.0, float(yardstick)) ** 2 / 2, (float(n[1]), float(expected[1]))
        )

    def smallest(self, rose: Sequence[int], weak: Sequence[int], explained: set[Segment], passes: "Passes") -> Iterator[Evidence]:
        """The segments that explain those that rose, likeliest first, beside those that are explained already.

        `weak`: those that may explain them, even if they did not rise enough themselves. Whoever takes one adds what it explains to `explained`.
        """
        left = list(rose)
        while seen := [each for each in (self.evidence(place, explained) for place in left) if passes(each)]:
            best = min(seen, key=_order)
            around = (self.evidence(place, explained, best.window) for place in weak if nested(self.segments[place], best.segment))
            yield min([best, *(each for each in around if passes.is_large(each))], key=_order)
            left = [each.place for each in seen]

    def instead_of(self, segment: Segment, weak: Iterable[int], passes: "Passes") -> Evidence | None:
        """What is nested with a segment and explains much more; None: nothing does."""
        place = self.places.get(segment)
        if place is None:
            return None
        now = self.evidence(place)
        others = (
            self.evidence(other, window=now.window) for other in weak if other != place and nested(self.segments[other], segment)
        )
        likelier = [each for each in others if each.ratio >= now.ratio + LIKELIER and passes.is_large(each)]
        return min(likelier, key=_order) if likelier else None


class Passes:
    """Whether evidence is enough to open an alert."""

    def __init__(self, most_p: float, least_n_of: float, least_excess: float, least_lift: float, least_points: float) -> None:
        """`most_p`: up to which p-value it is a discovery."""
        self.most_p = most_p
        self.least_n_of, self.least_excess = least_n_of, least_excess
        self.least_lift, self.least_points = least_lift, least_points

    def __call__(self, seen: Evidence) -> bool:
        """By probability and size, and whether it is still so."""
        n, expected = seen.recent
        return seen.p <= self.most_p and self.is_large(seen) and n >= self.least_lift * expected

    def is_large(self, seen: Evidence) -> bool:
        """By volume and size."""
        return (
            seen.n_of >= self.least_n_of
            and seen.n - seen.expected >= max(self.least_excess, self.least_points * seen.n_of)
            and seen.n >= self.least_lift * seen.expected
        )


def _order(each: Evidence) -> tuple[float, int, bool, Segment]:
    """The likeliest first; of equals the one with fewer conditions, but with its step, for that has an owner."""
    conditions = each.segment[N_SUBJECT + 1 :]
    return (-round(each.ratio, 9), sum(map(bool, conditions)), not each.segment[N_SUBJECT], each.segment)


def candidates(found: Judged, least_n_of: float, most_p: float) -> tuple[list[int], Floats]:
    """Places whose p-value is at most so much, and all p-values, corrected for the number of stretches, of those that are judged."""
    p = np.minimum(1.0, len(WINDOWS) * found.p.min(axis=1))
    counts = found.known & (found.n_of[:, -1] >= least_n_of)
    return np.flatnonzero(counts & (p <= most_p)).tolist(), p[counts]
