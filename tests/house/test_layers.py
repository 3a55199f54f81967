"""Imports go one way, and each contract that says so would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]


def contracts_hold(folder):
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("schemas/contracts.py", "import pipeline.frames", "Imports go one way"),
        ("pipeline/frames.py", "import agents.defects", "Imports go one way"),
        ("pipeline/frames.py", "import faust", "The core has no hands"),
        ("pipeline/simulator/draws.py", "import pipeline.sessions", "The simulator does not know what is looked for"),
        ("pipeline/signals/slow_page.py", "import pipeline.signals.rage_click", "Signals do not know each other"),
        (
            "pipeline/expectations/refund_after_return.py",
            "import pipeline.expectations.quote_after_request",
            "Expectations do not know each other",
        ),
    ],
)
def test_a_planted_import_is_found(tmp_path, module, line, broken):
    for name in ("schemas", "pipeline", "sinks", "agents"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    found = contracts_hold(tmp_path)
    assert found.returncode != 0
    assert f"{broken} BROKEN" in found.stdout


def test_the_core_is_pure():
    """What import contracts cannot say of the standard library: no clock, no chance, no files, no printing."""
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "pipeline"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ruff.returncode == 0, ruff.stdout


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import random",
        "import os",
        "import asyncio",
        "import logging",
        "import socket",
        "print(1)",
        "from datetime import datetime\ndatetime.now()",
    ],
)
def test_an_impure_line_in_the_core_is_found(tmp_path, line):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "pipeline").mkdir()
    shutil.copy(ROOT / "pipeline" / "ruff.toml", tmp_path / "pipeline")
    (tmp_path / "pipeline" / "impure.py").write_text(f'"""Impure."""\n\n{line}\n')
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251,T201,DTZ", "pipeline"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
