"""A link to a server that can be broken: a real TCP proxy on loopback, in threads of this process."""

import enum
import select
import socket
import threading
import time
from contextlib import suppress

STEP_S = 0.05


class Link(enum.Enum):
    """How it is."""

    UP = "up"
    REFUSING = "refusing"
    """Nobody listens, and what was open is cut."""
    SILENT = "silent"
    """Connections are taken, and nothing passes."""
    SLOW = "slow"
    """What comes back comes a second later."""
    CUTTING = "cutting"
    """The request arrives, and the connection is cut when the answer begins."""


class FaultyLink:
    """Stands between a client and the port of a server."""

    def __init__(self, target):
        self._target, self.is_now = target, Link.UP
        self._ending = threading.Event()
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        """Answers that never arrived."""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @staticmethod
    def _listen(port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(16)
        listener.settimeout(STEP_S)
        return listener

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self):
        while not self._ending.is_set():
            if self.is_now is Link.REFUSING:
                self._listener.close()
                while self.is_now is Link.REFUSING and not self._ending.wait(STEP_S):
                    pass
                self._listener = self._listen(self.port)
                continue
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, client):
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            while not self._ending.is_set() and self.is_now is not Link.REFUSING:
                if self.is_now is Link.SILENT:
                    time.sleep(STEP_S)
                    continue
                for side in select.select([client, server], [], [], STEP_S)[0]:
                    if side is server and self.is_now is Link.CUTTING:
                        self.cuts += 1
                        return
                    if side is server and self.is_now is Link.SLOW:
                        self._ending.wait(1.0)
                    said = side.recv(1 << 16)
                    if not said:
                        return
                    (server if side is client else client).sendall(said)
