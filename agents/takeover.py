"""Taking a partition over: claim, read, write; only then deliver.

A worker that takes a partition over claims it, and gets an epoch. It loads the manifest that counts, writes a
full copy of the state under its epoch before anything is emitted, so that nothing a frozen predecessor still writes can outrank
it, and tells every partition of every output topic its epoch (a *marker*), so that readers ignore what the predecessor still says. Then it settles
what the predecessor said after the checkpoint (settling.py).

The last claimant must be the owner. So before every claim: still assigned, still the same generation. And whoever finds a foreign
claim above its own (`Checkpoints.foreign_claim`) while the group still says the partition is its own takes over again.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import polars as pl

from agents.checkpoints import Checkpoint, Checkpoints, Reading, Writing
from agents.log_reader import LogBounds
from agents.logs import about
from agents.manifests import Manifest, Standing
from pipeline.pieces import Piece

log = logging.getLogger(__name__)

InputsFrom = Literal["earliest", "latest"]
"""Where to go on when the next record is not on the broker: with the first one there is, or with what comes from now on."""


class PositionRefused(RuntimeError):
    """What was kept does not fit what is on the broker; the message says why, and what may be done."""


class Estate(Protocol):
    """What a stage holds of its partitions: a fold its state, the sink its position."""

    def holds(self, partition: int) -> bool:
        """Whether there is something in memory."""

    def restore(self, partition: int, standing: Standing, frames: dict[str, pl.DataFrame]) -> None:
        """Begin with what a manifest says, in place of whatever is in memory."""

    def checkpoint(self, partition: int) -> tuple[Standing, Iterable[Piece]]:
        """Say where it stands, with all that must be kept."""

    def begin_epoch(self, partition: int, epoch: int) -> None:
        """Write under this epoch from now on, and tell every partition of every output so (the marker)."""

    def settle(self, partition: int) -> None:
        """Say again, as it is now, what was said after the checkpoint that was restored, or take it back. The marker is on the broker."""

    def give_up(self, partition: int) -> None:
        """Forget a partition."""


@dataclass(frozen=True)
class Input:
    """The partitions that a stage takes over: those of one topic."""

    topic: str
    cluster_id: str
    """Of the broker we are connected to."""
    inputs_from: InputsFrom | None = None
    """None: refuse, rather than skip or repeat records that nobody asked to be skipped or repeated."""
    partitions: Mapping[str, int] = field(default_factory=dict)
    """Topic -> partitions it has, of this one and all topics of ours that the stage uses: fixed for life, for they say where what lies."""


PARTITIONS_ADVICE = (
    "The numbers of partitions are fixed for life: they say in which partition the state of a key is. Make the topic as it was, "
    "or begin anew under another kafka.prefix"
)


def changed_partitions(kept: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """What is to be said of topics that have other partitions than when the state was kept."""
    return [
        f"topic {topic} has {found[topic]} partitions, and had {n} when the state was kept"
        for topic, n in kept.items()
        if found.get(topic, n) != n
    ]


@dataclass(frozen=True)
class TakeOver:
    """How one stage takes partitions over: what it holds, and where it is kept and read."""

    inputs: Input
    estate: Estate
    checkpoints: Checkpoints
    producer: Writing
    reader: Reading

    def take(self, partition: int, still_ours: Callable[[], bool]) -> Manifest | None:
        """Take one partition over; returns the manifest under the new epoch, None if it is ours no longer. Blocks.

        Cases:  nobody claimed it since we did -> memory is newest | somebody did -> what is kept counts, for our rows were ignored
                nobody has ever been here -> from the first record on the broker, or as `inputs_from` says
        Raises: PositionRefused - the log does not hold what follows the position, or a topic has other partitions than it had
                StateUnreadable - what was kept cannot be read back
        """
        self.producer.flush()  # what we said before the claim belongs below it
        if not still_ours():  # a claim of somebody who is no owner would outrank the owner
            return None
        before = self.checkpoints.epoch(partition)
        epoch = self.checkpoints.claim(partition)
        history = self.checkpoints.history(partition, epoch)
        is_restored = not (self.estate.holds(partition) and history.last_claim == before)
        if is_restored:
            self._restore(partition, history.best)
        if not still_ours():
            if is_restored:  # taken for what we hold already, it would never be settled
                self.estate.give_up(partition)
            return None
        standing, pieces = self.estate.checkpoint(partition)
        manifest = Manifest(epoch, 0, self.inputs.cluster_id, standing, self.inputs.partitions)
        self.checkpoints.save([Checkpoint(partition, manifest, pieces)])
        self.estate.begin_epoch(partition, epoch)
        self.producer.flush()
        if is_restored:
            self.estate.settle(partition)
        self.checkpoints.forget(partition, history)
        fields = about(topic=self.inputs.topic, partition=partition, epoch=epoch)
        where, first = f"{self.inputs.topic}-{partition}", standing.position + 1
        log.info("%s: taken over, epoch %d, from offset %d", where, epoch, first, extra=fields)
        return manifest

    def _restore(self, partition: int, best: Manifest | None) -> None:
        if best is not None and (changed := changed_partitions(best.partitions, self.inputs.partitions)):
            message = f"{self.inputs.topic}-{partition}: {'; '.join(changed)}. {PARTITIONS_ADVICE}"
            raise PositionRefused(message)
        position = self._position(partition, best)
        standing = best.standing if best else Standing(position=-1)
        if best is None or best.cluster_id != self.inputs.cluster_id:
            standing = replace(standing, said_to=None, said_epoch=-1)
        frames = self.checkpoints.load(partition, best) if best else {}
        self.estate.restore(partition, standing.moved(position), frames)

    def _position(self, partition: int, best: Manifest | None) -> int:
        """The last offset applied, if what follows it is on the broker."""
        inputs, bounds = self.inputs, self.reader.bounds(self.inputs.topic, partition)
        position = best.standing.position if best else -1
        if position + 1 > bounds.end or inputs.inputs_from == "latest":
            bounds = replace(bounds, end=self.reader.end(inputs.topic, partition, bounds.end))
        if best is None:
            return (bounds.end if inputs.inputs_from == "latest" else bounds.first) - 1
        trouble = _trouble(position, best, bounds, inputs)
        if trouble is None:
            return position
        where = f"{inputs.topic}-{partition}"
        if inputs.inputs_from is None:
            message = (
                f"{where}: {trouble}. The state is kept and can go on without them: with --inputs-from earliest from the first record "
                f"on the broker (offset {bounds.first}), with --inputs-from latest from what comes now (offset {bounds.end})."
            )
            raise PositionRefused(message)
        following = bounds.first if inputs.inputs_from == "earliest" else bounds.end
        log.warning(
            "%s: %s; going on from the %s, offset %d",
            where,
            trouble,
            inputs.inputs_from,
            following,
            extra=about(topic=inputs.topic, partition=partition),
        )
        return following - 1


def _trouble(position: int, best: Manifest, bounds: LogBounds, inputs: Input) -> str | None:
    """Why what follows the position is not there; None if it is."""
    following = position + 1
    if best.cluster_id != inputs.cluster_id:
        return f"the checkpoint was made on cluster {best.cluster_id!r}, and offset {following} is another record on {inputs.cluster_id!r}"
    if following < bounds.first:
        return f"records {following} to {bounds.first - 1} are not on the broker any more"
    if following > bounds.end:
        return f"the log ends before offset {bounds.end} and the checkpoint has read up to {position}: the topic was made anew"
    return None
