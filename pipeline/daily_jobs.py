"""What a series does every day at the same minute, and at no other: a backup, a report, a newsletter.

A season is smooth, and outliers do not move it, so that what is short and regular would be an outlier every day.

Time:    seconds since 1970, UTC
Cases:   on one day -> nothing is expected | on two days, the same way -> expected, as far as the smaller | of five days, on three -> the middle one
         smaller than noise makes it -> nothing is expected
"""

from collections import deque

DAY_S = 86_400
SLOT_S = 60
DAYS = 5
"""Days back that are looked at."""
CLEAR = 2.5
"""Scales beyond which it is no noise."""


class DailyJobs:
    """How far each minute of the day was off, of late. Call `expected`, then `learn`, for each value in order of time."""

    def __init__(self) -> None:
        """With no past."""
        self.off: dict[int, deque[float]] = {}
        self.day: dict[int, float] = {}

    def expected(self, at_s: float, scale: float) -> float:
        """How far off the value at this time should be, where `scale` is one standard deviation of the series."""
        seen = self.off.get(int(at_s % DAY_S // SLOT_S), ())
        if len(seen) < 2:
            return 0.0
        ordered = sorted(seen)
        half = len(ordered) // 2
        middle = ordered[half] if len(ordered) % 2 else min(ordered[half - 1 : half + 1], key=abs)
        if not len(ordered) % 2 and ordered[half - 1] * ordered[half] < 0:
            return 0.0
        return middle if abs(middle) > CLEAR * scale else 0.0

    def learn(self, at_s: float, off: float) -> None:
        """The value at this time was so far off; of a minute with several values the first of a day counts."""
        slot, day = int(at_s % DAY_S // SLOT_S), at_s // DAY_S
        if self.day.get(slot) != day:
            self.day[slot] = day
            self.off.setdefault(slot, deque(maxlen=DAYS)).append(off)

    def turn(self, slope: float) -> None:
        """Tell distances in another unit."""
        self.off = {slot: deque((off * slope for off in seen), DAYS) for slot, seen in self.off.items()}
