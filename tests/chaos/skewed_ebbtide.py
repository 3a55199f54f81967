"""The command `ebbtide` whose wall clock is wrong by as many seconds as the file CLOCK says. python -m tests.chaos.skewed_ebbtide worker ...

Of Python alone: under faketime librdkafka would sleep as long as the clock jumps, for the C library's `cnd_timedwait` is not among what that fakes.
The elapsed time of the machine goes on as it does, as when a clock is set.
"""

import os
import time
from pathlib import Path

CLOCK = Path(os.environ["CLOCK"])
plain, plain_ns = time.time, time.time_ns


def skew_s():
    """By how much it is wrong."""
    return int(CLOCK.read_text())


time.time = lambda: plain() + skew_s()
time.time_ns = lambda: plain_ns() + skew_s() * 1_000_000_000

if __name__ == "__main__":
    from agents.cli import main  # after the clock: some take it when they are defined

    main()
