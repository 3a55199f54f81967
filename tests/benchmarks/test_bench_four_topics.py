"""What the other three families cost: the worker with all stages over a shop of four topics, beside the one that reads its clicks alone."""

import statistics
from datetime import timedelta

import polars as pl
import pytest

from agents.emitter import Emitter
from pipeline.simulator.simulator import EVENTS_PER_VISITOR, Simulator
from schemas.contracts import local_registry
from tests.benchmarks.clicks import PARTITIONS, START_AT
from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import measured, scaled

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_600)]

REPETITIONS = 3
AIM = 0.7
"""Events a second of all topics, against those of a worker that reads clicks alone."""
FRAMES = {"clickstream": "events", "orders": "orders", "deliveries": "deliveries", "tickets": "tickets"}
FAMILIES = {"clickstream": "clickstream", "orders": "order", "deliveries": "delivery", "tickets": "ticket"}
DAYS = 45
"""From an order to its last ticket it takes weeks."""
SHARE_OF_CLICKS = 0.9
CLICKS = 2_400_000
"""About so many. Of a run of ten seconds two and a half are begin and end, in which one stage waits for another; with three times the events it is a rate."""


def shop(n):
    """Topic -> its events in order of arrival: of so many days in which about so many clicks are counted, for as many visitors as make them nine of ten events."""
    simulator = Simulator(7, START_AT, visitors_per_day=2.2 * n / EVENTS_PER_VISITOR / DAYS)
    told = []
    for day, chapter in enumerate(simulator.chapters(timedelta(days=1)), start=1):
        told.append({topic: getattr(chapter, frame) for topic, frame in FRAMES.items()})
        if day == DAYS:
            break
    events = {topic: pl.concat([each[topic] for each in told]) for topic in FRAMES}
    others = sum(rows.height for topic, rows in events.items() if topic != "clickstream")
    clicks = events["clickstream"]
    share = min(1.0, others * SHARE_OF_CLICKS / (1 - SHARE_OF_CLICKS) / clicks.height)
    counted = clicks["visitor_id"].hash(seed=7) < share * 2**64
    return events | {"clickstream": clicks.filter(counted)}


def put(events, broker):
    """Topic -> its name on the broker, with the events on it."""
    named = {}
    for name, rows in events.items():
        family = FAMILIES[name]
        (schema_id,) = (number for number, (of, _) in local_registry().items() if of == family)
        named[name] = broker.create_topics(name, PARTITIONS, retention_ms="-1")
        emitter = Emitter(broker.bootstrap, named[name], schema_id, {}, family=family)
        for piece in rows.iter_slices(50_000):
            emitter.send(piece)
        emitter.flush()
    return named


def test_four_topics_cost_less_than_a_third_of_the_rate(kafka_broker):
    broker = kafka_broker
    events = shop(scaled(CLICKS, 20_000))
    topics, sizes = put(events, broker), {name: rows.height for name, rows in events.items()}
    del events
    every, clicks = sum(sizes.values()), sizes["clickstream"]
    alone, with_all = [], []
    for no in range(REPETITIONS):
        run = {"bootstrap": broker.bootstrap, "topics": topics}
        prefix = f"{broker.prefix}.{no}"
        alone.append(measured("four_topics_worker", **run, prefix=f"{prefix}.alone", with_all=False, n_events=clicks))
        with_all.append(measured("four_topics_worker", **run, prefix=f"{prefix}.all", with_all=True, n_events=every))

    ratio = rate(with_all, every, "seconds") / rate(alone, clicks, "seconds")
    of_cpu = rate(with_all, every, "cpu_s") / rate(alone, clicks, "cpu_s")
    rows = [
        (name, n, rate(found, n, "seconds"), rate(found, n, "cpu_s"), spread(found, n), middle(found, "peak_bytes_then") / MIB)
        for name, found, n in (("clicks alone", alone, clicks), ("four topics", with_all, every))
    ]
    show(
        f"four topics, {clicks / every:.0%} of all are clicks, medians of {REPETITIONS} runs each, by turns",
        ("", "events", "events/s", "events/s of CPU", "from .. to", "peak MiB"),
        rows,
        f"four topics: {ratio:.2f} of the rate of clicks alone (aim: {AIM}), {of_cpu:.2f} by CPU time; {sizes}",
    )
    show("where the time of the last run of four topics goes", STAGE, where_time_goes(with_all[-1]), rows_of(with_all[-1]))
    show("... and of clicks alone", STAGE, where_time_goes(alone[-1]), rows_of(alone[-1]))
    for found, n in ((alone, clicks), (with_all, every)):
        for run in found:
            assert sum(run["fates"].values()) == n
            assert run["fates"]["rejected"] == run["fates"]["too_late"] == 0
    assert ratio >= AIM


STAGE = ("stage", "steps", "fold s", "rows out s", "decode s, beside", "checkpoints s", "share of the run")


def where_time_goes(run):
    """A line for each stage: seconds of its thread."""
    for stage, spent in run["spent_s"].items():
        busy = spent["step"] + spent["checkpoints"]
        out = spent["step"] - spent["fold"]
        yield stage, run["steps"][stage], spent["fold"], out, spent["decode"], spent["checkpoints"], f"{busy / run['seconds']:.0%}"


def rows_of(run):
    said = ", ".join(f"{table} {n:,}" for table, n in sorted(run["rows"].items()))
    return f"{run['seconds']:.2f} s, {run['cpu_s']:.2f} s of CPU; rows said: {said}"


def rate(found, n, of):
    """Events a second."""
    return statistics.median(n / run[of] for run in found)


def middle(found, of):
    return statistics.median(run[of] for run in found)


def spread(found, n):
    rates = [n / run["seconds"] for run in found]
    return f"{min(rates):,.0f} .. {max(rates):,.0f}"
