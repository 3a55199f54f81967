"""A defect is loud: a worker that fails over a batch ends at once, keeps nothing of it, and says how to see it again."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.child_process import ChildProcess
from agents.defects import EXIT_DEFECT
from agents.log_reader import LogReader
from agents.newest_checkpoints import InFolder, NothingKept, OnTopics
from agents.settings import ClickHouseSettings, KafkaSettings
from agents.settings_sources import load
from agents.topics import look_at
from agents.up_folder import STATE
from agents.worker import assemble
from tests import wire
from tests.brokers import EMBEDDED
from tests.builders import view

pytestmark = pytest.mark.broker

HOUSE = Path(__file__).parents[2]


class Place:
    """A topic of clicks, and commands with a planted defect that read it."""

    def __init__(self, broker, folder):
        self.broker, self.topic = broker, broker.create_topics("clickstream", 2)
        self.kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=broker.prefix, clickstream_topic=self.topic, partitions=2)
        self._command = [sys.executable, "-m", "tests.defective_ebbtide"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EBBTIDE_")}
        self.settings = folder / "ebbtide.toml"
        self.settings.write_text(f"""
[kafka]
bootstrap = "{broker.bootstrap}"
prefix = "{broker.prefix}"
partitions = 2
clickstream_topic = "{self.topic}"
[clickhouse]
dsn = "chdb://{folder}/store"
[worker]
checkpoint_s = 0.2
[telemetry]
listen = ""
""")
        self._options = {"env": {**kept, "PYTHONPATH": str(HOUSE), "COLUMNS": "200"}}
        self._n = 0

    def send(self, partition, page):
        """A click, now; a visitor of its own for each partition."""
        self._n += 1
        click = view(event_id=f"e{self._n}", at=datetime.now(UTC) - timedelta(seconds=5), visitor_id=f"v{partition}", page=page)
        fields = {name: value for name, value in click.items() if name not in {"partition", "offset", "record_at"}}
        return self.broker.produce(self.topic, partition, [wire.value(fields, "clickstream")], keys=[b"v%d" % partition])[0]

    def send_again(self, offset):
        """What lies there on partition 0, once more."""
        found = [message for message in self.broker.read(self.topic, [0]) if message.offset() == offset]
        return self.broker.produce(self.topic, 0, [message.value() for message in found], keys=[b"v0"])[0]

    def work_with_state_in(self, folder, store):
        """Fold all there is, as `ebbtide up` does it: with its state in a folder. A process has one store, and this one has `store`."""
        written_to = ClickHouseSettings(dsn=store.dsn, database=store.database)

        async def story():
            assembled = assemble(load(self.settings).model_copy(update={"clickhouse": written_to}), state_dir=folder)
            assembled.writer.start()
            async with assembled.worker.running() as worker:
                assert await worker.settled(60)
            assert await asyncio.to_thread(assembled.writer.close, 20)

        asyncio.run(story())

    def worker(self):
        return ChildProcess([*self._command, "worker", "--settings", str(self.settings)], **self._options)

    def run(self, *arguments):
        return subprocess.run(
            [*self._command, *arguments], **self._options, capture_output=True, text=True, timeout=60, check=False
        )

    def kept(self):
        """Positions in the newest checkpoints."""
        reader = LogReader(self.broker.bootstrap, {})
        newest = OnTopics(reader, self.kafka, "sessions", look_at(self.broker.admin))
        found = [newest.manifest(partition) for partition in range(2)]
        reader.close()
        return [None if manifest is None else manifest.standing.position for manifest in found]


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)  # nothing of it is the broker's
def test_a_defect_ends_the_worker_at_once_and_its_batch_can_be_folded_again(broker, tmp_path):
    place = Place(broker, tmp_path)
    for partition in range(2):
        place.send(partition, "/")
    worker = place.worker()
    until = time.monotonic() + 60
    while place.kept() != [0, 0]:
        assert worker.exit_code is None, worker.printed()
        assert time.monotonic() < until, worker.printed()
        time.sleep(0.2)

    bad = place.send(1, "/boom")
    sent_at = time.monotonic()
    while worker.exit_code is None:
        assert time.monotonic() < sent_at + 20, worker.printed()
        time.sleep(0.05)
    took_s, said = time.monotonic() - sent_at, worker.printed()
    worker.kill()

    assert worker.exit_code == EXIT_DEFECT, said
    assert took_s < 5
    assert "ZeroDivisionError: a planted defect" in said
    assert f"1 record: {place.topic}-1 offsets {bad} to {bad}. Nothing of it was kept." in said
    assert place.kept() == [0, 0]
    program, *arguments = shlex.split(re.search(r"with the state that it met: (.+)", said)[1])
    assert program == "ebbtide"
    again = place.run(*arguments)
    assert again.returncode == EXIT_DEFECT, again.stderr
    assert "ZeroDivisionError: a planted defect" in again.stderr
    assert place.kept() == [0, 0]

    # Without the record that it fails over, and without the state that it needs, the same command tells what the batch becomes.
    sound = place.run("replay", *arguments[1:3], "--topic", place.topic, "--from", "1:0", "--to", f"1:{bad}", "--json")
    assert sound.returncode == 0, sound.stderr
    assert '"applied": 2' in sound.stdout
    assert "the batch is folded over an empty state" in sound.stderr


@pytest.mark.parametrize("broker", [EMBEDDED], indirect=True)
def test_books_and_state_in_the_folder_of_up_can_be_looked_at(broker, store, tmp_path):
    place, data_dir = Place(broker, tmp_path), tmp_path / "data"
    first = place.send(0, "/")
    place.work_with_state_in(data_dir / STATE, store)
    again = place.send_again(first)
    named = ("--data-dir", str(data_dir), "--settings", str(place.settings), "--json")

    audited = place.run("audit", *named)
    assert audited.returncode == 0, audited.stderr
    (account,) = [account for account in json.loads(audited.stdout)["accounts"] if account["read"]]
    assert (account["partition"], account["position"], account["applied"], account["end"]) == (0, first, 1, None)

    folded = place.run("replay", *named, "--topic", place.topic, "--from", f"0:{again}")
    assert folded.returncode == 0, folded.stderr
    assert json.loads(folded.stdout)["fates"]["duplicate"] == 1

    with pytest.raises(NothingKept, match="name the folder that `ebbtide up --data-dir` was given"):
        InFolder(tmp_path, "sessions")
