"""What every way of keeping state promises: on topics of a broker in memory and of both real ones, and in a folder."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from agents.checkpoints import Checkpoint
from agents.directory_checkpoints import DirectoryCheckpoints
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import LogReader
from agents.manifests import Manifest, Standing, StateUnreadable
from agents.producer import Producer
from pipeline.pieces import Piece
from tests.brokers import EMBEDDED, KAFKA, broker_in_test
from tests.memory_log import MemoryLog

FRAMES = {
    "parts.4": pl.DataFrame(
        {
            "visitor": ["ann", None],
            "at": [datetime(2026, 3, 2, tzinfo=UTC), None],
            "key": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
            "payload": [b"\xff", b""],
            "site": pl.Series(["shop", None], dtype=pl.Categorical()),
            "steps": [["a", "b"], []],
        }
    ).cast({"at": pl.Datetime("ms", "UTC")}),
    "ids.0": pl.DataFrame(schema={"id": pl.UInt64, "at": pl.Int64}),
}
LARGE = {"noise.0": pl.DataFrame({"at": pl.Series(range(400_000)).hash()}), **FRAMES}
PARTITION = 1
WAYS = [
    pytest.param("memory", id="topics in memory"),
    pytest.param("directory", id="a folder"),
    pytest.param("embedded", id="topics, embedded broker", marks=EMBEDDED.marks),
    pytest.param("kafka", id="topics, Apache Kafka", marks=KAFKA.marks),
]


class OnTopics:
    """The stage's clients, and what lies on its topics."""

    def __init__(self, producer, reader, prefix):
        self.producer, self.reader = producer, reader
        self.chunks, self.manifests = f"{prefix}.chunks", f"{prefix}.manifests"

    def process(self):
        """A worker that knows nothing yet."""
        return KafkaCheckpoints(self.producer, self.reader, chunks=self.chunks, manifests=self.manifests)

    def _records(self, topic):
        self.producer.flush()
        bounds = self.reader.bounds(topic, PARTITION)
        end = self.reader.end(topic, PARTITION, bounds.end)
        newest = {record.key: record for record in self.reader.read(topic, PARTITION, bounds.first, end - 1)}
        return {key.decode(): record for key, record in newest.items() if record.value is not None}

    def pieces(self):
        """What a compaction would leave, as epoch/piece."""
        return {key.rpartition("/")[0] for key in self._records(self.chunks)}

    def epochs(self):
        """Epochs with a manifest."""
        return {int(key.removeprefix("manifest/")) for key in self._records(self.manifests) if key != "claim"}

    def damage(self, piece, how):
        """Make the newest piece of this name unreadable: its bytes are others, or gone."""
        log = self.producer.partitions[self.chunks, PARTITION]
        (place, *_) = [place for place, record in enumerate(log) if f"/{piece}/" in record.key.decode()]
        log[place] = type(log[place])(log[place].offset, log[place].key, how(log[place].value))


class InFolder:
    """The stage's folder."""

    def __init__(self, folder):
        self.folder = folder

    def process(self):
        return DirectoryCheckpoints(self.folder)

    def pieces(self):
        return {f"{path.parent.name.removeprefix('pieces-')}/{path.name}" for path in self.folder.glob(f"{PARTITION}/pieces-*/*")}

    def epochs(self):
        return {int(path.stem.removeprefix("manifest-")) for path in self.folder.glob(f"{PARTITION}/manifest-*.json")}

    def damage(self, piece, how):
        (path,) = self.folder.glob(f"{PARTITION}/pieces-*/{piece}")
        content = how(path.read_bytes())
        path.unlink()
        if content is not None:
            path.write_bytes(content)


@pytest.fixture(params=WAYS)
def place(request, tmp_path):
    if request.param == "memory":
        log = MemoryLog()
        yield OnTopics(log, log, "stage")
    elif request.param == "directory":
        yield InFolder(tmp_path / "state")
    else:
        broker = broker_in_test(request)
        for name in ("chunks", "manifests"):
            broker.create_topics(name, 2, cleanup_policy="compact")
        producer, reader = Producer(broker.bootstrap, {}), LogReader(broker.bootstrap, {})
        yield OnTopics(producer, reader, broker.prefix)
        producer.close()
        reader.close()


@dataclass
class Worker:
    """A process that keeps one partition."""

    checkpoints: Any
    epoch: int = -1
    seq: int = 0

    @classmethod
    def of(cls, place):
        """One that has taken over, and kept nothing yet."""
        worker = cls(place.process())
        worker.epoch = worker.checkpoints.claim(PARTITION)
        return worker

    def save(self, frames, position=41):
        """Keep these; a frame is made only if it is asked for. Returns the names of those that were."""
        made = []
        pieces = (Piece(name, lambda name=name, frame=frame: made.append(name) or frame) for name, frame in frames.items())
        manifest = Manifest(self.epoch, self.seq, "cluster", Standing(position=position), {"clicks": 4})
        self.seq += 1
        self.checkpoints.save([Checkpoint(PARTITION, manifest, pieces)])
        return made

    def found(self):
        """What it finds of those before it: the manifest that counts, and the frames."""
        best = self.checkpoints.history(PARTITION, self.epoch).best
        return best, self.checkpoints.load(PARTITION, best)

    def forget(self):
        self.checkpoints.forget(PARTITION, self.checkpoints.history(PARTITION, self.epoch))


def frames_of(*names):
    return {name: pl.DataFrame({"said": [name]}) for name in names}


@pytest.mark.parametrize("frames", [LARGE, {}], ids=["state", "no state"])
def test_state_is_read_back_as_it_was_in_its_order(place, frames):
    Worker.of(place).save(frames)

    manifest, loaded = Worker.of(place).found()

    assert manifest.standing.position == 41
    assert manifest.partitions == {"clicks": 4}
    assert list(loaded) == list(frames)
    for name, frame in frames.items():
        assert_frame_equal(loaded[name], frame)


def test_only_pieces_with_new_names_are_written_and_read_back_with_the_others(place):
    worker = Worker.of(place)
    assert worker.save(frames_of("a.0", "a.1")) == ["a.0", "a.1"]
    assert worker.save(frames_of("a.0", "a.1", "a.2")) == ["a.2"]
    assert worker.save(frames_of("a.0", "a.2", "b.0"), position=50) == ["b.0"]

    manifest, loaded = Worker.of(place).found()

    assert manifest.standing.position == 50
    assert {name: frame["said"].to_list() for name, frame in loaded.items()} == {name: [name] for name in ("a.0", "a.2", "b.0")}


def test_pieces_that_are_not_named_any_more_are_deleted_and_the_others_stay(place):
    worker = Worker.of(place)
    worker.save(frames_of("a.0", "a.1"))
    worker.save(frames_of("a.1", "a.2"))

    assert place.pieces() == {f"{worker.epoch}/a.1", f"{worker.epoch}/a.2"}


def test_a_new_epoch_begins_with_a_full_copy(place):
    """Whatever names its pieces have: those of another process say nothing, and its pieces are going to be deleted."""
    first = Worker.of(place)
    first.save(frames_of("a.0", "a.1"))
    second = Worker.of(place)

    assert second.save({"a.0": pl.DataFrame({"said": ["something else"]})}) == ["a.0"]
    second.forget()

    assert place.pieces() == {f"{second.epoch}/a.0"}
    _, loaded = Worker.of(place).found()
    assert loaded["a.0"]["said"].to_list() == ["something else"]


def test_the_same_process_writes_a_full_copy_as_well_when_it_claims_again(place):
    worker = Worker.of(place)
    worker.save(frames_of("a.0"))
    worker.epoch = worker.checkpoints.claim(PARTITION)

    assert worker.save(frames_of("a.0")) == ["a.0"]


def test_every_claim_has_a_higher_epoch_whoever_makes_it(place):
    first, second = place.process(), place.process()
    epochs = [checkpoints.claim(PARTITION) for checkpoints in (first, second, first, second)]

    assert epochs == sorted(set(epochs))
    assert first.epoch(PARTITION) == epochs[2]
    assert first.epoch(0) == -1


def test_a_claim_tells_the_claim_before_it(place):
    assert Worker.of(place).checkpoints.history(PARTITION, 0).last_claim == -1
    first, second = Worker.of(place), Worker.of(place)

    assert second.checkpoints.history(PARTITION, second.epoch).last_claim == first.epoch


def test_a_foreign_claim_above_ours_is_seen_with_the_next_checkpoint(place):
    ours = Worker.of(place)
    ours.save(FRAMES)
    theirs = Worker.of(place)
    assert ours.checkpoints.foreign_claim(PARTITION) is None

    ours.save(FRAMES)

    assert ours.checkpoints.foreign_claim(PARTITION) == theirs.epoch


def test_a_claim_of_our_own_settles_a_foreign_one(place):
    ours = Worker.of(place)
    Worker.of(place)
    ours.save(FRAMES)
    ours.epoch = ours.checkpoints.claim(PARTITION)
    ours.save(FRAMES)

    assert ours.checkpoints.foreign_claim(PARTITION) is None


def test_what_a_frozen_worker_writes_after_its_successor_does_not_count(place):
    """It wakes, keeps a state far ahead, and drops pieces of its own: the successor's are untouched."""
    frozen = Worker.of(place)
    frozen.save(frames_of("a.0", "a.1"))
    owner = Worker.of(place)
    owner.save(frames_of("a.0"), position=60)
    owner.forget()

    frozen.seq = 99
    frozen.save(frames_of("a.7"), position=1_000)

    third = Worker.of(place)
    manifest, loaded = third.found()
    assert (manifest.epoch, manifest.standing.position) == (owner.epoch, 60)
    assert list(loaded) == ["a.0"]
    assert owner.checkpoints.foreign_claim(PARTITION) is None
    third.save(FRAMES)
    third.forget()
    assert place.epochs() == {third.epoch}
    assert place.pieces() == {f"{third.epoch}/{name}" for name in FRAMES}


class Killed(BaseException):
    """The process is gone."""


def killed_between_pieces_and_manifest(worker, frames, monkeypatch):
    """The state is written, and the manifest that names it never is."""

    def gone(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "to_json", gone)
        with pytest.raises(Killed):
            worker.save(frames, position=1_000)


@pytest.mark.parametrize("at", ["the take-over", "a checkpoint"])
def test_a_crash_between_pieces_and_manifest_changes_nothing_and_leaves_nothing_behind(place, at, monkeypatch):
    first = Worker.of(place)
    first.save(frames_of("a.0", "a.1"))
    dying = Worker.of(place) if at == "the take-over" else first
    killed_between_pieces_and_manifest(dying, frames_of("a.1", "a.2", "b.0"), monkeypatch)

    second = Worker.of(place)
    manifest, loaded = second.found()
    second.save(loaded)
    second.forget()

    assert (manifest.epoch, manifest.standing.position, list(loaded)) == (first.epoch, 41, ["a.0", "a.1"])
    assert place.pieces() == {f"{second.epoch}/a.0", f"{second.epoch}/a.1"}
    assert place.epochs() == {second.epoch}


@pytest.mark.parametrize(
    "how", [lambda _: None, lambda value: value[:-9], lambda value: value[:-1] + b"?"], ids=["gone", "torn", "other"]
)
@pytest.mark.parametrize("place", WAYS[:2], indirect=True)
def test_a_piece_that_is_not_as_it_was_written_is_refused_by_name(place, how):
    """Never half a state: it would be taken for the whole one, and kept. (What lies on a real broker cannot be changed.)"""
    Worker.of(place).save(LARGE)
    place.damage("noise.0", how)

    with pytest.raises(StateUnreadable, match=r"the state cannot be read back: noise\.0: "):
        Worker.of(place).found()


def test_partitions_are_apart(place):
    checkpoints = place.process()
    ours = Worker(checkpoints, checkpoints.claim(PARTITION))
    other = checkpoints.claim(0)
    checkpoints.save([Checkpoint(0, Manifest(other, 0, "cluster", Standing(7)), [Piece("a.0", lambda: pl.DataFrame({"n": [7]}))])])
    ours.save(frames_of("a.0"))

    again = place.process()
    best = again.history(0, again.claim(0)).best
    assert best.standing.position == 7
    assert again.load(0, best)["a.0"]["n"].to_list() == [7]
    assert place.pieces() == {f"{ours.epoch}/a.0"}


def test_one_piece_at_a_time_is_in_memory_as_bytes(tmp_path):
    """A state of which a copy as bytes is made would need the memory twice. (What a producer holds has a limit of its own.)"""
    place, order = InFolder(tmp_path), []

    def pieces():
        for name in ("a.0", "a.1", "a.2"):
            order.append(f"named {name}")
            yield Piece(name, lambda name=name: order.append(f"made {name}") or pl.DataFrame({"said": [name]}))
            order.append(f"{name} on disk: {(place.folder / '1' / 'pieces-0' / name).exists()}")

    worker = Worker.of(place)
    worker.checkpoints.save([Checkpoint(PARTITION, Manifest(worker.epoch, 0, "cluster", Standing(1)), pieces())])

    assert order[:4] == ["named a.0", "made a.0", "a.0 on disk: True", "named a.1"]


def test_a_file_that_was_half_written_is_not_taken_for_a_whole_one(tmp_path):
    """A crash in the middle of a write: what is beside its place counts for nothing, and goes."""
    place = InFolder(tmp_path)
    Worker.of(place).save(frames_of("a.0"))
    torn = tmp_path / "1" / "manifest-7.json.new"
    torn.write_bytes(b'{"format": 2, "epo')
    (tmp_path / "1" / "pieces-0" / "a.1.new").write_bytes(b"half")

    second = Worker.of(place)
    manifest, loaded = second.found()
    second.save(loaded)
    second.forget()

    assert (manifest.epoch, list(loaded)) == (0, ["a.0"])
    assert not torn.exists()
    assert place.pieces() == {"1/a.0"}


def test_a_manifest_that_cannot_be_read_is_named(tmp_path):
    Worker.of(InFolder(tmp_path)).save(frames_of("a.0"))
    (tmp_path / "1" / "manifest-0.json").write_bytes(b"{")

    with pytest.raises(StateUnreadable, match=r"manifest-0\.json: this is no manifest"):
        Worker.of(InFolder(tmp_path)).found()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says which file a number is of")
def test_everything_is_synced_before_the_manifest_takes_its_place(tmp_path, monkeypatch):
    done, plain_sync, plain_replace = [], os.fsync, type(tmp_path).replace

    def synced(number):
        done.append(f"synced {Path(f'/proc/self/fd/{number}').readlink().name}")
        plain_sync(number)

    def placed(path, target):
        done.append(f"placed {target.name}")
        return plain_replace(path, target)

    worker = Worker.of(InFolder(tmp_path))
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(tmp_path), "replace", placed)
    worker.save(frames_of("a.0"))

    assert done == [
        "synced 1",  # there is a new folder in it
        *("synced a.0.new", "placed a.0", "synced pieces-0"),
        *("synced manifest-0.json.new", "placed manifest-0.json", "synced 1"),
    ]
