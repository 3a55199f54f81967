"""The worker's page for machines: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts and routes.

A thread of its own answers, so that it answers as well when the event loop does not. A worker without the page works all the same:
when the port is taken, by another worker perhaps, a free one is, and a warning says which.
"""

import errno
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from agents.app import Worker
from agents.health import Verdict, health, readiness
from agents.metrics_page import WorkerMetrics
from sinks.writer import Writer

log = logging.getLogger(__name__)

Page = Callable[[str], tuple[int, str, bytes]]
"""Value of the header Accept -> status, type, body."""


@contextmanager
def told(listen: str, worker: Worker, writer: Writer | None, *, prefix: str, stuck_after_s: float) -> Iterator[str | None]:
    """Answer at `listen` (`host:port`; '' nowhere) while the block runs; gives the address, None if there is none.

    Raises: TelemetryUnavailable - there is no such address on this machine
    """
    if not listen:
        yield None
        return
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(WorkerMetrics(worker, writer, prefix))
    pages: dict[str, Page] = {
        "/metrics": lambda accept: _metrics(registry, accept),
        "/healthz": lambda _: _verdict(health(worker, stuck_after_s)),
        "/readyz": lambda _: _verdict(readiness(worker)),
    }
    server = _server(listen, pages)
    host, port = server.server_address[:2]
    log.info("metrics are at http://%s:%d/metrics", host, port)
    threading.Thread(target=server.serve_forever, args=(0.1,), name="telemetry", daemon=True).start()
    try:
        yield f"{host!s}:{port}"
    finally:
        server.shutdown()
        server.server_close()


class TelemetryUnavailable(OSError):
    """There is no such address on this machine; the message says what to set."""


def _server(listen: str, pages: dict[str, Page]) -> ThreadingHTTPServer:
    host, _, port = listen.rpartition(":")

    class Handler(BaseHTTPRequestHandler):
        """Answers GET, and says nothing of it in the log."""

        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            """Answer."""
            page = pages.get(urlsplit(self.path).path)
            status, kind, body = (
                page(self.headers.get("Accept", "")) if page else (404, "text/plain", b"/metrics /healthz /readyz\n")
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        """A program that asks all the time must not keep the process from ending."""

        daemon_threads = True
        allow_reuse_address = True

    try:
        return Server((host, int(port)), Handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            message = f"telemetry.listen is {listen}, and cannot be listened at: {error.strerror or error}"
            raise TelemetryUnavailable(message) from error
        server = Server((host, 0), Handler)
        log.warning("telemetry.listen %s is taken, by another worker perhaps: metrics are at port %d", listen, server.server_port)
        return server


def _metrics(registry: CollectorRegistry, accept: str) -> tuple[int, str, bytes]:
    encode, kind = choose_encoder(accept)
    return 200, kind, encode(registry)


def _verdict(verdict: Verdict) -> tuple[int, str, bytes]:
    return 200 if verdict.ok else 503, "application/json", json.dumps(verdict.as_json()).encode() + b"\n"
