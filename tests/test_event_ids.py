"""Kept event ids, as a checkpoint sees them."""

import numpy as np

from pipeline.event_ids import EventIds


def of(n, *, begin=0, partition=0):
    """Arguments of so many ids, at one a ms."""
    at = np.arange(begin, begin + n)
    return np.full(n, partition, np.int32), at.astype(np.uint64) * np.uint64(7_919), at.astype(np.uint64), at.astype(np.int64)


def names(ids, partition=0):
    return [piece.name for piece in ids.pieces(partition)]


def is_fresh(ids, forgotten_ms, *args):
    return ids.fresh(*args, np.full(len(args[0]), forgotten_ms)).tolist()


def test_what_is_forgotten_counts_as_new_whether_or_not_it_is_still_there():
    ids = EventIds().put(*of(1_000), {})

    few, most = ids.swept({0: 400}), ids.swept({0: 600})

    assert names(ids) == names(few) == ["0"]
    assert names(most) == ["1"]
    assert (len(few), len(most)) == (1_000, 400)
    for swept in (few, most):
        assert is_fresh(swept, 600, *of(1_000)) == [True] * 600 + [False] * 400


def test_what_is_restored_knows_what_was_kept():
    ids = EventIds().put(*of(1_000), {}).put(*of(50, begin=1_000), {}).put(*of(10, partition=1), {})

    found = EventIds()
    for partition in (0, 1):
        found = found.restored({piece.name: piece.frame() for piece in ids.pieces(partition)})

    assert not any(is_fresh(found, 0, *of(1_050)))
    assert not any(is_fresh(found, 0, *of(10, partition=1)))
    assert all(is_fresh(found, 0, *of(10, partition=2)))
    assert len({run.serial for run in found.runs}) == len(found.runs)


def test_a_partition_that_was_given_away_is_gone_indeed():
    """What comes back from a checkpoint may know less, and must not be taken for a repeat."""
    ids = EventIds().put(*of(1_000), {}).put(*of(10, partition=1), {}).without(1)

    assert names(ids, 1) == []
    assert all(is_fresh(ids, 0, *of(10, partition=1)))
    assert not any(is_fresh(ids, 0, *of(1_000)))
