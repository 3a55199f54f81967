"""ClickHouse behind a link that is cut, falls silent or is slow for a minute; and ClickHouse on a disk that is full."""

import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from tests.brokers import EMBEDDED, KAFKA
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.run import Run
from tests.faulty_link import FaultyLink, Link
from tests.stores import Front, store_at
from tests.toxiproxy import Toxiproxy

GATED_S = 3.0 if IS_SHORT else 60.0
FULL_S = 20.0
ROOM_BYTES = 2 << 20
"""What is left on the disk when it begins to fill: the engine takes no rows once less than 1 MiB is."""
LOAD = {"rate": 150, "session_s": 6.0} if IS_SHORT else {"rate": 300}

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(240 if IS_SHORT else 1_200)]
ONE_BROKER = pytest.mark.parametrize("broker", [EMBEDDED if IS_SHORT else KAFKA], indirect=True)


@ONE_BROKER
@pytest.mark.parametrize("between", [FaultyLink] if IS_SHORT else [FaultyLink, Toxiproxy])
def test_a_store_that_is_away_for_a_while_changes_no_result(broker, server, server_store, tmp_path, between):
    port = int(server.dsn.rpartition(":")[2])
    with between(port) as link:
        dsn = f"clickhouse://default@127.0.0.1:{link.port}"
        with Run(broker, tmp_path, server_store, seed=SEED, dsn=dsn, **LOAD) as run:
            run.hire()
            run.working(1.0)
            for how in (Link.REFUSING, Link.SILENT):
                link.is_now = how
                time.sleep(GATED_S)
                ends = run.sent_so_far()
                run.until(lambda ends=ends: run.are_read(ends), "detection goes on")
                link.is_now = Link.UP
                run.caught_up(f"{how.value} {GATED_S:.0f} s")
            wrong = run.account(f"ClickHouse behind {between.__name__}")
    assert wrong == []


@contextmanager
def small_disk(folder):
    """A file system of its own in memory; what makes it larger or smaller."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk was not tried: no file system can be mounted here ({mounted.stderr.strip()})")
    try:
        yield lambda n_bytes: subprocess.run(["mount", "-o", f"remount,size={n_bytes}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def says_full(run, worker):
    """Whether the worker has just said so."""
    return "the disk of ClickHouse is full" in run.printed()[worker]


def fill(file):
    """Take what is left on the disk of this file."""
    with suppress(OSError), file.open("ab", buffering=0) as taken:
        while taken.write(bytes(4096)):
            pass


@pytest.mark.skipif(IS_SHORT, reason="a disk that is full takes a minute: in the long form alone")
@ONE_BROKER
def test_a_store_on_a_full_disk_changes_no_result(broker, tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk) as resize:
        front = Front(disk / "store")
        try:
            for store in store_at(front.dsn):
                with Run(broker, tmp_path, store, seed=SEED, **LOAD) as run:
                    worker = run.hire()
                    run.working(1.0)
                    resize(shutil.disk_usage(disk).used + ROOM_BYTES)
                    run.until(partial(says_full, run, worker), "the worker says that the disk is full")
                    full_until = time.monotonic() + FULL_S
                    while time.monotonic() < full_until:
                        fill(disk / "filler")  # and what the engine gives back meanwhile
                        time.sleep(0.5)
                    ends = run.sent_so_far()
                    run.until(lambda ends=ends: run.are_read(ends), "detection goes on")
                    fill(disk / "filler")
                    assert shutil.disk_usage(disk).free == 0
                    resize(1 << 30)
                    run.caught_up(f"disk full {FULL_S:.0f} s")
                    wrong = run.account("ClickHouse's disk")
        finally:
            front.kill()
    assert wrong == []
