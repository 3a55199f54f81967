"""The newest checkpoints of a stage as whoever takes a partition over next would find them, for those who only look: nothing is claimed.

They lie on topics, or in the folder of `ebbtide up --data-dir`.
"""

import sys
from pathlib import Path
from typing import Protocol

import polars as pl

from agents import topics
from agents.directory_checkpoints import DirectoryCheckpoints
from agents.kafka_checkpoints import KafkaCheckpoints, history_of
from agents.log_reader import LogReader
from agents.manifests import Manifest
from agents.producer import Producer
from agents.settings import KafkaSettings
from agents.topics import Cluster
from agents.up_folder import STATE


class NothingKept(ValueError):
    """There is no state in a folder; the message says what to name."""


class NewestCheckpoints(Protocol):
    """What is asked of them."""

    def manifest(self, partition: int) -> Manifest | None:
        """The checkpoint that counts; None: there is none."""

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """The state that goes with it. Raises: StateUnreadable."""


class OnTopics:
    """Implements NewestCheckpoints."""

    def __init__(self, reader: LogReader, kafka: KafkaSettings, stage: str, cluster: Cluster) -> None:
        """Take what reads, and where from."""
        self._reader, self._kafka, self._cluster = reader, kafka, cluster
        self._chunks, self._manifests = topics.state(kafka.prefix, stage)

    def manifest(self, partition: int) -> Manifest | None:
        """Read all manifests of a partition."""
        if partition >= self._cluster.partitions.get(self._manifests, 0):
            return None
        bounds = self._reader.bounds(self._manifests, partition)
        end = self._reader.end(self._manifests, partition, bounds.end)
        return history_of(self._reader.read(self._manifests, partition, bounds.first, end - 1), below=end).best

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read the chunks it names."""
        producer = Producer(self._kafka.bootstrap, self._kafka.librdkafka)  # it sends nothing
        try:
            return KafkaCheckpoints(producer, self._reader, chunks=self._chunks, manifests=self._manifests).load(
                partition, manifest
            )
        finally:
            producer.close()


class InFolder:
    """Implements NewestCheckpoints."""

    def __init__(self, data_dir: Path, stage: str) -> None:
        """Take the folder that `ebbtide up` was given. Raises: NothingKept."""
        folder = data_dir / STATE / stage
        self.partitions = sorted(int(path.name) for path in folder.glob("[0-9]*"))
        """Those that somebody has claimed."""
        if not self.partitions:
            message = f"{data_dir} holds no state of {stage}: name the folder that `ebbtide up --data-dir` was given"
            raise NothingKept(message)
        self._checkpoints = DirectoryCheckpoints(folder)

    def manifest(self, partition: int) -> Manifest | None:
        """Read all manifests of a partition."""
        return self._checkpoints.history(partition, sys.maxsize).best

    def load(self, partition: int, manifest: Manifest) -> dict[str, pl.DataFrame]:
        """Read the pieces it names."""
        return self._checkpoints.load(partition, manifest)
