"""The command `ebbtide` whose sessions fold stands still as long as the file GATE is there. python -m tests.chaos.gated_ebbtide worker ..."""

import os
import time
from pathlib import Path

from agents.cli import main
from pipeline.sessions import SessionsFold

GATE = Path(os.environ["GATE"])
plain = SessionsFold.step


def step(self, state, batch, watermarks):
    while GATE.exists():
        time.sleep(0.05)
    return plain(self, state, batch, watermarks)


if __name__ == "__main__":
    SessionsFold.step = step
    main()
