"""The story of one customer: visits, orders, tickets, answers, friction, and what became of all that was expected.

Frames:  a row of frames.CUSTOMERS, and rows of the other tables about this person -> Story
Cases:   a visit -> one line, those that led nowhere and met nothing are counted; its steps, signals and events are told where all is asked for
         no row in `customers` (nobody folds people yet, or it is on its way) -> the rest tells
"""

from collections.abc import Iterable

from pipeline import story_moments as moments
from pipeline.lapse_words import MEANINGS, UNEXPLAINED, Meanings, causes_of, lapsed_at, sentence
from pipeline.money import spelt as money
from pipeline.spans import spelt
from pipeline.story import BEGAN, Moment, Row, Rows, Story, in_order, shortened

MOST = 60
"""Moments that are told where nobody asks for all of them."""


def customer_story(customer: Row, rows: Rows, meanings: Meanings = MEANINGS, *, is_whole: bool = False) -> Story:
    """Tell it. `customer`: the row of `customers`, or `site` and `customer_id` where there is none. All rows are about this person; steps and events may be left out."""
    signals, outcomes = rows["signals"], sorted(rows["outcomes"], key=lapsed_at)
    of_visits: dict[tuple[str, str], list[Row]] = {_visit(row): [] for row in rows["sessions"]}
    later: list[Row] = []
    for row in signals:
        (of_visits.get(_visit(row), later) if moments.is_of_visit(row) else later).append(row)
    told = in_order(
        [
            *(
                moments.plain_visit(row) if moments.is_plain(row) and not is_whole else moments.visit(row, of_visits[_visit(row)])
                for row in rows["sessions"]
            ),
            *_links(rows["identities"]),
            *(each for row in rows["cases"] for each in moments.case(row)),
            *map(moments.contact, rows["contacts"]),
            *map(moments.answer, rows["answers"]),
            *map(moments.signal, signals if is_whole else later),
            *map(moments.lapse, outcomes),
            *moments.events_and_steps(moments.without_openings(rows.get("events", ()), rows["contacts"]), rows.get("steps", ())),
        ]
    )
    shown, n_left_out = (told, 0) if is_whole else shortened(told, MOST)
    causes = causes_of(signals, outcomes)
    sentences = [
        sentence(row, causes, meanings) + (f" {UNEXPLAINED}" if not row["cause"] and row["status"] != "recovered" else "")
        for row in outcomes
    ]
    return Story(
        "customer",
        customer,
        _facts(customer),
        tuple(shown),
        tuple(sentences) or ("Nothing that was expected has failed to come.",),
        tuple(outcomes),
        notes=tuple(_notes(customer, n_left_out)),
        further=tuple(("order", row["order_id"]) for row in rows["cases"][-3:]),
    )


def _visit(row: Row) -> tuple[str, str]:
    return row["visitor_id"], row["session_id"]


def _links(identities: Iterable[Row]) -> list[Moment]:
    """That a browser is this customer's is told once."""
    first: dict[str, Row] = {}
    for row in identities:
        first.setdefault(row["visitor_id"], row)
    return [
        Moment(row["linked_at"], BEGAN, "is known on this browser", row["visitor_id"], f"by {row['source']}")
        for row in first.values()
    ]


def _facts(customer: Row) -> tuple[str, ...]:
    if "loyalty_state" not in customer:
        return ()
    seen = [spelt(customer[name]) for name in ("first_seen_at", "last_seen_at") if customer[name]]
    counts = (
        f"{customer['loyalty_state']}: seen {' to '.join(dict.fromkeys(seen))}" if seen else customer["loyalty_state"],
        moments.counted(customer["n_sessions"], "visit"),
        f"{moments.counted(customer['n_orders'], 'order')} on {moments.counted(customer['n_order_days'], 'day')}"
        if customer["n_orders"]
        else "no order",
        moments.counted(customer["n_contacts"], "contact"),
    )
    more = (
        f"{moments.counted(customer['n_lapses'], 'lapse')}, {customer['n_silent']} of them silent" if customer["n_lapses"] else "",
        f"{moments.counted(customer['n_late_deliveries'], 'late order')}" if customer["n_late_deliveries"] else "",
        f"{money(customer['spent_minor'], customer['currency'])} spent" if customer["spent_minor"] is not None else "",
        f"NPS {customer['nps']}" if customer["nps"] is not None else "",
        f"{customer['median_days_between_orders']:.3g} days between orders"
        if customer["median_days_between_orders"] is not None
        else "",
    )
    return tuple(filter(None, (moments.listed(counts), moments.listed(more))))


def _notes(customer: Row, n_left_out: int) -> list[str]:
    notes = []
    if "loyalty_state" not in customer:
        notes.append("`customers` has no row of this customer: visits and orders tell")
    if n_left_out:
        notes.append(f"{n_left_out:,} moments that matter less are left out: --all tells them, and every event")
    return notes
