"""`ebbtide up`: broker, ClickHouse, worker and a simulated shop on this machine, with a view in the terminal.

The broker keeps everything in memory and is new every time; tables and state are in a folder that may be kept, and then the next one goes on
where this one stopped: the offsets of a new broker begin at 0, and so does the worker, with the state it had. The shop runs in a child process,
at a multiple of real time, from seven days ago on, or from the time that the state has come to. Its time stands still when nobody runs it.

**Delivery:** as the worker, as long as this process lives: a kill of all of it may lose what only the broker held.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agents import terminal
from agents.child_process import ChildProcess, ProgramEnded
from agents.defective_batch import Again
from agents.directory_checkpoints import newest_watermark_ms
from agents.embedded_broker import Broker, embedded_broker
from agents.folding import Folding
from agents.live_view import LiveView
from agents.settings import KafkaSettings, Settings
from agents.settings_sources import PREFIX
from agents.up_folder import STATE, STORE, folder_of
from agents.worker import DRAIN_S, assemble, stop_asked, told_at
from pipeline.frames import FATE_NAMES, TABLES
from pipeline.sessions import SessionsFold
from sinks.clickhouse import ClickHouse
from sinks.http_front import LOOPBACK, offered

LOST = Again((), "The broker of `up` ends with this process: the same --seed makes the same events.")
"""A batch of `up` cannot be folded again."""
BEGINS_AGO = timedelta(days=7)
"""Simulated time begins so long ago: it must not overtake the wall clock in a demo."""
SHOP_SETTINGS = ("bootstrap", "partitions", "clickstream_topic", "orders_topic", "deliveries_topic", "tickets_topic")
"""Of the broker, what the shop must know."""
START_S = 10.0
"""By then the shop that goes on has begun, while the watermark advances with what is silence to the worker."""
SETTLE_S = 20.0
"""How long a stop waits until all that was fed has been folded and written."""


@dataclass(frozen=True)
class Wishes:
    """What `up` was asked for."""

    speed: float = 60.0
    """Seconds of the shop in a second."""
    for_s: float | None = None
    """Stop after so long; None: when asked to."""
    data_dir: Path | None = None
    """Where tables and state are kept; None: thrown away at the end."""
    seed: int | None = None
    """Of the simulated shop; None: another one every time."""
    picture: Path | None = None
    """Where to draw the last view, as SVG."""
    shows: bool = True
    """Whether there is a view."""
    http_port: int | None = None
    """Port of loopback at which BI tools may read the tables; None: nowhere."""
    scenario: str = "calm"
    """What goes wrong in the shop (pipeline.simulator.scenarios)."""


@dataclass(frozen=True)
class Summary:
    """What came of it."""

    tables: dict[str, int]
    """Table -> rows of its `_now` view."""
    fates: dict[str, int]
    """applied, duplicate, rejected, too_late."""
    events_per_s: float
    """Records folded a second, from the first to the stop of the feed."""
    seconds: float
    data_dir: str | None

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "tables": self.tables,
            "fates": self.fates,
            "events_per_s": round(self.events_per_s, 1),
            "seconds": round(self.seconds, 1),
            "data_dir": self.data_dir,
        }


def up(settings: Settings, wishes: Wishes) -> Summary:
    """Run everything until it is time to stop. Raises: agents.mishaps.MISHAPS; OSError if the picture cannot be drawn there."""
    if wishes.picture is not None:
        wishes.picture.touch()  # to be told of now, and not when all is done
    with folder_of(wishes.data_dir) as folder, embedded_broker() as broker:
        embedded = _embedded(settings, broker, folder, wishes.speed)
        with offered(embedded.clickhouse.dsn, embedded.clickhouse.database, wishes.http_port):
            return asyncio.run(_run(embedded, folder / STATE, wishes))


def _embedded(settings: Settings, broker: Broker, folder: Path, speed: float) -> Settings:
    """The settings, with what is embedded in the place of what they name."""
    sections = {
        "kafka": {"bootstrap": broker.bootstrap, "librdkafka": {}, "schema_registry_url": None, "replication": 1},
        "clickhouse": {"dsn": f"chdb://{folder / STORE}", "batch_age_s": min(settings.clickhouse.batch_age_s, 1.0)},
        "store": {"events": True},
        "alerts": {"channels": ()},  # nobody is to be called because of a simulated shop
        "fulfilment": {"enabled": True},
        "worker": {"time_speed": speed},
        "telemetry": {} if "listen" in settings.telemetry.model_fields_set else {"listen": ""},
    }
    return settings.model_copy(update={name: getattr(settings, name).model_copy(update=said) for name, said in sections.items()})


async def _run(settings: Settings, state_dir: Path, wishes: Wishes) -> Summary:
    begun = time.monotonic()
    goes_on_at = _goes_on_at(settings, state_dir, wishes.speed)
    # Every offset of a new broker begins at 0, and its memory is no place for state: it deletes nothing.
    assembled = await asyncio.to_thread(
        assemble, settings, inputs_from="earliest", state_dir=state_dir, downtime_counts=False, again=LOST
    )
    worker, writer = assembled.worker, assembled.writer
    writer.start()
    folding = worker.folds[SessionsFold.name]
    view = LiveView(settings, folding, writer, speed=wishes.speed, shows=wishes.shows)
    view.note = f"Ctrl-C stops; broker {settings.kafka.bootstrap}"
    if wishes.http_port is not None:
        view.note += f"; BI tools read http://{LOOPBACK}:{wishes.http_port}, database {settings.clickhouse.database}"
    async with worker.running(), told_at(settings, assembled):
        feed = _feed(settings.kafka, goes_on_at, wishes)
        with view:
            try:
                failure = await _stopped(feed, wishes.for_s)
                rate = view.feed_ended()
            finally:
                view.note = "stopping: what was sent is being written"
                await asyncio.to_thread(feed.stop)
            await worker.settled(SETTLE_S)
            view.look_once_more()
        fates = _total(worker.folds.values())
    await asyncio.to_thread(writer.close, DRAIN_S)
    if failure:
        message = f"the simulated shop ended by itself: {failure}"
        raise ProgramEnded(message)
    if wishes.picture is not None:
        view.draw(wishes.picture)
    tables = await asyncio.to_thread(_rows, settings)
    kept = None if wishes.data_dir is None else str(wishes.data_dir)
    return Summary(tables, fates, rate, time.monotonic() - begun, kept)


def _goes_on_at(settings: Settings, state_dir: Path, speed: float) -> datetime | None:
    """The simulated time at which the shop goes on; None: it has never been open."""
    reached_ms = newest_watermark_ms(state_dir / SessionsFold.name)
    if reached_ms is None:
        return None
    return datetime.fromtimestamp(reached_ms / 1_000, UTC) + timedelta(
        seconds=settings.sessions.allowed_lateness_s + START_S * speed
    )


def _feed(kafka: KafkaSettings, goes_on_at: datetime | None, wishes: Wishes) -> ChildProcess:
    """The shop, as a program of its own: making clicks must not take the time of the worker."""
    seed = wishes.seed if wishes.seed is not None else int.from_bytes(os.urandom(4), "big")
    if goes_on_at is not None:  # the same seed would make the same visitors again, and take them for those that were there
        seed = (seed + round(goes_on_at.timestamp())) % (1 << 32)
    begins_at = goes_on_at or datetime.now(UTC) - BEGINS_AGO
    options = {"seed": seed, "speed": wishes.speed, "from": begins_at.replace(tzinfo=None).isoformat(), "scenario": wishes.scenario}
    said = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return ChildProcess([sys.executable, "-m", "agents", "feed", *said], env=shop_environment(kafka, os.environ))


def shop_environment(kafka: KafkaSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the shop: it sends where the worker reads, and of all other settings it hears nothing, whoever named them."""
    told = {f"{PREFIX}KAFKA__{name.upper()}": str(getattr(kafka, name)) for name in SHOP_SETTINGS}
    kept = {name: value for name, value in environment.items() if not name.upper().startswith(PREFIX)}
    return {**kept, **told, "PYTHONSAFEPATH": "1"}


async def _stopped(feed: ChildProcess, for_s: float | None) -> str:
    """Wait until it is time to stop; what the feed printed if that ended first, else ''."""
    asked = asyncio.create_task(stop_asked())
    until = None if for_s is None else time.monotonic() + for_s
    try:
        while until is None or time.monotonic() < until:
            done, _ = await asyncio.wait({asked}, timeout=0.2)
            if done:
                return ""
            if feed.exit_code is not None:
                return feed.printed() or f"exit code {feed.exit_code}"
        return ""
    finally:
        asked.cancel()


def _total(folds: Iterable[Folding]) -> dict[str, int]:
    """Fate -> records of all topics and partitions; every fate is named."""
    counted = [of_partition for fold in folds for of_partition in (*fold.fates.values(), *fold.origins.values())]
    return {fate: sum(of_partition.get(fate, 0) for of_partition in counted) for fate in FATE_NAMES}


def _rows(settings: Settings) -> dict[str, int]:
    with ClickHouse(settings.clickhouse.dsn, settings.clickhouse.database) as store:
        return {name: store.query(f"SELECT count() AS n FROM {name}_now")["n"].item() for name in TABLES}  # noqa: S608 - our names


def show(summary: Summary) -> None:
    """What came of it, for people."""
    console = terminal.told()
    console.print(terminal.counts("rows in _now views", summary.tables))
    console.print(terminal.counts("records", summary.fates))
    console.print(f"{summary.events_per_s:,.0f} events/s; {summary.seconds:.0f} s in all")
    if summary.data_dir is not None:
        store = Path(summary.data_dir) / STORE
        console.print(
            f"tables and state are kept, and the same command goes on from here; look into them with: ebbtide sql --clickhouse chdb://{store} '...'"
        )
