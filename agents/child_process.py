"""Other programs we start, none of which may outlive us, however we end."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

# The shell holds our pipe. Its end, which comes with ours whatever ends us, kills the program. Not PR_SET_PDEATHSIG: that
# fires when the *thread* ends that made the child, knows Linux only, and needs code between fork and exec.
GUARD = """
exec 3<&0
program=
stopping=
trap 'stopping=yes; [ -z "$program" ] || kill -TERM "$program" 2>/dev/null' TERM
"$@" </dev/null 3<&- &
program=$!
[ -z "$stopping" ] || kill -TERM "$program" 2>/dev/null
{ trap - TERM; cat <&3 >/dev/null; kill -KILL "$program" 2>/dev/null; } &
watch=$!
wait "$program"
code=$?
while kill -0 "$program" 2>/dev/null; do wait "$program"; code=$?; done
kill "$watch" 2>/dev/null
exit "$code"
"""

TAIL_BYTES = 2_000


class ProgramEnded(RuntimeError):
    """A program that we need ended by itself; the message has what it printed."""


class ChildProcess:
    """A program that ends when we do. It has its own session, so that Ctrl-C reaches us and not it."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        """Start the program; what it prints is kept in a file that has no name."""
        self.command = tuple(command)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the program runs
        self._guard = subprocess.Popen(  # noqa: S603 - the command is ours
            ["/bin/sh", "-c", GUARD, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._guard.poll()

    def printed(self) -> str:
        """Return the end of what it printed."""
        size = os.fstat(self._printed.fileno()).st_size
        tail = os.pread(self._printed.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES))
        return tail.decode(errors="replace").strip()

    def stop(self, *, patience_s: float = 5.0) -> None:
        """End it: politely, and after so long not politely. Ended already: no change."""
        self._guard.terminate()
        try:
            self._guard.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()
        self._printed.close()
