from dataclasses import replace

import pytest

from agents.kafka_checkpoints import CLAIM_KEY, history_of, manifest_key
from agents.log_reader import Record
from agents.manifests import FORMAT, Fence, KeptPiece, Manifest, Standing, StateUnreadable

STANDING = Standing(
    position=41,
    watermark_ms=1_000,
    quiet_since_ms=2_000,
    highest_version=77,
    fates={"applied": 40, "too_late": 2},
    fences=(Fence("sessions", "clickstream", 3, 17),),
)
PIECES = (KeptPiece("parts.4", 1_200_000, "abc", (100, 101)), KeptPiece("parts.4.alive.7", 30, "def", (102,)))
MANIFEST = Manifest(9, 2, "cluster", STANDING, {"clickstream": 4, "ebbtide.rows": 2}, PIECES)


def records(*written):
    return [Record(offset, key, value) for offset, (key, value) in enumerate(written)]


def kept(epoch, seq, position=0):
    manifest = Manifest(epoch, seq, "cluster", Standing(position))
    return manifest_key(manifest), manifest.to_json()


CLAIM = (CLAIM_KEY, b"{}")


def test_a_manifest_is_read_back_as_it_was_written():
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_what_a_later_version_has_added_is_ignored():
    value = MANIFEST.to_json().replace(b'"seq":2', b'"seq":2,"invented":[1]').replace(b'"position":41', b'"position":41,"new":{}')

    assert Manifest.from_json(value) == MANIFEST


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"format":2}', MANIFEST.to_json()[:-40]])
def test_what_is_no_manifest_is_not_taken_for_one(value):
    with pytest.raises(StateUnreadable):
        Manifest.from_json(value)


def test_a_manifest_of_a_version_that_kept_state_in_another_way_is_refused():
    value = MANIFEST.to_json().replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1))

    with pytest.raises(StateUnreadable, match="kept by another version of Ebbtide"):
        Manifest.from_json(value)


def test_the_manifests_of_two_epochs_have_two_keys():
    """One key for both, and compaction could keep the zombie's."""
    assert manifest_key(replace(MANIFEST, epoch=10)) != manifest_key(MANIFEST)
    assert manifest_key(replace(MANIFEST, seq=3)) == manifest_key(MANIFEST)


def test_the_highest_epoch_and_seq_counts_and_never_the_last_one_written():
    history = history_of(records(CLAIM, kept(0, 0), CLAIM, kept(2, 0), kept(2, 1, position=7), kept(0, 99), CLAIM), below=6)

    assert (history.best.epoch, history.best.seq, history.best.standing.position) == (2, 1, 7)
    assert history.last_claim == 2


def test_what_stands_above_a_claim_does_not_count_for_it():
    history = history_of(records(CLAIM, kept(0, 0), CLAIM, kept(0, 1), CLAIM), below=2)

    assert (history.last_claim, history.best.seq) == (0, 0)


def test_a_manifest_that_was_forgotten_is_gone():
    history = history_of(records(CLAIM, kept(0, 0), CLAIM, kept(2, 0), (kept(0, 0)[0], None), CLAIM), below=5)

    assert [manifest.epoch for manifest in history.manifests] == [2]


def test_on_a_fresh_topic_nobody_has_been_here():
    history = history_of(records(CLAIM), below=0)

    assert (history.last_claim, history.best) == (-1, None)
