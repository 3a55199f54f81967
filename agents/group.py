"""The consumer group as a stage sees it: what is ours, how far it has been fetched, and whether that is all there is."""

from collections.abc import Collection, Mapping
from typing import Protocol

from faust.types import TP


class Group(Protocol):
    """What a stage asks of it (agents.faust_group.FaustGroup)."""

    @property
    def generation(self) -> int:
        """Grows with every assignment and revocation."""

    @property
    def is_rebalancing(self) -> bool:
        """Whether an assignment is on its way."""

    @property
    def seeks(self) -> int:
        """How many seeks have been made."""

    def assignment(self) -> Collection[TP]:
        """Say what is ours."""

    async def fetched(self, tp: TP) -> int | None:
        """Return the offset of the next record to be fetched."""

    def caught_up(self, tp: TP, position: int) -> bool:
        """Whether `position` is all there is."""

    def hold(self, tps: Collection[TP]) -> None:
        """Stop fetching these."""

    def release(self, tps: Collection[TP]) -> None:
        """Go on fetching these."""

    async def perform_seek(self, only: Collection[TP]) -> None:
        """Fetch these from their positions on."""

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Tell the group how far we are."""
