"""State on a broker: how long does a take-over wait for it, and what does keeping it cost a worker that is busy?"""

import statistics

import pytest

from tests.benchmarks.clicks import clicks
from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import measured, scaled
from tests.benchmarks.test_bench_worker import median, spread, topic_of

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

TIMES_RAW = 3.0
WITH_TO_WITHOUT = 0.8
STEPS, ROUNDS, REPETITIONS = 10, 5, 3


def test_a_million_sessions_are_back_within_three_times_the_reading_of_their_bytes(kafka_broker):
    broker, n = kafka_broker, scaled(1_000_000, 50_000)
    topics = {name: broker.create_topics(name, 1, cleanup_policy="compact") for name in ("chunks", "manifests")}
    asked = {"bootstrap": broker.bootstrap, "n": n, "steps": STEPS, "rounds": ROUNDS, **topics}

    kept = measured("kept_state", do="keep", **asked)
    found = measured("kept_state", do="read", **asked)

    raw_s, load_s, restore_s = (statistics.median(found[name]) for name in ("raw_s", "load_s", "restore_s"))
    ratio = restore_s / raw_s
    show(
        f"{found['n_open']:,} open sessions, {found['bytes'] / MIB:,.0f} MiB on the broker, medians of {ROUNDS} rounds by turns",
        ("", "s", "MiB/s"),
        [
            (name, seconds, found["bytes"] / MIB / seconds)
            for name, seconds in (("raw", raw_s), ("read and decoded", load_s), ("restored", restore_s))
        ],
        f"{ratio:.1f} times raw (aim: {TIMES_RAW:.0f}); peak of the process {found['peak_then'] / MIB:,.0f} MiB",
        f"kept whole in {kept['whole_s']:.2f} s; after a step of 20,000 events in {statistics.median(kept['steps_s']):.2f} s",
    )
    assert found["n_open"] == kept["n_open"]
    assert ratio <= TIMES_RAW


def test_checkpoints_cost_a_busy_worker_a_fifth_at_most(kafka_broker):
    """Every two seconds, by turns with a worker that makes none."""
    broker, n = kafka_broker, scaled(1_000_000, 50_000)
    topic = topic_of(broker, "clicks", clicks(n))
    found = {"on": [], "off": []}
    for no in range(REPETITIONS):
        for way, checkpoint_s in (("on", 2.0), ("off", 3_600.0)):
            run = {"bootstrap": broker.bootstrap, "prefix": f"{broker.prefix}.{way}-{no}", "topic": topic, "n_events": n}
            found[way].append(measured("session_worker", **run, settings={"checkpoint_s": checkpoint_s}, settles=way == "on"))

    ratio = median(found["on"], n, "seconds") / median(found["off"], n, "seconds")
    show(
        f"{n:,} events, medians of {REPETITIONS} runs each, by turns",
        ("checkpoints", "events/s", "from .. to", "s spent on them", "open sessions"),
        [
            (way, median(runs, n, "seconds"), spread(runs, n), runs[-1]["spent_s"]["checkpoints"], runs[-1]["n_open"])
            for way, runs in found.items()
        ],
        f"ratio {ratio:.2f} (aim: {WITH_TO_WITHOUT})",
    )
    assert ratio >= WITH_TO_WITHOUT
