"""Somebody who is told of alerts: an HTTP server on loopback that keeps what it gets, and misbehaves as it is told to."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Got:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self):
        return json.loads(self.body)


@dataclass
class Receiver:
    """Takes everything, unless `answers` says otherwise of the next requests."""

    answers: list = field(default_factory=list)
    """For each of the next requests a status, (status, headers; if they say Transfer-Encoding the answer never ends), "close", or seconds to sleep before it is taken."""
    got: list = field(default_factory=list)

    def __post_init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def until(self, n, timeout_s=10.0):
        """Wait for so many requests; all there are."""
        until = time.monotonic() + timeout_s
        while len(self.got) < n:
            assert time.monotonic() < until, f"{len(self.got)} of {n} requests came: {[each.body[:100] for each in self.got]}"
            time.sleep(0.005)
        return self.got

    def states(self):
        """(alert_id, state) of all alerts that came."""
        return [(got.said["alert"]["alert_id"], got.said["state"]) for got in self.got if got.said.get("type") == "alert"]

    def _handler(receiver):  # noqa: N805 - the handler below has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = 200
                receiver.got.append(Got(self.path, dict(self.headers), body))
                if answer == "close":
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                is_endless = "Transfer-Encoding" in headers
                if not is_endless:
                    self.send_header("Content-Length", "2")
                with suppress(OSError):  # who asked did not wait
                    self.end_headers()
                    self.wfile.write(b"" if is_endless else b"ok")

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def other_receiver():
    made = Receiver()
    yield made
    made.close()
