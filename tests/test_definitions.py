import pytest

from pipeline.definitions import CUSTOM, DEFAULT
from pipeline.signals.page_error import PAGE_ERROR
from pipeline.signals.rage_click import RAGE_CLICK, RageClick


def test_a_profile_is_chosen_by_name():
    signal = RAGE_CLICK.with_profile("mixpanel")

    assert (signal.profile, signal.rule.clicks) == ("mixpanel", 4)
    assert signal.with_profile("posthog").rule == RAGE_CLICK.profiles["posthog"]
    assert RAGE_CLICK.with_profile(DEFAULT) == RAGE_CLICK
    assert (RAGE_CLICK.profile, RAGE_CLICK.rule) == (DEFAULT, RageClick())


def test_a_profile_that_nobody_published_is_an_error_that_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"rage_click: no profile 'post-hog' \(did you mean 'posthog'\?\); there is default, posthog"
    ):
        RAGE_CLICK.with_profile("post-hog")
    with pytest.raises(ValueError, match="page_error: no profile 'sentry'; there is default"):
        PAGE_ERROR.with_profile("sentry")


def test_numbers_of_a_rule_can_be_changed_also_those_of_a_profile():
    signal = RAGE_CLICK.with_profile("datadog").with_rule(clicks=5)

    assert (signal.profile, signal.rule.clicks, signal.rule.radius_px) == (CUSTOM, 5, 100)
    assert RAGE_CLICK.with_rule() is RAGE_CLICK


def test_a_number_that_a_rule_has_not_is_an_error_that_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"rage_click: its rule has no 'click' \(did you mean 'clicks'\?\); it has clicks, span_ms"
    ):
        RAGE_CLICK.with_rule(click=5)


def test_a_changed_rule_is_validated_as_well():
    with pytest.raises(ValueError, match="clicks must be from 2 to 100"):
        RAGE_CLICK.with_rule(clicks=0)
