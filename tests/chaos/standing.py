"""How it stands in the end of a chaos run: what the store shows beside what is right, and what became of every record as the checkpoints say."""

from collections import Counter

import polars as pl
from confluent_kafka.admin import AdminClient

from agents.key_check import QUIET
from agents.log_reader import LogReader
from agents.newest_checkpoints import OnTopics
from agents.topics import look_at
from pipeline.frames import FATE_NAMES, TABLES
from tests.counts_oracle import over_partitions
from tests.embedded.test_end_to_end import stored
from tests.views import counted, differences


def differing_views(store, right):
    """A line for everything in which the views differ from what is right."""
    names = [name for name in TABLES if name != "dead_letters"]
    shown = {name: stored(store, name) for name in names}
    summed = {"rollups": over_partitions(pl.DataFrame(right["rollups"], schema=TABLES["rollups"].schema)).to_dicts()}
    lines = differences(counted(shown) | {"rollups": over_partitions(shown["rollups"])}, {**right, **summed})
    for name in names:
        n = store.query(f"SELECT count() AS n FROM {name}_now")["n"].item()
        if n != shown[name].height:
            lines.append(f"{name}_now shows {n} rows, not {shown[name].height}")
    return lines


def differing_letters(store, letters):
    """The same of dead letters: topic, partition and offset of each."""
    found = store.query("SELECT topic, `partition`, `offset` FROM dead_letters_now")
    found = found.select("topic", pl.col("partition", "offset").cast(pl.Int64)).rows()
    lines = [f"dead_letters {at}: not told" for at in sorted(letters - set(found))]
    lines += [f"dead_letters {at}: told without reason" for at in sorted(set(found) - letters)]
    return lines + [f"dead_letters {at}: told twice" for at in {at for at in found if found.count(at) > 1}]


def told_fates(settings, books, behind):
    """(family, partition, fate) -> records: by the books of the stages that read events, and by what these stages behind them have heard of them."""
    family_of = {topic: family for family, topic in settings.kafka.topics.items()}
    told = Counter()
    for account in books:
        told.update({(family_of[account.topic], account.partition, fate): account.fates.get(fate, 0) for fate in FATE_NAMES})
    kafka = settings.kafka
    cluster = look_at(AdminClient({**kafka.librdkafka, "bootstrap.servers": kafka.bootstrap}, logger=QUIET))
    reader = LogReader(kafka.bootstrap, kafka.librdkafka)
    try:
        for stage, n_partitions in behind.items():
            kept = OnTopics(reader, kafka, stage, cluster)
            for heard in (each for at in range(n_partitions) for each in kept.manifest(at).standing.sources):
                counted_there = {fate: heard.fates.get(fate, 0) for fate in FATE_NAMES}
                if any(counted_there.values()):
                    place = family_of[heard.source.topic], heard.source.partition
                    told.update({(*place, fate): n for fate, n in counted_there.items()})
    finally:
        reader.close()
    return +told
