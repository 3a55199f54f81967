"""A request for quotation, or for the price of many: from the request to the answer.

Frames:  REQUESTED -> entries of the family `order`, and what became of each
Cases:   quoted within a day or two, and taken, refused, or never answered until it runs out | lies about for days, and is withdrawn or quoted late | never quoted
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import about, between, entries
from pipeline.simulator.happenings import strings
from pipeline.simulator.identifiers import short_ids
from pipeline.simulator.orders import NEVER_MS
from pipeline.simulator.scenarios import Weather

REQUESTED = schema(
    {
        "visit": pl.Int64, "order_id": pl.String, "errand": pl.Int64, "at_ms": pl.Int64, "site": pl.String, "country": pl.String,
        "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String, "account_id": pl.String, "currency": pl.String,
    }
)  # fmt: skip
"""`visit`: row of the visit in which it was asked for. `errand`: a `visits.Errand`."""

DUE_MS = 2 * DAY_MS
"""A quotation is due so long after the request; a decision of an approver likewise."""
_LIES_ABOUT = 0.08
_ANSWERS = (0.45, 0.22, 0.33)
"""Taken, refused, no answer; of those that came in time."""
_TAKEN_LATE = 0.5
"""Factor of the first for those that came late."""
_SALES = ("sales-1", "sales-2", "sales-3", "sales-4")
_REFUSED = ("too_expensive", "delivery_too_late", "other_supplier")


@dataclass(frozen=True)
class Quoted:
    """What became of requests; a value a row of REQUESTED."""

    blocks: list[pl.DataFrame]
    accepted_ms: Ints
    """NEVER_MS: not taken; of a bulk price never."""
    is_slow: Bools
    """The shop did not answer in time."""
    is_shocked: Bools
    amount_minor: Ints
    ended_ms: Ints
    outcome: pl.Series


def quotes(rng: np.random.Generator, requested: pl.DataFrame, weather: Weather, *, is_bulk: bool) -> Quoted:
    """Requests until they are answered, withdrawn, or forgotten."""
    n = requested.height
    everyone = np.arange(n)
    asked_ms = requested["at_ms"].to_numpy() + between(rng, n, 200, 2_000)
    shock = weather.scenario.quotes
    is_shocked = weather.hits(shock, asked_ms) & (rng.random(n) < (0.0 if shock is None else shock.chance))
    is_slow = is_shocked | (rng.random(n) < _LIES_ABOUT)
    mood = rng.random(n)
    never = is_slow & (mood < 0.4)
    withdraws = is_slow & (rng.random(n) < 0.25) & (not is_bulk)
    withdrawn_ms = asked_ms + DUE_MS + between(rng, n, 6 * HOUR_MS, 36 * HOUR_MS)
    quick_ms = np.minimum(about(rng, n, 9 * HOUR_MS, 0.7) + HOUR_MS, DUE_MS - HOUR_MS)
    quoted_ms = asked_ms + np.where(is_slow, between(rng, n, 4 * DAY_MS, 9 * DAY_MS), quick_ms)
    is_quoted = ~never & ~withdraws
    expires_ms = quoted_ms + 14 * DAY_MS
    taken = np.where(is_slow, _ANSWERS[0] * _TAKEN_LATE, _ANSWERS[0])
    answer = rng.random(n)
    answers = is_quoted & (not is_bulk)
    accepts, rejects = answers & (answer < taken), answers & (answer >= taken) & (answer < taken + _ANSWERS[1])
    expires = answers & ~accepts & ~rejects
    answered_ms = quoted_ms + np.minimum(about(rng, n, 30 * HOUR_MS, 0.9) + HOUR_MS, 13 * DAY_MS)
    amount = (rng.lognormal(8.2, 0.9, n) * 100).astype(np.int64)
    quote_id, sales = short_ids(rng, n, "q-"), strings(_SALES, rng.integers(0, len(_SALES), n))

    asked, offered = ("bulk_price_requested", "bulk_price_offered") if is_bulk else ("rfq_submitted", "quote_received")

    def of(which: Bools, event_type: str, at_ms: Ints, **columns: Ints | str | pl.Series) -> pl.DataFrame:
        here = np.flatnonzero(which)
        return entries(
            "order",
            here,
            event_type,
            at_ms[here],
            **{name: value if isinstance(value, str) else value[here] for name, value in columns.items()},
        )

    blocks = [
        entries(
            "order", everyone, asked, asked_ms, due_at=asked_ms + DUE_MS, assignee_id=sales, visitor_id=requested["visitor_id"],
            session_id=requested["session_id"], country=requested["country"],
        ),
        of(withdraws, "rfq_withdrawn", withdrawn_ms, reason="no_answer"),
        of(is_quoted, offered, quoted_ms, quote_id=quote_id, amount_minor=amount, due_at=expires_ms),
        of(accepts, "quote_accepted", answered_ms, quote_id=quote_id, amount_minor=amount),
        of(
            rejects, "quote_rejected", answered_ms, quote_id=quote_id, amount_minor=amount,
            reason=strings(_REFUSED, rng.integers(0, len(_REFUSED), n)),
        ),
        of(expires, "quote_expired", expires_ms, quote_id=quote_id, amount_minor=amount),
    ]  # fmt: skip
    fate = np.select([withdraws, never, accepts, rejects, expires], [0, 1, 2, 3, 4], 5)
    outcome = strings(["withdrawn", "unanswered", "accepted", "rejected", "expired", "offered"], fate)
    ended_ms = np.select(
        [withdraws, never, accepts | rejects, expires], [withdrawn_ms, asked_ms + DUE_MS, answered_ms, expires_ms], quoted_ms
    )
    return Quoted(blocks, np.where(accepts, answered_ms, NEVER_MS), is_slow, is_shocked, amount, ended_ms, outcome)
