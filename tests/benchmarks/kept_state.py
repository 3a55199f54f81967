"""A million open sessions kept on a broker, and read back: by whoever goes on with them, and as plain bytes.

Run by the benchmark of state (runs_apart), first to keep, then to read, in another process that knows nothing.
"""

import time

from confluent_kafka import Consumer, TopicPartition

from agents.checkpoints import Checkpoint
from agents.kafka_checkpoints import KafkaCheckpoints
from agents.log_reader import LogReader
from agents.manifests import Manifest, Standing
from agents.producer import Producer
from pipeline.sessions import SessionsFold
from tests.benchmarks.open_sessions import RULES, Shop
from tests.benchmarks.runs_apart import peak_bytes, say, told


def checkpoints_of(asked):
    producer, reader = Producer(asked["bootstrap"], {}), LogReader(asked["bootstrap"], {})
    return KafkaCheckpoints(producer, reader, chunks=asked["chunks"], manifests=asked["manifests"])


def saved(checkpoints, state, seq):
    """Seconds that a checkpoint takes."""
    began = time.perf_counter()
    manifest = Manifest(checkpoints.epoch(0), seq, "cluster", Standing(0))
    checkpoints.save([Checkpoint(0, manifest, state.pieces(0))])
    return time.perf_counter() - began


def kept(asked):
    """Keep a state whole, then after every step what is new of it, then whole again, as a take-over does."""
    checkpoints, shop = checkpoints_of(asked), Shop(asked["n"])
    checkpoints.claim(0)
    whole_s = saved(checkpoints, shop.state, 0)
    steps_s = []
    for seq in range(1, asked["steps"] + 1):
        shop.step(shop.next_batch())
        steps_s.append(saved(checkpoints, shop.state, seq))
    checkpoints.claim(0)
    saved(checkpoints, shop.state, 0)
    return {"n_open": shop.state.n_open, "whole_s": whole_s, "steps_s": steps_s}


def raw(asked, first, last):
    """Seconds of reading the same records, and doing nothing with them; and their bytes."""
    settings = {
        "group.id": "raw",
        "enable.auto.commit": False,
        "fetch.queue.backoff.ms": 5,
    }  # by default it sometimes sleeps for a second
    client = Consumer({"bootstrap.servers": asked["bootstrap"], **settings})
    began, n_bytes = time.perf_counter(), 0
    client.assign([TopicPartition(asked["chunks"], 0, first)])
    try:
        while True:
            for message in client.consume(1_000, 0.05):
                assert message.error() is None, message.error()
                n_bytes += len(message.value() or b"")
                if message.offset() >= last:
                    return time.perf_counter() - began, n_bytes
    finally:
        client.close()


def read(asked):
    """By turns: the bytes alone, and all that a take-over does until it can go on."""
    checkpoints, fold = checkpoints_of(asked), SessionsFold(RULES)
    best = checkpoints.history(0, checkpoints.claim(0)).best
    offsets = [offset for piece in best.pieces for offset in piece.offsets]
    raw_s, load_s, restore_s = [], [], []
    for _ in range(asked["rounds"]):
        seconds, n_bytes = raw(asked, min(offsets), max(offsets))
        raw_s.append(seconds)
        began = time.perf_counter()
        frames = checkpoints.load(0, best)
        load_s.append(time.perf_counter() - began)
        state = fold.empty().restored(0, frames)
        restore_s.append(time.perf_counter() - began)
        n_open = state.n_open
        del frames, state
    return {"n_open": n_open, "bytes": n_bytes, "raw_s": raw_s, "load_s": load_s, "restore_s": restore_s, "peak_then": peak_bytes()}


if __name__ == "__main__":
    asked = told()
    say(**{"keep": kept, "read": read}[asked["do"]](asked))
