"""Settings of the risk feed: of whom to tell while there is time to step in, and when again."""

from typing import Annotated

from pydantic import Field

from agents.settings_section import Section
from pipeline.risk import RiskBands


class RiskSettings(Section):
    """Who may be slipping away right now: open visits and open cases, told while there is time to step in."""

    enabled: bool = True
    """Whether anybody is told. Whoever was told as at risk before is told over when the visit or the case goes on."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least risk that is told, 0 to 1; 0.5: what is more likely than not."""
    band: Annotated[float, Field(ge=0.05, le=1)] = 0.1
    """Width of a band of risk: who has crossed into another band is told again."""

    def bands(self) -> RiskBands:
        """The value."""
        return RiskBands(self.enabled, self.floor, self.band)
