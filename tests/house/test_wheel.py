"""What is installed from the wheel is all there, and works from any folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel as pip unpacks it, in a folder of its own that comes before everything else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


def run(installed, *command):
    """Run it from the root of the file system, where nothing of ours lies."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, *command], cwd="/", env=environment, capture_output=True, text=True, check=False)


def test_the_installed_packages_are_the_ones_that_run(installed):
    printed = run(
        installed,
        "-c",
        "import agents, pipeline, schemas, sinks; print(agents.__file__, pipeline.__file__, schemas.__file__, sinks.__file__)",
    )
    assert [Path(file).parent.parent for file in printed.stdout.split()] == [installed] * 4


def test_nothing_else_is_installed(installed):
    assert {path.name for path in installed.iterdir()} - {"bin"} == {
        "agents",
        "pipeline",
        "schemas",
        "sinks",
        "ebbtide-0.1.0.dist-info",
    }


def test_a_replay_from_the_wheel_finds_contracts_and_migrations(installed, tmp_path):
    events = [
        {"event_id": f"e{n}", "event_type": kind, "event_at": f"2026-03-02T10:0{n}:00Z", "site": "shop", "visitor_id": "v1"}
        for n, kind in enumerate(("page_view", "view_item", "add_to_cart"))
    ]
    (tmp_path / "clickstream.ndjson").write_text("\n".join(map(json.dumps, events)))
    done = run(
        installed,
        "-m",
        "agents",
        "replay",
        str(tmp_path / "clickstream.ndjson"),
        "--json",
        "--clickhouse",
        f"chdb://{tmp_path / 'store'}",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["tables"]["sessions"] == 1
    assert summary["tables"]["outcomes"] == 1
