"""`ebbtide dead-letters`: what could not be used, looked through, looked into, and sent again after a mend."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents import terminal
from agents.cli_options import Dsn, Json, SettingsFile, seconds, store_of, time_of
from agents.settings import Settings
from agents.settings_sources import load

if TYPE_CHECKING:
    from agents.letter_look import Attempt
    from agents.letter_replay import Forecast, Plan
    from agents.letter_store import Letter

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

SHOWN_BYTES = 256
"""Of a payload, for people."""

letters = typer.Typer(
    name="dead-letters", help="What could not be used: look, and send it again after a mend.", no_args_is_help=True
)

Reason = Annotated[str | None, typer.Option("--reason", help="Only those with this reason: undecodable, unknown_schema, ...")]
Topic = Annotated[str | None, typer.Option("--topic", help="Only those of this topic, or of this mapping or file of a replay.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="SPAN|TIME", help="Only those that the broker got since: 2h, 7d, or 2026-11-24T10:00:00Z."),
]


@letters.command("list")
def listed(
    *,
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=0, help="So many of the newest; the counts are of all.")] = 20,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Count dead letters by reason and topic, and show the newest."""
    from agents.letter_store import LetterStore, Wanted

    told = load(settings)
    wanted = Wanted(reason, topic, _since(since))
    with LetterStore(store_of(told, clickhouse), told.clickhouse.database) as store:
        counts, newest = store.counts(wanted), store.newest(wanted, limit)
    if as_json:
        terminal.say_json({"n": int(counts["n"].sum()), "counts": counts.to_dicts(), "newest": newest.to_dicts()})
        return
    if counts.is_empty():
        terminal.told().print("no dead letters")
        return
    console = terminal.told()
    console.print(
        terminal.table(("reason", "topic", "n", "sent again", "first", "last"), map(_in_cells, counts.rows()), numbers=(2, 3))
    )
    names = ("received", "place", "reason", "detail", "key", "bytes", "sent again")
    rows = [(at, f"{topic}/{partition}/{offset}", *rest) for at, topic, partition, offset, *rest in map(_in_cells, newest.rows())]
    console.print(terminal.table(names, rows, numbers=(5,)))
    terminal.warning(f"{newest.height:,} of {counts['n'].sum():,} shown; one of them: ebbtide dead-letters show PLACE")


@letters.command()
def show(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `list` shows it.")],
    *,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Show one dead letter: where it lay, why it was refused, its bytes, and what can be read of it now."""
    from agents.letter_look import attempt
    from agents.letter_store import LetterStore
    from agents.registry import LetterWriters

    topic, partition, offset = _place(place)
    told = load(settings)
    with LetterStore(store_of(told, clickhouse), told.clickhouse.database) as store:
        found = store.at(topic, partition, offset)
    if not found:
        terminal.error(f"there is no dead letter {place}")
        raise typer.Exit(1)
    letter = found[0]
    with LetterWriters(told.kafka.schema_registry_url, clickstream_topic=told.kafka.clickstream_topic) as writers:
        now = attempt(letter, writers.of(letter.family), told.bounds())
    if as_json:
        said = {name: value for name, value in vars(letter).items() if name != "payload"}
        terminal.say_json({**said, "payload_hex": letter.payload.hex(), "fields": now.fields, "problem": now.problem or None})
        return
    _show(letter, now)
    if len(found) > 1:
        clusters = ", ".join(each.cluster_id for each in found[1:])
        terminal.warning(f"clusters {clusters} had a dead letter at this place as well; the newest is shown")


@letters.command()
def replay(
    *,
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent and what would become of it; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking.")] = False,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Send dead letters again, to their topic and partition, with key, bytes and record time as they were.

    An event that was applied meanwhile is not applied again. What is sent is marked, and not sent a second time unless --again says so.
    """
    from confluent_kafka.admin import AdminClient

    from agents.key_check import QUIET
    from agents.letter_replay import Plan, Resender
    from agents.letter_replay import replay as send_all
    from agents.letter_store import LetterStore, Wanted
    from agents.topics import look_at

    told = load(settings)
    kafka = told.kafka
    wanted = Wanted(reason, topic, _since(since))
    cluster = look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET))
    with LetterStore(store_of(told, clickhouse), told.clickhouse.database) as store:
        plan = Plan.of(store.places(wanted), cluster, again=again)
        with terminal.progress() as way:
            forecast = _forecast(store, plan, told, way)
        if not as_json:
            _show_plan(plan, forecast, told)
        sends = bool(plan.places.height) and not dry_run
        if sends:
            _ask(plan.places.height, yes=yes, may_ask=not as_json)
        sent = 0
        with terminal.progress() as way:
            if sends:
                resender = Resender(kafka.bootstrap, kafka.librdkafka)
                of = plan.places.height
                sent = send_all(store, plan, resender, lambda: datetime.now(UTC), lambda n: way.at("sending", n, of))
    if as_json:
        terminal.say_json({"sent": sent, **_as_json(plan, forecast)})
    elif sends:
        terminal.told().print(f"{sent:,} sent and marked")


def _forecast(store: Any, plan: "Plan", told: Settings, way: terminal.Way) -> "Forecast":
    """Read all of it once, before anything is sent."""
    from agents.letter_replay import Forecast
    from agents.registry import LetterWriters

    rules = told.session_rules()
    oldest = datetime.now(UTC) - rules.allowed_lateness - rules.dedup_horizon
    forecast = Forecast()
    with LetterWriters(told.kafka.schema_registry_url, clickstream_topic=told.kafka.clickstream_topic) as writers:
        for chunk in store.chunks(plan.places):
            forecast.add(chunk, writers.of, told.bounds(), oldest)
            way.at("reading", forecast.n, plan.places.height)
    return forecast


def _show_plan(plan: "Plan", forecast: "Forecast", told: Settings) -> None:
    if plan.left_out:
        terminal.told().print(terminal.counts("left out", plan.left_out))
    by_topic = plan.places["topic"].value_counts(sort=True).rows()
    if not by_topic:
        terminal.told().print("there is nothing to send")
        return
    terminal.told().print(terminal.counts("to be sent again to", dict(by_topic)))
    for line in forecast.told(told.session_rules().dedup_horizon):
        terminal.warning(line)


def _ask(n: int, *, yes: bool, may_ask: bool) -> None:
    """Go on if a person says so. Raises: typer.Exit."""
    if yes:
        return
    if not (may_ask and sys.stdin.isatty()):
        terminal.error("nothing was sent: there is nobody to ask, so say --yes to send, or --dry-run to look")
        raise typer.Exit(1)
    if not typer.confirm(f"Send {n:,} records again?", err=True):
        terminal.warning("nothing was sent")
        raise typer.Exit(1)


def _as_json(plan: "Plan", forecast: "Forecast") -> dict[str, Any]:
    return {
        "planned": plan.places.height,
        "left_out": plan.left_out,
        "readable": forecast.readable,
        "too_late": forecast.too_late,
        "unreadable": dict(forecast.wrong),
    }


def _show(letter: "Letter", now: "Attempt") -> None:
    from agents.letter_look import hex_dump

    console = terminal.told()
    hidden = ("payload", "row", "topic", "partition", "offset")
    known = [("place", letter.place), *((name, value) for name, value in vars(letter).items() if name not in hidden)]
    console.print(terminal.table(("dead letter", ""), ((name, _text(value)) for name, value in known)))
    console.print(f"{len(letter.payload):,} bytes", markup=False)
    console.print(hex_dump(letter.payload, SHOWN_BYTES), markup=False)
    if now.fields:
        console.print(terminal.table(("field", "value"), ((name, _text(value)) for name, value in now.fields.items())))
    console.print(f"read now: {_text(now.problem) or 'it would be taken'}", markup=False)


def _in_cells(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """As people read them; numbers as they are."""
    return tuple(value if isinstance(value, int) else _text(value) for value in row)


def _text(value: Any) -> str:
    """A value on one line; what a terminal would obey, and not show, is shown in another way: it comes from anybody."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _place(text: str) -> tuple[str, int, int]:
    """Topic, partition, offset. Raises: typer.BadParameter."""
    parts = text.rsplit("/", 2)
    if len(parts) < 3 or not parts[1].isdigit() or not parts[2].isdigit():
        message = f"{text!r} is no place like clickstream/2/1041"
        raise typer.BadParameter(message)
    return parts[0], int(parts[1]), int(parts[2])


def _since(text: str | None) -> datetime | None:
    """A time, or a span before now. Raises: typer.BadParameter."""
    if text is None:
        return None
    if "-" in text:
        return time_of(text)
    return datetime.now(UTC) - timedelta(seconds=seconds(text))
