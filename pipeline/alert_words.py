"""What a receiver is told of an alert: JSON for a program, a text for a chat, an alert of Alertmanager.

Cases:   a text that is not known -> left out of labels | a time ahead of the receiver's clock -> now: Alertmanager does not know what has not begun
         a text that a chat would take for markup -> as it is
Source:  labels, startsAt and endsAt: https://prometheus.io/docs/alerting/latest/alerts_api/ (Prometheus says `endsAt` four sends ahead); the three characters that a chat
         of Slack's kind wants escaped: https://docs.slack.dev/messaging/formatting-message-text
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pipeline.alert_routes import Alert
from pipeline.money import spelt as money
from pipeline.spike_counts import FRICTION

OPEN, RESOLVED, RETRACTED = "open", "resolved", "retracted"
"""What an alert is now; retracted: later events showed that it was none."""

LABELS = (
    "alert_id",
    "site",
    "rule",
    "severity",
    "owner",
    "journey",
    "step",
    "expectation",
    "signal",
    "device",
    "country",
    "acquisition_channel",
)
"""Columns by which Alertmanager knows, groups, routes and silences an alert."""
_FACTS = ("rate", "baseline_rate", "n", "n_of", "n_expected", "p_value", "cause", "cause_share", "value_minor", "currency")
NAME, WATCHDOG, TEST = "EbbtideAlert", "EbbtideWatchdog", "EbbtideTest"
"""Names of alerts in Alertmanager; the second one fires always: when it is gone, nobody would be told."""


def status(alert: Alert) -> str:
    """OPEN, RESOLVED or RETRACTED."""
    if alert["is_deleted"]:
        return RETRACTED
    return OPEN if alert["status"] == OPEN else RESOLVED


def state(alert: Alert) -> str:
    """What is told once: `open-warning`, `open-critical`, `resolved`, `retracted`."""
    now = status(alert)
    return f"{OPEN}-{alert['severity']}" if now == OPEN else now


def as_json(alert: Alert, told: str, *, is_test: bool = False) -> bytes:
    """The body for a program; `told` is the state."""
    row = {name: _plain(value) for name, value in alert.items()}
    said = {"type": "test" if is_test else "alert", "state": told, "alert": row}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def heartbeat_as_json(prefix: str, channel: str) -> bytes:
    """The body that says that the way to a receiver is open."""
    return json.dumps({"type": "heartbeat", "from": prefix, "channel": channel}, separators=(",", ":")).encode()


def as_chat(alert: Alert, told: str, *, is_test: bool = False) -> bytes:
    """The body for a chat of Slack's kind."""
    sign = {OPEN: ":rotating_light:", RESOLVED: ":white_check_mark:", RETRACTED: ":leftwards_arrow_with_hook:"}[
        told.split("-", maxsplit=1)[0]
    ]
    head = f"{sign} *{'TEST, nothing is wrong: ' if is_test else ''}{_escaped(headline(alert, told))}*"
    return _chat("\n".join([head, *(_escaped(line) for line in lines(alert))]))


def heartbeat_as_chat(prefix: str) -> bytes:
    """The same to a chat."""
    return _chat(f"{_escaped(prefix)} can be heard here. No alert.")


def headline(alert: Alert, told: str) -> str:
    """One line: what, where, and how bad."""
    word = {OPEN: alert["severity"], RESOLVED: "resolved", RETRACTED: "taken back"}[told.split("-", maxsplit=1)[0]]
    return f"{word}: {alert['summary'] or alert['rule']} ({alert['site']})"


def lines(alert: Alert) -> Iterator[str]:
    """What else there is to say, a line each."""
    if alert["segment"]:
        yield f"where: {alert['segment']}"
    if alert["rate"] is not None:
        yield f"rate {rate(alert, 'rate')}, usual {rate(alert, 'baseline_rate') or 'not known'} ({alert['n']} of {alert['n_of']})"
    if alert["cause"]:
        yield f"cause: {alert['cause']}" + ("" if alert["cause_share"] is None else f", met by {alert['cause_share']:.0%}")
    if alert["owner"]:
        yield f"owner: {alert['owner']}"
    if alert["value_minor"]:
        yield f"at stake: {money(alert['value_minor'], alert['currency'])}"
    yield f"ebbtide alerts show {alert['alert_id']}"


def rate(alert: Alert, column: str) -> str:
    """`rate` or `baseline_rate` as people read it: a share, or of friction how many a visit; '' if it is not known."""
    value = alert[column]
    if value is None:
        return ""
    return f"{value:.2f} a visit" if alert["rule"] == FRICTION and value > 1 else f"{100 * value:.3g} %"


def labels(alert: Alert) -> dict[str, str]:
    """By what an Alertmanager knows it: with other labels it is another alert to it."""
    return {name: alert[name] for name in LABELS if alert[name]}


def for_alertmanager(alert: Alert, its_labels: Mapping[str, str], *, now: datetime, ends_at: datetime) -> dict[str, Any]:
    """One alert of its API, under these labels. It has ended if `ends_at` is not after `now`."""
    begun = min(alert["opened_at"] or now, now)
    facts = {name: str(alert[name]) for name in _FACTS if alert[name] not in (None, "")}
    notes = {"summary": headline(alert, state(alert)), "description": "\n".join(lines(alert)), "segment": alert["segment"], **facts}
    return {
        "labels": {"alertname": NAME, **its_labels},
        "annotations": {name: note for name, note in notes.items() if note},
        "startsAt": begun.isoformat(),
        "endsAt": max(begun, ends_at).isoformat(),
    }


def trial_for_alertmanager(channel: str, now: datetime, ends_at: datetime) -> dict[str, Any]:
    """An alert that is none, and says so; it is over by itself."""
    return {
        "labels": {"alertname": TEST, "channel": channel, "severity": "warning"},
        "annotations": {"summary": f"TEST of channel {channel}: nothing is wrong"},
        "startsAt": now.isoformat(),
        "endsAt": ends_at.isoformat(),
    }


def watchdog(prefix: str, channel: str, ends_at: datetime) -> dict[str, Any]:
    """The alert that fires always."""
    return {
        "labels": {"alertname": WATCHDOG, "from": prefix, "channel": channel, "severity": "none"},
        "annotations": {"summary": "Always there while alerts of Ebbtide can be told: when it is gone, nobody is told of any."},
        "endsAt": ends_at.isoformat(),
    }


def _chat(text: str) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
