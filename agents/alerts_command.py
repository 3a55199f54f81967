"""The command `ebbtide alerts`: what is and was wrong, one alert with all that is known of it, and whether a channel can be reached."""

import asyncio
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from rich.markup import escape

from agents import terminal
from agents.alert_delivery import signed
from agents.alert_settings import Channel, ChannelSettings
from pipeline.alert_words import OPEN, as_chat, as_json, rate, trial_for_alertmanager
from pipeline.frames import ALERTS
from pipeline.money import spelt as money
from sinks import alert_rows
from sinks.outgoing import Answer, post, session
from sinks.reader import Reader
from sinks.story_rows import refuse_if_missing

COLUMNS = ("opened (UTC)", "status", "severity", "site", "segment", "rate", "usual", "owner", "cause", "money", "id")
ID_SHOWN = 8
"""So much of an id is shown in a list: `show` takes the beginning of one."""
LASTS_S = 60.0
"""So long a test is open in an Alertmanager."""


class NoSuchAlert(LookupError):
    """There is none of this id, or more than one; the message says which."""


class NoSuchChannel(LookupError):
    """The settings know no channel of this name; the message says which they know."""


def listed(reader: Reader, *, site: str | None, only_open: bool, limit: int) -> pl.DataFrame:
    """Alerts, those that are open first. Raises: TablesMissing; as `Reader.query`."""
    refuse_if_missing(reader, ("alerts",))
    return alert_rows.alerts(reader, site=site, only_open=only_open, limit=limit)


def show_list(rows: pl.DataFrame, limit: int) -> None:
    """Tell people."""
    if rows.is_empty():
        terminal.told().print("no alerts")
        return
    cells = [
        (
            _at(row["opened_at"]),
            row["status"],
            row["severity"],
            row["site"],
            row["segment"] or row["journey"],
            rate(row, "rate"),
            rate(row, "baseline_rate"),
            row["owner"],
            _cause(row),
            money(row["value_minor"], row["currency"]),
            row["alert_id"][:ID_SHOWN],
        )
        for row in rows.iter_rows(named=True)
    ]
    console, drawn = terminal.told(), terminal.table(COLUMNS, cells, numbers=(5, 6, 9))
    if terminal.width(console, drawn) <= console.width:
        console.print(drawn)
    else:
        for row, (at, *_, alert_id) in zip(rows.iter_rows(named=True), cells, strict=True):
            console.print(
                f"[{_style(row)}]{escape(row['status'])}, {escape(row['severity'])}[/] {at} {escape(row['site'])} {alert_id}"
            )
            console.print(f"  {escape(row['summary'])}", soft_wrap=True)
    if rows.height == limit:
        terminal.warning(f"the newest {limit}; more with --limit")


def one(reader: Reader, alert_id: str, site: str | None) -> dict[str, Any]:
    """An alert by its id or the beginning of it, with `look_at`: the commands that tell of its examples. Raises: NoSuchAlert; TablesMissing; as `Reader.query`."""
    refuse_if_missing(reader, alert_rows.TABLES)
    found = alert_rows.alert(reader, alert_id, site).to_dicts()
    exact = [row for row in found if row["alert_id"] == alert_id]
    rows = exact or found
    if not rows:
        where = "" if site is None else f" on site {site!r}"
        message = f"there is no alert {alert_id!r}{where} in {reader.address}: `ebbtide alerts list` shows their ids"
        raise NoSuchAlert(message)
    if len(rows) > 1:
        these = ", ".join(f"{row['alert_id']} ({row['site']})" for row in rows)
        message = f"several alerts begin with {alert_id!r}: {these}"
        raise NoSuchAlert(message)
    (row,) = rows
    kinds = alert_rows.example_kinds(reader, row, [each for each in row["examples"] if "/" not in each])
    return {**row, "look_at": [_look(row["site"], each, kinds) for each in row["examples"]]}


def show(row: Mapping[str, Any]) -> None:
    """Tell people."""
    console = terminal.told()
    console.print(f"[{_style(row)}]{escape(row['status'])}, {escape(row['severity'])}[/] {escape(row['summary'])}")
    ended = f", over since {_at(row['resolved_at'])}" if row["resolved_at"] else ""
    facts = {
        "id": row["alert_id"],
        "site": row["site"],
        "what rose": " ".join(filter(None, (row["rule"], row["expectation"], row["signal"]))),
        "where": row["segment"] or row["journey"],
        "since (UTC)": f"{_at(row['opened_at'])}{ended}; judged until {_at(row['updated_at'])}",
        "rate": f"{rate(row, 'rate')} ({row['n']} of {row['n_of']}), usual {rate(row, 'baseline_rate') or 'not known'}",
        "so many or more, by chance": "" if row["p_value"] is None else f"{row['p_value']:.2g}",
        "cause": _cause(row),
        "owner": row["owner"],
        "at stake": money(row["value_minor"], row["currency"]),
    }
    console.print(terminal.table(("", ""), [(name, value) for name, value in facts.items() if value]))
    if row["look_at"]:
        console.print("[bold]some of whom it happened to[/bold]")
        for command in row["look_at"]:
            console.print(f"  {escape(command)}")


# A test of a channel --------------------------------------------------------------------------------------------------------


def tested(said: Sequence[ChannelSettings], name: str) -> tuple[Channel, Answer]:
    """Send a test alert through a channel, once; what was answered. Raises: NoSuchChannel; ChannelUnfit."""
    wanted = next((each for each in said if each.name == name), None)
    if wanted is None:
        known = ", ".join(each.name for each in said) or "none: [[alerts.channels]] is empty"
        message = f"there is no channel {name!r} in the settings; there is {known}"
        raise NoSuchChannel(message)
    channel = wanted.channel()
    return channel, asyncio.run(_sent(channel))


async def _sent(channel: Channel) -> Answer:
    row, now = _made_up(channel), datetime.now(UTC)
    if channel.kind == "alertmanager":
        body = json.dumps([trial_for_alertmanager(channel.name, now, now + timedelta(seconds=LASTS_S))]).encode()
        headers = {}
    else:
        body = as_chat(row, "open-warning", is_test=True) if channel.is_chat else as_json(row, "open-warning", is_test=True)
        headers = signed(channel, body, f"{row['alert_id']}:open-warning")
    async with session(allow_private=channel.allow_private) as through:
        return await post(through, channel.url, body, headers)


def _made_up(channel: Channel) -> dict[str, Any]:
    """An alert that is none, and says so."""
    now = datetime.now(UTC)
    said = {
        "site": channel.route.sites[0] if channel.route.sites else "test",
        "alert_id": f"test-{int(time.time())}",
        "rule": "test",
        "status": OPEN,
        "severity": "warning",
        "owner": channel.route.owners[0] if channel.route.owners else "",
        "summary": f"TEST of channel {channel.name}: nothing is wrong",
        "partition": 0,
    }
    times = {"opened_at": now, "updated_at": now}
    (row,) = ALERTS.conform(pl.DataFrame([{**said, **times}])).drop("partition").to_dicts()
    return {**row, "version": 0}


def told_of(channel: Channel, answer: Answer) -> dict[str, object]:
    """What came of a test, as JSON."""
    return {"channel": channel.name, "kind": channel.kind, "ok": answer.is_well, "status": answer.status, "said": answer.said}


def _look(site: str, example: str, kinds: Mapping[str, str]) -> str:
    """The command that tells of somebody; of a ticket what it is, for no command tells of one alone."""
    visitor_id, is_session, session_id = example.rpartition("/")
    words = ["ebbtide", "why"]
    if is_session:
        words += ["--session", session_id, "--visitor", visitor_id]
    elif kinds.get(example) == "ticket":
        return f"ticket {example}"
    else:
        words += ["--order", example]
    return shlex.join([*words, "--site", site])


def _style(row: Mapping[str, Any]) -> str:
    if row["status"] != OPEN:
        return "bold green"
    return {"critical": "bold red", "warning": "bold yellow"}.get(row["severity"], "bold")


def _cause(row: Mapping[str, Any]) -> str:
    share = row["cause_share"]
    return row["cause"] if not row["cause"] or share is None else f"{row['cause']} ({share:.0%})"


def _at(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
