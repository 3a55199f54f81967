"""`ebbtide up` as a person meets it: in a terminal, within a minute; and as a program calls it."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing, suppress

import clickhouse_connect
import pyte
import pytest
from clickhouse_connect.driver.exceptions import Error

from agents.embedded_broker import free_port
from agents.manifests import Manifest
from agents.settings import KafkaSettings
from agents.settings_sources import load
from agents.up import shop_environment
from agents.up_folder import folder_of
from pipeline.frames import TABLES

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("up")]

ROWS, COLUMNS = 30, 80
"""A small one: what matters most must be on it."""
COMMAND = [sys.executable, "-m", "agents", "up"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
ENVIRONMENT |= {"TERM": "xterm-256color", "PYTHONSAFEPATH": "1"}
WITHIN_S = 60.0


class Terminal:
    """A terminal that somebody looks at."""

    def __init__(self, command):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._ours = ours
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT, start_new_session=True
        )
        os.close(theirs)

    def read(self, for_s):
        """Take what is printed for a while."""
        until = time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0 and self._ours in select.select([self._ours], [], [], left)[0]:
            try:
                self._stream.feed(os.read(self._ours, 65_536))
            except OSError:  # the other side is closed
                return

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait_for(self, pattern, within_s):
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            self.read(0.5)
            if found := re.search(pattern, self.text):
                return found
            assert self.process.poll() is None, f"it ended with {self.process.poll()}:\n{self.text}"
        msg = f"no {pattern} within {within_s:.0f} s:\n{self.text}"
        raise AssertionError(msg)

    def press_ctrl_c(self):
        os.write(self._ours, b"\x03")
        os.killpg(self.process.pid, 2)

    def close(self):
        """End whatever is still running."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)

    def end(self, within_s):
        until = time.monotonic() + within_s
        while self.process.poll() is None and time.monotonic() < until:
            self.read(0.2)
        if self.process.poll() is None:
            self.process.kill()
            msg = f"still running after {within_s:.0f} s:\n{self.text}"
            raise AssertionError(msg)
        return self.process.returncode


def test_a_session_and_an_abandonment_are_on_the_screen_within_a_minute():
    begun = time.monotonic()
    # Faster than by default: a machine that runs other tests at the same time takes its time to start.
    terminal = Terminal([*COMMAND, "--speed", "240", "--seed", "5"])
    try:
        sessions = terminal.wait_for(r"journey\s+shop", WITHIN_S)
        abandoned = terminal.wait_for(r"(?m)^. *(\d{2}:\d{2}:\d{2}) +(atlantic|pacific) ", WITHIN_S - (time.monotonic() - begun))
        assert sessions
        assert abandoned
        assert re.search(r"events/s +events +sessions +open +abandoned", terminal.text)
        terminal.press_ctrl_c()
        assert terminal.end(60) == 0
    finally:
        terminal.close()


FOR = ("--for", "15s", "--speed", "600", "--seed", "5", "--json")


def test_the_shop_sends_where_the_worker_reads_whoever_named_it(monkeypatch):
    kafka = KafkaSettings(bootstrap="127.0.0.1:1", clickstream_topic="clicks", partitions=3)
    around = {"EBBTIDE_SETTINGS": "none.toml", "EBBTIDE_KAFKA__LIBRDKAFKA": '{"security.protocol": "SASL_SSL"}', "HOME": "/"}

    told = shop_environment(kafka, around)

    for name in [name for name in os.environ if name.startswith("EBBTIDE_")]:
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load().kafka == kafka
    assert told["HOME"] == "/"


def ran(*options):
    """It to its end, as a program runs it."""
    done = subprocess.run([*COMMAND, *options], env=ENVIRONMENT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sessions_over_http(running, port):
    """How many sessions a BI tool finds, as soon as there are any."""
    while running.poll() is None:
        with suppress(OSError, Error), closing(clickhouse_connect.get_client(host="127.0.0.1", port=port)) as client:
            found = client.query("SELECT count() FROM sessions_now").result_rows[0][0]
            if found:
                return found
        time.sleep(0.2)
    return 0


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with what is left of a first run, what that said, and how many sessions a BI tool found meanwhile."""
    folder = tmp_path_factory.mktemp("up")
    port = free_port()
    options = ("--data-dir", str(folder / "data"), "--picture", str(folder / "up.svg"), "--http-port", str(port))
    with subprocess.Popen(
        [*COMMAND, *FOR, *options], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        read = sessions_over_http(running, port)
        out, err = running.communicate(timeout=150)
    assert running.returncode == 0, err
    return folder, out, read


def test_bi_tools_read_while_it_runs(kept):
    assert kept[2] > 0


def test_a_program_gets_one_line_of_json(kept):
    folder, out, _ = kept
    (line,) = out.splitlines()
    summary = json.loads(line)
    assert set(summary["tables"]) == set(TABLES)
    assert summary["tables"]["sessions"] > 0
    assert summary["tables"]["outcomes"] > 0
    assert summary["fates"]["applied"] == summary["tables"]["events"]
    assert summary["fates"]["rejected"] == summary["tables"]["dead_letters"] == 0
    assert summary["events_per_s"] > 0
    drawn = (folder / "up.svg").read_text()
    assert drawn.startswith("<svg")
    assert "@font-face" not in drawn

    asked = "SELECT count() AS n FROM sessions_now"
    sql = [sys.executable, "-m", "agents", "sql", asked, "--json", "--clickhouse", f"chdb://{folder / 'data' / 'clickhouse'}"]
    found = subprocess.run(sql, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(found.stdout) == [{"n": summary["tables"]["sessions"]}]


def standings(folder):
    """Partition -> where the fold stands, as its newest manifest says."""
    newest = {}
    for path in (folder / "state" / "sessions").glob("*/manifest-*.json"):
        manifest = Manifest.from_json(path.read_bytes())
        known = newest.get(path.parent.name)
        if known is None or manifest.epoch > known.epoch:
            newest[path.parent.name] = manifest
    return {partition: manifest.standing for partition, manifest in newest.items()}


def test_the_next_one_goes_on_where_this_one_stopped(kept):
    """Another broker, whose offsets begin at 0; the state, the time and the tables of the one before. The same seed is no repetition."""
    folder, out, _ = kept
    first, before = json.loads(out), standings(folder / "data")

    second = json.loads(ran(*FOR, "--data-dir", str(folder / "data")))

    after = standings(folder / "data")
    assert second["fates"]["applied"] > first["fates"]["applied"]  # it counts on
    assert second["fates"]["too_late"] == second["fates"]["rejected"] == 0
    assert second["fates"]["applied"] == second["tables"]["events"]
    assert second["tables"]["sessions"] > first["tables"]["sessions"]
    for partition, standing in before.items():
        assert after[partition].watermark_ms > standing.watermark_ms
        assert after[partition].highest_version > standing.highest_version
        assert after[partition].fates["applied"] > standing.fates["applied"]


def test_two_at_once_on_one_folder_are_refused(tmp_path):
    with folder_of(tmp_path):
        command = [*COMMAND, "--for", "1s", "--json", "--data-dir", str(tmp_path)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"another `ebbtide up` runs on {tmp_path}" in " ".join(done.stderr.split())
