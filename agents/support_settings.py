"""Settings of support: when a contact is a sign of friction, and in which language customers write."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from agents.settings_section import Section
from pipeline.sentiment import SentimentRule
from pipeline.ticket_signals import TicketRule


class SupportSettings(Section):
    """When a contact with support is a sign of friction."""

    language: Annotated[str, Field(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]+)*)?$")] = ""
    """Language of texts of which neither the event nor its ticket says it, such as en-GB; empty: they are not read for sentiment. English alone is read."""
    repeat_within_d: Annotated[float, Field(gt=0)] = 7
    """A contact so soon after another one about the same order or topic is a repeated one, days."""
    transfers: Annotated[int, Field(ge=1)] = 2
    """A ticket that is passed on so often has been passed on too often."""
    low_csat: Annotated[int, Field(ge=0, le=5)] = 2
    """A satisfaction of at most so much is low, of 5; 0: none is."""
    low_ces: Annotated[int, Field(ge=0, le=7)] = 3
    """An ease of at most so much is low, of 7; 0: none is."""
    low_nps: Annotated[int, Field(ge=0, le=10)] = 6
    """A readiness to recommend of at most so much is low, of 10."""
    negative: Annotated[float, Field(ge=-1, lt=0)] = -0.5
    """A text of at most so much sentiment is angry, -1 to 0."""

    def signals(self) -> TicketRule:
        """The numbers of the signals of tickets."""
        return TicketRule(
            timedelta(days=self.repeat_within_d), self.transfers, self.low_csat, self.low_ces, self.low_nps, self.negative
        )

    def sentiment(self) -> SentimentRule:
        """What is taken for known of texts."""
        return SentimentRule(self.language)
