"""How likely it is that an open visit with something in the cart ends without an order.

Three things are known of it while it is open: how far it has come on the way from the commit step to the goal, how much friction it has met, and for how
long nothing has come of it. Silence counts by stretches, so that a risk that time alone raises rises a few times in a visit, and not in every step.

Time:    silence = how far time had come, lateness allowed for, - last event: `allowed_lateness` before it the watermark stands
Source:  fitted on simulated shops (tests/accuracy/risk_fit.py, seeds printed there); tests/accuracy/test_risk_accuracy.py says on fresh ones how well it holds.
         That nothing tells so much as silence: who goes on, goes on within seconds (the simulator's pages, and FIELD_NOTES.md 1 on dwell times)
"""

from dataclasses import dataclass

import numpy as np

from pipeline.friction import MOST
from pipeline.groups import NEVER, Millis
from pipeline.risk import RiskBands, Risks, probability

MINUTE_MS = 60_000


@dataclass(frozen=True)
class SessionRisk:
    """The terms of the logit."""

    base: float = 1.1
    """At the commit step, with no friction, within a minute of the last event."""
    whole_way: float = -3.8
    """For the whole way from the commit step to the goal; in between by the share of it. Not above 0: who comes further is likelier to arrive."""
    whole_way_silent: float = -1.6
    """The same of who is silent: then it says less. Not above 0, nor below `whole_way`."""
    full_friction: float = 2.9
    """For a friction score of 100, below it by the root of the share: what is met first counts most. Not below 0."""
    silent_min: tuple[float, ...] = (1.0, 10.0, 20.0)
    """Minutes of silence beyond which a stretch begins, ascending; a minute apart at least, for nobody is told again more often."""
    silent: tuple[float, ...] = (1.5, 2.5, 3.2)
    """For silence of such a stretch; not descending, and not below 0."""

    def __post_init__(self) -> None:
        """Raises: ValueError on terms that would lower a risk that rises, and stretches that are none."""
        rises = (0.0, *self.silent)
        if len(self.silent) != len(self.silent_min) or list(self.silent_min) != sorted(set(self.silent_min)):
            message = (
                f"stretches of silence begin at ascending minutes, and each has a term, not {self.silent_min} and {self.silent}"
            )
            raise ValueError(message)
        if not self.whole_way <= self.whole_way_silent <= 0 or self.full_friction < 0 or list(rises) != sorted(rises):
            message = "risk does not rise with the way that lies behind, nor fall with friction or silence"
            raise ValueError(message)

    @property
    def silent_ms(self) -> Millis:
        """Where the stretches of silence begin."""
        return np.array([round(minutes * MINUTE_MS) for minutes in self.silent_min], dtype=np.int64)

    def stretch(self, silence_ms: Millis) -> Millis:
        """In which stretch a silence is; 0: in none yet."""
        found: Millis = np.searchsorted(self.silent_ms, silence_ms, side="left")
        return found

    def risk(self, way: Risks, points: Risks, stretch: Millis) -> Risks:
        """The risk of each visit: the share of the way that lies behind it, the points of friction met, its stretch of silence."""
        silent = np.array([0.0, *self.silent])[stretch]
        friction = self.full_friction * np.sqrt(np.clip(points, 0.0, MOST) / MOST)
        whole_way = np.where(stretch > 0, self.whole_way_silent, self.whole_way)
        return probability(self.base + whole_way * way + friction + silent)

    def rises_ms(self, way: Risks, points: Risks, stretch: Millis, bands: RiskBands) -> Millis:
        """Of each visit the silence beyond which its band is another one; NEVER: none is."""
        now = bands.of(self.risk(way, points, stretch))
        rises = np.full(len(way), NEVER, dtype=np.int64)
        for number, begins_ms in reversed(list(enumerate(self.silent_ms.tolist(), start=1))):
            differs = (stretch < number) & (bands.of(self.risk(way, points, np.full(len(way), number))) != now)
            rises[differs] = begins_ms
        return rises
