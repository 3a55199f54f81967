"""The yardstick: sessions as one writes them with Faust as it comes, an agent that takes one event after the other and keeps a table.

Everything here is Faust's own: its driver (aiokafka), its streams, its tables in memory with a changelog. Each value is decoded with fastavro by
the same schema. It does less than the worker does: it knows no late events and no repeats, looks for no signals, counts nothing, says no rows.
So it is right only for events in perfect order, on which its sessions must equal ours.

Run by the benchmark of the worker (runs_apart).
"""

import asyncio
import io
import json
import time
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import faust
from fastavro import parse_schema, schemaless_reader
from faust.transport.drivers import aiokafka

from pipeline.journey_map import SHOP
from pipeline.session_rules import SessionRules
from schemas.contracts import schema
from tests.benchmarks.clicks import PARTITIONS
from tests.benchmarks.runs_apart import say, told

RULES = SessionRules()
GAP_MS, LATENESS_MS = (span // timedelta(milliseconds=1) for span in (RULES.gap, RULES.allowed_lateness))
SCHEMA = parse_schema(schema("clickstream"))
HEADER = 5
TABLES = ("sessions", "current")
"""Key -> session; and visitor without an emitter's id -> the id of the session that goes on."""
STEP_OF_TYPE = {event_type: place for place, step in enumerate(SHOP.steps) for event_type in step.event_types}
STEP_OF_PAGE = {page_type: place for place, step in enumerate(SHOP.steps) for page_type in step.page_types}


class Sessions:
    """The sessions of all visitors in a table, and which of them may still end."""

    def __init__(self, app):
        self.rows, self.current = (app.Table(name, partitions=PARTITIONS) for name in TABLES)
        self.open = [OrderedDict() for _ in range(PARTITIONS)]
        """Key of each open session of a partition -> its last event, in this order."""
        self.watermark_ms = [0] * PARTITIONS

    def take(self, partition, event):
        at_ms = int(event["event_at"].timestamp() * 1_000)
        visitor = f"{event['site']}/{event['visitor_id']}"
        key, row = self.found(visitor, event["session_id"], at_ms)
        row["ended_ms"] = at_ms
        row["n_events"] += 1
        page = event["page"]
        if page is not None:
            row["entry_page"] = row["entry_page"] or page
            row["exit_page"] = page
        place = max(STEP_OF_TYPE.get(event["event_type"], -1), STEP_OF_PAGE.get(event["page_type"], -1))
        if place >= 0 and place not in row["places"]:
            row["places"] = sorted([*row["places"], place])
        row["status"] = "converted" if SHOP.goal_index in row["places"] else "open"
        self.rows[key] = row
        self.open[partition][key] = at_ms
        self.open[partition].move_to_end(key)
        self.watermark_ms[partition] = max(self.watermark_ms[partition], at_ms - LATENESS_MS)
        self.end_silent(partition)

    def found(self, visitor, session_id, at_ms):
        """The session that goes on with this event, or a new one."""
        if session_id is not None:  # goes on for a day, and the events of the benchmark are of a few hours
            key = f"{visitor}/{session_id}"
            row = self.rows.get(key)
        else:
            key = f"{visitor}/{self.current.get(visitor)}"
            row = self.rows.get(key)
            if row is None or at_ms - row["ended_ms"] > GAP_MS:
                self.current[visitor] = str(at_ms)
                key, row = f"{visitor}/{at_ms}", None
        return key, row or {"started_ms": at_ms, "n_events": 0, "entry_page": "", "exit_page": "", "places": []}

    def end_silent(self, partition):
        """What has been silent for longer than the gap has ended."""
        opened = self.open[partition]
        while opened:
            key, ended_ms = next(iter(opened.items()))
            if ended_ms + GAP_MS >= self.watermark_ms[partition]:
                return
            del opened[key]
            row = self.rows[key]
            if row["status"] == "open":
                committed = any(place >= SHOP.commit_index for place in row["places"])
                self.rows[key] = {**row, "status": "abandoned" if committed else "browsed"}


def app_of(bootstrap, prefix, folder):
    """Faust as it comes, but for what would listen or write where a benchmark should not."""
    return faust.App(
        prefix,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_partitions=PARTITIONS,
        datadir=folder,
        web_enabled=False,
    )


async def measured(bootstrap, prefix, topic, n_events, folder):
    app = app_of(bootstrap, prefix, folder)
    sessions = Sessions(app)
    done = asyncio.Event()
    at = {}

    @app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw"))
    async def follow(stream):
        n = 0
        async for event in stream.events():
            if not n:
                at["began"], at["cpu"] = time.perf_counter(), time.process_time()
            sessions.take(event.message.partition, schemaless_reader(io.BytesIO(event.value[HEADER:]), SCHEMA, None))
            n += 1
            if n == n_events:
                at["ended"], at["cpu"] = time.perf_counter(), time.process_time() - at["cpu"]
                done.set()

    await app.start()
    try:
        await done.wait()
    finally:
        await app.stop()
    assert isinstance(app.transport, aiokafka.Transport)
    return {"seconds": at["ended"] - at["began"], "cpu_s": at["cpu"], "sessions": dict(sessions.rows.items())}


def main():
    asked = told()
    with TemporaryDirectory() as folder:
        found = asyncio.run(measured(asked["bootstrap"], asked["prefix"], asked["topic"], asked["n_events"], folder))
    rows = found.pop("sessions")
    Path(asked["sessions"]).write_text(json.dumps(rows))
    say(**found)


if __name__ == "__main__":
    main()
