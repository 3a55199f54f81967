"""The command `ebbtide replay`: from paths to a replay, and what people see of it."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from agents import terminal
from agents.input_files import file_plans, input_files
from agents.mapping import Plan, plans, read_mappings
from agents.mapping_engine import MappingEngine, Seen
from agents.mapping_words import MappingWrong
from agents.replay import Fold, Replay, Replayed, Told, Until
from agents.replay_look import Look, looked_at
from agents.replay_store import ReplayStore
from agents.settings import Settings
from pipeline.checks import Bounds
from pipeline.frames import FATE_NAMES
from pipeline.fulfilment import FulfilmentFold
from pipeline.journeys import JourneysFold
from pipeline.sessions import SessionsFold
from pipeline.spikes import SpikesFold
from sinks.clickhouse import ClickHouse

SHOWN = 5
"""Rows shown by --check."""


@dataclass(frozen=True)
class Inputs:
    """What is to be replayed."""

    paths: tuple[Path, ...]
    """Files and folders; with mappings one folder, in which their paths begin, or the files that they may read."""
    mappings: Path | None
    """Folder of mappings; None: the files have the contract's own columns."""

    @contextmanager
    def planned(self) -> Iterator[tuple[MappingEngine, list[Plan]]]:
        """An engine in the data folder, and what it will read, all of it checked. Raises: MappingWrong."""
        if self.mappings is None:
            files = input_files(self.paths)
            with MappingEngine(Path.cwd()) as engine:
                yield engine, file_plans(files, engine)
        else:
            written = read_mappings(self.mappings)
            with self._data_folder() as folder, MappingEngine(folder) as engine:
                found = plans(written, engine)
                for plan in found:
                    if plan.lacks:
                        terminal.warning(f"{plan.name} gives no {', '.join(plan.lacks)}: every row will be rejected")
                yield engine, found

    @contextmanager
    def _data_folder(self) -> Iterator[Path]:
        """The folder that was named, else this one; of files, a folder in which there are these and no others."""
        missing = [str(path) for path in self.paths if not path.exists()]
        if missing:
            message = f"{', '.join(missing)}: there is no such file or folder"
            raise MappingWrong(message)
        if not any(path.is_file() for path in self.paths):
            if len(self.paths) > 1:
                raise MappingWrong("with --map there is one data folder, in which the paths of all mappings begin")
            yield (self.paths or (Path.cwd(),))[0].resolve()
            return
        if any(path.is_dir() for path in self.paths) or len({path.name for path in self.paths}) < len(self.paths):
            raise MappingWrong("with --map, name one data folder, or files of different names")
        with tempfile.TemporaryDirectory(prefix="ebbtide-") as folder:
            for path in self.paths:
                (Path(folder) / path.name).symlink_to(path.resolve())
            yield Path(folder)


def run(inputs: Inputs, settings: Settings, dsn: str, until: Until, way: terminal.Way) -> Replayed:
    """Replay into a store. Raises: agents.mishaps.MISHAPS."""
    with inputs.planned() as (engine, planned), ClickHouse(dsn, settings.clickhouse.database) as clickhouse:
        store = ReplayStore(clickhouse, batch_rows=settings.clickhouse.batch_rows)
        store.open()
        replay = Replay(planned, folds(settings), settings.bounds(), until, people=people(settings), spikes=spikes(settings))
        done = replay.run(engine, store, seen=reading(way), told=folding(way))
    for family, n in done.unused.items():
        terminal.warning(f"{n:,} good events of family {family} were read and not used: nothing folds it yet")
    warn_rowless(done.rowless)
    if done.n_after:
        terminal.warning(f"{done.n_after:,} rows happened after the time until which was replayed")
    return done


def folds(settings: Settings) -> tuple[Fold, ...]:
    """Everything that events are folded by, but tickets."""
    visits, cases = settings.session_rules(store_events=True), settings.fulfilment_rules(store_events=True)
    return SessionsFold(replace(visits, tells_people=True)), FulfilmentFold(replace(cases, tells_people=True))


def people(settings: Settings) -> JourneysFold:
    """Who joins what these say, and tickets."""
    return JourneysFold(settings.journeys_rules(store_events=True))


def spikes(settings: Settings) -> SpikesFold | None:
    """Who watches what all of them count; None: nobody is to."""
    return SpikesFold(settings.spike_rules()) if settings.spikes.enabled else None


def look(inputs: Inputs, bounds: Bounds, way: terminal.Way) -> Look:
    """Read without folding or writing. Raises: agents.mishaps.MISHAPS."""
    with inputs.planned() as (engine, planned):
        found = looked_at(planned, engine, bounds, first=SHOWN, seen=reading(way))
    warn_rowless(name for name, n in found.rows.items() if not n)
    return found


def warn_rowless(names: Iterable[str]) -> None:
    """Name what gave nothing: a WHERE that is never true says no word of its own."""
    for name in sorted(names):
        terminal.warning(f"{name} gives no row that can be read")


def reading(way: terminal.Way) -> Seen:
    """Moves the bar while files are read."""
    total = 0

    def seen(read: int, of: int) -> None:
        nonlocal total
        total = max(total, of)  # the engine tells it once
        way.at("reading and sorting", read, total or None)

    return seen


def folding(way: terminal.Way) -> Told:
    """Moves the bar while events are folded."""

    def told(n: int, at: datetime | None) -> None:
        way.at(f"{n:,} events" if at is None else f"{n:,} events, until {at:%Y-%m-%d %H:%M}")

    return told


def show(done: Replayed) -> None:
    """Tell people what came of it."""
    console = terminal.told()
    console.print(terminal.counts("table", done.tables))
    console.print(terminal.counts("fate", {fate: done.fates[fate] for fate in FATE_NAMES}))
    if done.reasons:
        console.print(terminal.counts("rejected because", dict(done.reasons)))
    console.print(f"{done.seconds:.1f} s")


def show_look(look: Look) -> None:
    """Tell people what a replay would read."""
    console = terminal.told()
    for family, first in look.first.items():
        given = [
            name
            for name in first.columns
            if first[name].null_count() < first.height and name not in ("partition", "offset", "record_at")
        ]
        terminal.print_records(first.select(given), title=f"first events of family {family}")
    sources = [(name, n, ", ".join(look.empty[name] if n else ())) for name, n in look.rows.items()]
    console.print(terminal.table(("mapping or file", "rows", "null in all of them"), sources, numbers=(1,)))
    rows = [(family, kind, n) for (family, kind), n in sorted(look.events.items())]
    console.print(terminal.table(("family", "event_type", "n"), rows, numbers=(2,)))
    if look.places:
        begun = look.wrong.group_by("topic", "reason", maintain_order=True).first().sort("topic", "reason")
        wrong = [
            (topic, reason, look.places[topic, reason], row, detail)
            for topic, reason, row, detail in begun.select("topic", "reason", "offset", "detail").rows()
        ]
        columns = "mapping or file", "would be rejected as", "n", "first row", "detail of the first"
        console.print(terminal.table(columns, wrong, numbers=(2, 3)))
    if look.from_at is not None:
        console.print(f"from {terminal.plain(look.from_at)} to {terminal.plain(look.to_at)}")
