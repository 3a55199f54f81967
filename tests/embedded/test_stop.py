"""A worker that is asked to stop leaves as it should, however early it is asked."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from agents.child_process import ChildProcess
from tests.brokers import EMBEDDED

pytestmark = pytest.mark.broker

HOUSE = Path(__file__).parents[2]


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_a_worker_that_is_asked_to_stop_while_it_begins_leaves_as_any_other(broker, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EBBTIDE_")}
    own = {
        "EBBTIDE_KAFKA__BOOTSTRAP": broker.bootstrap,
        "EBBTIDE_KAFKA__PREFIX": broker.prefix,
        "EBBTIDE_KAFKA__CLICKSTREAM_TOPIC": broker.create_topics("clickstream"),
        "EBBTIDE_CLICKHOUSE__DSN": f"chdb://{tmp_path}/store",
        "EBBTIDE_TELEMETRY__LISTEN": "",
        "PYTHONPATH": str(HOUSE),
    }
    worker = ChildProcess([sys.executable, "-m", "agents", "worker"], env={**kept, **own})
    try:
        until = time.monotonic() + 60
        while f" reads {own['EBBTIDE_KAFKA__CLICKSTREAM_TOPIC']}" not in worker.printed():
            assert worker.exit_code is None, worker.printed()
            assert time.monotonic() < until, worker.printed()
            time.sleep(0.002)
        worker._guard.send_signal(signal.SIGTERM)
        assert worker._guard.wait(30) == 0, worker.printed()
    finally:
        worker.kill()
