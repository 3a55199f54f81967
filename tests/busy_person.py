"""A "person" who is many: guests' orders, tickets and carts under one name. `python -m tests.busy_person` says what its outcomes are and what they cost.

A process of its own, for the memory that a process has had is that of all its tests.
"""

import json
import sys
from datetime import timedelta

from pipeline.journeys_rules import JourneysRules
from pipeline.outcome_views import told_outcomes
from tests.benchmarks.runs_apart import peak_bytes
from tests.builders import clock
from tests.person_logs import lapse, log, moments, placed, spoke

N = 3_000


def outcomes() -> dict[str, int]:
    """Rows, those contacted, those recovered, and the memory that telling them took."""
    minutes = [clock("10:00") + timedelta(minutes=n) for n in range(N)]
    left = [lapse(at="10:00", outcome_id=f"l{n}", session_id=f"s{n}", cart_id=f"k{n}", order_id=f"o{n}") for n in range(N)]
    orders = [placed(f"p{n}", at="11:00", placed_at=at, cart_id=f"k{n + 1 if n % 2 else n}") for n, at in enumerate(minutes)]
    said = moments([spoke(f"t{n}", at="11:00", event_id=f"e{n}", order_id=f"o{n}") for n in range(0, N, 3)])
    whole = log(now="+20d 10:00", lapses=left, cases=orders)
    before = peak_bytes()
    rows = told_outcomes(whole, whole.lapses, whole.signals, said, JourneysRules()).rows
    return {
        "rows": rows.height,
        "contacted": int(rows["contacted_at"].is_not_null().sum()),
        "bought": int((rows["recovered_at"].is_not_null() | rows["returned_at"].is_not_null()).sum()),
        "bytes": peak_bytes() - before,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(outcomes()))
