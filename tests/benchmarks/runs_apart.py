"""Programs that measure, each in a process of its own, so that none has the memory or the threads of another; and how large a run is."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).parents[2]
TIMEOUT_S = 600.0
SCALE = float(os.environ.get("BENCH_SCALE", "1"))


def scaled(n: int, least: int) -> int:
    """So many, times BENCH_SCALE: a small run is for a look, not for a figure."""
    return max(least, int(n * SCALE))


def measured(module: str, **told: Any) -> dict[str, Any]:
    """Run `python -m tests.benchmarks.<module>` with one argument of JSON; return what it says in its last line."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", json.dumps(told)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HOUSE), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, cwd=HOUSE)
    assert ended.returncode == 0, f"{module} ended with {ended.returncode}:\n{ended.stdout[-2_000:]}\n{ended.stderr[-4_000:]}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def told() -> dict[str, Any]:
    """What `measured` was told: the child's side."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    return arguments


def say(**found: Any) -> None:
    """Answer `measured`."""
    print(json.dumps({**found, "peak_bytes": peak_bytes()}), flush=True)  # noqa: T201 - that is what it is for


def peak_bytes() -> int:
    """The most memory this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage knows no better than that the parent was larger
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) << 10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10
