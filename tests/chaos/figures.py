"""The figures of chaos runs: one table of all of them in the end, however many processes ran them."""

import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from statistics import median

import pytest
from rich.console import Console
from rich.table import Table

IS_SHORT = bool(os.environ.get("SHORT"))
SEED = int(os.environ.setdefault("SEED", "") or ("1" if IS_SHORT else str(secrets.randbelow(100_000))))
os.environ["SEED"] = str(SEED)  # the processes that run the tests take the same one
FEWER, MORE = re.compile(r": (n|n_events) is (\d+), not (\d+)$"), ("told without reason", "told twice")
_told: list["Figures"] = []


@dataclass(frozen=True)
class Figures:
    """What became of a run."""

    what: str
    broker: str
    sent: int
    fates: dict[str, int]
    lost: int
    double: int
    other: int
    faults: dict[str, list[float]] = field(default_factory=dict)
    """What was done to it -> the seconds to catch up of each time."""

    @classmethod
    def of(cls, what, broker, sent, fates, wrong, faults):
        """Figures of a run in which these lines are wrong."""
        kinds = [_kind(line) for line in wrong]
        counts = {kind: kinds.count(kind) for kind in ("lost", "double", "other")}
        return cls(what, broker, sent, dict(fates), **counts, faults={name: list(took) for name, took in faults.items()})

    def tell(self):
        """Show them in the end."""
        _told.append(self)


@pytest.fixture
def record_figures():
    """Tells figures of a run without a broker: all that was sent by fate."""

    def told(what, sent, **fates):
        Figures(what, "", sent, fates, 0, 0, 0).tell()

    return told


def _kind(line):
    if line.endswith("not told"):
        return "lost"
    if line.endswith(MORE):
        return "double"
    found = FEWER.search(line)
    return "other" if found is None else "lost" if int(found[2]) < int(found[3]) else "double"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Send what was told along with the report of the test, to the process that shows it."""
    report = yield
    if report.when == "call":
        report.user_properties += [("chaos", asdict(told)) for told in _told]
        _told.clear()
    del item
    return report


def pytest_terminal_summary(terminalreporter):
    """The table."""
    reports = [report for kind in ("passed", "failed", "xfailed") for report in terminalreporter.stats.get(kind, ())]
    runs = [Figures(**said) for report in reports for name, said in report.user_properties if name == "chaos"]
    if not runs:
        return
    table = Table(title=f"chaos, seed {SEED}", title_justify="left")
    for place, name in enumerate(
        (
            "run",
            "broker",
            "sent",
            "applied",
            "duplicate",
            "rejected",
            "too late",
            "rows lost",
            "rows double",
            "rows wrong",
            "seconds to catch up",
        )
    ):
        table.add_column(name, justify="right" if 2 <= place <= 9 else "left")
    for run in runs:
        took = "\n".join(f"{name}: {_spelt(seconds)}" for name, seconds in run.faults.items())
        numbers = (run.sent, *(run.fates.get(fate, 0) for fate in ("applied", "duplicate", "rejected", "too_late")))
        table.add_row(run.what, run.broker, *(f"{number:,}" for number in (*numbers, run.lost, run.double, run.other)), took)
    Console(width=170, highlight=False).print(table)


def _spelt(seconds):
    if len(seconds) == 1:
        return f"{seconds[0]:.1f}"
    return f"median {median(seconds):.1f}, most {max(seconds):.1f} of {len(seconds)}"
