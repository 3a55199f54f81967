"""How likely it is that somebody slips away, and when that is worth telling.

A risk is a probability: the logit is a sum of a few terms, each of which says one thing. Who is told about is told again when the risk has crossed into
another band, and once more when it is over.

Cases:   below the floor -> nobody is told | a probability on the border of two bands -> the upper one
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Risks = NDArray[np.float64]
BandNumbers = NDArray[np.uint8]

MET, LAPSED, ENDED, LESS_LIKELY = "met", "lapsed", "ended", "less_likely"
"""Why somebody is no longer at risk: what was expected came, it did not come in time, there is nothing left to wait for; or it is less likely now."""

NOT_TOLD = 0
"""Band of whom nobody is told."""


@dataclass(frozen=True)
class RiskBands:
    """Of whom to tell, and when again."""

    enabled: bool = True
    """Whether anybody is told."""
    floor: float = 0.5
    """Least risk that is told: half, what is more likely than not."""
    width: float = 0.1
    """How far a risk must move to be told again: the width of a band, counted from 0."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a floor that is no probability, or bands of which there are none or too many to be kept as a byte."""
        if not 0 <= self.floor <= 1:
            message = f"floor is a probability, 0 to 1, not {self.floor}"
            raise ValueError(message)
        if not _NARROWEST <= self.width <= 1:
            message = f"width of a band is {_NARROWEST} to 1, not {self.width}"
            raise ValueError(message)

    def of(self, risks: Risks) -> BandNumbers:
        """The band of each risk, from 1; NOT_TOLD below the floor."""
        number = np.floor(risks / self.width + _ROUNDING).astype(np.uint8) + np.uint8(1)
        return np.where(self.enabled & (risks >= self.floor), number, np.uint8(NOT_TOLD))

    def borders(self) -> Iterator[tuple[int, float]]:
        """Every band that is told, and the least risk of it, ascending."""
        if self.enabled:
            lowest = int(self.of(np.array([self.floor]))[0])
            yield lowest, self.floor
            yield from ((band, (band - 1) * self.width) for band in range(lowest + 1, int(np.ceil(1 / self.width - _ROUNDING)) + 1))


_NARROWEST = 0.05
_ROUNDING = 1e-9
"""0.3 / 0.1 is less than 3."""


def probability(logit: Risks) -> Risks:
    """The logistic function."""
    found: Risks = 1.0 / (1.0 + np.exp(-logit))
    return found
