"""Whether an expectation that is `auto` is on, site by site, as far as a store can tell: by the event types that it has seen there.

The fold judges each wait by the days before its due time; here it is judged as if one were due at the last event of the store.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from agents.terminal import plain
from pipeline.expectation import Expectation


@dataclass(frozen=True)
class Verdict:
    """What is said of one expectation at one site."""

    site: str
    is_on: bool | None
    """None: the store has no events of that kind, so nobody can tell."""
    event_type: str | None
    """What is awaited and was seen last; None: nothing ever was."""
    last_seen_at: datetime | None
    why: str
    """For people."""

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        return {name: getattr(self, name) for name in ("site", "is_on", "event_type", "last_seen_at", "why")}


DOCUMENTS = ("order", "delivery")
TICKETS = ("ticket",)

Verdicts = dict[str, list[Verdict]]
"""Expectation -> what is said of it, in order of the sites."""


def verdicts(expectations: Sequence[Expectation], seen: pl.DataFrame, within: timedelta) -> Verdicts:
    """Of all that are `auto`. Frames: types_seen.types_seen. None of it is empty."""
    until = seen["last_at"].max()
    assert isinstance(until, datetime), "there is an event"
    return {each.name: list(_of_sites(each, seen, until, within)) for each in expectations if each.enabled == "auto"}


def _of_sites(expectation: Expectation, seen: pl.DataFrame, until: datetime, within: timedelta) -> Iterator[Verdict]:
    families = TICKETS if expectation.key == "ticket" else DOCUMENTS
    awaited = seen.filter(pl.col("family").is_in(families), pl.col("event_type").is_in(expectation.expect))
    is_there = seen["family"].is_in(families).any()
    last = {site: (name, at) for site, name, at in awaited.sort("last_at").select("site", "event_type", "last_at").iter_rows()}
    names = " or ".join(expectation.expect)
    for site in seen["site"].unique().sort().to_list():
        name, at = last.get(site, (None, None))
        if not is_there:
            yield Verdict(site, None, None, None, f"the store has no events of the families {', '.join(families)}")
        elif at is None:
            yield Verdict(site, False, None, None, f"{names} was never seen")  # noqa: FBT003 - fields in their order
        else:
            is_on = at.date() >= until.date() - within
            since = "" if is_on else f": more than {within.days} days before the last event of the store, {plain(until)}"
            yield Verdict(site, is_on, name, at, f"{name} was seen, last at {plain(at)}{since}")
