"""Profiles side by side: each says what a fold with its rules would say."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from agents.signal_trial import SETTINGS, Firings, NoSuchProfile, SideBySide, compared, profile
from agents.signals_command import show_trial
from pipeline.frames import SIGNALS as TABLE
from pipeline.sessions import SessionsFold
from pipeline.signals.rage_click import RAGE_CLICK
from tests.builders import click, records
from tests.own_signals import BUY_AGAIN
from tests.strategies import RULES, Crowd, crowds
from tests.views import FAR, now, told


def tried(log, names, rules=RULES):
    profiles = [profile(name, rules) for name in names]
    firings = Firings(profiles)
    for step in told(SideBySide(profiles, rules), log, until=FAR):
        firings.put(step.tables)
    return profiles, firings


@settings(max_examples=3)
@given(crowds())
def test_each_profile_fires_what_a_fold_with_its_rules_would(crowd: Crowd):
    profiles, firings = tried(crowd.log, ("default", "datadog"))

    for each in profiles:
        view = now(told(SessionsFold(replace(RULES, signals=each.signals)), crowd.log, until=FAR))
        alone = view.get("signals", TABLE.schema.to_frame())
        assert firings.of(each.name).sort(TABLE.key).select(TABLE.key).rows() == alone.sort(TABLE.key).select(TABLE.key).rows()


def test_a_signal_of_which_a_product_published_nothing_keeps_our_rule_and_is_marked():
    posthog = profile("posthog", RULES)

    assert "form_error_loop" in posthog.missing
    assert "rage_click" not in posthog.missing
    assert posthog.signals[0] == RAGE_CLICK.with_profile("posthog")
    assert profile("default", RULES).missing == frozenset()


def test_own_signals_and_what_the_settings_say_can_be_tried():
    changed = replace(RULES, signals=(RAGE_CLICK.with_rule(clicks=2), BUY_AGAIN))
    log = records([click(at=f"10:00:0{n}", page="/cart", element="buy", event_id=f"e{n}") for n in range(2)])
    found = compared(*tried(log, (SETTINGS, "default"), changed))

    assert {name: {of: each.n for of, each in counts.items()} for name, counts in found.counts.items()} == {
        "rage_click": {SETTINGS: 1, "default": 0},
        "buy_again": {SETTINGS: 1, "default": 1},
    }
    assert [(each.signal, each.fired_by, each.not_by, each.n) for each in found.differences] == [
        ("rage_click", SETTINGS, "default", 1)
    ]


def test_that_nothing_fires_is_a_sentence(capsys):
    show_trial(compared(*tried(records([click(at="10:00")]), ("posthog", "datadog"))))

    assert capsys.readouterr().out == "Nothing fires on these events by posthog, datadog.\n"


def test_a_profile_that_nobody_published_is_an_error_that_names_the_nearest_if_one_is_near():
    with pytest.raises(NoSuchProfile, match="no profile 'fullstory'; there are settings, default, posthog"):
        profile("fullstory", RULES)
    with pytest.raises(NoSuchProfile, match="no profile 'posthgo'; the nearest is 'posthog'; there are settings, default, posthog"):
        profile("posthgo", RULES)
