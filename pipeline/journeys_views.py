"""All there is to say of some people at a time: rows of every table, and when something about them changes by itself.

Frames:  PersonLog, SEEN -> PeopleTold
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import polars as pl

from pipeline.contact_views import told_contacts
from pipeline.customer_views import told_customers
from pipeline.groups import Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.next_orders import next_orders
from pipeline.outcome_views import told_outcomes
from pipeline.people_counts import PEOPLE_COUNTS, Decided, contributions
from pipeline.person_log import PersonLog

TOLD = ("contacts", "answers", "signals", "outcomes", "customers")


@dataclass(frozen=True)
class PeopleTold:
    """What there is to say of some people."""

    tables: dict[str, pl.DataFrame]
    """Table of TOLD -> its rows: some columns of frames.TABLES, and `partition`."""
    next_ms: Millis
    """Of each person the first time at or after now beyond which it changes by itself; NEVER: it does not."""
    counts: pl.DataFrame = field(default_factory=PEOPLE_COUNTS.to_frame)
    """PEOPLE_COUNTS: what each person adds to the counts."""


Tell = Callable[[PersonLog, pl.DataFrame, JourneysRules], PeopleTold]
"""Says everything. Frames: SEEN of the partitions."""


def told(log: PersonLog, seen: pl.DataFrame, rules: JourneysRules) -> PeopleTold:
    """Say everything. Frames: SEEN of the partitions."""
    contacts = told_contacts(log, seen, rules)
    orders = next_orders(log, rules)
    lapses = pl.concat([log.lapses, *(found.lapses.select(log.lapses.columns) for found in (contacts, orders))])
    signals = pl.concat([log.signals, contacts.signals.select(log.signals.columns)])
    outcomes = told_outcomes(log, lapses, signals, contacts.moments, rules)
    customers = told_customers(log, outcomes.rows, contacts.moments, rules)
    tables = {**contacts.tables, "outcomes": outcomes.rows, "customers": customers.rows}
    next_ms = reduce(np.minimum, (each.next_ms for each in (contacts, orders, outcomes, customers)))
    decided = Decided(outcomes.rows, outcomes.silent_ms)
    counts = contributions(log.people, (contacts.begun, orders.begun), decided, contacts.signals, rules)
    return PeopleTold(tables, next_ms, counts)
