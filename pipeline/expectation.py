"""What an expectation is: something good that should follow, by when, for whom, and what becomes of it when it does not.

A *wait* begins with an event of `after` and ends with one of `expect`, or with one of `unless`, which voids it. What is not there by its due time has
*lapsed*. A definition is a value: the engine (waits.py) and the oracle of the tests read the same one.

Time:    event time; a wait has lapsed once watermark > due
Cases:   re_arm first -> one wait a key, from its first event of `after`; whenever `expect` came, before it too, counts
         re_arm latest -> a further event of `after` moves the wait until it is due; after it ended or lapsed, it begins a new one
         an event that does not name the key (a refund that names no return) -> concerns all keys of its case
Source:  DESIGN 4
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.contracts import event_types

from pipeline.calendars import ALWAYS_OPEN, WORKING_HOURS

Key = Literal["order", "parcel", "step", "return", "ticket", "person"]
"""Of what there is one wait: a document; or one of its parcels, steps, returns. Or a ticket; or a customer, whatever the document."""
CASE_KEYS: tuple[Key, ...] = ("order", "parcel", "step", "return")
"""Those that the fold by order knows; the others are of the fold by person."""
KEYS: tuple[Key, ...] = (*CASE_KEYS, "ticket", "person")
WHOLE: tuple[Key, ...] = ("order", "ticket")
"""Of these there is one a case."""

Enabled = Literal["auto", "on", "off"]

DATE_MOVED = "date_moved"
"""Beside the event types: an event of a parcel whose `eta_at` is another one than before."""
PARCEL_EVENT = "parcel_event"
"""Beside the event types: anything that says that there is a parcel."""
DERIVED = (DATE_MOVED, PARCEL_EVENT)
PARCEL_TYPES = tuple(event_types("delivery"))

ORDER_PLACED = "order_placed"

DUE_FIELDS = ("due_at", "promised_at")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

SHOP_SILENCE = 72 * HOUR
"""Where the customer waits on the shop."""
CUSTOMER_SILENCE = 24 * HOUR
"""Where the shop waits on the customer."""
RECOVERY = 7 * DAY


@dataclass(frozen=True)
class Rhythm:
    """How long a customer lets pass between two of what is awaited: the wait, once there are enough of them to tell."""

    times: float = 2.0
    """The wait is the median gap, so many times."""
    last: int = 5
    """Of so many, the latest, counting the one that begins the wait."""
    at_least: int = 3
    """Fewer tell no rhythm: then the wait is `within`."""
    shortest: timedelta = 14 * DAY
    """No wait is shorter."""


@dataclass(frozen=True)
class Expectation:
    """One thing that should happen."""

    name: str
    meaning: str
    after: tuple[str, ...]
    """Event types that begin a wait."""
    expect: tuple[str, ...]
    """Event types that end it well."""
    journey: str
    step: str
    """The step at which it lapses."""
    owner: str
    """Team that answers for it."""
    source: str
    """Where its numbers come from."""
    key: Key = "order"
    unless: tuple[str, ...] = ()
    """Event types that void it: nobody waits any more, and nothing has lapsed."""
    at_once: tuple[str, ...] = ()
    """Event types at which it is due."""
    within: timedelta | None = None
    """How long the wait is, where `due` says nothing."""
    due: str | None = None
    """Field of the event of `after` that says when it is due; one of DUE_FIELDS."""
    rhythm: Rhythm | None = None
    """Of a wait for a person: how long it is where that person's own rhythm is known."""
    calendar: str = ALWAYS_OPEN
    """Whether `within` counts all hours or working hours of the site."""
    re_arm: Literal["first", "latest"] = "first"
    silence: timedelta = SHOP_SILENCE
    """After its due time; then it is silent."""
    recovery: timedelta = RECOVERY
    """After its due time; what comes later still is a return."""
    enabled: Enabled = "auto"
    """`auto`: it lapses only where the shop is known to send what is awaited."""

    def __post_init__(self) -> None:
        """Raises: ValueError on what cannot be waited for."""
        is_ticket = self.key == "ticket"
        known = set(event_types("ticket")) if is_ticket else {*event_types("order"), *event_types("delivery"), *DERIVED}
        named = (*self.after, *self.expect, *self.unless, *self.at_once)
        if unknown := sorted(set(named) - known):
            message = f"expectation {self.name!r}: {', '.join(unknown)} is no event type of {'tickets' if is_ticket else 'orders and deliveries'}"
            raise ValueError(message)
        if not self.name or not self.after or not self.expect or not self.owner or not self.step:
            message = f"expectation {self.name!r}: it needs a name, `after`, `expect`, a step and an owner"
            raise ValueError(message)
        if self.within is None and self.due is None:
            message = f"expectation {self.name!r}: say `within`, or the field that says when it is due"
            raise ValueError(message)
        if self.due is not None and is_ticket:
            message = f"expectation {self.name!r}: no event of a ticket says when it is due; say `within`"
            raise ValueError(message)
        if self.due is not None and self.due not in DUE_FIELDS:
            message = f"expectation {self.name!r}: due is one of {', '.join(DUE_FIELDS)}, not {self.due!r}"
            raise ValueError(message)
        if self.key not in KEYS or self.calendar not in (ALWAYS_OPEN, WORKING_HOURS):
            message = f"expectation {self.name!r}: key is one of {', '.join(KEYS)}, calendar one of {ALWAYS_OPEN}, {WORKING_HOURS}"
            raise ValueError(message)
        if self.key == "person" and {*named} != {ORDER_PLACED}:
            message = (
                f"expectation {self.name!r}: of a person only the next order can be awaited: after and expect are {ORDER_PLACED}"
            )
            raise ValueError(message)
        if self.rhythm is not None and (self.key != "person" or self.within is None):
            message = f"expectation {self.name!r}: a rhythm is one of a person, and needs `within` for those who have none yet"
            raise ValueError(message)
        if self.silence < timedelta(0) or self.recovery < timedelta(0) or (self.within is not None and self.within < timedelta(0)):
            message = f"expectation {self.name!r}: a window is not negative"
            raise ValueError(message)


def longest_waits(expectations: Iterable[Expectation]) -> dict[str, timedelta]:
    """Name of each -> how long it may take until a wait of it is decided, as far as it says so."""
    return {each.name: (each.within or timedelta()) + each.silence for each in expectations}
