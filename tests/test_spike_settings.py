"""What a shop may say of spikes."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from agents.settings import Settings
from pipeline.spike_rules import SpikeRules


def test_what_is_said_of_spikes_is_told_to_the_fold():
    rules = Settings(
        spikes={"history_h": 48, "least_lift": 1.5, "most_series": 7, "lasting_h": 6, "forgotten_after_d": 2}
    ).spike_rules()

    assert rules == SpikeRules(
        history=timedelta(hours=48), least_lift=1.5, most_series=7, lasting=timedelta(hours=6), forgotten_after=timedelta(days=2)
    )


def test_what_nobody_says_is_as_the_fold_has_it():
    assert Settings().spike_rules() == SpikeRules()


@pytest.mark.parametrize("said", [{"history_h": 0}, {"false_discoveries": 1}, {"least_lift": 0.5}, {"most_series": 0}])
def test_what_cannot_be_is_refused_by_its_name(said):
    (name,) = said
    with pytest.raises(ValidationError, match=f"spikes.{name}"):
        Settings(spikes=said)


def test_an_owner_is_that_of_the_step_or_of_the_whole_journey_if_it_is_one():
    rules = SpikeRules()

    assert rules.owner("shop", "payment") == "payments"
    assert rules.owner("shop", "") == ""
    assert rules.owner("shop", "no such step") == ""
