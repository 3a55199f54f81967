"""Offsets against records."""

import pytest

from agents.audit import audit_folder
from agents.books import Books
from agents.checkpoints import Checkpoint
from agents.directory_checkpoints import DirectoryCheckpoints
from agents.manifests import Manifest, Standing
from agents.settings import Settings
from agents.up_folder import STATE


def test_what_is_read_is_applied_duplicate_rejected_or_too_late():
    books = Books(began=10).took(after=9, last=19, n=10).took(after=19, last=29, n=8)

    assert books.n_absent == 2
    assert books.unaccounted(29, {"applied": 10, "duplicate": 4, "rejected": 3, "too_late": 1, "n_late": 7}) == 0


def test_what_is_lost_or_counted_twice_shows():
    books = Books(began=0).took(after=-1, last=9, n=10)

    assert books.unaccounted(9, {"applied": 7}) == 3
    assert books.unaccounted(9, {"applied": 10, "duplicate": 1}) == -1
    assert books.unaccounted(19, {"applied": 10}) == 10, "the position went on, and nobody was told"


def test_what_is_passed_by_on_order_is_no_loss():
    standing = Standing(9, fates={"applied": 10}, books=Books(began=0))

    for position in (99, 4):
        moved = standing.moved(position)
        assert (moved.position, moved.books.unaccounted(position, moved.fates)) == (position, 0)


def test_books_are_kept_with_the_position():
    manifest = Manifest(7, 1, "cluster", Standing(9, fates={"applied": 9}, books=Books(0, 1, 0)))

    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(("position", "says"), [(4, "5 offsets were those of another broker"), (19, "10 offsets were passed by")])
def test_what_was_ordered_is_told_and_no_fault(tmp_path, position, says):
    standing = Standing(9, fates={"applied": 10}, books=Books(began=0)).moved(position)
    kept = DirectoryCheckpoints(tmp_path / STATE / "sessions")
    kept.save([Checkpoint(0, Manifest(kept.claim(0), 0, "cluster", standing), ())])

    (account,) = audit_folder(Settings(), tmp_path)

    assert (account.wrong, account.end) == ((), None)
    assert account.notes[0].startswith(says)
