"""The story of one order, or of any other document of commerce: its visit, its steps, its parcels, what was said about it, and what became of it.

Frames:  a row of frames.CASES, and rows of the other tables about it -> Story
Cases:   no event of the order itself has come (only a visit, a parcel or a ticket names it) -> that is told, and that it is so
         events are not stored -> steps, signals and lapses tell
"""

from dataclasses import replace
from datetime import datetime

from pipeline import story_moments as moments
from pipeline.lapse_words import MEANINGS, UNEXPLAINED, Meanings, causes_of, lapsed_at, sentence
from pipeline.money import spelt as money
from pipeline.spans import spelt
from pipeline.story import Row, Rows, Story, in_order, shortened

MOST = 100
"""Moments that are told where nobody asks for all of them."""


def order_story(order: Row, rows: Rows, meanings: Meanings = MEANINGS, *, is_whole: bool = False) -> Story:
    """Tell it. `order`: its row of `cases`, or its `site` and `order_id` where it has none. All rows are about it; `cases`: those that came of it."""
    known = "case_type" in order
    outcomes = sorted(rows["outcomes"], key=lapsed_at)
    every = in_order(
        [
            *(
                moments.visit(row, [each for each in rows["signals"] if moments.is_of_visit(each) and _is_of(each, row)])
                for row in rows["sessions"]
            ),
            *moments.events_and_steps(moments.without_openings(rows["events"], rows["contacts"]), rows["steps"]),
            *map(moments.signal, rows["signals"]),
            *map(moments.contact, rows["contacts"]),
            *map(moments.answer, rows["answers"]),
            *map(moments.lapse, outcomes),
            *(each for row in rows["cases"] for each in moments.case(row)),
        ]
    )
    told = [replace(each, where="") if each.where == order["order_id"] else each for each in every]
    shown, n_left_out = (told, 0) if is_whole else shortened(told, MOST)
    causes = causes_of(rows["signals"], outcomes)
    return Story(
        "order",
        order,
        _facts(order) if known else (),
        tuple(shown),
        (*(_ending(order) if known else ()), *map(_parcel, rows["deliveries"]), *_sentences(outcomes, causes, meanings)),
        tuple(outcomes),
        notes=tuple(_notes(order, rows, n_left_out)),
        further=_further(order, rows),
    )


def _is_of(signal: Row, visit: Row) -> bool:
    return bool(signal["session_id"] == visit["session_id"] and signal["visitor_id"] == visit["visitor_id"])


def _facts(order: Row) -> tuple[str, ...]:
    said = (
        order["case_type"],
        money(order["amount_minor"], order["currency"]),
        order["payment_method"],
        f"to {order['country']}" if order["country"] else "",
        "an earlier order again" if order["is_reorder"] else "",
        f"from {order['parent_id']}" if order["parent_id"] else "",
        f"{order['n_quotes']} quotes" if order["n_quotes"] > 1 else "",
    )
    return (moments.listed(said),)


def _ending(order: Row) -> list[str]:
    reason = f" ({order['reason']})" if order["reason"] else ""
    if order["status"] == "open":
        promised: datetime | None = order["promised_at"]
        due = f", promised for {spelt(promised)}, which is past" if promised and order["is_late"] else ""
        still = f"{due}, promised for {spelt(promised)}" if promised and not due else due
        acts = f"; {order['assignee_id']} had to act next" if order["assignee_id"] else ""
        told = [f"Still open: it has reached {order['step'] or 'no step'} of journey {order['journey']}{still}{acts}."]
    else:
        when = f" on {spelt(order['closed_at'])}" if order["closed_at"] else ""
        kept = moments.kept(order) if order["status"] == "delivered" else ""
        why = f", {kept}" if kept else "" if order["status"] == "delivered" else reason
        told = [f"{order['status'].replace('_', ' ').capitalize()}{when}{why}."]
    if order["refund_minor"]:
        told.append(f"Paid back: {money(order['refund_minor'], order['currency'])}.")
    return told


def _parcel(row: Row) -> str:
    said = (
        row["carrier"],
        *(f"{what} {spelt(row[name])}" for name, what in _DATES if row[name]),
        moments.kept(row),
        moments.times(row["n_eta_changes"], "its date moved"),
        moments.counted(row["n_attempts_failed"], "failed attempt") if row["n_attempts_failed"] else "",
        moments.times(row["n_notified"], "the customer was told"),
    )
    return f"Parcel {row['delivery_id']}, {row['status'].replace('_', ' ') or 'nothing heard of it'}: {moments.listed(said)}."


_DATES = (
    ("shipped_at", "shipped"),
    ("first_scan_at", "first scan"),
    ("promised_at", "promised for"),
    ("eta_at", "last expected for"),
    ("delivered_at", "delivered"),
)


def _sentences(outcomes: list[Row], causes: dict[str, str], meanings: Meanings) -> list[str]:
    return [
        sentence(row, causes, meanings) + (f" {UNEXPLAINED}" if not row["cause"] and row["status"] != "recovered" else "")
        for row in outcomes
    ]


def _notes(order: Row, rows: Rows, n_left_out: int) -> list[str]:
    notes = []
    if "case_type" not in order:
        notes.append("no event of this order itself has come (no row in `cases`): what names it is told")
    if not rows["events"]:
        notes.append("no events of it are stored (settings: [store] events = true; always in up and replay): the rest tells")
    if n_left_out:
        notes.append(f"{n_left_out:,} moments that matter less are left out: --all tells them")
    return notes


def _further(order: Row, rows: Rows) -> tuple[tuple[str, str], ...]:
    customers = {row["customer_id"]: None for row in (order, *rows["sessions"], *rows["contacts"]) if row.get("customer_id")}
    return (
        *(("customer", customer_id) for customer_id in customers),
        *(("session", row["session_id"]) for row in rows["sessions"]),
        *(("order", order_id) for order_id in (order.get("parent_id"), *(row["order_id"] for row in rows["cases"])) if order_id),
    )
