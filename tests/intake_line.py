"""Intake and the fold behind it on a broker in memory, step by step: whoever is started anew goes on from its last checkpoint."""

from datetime import timedelta

from confluent_kafka import Message

from agents.batch_decoding import batch_decoder
from agents.checkpoints import Checkpoint
from agents.dead_letter_topic import LetterBox
from agents.folding import Folding
from agents.hearing import Hearing
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import Record
from agents.manifests import Manifest
from agents.outputs import Outputs
from agents.quiet_time import QuietTime
from agents.runs import Run
from agents.stages import Stage
from agents.takeover import Input, TakeOver
from pipeline.about import Source
from pipeline.checks import Bounds
from pipeline.decode import decode
from pipeline.intake import IntakeFold
from tests.collecting import TABLES_READ, CollectingFold
from tests.memory_log import MemoryLog
from tests.wire import WRITERS, value

TOPICS = {"order": "orders", "delivery": "deliveries", "ticket": "tickets"}
INTERNAL = {"commerce": 2, "people": 3}


class Stand:
    """A stage that has taken over some partitions, on a log in memory."""

    def __init__(self, log, stage, partitions, hearing=None, cluster="cluster", inputs_from=None):
        self.log, self.stage, self.cluster = log, stage, cluster
        outputs = Outputs("rows", 1, log, LetterBox("letters", 1), INTERNAL)
        self.folding = Folding(stage, log, outputs, cluster_id=cluster, quiet=QuietTime(), hearing=hearing)
        self._checkpoints = KafkaCheckpoints(log, log, chunks=f"{stage.name}.chunks", manifests=f"{stage.name}.manifests")
        takes = TakeOver(Input(stage.topic, cluster, inputs_from), self.folding, self._checkpoints, log, log)
        self._manifests = {partition: takes.take(partition, lambda: True) for partition in partitions}

    def read(self, partition=0, up_to=None):
        """One step over what has come in a partition, or over its first records."""
        records = self.log.partitions[self.stage.topic, partition]
        position = self.folding.positions()[partition]
        records = [each for each in records if each.offset > position][:up_to]
        run = Run(after=position, seeks=0)
        run.add(
            [
                Message(
                    topic=self.stage.topic,
                    partition=partition,
                    offset=at.offset,
                    key=at.key,
                    value=at.value,
                    timestamp=(1, at.at_ms),
                )
                for at in records
            ]
        )
        if run:
            self.folding.step([run], {})
        self.log.flush()
        return self

    def rest(self, *partitions, seconds=0.0):
        """A step without records: these are caught up and quiet."""
        self.folding.step([], dict.fromkeys(partitions, timedelta(seconds=seconds)))
        self.log.flush()
        return self

    def keep(self):
        """A checkpoint."""
        for partition, before in self._manifests.items():
            standing, pieces = self.folding.checkpoint(partition)
            manifest = Manifest(before.epoch, before.seq + 1, self.cluster, standing)
            self._checkpoints.save([Checkpoint(partition, manifest, pieces)])
            self._manifests[partition] = manifest
        return self


class Line:
    """The topics, and who works on them."""

    def __init__(self, in_partitions=1):
        self.log, self.in_partitions = MemoryLog(), in_partitions

    def send(self, family, *events, partition=0):
        """Events as their emitter sends them, on time; bytes as they are."""
        at = self.log.partitions[TOPICS[family], partition]
        for event in events:
            is_bytes = isinstance(event, bytes)
            at_ms = 1_700_000_000_000 if is_bytes else round(event["event_at"].timestamp() * 1_000)
            at.append(Record(len(at), b"any key", event if is_bytes else value(event, family), at_ms))
        return self

    def intake(self, family="order", lateness=timedelta(0), **options):
        fold = IntakeFold(family, TOPICS[family], lateness)

        def decoded(records):
            return decode(records, family, WRITERS, Bounds())

        outputs = {to: to for to in fold.outputs}
        return Stand(self.log, Stage(fold.name, fold.topic, fold, decoded, outputs=outputs), range(self.in_partitions), **options)

    def fold(self, *families, fold=None, **options):
        """The fold behind intake of these families."""
        families = families or ("order",)
        upstream = tuple((f"intake-{family}", TOPICS[family]) for family in families)
        sources = (Source(name, topic, at) for name, topic in upstream for at in range(self.in_partitions))
        stage = Stage("collect", "commerce", fold or CollectingFold(), batch_decoder(*TABLES_READ), upstream=upstream)
        return Stand(self.log, stage, range(INTERNAL["commerce"]), hearing=Hearing(frozenset(sources)), **options)
