"""Schema Registries for tests: a tiny one with the three calls we make, which can misbehave, and Apicurio Registry, which cannot be told to."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port

APICURIO = "io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all"
OLDEST_JAVA = 21
FETCH_TIMEOUT_S, START_TIMEOUT_S = 300, 60
JVM_OPTIONS = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Starts fast and stays small."""


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


def java() -> str | None:
    """A Java that is new enough: $JAVA_HOME's, the one on the path, or another that the system has."""
    homes = [os.environ.get("JAVA_HOME"), *sorted(map(str, Path("/usr/lib/jvm").glob("*")), reverse=True)]
    found = [path for path in ("java", *(f"{home}/bin/java" for home in homes if home)) if shutil.which(path)]
    for path in found:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= OLDEST_JAVA:
            return path
    return None


@pytest.fixture(scope="session")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real registry, in memory. It is fetched in CI alone, and elsewhere used where it has been fetched before."""
    program = java()
    if program is None or shutil.which("mvn") is None:
        pytest.skip(f"Apicurio Registry needs Maven and Java {OLDEST_JAVA} or newer")
    folder = tmp_path_factory.mktemp("apicurio")
    fetch = [
        "mvn",
        "-q",
        "-B",
        *([] if os.environ.get("CI") else ["-o"]),
        "dependency:copy",
        f"-Dartifact={APICURIO}",
        f"-DoutputDirectory={folder}",
    ]
    fetched = subprocess.run(fetch, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S)
    if fetched.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"Apicurio Registry could not be fetched: {fetched.stdout[-500:]}")
        pytest.skip(f"Apicurio Registry is not here yet: mvn dependency:get -Dtransitive=false -Dartifact={APICURIO}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    port, management_port = free_port(), free_port()
    settings = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": management_port,
        "apicurio.rules.global.compatibility": "BACKWARD",  # its own default is none
        "apicurio.datasource.jdbc.initial-size": 2,
        "apicurio.datasource.jdbc.min-size": 2,
        "apicurio.datasource.jdbc.max-size": 10,
        "quarkus.log.level": "WARN",
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    child = ChildProcess([program, *JVM_OPTIONS, *options, "-jar", str(folder / "quarkus-run.jar")])
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        wait_until_it_answers(f"{url}/subjects", child)
        yield url
    finally:
        child.stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_it_answers(url: str, child: ChildProcess) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        assert child.exit_code is None, f"Apicurio Registry ended: {child.printed()}"
        assert time.monotonic() < until, f"Apicurio Registry does not answer: {child.printed()}"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
