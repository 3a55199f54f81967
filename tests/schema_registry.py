"""Schema Registries for tests: a tiny one with the three calls we make, which can misbehave, and Apicurio Registry, which cannot be told to."""

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port

REGISTRY_SCRIPT = Path(__file__).parents[1] / "deploy" / "registry" / "registry.sh"
UNAVAILABLE = 69
"""Exit code of registry.sh when Java or Maven is missing."""
FETCH_TIMEOUT_S, START_TIMEOUT_S = 300, 60.0
LEFT_OUT = "every test on Apicurio Registry was left out, and only a registry of a few lines was tested"
ATTEMPTS = 3
"""A free port may be taken by somebody else before the registry has it."""
APICURIO = [pytest.mark.broker, pytest.mark.registry, pytest.mark.xdist_group("apicurio")]
"""One group: it starts once, however many processes run the tests."""


class TinyRegistry:
    """Subjects and schemas in memory, behind HTTP on loopback."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.subjects: dict[str, set[int]] = {}
        self.asked: list[str] = []
        self.answer: tuple[int, bytes] | None = None
        """What to say to everything, when it misbehaves."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def registered(self, subject: str, text: str) -> int:
        if text not in self.schemas:
            self.schemas.append(text)
        schema_id = self.schemas.index(text) + 1
        self.subjects.setdefault(subject, set()).add(schema_id)
        return schema_id

    def said(self, method: str, path: str, body: dict[str, str]) -> tuple[int, object]:
        if method == "POST" and (found := re.fullmatch(r"/subjects/(.+)/versions", path)):
            return 200, {"id": self.registered(found[1], body["schema"])}
        found = re.fullmatch(r"/schemas/ids/(\d+)(/subjects)?", path)
        if found and 1 <= (schema_id := int(found[1])) <= len(self.schemas):
            names = sorted(subject for subject, ids in self.subjects.items() if schema_id in ids)
            return 200, names if found[2] else {"schema": self.schemas[schema_id - 1]}
        return 404, {"error_code": 40403, "message": "Schema not found"}

    def _handler(registry) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.respond("GET", {})

            def do_POST(self) -> None:
                self.respond("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def respond(self, method: str, body: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                registry.asked.append(f"{method} {path}")
                if registry.answer is None:
                    status, answer = registry.said(method, path, body)
                    octets = json.dumps(answer).encode()
                else:
                    status, octets = registry.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_said: object) -> None:
                pass

        return Handler


@pytest.fixture
def tiny_registry() -> Iterator[TinyRegistry]:
    registry = TinyRegistry()
    yield registry
    registry.stop()


class Apicurio:
    """A real registry, from deploy/registry; it keeps what it has over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        failure: AssertionError | None = None
        for _ in range(ATTEMPTS):
            self._ports = free_port(), free_port()
            try:
                self.start()
            except AssertionError as error:
                failure = error
                self.stop()
            else:
                return
        raise failure or AssertionError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}/apis/ccompat/v7"

    def start(self) -> None:
        port, management_port = map(str, self._ports)
        folder = str(self._folder)
        self._child = ChildProcess(
            ["sh", str(REGISTRY_SCRIPT), "--port", port, "--management-port", management_port, "--data", folder]
        )
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self._child.exit_code is None, f"Apicurio Registry ended: {self._child.printed()}"
            assert time.monotonic() < until, f"Apicurio Registry does not answer: {self._child.printed()}"
            try:
                with urllib.request.urlopen(f"{self.url}/subjects", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)

    def stop(self) -> None:
        self._child.stop()


def why_no_registry() -> str | None:
    """Why the real registry cannot be had on this machine; None if it can."""
    resolved = subprocess.run(
        ["sh", str(REGISTRY_SCRIPT), "--resolve"], check=False, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S
    )
    if resolved.returncode == UNAVAILABLE:
        return resolved.stderr.strip().removeprefix("registry.sh: ")
    assert resolved.returncode == 0, resolved.stderr
    return None


@pytest.fixture(scope="session")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A real registry, or in one plain sentence why there is none. Where it can be had and does not start, the tests fail."""
    if why := why_no_registry():
        pytest.skip(f"{LEFT_OUT}: {why}")
    registry = Apicurio(tmp_path_factory.mktemp("apicurio"))
    yield registry
    registry.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say once, and not of every test, that the real registry was left out: pytest folds what was left out in one place."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and LEFT_OUT in report.longrepr[2]:
        report.longrepr = (__file__, 0, report.longrepr[2])
    return report
