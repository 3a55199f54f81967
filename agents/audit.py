"""`ebbtide audit`: whether every record that was read has a fate, by the newest checkpoints and by the topic itself.

Read = applied + duplicate + rejected + too late, in records; of a stage that only sends them on, rejected + passed. Offsets are more than records where transactions end, were aborted, or a
topic is compacted: the stage counts those that held nothing as it passes them, and `--recount` reads the topic again to see whether
that is so. Nothing is changed anywhere.

The checkpoints lie on topics, or in the folder of `ebbtide up --data-dir`, whose broker is gone: then they alone are asked.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from agents.books import Books, n_read
from agents.intake_stages import FAMILIES
from agents.key_check import QUIET
from agents.log_reader import LogReader
from agents.manifests import Manifest
from agents.newest_checkpoints import InFolder, OnTopics
from agents.settings import Settings
from agents.topics import look_at
from agents.up_folder import STATE
from pipeline.frames import FATE_NAMES, PASSED
from pipeline.intake import IntakeFold
from pipeline.sessions import SessionsFold


@dataclass(frozen=True)
class Account:
    """The books of one partition."""

    stage: str
    topic: str
    partition: int
    position: int
    """Last offset that the newest checkpoint has applied; -1: none."""
    fates: Mapping[str, int]
    books: Books
    end: int | None = None
    """Offset of the next record on the broker; None: it was not asked."""
    recounted: int | None = None
    """Records that the topic holds of what was read; None: not counted."""
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def read(self) -> int:
        """Records that have a fate."""
        return n_read(self.fates)

    @property
    def unaccounted(self) -> int:
        """Offsets in no account."""
        return self.books.unaccounted(self.position, self.fates)

    def as_json(self) -> dict[str, Any]:
        """It as JSON."""
        said = {name: value for name, value in asdict(self).items() if name not in {"fates", "books"}}
        counted = {fate: self.fates.get(fate, 0) for fate in (*FATE_NAMES, PASSED, "n_late")}
        return {**said, **asdict(self.books), "read": self.read, **counted, "unaccounted": self.unaccounted}


def audit(settings: Settings, *, recount: bool = False) -> list[Account]:
    """The books of all partitions of the topics of events. Raises: MISHAPS of agents.mishaps."""
    kafka = settings.kafka
    cluster = look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET))
    reader = LogReader(kafka.bootstrap, kafka.librdkafka)
    read = _read(settings) if settings.fulfilment.enabled else _read(settings)[:1]
    try:
        return [
            _beside_the_topic(
                reader,
                (stage, topic, partition),
                OnTopics(reader, kafka, stage, cluster).manifest(partition),
                cluster.cluster_id,
                recount=recount,
            )
            for stage, topic in read
            for partition in range(cluster.partitions.get(topic, 0))
        ]
    finally:
        reader.close()


def _read(settings: Settings) -> list[tuple[str, str]]:
    """Stages that read events, each with its topic; the first is always there."""
    topics = settings.kafka.topics
    intake = (IntakeFold(family, topics[family]) for family in FAMILIES)
    return [(SessionsFold.name, topics[SessionsFold.family]), *((fold.name, fold.topic) for fold in intake)]


def audit_folder(settings: Settings, data_dir: Path) -> list[Account]:
    """The books of all partitions in the folder of `ebbtide up`; no broker is asked. Raises: NothingKept, StateUnreadable."""
    accounts: list[Account] = []
    for stage, topic in _read(settings):
        if accounts and not (data_dir / STATE / stage).exists():  # a folder of before there was such a stage
            continue
        kept = InFolder(data_dir, stage)
        accounts += [_account((stage, topic, partition), kept.manifest(partition)) for partition in kept.partitions]
    return accounts


def _account(place: tuple[str, str, int], manifest: Manifest | None) -> Account:
    """What a checkpoint says of itself."""
    if manifest is None:
        return Account(*place, -1, {}, Books(0), notes=("no stage has read it yet",))
    standing = manifest.standing
    books = standing.books or Books(began=standing.position + 1 - n_read(standing.fates))
    account = Account(*place, standing.position, standing.fates, books, notes=tuple(_explained(books)))
    wrong = []
    if account.unaccounted > 0:
        wrong.append(f"{account.unaccounted} records were read and are in no account")
    if account.unaccounted < 0:
        wrong.append(f"{-account.unaccounted} records are in two accounts")
    return replace(account, wrong=tuple(wrong))


def _beside_the_topic(
    reader: LogReader, place: tuple[str, str, int], manifest: Manifest | None, cluster_id: str, *, recount: bool
) -> Account:
    """A checkpoint, and whether the topic is as it says."""
    _, topic, partition = place
    bounds = reader.bounds(topic, partition)
    end = reader.end(topic, partition, bounds.end)
    account = replace(_account(place, manifest), end=end)
    if manifest is None:
        return account
    if manifest.cluster_id != cluster_id:
        note = f"its offsets are those of cluster {manifest.cluster_id!r}, and this is {cluster_id!r}"
        return replace(account, notes=(note, *account.notes))
    if account.position >= end:
        cut = f"the log ends before offset {end}, and the checkpoint has read up to {account.position}: the topic was made anew"
        return replace(account, wrong=(*account.wrong, cut))
    if not recount:
        return account
    recounted, missing, told = _recounted(reader, account, bounds.first)
    return replace(account, recounted=recounted, wrong=(*account.wrong, *missing), notes=(*told, *account.notes))


def _explained(books: Books) -> list[str]:
    told = []
    if books.n_absent:
        told.append(f"{books.n_absent} offsets held no record: ends of transactions, aborted or compacted records")
    if books.n_skipped > 0:
        told.append(f"{books.n_skipped} offsets were passed by on order (--inputs-from)")
    if books.n_skipped < 0:
        told.append(f"{-books.n_skipped} offsets were those of another broker, or are read again on order (--inputs-from)")
    return told


def _recounted(reader: LogReader, account: Account, first: int) -> tuple[int | None, list[str], list[str]]:
    """Records on the topic, what is wrong with that, and what is to be known of it."""
    if account.books.n_skipped:
        return None, [], ["not recounted: offsets were passed by on order"]
    begin = max(first, account.books.began)
    found = 0
    for _ in reader.read(account.topic, account.partition, begin, account.position):
        found += 1
    too_many = found - account.read
    notes = []
    if too_many < 0:
        gone = begin - account.books.began
        notes.append(f"{-too_many} records that were read are not on the topic any more (it begins {gone} offsets later now)")
    return found, [f"{too_many} records of the topic have no fate"] if too_many > 0 else [], notes
