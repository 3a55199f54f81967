"""A worker with the counting fold in a process of its own, for tests that kill it. Its sink appends rows to a file.

python -m tests.counting_worker BOOTSTRAP PREFIX FILE
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from agents.app import Connection, build_app
from agents.stages import ShellSettings
from tests.counting import counting_stage

SHORT_SESSION = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
"""So long nobody has the partitions of one that was killed."""


class FileWriter:
    """Has written what it says it has, also when the process is killed."""

    full = False

    def __init__(self, path):
        self._file = path.open("a", buffering=1)

    def put(self, table, rows, done):
        for row in rows.select(["visitor_id", "n_events", "engaged_ms", "version"]).to_pylist() if table == "sessions" else []:
            self._file.write(json.dumps(list(row.values())) + "\n")
        done()


async def work(bootstrap, prefix, path):
    kafka = Connection(bootstrap, prefix, librdkafka=SHORT_SESSION)
    worker = build_app(
        kafka, ShellSettings(checkpoint_s=0.3, linger_s=0.05), [counting_stage(f"{prefix}.clicks")], FileWriter(path)
    )
    async with worker.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("agents").setLevel(logging.INFO)
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
