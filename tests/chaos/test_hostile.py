"""A million payloads that are meant to do harm, through the decoder: no crash, no neighbour changed, and memory stays where it was.

The oracle is fastavro, one datum at a time, and the checks again in plain Python. Then a fuzzer looks for what no seed thought of.
"""

import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.decode import decode
from schemas.contracts import FAMILIES
from tests.chaos.figures import IS_SHORT, SEED
from tests.chaos.hostile import hostile, sound
from tests.properties.test_hostile_payloads import BOUNDS, RECORD_MS, by_the_book, same, told
from tests.wire import SCHEMA_IDS, WRITERS, records

N_PAYLOADS = 20_000 if IS_SHORT else 1_000_000
AT_ONCE = 1_000
"""Payloads of a batch, and between them as many sound ones."""
MOST_GROWTH_MIB = 40
N_FUZZED = 200 if IS_SHORT else 30_000
HOUSE = Path(__file__).parents[2]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120 if IS_SHORT else 3_600)]


def memory_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_million_hostile_payloads_harm_nobody(record_figures):
    dice, used = random.Random(SEED), []
    rejected, took_s = 0, 0.0
    for number in range(N_PAYLOADS // AT_ONCE):
        family = FAMILIES[number % len(FAMILIES)]
        good = [sound(dice, family) for _ in range(AT_ONCE // 4)] * 4
        bad = [hostile(dice, one, dice.choice(good)) for one in good]
        values = [value for pair in zip(good, bad, strict=True) for value in pair]
        own = {SCHEMA_IDS[family]: WRITERS[SCHEMA_IDS[family]]}

        batch, began = records(values, RECORD_MS), time.perf_counter()
        decoded = decode(batch, family, own, BOUNDS)
        took_s += time.perf_counter() - began

        found, alone = told(decoded, family), {}
        for offset, payload in enumerate(values, start=100):
            if payload not in alone:
                alone[payload] = by_the_book(payload, family)
            expected = "unknown_schema" if alone[payload] == "another family" else alone[payload]
            assert same(found[offset], expected), (SEED, number, family, payload, found[offset], expected)
        rejected += decoded.rejects.height
        used.append(memory_mib())
    tenth = max(1, len(used) // 10)
    growth = max(used[-tenth:]) - max(used[tenth : 3 * tenth])
    n = 2 * N_PAYLOADS
    what = f"hostile payloads: {took_s:.0f} s, {n / took_s:,.0f} payloads/s, memory {growth:+.0f} MiB"
    record_figures(what, sent=n, applied=n - rejected, rejected=rejected)
    assert growth < MOST_GROWTH_MIB


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="no fuzzer: there is no atheris for this Python and machine"
)
def test_a_fuzzer_finds_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.chaos.fuzz_decode", str(N_FUZZED), str(SEED), str(tmp_path)]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(HOUSE)}, cwd=tmp_path, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode(errors="replace")[-3_000:]
