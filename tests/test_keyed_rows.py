"""Rows in runs, as a checkpoint sees them: what is written again, and what is not."""

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from pipeline.keyed_rows import KeyedRows

SCHEMA = pl.Schema({"key": pl.UInt64, "partition": pl.Int32, "n": pl.Int64})
EMPTY = KeyedRows(SCHEMA, "key")


def rows(keys, partition=0):
    keys = list(keys)
    return pl.DataFrame({"key": keys, "partition": [partition] * len(keys), "n": keys}, schema=SCHEMA)


def keys(*of):
    return np.array(of, dtype=np.uint64)


def names(of, partition=0):
    return [piece.name for piece in of.pieces(partition)]


def frames(of, partition=0):
    return {piece.name: piece.frame() for piece in of.pieces(partition)}


def test_a_row_that_is_taken_out_costs_a_mask_and_no_run():
    before = EMPTY.put(rows(range(100)))
    taken, left = before.take(keys(7, 50))

    assert taken["key"].to_list() == [7, 50]
    assert names(before) == ["0"]
    assert names(left) == ["0", "0.alive.98"]
    assert frames(left)["0"].height == 100
    assert frames(left)["0.alive.98"].estimated_size() < 20


def test_a_run_that_was_born_and_merged_since_is_never_named():
    first = EMPTY.put(rows(range(100)))
    later = first
    for place in range(100, 110):
        later = later.put(rows([place]))

    assert names(first) == ["0"]
    assert len(names(later)) <= 4
    assert set(names(later)) - {"0"} <= {str(serial) for serial in range(5, 11)}
    assert later.height == 110


def test_a_sweep_marks_and_rewrites_only_runs_that_are_mostly_dead():
    large, small = EMPTY.put(rows(range(1_000))), rows(range(2_000, 2_010))
    state = large.put(small)

    few = state.kept(lambda of: (of["n"] >= 400).to_numpy())
    most = state.kept(lambda of: (of["n"] >= 600).to_numpy())

    assert names(few) == ["0", "0.alive.600", "1"]
    assert names(most) == ["2", "1"]
    assert few.height == 610
    assert most.height == 410
    assert most.put(rows([5])).next_serial == 4


def test_what_is_restored_is_what_was_kept_and_is_named_anew():
    _, state = EMPTY.put(rows(range(100))).put(rows(range(30), partition=1)).take(keys(3, 4))

    found = EMPTY.put(rows([7], partition=2)).restored(frames(state, 0)).restored(frames(state, 1))

    assert_frame_equal(
        found.frame().sort("partition", "key"),
        pl.concat(
            [rows([n for n in range(100) if n not in {3, 4}]), rows([n for n in range(30) if n not in {3, 4}], 1), rows([7], 2)]
        ),
    )
    assert len({run.serial for run in found.runs}) == len(found.runs)
    taken, _ = found.take(keys(5))
    assert taken.height == 2


def test_a_partition_is_named_only_where_something_of_it_is_alive():
    state = EMPTY.put(pl.concat([rows(range(10)), rows(range(10, 20), partition=1)]))
    without = state.kept(lambda of: (of["partition"] != 1).to_numpy())

    assert names(without, 0) == names(state, 0) == ["0"]
    assert names(without, 1) == []
