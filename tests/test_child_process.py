import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.child_process import TAIL_BYTES, ChildProcess

PATIENCE_S = 20.0


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


@pytest.fixture
def started() -> Iterator[Callable[..., ChildProcess]]:
    children: list[ChildProcess] = []

    def start(script: str, **options: object) -> ChildProcess:
        children.append(ChildProcess(["sh", "-c", script], **options))
        return children[-1]

    yield start
    for child in children:
        child.kill()


def pid_of(child: ChildProcess) -> int:
    """The program's own process, which prints its number first."""
    until(lambda: "\n" in child.printed() + "\n" and child.printed().split("\n")[0].isdigit())
    return int(child.printed().split("\n")[0])


def test_how_it_ended_and_what_it_printed_is_kept(started):
    child = started("echo out; echo err >&2; exit 7")
    until(lambda: child.exit_code is not None)

    assert child.exit_code == 7
    assert child.printed() == "out\nerr"


def test_only_the_end_of_what_it_printed_is_shown(started):
    child = started("yes 0123456789 | head -c 100000; printf ' the end'")
    until(lambda: child.exit_code == 0)

    assert child.printed().endswith("the end")
    assert len(child.printed()) <= TAIL_BYTES


def test_a_program_that_is_not_there_says_so():
    child = ChildProcess(["no-such-program-anywhere"])
    until(lambda: child.exit_code is not None)
    said = child.printed()
    child.kill()

    assert child.exit_code == 127
    assert "no-such-program-anywhere" in said


def test_it_gets_the_environment_it_is_given_and_nothing_to_read(started, monkeypatch):
    monkeypatch.setenv("LEAKED", "yes")
    child = started('echo "$GIVEN $LEAKED"; cat', env={"PATH": os.environ["PATH"], "GIVEN": "given"})
    until(lambda: child.exit_code == 0)

    assert child.printed() == "given"


def test_it_is_asked_to_end_before_it_is_killed(started, tmp_path):
    child = started(f"trap 'echo cleaned >{tmp_path}/said; exit 0' TERM; echo $$; while :; do sleep 0.05; done")
    pid = pid_of(child)
    child.stop()

    assert (tmp_path / "said").read_text() == "cleaned\n"
    assert child.exit_code == 0
    assert not is_alive(pid)


def test_it_is_killed_if_it_does_not_listen(started):
    child = started("trap '' TERM; echo $$; while :; do sleep 0.05; done")
    pid = pid_of(child)
    begun = time.monotonic()
    child.stop(patience_s=0.3)

    until(lambda: not is_alive(pid))
    assert time.monotonic() - begun < PATIENCE_S


def test_to_end_it_twice_changes_nothing(started):
    child = started("echo $$; exec sleep 60")
    assert is_alive(pid_of(child))
    child.stop()
    child.stop()
    child.kill()

    assert child.exit_code == 128 + signal.SIGTERM


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.03])
def test_it_may_be_stopped_while_it_starts(started, after_s, tmp_path):
    """However early: nothing is left behind, though it may not have heard the polite word."""
    number = tmp_path / "pid"
    child = started(f"echo $$ >{number}; exec sleep 60")
    time.sleep(after_s)
    child.stop(patience_s=0.5)
    time.sleep(0.05)

    if number.exists() and number.read_text():
        until(lambda: not is_alive(int(number.read_text())))


def test_ctrl_c_reaches_us_and_not_it(started):
    child = started("echo $$; exec sleep 60")

    assert os.getsid(pid_of(child)) != os.getsid(0)


def test_it_outlives_the_thread_that_made_it(started):
    made: list[ChildProcess] = []
    making = threading.Thread(target=lambda: made.append(started("echo $$; exec sleep 60")))
    making.start()
    making.join()
    pid = pid_of(made[0])
    time.sleep(0.1)

    assert is_alive(pid)
    assert made[0].exit_code is None


ENDS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM)",
    "ended in a hurry": "os._exit(70)",
    "broken": "raise RuntimeError",
    "done": "pass",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_never_outlives_us_however_we_end(end, tmp_path):
    program = f"""
import os, signal, time
from agents.child_process import ChildProcess
child = ChildProcess(["sh", "-c", "echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; trap '' TERM; exec sleep 60"])
while not os.path.exists("{tmp_path}/pid"):
    time.sleep(0.01)
{end}
"""
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True, timeout=60)

    pid = int((tmp_path / "pid").read_text())
    until(lambda: not is_alive(pid))
