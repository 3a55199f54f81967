"""`ebbtide audit`, as people and programs meet it."""

from itertools import groupby
from pathlib import Path

from agents import terminal
from agents.audit import Account, audit, audit_folder
from agents.settings import Settings
from pipeline.frames import FATE_NAMES, PASSED

FATES = (*FATE_NAMES, PASSED)
COLUMNS = ("partition", "from", "to", "read", *FATES, "no record", "on the topic", "no account", "lag")


def run(settings: Settings, data_dir: Path | None, *, recount: bool, as_json: bool) -> bool:
    """Show the books; whether they balance."""
    accounts = audit(settings, recount=recount) if data_dir is None else audit_folder(settings, data_dir)
    balances = not any(account.wrong for account in accounts)
    if as_json:
        terminal.say_json({"ok": balances, "accounts": [account.as_json() for account in accounts]})
        return balances
    console = terminal.told()
    if not accounts:
        console.print(f"there is no topic {settings.kafka.clickstream_topic} yet")
        return True
    for stage, its_own in groupby(accounts, lambda account: account.stage):
        console.print(terminal.table(COLUMNS, map(_row, its_own), title=f"stage {stage}", numbers=range(1, len(COLUMNS))))
    for account in accounts:
        for line in (*account.wrong, *account.notes):
            console.print(f"{account.topic}-{account.partition}: {line}", markup=False)
    console.print("the books balance" if balances else "[bold red]the books do not balance[/bold red]")
    return balances


def _row(account: Account) -> tuple[object, ...]:
    fates = (account.fates.get(fate, 0) for fate in FATES)
    lag = None if account.end is None else max(0, account.end - account.position - 1)
    place = f"{account.topic}-{account.partition}"
    counted = (account.books.n_absent, account.recounted, account.unaccounted, lag)
    return (place, account.books.began, account.position, account.read, *fates, *counted)
