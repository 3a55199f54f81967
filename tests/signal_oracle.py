"""The signals again, in plain loops: one visitor after the other, one event after the other, all of them at hand.

It is the specification, so it is written to be read. A new signal gets a loop in signal_loops/, and its name in `LOOPS`; one that is judged when a session
closes has its name in `CLOSING` too, and its loop gets the events of one session.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.definitions import AnySignal
from tests.own_signals import OWN_LOOPS
from tests.signal_loops import buying, clicks, forms, pages
from tests.signal_loops.rows import Row, Told, ms

__all__ = ["CLOSING", "LOOPS", "Fired", "Row", "ms", "signals_of", "undone_in"]


@dataclass(frozen=True)
class Fired:
    """A signal that fired, and the event at which it did."""

    signal: str
    event_id: str
    page: str | None
    element: str | None
    value: float | None
    weight: float
    rule: str
    detail: str


def signals_of(events: Iterable[Row], signals: Sequence[AnySignal]) -> list[Fired]:
    """All that fires in these events, of any visitors, each visitor's in their order; in the order of the signals.

    What is judged when a session closes is judged as if a visitor's events were one session that has.
    """
    visitors = defaultdict(list)
    for event in events:
        visitors[event.get("partition"), event["site"], event["visitor_id"]].append(event)
    return [fired for signal in signals for theirs in visitors.values() for fired in _of(theirs, signal)]


def undone_in(session: Sequence[Row], signals: Sequence[AnySignal]) -> list[Fired]:
    """What a session that has closed left undone, of its events in their order."""
    return [fired for signal in signals if signal.name in CLOSING for fired in _of(session, signal)]


def _of(events: Sequence[Row], signal: AnySignal) -> list[Fired]:
    return [
        Fired(
            signal.name,
            told.event["event_id"],
            told.event.get("page"),
            told.element,
            told.value,
            signal.weight,
            signal.profile,
            told.detail,
        )
        for told in (OWN_LOOPS if signal.own else LOOPS)[signal.name](
            [event for event in events if event["event_type"] in signal.reads], signal.rule
        )
    ]


LOOPS: dict[str, Callable[[Sequence[Row], Any], Iterator[Told]]] = {
    "rage_click": clicks.rage_clicks,
    "dead_click": clicks.dead_clicks,
    "error_click": clicks.error_clicks,
    "page_thrashing": pages.page_thrashings,
    "step_ping_pong": pages.step_ping_pongs,
    "form_error_loop": forms.form_error_loops,
    "form_abandoned": forms.forms_abandoned,
    "slow_page": pages.slow_pages,
    "page_error": pages.page_errors,
    "search_dead_end": pages.search_dead_ends,
    "filter_dead_end": pages.filter_dead_ends,
    "coupon_rejected": buying.coupons_rejected,
    "price_surprise": buying.price_surprises,
    "out_of_stock_in_checkout": buying.out_of_stock,
    "payment_failed": buying.payments_failed,
    "payment_retried": buying.payments_retried,
    "login_wall": buying.login_walls,
    "login_failed_repeatedly": forms.logins_failed,
    "help_in_checkout": buying.helps_in_checkout,
    "payment_hesitation": buying.payment_hesitations,
    "option_flipping": clicks.option_flippings,
    "hard_reorder": buying.hard_reorders,
    "form_restarted": forms.forms_restarted,
}

CLOSING = frozenset({"form_abandoned", "hard_reorder"})
"""Judged when a session closes."""
