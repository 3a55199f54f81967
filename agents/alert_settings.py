"""Settings of alerts: who is told of them, and when nobody is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from agents.calendar_settings import WEEKDAYS, known_days
from agents.settings_section import Section, not_empty
from pipeline.alert_routes import Mute, Mutes, Route
from pipeline.calendars import Calendars
from sinks.inside import is_inside

Kind = Literal["webhook", "alertmanager"]
Names = tuple[Annotated[str, AfterValidator(not_empty)], ...]

HEARTBEAT_S = 900.0
"""How often a webhook is told that it would be told, where nothing is set."""


class ChannelUnfit(ValueError):
    """A channel cannot be used as it is set; the message says why."""


@dataclass(frozen=True)
class Channel:
    """Somebody who is told of alerts."""

    name: str
    kind: Kind
    url: str = field(repr=False)
    route: Route = field(default_factory=Route)
    secret: bytes = field(default=b"", repr=False)
    """What bodies are signed with; empty: they are not."""
    is_chat: bool = False
    has_updates: bool = False
    allow_private: bool = False
    heartbeat_s: float = 0.0
    """How often a webhook gets a heartbeat; 0: never."""
    repeat_s: float = 60.0
    """How often an Alertmanager is told everything again."""


class _Routed(Section):
    """Which alerts; a list that names nothing means all."""

    sites: Annotated[Names, Field(examples=[["shop.de"]])] = ()
    """Sites whose alerts it is about; none named: all."""
    owners: Annotated[Names, Field(examples=[["payments", "checkout"]])] = ()
    """Owners of steps; none named: all."""
    severities: Annotated[tuple[Literal["warning", "critical"], ...], Field(examples=[["critical"]])] = ()
    """warning, critical; none named: both."""
    rules: Annotated[
        tuple[Literal["abandonment", "silence", "exits", "friction", "lapse", "limit"], ...], Field(examples=[["abandonment"]])
    ] = ()
    """abandonment, silence, exits, friction, lapse, limit (there are too many segments to judge); none named: all."""

    def route(self) -> Route:
        """The value."""
        return Route(self.sites, self.owners, self.severities, self.rules)


class ChannelSettings(_Routed):
    """Somebody who is told of alerts."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", examples=["payments-team"])]
    """What it is called in the log, in metrics and in `ebbtide alerts test`."""
    kind: Annotated[Kind, Field(examples=["webhook"])]
    """webhook: a POST for each news of an alert; alertmanager: Alertmanager's API, which groups, silences and sends on."""
    url: Annotated[str | None, Field(examples=["https://hooks.example.com/ebbtide"], repr=False)] = None
    """Where to: of an Alertmanager the address before `/api/v2/alerts`. Name and password may stand in it."""
    url_file: Annotated[Path | None, Field(examples=["/run/secrets/hook-url"])] = None
    """File that holds the URL, where that is itself a secret, as that of a chat is."""
    secret_file: Annotated[Path | None, Field(examples=["/run/secrets/hook-key"])] = None
    """File with the secret that a webhook's bodies are signed with; none: they are not signed."""
    secret_env: Annotated[str | None, Field(examples=["HOOK_KEY"])] = None
    """Variable that holds it instead."""
    body: Annotated[Literal["json", "slack"], Field(examples=["json"])] = "json"
    """What a webhook gets: the alert as JSON, or a text as Slack, Mattermost and others take it."""
    updates: Annotated[bool, Field(examples=[False])] = False
    """Whether a webhook also hears of figures that changed; else that an alert opened, became more or less severe or happens elsewhere, and is over."""
    heartbeat_min: Annotated[float | None, Field(ge=0, examples=[15.0])] = None
    """How often a webhook gets a heartbeat, so that its receiver can notice when nobody would tell it anything, min; 0: never. None given: 15 with JSON, never in a chat."""
    repeat_s: Annotated[float, Field(gt=0, examples=[60.0])] = 60.0
    """How often an Alertmanager is told all that is open again, s; four times as long an alert lives there after the last word."""
    allow_private: Annotated[bool, Field(examples=[False])] = False
    """Whether it may be an address of this machine or of a network inside."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError on what does not go together."""
        if (self.url is None) == (self.url_file is None):
            raise ValueError("a channel needs a url or a url_file, and not both")
        if self.url is not None:
            known_url(self.url, allow_private=self.allow_private)
        if self.secret_file is not None and self.secret_env is not None:
            raise ValueError("a channel has a secret_file or a secret_env, and not both")
        if self.kind == "alertmanager":
            only_webhook = {"secret_file", "secret_env", "body", "updates", "heartbeat_min"} & self.model_fields_set
            if only_webhook:
                message = f"{', '.join(sorted(only_webhook))} are of webhooks, and this one is an Alertmanager"
                raise ValueError(message)
        elif "repeat_s" in self.model_fields_set:
            raise ValueError("repeat_s is of Alertmanagers, and this one is a webhook")
        return self

    def channel(self) -> Channel:
        """The value, with what stands in files and the environment. Raises: ChannelUnfit."""
        is_chat, minutes = self.body == "slack", self.heartbeat_min
        heartbeat_s = (0.0 if is_chat else HEARTBEAT_S) if minutes is None else minutes * 60
        return Channel(
            self.name,
            self.kind,
            self._url(),
            self.route(),
            self._secret(),
            is_chat=is_chat,
            has_updates=self.updates,
            allow_private=self.allow_private,
            heartbeat_s=heartbeat_s if self.kind == "webhook" else 0.0,
            repeat_s=self.repeat_s,
        )

    def _url(self) -> str:
        url = self.url
        if url is None:
            assert self.url_file is not None, "see _fit"
            url = _contents(self.name, self.url_file)
            try:
                known_url(url, allow_private=self.allow_private)
            except ValueError as error:
                message = f"channel {self.name}: what stands in {self.url_file}: {error}"
                raise ChannelUnfit(message) from None
        return url.rstrip("/") + "/api/v2/alerts" if self.kind == "alertmanager" else url

    def _secret(self) -> bytes:
        if self.secret_env is not None:
            secret = os.environ.get(self.secret_env, "")
            if not secret:
                message = f"channel {self.name}: the variable {self.secret_env} is not set, and bodies are to be signed with it"
                raise ChannelUnfit(message)
            return secret.encode()
        return b"" if self.secret_file is None else _contents(self.name, self.secret_file).encode()


class MuteSettings(_Routed):
    """When nothing new is told: once (`begins`, `ends`), or every week (`weekdays`, `opens`, `closes`)."""

    begins: Annotated[datetime | None, Field(examples=["2026-12-24T18:00:00+01:00"])] = None
    """Of a time that comes once: its begin; UTC if it names no zone."""
    ends: Annotated[datetime | None, Field(examples=["2026-12-27T06:00:00+01:00"])] = None
    """... and its end. What is open then is told then."""
    weekdays: Annotated[tuple[str, ...], Field(examples=[["sat", "sun"]]), AfterValidator(known_days)] = ()
    """Of hours of every week: days on which they begin: mon, tue, wed, thu, fri, sat, sun."""
    opens: Annotated[time, Field(examples=["22:00"])] = time(0)
    """When they begin, in the time zone of the alert's site (`[[calendars]]`)."""
    closes: Annotated[time, Field(examples=["06:00"])] = time(0)
    """When they end; not later than `opens`: on the next day."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError if it is neither once nor every week."""
        is_once = self.begins is not None or self.ends is not None
        if is_once == bool(self.weekdays):
            raise ValueError("a mute has begins and ends, or weekdays")
        if is_once and (self.begins is None or self.ends is None or _zoned(self.begins) >= _zoned(self.ends)):
            raise ValueError("a mute begins before it ends")
        return self

    def mute(self) -> Mute:
        """The value."""
        days = tuple(WEEKDAYS.index(name) for name in self.weekdays)
        begins, ends = (None if at is None else _zoned(at) for at in (self.begins, self.ends))
        return Mute(self.route(), begins, ends, self.opens, self.closes, days)


class AlertSettings(Section):
    """Who is told of alerts. They are in ClickHouse and on the topic `PREFIX.alerts` all the same."""

    channels: tuple[ChannelSettings, ...] = ()
    """Who is told: a webhook or an Alertmanager, and of which alerts."""
    mutes: tuple[MuteSettings, ...] = ()
    """When nothing new is told of some alerts; what is still open afterwards is told then. That an alert is over, whoever knows of it is told at any time."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        """Raises: ValueError on two channels of one name."""
        names = [channel.name for channel in self.channels]
        if twice := [name for name in names if names.count(name) > 1]:
            message = f"there are two channels {twice[0]!r}"
            raise ValueError(message)
        return self

    def muted(self, calendars: Calendars) -> Mutes:
        """The mutes, with the sites' time zones."""
        return Mutes(tuple(mute.mute() for mute in self.mutes), calendars)


def known_url(url: str, *, allow_private: bool) -> None:
    """Refuse what is no address that may be told. What a name means is looked at when it is connected to. Raises: ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a url is http://host or https://host, with a path if need be")
    try:
        inside = is_inside(parts.hostname)
    except ValueError:  # a name
        inside = parts.hostname == "localhost"
    if inside and not allow_private:
        message = f"{parts.hostname} is this machine or a network inside: set allow_private = true if that is meant"
        raise ValueError(message)


def channels(said: Sequence[ChannelSettings]) -> tuple[Channel, ...]:
    """All of them. Raises: ChannelUnfit."""
    return tuple(each.channel() for each in said)


def _contents(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"channel {name}: {path} cannot be read: {error.strerror if isinstance(error, OSError) else 'it is no text'}"
        raise ChannelUnfit(message) from error
    if not text:
        message = f"channel {name}: {path} is empty"
        raise ChannelUnfit(message)
    return text


def _zoned(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
