"""What the tables say of one session.

Cases:   events have the emitter's session id, not ours -> those of the visitor, in the session's time, with that id or without one
"""

from collections.abc import Mapping

import polars as pl

from sinks.reader import Reader
from sinks.story_rows import among, quoted, rows, same

TABLES = ("sessions", "steps", "signals", "outcomes", "events")
"""What is read."""


def sessions(reader: Reader, session_id: str, visitor_id: str | None = None, site: str | None = None) -> pl.DataFrame:
    """Every session of this id. Frames: -> SESSIONS. Raises: as `Reader.query`."""
    wanted = same(session_id=session_id, visitor_id=visitor_id, site=site)
    return rows(reader, "sessions", wanted, "started_at, site, visitor_id")


def session_rows(reader: Reader, session: Mapping[str, object]) -> dict[str, pl.DataFrame]:
    """Steps, signals, outcomes and events of this session, by name. Raises: as `Reader.query`."""
    mine = same(**{name: session[name] for name in ("site", "visitor_id", "session_id")})
    return {
        "steps": rows(reader, "steps", f"instance = 'session' AND {mine}", "first_at, step_index"),
        "signals": rows(reader, "signals", mine, "fired_at, signal, signal_id"),
        "outcomes": rows(reader, "outcomes", mine, "due_at, expectation"),
        "events": _events(reader, session),
    }


def _events(reader: Reader, session: Mapping[str, object]) -> pl.DataFrame:
    begin, end = (quoted(session[name]) for name in ("started_at", "ended_at"))
    emitters = str(session["session_id"]).partition("~")[0]
    its = [
        same(site=session["site"], visitor_id=session["visitor_id"], family="clickstream"),
        among("session_id", (emitters, "")),
        f"event_at BETWEEN {begin} AND {end}",
    ]
    if session["customer_id"]:
        its.append(among("customer_id", (session["customer_id"], "")))
    found = rows(reader, "events", " AND ".join(its), "event_at, event_id")
    with_id = found.filter(pl.col("session_id") == emitters)
    return with_id if with_id.height else found
