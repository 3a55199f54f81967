"""The command `ebbtide`.

A command is thin: it reads settings and options, calls what does the work, and says what came of it. Results go to standard output, one line of
JSON where it was asked for; progress and errors to standard error. Exit codes: 0 - well, 1 - something is wrong with what was given or with
the world, and a message says what; 2 - the command line is wrong.
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from agents import terminal
from agents.cli_alerts import alerts
from agents.cli_at_risk import at_risk
from agents.cli_dead_letters import letters
from agents.cli_expectations import expectations
from agents.cli_options import DataDir, Dsn, Inputs, Json, SettingsFile, reader_of, seconds, store_of, time_of
from agents.cli_questions import questions
from agents.cli_report import report
from agents.cli_schemas import schemas
from agents.cli_score import score
from agents.cli_signals import signals
from agents.cli_why import why
from agents.settings_sources import load
from agents.takeover import InputsFrom

# ruff: noqa: PLC0415 - a command imports what it needs: all together take seconds, and whoever asks for help would wait for them

INTERRUPTED = 130

LogFormat = Literal["text", "json"]


class _Commands(TyperGroup):
    """Turns what can go wrong in the world into one message and exit code 1; a defect stays a traceback."""

    def invoke(self, ctx: Any) -> Any:
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # what it logs it raises as well
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            terminal.warning("stopped")
            raise typer.Exit(INTERRUPTED) from stop
        except Exception as error:
            from agents.mishaps import advice, is_mishap

            if not is_mishap(error):
                raise
            terminal.error(advice(error))
            raise typer.Exit(1) from error


main = typer.Typer(
    name="ebbtide",
    cls=_Commands,
    help="Which customers are slipping away without saying a word: where, and why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.command()(why)
main.command()(report)
main.command()(score)
main.command()(questions)
main.command()(at_risk)
main.add_typer(alerts)
main.add_typer(letters)
main.add_typer(schemas)
main.add_typer(signals)
main.add_typer(expectations)


@main.command()
def up(
    *,
    speed: Annotated[float, typer.Option(min=0.1, help="Seconds of the simulated shop in a second.")] = 60.0,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop after so long: 90s, 5m, 1h. Else Ctrl-C stops.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Keep tables and state here, and go on where they stopped; else they are thrown away."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the simulated shop; else another one every time.")] = None,
    scenario: Annotated[
        str,
        typer.Option(metavar="NAME", help="What goes wrong in the shop two hours after it opens: as `ebbtide feed --scenario`."),
    ] = "calm",
    picture: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the last view into a file.")] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, metavar="PORT", help="Let BI tools read the tables, as from ClickHouse: 8123. On this machine only."
        ),
    ] = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Run everything on this machine: broker, ClickHouse, worker and a simulated shop, with a live view.

    Nothing need be installed or running. The broker keeps its data in memory: a kill loses what only it held.
    """
    from agents import feed_command, logs
    from agents.up import Wishes
    from agents.up import show as show_summary
    from agents.up import up as run_everything

    try:
        feed_command.scenario_of(scenario)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scenario") from error
    told, for_s = load(settings), None if for_ is None else seconds(for_)
    wishes = Wishes(speed, for_s, data_dir, seed, picture, shows=not as_json, http_port=http_port, scenario=scenario)
    logs.begin(quiet=True)
    summary = run_everything(told, wishes)
    if as_json:
        terminal.say_json(summary.as_json())
    else:
        show_summary(summary)


@main.command()
def worker(
    *,
    inputs_from: Annotated[
        InputsFrom | None,
        typer.Option(
            "--inputs-from", help="Where to go on when the next record is not on the broker any more; else it is an error."
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="For people, or a JSON object a line; else as the settings say.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Read the clickstream, fold it, and write what there is to say into ClickHouse; until a signal.

    A defect ends it with exit code 70, and names the batch that it failed over.
    """
    from agents import logs
    from agents.defective_batch import Again
    from agents.worker import work

    told = load(settings)
    logs.begin(fmt=log_format or told.telemetry.log_format)
    again = Again(("ebbtide", "replay", *(("--settings", str(settings)) if settings else ())))
    asyncio.run(work(told, inputs_from=inputs_from, again=again))


@main.command()
def replay(
    *,
    paths: Inputs = None,
    mappings: Annotated[
        Path | None, typer.Option("--map", metavar="DIR", help="Folder of SQL mappings; their paths begin in the data folder.")
    ] = None,
    clickhouse: Dsn = None,
    until: Annotated[str, typer.Option(metavar="end|last|TIME", help="How far time goes on after the last event.")] = "end",
    topic: Annotated[
        str | None,
        typer.Option(
            "--topic", metavar="NAME", help="No files: this topic of the broker, from --from to --to; nothing is written."
        ),
    ] = None,
    first: Annotated[
        list[str] | None, typer.Option("--from", metavar="PARTITION:OFFSET", help="First offset of a partition; once for each.")
    ] = None,
    last: Annotated[
        list[str] | None, typer.Option("--to", metavar="PARTITION:OFFSET", help="Last offset of a partition, else its end.")
    ] = None,
    watermark: Annotated[
        list[str] | None, typer.Option("--watermark", metavar="PARTITION:TIME", help="How far time had come there, at least.")
    ] = None,
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Show first rows and counts by event type, and write nothing.")] = False,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Run files of events through the same folds as the worker, with no broker.

    Without --clickhouse the tables are in the store of the settings, else in the folder ebbtide-data.
    With --topic a range of a topic is folded again over the state of the newest checkpoint, to see what a worker failed over.
    """
    if topic is not None or first or last or watermark or data_dir:
        from agents import replay_range_command

        if paths or mappings or clickhouse or check or until != "end" or topic is None or not (first or last):
            raise typer.BadParameter(
                "a range needs --topic, and --from or --to; it has no files and no end of time, and is written nowhere"
            )
        replay_range_command.run(settings, topic, (first or (), last or (), watermark or ()), data_dir, as_json=as_json)
        return
    from agents import replay_command
    from agents.replay import Until

    if not paths and mappings is None:
        raise typer.BadParameter("name the files or folders to replay, or --map")
    try:
        stop = Until.parsed(until)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    told = load(settings)
    inputs = replay_command.Inputs(tuple(paths or ()), mappings)
    with terminal.progress() as way:
        if check:
            look = replay_command.look(inputs, told.bounds(), way)
        else:
            done = replay_command.run(inputs, told, store_of(told, clickhouse), stop, way)
    if as_json:
        terminal.say_json(look.summary() if check else done.summary())
    elif check:
        replay_command.show_look(look)
    else:
        replay_command.show(done)


@main.command()
def sql(
    *,
    query: Annotated[str, typer.Argument(metavar="SELECT")],
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Look into the store, embedded or server; nothing can be changed."""
    with reader_of(load(settings), clickhouse) as reader:
        found = reader.query(query)
    if as_json:
        terminal.say_json(found.to_dicts())
    else:
        terminal.print_frame(found)
        terminal.warning(f"{found.height:,} row{'s' if found.height != 1 else ''}")


@main.command()
def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be applied, and change nothing.")] = False,
    clickhouse: Dsn = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Make the tables of ClickHouse what this version needs."""
    from sinks.clickhouse import connect
    from sinks.migrate import apply

    told = load(settings)
    client = connect(clickhouse or told.clickhouse.dsn)
    try:
        applied = [str(migration) for migration in apply(client, told.clickhouse.database, dry_run=dry_run)]
    finally:
        client.close()
    if as_json:
        terminal.say_json({"applied": [] if dry_run else applied, "pending": applied if dry_run else []})
    else:
        done = "would be applied" if dry_run else "applied"
        terminal.told().print(
            "\n".join(f"{done}: {name}" for name in applied) or f"database {told.clickhouse.database} is up to date"
        )


@main.command()
def check(*, as_json: Json = False, settings: SettingsFile = None) -> None:
    """Say what is wrong with settings, broker, registry, ClickHouse and the keys of events, all at once."""
    from agents.checking import checks

    found = checks(settings)
    if as_json:
        terminal.say_json({"ok": not any(each.is_wrong for each in found), "checks": [each.as_json() for each in found]})
    else:
        rows = [(each.name, each.verdict, line) for each in found for line in each.lines or ("",)]
        terminal.told().print(terminal.table(("what", "verdict", "detail"), rows))
    if any(each.is_wrong for each in found):
        raise typer.Exit(1)


@main.command()
def audit(
    *,
    recount: Annotated[
        bool, typer.Option("--recount", help="Read the topic again, and count what it holds of what was read.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Say whether every record that was read has a fate: applied, duplicate, rejected or too late. Exit code 1 if not.

    With --data-dir by the checkpoints alone: the broker of `ebbtide up` ends with it.
    """
    from agents import audit_command

    if recount and data_dir is not None:
        raise typer.BadParameter("--recount reads the topic, and that of `ebbtide up` ends with it")
    if not audit_command.run(load(settings), data_dir, recount=recount, as_json=as_json):
        raise typer.Exit(1)


@main.command()
def feed(
    *,
    events: Annotated[int | None, typer.Option(min=1, help="Exactly so many clicks; else for ever, and at --speed 1.")] = None,
    to: Annotated[str, typer.Option(metavar="kafka|DIR", help="The broker of the settings, or a folder.")] = "kafka",
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same events.")] = 0,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds in a second; else as fast as it goes.")] = None,
    starts: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Simulated time at which the shops open, UTC.")
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What goes wrong: calm, payment_outage, slow_mobile, broken_coupon, late_parcels, silent_carrier, rfq_stall, support_flood.",
        ),
    ] = "calm",
    calm: Annotated[
        str | None, typer.Option("--calm", metavar="TIME", help="So long nothing goes wrong before it begins to: 4d.")
    ] = None,
    visitors: Annotated[float | None, typer.Option(min=1, help="New ones a day, of all shops; else 35,000.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write down who left, where and because of what, as lines of JSON.", dir_okay=False),
    ] = None,
    as_json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Send clicks, orders, deliveries and tickets of simulated shops to Kafka, or write them into a folder with the truth beside them."""
    from agents import feed_command

    try:
        weather = feed_command.scenario_of(scenario).after(0 if calm is None else round(seconds(calm) * 1_000))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    start = None if starts is None else time_of(starts)
    if speed is not None and (to != "kafka" or not speed > 0):
        raise typer.BadParameter("--speed is above 0, and of a feed to the broker: files are written as fast as it goes")
    if to != "kafka" and events is None:
        raise typer.BadParameter("a folder needs --events")
    told = load(settings)
    if to == "kafka":
        fed = feed_command.to_broker(
            told.kafka, seed, start, events, speed, scenario=weather, visitors_per_day=visitors, truth=truth
        )
    else:
        fed = feed_command.into_folder(Path(to), seed, start, events or 0, scenario=weather, visitors_per_day=visitors, truth=truth)
    if as_json:
        terminal.say_json(
            {"events": fed.n, "others": dict(fed.others), "seconds": round(fed.seconds, 3), "events_per_s": round(fed.per_s)}
        )
    else:
        beside = ", ".join(f"{n:,} of {family}" for family, n in fed.others.items())
        terminal.told().print(f"{fed.n:,} clicks, {beside} in {fed.seconds:.1f} s ({fed.per_s:,.0f}/s)")


if __name__ == "__main__":
    sys.exit(main())
