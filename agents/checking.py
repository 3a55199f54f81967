"""`ebbtide check`: what is wrong with settings, broker, registry, ClickHouse and the keys of events, all at once; topics of all families are looked at.

Nothing is changed anywhere. What does not answer is waited for a few seconds, and does not keep the others from being looked at.
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx2
from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from agents import topics
from agents.alert_settings import AlertSettings, ChannelUnfit
from agents.key_check import QUIET, keys_of, reading
from agents.mishaps import MISHAPS, advice
from agents.partition_check import changed_topics
from agents.registry import ConfluentRegistry, Writers, open_registry, without_password
from agents.settings import ClickHouseSettings, KafkaSettings, Settings
from agents.settings_sources import healthy
from agents.takeover import PARTITIONS_ADVICE
from agents.topics import Cluster, look_at
from pipeline import layouts
from pipeline.frames import TABLES
from schemas.contracts import local_registry
from sinks.addresses import Embedded, address
from sinks.clickhouse import connect
from sinks.columns import engine_type, stored_columns
from sinks.migrate import pending

ANSWER_TIMEOUT_S = 5.0
WELL, NOTE, WRONG, SKIPPED = "well", "note", "wrong", "not looked at"


@dataclass(frozen=True)
class Check:
    """What was found out about one thing."""

    name: str
    verdict: str
    """WELL, NOTE (it works, and somebody may want to know), WRONG, or SKIPPED."""
    lines: tuple[str, ...]

    @property
    def is_wrong(self) -> bool:
        """Whether somebody must do something."""
        return self.verdict == WRONG

    def as_json(self) -> dict[str, object]:
        """It as JSON."""
        return {"name": self.name, "verdict": self.verdict, "detail": list(self.lines)}


def checks(path: Path | None) -> list[Check]:
    """Look at everything. `path` is the settings file; None: as `settings_sources` says."""
    QUIET.addHandler(logging.NullHandler())
    QUIET.propagate = False
    settings, broken, problems = healthy(path)
    found = [
        Check("settings", WRONG if problems else WELL, tuple(map(str, problems)) or ("every key is known and every value fits",))
    ]
    cluster: Cluster | None = None

    def broker() -> Check:
        nonlocal cluster
        cluster, check = _broker(settings.kafka)
        return check

    looks: list[tuple[str, str, Callable[[], Check]]] = [
        ("broker", "kafka", broker),
        ("registry", "kafka", lambda: _registry(settings.kafka)),
        ("clickhouse", "clickhouse", lambda: _clickhouse(settings.clickhouse)),
        ("keys", "kafka", lambda: _keys(settings, cluster)),
        ("channels", "alerts", lambda: _channels(settings.alerts)),
    ]
    for name, section, look in looks:
        if section in broken:
            found.append(Check(name, SKIPPED, (f"[{section}] is wrong: that first",)))
        else:
            found.append(_or_mishap(name, look))
    return found


def _or_mishap(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (*MISHAPS, OSError) as mishap:
        return Check(name, WRONG, (advice(mishap),))


def _broker(kafka: KafkaSettings) -> tuple[Cluster | None, Check]:
    admin = AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET)
    try:
        cluster = look_at(admin, ANSWER_TIMEOUT_S)
    except KafkaException as error:
        said = error.args[0].str()
        return None, Check(
            "broker", WRONG, (f"no answer from {kafka.bootstrap} ({said}): is it running, and is kafka.bootstrap right?",)
        )
    lines = [f"{kafka.bootstrap} answers, cluster {cluster.cluster_id or 'without an id'}", *_others(kafka, cluster)]
    n = cluster.partitions.get(kafka.clickstream_topic)
    if n is None:
        lines.append(f"there is no topic {kafka.clickstream_topic} yet; the worker makes it, with {kafka.partitions} partitions")
        return cluster, Check("broker", NOTE, tuple(lines))
    lines.append(f"topic {kafka.clickstream_topic} has {n} partitions")
    rows = cluster.partitions.get(topics.rows(kafka.prefix))
    lines.append(f"{kafka.prefix} has run here" if rows else f"{kafka.prefix} has never run here; the worker makes its topics")
    if rows:
        with reading(kafka) as client:
            changed = changed_topics(client, kafka.prefix, cluster.partitions)
        if changed:
            return cluster, Check("broker", WRONG, (*lines, *changed, PARTITIONS_ADVICE))
    return cluster, Check("broker", WELL, tuple(lines))


def _others(kafka: KafkaSettings, cluster: Cluster) -> list[str]:
    """The topics of orders, deliveries and tickets, whose keys and partitions may be any."""
    topics_ = [topic for family, topic in kafka.topics.items() if family != "clickstream"]
    absent = [topic for topic in topics_ if topic not in cluster.partitions]
    lines = [f"topic {topic} has {cluster.partitions[topic]} partitions" for topic in topics_ if topic not in absent]
    return [*lines, f"there is no topic {', '.join(absent)} yet"] if absent else lines


def _registry(kafka: KafkaSettings) -> Check:
    """The registry's word on the schemas of all topics, if there is a registry."""
    if kafka.schema_registry_url is None:
        ids = ", ".join(f"{schema_id} {family} v{version}" for schema_id, (family, version) in local_registry().items())
        return Check("registry", WELL, (f"none is set: the schema ids are those that ship with Ebbtide ({ids})",))
    settings = {"url": kafka.schema_registry_url, "timeout": ANSWER_TIMEOUT_S, "max.retries": 0}
    try:
        with closing(SchemaRegistryClient(settings)) as client:
            return _subjects(client, kafka.topics, without_password(kafka.schema_registry_url))
    except (SchemaRegistryError, httpx2.HTTPError) as error:
        return Check("registry", WRONG, (f"{without_password(kafka.schema_registry_url)}: {error}",))


def _subjects(client: SchemaRegistryClient, of: Mapping[str, str], url: str) -> Check:
    """That of the clickstream must be there; of the others those that are must be fit to be read."""
    there = client.get_subjects()
    wrong, well = [], []
    for family, topic in of.items():
        subject = f"{topic}-value"
        if subject not in there:
            continue
        latest = client.get_latest_version(subject)
        assert latest.schema is not None
        try:
            layouts.fitting(json.loads(latest.schema.schema_str or ""), family)
        except layouts.NotFlat as error:
            wrong.append(f"version {latest.version} of subject {subject} cannot be read: {error}")
        else:
            well.append(f"subject {subject} is at version {latest.version}")
    if wrong:
        return Check("registry", WRONG, tuple(wrong))
    clicks = f"{of['clickstream']}-value"
    if clicks not in there:
        return Check("registry", NOTE, (f"{url} answers, and has no subject {clicks} yet", *well))
    return Check("registry", WELL, (f"{url} answers; {'; '.join(well)}",))


def _clickhouse(settings: ClickHouseSettings) -> Check:
    at = address(settings.dsn)
    if isinstance(at, Embedded) and not at.is_there:
        return Check("clickhouse", WRONG, (f"there is no embedded store in {at.path} yet: run `ebbtide migrate`",))
    client = connect(settings.dsn)
    try:
        todo = pending(client, settings.database)
        if todo:
            names = ", ".join(map(str, todo))
            return Check("clickhouse", WRONG, (f"it answers; database {settings.database} lacks {names}: run `ebbtide migrate`",))
        wrong = _differences(client, settings.database)
    finally:
        client.close()
    return Check(
        "clickhouse",
        WRONG if wrong else WELL,
        wrong or (f"it answers, and the tables of {settings.database} are those of this version",),
    )


def _differences(client: Client, database: str) -> tuple[str, ...]:
    """Where the tables are not what our frames say. Columns that somebody added are theirs."""
    found = client.query(
        "SELECT table, name, type FROM system.columns WHERE database = {database:String}", parameters={"database": database}
    ).result_rows
    types = {(table, name): kind for table, name, kind in found}
    lines = []
    for table in TABLES.values():
        for column in stored_columns(table):
            wanted, given = engine_type(table, column), types.get((table.name, column.name))
            if given != wanted:
                lines.append(f"{table.name}.{column.name} is {given or 'not there'}, and must be {wanted}")
    return tuple(lines)


def _channels(alerts: AlertSettings) -> Check:
    """Whether what channels need is there; nobody is told anything."""
    names, wrong = [channel.name for channel in alerts.channels], []
    for channel in alerts.channels:
        try:
            channel.channel()
        except ChannelUnfit as unfit:
            wrong.append(str(unfit))
    if wrong:
        return Check("channels", WRONG, tuple(wrong))
    if not names:
        return Check("channels", WELL, ("nobody is told of alerts; they are in ClickHouse and on their topic",))
    return Check("channels", WELL, (f"{', '.join(names)}: `ebbtide alerts test NAME` says whether one can be reached",))


def _keys(settings: Settings, cluster: Cluster | None) -> Check:
    topic = settings.kafka.clickstream_topic
    if cluster is None or topic not in cluster.partitions:
        return Check("keys", SKIPPED, ("there is no broker" if cluster is None else f"there is no topic {topic} yet",))
    registry = open_registry(settings.kafka.schema_registry_url, clickstream_topic=topic)
    try:
        with reading(settings.kafka) as client:
            keys = keys_of(client, topic, cluster.partitions[topic], Writers(registry, "clickstream"))
    finally:
        if isinstance(registry, ConfluentRegistry):
            registry.close()
    faults = keys.faults(topic)
    if faults:
        return Check("keys", WRONG, tuple(faults))
    if not keys.n:
        return Check("keys", SKIPPED, (f"topic {topic} is empty",))
    return Check("keys", WELL, (f"the last {keys.n} records of {topic} lie where their partitioner says, keyed by their visitor",))
