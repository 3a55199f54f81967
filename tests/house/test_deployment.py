"""Compose files are what their schema says, and name only settings that there are. No container is run here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents.settings_sources import load
from tests.house.test_alerts import promtool

ROOT = Path(__file__).parents[2]


def test_the_compose_file_is_one():
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(ROOT / "docker-compose.yml"),
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_its_settings_are_known(monkeypatch):
    said = dict(re.findall(r"^\s+(EBBTIDE_\w+): (\S+)$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    assert len(said) == 4
    for name in [name for name in os.environ if name.startswith("EBBTIDE_")]:
        monkeypatch.delenv(name)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert load().kafka.bootstrap == "kafka:19092"


def test_what_it_lays_into_containers_is_there():
    said = re.findall(r"^\s+- (\./[^:]+):", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    assert len(said) == 5
    assert [name for name in said if not (ROOT / name).exists()] == []


def test_prometheus_takes_its_settings_and_the_alerts():
    done = promtool("check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
)
def test_what_the_image_copies_is_there(path):
    assert all((ROOT / name).exists() for name in path.split())
