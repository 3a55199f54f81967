"""What it costs to know a repeat: memory an id, bounded by the horizon."""

import pytest

from tests.benchmarks.report import MIB, show
from tests.benchmarks.runs_apart import measured, scaled

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

BYTES = 80
"""Of the process, an id: 28 of its own, and as much again while runs are merged."""


def test_ids_are_bounded_by_the_horizon():
    n = scaled(2_000_000, 200_000)
    found = measured("dedup_ids", n=n)

    show(
        f"ids of events, {n:,} an hour for three hours, horizon 1 h",
        ("", "ids", "MiB of the process", "bytes an id"),
        [
            ("most", found["most"], found["most_bytes"] / MIB, found["most_bytes"] / found["most"]),
            ("at the end", found["last"], found["last_bytes"] / MIB, found["last_bytes"] / found["last"]),
            ("after the horizon", found["left"], found["left_bytes"] / MIB, ""),
        ],
        f"an id itself has {found['ids_bytes']} bytes",
    )
    assert found["most"] <= 1.5 * n
    assert found["last_bytes"] / found["last"] <= BYTES
    assert found["left"] == 0
    assert found["left_bytes"] < found["last_bytes"] / 2
