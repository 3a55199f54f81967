"""A link to a server through Toxiproxy, the same to its user as `faulty_link.FaultyLink`. It is left out where there is no `toxiproxy-server`.

`go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0` makes one, called `server`.
"""

import json
import shutil
import time
import urllib.request
from urllib.error import URLError

import pytest

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port
from tests.faulty_link import Link

PROGRAM = "toxiproxy-server"
START_S = 10.0


class Toxiproxy:
    """Stands between a client and the port of a server."""

    def __init__(self, target):
        program = shutil.which(PROGRAM)
        if program is None:
            pytest.skip(f"not through Toxiproxy: there is no {PROGRAM} on the path")
        self._api, self.port, self._is_now = free_port(), free_port(), Link.UP
        self._process = ChildProcess([program, "-host", "127.0.0.1", "-port", str(self._api)])
        until = time.monotonic() + START_S
        while True:
            try:
                self._ask("/version")
            except URLError:
                assert self._process.exit_code is None, self._process.printed()
                assert time.monotonic() < until, "Toxiproxy does not answer"
                time.sleep(0.05)
            else:
                break
        self._ask("/proxies", name="link", listen=f"127.0.0.1:{self.port}", upstream=f"127.0.0.1:{target}", enabled=True)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._process.kill()

    @property
    def is_now(self):
        """How it is."""
        return self._is_now

    @is_now.setter
    def is_now(self, how):
        assert how in {Link.UP, Link.REFUSING, Link.SILENT}, how
        self._ask("/reset")  # enabled, and without toxics
        if how is Link.REFUSING:
            self._ask("/proxies/link", enabled=False)
        if how is Link.SILENT:
            for stream in ("upstream", "downstream"):
                self._ask("/proxies/link/toxics", name=stream, type="timeout", stream=stream, attributes={"timeout": 0})
        self._is_now = how

    def _ask(self, path, **said):
        request = urllib.request.Request(f"http://127.0.0.1:{self._api}{path}", method="GET" if path == "/version" else "POST")
        if said:
            request.data = json.dumps(said).encode()
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read()
