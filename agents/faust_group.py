"""The consumer group of a Faust app, for its stages."""

import logging
from collections.abc import Collection, Mapping
from typing import cast

import faust
from confluent_kafka import KafkaException
from faust.types import TP

from agents.transport import RunConsumer

log = logging.getLogger(__name__)


class FaustGroup:
    """The app's consumer. Implements group.Group."""

    def __init__(self, app: faust.App) -> None:
        """Take the app; its consumer is made when it starts."""
        self._app = app

    @property
    def _consumer(self) -> RunConsumer:
        return cast("RunConsumer", self._app.consumer)

    @property
    def generation(self) -> int:
        """Set from the consumer's thread, at once."""
        return self._app.consumer_generation_id

    @property
    def is_rebalancing(self) -> bool:
        """Between a revocation and the end of the take-over."""
        return bool(self._app.rebalancing)

    @property
    def seeks(self) -> int:
        """How many seeks have been made."""
        return self._consumer.seeks

    def assignment(self) -> Collection[TP]:
        """Say what the group says is ours."""
        return self._consumer.assignment()

    async def fetched(self, tp: TP) -> int | None:
        """Return the offset of the next record to be fetched."""
        return await self._consumer.position(tp)

    def heard(self, tp: TP) -> tuple[int, float] | None:
        """Offset of the next record, and how many seconds ago its broker said so; None: not yet."""
        return self._consumer.heard(tp)

    def caught_up(self, tp: TP, position: int) -> bool:
        """Whether `position` is all there is."""
        return self._consumer.caught_up(tp, position)

    def hold(self, tps: Collection[TP]) -> None:
        """Stop fetching these."""
        self._consumer.hold(tps)

    def release(self, tps: Collection[TP]) -> None:
        """Go on fetching these."""
        self._consumer.release(tps)

    async def perform_seek(self, only: Collection[TP]) -> None:
        """Fetch these from their positions on."""
        await self._consumer.perform_seek(only)

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """For monitoring: what fails here is told and not done again."""
        try:
            await self._consumer.commit_positions(positions)
        except KafkaException as error:
            log.info("group offsets not committed: %s", error)
