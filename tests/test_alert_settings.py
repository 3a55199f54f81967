"""What people write down of channels and mutes is checked where they write it, and secrets stay secret."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from agents.alert_settings import AlertSettings, ChannelSettings, ChannelUnfit, channels
from agents.settings_sources import SettingsWrong, load
from pipeline.spike_counts import ABANDONMENT, EXITS, FRICTION, LAPSE, LIMIT, SILENCE
from tests.alert_rows import alert

HOOK = '[[alerts.channels]]\nname = "hook"\nkind = "webhook"\n'


@pytest.fixture
def read(tmp_path):
    def settings(text):
        (tmp_path / "settings.toml").write_text(text)
        return load(tmp_path / "settings.toml")

    return settings


def test_a_channel_with_all_that_can_be_said_of_it(read, tmp_path):
    (tmp_path / "key").write_text("between us\n")
    told = read(
        HOOK + f'url = "https://hooks.example.com/x"\nsecret_file = "{tmp_path / "key"}"\nowners = ["payments"]\n'
        'severities = ["critical"]\nheartbeat_min = 5\n'
        '[[alerts.mutes]]\nsites = ["shop"]\nweekdays = ["sat", "sun"]\n'
        '[[alerts.mutes]]\nbegins = "2026-12-24T18:00:00+01:00"\nends = 2026-12-27T06:00:00Z\n'
    )

    (hook,) = channels(told.alerts.channels)

    assert (hook.url, hook.secret, hook.heartbeat_s) == ("https://hooks.example.com/x", b"between us", 300.0)
    assert hook.route.takes(alert(severity="critical"))
    assert not hook.route.takes(alert())
    mutes = told.alerts.muted(told.calendars_of_sites())
    assert mutes.cover(alert(), datetime(2026, 7, 4, 12, tzinfo=UTC)), "a Saturday"
    assert not mutes.cover(alert(site="other"), datetime(2026, 7, 4, 12, tzinfo=UTC))
    assert mutes.cover(alert(site="other"), datetime(2026, 12, 24, 18, tzinfo=UTC))


def test_an_alertmanager_is_named_by_its_address():
    (made,) = channels([ChannelSettings(name="am", kind="alertmanager", url="https://am.example.com/prefix/")])

    assert made.url == "https://am.example.com/prefix/api/v2/alerts"
    assert made.heartbeat_s == 0


def test_a_chat_gets_no_heartbeats_unless_it_is_asked_for():
    chat = ChannelSettings(name="chat", kind="webhook", url="https://hooks.slack.com/x", body="slack")
    asked = chat.model_copy(update={"heartbeat_min": 1_440.0})

    assert [made.heartbeat_s for made in channels([chat, asked])] == [0.0, 86_400.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HOOK, "a channel needs a url or a url_file, and not both"),
        (HOOK + 'url = "ftp://x"', "a url is http://host or https://host"),
        (HOOK + 'url = "http://10.0.0.1/x"', "10.0.0.1 is this machine or a network inside: set allow_private = true"),
        (HOOK + 'url = "http://localhost/x"', "localhost is this machine"),
        (HOOK + 'url = "http://[::1]/x"', "::1 is this machine"),
        (HOOK + 'url = "https://a.example/x"\nrepeat_s = 5', "repeat_s is of Alertmanagers"),
        (HOOK + 'url = "https://a.example/x"\nsecret_env = "A"\nsecret_file = "b"', "a secret_file or a secret_env, and not both"),
        (HOOK + 'url = "https://a.example/x"\n' + HOOK + 'url = "https://b.example/x"', "there are two channels 'hook'"),
        (
            '[[alerts.channels]]\nname = "am"\nkind = "alertmanager"\nurl = "https://a.example"\nbody = "slack"',
            "body are of webhooks, and this one is an Alertmanager",
        ),
        ('[[alerts.mutes]]\nsites = ["shop"]', "a mute has begins and ends, or weekdays"),
        ("[[alerts.mutes]]\nbegins = 2026-01-02T00:00:00Z\nends = 2026-01-01T00:00:00Z", "a mute begins before it ends"),
        ('[[alerts.mutes]]\nweekdays = ["sunday"]', "the nearest is 'sun'"),
        ("[publish]\ntables = []\n" + HOOK + 'url = "https://a.example/x"', "publish.tables must name alerts"),
        ('[publish]\ntables = ["alerts", "alerts"]', "alerts stands there twice"),
    ],
)
def test_what_does_not_fit_is_said(read, text, said):
    with pytest.raises(SettingsWrong) as wrong:
        read(text)

    assert said in str(wrong.value)


def test_a_url_is_shown_to_nobody(read):
    with pytest.raises(SettingsWrong) as wrong:
        read(HOOK + 'url = "hooks.example.com/T0/hush"')
    made = ChannelSettings(name="chat", kind="webhook", url="https://hooks.slack.com/T0/hush")

    assert "hush" not in str(wrong.value) + repr(made) + repr(made.channel()) + repr(AlertSettings(channels=(made,)))


def test_secrets_that_are_not_there_are_named(tmp_path, monkeypatch):
    def unfit(**said):
        with pytest.raises(ChannelUnfit) as error:
            channels([ChannelSettings(name="hook", kind="webhook", **said)])
        return str(error.value)

    (tmp_path / "empty").write_text("\n")
    (tmp_path / "inside").write_text("http://10.0.0.1/secret")
    monkeypatch.delenv("HOOK_KEY", raising=False)

    assert "the variable HOOK_KEY is not set" in unfit(url="https://a.example", secret_env="HOOK_KEY")
    assert "cannot be read: No such file" in unfit(url_file=tmp_path / "gone")
    assert "is empty" in unfit(url="https://a.example", secret_file=tmp_path / "empty")
    assert "10.0.0.1 is this machine or a network inside" in unfit(url_file=tmp_path / "inside")
    monkeypatch.setenv("HOOK_KEY", "key")
    (made,) = channels([ChannelSettings(name="hook", kind="webhook", url="https://a.example", secret_env="HOOK_KEY")])
    assert made.secret == b"key"


def test_every_rule_that_opens_alerts_can_be_named():
    named = get_args(get_args(ChannelSettings.model_fields["rules"].annotation)[0])

    assert set(named) == {ABANDONMENT, SILENCE, LAPSE, FRICTION, EXITS, LIMIT}
