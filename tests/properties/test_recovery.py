"""Law 4: a snapshot taken and restored at any point changes nothing."""

import io
from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.session_state import OF_VISITORS
from pipeline.sessions import SessionsFold
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds
from tests.views import FAR, compared, told

FOLD = SessionsFold(RULES)
KEYED = (*OF_VISITORS, "retired")


def started_again(state: Any) -> Any:
    """A worker that knows nothing reads both partitions back."""
    return FOLD.empty().restored(0, kept(state, 0)).restored(1, kept(state, 1))


def given_away_and_taken_back(state: Any) -> Any:
    """One partition goes and comes back, the other stays."""
    return state.without(1).restored(1, kept(state, 1))


def taken_twice(state: Any) -> Any:
    """A partition is restored over what is remembered of it."""
    return state.restored(0, kept(state, 0))


class KeptBitByBit:
    """Every step is kept, and only what has a new name is written, as a worker does it; now and then another worker goes on from there."""

    def __init__(self) -> None:
        self.written: dict[int, dict[str, pl.DataFrame]] = {0: {}, 1: {}}
        self.turns = 0

    def __call__(self, state: Any) -> Any:
        self.keep(state)
        self.turns += 1
        if self.turns % 3:
            return state
        restored = FOLD.empty().restored(0, self.written[0]).restored(1, self.written[1])
        assert sizes(restored, 0) == sizes(state, 0)
        assert sizes(restored, 1) == sizes(state, 1)
        self.written = {0: {}, 1: {}}  # the names of another state
        self.keep(restored)
        return restored

    def keep(self, state: Any) -> None:
        for partition, before in self.written.items():
            pieces = list(state.pieces(partition))
            assert len({piece.name for piece in pieces}) == len(pieces)
            self.written[partition] = {
                piece.name: before[piece.name] if piece.name in before else through_arrow(piece.frame()) for piece in pieces
            }


WAYS: tuple[Callable[[], Callable[[Any], Any]], ...] = (
    lambda: started_again,
    lambda: given_away_and_taken_back,
    lambda: taken_twice,
    KeptBitByBit,
)


@given(crowds(), st.sampled_from(WAYS))
def test_a_checkpoint_changes_nothing(crowd: Crowd, way: Callable[[], Callable[[Any], Any]]):
    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR, between=way()), told(FOLD, log, until=FAR))

    assert holds(crowd.log, broken)


@given(crowds())
def test_a_name_stands_for_one_content(crowd: Crowd):
    contents: dict[tuple[int, str], pl.DataFrame] = {}

    def look(state: Any) -> Any:
        for partition in (0, 1):
            for piece in state.pieces(partition):
                frame = piece.frame()
                assert frame.equals(contents.setdefault((partition, piece.name), frame)), piece.name
        return state

    told(FOLD, crowd.log, until=FAR, between=look)


@given(crowds())
def test_a_partition_that_was_given_away_is_forgotten(crowd: Crowd):
    state = told(FOLD, crowd.log)[-1].state
    left = state.without(0)

    assert list(left.pieces(0)) == []
    assert sizes(left, 1) == sizes(state, 1)


def kept(state: Any, partition: int) -> dict[str, pl.DataFrame]:
    """The pieces of a partition as bytes of Arrow IPC, and back."""
    return {piece.name: through_arrow(piece.frame()) for piece in state.pieces(partition)}


def through_arrow(frame: pl.DataFrame) -> pl.DataFrame:
    written = io.BytesIO()
    frame.write_ipc_stream(written)
    return pl.read_ipc_stream(io.BytesIO(written.getvalue()))


def sizes(state: Any, partition: int) -> dict[str, int]:
    """How much is remembered of a partition, by what it is of."""
    rows = {name: getattr(state, name).frame() for name in KEYED} | {"rollups": state.rollups.counts.frame()}
    return {name: frame.filter(pl.col("partition") == partition).height for name, frame in rows.items()} | {
        "ids": sum(int((run.partition == partition).sum()) for run in state.ids.runs)
    }
