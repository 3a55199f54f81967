"""The whole worker on Apache Kafka, beside a plain per-event Faust agent; an idle one; one whose store is gone."""

import json
import statistics

import polars as pl
import pytest

from agents import topics
from agents.arrow_batches import Batch
from pipeline.frames import SESSIONS
from pipeline.journey_map import SHOP
from tests.benchmarks.clicks import PARTITIONS, clicks, of_some_visitors, put, with_an_end
from tests.benchmarks.plain_agent import TABLES
from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import measured, scaled

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

REPETITIONS = 3
FOUR = ("rage_click", "form_error_loop", "slow_page", "page_error")
"""The signals for which the aim was set; what all of them cost is measured in test_bench_signals."""
TIMES_THE_PLAIN_AGENT = 40
IDLE_SHARE = 0.05


def topic_of(broker, name, events):
    topic = broker.create_topics(name, PARTITIONS, retention_ms="-1")
    put(events, broker.bootstrap, topic)
    return topic


def our_sessions(broker, prefix):
    """Key -> what the rows topic says of each session in the end."""
    batches = [Batch(message.value()) for message in broker.read(topics.rows(prefix))]
    frames = [pl.DataFrame(pl.from_arrow(batch.rows())) for batch in batches if batch.about.table == SESSIONS.name]
    newest = pl.concat(frames).sort("version").unique(list(SESSIONS.key), keep="last").filter(pl.col("is_deleted") == 0)
    return {
        f"{row['site']}/{row['visitor_id']}/{row['session_id']}": {
            "started_ms": row["started_at"].timestamp() * 1_000,
            "ended_ms": row["ended_at"].timestamp() * 1_000,
            "furthest": row["furthest_step"],
            **{name: row[name] for name in ("n_events", "entry_page", "exit_page", "steps", "status")},
        }
        for row in newest.iter_rows(named=True)
    }


def plain_sessions(path):
    """The same of the plain agent's table."""
    names = [step.name for step in SHOP.steps]
    return {
        key: {
            "furthest": names[row["places"][-1]] if row["places"] else "",
            "steps": [names[place] for place in row["places"]],
            **{name: row[name] for name in ("started_ms", "ended_ms", "n_events", "entry_page", "exit_page", "status")},
        }
        for key, row in json.loads(path.read_text()).items()
    }


def test_the_worker_is_many_times_as_fast_as_a_plain_agent_that_says_the_same(kafka_broker, tmp_path):
    broker = kafka_broker
    events = clicks(scaled(1_600_000, 20_000))
    sample = with_an_end(of_some_visitors(events, scaled(20_000, 4_000)))
    every, some = topic_of(broker, "every", events), topic_of(broker, "some", sample)
    ours, with_all, plain = [], [], []
    for no in range(REPETITIONS):
        path = tmp_path / f"sessions-{no}.json"
        run = {"bootstrap": broker.bootstrap, "prefix": f"{broker.prefix}.plain-{no}"}
        for table in TABLES:  # made by Faust it may be unknown to its own producer, for ever
            broker.create_topics(f"{run['prefix']}-{table}-changelog", PARTITIONS, cleanup_policy="compact")
        plain.append(measured("plain_agent", **run, topic=some, n_events=sample.height, sessions=str(path)))
        run["prefix"] = f"{broker.prefix}.ours-{no}"
        ours.append(measured("session_worker", **run, topic=every, n_events=events.height, signals=FOUR))
        run["prefix"] = f"{broker.prefix}.all-{no}"
        with_all.append(measured("session_worker", **run, topic=every, n_events=events.height))
    run["prefix"] = f"{broker.prefix}.some"
    measured("session_worker", **run, topic=some, n_events=sample.height)

    # The same bytes, the same sessions.
    said = our_sessions(broker, run["prefix"])
    assert said == plain_sessions(path)
    kinds = {
        status: sum(row["status"] == status for row in said.values()) for status in ("browsed", "abandoned", "converted", "open")
    }
    assert all(kinds.values()), kinds

    ratio = median(ours, events.height, "seconds") / median(plain, sample.height, "seconds")
    rows = [
        (name, n, *(median(found, n, of) for of in ("seconds", "cpu_s")), spread(found, n), middle(found, "peak_bytes") / MIB)
        for name, found, n in (
            ("plain agent, no signals", plain, sample.height),
            ("worker, four signals", ours, events.height),
            ("worker, all signals", with_all, events.height),
        )
    ]
    show(
        f"the whole worker, medians of {REPETITIONS} runs each, by turns",
        ("", "events", "events/s", "events/s of CPU", "from .. to", "peak MiB"),
        rows,
        f"the worker with four signals is {ratio:.0f} times as fast (aim: {TIMES_THE_PLAIN_AGENT}), and says the same {len(said)} sessions: {kinds}",
        where_time_goes(ours[-1]),
    )
    assert ratio >= TIMES_THE_PLAIN_AGENT


def median(found, n, of):
    """Events a second."""
    return statistics.median(n / run[of] for run in found)


def middle(found, of):
    return statistics.median(run[of] for run in found)


def spread(found, n):
    rates = [n / run["seconds"] for run in found]
    return f"{min(rates):,.0f} .. {max(rates):,.0f}"


def where_time_goes(run):
    spent = run["spent_s"]
    shares = {"fold": spent["fold"], "rows out": spent["steps"] - spent["fold"], "checkpoints": spent["checkpoints"]}
    shares["waiting for decoded records"] = run["seconds"] - spent["steps"] - spent["checkpoints"]
    shares["beside all that, decode"] = spent["decode"]
    parts = ", ".join(f"{name} {share_s / run['seconds']:.0%}" for name, share_s in shares.items())
    return f"the last run: {run['steps']} steps in {run['seconds']:.2f} s; {parts}"


def test_an_idle_worker_sleeps_for_a_minute(broker):
    """Events of half an hour have just been read: all the while some session falls silent, and is told."""
    events = clicks(scaled(60_000, 20_000))
    topic = topic_of(broker, "clicks", events)
    idle_s = scaled(60, 10)
    run = {"bootstrap": broker.bootstrap, "prefix": broker.prefix, "topic": topic, "n_events": events.height}

    found = measured("session_worker", **run, writer="taking", idle_s=idle_s)

    show(
        f"an idle worker with all agents, {idle_s} s, on {broker.kind}",
        ("", "share of a core", "steps", "open sessions"),
        [("worker", f"{found['idle_share']:.1%}", found["idle_steps"], found["n_open"])],
        f"aim: below {IDLE_SHARE:.0%}",
    )
    assert found["idle_share"] < IDLE_SHARE


def test_a_store_that_is_gone_neither_stops_detection_nor_fills_memory(kafka_broker):
    """A million events, each a row, and an inbox that is soon full; beside a worker whose store takes everything."""
    broker, n = kafka_broker, scaled(1_000_000, 50_000)
    events = clicks(n)
    topic = topic_of(broker, "clicks", events)
    del events
    inbox_bytes = scaled(16 * MIB, MIB)
    found = {}
    for writer in ("taking", "stuck"):
        run = {"bootstrap": broker.bootstrap, "prefix": f"{broker.prefix}.{writer}", "topic": topic, "n_events": n}
        found[writer] = measured(
            "session_worker",
            **run,
            writer=writer,
            store_events=True,
            settings={"inbox_bytes": inbox_bytes, "max_batch_events": 10_000},
        )

    grown = found["stuck"]["peak_bytes_then"] - found["taking"]["peak_bytes_then"]
    show(
        f"{n:,} events, and a store that takes nothing",
        ("store", "events/s", "applied", "rows", "waiting for it, MiB", "peak MiB"),
        [
            (
                name,
                n / run["seconds"],
                run["fates"]["applied"],
                sum(run["rows"].values()),
                run["sink_bytes"] / MIB,
                run["peak_bytes_then"] / MIB,
            )
            for name, run in found.items()
        ],
        f"at its peak the stuck one has {grown / MIB:+.0f} MiB; its inbox may have {inbox_bytes / MIB:.0f} MiB",
    )
    assert found["stuck"]["fates"]["applied"] == n
    assert found["stuck"]["is_held"]
    assert grown < 10 * inbox_bytes
