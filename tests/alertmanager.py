"""The real Alertmanager in tests, where there is one: it tells a receiver."""

import json
import os
import shutil
import time
import urllib.request

import pytest

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
"""Of Debian's package, or of its makers."""
CONFIG = """\
global: {{resolve_timeout: 1s}}
route: {{receiver: us, group_by: [site, rule], group_wait: 200ms, group_interval: 500ms, repeat_interval: 1h}}
receivers:
  - name: us
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Manager:
    """A running Alertmanager that tells a receiver."""

    def __init__(self, folder, receiver):
        (folder / "am.yml").write_text(CONFIG.format(url=receiver.url))
        self.url, self.receiver = f"http://127.0.0.1:{free_port()}", receiver
        options = [f"--config.file={folder / 'am.yml'}", f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
        self.child = ChildProcess([PROGRAM, *options, f"--web.listen-address={self.url.removeprefix('http://')}"])

    def until(self, condition, timeout_s=20.0):
        limit = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < limit, (self.child.printed(), self.receiver.got)
            time.sleep(0.05)

    def active(self):
        """(name or alert_id, severity) of what it takes for open."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:
            found = json.load(answer)
        return {(each["labels"].get("alert_id", each["labels"]["alertname"]), each["labels"]["severity"]) for each in found}

    def notified(self, status):
        """Sets of alerts that it has told of together: (alert_id, severity) of those with this status."""
        told = [got.said["alerts"] for got in self.receiver.got]
        return [
            found
            for alerts in told
            if (
                found := {
                    (each["labels"]["alert_id"], each["labels"]["severity"])
                    for each in alerts
                    if each["status"] == status and "alert_id" in each["labels"]
                }
            )
        ]


@pytest.fixture
def manager_if_any(tmp_path, receiver):
    """None where there is no Alertmanager."""
    if PROGRAM is None:
        assert not os.environ.get("CI"), "where everything must run, so must this"
        yield None
        return
    made = Manager(tmp_path, receiver)
    try:
        made.until(lambda: made.child.exit_code is not None or is_up(made))
        yield made
    finally:
        made.child.kill()


@pytest.fixture
def manager(manager_if_any):
    if manager_if_any is None:
        pytest.skip("there is no Alertmanager: apt-get install --no-install-recommends prometheus-alertmanager")
    return manager_if_any


def is_up(manager):
    try:
        return manager.active() == set()
    except OSError:
        return False
