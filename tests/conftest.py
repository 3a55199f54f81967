"""What holds for every test: brokers are real, and nothing leaves this machine."""

import ipaddress
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

pytest_plugins = ("tests.brokers", "tests.chaos.figures", "tests.schema_registry", "tests.stores")


def is_here(address: Any) -> bool:
    """Whether this address is on this machine."""
    if not isinstance(address, tuple):
        return True  # a path: a socket of this machine
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True, scope="session")
def nothing_leaves_this_machine() -> Iterator[None]:
    """Refuse connections to other machines. Of Python's sockets: native clients are told loopback addresses by their tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            plain = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, plain: Any = plain) -> Any:
                assert is_here(address), f"a test wants to reach {address}"
                return plain(self, address)

            patch.setattr(socket.socket, name, guarded)
        yield


@pytest.fixture(autouse=True)
def the_log_is_as_it_was() -> Iterator[None]:
    """A command that a test runs in this process begins a log of its own, and a quiet one would leave nothing to the next test that reads it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in handlers:
            root.removeHandler(handler)
