"""How far values usually are from what was expected, and how surprising the next distance is.

Cases:   no past -> nothing is surprising | a flat line -> any change is | integers and rounded values -> less than a third of a step is no distance
         an outlier -> widens the scale by little | a series with many outliers -> an outlier is no surprise
"""

import math

CLIPPED = 4.0
"""Scales beyond which a distance counts as that far."""
MEMORY = 300
"""About how many values back are remembered."""
ROUNDING = 0.29
"""Standard deviation of what rounding takes away, in steps."""
SIGMA = 1.2533
"""Standard deviations in a mean distance, if normal."""
RARE = 0.01
"""Share of values whose distance is rare."""
RARE_Z = 2.576
"""Scales beyond which that share lies, if normal."""
PACE = 0.05
"""How far one rare value moves what is rare."""


class RunningScale:
    """Distances of one series. Call `surprise`, then `learn`, for each value."""

    def __init__(self) -> None:
        """With no past."""
        self.n = 0
        self.mean = 0.0
        self.rare = RARE_Z
        """Scales beyond which a value is rare in this series; never below the normal."""
        self.was_rare = False

    def begin(self, n: int, mean: float) -> None:
        """So many distances have been seen elsewhere."""
        self.n, self.mean = n, mean

    def scale(self, floor: float) -> float:
        """One standard deviation; wider where few values have been seen."""
        return max(self.mean * SIGMA, floor) * (1 + 10 / (self.n + 1))

    def surprise(self, distance: float, floor: float) -> float:
        """How many standard deviations away, if this series were normal."""
        scale = self.scale(floor)
        if scale <= 0:
            return math.inf if distance else 0.0
        return abs(distance) / scale * RARE_Z / self.rare

    def learn(self, distance: float, floor: float) -> None:
        """A value was so far from what was expected."""
        scale = self.scale(floor)
        self.n += 1
        far = abs(distance)
        if scale > 0:
            is_rare = far > self.rare * scale
            if not (is_rare and self.was_rare):  # a burst is one surprise
                self.rare = max(RARE_Z, self.rare * math.exp(PACE * (is_rare - RARE)))
            self.was_rare = is_rare
            far = min(far, CLIPPED * scale)
        self.mean += max(1 / self.n, 1 / MEMORY) * (far - self.mean)

    def turn(self, slope: float) -> None:
        """Tell distances in another unit."""
        self.mean *= slope
