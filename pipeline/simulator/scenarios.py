"""Shocks: what goes wrong for everybody for some hours, by scenario.

Time:  a shock begins so long after the shops open, and comes again every day at that hour. Whom it hits is decided when a visit begins, a parcel leaves, a
       request comes in, a ticket is opened
"""

from dataclasses import dataclass, field, replace
from typing import Self

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.draws import Bools, Ints


@dataclass(frozen=True)
class Shock:
    """One thing that goes wrong."""

    name: str
    begins_ms: int = 2 * HOUR_MS
    """After the shops open."""
    lasts_ms: int = 6 * HOUR_MS
    obstacle: str | None = None
    """Kind of friction that it plants."""
    chance: float = 0.0
    """Probability of meeting it on a page where that can be, or of the parcel, the request or the ticket being hit."""
    device: str | None = None
    """Only those who hold such a device; None: everybody."""
    carrier: str | None = None
    """Only parcels of this carrier; None: of all."""
    stops_scans: bool = False
    """A parcel that it hits is not scanned again for days; else it gets a later date."""

    def hits(self, at_ms: Ints, opened_ms: int) -> Bools:
        """Whether it goes on at these times; the shops opened at `opened_ms`."""
        since = at_ms - opened_ms - self.begins_ms
        going_on: Bools = (since >= 0) & (since % DAY_MS < self.lasts_ms)
        return going_on


@dataclass(frozen=True)
class Scenario:
    """What goes wrong beside the everyday; at most one thing of each."""

    name: str
    pages: Shock | None = None
    parcels: Shock | None = None
    """Parcels that leave meanwhile are late, or not heard of."""
    quotes: Shock | None = None
    """Requests for quotation that come in meanwhile lie about."""
    support: Shock | None = None
    """Many more contact support, and wait longer."""

    @property
    def shocks(self) -> tuple[Shock, ...]:
        """All of them."""
        return tuple(shock for shock in (self.pages, self.parcels, self.quotes, self.support) if shock is not None)

    def after(self, calm_ms: int) -> Self:
        """The same, after so much time in which nothing goes wrong."""
        later = {
            name: replace(shock, begins_ms=shock.begins_ms + calm_ms)
            for name in ("pages", "parcels", "quotes", "support")
            if (shock := getattr(self, name)) is not None
        }
        return replace(self, **later)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("calm"),
        Scenario("payment_outage", pages=Shock("payment_outage", obstacle="payment_failed", chance=0.75)),
        Scenario("slow_mobile", pages=Shock("slow_mobile", obstacle="slow_page", chance=0.5, device="mobile")),
        Scenario("broken_coupon", pages=Shock("broken_coupon", obstacle="coupon_rejected", chance=0.6)),
        Scenario("late_parcels", parcels=Shock("late_parcels", lasts_ms=12 * HOUR_MS, chance=0.8)),
        Scenario(
            "silent_carrier", parcels=Shock("silent_carrier", lasts_ms=12 * HOUR_MS, chance=0.9, carrier="dpd", stops_scans=True)
        ),
        Scenario("rfq_stall", quotes=Shock("rfq_stall", lasts_ms=12 * HOUR_MS, chance=0.8)),
        Scenario("support_flood", support=Shock("support_flood", chance=0.85)),
    )
}
"""By name."""

CALM = SCENARIOS["calm"]


@dataclass(frozen=True)
class Weather:
    """A scenario, and since when the shops are open: what goes wrong when."""

    scenario: Scenario = field(default=CALM)
    opened_ms: int = 0

    def hits(self, shock: Shock | None, at_ms: Ints) -> Bools:
        """Whether this shock goes on at these times; no shock never does."""
        if shock is None:
            never: Bools = at_ms < 0
            return never & False
        return shock.hits(at_ms, self.opened_ms)
