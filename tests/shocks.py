"""Shocks of known time, place and cause in a counted shop, and what the fold of spikes says of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.spike_rules import SpikeRules
from pipeline.spikes import SpikesFold
from tests.count_rows import MONDAY_MS, PARCEL, CountedShop, Shock, heard_rows, watermarks

HOUR_MS = 3_600_000
APART = 7
"""Hours from one shock to the next: those of one rule come at all times of a day, at which visits are few or many."""
LASTS = 2


@dataclass
class Planted:
    """A shock, and what was said of it first."""

    rule: str
    at_ms: int
    segment: str
    cause: str
    first: Mapping[str, object] | None = None
    said_ms: int | None = None

    @property
    def minutes(self) -> float | None:
        """Until it was told; None: it was not."""
        return None if self.said_ms is None else (self.said_ms - self.at_ms) / 60_000

    @property
    def is_right(self) -> bool:
        """Whether the right segment was named first."""
        return self.first is not None and self.first["segment"] == self.segment

    @property
    def is_cause_right(self) -> bool:
        """Whether the right signal was named first."""
        return self.first is not None and self.first["cause"] == self.cause


@dataclass
class Outcome:
    """What was planted, and how many alerts were opened of what was not."""

    planted: Sequence[Planted]
    n_false: int = 0
    others: list[str] = field(default_factory=list)


def planted(seed: int, days: int, n: int) -> Iterator[tuple[Planted, list[Shock]]]:
    """After so many days, one every seven hours: a step of one device, with its signal; a signal; parcels."""
    rng = np.random.default_rng([seed, 11])
    for no in range(n):
        at = MONDAY_MS + days * 24 * HOUR_MS + no * APART * HOUR_MS + int(rng.integers(0, 60)) * 60_000
        at -= at % 300_000
        device = str(rng.choice(("mobile", "desktop", "")))
        until = at + LASTS * HOUR_MS
        if no % 3 == 0:
            where = "step = payment and device = mobile"
            shocks = [Shock("payment", 2.0, at, until, device="mobile"), Shock("form_error_loop", 3.0, at, until, device="mobile")]
            yield Planted("abandonment", at, where, "form_error_loop"), shocks
        elif no % 3 == 1:
            where = "step = checkout" + (f" and device = {device}" if device else "")
            yield Planted("friction", at, where, "rage_click"), [Shock("rage_click", 3.0, at, until, device=device)]
        else:
            at -= at % HOUR_MS
            where = "step = in_transit" + (f" and device = {device}" if device else "")
            yield Planted("lapse", at, where, ""), [Shock(PARCEL, 2.5, at, at + 4 * HOUR_MS, device=device)]


def outcome(seed: int, *, visits: float, days: int, n: int, rules: SpikeRules) -> Outcome:
    """Of a shop with these shocks."""
    plan = list(planted(seed, days, n))
    shop = CountedShop(seed, visits=visits, shocks=[shock for _, shocks in plan for shock in shocks], lapses=True)
    found = Outcome([each for each, _ in plan])
    fold = SpikesFold(rules)
    state = fold.empty()
    seen = set()
    hours = days * 24 + (n + 4) * APART
    waiting = list[tuple[object, ...]]()
    for at, rows in shop.rows(hours * 12):
        now, waiting = at + 301_000, waiting + rows
        is_near = any(0 <= now - each.at_ms <= (LASTS + 2) * HOUR_MS for each in found.planted if each.rule != "lapse")
        if not is_near and now % HOUR_MS > 300_000:
            continue  # elsewhere an hour a step says the same
        done = fold.step(state, heard_rows(waiting), watermarks(now))
        state, waiting = done.state, []
        for table in done.tables.values():
            for row in table.iter_rows(named=True):
                if row["alert_id"] not in seen:
                    seen.add(row["alert_id"])
                    _note(found, row, now)
    return found


def _note(found: Outcome, row: Mapping[str, object], now_ms: int) -> None:
    """Whose first alert it is. An alert is of a shock if its stretch has an interval of it, and it is no other rule's but `exits`."""
    opened = row["opened_at"].timestamp() * 1_000
    for each in found.planted:
        lasts = (4 if each.rule == "lapse" else LASTS) * HOUR_MS
        is_during = each.at_ms < opened <= each.at_ms + lasts + HOUR_MS
        is_its = each.rule == row["rule"] or (
            each.rule == "abandonment" and (row["rule"] == "exits" or row["signal"] == each.cause)
        )
        if is_during and is_its:
            if row["rule"] == each.rule and each.first is None:
                each.first, each.said_ms = row, now_ms
            elif row["rule"] == each.rule:
                found.others.append(str(row["summary"]))
            return
    found.n_false += 1
    found.others.append(f"false: {row['opened_at']} {row['summary']}")
