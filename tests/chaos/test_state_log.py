"""Half an hour of churn on Apache Kafka: the chunks topic stays small, for what is not named any more is deleted, and the broker compacts.

CHURN_S says how long (the long form is 1800); SEED reproduces a run.
"""

import os
import time

import numpy as np
import polars as pl
import pytest

from agents.checkpoints import Checkpoint
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import LogReader
from agents.manifests import Manifest, Standing
from agents.producer import Producer
from agents.topics import Topic
from pipeline.keyed_rows import KeyedRows
from pipeline.pieces import below
from tests.benchmarks.report import MIB, show
from tests.chaos import figures

CHURN_S = float(os.environ.get("CHURN_S", "1800"))
SEED = figures.SEED
IS_SHORT = CHURN_S < 1_800
SEGMENT_BYTES = 4 * MIB if IS_SHORT else 64 * MIB
"""A short run has small segments, or none would ever be compacted."""
SEGMENT_MS = 30_000 if IS_SHORT else 600_000
N_ROWS, N_TOUCHED = (60_000, 600) if IS_SHORT else (300_000, 3_000)
EVERY_S = 5.0
"""As a worker does it. The broker looks for something to compact every 15 s."""
TIMES_THE_STATE = 3
FILES = (".log", ".index", ".timeindex")
PARTITION = 0

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(CHURN_S + 300),
    pytest.mark.skipif(figures.IS_SHORT, reason="the log of a state has no short form: a broker compacts when it likes"),
]


def rows(keys, rng):
    """What becomes of these keys: columns that do not compress."""
    n = len(keys)
    noise = {f"noise_{place}": rng.integers(0, 2**63, n) for place in range(15)}
    return pl.DataFrame(
        {"key": pl.Series(keys, dtype=pl.UInt64), "partition": pl.repeat(PARTITION, n, dtype=pl.Int32, eager=True), **noise}
    )


def bytes_on_disk(broker, topic):
    """Bytes of the topic's log on disk: indexes are files with holes. What the broker has marked to be deleted is not its log any more."""
    folders = broker.server.folder.rglob(f"{topic}-{PARTITION}")
    return sum(512 * path.stat().st_blocks for folder in folders for path in folder.iterdir() if path.suffix in FILES)


def test_the_log_of_a_state_that_never_rests_stays_small(kafka_broker):
    broker, rng = kafka_broker, np.random.default_rng(SEED)
    chunks, manifests = Topic.of_state(broker.prefix, "churn", 1)
    config = {**chunks.config, "segment.bytes": str(SEGMENT_BYTES), "segment.ms": str(SEGMENT_MS)}
    for topic in (chunks, manifests):
        broker.create_topics(topic.name, 1, **{name.replace(".", "_"): value for name, value in config.items()})
    producer, reader = Producer(broker.bootstrap, {}), LogReader(broker.bootstrap, {})
    checkpoints = KafkaCheckpoints(producer, reader, chunks=chunks.name, manifests=manifests.name)
    epoch = checkpoints.claim(PARTITION)
    state = KeyedRows(rows([], rng).schema, "key").put(rows(np.arange(N_ROWS), rng))
    seen, names, written, seq, until = [], set(), 0, 0, time.monotonic() + CHURN_S
    while time.monotonic() < until:
        began = time.monotonic()
        for _ in range(5):
            keys = np.unique(rng.integers(0, N_ROWS, N_TOUCHED).astype(np.uint64))
            _, left = state.take(keys)
            state = left.put(rows(keys, rng))
        checkpoints.save(
            [Checkpoint(PARTITION, Manifest(epoch, seq, "here", Standing(seq)), below("rows", state.pieces(PARTITION)))]
        )
        kept = checkpoints._newest[PARTITION].pieces
        written += sum(piece.n_bytes for piece in kept if piece.name not in names)
        names = {piece.name for piece in kept}
        seq += 1
        state_bytes = sum(piece.n_bytes for piece in kept)
        if seq % 2 == 0:
            seen.append((seq, state_bytes, bytes_on_disk(broker, chunks.name)))
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))

    limit = TIMES_THE_STATE * state_bytes + 2 * SEGMENT_BYTES
    quarter = seen[-max(1, len(seen) // 4) :]
    show(
        f"{CHURN_S:.0f} s of churn, {seq} checkpoints, seed {SEED}",
        ("", "MiB"),
        [
            ("state", state_bytes / MIB),
            ("written in all", written / MIB),
            ("a segment", SEGMENT_BYTES / MIB),
            ("log, in the end", seen[-1][2] / MIB),
            ("log, largest in the last quarter", max(size for *_, size in quarter) / MIB),
            ("aim", limit / MIB),
        ],
    )
    history = checkpoints.history(PARTITION, checkpoints.claim(PARTITION))
    assert sum(len(frame) for name, frame in checkpoints.load(PARTITION, history.best).items() if "alive" not in name) >= N_ROWS
    assert seen[-1][2] <= limit
