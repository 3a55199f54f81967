"""`ebbtide expectations`: what should happen after what, by when, and who answers for it."""

import typer

from agents import terminal
from agents.cli_options import Json

# ruff: noqa: PLC0415 - a command imports what it needs, see cli

expectations = typer.Typer(
    name="expectations", help="What should happen: who waits for what, how long, and who owns it.", invoke_without_command=True
)


@expectations.callback()
def on(*, as_json: Json = False) -> None:
    """List what is on: name, meaning, what begins and ends a wait, when it is due, owner, windows and source."""
    from agents.expectations_command import listed, show_list
    from pipeline.expectations import CATALOGUE

    if as_json:
        terminal.say_json(listed(CATALOGUE))
    else:
        show_list(CATALOGUE)
