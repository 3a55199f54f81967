"""What the tables say of one session.

Cases:   events have the emitter's session id, not ours -> those of the visitor, in the session's time, with that id or without one
"""

# ruff: noqa: S608 - every value is quoted, names are ours

from datetime import datetime

import polars as pl
from clickhouse_connect.driver.binding import format_str, quote_identifier

from sinks.reader import Reader

MOST_EVENTS = 10_000
"""Events of one session that are told; who made more is no person."""


def sessions(reader: Reader, session_id: str, visitor_id: str | None = None, site: str | None = None) -> pl.DataFrame:
    """Every session of this id. Frames: -> SESSIONS. Raises: as `Reader.query`."""
    said = {"session_id": session_id, "visitor_id": visitor_id, "site": site}
    wanted = " AND ".join(f"{name} = {format_str(value)}" for name, value in said.items() if value is not None)
    return reader.query(f"SELECT * FROM {_view(reader, 'sessions')} WHERE {wanted} ORDER BY started_at, site, visitor_id")


def rows(reader: Reader, session: dict[str, object]) -> dict[str, pl.DataFrame]:
    """Steps, signals, outcomes and events of this session, by name. Raises: as `Reader.query`."""
    visitor = _same(session, "site", "visitor_id")
    mine = _same(session, "site", "visitor_id", "session_id")
    return {
        "steps": reader.query(
            f"SELECT * FROM {_view(reader, 'steps')} WHERE instance = 'session' AND {mine} ORDER BY first_at, step_index"
        ),
        "signals": reader.query(f"SELECT * FROM {_view(reader, 'signals')} WHERE {mine} ORDER BY fired_at, signal, signal_id"),
        "outcomes": reader.query(f"SELECT * FROM {_view(reader, 'outcomes')} WHERE {mine} ORDER BY due_at, expectation"),
        "events": _events(reader, session, visitor),
    }


def _events(reader: Reader, session: dict[str, object], visitor: str) -> pl.DataFrame:
    begin, end = (_millis(session[name]) for name in ("started_at", "ended_at"))
    emitters = str(session["session_id"]).partition("~")[0]
    its = [f"session_id IN ({format_str(emitters)}, '')", f"event_at BETWEEN {begin} AND {end}", "family = 'clickstream'"]
    if session["customer_id"]:
        its.append(f"customer_id IN ({format_str(str(session['customer_id']))}, '')")
    where = " AND ".join((visitor, *its))
    found = reader.query(f"SELECT * FROM {_view(reader, 'events')} WHERE {where} ORDER BY event_at, event_id LIMIT {MOST_EVENTS}")
    with_id = found.filter(pl.col("session_id") == emitters)
    return with_id if with_id.height else found


def _millis(at: object) -> str:
    assert isinstance(at, datetime)
    return f"fromUnixTimestamp64Milli({round(at.timestamp() * 1_000)})"


def _same(session: dict[str, object], *names: str) -> str:
    return " AND ".join(f"{name} = {format_str(str(session[name]))}" for name in names)


def _view(reader: Reader, table: str) -> str:
    return f"{quote_identifier(reader.database)}.{table}_now"
