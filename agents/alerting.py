"""The stage of alerts: what is published of them, to whoever is to be told.

It is a stage as a fold's and the sink's, through the same transport, shell and take-over. Its state is the desk: how each alert is, and who has been told what.
So its position is what was read, and it never waits for a receiver: what is still to be told follows from the state (alert_desk), in a thread of its
own (alert_delivery), and whoever takes over goes on with it.

**Delivery:** at least once; see alert_delivery.
"""

import io
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import polars as pl

from agents import logs
from agents.alert_delivery import Delivery
from agents.held import Progress
from agents.manifests import Standing
from agents.registry import Registry, UnknownSchema, patiently
from agents.runs import Run
from pipeline.frames import ALERTS
from pipeline.pieces import Piece
from schemas.contracts import Schema, schema

log = logging.getLogger(__name__)


class NotAnAlert(ValueError):
    """A record on the topic of alerts that is none."""


class AlertRecords:
    """Reads what is published of alerts."""

    def __init__(self, registry: Registry) -> None:
        """Ask this registry for schemas."""
        self._registry = registry
        self._ours = fastavro.parse_schema(dict(schema(ALERTS.name)))
        self._parsed: dict[int, Any] = {}

    def row(self, value: bytes) -> dict[str, Any]:
        """The row that a record is. Waits for a registry that is away. Raises: NotAnAlert."""
        if len(value) < 5 or value[0] != 0:
            raise NotAnAlert("it has no Confluent header")
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._parsed:
            self._parsed[schema_id] = fastavro.parse_schema(dict(self._writer(schema_id)))
        try:
            row = fastavro.schemaless_reader(io.BytesIO(value[5:]), self._parsed[schema_id], self._ours)
        except Exception as error:  # whatever fastavro raises over bytes of a stranger
            message = f"it cannot be read: {error!r}"
            raise NotAnAlert(message) from error
        assert isinstance(row, dict)
        return row

    def _writer(self, schema_id: int) -> Schema:
        try:
            of, found = patiently(lambda: self._registry.writer(schema_id), "alerts wait until it does")
        except UnknownSchema as error:
            message = f"nobody knows its schema id {schema_id}"
            raise NotAnAlert(message) from error
        if of != ALERTS.name:
            message = f"its schema is that of {of}"
            raise NotAnAlert(message)
        return found


@dataclass
class _Place:
    """One partition held."""

    position: int
    saying: tuple[int, int] = (-1, -1)
    """Position and serial of the desk as the checkpoint that is being made says them."""
    saved: tuple[int, int] = (-1, -1)


class Alerting:
    """Implements stages.Work for alerts."""

    has_room = True
    time_matters = False

    def __init__(self, delivery: Delivery, records: AlertRecords) -> None:
        """Take who tells, and who reads."""
        self.delivery, self._records = delivery, records
        self._places: dict[int, _Place] = {}
        self.progress = Progress()
        self.unreadable = 0
        """Records that are no alerts."""

    @property
    def dirty(self) -> frozenset[int]:
        """Partitions of which more has been read, or told, than the last checkpoint says."""
        return frozenset(at for at, place in tuple(self._places.items()) if self._now(at, place) != place.saved)

    @property
    def holds_news(self) -> bool:
        """Whether there is anything to be kept."""
        return bool(self.dirty)

    def positions(self) -> Mapping[int, int]:
        """Partition -> last offset read."""
        return {partition: place.position for partition, place in self._places.items()}

    def quiet_time(self, is_caught_up: Callable[[int], bool]) -> Mapping[int, timedelta]:  # noqa: ARG002 - as the shell asks
        """Time says nothing here."""
        return {}

    # Taking over ------------------------------------------------------------------------------------------------------------

    def holds(self, partition: int) -> bool:
        """Whether it is being read."""
        return partition in self._places

    def restore(self, partition: int, standing: Standing, frames: dict[str, pl.DataFrame]) -> None:
        """Know again what was known, and go on telling."""
        self._places[partition] = _Place(standing.position)
        self.delivery.desk.restore(partition, frames.values())

    def checkpoint(self, partition: int) -> tuple[Standing, Iterable[Piece]]:
        """Say where it stands, with what is on the desk."""
        place = self._places[partition]
        place.saying = self._now(partition, place)
        frame = self.delivery.desk.frame(partition)
        return Standing(position=place.position), [Piece(f"desk.{place.saying[1]}", lambda: frame)]

    def saved(self, partition: int) -> None:
        """Note that it has been kept."""
        place = self._places[partition]
        place.saved = place.saying

    def begin_epoch(self, partition: int, epoch: int) -> None:  # noqa: ARG002 - nobody reads what is told by epoch
        """It is ours: now tell."""
        self.saved(partition)
        self.delivery.start()
        self.delivery.look()

    def settle(self, partition: int) -> None:
        """Nothing: what was told may be told again."""

    def give_up(self, partition: int) -> None:
        """Forget a partition: whoever has it now tells."""
        self._places.pop(partition, None)
        self.delivery.desk.forget(partition)

    # A step -----------------------------------------------------------------------------------------------------------------

    def prepare(self, runs: list[Run]) -> None:
        """Nothing: records are read as they are taken."""

    def step(self, runs: list[Run], quiet: Mapping[int, timedelta]) -> None:  # noqa: ARG002 - as the shell asks
        """Note how alerts are, and let those know who tell."""
        now = datetime.now(UTC)
        for run in runs:
            partition = run.tp.partition
            for offset, value in zip(run.offsets(), run.values(), strict=True):
                if value is not None:  # a tombstone: the record before it said what there was to say
                    self._take(partition, offset, value, now)
            self._places[partition].position = run.last
            self.progress.events += len(run)
        self.progress.steps += 1
        self.delivery.look()

    def _take(self, partition: int, offset: int, value: bytes, now: datetime) -> None:
        try:
            row = self._records.row(value)
        except NotAnAlert as error:
            self.unreadable += 1
            fields = logs.about(stage="alerting", partition=partition)
            log.error("offset %d of the topic of alerts is passed by: %s", offset, error, extra=fields)  # noqa: TRY400 - where we are says nothing
        else:
            self.delivery.desk.take(partition, row, now)

    def _now(self, partition: int, place: _Place) -> tuple[int, int]:
        return place.position, self.delivery.desk.serial(partition)
