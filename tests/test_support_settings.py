"""What a shop may say of its support."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from agents.settings import Settings
from pipeline.journeys_rules import JourneysRules
from pipeline.sentiment import SentimentRule
from pipeline.ticket_signals import TicketRule


def test_what_is_said_of_support_is_told_to_the_fold_by_person():
    said = {"language": "en-GB", "repeat_within_d": 14, "transfers": 3, "low_csat": 3, "low_ces": 4, "low_nps": 5, "negative": -0.8}
    rules = Settings(support=said).journeys_rules()

    assert rules.ticket_signals == TicketRule(timedelta(days=14), transfers=3, low_csat=3, low_ces=4, low_nps=5, negative=-0.8)
    assert rules.sentiment == SentimentRule("en-GB")
    assert Settings().journeys_rules().ticket_signals == JourneysRules().ticket_signals


@pytest.mark.parametrize(
    "said", [{"language": "English, please"}, {"repeat_within_d": 0}, {"transfers": 0}, {"low_csat": 6}, {"negative": 0.2}]
)
def test_what_no_ticket_can_have_is_refused_by_its_name(said):
    (name,) = said
    with pytest.raises(ValidationError, match=f"support.{name}"):
        Settings(support=said)
