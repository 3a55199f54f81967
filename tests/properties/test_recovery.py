"""Law 4: a snapshot taken and restored at any point changes nothing."""

import io
from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sessions import SessionsFold
from tests.builders import Event
from tests.strategies import RULES, Crowd, crowds, holds
from tests.views import FAR, compared, told

FOLD = SessionsFold(RULES)


def started_again(state: Any) -> Any:
    """A worker that knows nothing reads both partitions back."""
    return FOLD.empty().restored(0, through_arrow(state.snapshot(0))).restored(1, through_arrow(state.snapshot(1)))


def given_away_and_taken_back(state: Any) -> Any:
    """One partition goes and comes back, the other stays."""
    return state.without(1).restored(1, through_arrow(state.snapshot(1)))


def taken_twice(state: Any) -> Any:
    """A partition is restored over what is remembered of it."""
    return state.restored(0, through_arrow(state.snapshot(0)))


@given(crowds(), st.sampled_from((started_again, given_away_and_taken_back, taken_twice)))
def test_a_checkpoint_changes_nothing(crowd: Crowd, between: Callable[[Any], Any]):
    def broken(log: list[Event]) -> list[str]:
        return compared(told(FOLD, log, until=FAR, between=between), told(FOLD, log, until=FAR))

    assert holds(crowd.log, broken)


@given(crowds())
def test_a_partition_that_was_given_away_is_forgotten(crowd: Crowd):
    state = told(FOLD, crowd.log)[-1].state
    left = state.without(0)

    assert all(frame.is_empty() for frame in left.snapshot(0).values())
    assert sizes(left.snapshot(1)) == sizes(state.snapshot(1))


def through_arrow(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The frames as bytes of Arrow IPC, and back."""
    read = {}
    for name, frame in frames.items():
        written = io.BytesIO()
        frame.write_ipc_stream(written)
        read[name] = pl.read_ipc_stream(io.BytesIO(written.getvalue()))
    return read


def sizes(frames: dict[str, pl.DataFrame]) -> dict[str, int]:
    """How many rows each has."""
    return {name: frame.height for name, frame in frames.items()}
