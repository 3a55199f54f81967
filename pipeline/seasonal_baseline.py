"""What a series should be now, by its own past: the season of its day or week where that is known, and its level of late.

Several guesses are made of every value: with no season, by the time of day, by the time of week, each over a short, a middle and a long level.
What counts is how well each did so far: one that does not fit this series has no weight, and one that has no history gives no guess.

Time:    seconds since 1970, UTC; days and weeks are those of UTC
Cases:   no past -> no guess | a spike -> medians of levels pass over it, seasons learn what it would have been | a level that moved -> the short
         level follows within two values
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable

DAY_S = 86_400
SLOT_S = 1_800
"""Length of a slot of a season."""
WEEK = 7 * DAY_S // SLOT_S
LEVELS = (3, 13, 61)
"""How many values the median of a level is taken over."""
TRIED = 10
"""Values that a guess must have been made of before it counts."""
MEMORY = 150
"""About how many values back it is remembered how well a guess did."""


class Season:
    """What is usual at each time of a period. Between the middles of slots it is a line, for a day has no steps."""

    def __init__(self, n_slots: int, gain: float) -> None:
        """`gain`: how far one period moves what is usual; the first ones count fully."""
        self.n_slots = n_slots
        self.gain = gain
        self.usual: list[float | None] = [None] * n_slots
        self.n_learned = [0] * n_slots
        self.first_s: float | None = None

    def at(self, at_s: float) -> float | None:
        """What is usual at this time; None: one period has not been seen."""
        if self.first_s is None or at_s - self.first_s < (self.n_slots - 1) * SLOT_S:
            return None
        return self._on_line(at_s)

    def learn(self, at_s: float, value: float, span_s: float) -> None:
        """This value was there, for so long."""
        if self.first_s is None:
            self.first_s = at_s
        slot = int(at_s // SLOT_S) % self.n_slots
        usual, before = self.usual[slot], self._on_line(at_s)
        if usual is None or before is None:
            self.usual[slot] = value
        else:
            gain = max(1 / (self.n_learned[slot] + 1), self.gain * min(1.0, span_s / SLOT_S))
            self.usual[slot] = usual + gain * (value - before)
        self.n_learned[slot] += 1

    def _on_line(self, at_s: float) -> float | None:
        place = at_s / SLOT_S
        whole = int(place // 1)
        off = place - whole - 0.5
        usual = self.usual[whole % self.n_slots]
        beside = self.usual[(whole + (1 if off > 0 else -1)) % self.n_slots]
        if usual is None or beside is None:
            return usual
        return usual + abs(off) * (beside - usual)


class Level:
    """The median of the last values."""

    def __init__(self, length: int) -> None:
        """Of so many."""
        self.length = length
        self.last: deque[float] = deque()
        self.ordered: list[float] = []

    def median(self) -> float | None:
        """None: there was no value."""
        n = len(self.ordered)
        if not n:
            return None
        half = n // 2
        return self.ordered[half] if n % 2 else (self.ordered[half - 1] + self.ordered[half]) / 2

    def push(self, value: float) -> None:
        """The newest value; the oldest falls out."""
        self.last.append(value)
        insort(self.ordered, value)
        if len(self.last) > self.length:
            del self.ordered[bisect_left(self.ordered, self.last.popleft())]

    def turn(self, turned: Callable[[float], float]) -> None:
        """Tell the same values in another unit, in which their order is the same."""
        self.last = deque(map(turned, self.last))
        self.ordered = list(map(turned, self.ordered))


class Guess:
    """One way to guess, and how far off it was of late."""

    def __init__(self, length: int) -> None:
        """Over a level of so many values."""
        self.level = Level(length)
        self.n = 0
        self.error = 0.0
        self.value: float | None = None
        """Of the value that is to come; None: no guess."""

    def judge(self, value: float, most: float) -> None:
        """Remember how far off it was, at most so far: one spike is no reason to trust another guess."""
        if self.value is None:
            return
        self.n += 1
        self.error += max(1 / self.n, 1 / MEMORY) * (min(abs(value - self.value), most) - self.error)


class SeasonalBaseline:
    """What the next value of a series should be. Call `expected`, then `learn`, for each value in order of time."""

    def __init__(self) -> None:
        """With no past."""
        self.seasons = (None, Season(DAY_S // SLOT_S, 0.15), Season(WEEK, 0.3))
        self.guesses = tuple(tuple(Guess(length) for length in LEVELS) for _ in self.seasons)
        self.usual: list[float | None] = [0.0, None, None]

    def expected(self, at_s: float) -> float | None:
        """What should be there at this time. None: too little past."""
        weights, total = 0.0, 0.0
        for place, season in enumerate(self.seasons):
            usual = self.usual[place] = 0.0 if season is None else season.at(at_s)
            for guess in self.guesses[place]:
                level = guess.level.median()
                guess.value = None if usual is None or (level is None and season is None) else usual + (level or 0.0)
                if guess.value is not None and guess.n >= TRIED:
                    weight = (guess.error + 1e-12) ** -4
                    weights += weight
                    total += weight * guess.value
        return total / weights if weights else None

    def steady(self) -> Guess | None:
        """The best guess of a season for the time last asked for, over a long level, which nothing short moves. None: no season is known."""
        tried = [its[-1] for its in self.guesses[1:] if its[-1].value is not None and its[-1].n >= TRIED]
        return min(tried, key=lambda guess: guess.error) if tried else None

    def learn(self, at_s: float, value: float, span_s: float, low: float, high: float) -> None:
        """This value was there, for so long; beyond `low` and `high` it is an outlier, from which no season learns more than that."""
        most = (high - low) / 2
        tame = min(max(value, low), high)
        for place, season in enumerate(self.seasons):
            usual = self.usual[place]
            for guess in self.guesses[place]:
                guess.judge(value, most)
                if usual is not None:
                    guess.level.push(value - usual)
            if season is not None:
                season.learn(at_s, tame, span_s)

    def error(self) -> float:
        """How far off the best guess was of late."""
        return min((guess.error for its in self.guesses for guess in its if guess.n >= TRIED), default=0.0)

    def recent(self) -> float | None:
        """The level of late. None: there was no value."""
        return self.guesses[0][-1].level.median()

    def turn(self, turned: Callable[[float], float], slope: float) -> None:
        """Tell what was learned in another unit; a difference between two values is `slope` times what it was, about here."""
        for place, season in enumerate(self.seasons):
            for guess in self.guesses[place]:
                guess.level.turn(turned if season is None else lambda apart: apart * slope)
                guess.error *= slope
            if season is not None:
                season.usual = [None if usual is None else turned(usual) for usual in season.usual]
