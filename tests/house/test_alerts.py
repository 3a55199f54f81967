"""Alerts fire when they should, and each has a page that says what to do."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from agents.metrics import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = (DEPLOY / "prometheus" / "alerts.yml").read_text()
NAMES = re.findall(r"alert: (\w+)", ALERTS)
UNAVAILABLE = 69


def promtool(*arguments, said=None):
    """Run it; left out where there is none and none can be had, which where everything must run is a failure."""
    command = ["sh", str(DEPLOY / "prometheus" / "promtool.sh"), *map(str, arguments)]
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == UNAVAILABLE and not os.environ.get("CI"):
        pytest.skip(done.stderr.strip())
    return done


def test_every_alert_fires_over_its_samples_and_is_quiet_over_others():
    done = promtool("test", "rules", DEPLOY / "prometheus" / "alerts_test.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways():
    tested = re.findall(
        r"- name: (\w+) (fires|stays quiet)$", (DEPLOY / "prometheus" / "alerts_test.yml").read_text(), re.MULTILINE
    )

    assert sorted(tested) == sorted((name, how) for name in NAMES for how in ("fires", "stays quiet"))


def test_every_alert_has_its_section_in_the_runbook_and_names_it():
    assert re.findall(r"^## (\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), re.MULTILINE) == NAMES
    assert re.findall(r"RUNBOOK\.md#(\w+)", ALERTS) == [name.lower() for name in NAMES]


def test_alerts_ask_for_what_is_exported():
    asked = set(re.findall(r"\b(ebbtide_\w+)", ALERTS))
    exported = {metric.name for metric in METRICS} | {f"{metric.name}_bucket" for metric in METRICS if metric.kind == "histogram"}

    assert len(asked) > 10
    assert asked <= exported
