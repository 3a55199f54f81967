"""The tickets of some people, and their surveys, ready to be asked: by ticket, by type.

Frames:  PersonLog -> TicketLog
Cases:   an empty string -> nothing was said | a survey of no ticket -> an event of ticket -1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from schemas.contracts import event_types

from pipeline.groups import NEVER, Groups, Mask, Millis, Places, at, rows_or_none
from pipeline.person_log import PersonLog

ASKS = ("ticket_opened", "customer_message", "human_requested", "reopened")
"""What a customer does who turns to support."""
REPLIES = ("agent_reply", "bot_reply")
HUMAN_REPLIES = ("agent_reply",)
SURVEYS = {"csat_answered": "csat", "nps_answered": "nps", "ces_answered": "ces"}
"""Event type -> kind of the answer."""

_TYPES = (*event_types("ticket"), "")
"""The last stands for any other."""
_CODES = {name: place for place, name in enumerate(_TYPES)}


@dataclass(frozen=True)
class TicketLog:
    """Some tickets and surveys."""

    people: pl.DataFrame
    """PEOPLE."""
    events: pl.DataFrame
    """TICKETS, with null for ''."""
    ticket: Places
    """Number of the ticket of each event, in order of (person, its earliest event); -1: it belongs to none."""

    @classmethod
    def of(cls, log: PersonLog) -> "TicketLog":
        """Number the tickets."""
        texts = pl.col(name for name, dtype in log.tickets.schema.items() if dtype == pl.String)
        events = log.tickets.with_columns(pl.when(texts != "").then(texts))
        which = ["person", "ticket_id"]
        tickets = events.select(which).drop_nulls().unique(maintain_order=True).with_row_index("ticket")
        number = events.select(which).join(tickets, on=which, how="left", maintain_order="left")["ticket"]
        return cls(log.people, events, number.cast(pl.Int64).fill_null(-1).to_numpy())

    @cached_property
    def n(self) -> int:
        """How many tickets there are."""
        return int(self.ticket.max(initial=-1)) + 1

    @cached_property
    def tickets(self) -> Groups:
        """The events by ticket."""
        return Groups(self.ticket, self.n)

    @cached_property
    def begins(self) -> Places:
        """The earliest event of each ticket."""
        return self.tickets.first(self.every)

    @cached_property
    def person(self) -> Places:
        """Number of the person of each event."""
        return self.events["person"].to_numpy()

    @cached_property
    def ms(self) -> Millis:
        """When each event happened."""
        return self.events["event_at"].to_physical().to_numpy()

    @cached_property
    def every(self) -> Mask:
        """All events."""
        return np.ones(self.events.height, dtype=bool)

    @cached_property
    def is_survey(self) -> Mask:
        """Which events are answers to a survey."""
        return self.is_of(tuple(SURVEYS))

    @cached_property
    def _outbound(self) -> tuple[Mask, Mask]:
        says = self.has("is_outbound")
        own = self.events["is_outbound"].fill_null(value=False).to_numpy()
        first = self.tickets.first(says)
        return own, at(own.astype(np.int64), first, 0) > 0

    @cached_property
    def is_outbound(self) -> Mask:
        """Which tickets the shop has begun."""
        return self._outbound[1]

    @cached_property
    def is_asked(self) -> Mask:
        """Which events are a customer's who turns to support: no survey, and nothing that says it is outbound."""
        own, of_ticket = self._outbound
        return self.is_of(ASKS) & ~own & ~(self.marked(of_ticket) & self.is_of(("ticket_opened",)))

    @cached_property
    def _codes(self) -> Places:
        """The place in _TYPES of each event's type."""
        types = self.events["event_type"]
        return types.replace_strict(_CODES, default=len(_TYPES) - 1, return_dtype=pl.Int64).to_numpy()

    @cached_property
    def _is_said(self) -> pl.DataFrame:
        return self.events.select(pl.all().is_not_null())  # one query for all columns

    def is_of(self, names: Sequence[str]) -> Mask:
        """Which events are of one of these types."""
        found: Mask = np.array([name in names for name in _TYPES], dtype=bool)[self._codes]
        return found

    def has(self, name: str) -> Mask:
        """Which events have a value here."""
        return self._is_said[name].to_numpy()

    def marked(self, of_tickets: Mask) -> Mask:
        """Which events are of one of these tickets."""
        found: Mask = np.append(of_tickets, False)[self.ticket]
        return found

    def of_ticket(self, places: Places) -> Places:
        """For every event the place that its ticket has; -1: it has none."""
        return np.append(places, -1)[self.ticket]

    def times(self, places: Places) -> Millis:
        """When the events at these places happened; NEVER: there is none."""
        return at(self.ms, places, NEVER)

    def said(self, places: Mapping[str, Places]) -> pl.DataFrame:
        """Columns of the events, each at its places; null where there is none."""
        return self.events.select(pl.col(name).gather(rows_or_none(rows)) for name, rows in places.items())

    def whose(self, places: Places) -> pl.DataFrame:
        """Partition, site and customer of the people of these events, and their visitor and account where the home is one."""
        of = self.people[self.person[places]]
        key = pl.col("key")
        return of.select(
            "partition",
            "site",
            "customer_id",
            *(
                pl.when(key.str.starts_with(f"{kind}:")).then(key.str.strip_prefix(f"{kind}:")).alias(f"home_{kind}")
                for kind in ("visitor", "account")
            ),
        )
