"""The command `ebbtide why`: the story of one session, order or customer, in the terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from agents import terminal
from pipeline.customer_story import customer_story
from pipeline.expectation import Expectation
from pipeline.lapse_words import MEANINGS, Meanings
from pipeline.order_story import order_story
from pipeline.session_story import session_story
from pipeline.story import ANSWER, BEGAN, CASE, CONTACT, ENDED, EVENT, OUTCOME, SIGNAL, STEP, VISIT, Moment, Story
from sinks import one_customer, one_order, one_session
from sinks.reader import Reader
from sinks.story_rows import refuse_if_missing

STYLES = {
    BEGAN: "bold",
    VISIT: "cyan",
    CASE: "bold green",
    STEP: "cyan",
    EVENT: "dim",
    SIGNAL: "bold yellow",
    CONTACT: "bold magenta",
    ANSWER: "magenta",
    OUTCOME: "bold red",
    ENDED: "bold",
}
_ROOMY = 130
"""Columns of a terminal in which a moment has one for each thing that is known of it."""
_SESSIONS = ("site", "visitor_id", "customer_id", "started_at", "ended_at", "status", "furthest_step", "friction_score")


class NothingToTell(LookupError):
    """The store has nothing of this id."""


@dataclass(frozen=True)
class Choice:
    """Several have this id."""

    name: str
    """What they are: sessions, orders, customers."""
    rows: list[dict[str, Any]]
    columns: tuple[str, ...]
    """What tells them apart."""
    options: str
    """What names one of them."""


def meanings(expectations: Iterable[Expectation]) -> Meanings:
    """What each means in words: those that ship, and the user's own."""
    return MEANINGS | {each.name: each.meaning for each in expectations}


def session(
    reader: Reader, session_id: str, visitor_id: str | None = None, site: str | None = None, meanings: Meanings = MEANINGS
) -> Story | Choice:
    """The story of a session. Raises: NothingToTell; TablesMissing; as `Reader.query`."""
    refuse_if_missing(reader, one_session.TABLES)
    these = one_session.sessions(reader, session_id, visitor_id, site).to_dicts()
    if not these:
        raise _nothing(reader, "session", session_id, {"visitor": visitor_id, "site": site}, "session_id in the table sessions")
    if len(these) > 1:
        return Choice("sessions", these, _SESSIONS, "--visitor or --site")
    said = {name: frame.to_dicts() for name, frame in one_session.session_rows(reader, these[0]).items()}
    return session_story(these[0], said, meanings)


def order(
    reader: Reader, order_id: str, site: str | None = None, meanings: Meanings = MEANINGS, *, is_whole: bool = False
) -> Story | Choice:
    """The story of an order. Raises: NothingToTell; TablesMissing; as `Reader.query`."""
    refuse_if_missing(reader, one_order.TABLES)
    these = one_order.orders(reader, order_id, site).to_dicts()
    if not these:
        raise _nothing(reader, "order", order_id, {"site": site}, "order_id in the table cases")
    if len(these) > 1:
        return Choice("orders", these, ("site", "tables"), "--site")
    case = one_order.case(reader, these[0]["site"], order_id) or {"site": these[0]["site"], "order_id": order_id}
    said = {name: frame.to_dicts() for name, frame in one_order.order_rows(reader, case).items()}
    return order_story(case, said, meanings, is_whole=is_whole)


def customer(
    reader: Reader, customer_id: str, site: str | None = None, meanings: Meanings = MEANINGS, *, is_whole: bool = False
) -> Story | Choice:
    """The story of a customer. Raises: NothingToTell; TablesMissing; as `Reader.query`."""
    refuse_if_missing(reader, one_customer.TABLES)
    these = one_customer.customers(reader, customer_id, site).to_dicts()
    if not these:
        where = f"customer_id in the tables {', '.join(one_customer.NAMING)}"
        raise _nothing(reader, "customer", customer_id, {"site": site}, where)
    if len(these) > 1:
        return Choice("customers", these, ("site", "tables"), "--site")
    its_site = these[0]["site"]
    row = one_customer.customer(reader, its_site, customer_id) or {"site": its_site, "customer_id": customer_id}
    found = one_customer.customer_rows(reader, its_site, customer_id, with_events=is_whole)
    return customer_story(row, {name: frame.to_dicts() for name, frame in found.items()}, meanings, is_whole=is_whole)


def show(told: Story) -> None:
    """Tell people."""
    console, row = terminal.told(), told.row
    known = [
        f"{name} {row[key]}" for name in ("visitor", "customer", "account") if name != told.about and row.get(key := f"{name}_id")
    ]
    whose = f" of {', '.join(known)}" if known else ""
    its_id, site = row[f"{told.about}_id"], row["site"]
    console.print(f"[bold]{told.about} {escape(its_id)}[/bold]{escape(whose)}, site {escape(site)}")
    for line in told.facts:
        console.print(line, markup=False)
    console.print()
    console.print(_timeline(told, console.width))
    for sentence in told.ending:
        console.print(f"- {sentence}", markup=False)
    if told.score is not None:
        console.print()
        console.print(f"[bold]friction score {row['friction_score']:g} of 100[/bold]")
        for line in told.score.lines():
            console.print(f"  {line}", markup=False)
    if told.further:
        console.print()
        for about, its_id in told.further:
            console.print(f"[dim]more: ebbtide why --{about} {escape(its_id)}[/dim]")
    for note in told.notes:
        terminal.warning(note)


def show_choice(choice: Choice) -> None:
    """Let people choose."""
    shown = [
        [f"{row[name]:%Y-%m-%d %H:%M:%S}" if name.endswith("_at") else row[name] for name in choice.columns] for row in choice.rows
    ]
    numbers = [place for place, name in enumerate(choice.columns) if name == "friction_score"]
    terminal.told().print(terminal.table(choice.columns, shown, numbers=numbers))


def _nothing(reader: Reader, what: str, its_id: str, said: Mapping[str, str | None], where: str) -> NothingToTell:
    more = "".join(f", {name} {value!r}" for name, value in said.items() if value is not None)
    return NothingToTell(f"there is no {what} {its_id!r}{more} in {reader.address}: its id is {where}")


def _timeline(told: Story, width: int) -> Table:
    columns = [name for name in ("where", "detail", "points", "owner") if any(_cell(moment, name) for moment in told.moments)]
    is_narrow = width < _ROOMY
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    drawn.add_column("UTC", no_wrap=True)
    for name in ("what", "more") if is_narrow else ("what", *columns):
        drawn.add_column(name, justify="right" if name == "points" else "left", overflow="fold")
    day = ""
    for moment in told.moments:
        at, style = f"{moment.at:%H:%M:%S}" if told.about == "session" else f"{moment.at:%H:%M}", STYLES[moment.kind]
        date = "" if day == f"{moment.at:%Y-%m-%d}" else (day := f"{moment.at:%Y-%m-%d}")
        cells = {name: escape(_cell(moment, name)) for name in ("what", *columns)}
        if not is_narrow:
            drawn.add_row(f"{date:10} {at}", *cells.values(), style=style)
            continue
        if date:
            drawn.add_row(date, style="bold")
        more = [cells[name] for name in columns if cells[name]]
        drawn.add_row(f"  {at}", cells["what"], ", ".join(more), style=style)
    return drawn


def _cell(moment: Moment, name: str) -> str:
    if name == "points":
        return "" if moment.points is None else f"{moment.points:g}" if moment.kind == VISIT else f"+{moment.points:g}"
    times = f", {moment.n:,} times" if name == "what" and moment.n > 1 else ""
    return f"{getattr(moment, name)}{times}"
