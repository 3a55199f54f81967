"""The command `ebbtide why`: the story of one session, in the terminal."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from agents import terminal
from pipeline.story import BEGAN, ENDED, EVENT, OUTCOME, SIGNAL, STEP, Moment, Story, story
from sinks.one_session import rows, sessions
from sinks.reader import Reader

STYLES = {BEGAN: "bold", STEP: "cyan", EVENT: "dim", SIGNAL: "bold yellow", OUTCOME: "bold red", ENDED: "bold"}
_CHOICE = ("site", "visitor_id", "customer_id", "started_at", "ended_at", "status", "furthest_step", "friction_score")


class NoSuchSession(LookupError):
    """The store has no session of this id."""


def found(reader: Reader, session_id: str, visitor_id: str | None, site: str | None) -> Story | list[dict[str, Any]]:
    """The story; of several sessions their rows. Raises: NoSuchSession; as `Reader.query`."""
    these = sessions(reader, session_id, visitor_id, site).to_dicts()
    if not these:
        more = "".join(f", {name} {value!r}" for name, value in (("visitor", visitor_id), ("site", site)) if value is not None)
        message = f"there is no session {session_id!r}{more} in {reader.address}: its id is session_id in the table sessions"
        raise NoSuchSession(message)
    if len(these) > 1:
        return these
    said: Mapping[str, list[dict[str, Any]]] = {name: frame.to_dicts() for name, frame in rows(reader, these[0]).items()}
    return story(these[0], steps=said["steps"], signals=said["signals"], outcomes=said["outcomes"], events=said["events"])


def show(told: Story) -> None:
    """Tell people."""
    console, session = terminal.told(), told.session
    console.print(
        f"[bold]session {escape(session['session_id'])}[/bold] of visitor {escape(session['visitor_id'])}, site {escape(session['site'])}"
    )
    console.print(
        f"{session['started_at']:%Y-%m-%d %H:%M:%S} UTC, {_spelt(session['ended_at'] - session['started_at'])}, {session['n_events']:,} events\n"
    )
    console.print(_timeline(told))
    for sentence in told.ending:
        console.print(sentence, markup=False)
    console.print()
    console.print(f"[bold]friction score {session['friction_score']:g} of 100[/bold]")
    for line in told.score.lines():
        console.print(f"  {line}", markup=False)
    for note in told.notes:
        terminal.warning(note)


def show_choice(these: list[dict[str, Any]]) -> None:
    """Let people choose."""
    shown = [[f"{row[name]:%Y-%m-%d %H:%M:%S}" if name.endswith("_at") else row[name] for name in _CHOICE] for row in these]
    terminal.told().print(terminal.table(_CHOICE, shown, numbers=(len(_CHOICE) - 1,)))


def _timeline(told: Story) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("after", "what", "where", "detail", "points", "owner"):
        drawn.add_column(name, justify="right" if name in ("after", "points") else "left", overflow="fold")
    for moment in told.moments:
        drawn.add_row(*_cells(moment, moment.at - told.session["started_at"]), style=STYLES[moment.kind])
    return drawn


def _cells(moment: Moment, after: timedelta) -> list[str]:
    times = f", {moment.n} times" if moment.n > 1 else ""
    points = "" if moment.points is None else f"+{moment.points:g}"
    return [_spelt(after), *map(escape, (moment.what + times, moment.where, moment.detail, points, moment.owner))]


def _spelt(span: timedelta) -> str:
    """Hours, minutes and seconds."""
    seconds = round(span.total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
