"""The books in the folder of `ebbtide up`."""

import pytest

from agents.audit import audit_folder
from agents.books import Books
from agents.checkpoints import Checkpoint
from agents.directory_checkpoints import DirectoryCheckpoints
from agents.manifests import Manifest, Standing
from agents.newest_checkpoints import NothingKept
from agents.settings import Settings
from agents.up_folder import STATE


def keep(folder, stage, position, **fates):
    checkpoints = DirectoryCheckpoints(folder / STATE / stage)
    standing = Standing(position, fates=fates, books=Books(began=0))
    checkpoints.save([Checkpoint(0, Manifest(checkpoints.claim(0), 0, "cluster", standing), ())])


def test_records_that_intake_sends_on_are_in_an_account_and_one_that_is_not_shows(tmp_path):
    keep(tmp_path, "sessions", 9, applied=8, duplicate=2)
    keep(tmp_path, "intake-order", 9, passed=9, rejected=1)
    keep(tmp_path, "intake-delivery", 9, passed=7)

    accounts = audit_folder(Settings(), tmp_path)

    assert [(each.stage, each.topic, each.read, each.unaccounted) for each in accounts] == [
        ("sessions", "clickstream", 10, 0),
        ("intake-order", "orders", 10, 0),
        ("intake-delivery", "deliveries", 7, 3),
    ]
    assert accounts[1].as_json()["passed"] == 9
    assert [each.wrong for each in accounts] == [(), (), ("3 records were read and are in no account",)]


def test_a_folder_of_before_there_was_intake_has_the_books_of_sessions(tmp_path):
    keep(tmp_path, "sessions", 9, applied=10)

    assert [each.stage for each in audit_folder(Settings(), tmp_path)] == ["sessions"]


def test_a_folder_without_state_is_refused(tmp_path):
    with pytest.raises(NothingKept):
        audit_folder(Settings(), tmp_path)
