"""One HTTP POST to somebody outside, whose address a person wrote into settings.

An address of this machine or of a network inside is refused, unless it is allowed: whoever can change a name in DNS must not reach what is behind the
firewall. What is looked at is the address that is connected to, at the moment of connecting, so that a name cannot say one thing to a check and
another to the connection. Redirects are not followed, and proxies of the environment are not used.

**Delivery:** at most once a call: what comes of it is the caller's to judge. It never takes longer than `TOTAL_S`.
"""

import hashlib
import hmac
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from sinks.inside import is_inside

TOTAL_S, CONNECT_S = 15.0, 5.0
ANSWER_BYTES = 4_096
"""So much of an answer is read."""
SHOWN = 200
"""So much of it is told."""
AGAIN_LATER = frozenset({408, 425, 429})
"""Answers of the 400s that say: not now."""


class AddressRefused(OSError):
    """The address is one of this machine or of a network inside."""


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    status: int | None
    """None: no answer."""
    said: str
    """The beginning of the answer, or why there is none, for people."""
    retry_after_s: float | None = None
    """When it asks to be tried again."""

    @property
    def is_well(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether the same again would be answered the same way: anything but no answer, a fault of the receiver, and a plea for patience."""
        return self.status is not None and not self.is_well and self.status < 500 and self.status not in AGAIN_LATER

    def __str__(self) -> str:
        """One line for people."""
        if self.status is None:
            return f"no answer: {self.said}"
        moved = ", and redirects are not followed" if 300 <= self.status < 400 else ""
        return f"it answered {self.status}{moved}" + (f": {self.said}" if self.said else "")


def session(*, allow_private: bool) -> aiohttp.ClientSession:
    """Where posts of one receiver go through; in an event loop. Close it."""

    def connecting(info: Any) -> socket.socket:
        family, kind, protocol, _, place = info
        if not allow_private and is_inside(str(place[0])):
            message = f"{place[0]} is an address of this machine or of a network inside, and allow_private is not set"
            raise AddressRefused(message)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(socket_factory=connecting, limit=4, use_dns_cache=False)
    patience = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S)
    return aiohttp.ClientSession(connector=connector, timeout=patience, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


async def post(through: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body of JSON, once."""
    said = {"Content-Type": "application/json", "User-Agent": "ebbtide", **headers}
    try:
        async with through.post(url, data=body, headers=said, allow_redirects=False) as response:
            try:
                text = (await response.content.read(ANSWER_BYTES)).decode(errors="replace")
            except (TimeoutError, aiohttp.ClientError):  # the status says what counts
                text = ""
            return Answer(response.status, " ".join(text.split())[:SHOWN], _seconds(response.headers.get("Retry-After")))
    except TimeoutError:
        return Answer(None, "it took too long")
    except aiohttp.ClientConnectorError as error:
        return Answer(None, str(error.os_error.strerror or error.os_error))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(None, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """`v1=` and the HMAC-SHA256 of `timestamp.body`, in hex."""
    return f"v1={hmac.new(secret, f'{timestamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


def _seconds(retry_after: str | None) -> float | None:
    """What the header says: seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo else None
