"""`ebbtide alerts`: what people see of alerts in the terminal, and whether a channel can be reached."""

import json

import pytest
from typer.testing import CliRunner

from agents.cli import main
from tests.alert_rows import alert, minutes, resolved
from tests.stores import rows_of

pytest_plugins = ("tests.receiver",)

WORSE = {"severity": "critical", "opened_at": minutes(-3)}


def row(said, **more):
    return {name: value for name, value in {**said, **more}.items() if name != "version"}


@pytest.fixture
def called(store, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("EBBTIDE_CLICKHOUSE__DATABASE", store.database)
    with store.open() as opened:
        opened.write(
            "alerts",
            rows_of(
                "alerts",
                row(resolved("0a11")),
                row(alert("0b22", examples=["v/1/s1", "o-7", "t-9"])),
                row(alert("0c33", site="other", rule="friction", rate=1.25, baseline_rate=None, **WORSE)),
            ),
            token="alerts",
        )
        opened.write("contacts", rows_of("contacts", {"ticket_id": "t-9"}), token="contacts")
    options = ("--clickhouse", store.dsn)

    def call(*arguments, at_store=True, settings=None):
        if settings is not None:
            (tmp_path / "settings.toml").write_text(settings)
            arguments = (*arguments, "--settings", str(tmp_path / "settings.toml"))
        done = CliRunner().invoke(main, ["alerts", *arguments, *(options if at_store else ())])
        return done.exit_code, done.stdout, done.stderr

    return call


def test_alerts_are_listed_and_those_that_are_open_come_first(called):
    code, shown, said = called("list")

    assert code == 0, said
    lines = [line for line in shown.splitlines() if "0a11" in line or "0b22" in line or "0c33" in line]
    assert [next(name for name in ("0a11", "0b22", "0c33") if name in line) for line in lines] == ["0c33", "0b22", "0a11"]
    assert "EUR 4,120.00" in lines[1]
    assert "61 %" in lines[1]
    assert "payment_retry (48%)" in lines[1]
    assert "1.25 a visit" in lines[0]
    _, shown, _ = called("list", "--site", "shop", "--open", "--json")
    assert [each["alert_id"] for each in json.loads(shown)["alerts"]] == ["0b22"]
    _, _, said = called("list", "--limit", "2")
    assert "the newest 2; more with --limit" in said
    _, shown, _ = called("list", "--site", "nowhere")
    assert shown == "no alerts\n"


def test_a_narrow_terminal_shows_an_alert_in_lines(called, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")

    _, shown, _ = called("list", "--site", "shop", "--open")

    assert shown.splitlines() == [
        f"open, warning {minutes(-10):%Y-%m-%d %H:%M} shop 0b22",
        "  Abandonment at <payment> is 61 %",
    ]


def test_one_alert_says_how_to_look_at_some_of_whom_it_happened_to(called):
    code, shown, said = called("show", "0b")

    assert code == 0, said
    assert "open, warning Abandonment at <payment> is 61 %" in shown
    assert "61 % (74 of 121), usual 24 %" in shown
    assert "ebbtide why --session s1 --visitor v/1 --site shop" in shown
    assert "ebbtide why --order o-7 --site shop" in shown
    assert "  ticket t-9\n" in shown
    code, shown, _ = called("show", "0b22", "--json")
    assert json.loads(shown)["look_at"][1] == "ebbtide why --order o-7 --site shop"


def test_an_alert_that_is_not_there_or_not_one_is_said(called):
    code, _, said = called("show", "ffff")
    assert code == 1
    assert "there is no alert 'ffff'" in said
    code, _, said = called("show", "0")
    assert code == 1
    assert "several alerts begin with '0': 0c33 (other), 0a11 (shop), 0b22 (shop)" in said


def channel(receiver, kind="webhook", more=""):
    url = receiver.url.removesuffix("/hook") if kind == "alertmanager" else receiver.url
    return f'[[alerts.channels]]\nname = "team"\nkind = "{kind}"\nurl = "{url}"\nallow_private = true\n{more}'


def test_a_channel_is_tried_and_what_it_answers_is_said(called, receiver, monkeypatch):
    monkeypatch.setenv("HOOK_KEY", "key")
    code, shown, said = called("test", "team", at_store=False, settings=channel(receiver, more='secret_env = "HOOK_KEY"'))

    assert code == 0, said
    assert shown == "channel team took it: it answered 200: ok\n"
    (got,) = receiver.got
    assert got.said["type"] == "test"
    assert got.said["alert"]["summary"] == "TEST of channel team: nothing is wrong"
    assert got.headers["Ebbtide-Signature"].startswith("v1=")

    receiver.answers = [403]
    code, shown, said = called("test", "team", "--json", at_store=False, settings=channel(receiver, more='body = "slack"'))
    assert code == 1
    assert json.loads(shown) == {"channel": "team", "kind": "webhook", "ok": False, "status": 403, "said": "ok"}
    assert "*TEST, nothing is wrong" in receiver.got[-1].said["text"]

    code, _, _ = called("test", "team", at_store=False, settings=channel(receiver, "alertmanager"))
    assert code == 0
    assert receiver.got[-1].path == "/api/v2/alerts"
    assert receiver.got[-1].said[0]["labels"]["alertname"] == "EbbtideTest"


def test_a_channel_that_cannot_be_reached_or_is_not_there_is_said(called, receiver):
    receiver.close()
    code, _, said = called("test", "team", at_store=False, settings=channel(receiver))
    assert code == 1
    assert "channel team did not take it: no answer: " in said
    code, _, said = called("test", "nobody", at_store=False, settings=channel(receiver))
    assert code == 1
    assert "there is no channel 'nobody' in the settings; there is team" in said
