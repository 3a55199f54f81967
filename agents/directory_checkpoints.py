"""Checkpoints in a folder, for a broker that keeps nothing: what `ebbtide up --data-dir` goes on from.

    0/claim.json             the newest claim of partition 0; its epoch counts up, under a lock, so that no two are the same
    0/manifest-3.json        one an epoch: a zombie's cannot replace its successor's
    0/pieces-3/parts.4       a piece of epoch 3, as an Arrow IPC stream
    *.new                    half written, by somebody who was stopped

**Delivery:** on disk when `save` returns: every file is written beside its place, synced, and put there; then the folder is synced.
What a crash has left between pieces and manifest is deleted by the next take-over.
"""

import fcntl
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl

from agents.checkpoints import Checkpoint, decoded, encoded, kept_already, unreadable
from agents.manifests import History, KeptPiece, Manifest, StateUnreadable

log = logging.getLogger(__name__)

NEW = ".new"


class DirectoryCheckpoints:
    """Implements checkpoints.Checkpoints; on a disk of this machine, for locks of other machines' disks may be none."""

    def __init__(self, folder: Path) -> None:
        """Take the stage's folder; it is made if it is not there."""
        self._folder = folder
        self._newest: dict[int, Manifest] = {}  # partition -> the last one saved
        self._claimed: dict[int, int] = {}  # partition -> our epoch
        self._foreign: dict[int, int] = {}  # partition -> a claim above ours

    def claim(self, partition: int) -> int:
        """Claim a partition."""
        of_partition = self._of(partition)
        _make(of_partition)
        with _locked(of_partition / "lock"):
            epoch = _claimed(of_partition) + 1
            said = {"epoch": epoch, "pid": os.getpid(), "at": round(time.time(), 3)}
            _write(of_partition / "claim.json", json.dumps(said).encode())
            _sync(of_partition)
        self._claimed[partition] = epoch
        self._newest.pop(partition, None)
        self._foreign.pop(partition, None)
        return epoch

    def epoch(self, partition: int) -> int:
        """Return the epoch of our last claim."""
        return self._claimed.get(partition, -1)

    def history(self, partition: int, epoch: int) -> History:
        """Read the manifests of all epochs before."""
        manifests = []
        for path in self._of(partition).glob("manifest-*.json"):
            try:
                manifest = Manifest.from_json(path.read_bytes())
            except StateUnreadable as error:
                message = f"{path}: {error}"
                raise StateUnreadable(message) from error
            if manifest.epoch < epoch:
                manifests.append(manifest)
        return History(epoch - 1, tuple(manifests))

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read piece after piece."""
        found = {}
        for piece in manifest.pieces:
            path = self._pieces(partition, manifest.epoch) / piece.name
            try:
                content = path.read_bytes()
            except FileNotFoundError as error:
                raise unreadable(str(path.parent), [piece.name], "there is no such file") from error
            found[piece.name] = decoded(piece, content, str(path.parent))
        return found

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write pieces, then the manifest, then delete the pieces that it does not name any more; partition after partition."""
        for checkpoint in checkpoints:
            partition, before = checkpoint.partition, self._newest.get(checkpoint.partition)
            manifest = replace(checkpoint.manifest, pieces=tuple(self._written(checkpoint)))
            _write(self._of(partition) / f"manifest-{manifest.epoch}.json", manifest.to_json(indent=1))
            _sync(self._of(partition))
            self._newest[partition] = manifest
            for name in kept_already(before, manifest).keys() - {piece.name for piece in manifest.pieces}:
                (self._pieces(partition, manifest.epoch) / name).unlink(missing_ok=True)
            claimed = _claimed(self._of(partition))
            if claimed > self.epoch(partition):
                log.warning("%s: claimed by somebody else, as epoch %d", self._of(partition), claimed)
                self._foreign[partition] = claimed

    def foreign_claim(self, partition: int) -> int | None:
        """Tell of a claim above ours."""
        return self._foreign.get(partition)

    def forget(self, partition: int, history: History) -> None:
        """Delete manifests, then all pieces of their epochs and of those that never came to a manifest."""
        of_partition, ours = self._of(partition), self.epoch(partition)
        for manifest in history.manifests:
            (of_partition / f"manifest-{manifest.epoch}.json").unlink(missing_ok=True)
        for path in of_partition.glob("pieces-*"):
            if int(path.name.removeprefix("pieces-")) < ours:
                shutil.rmtree(path, ignore_errors=True)
        for path in of_partition.glob(f"*{NEW}"):
            path.unlink(missing_ok=True)

    def _written(self, checkpoint: Checkpoint) -> Iterator[KeptPiece]:
        """All pieces of a partition, in their places when it has come to its end."""
        folder = self._pieces(checkpoint.partition, checkpoint.manifest.epoch)
        _make(folder)
        known = kept_already(self._newest.get(checkpoint.partition), checkpoint.manifest)
        for piece in checkpoint.pieces:
            if piece.name in known:
                yield known[piece.name]
                continue
            kept, content = encoded(piece)
            _write(folder / kept.name, content)
            yield kept
        _sync(folder)

    def _of(self, partition: int) -> Path:
        return self._folder / str(partition)

    def _pieces(self, partition: int, epoch: int) -> Path:
        return self._of(partition) / f"pieces-{epoch}"


def newest_watermark_ms(folder: Path) -> int | None:
    """How far event time has come in a stage's folder, in whichever partition it is furthest; None: nothing is kept there. Claims nothing.

    Raises: StateUnreadable - not by this version, or not by us
    """
    checkpoints = DirectoryCheckpoints(folder)
    found = []
    for path in folder.glob("*/claim.json"):
        best = checkpoints.history(int(path.parent.name), sys.maxsize).best
        if best is not None and best.standing.watermark_ms is not None:
            found.append(best.standing.watermark_ms)
    return max(found, default=None)


def _claimed(of_partition: Path) -> int:
    """Epoch of the newest claim; -1: none."""
    try:
        return int(json.loads((of_partition / "claim.json").read_bytes())["epoch"])
    except FileNotFoundError:
        return -1


def _write(path: Path, content: bytes) -> None:
    """The whole file or none; `_sync` of its folder makes it last."""
    half = path.with_name(path.name + NEW)
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _make(folder: Path) -> None:
    """There is such a folder, also after a power cut."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among all processes, as long as the block."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
