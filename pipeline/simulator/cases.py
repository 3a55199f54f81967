"""All that follows from visits: orders and what becomes of them, requests of companies, approvals, onboardings.

Frames:  Stories -> Case groups: entries told as events of the contract, frictions met, waits
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Ints
from pipeline.simulator.entries import between, told
from pipeline.simulator.happenings import strings
from pipeline.simulator.identifiers import short_ids
from pipeline.simulator.orders import NEVER_MS, PLACED, dispatch
from pipeline.simulator.parcels import carriage
from pipeline.simulator.processes import Process, approvals, onboardings
from pipeline.simulator.quotes import REQUESTED, quotes
from pipeline.simulator.returns import returns
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.stories import Stories
from pipeline.simulator.visits import Errand

CELLS = schema(
    {"case": pl.Int64, "kind": pl.String, "at_ms": pl.Int64, "event_id": pl.String, "is_clear": pl.Boolean, "measure": pl.Float64, "family": pl.String}
)  # fmt: skip
"""A friction met or, with no event and no family, something that was waited for in vain."""

FACTS = schema(
    {
        "visit": pl.Int64, "order_id": pl.String, "document_type": pl.String, "parent_id": pl.String, "site": pl.String, "country": pl.String,
        "visitor_id": pl.String, "session_id": pl.String, "customer_id": pl.String, "account_id": pl.String,
        "began_ms": pl.Int64, "promised_ms": pl.Int64, "delivered_ms": pl.Int64, "ended_ms": pl.Int64, "outcome": pl.String, "shock": pl.String,
        "asks": pl.Boolean,
    }
)  # fmt: skip
"""A row a case. `asks`: its customer is asked how it was."""


@dataclass(frozen=True)
class Group:
    """Cases of one type."""

    facts: pl.DataFrame
    orders: pl.DataFrame
    """Events of the contract, with `case`; so the next."""
    deliveries: pl.DataFrame
    cells: pl.DataFrame


def groups(rng: np.random.Generator, story: Stories, weather: Weather) -> list[Group]:
    """Everything that the visits of this story set going."""
    web = _web_orders(story)
    asked = _requests(story)
    errand = asked["errand"].to_numpy()
    found = [
        _quoted(rng, asked.filter(errand == kind), weather, is_bulk=kind == Errand.BULK_PRICE)
        for kind in (Errand.RFQ, Errand.BULK_PRICE)
    ]
    accepted = found[0][1]
    chains = pl.concat(
        [
            asked.filter(errand == Errand.APPROVAL).select(REQUESTED.names()),
            accepted.filter("needs_approval").select(REQUESTED.names()),
        ]
    )
    approved, granted_ms = _approved(rng, chains)
    of_quote = granted_ms[chains.height - int(accepted["needs_approval"].sum()) :]
    from_quotes = _orders_of_quotes(rng, accepted, of_quote)
    placed = pl.concat([web, from_quotes])
    return [
        _ordered(rng, placed, weather),
        found[0][0],
        found[1][0],
        approved,
        _onboarded(rng, asked.filter(errand == Errand.ONBOARDING)),
    ]


def _web_orders(story: Stories) -> pl.DataFrame:
    """What was bought. Frames: -> PLACED."""
    bought = story.events.filter(pl.col("event_type") == "purchase")
    whose = story.visits.select("cart_items", "reorders")[bought["visit"]]
    return bought.select(
        "visit", "order_id", pl.lit(None, pl.String).alias("parent_id"), pl.col("event_at").to_physical().alias("at_ms"), "site", "country",
        "visitor_id", "session_id", "customer_id", "account_id", "cart_id", "amount_minor", "currency",
        whose["cart_items"].alias("n_items"), whose["reorders"].alias("is_reorder"),
    ).cast(PLACED)  # fmt: skip


def _requests(story: Stories) -> pl.DataFrame:
    """The errands that were finished: the page that says so follows the form. Frames: -> REQUESTED."""
    sent = story.events.filter((pl.col("event_type") == "page_view") & (pl.col("page") == "/account"))
    whose = story.visits.select("errand", "currency")[sent["visit"]]
    number = pl.Series(
        [{Errand.RFQ: "rfq-", Errand.BULK_PRICE: "bulk-", Errand.ONBOARDING: "onb-"}.get(kind, "ap-") for kind in Errand]
    )
    return sent.select(
        "visit", pl.concat_str(number.gather(whose["errand"]), pl.col("event_id").str.slice(0, 8)).alias("order_id"),
        whose["errand"], pl.col("event_at").to_physical().alias("at_ms"), "site", "country", "visitor_id", "session_id", "customer_id",
        "account_id", whose["currency"],
    ).cast(REQUESTED)  # fmt: skip


def _ordered(rng: np.random.Generator, placed: pl.DataFrame, weather: Weather) -> Group:
    sent = dispatch(rng, placed)
    carried = carriage(rng, sent, placed["order_id"], placed["country"], weather)
    back, back_ms = returns(rng, placed, sent, carried)
    base = placed.select(
        "site", "order_id", "customer_id", "account_id", "amount_minor", "currency", pl.lit("order").alias("document_type")
    )
    orders = told(rng, "order", [*sent.blocks, *back], base)
    deliveries = told(rng, "delivery", carried.blocks, placed.select("site"))
    came = carried.delivered_ms != NEVER_MS
    fate = np.select([came & (back_ms != NEVER_MS), came, sent.cancelled_ms != NEVER_MS, carried.is_lost], [0, 1, 2, 3], 4)
    ended_ms = np.max([sent.cancelled_ms, carried.ended_ms, back_ms, sent.paid_ms], axis=0)
    waits = [
        _waits("late_delivery", carried.is_late & ~carried.is_lost, sent.promised_ms),
        _waits("lost_parcel", carried.is_lost, sent.promised_ms + DAY_MS),
    ]
    shock = weather.scenario.parcels
    facts = placed.with_columns(
        pl.lit("order").alias("document_type"),
        pl.col("at_ms").alias("began_ms"),
        pl.Series("promised_ms", sent.promised_ms),
        pl.Series("delivered_ms", carried.delivered_ms),
        pl.Series("ended_ms", ended_ms),
        strings(["returned", "delivered", "cancelled", "lost", "sent_back"], fate).alias("outcome"),
        _shocks(carried.is_shocked, "" if shock is None else shock.name),
        pl.Series("asks", came),
    ).select(FACTS.names())
    return Group(facts, orders, deliveries, pl.concat([met("order", orders), met("delivery", deliveries), *waits]))


def _quoted(rng: np.random.Generator, asked: pl.DataFrame, weather: Weather, *, is_bulk: bool) -> tuple[Group, pl.DataFrame]:
    """The requests, and those that were accepted with `at_ms` then, `parent_id`, `amount_minor`, `needs_approval`, under ids of their approvals."""
    quoted = quotes(rng, asked, weather, is_bulk=is_bulk)
    base = asked.select("site", "order_id", "customer_id", "account_id", "currency", pl.lit("rfq").alias("document_type"))
    orders = told(rng, "order", quoted.blocks, base)
    shock = weather.scenario.quotes
    facts = _facts(asked, "rfq", quoted.ended_ms, quoted.outcome).with_columns(
        _shocks(quoted.is_shocked, "" if shock is None else shock.name),
        pl.Series("promised_ms", asked["at_ms"].to_numpy() + 2 * DAY_MS),
    )
    waits = _waits("slow_quote", quoted.is_slow, asked["at_ms"].to_numpy() + 2 * DAY_MS)
    taken = quoted.accepted_ms != NEVER_MS
    accepted = asked.with_columns(
        pl.col("order_id").alias("parent_id"),
        pl.col("order_id").str.replace("^rfq-", "ap-"),
        pl.Series("at_ms", quoted.accepted_ms),
        pl.Series("amount_minor", quoted.amount_minor),
        pl.Series("needs_approval", rng.random(asked.height) < 0.6),
    ).filter(taken)
    return Group(facts, orders, _no_deliveries(rng), pl.concat([met("order", orders), waits])), accepted


def _approved(rng: np.random.Generator, asked: pl.DataFrame) -> tuple[Group, Ints]:
    done = approvals(rng, asked["at_ms"].to_numpy(), 1 + (rng.random(asked.height) < 0.5))
    return _process(rng, asked, done, "approval", "slow_approval"), done.done_ms


def _onboarded(rng: np.random.Generator, asked: pl.DataFrame) -> Group:
    return _process(rng, asked, onboardings(rng, asked["at_ms"].to_numpy()), "onboarding", "stalled_onboarding")


def _process(rng: np.random.Generator, asked: pl.DataFrame, done: Process, document_type: str, wait: str) -> Group:
    base = asked.select("site", "order_id", "visitor_id", "customer_id", "account_id", pl.lit(document_type).alias("document_type"))
    orders = told(rng, "order", done.blocks, base)
    facts = _facts(asked, document_type, done.ended_ms, done.outcome)
    return Group(facts, orders, _no_deliveries(rng), pl.concat([met("order", orders), _waits(wait, done.is_slow, done.ended_ms)]))


def _orders_of_quotes(rng: np.random.Generator, accepted: pl.DataFrame, granted_ms: Ints) -> pl.DataFrame:
    """Orders of quotes that were taken, once they are approved where they must be. Frames: -> PLACED."""
    n = accepted.height
    needs = accepted["needs_approval"].to_numpy()
    at_ms = accepted["at_ms"].to_numpy() + between(rng, n, HOUR_MS, 2 * DAY_MS)
    at_ms[needs] = np.where(granted_ms == NEVER_MS, NEVER_MS, granted_ms + HOUR_MS)
    return (
        accepted.with_columns(
            short_ids(rng, n, "b-").alias("order_id"),
            pl.Series("at_ms", at_ms),
            pl.lit(None, pl.String).alias("cart_id"),
            pl.Series("n_items", rng.integers(5, 200, n)),
            pl.lit(value=False).alias("is_reorder"),
        )
        .filter(pl.Series(at_ms != NEVER_MS))
        .select(PLACED.names())
        .cast(PLACED)
    )


def _facts(asked: pl.DataFrame, document_type: str, ended_ms: Ints, outcome: pl.Series) -> pl.DataFrame:
    return asked.with_columns(
        pl.lit(document_type).alias("document_type"),
        pl.lit(None, pl.String).alias("parent_id"),
        pl.col("at_ms").alias("began_ms"),
        pl.lit(NEVER_MS, pl.Int64).alias("promised_ms"),
        pl.lit(NEVER_MS, pl.Int64).alias("delivered_ms"),
        pl.Series("ended_ms", ended_ms),
        outcome.alias("outcome"),
        pl.lit("").alias("shock"),
        pl.lit(value=False).alias("asks"),
    ).select(FACTS.names())


def met(family: str, events: pl.DataFrame) -> pl.DataFrame:
    """The frictions that these events are. Frames: -> CELLS."""
    return events.filter(pl.col("planted").is_not_null()).select(
        "case", pl.col("planted").alias("kind"), pl.col("event_at").to_physical().alias("at_ms"), "event_id",
        (~pl.col("vague").fill_null(value=False)).alias("is_clear"), "measure", pl.lit(family).alias("family"),
    )  # fmt: skip


def _waits(kind: str, which: Bools, at_ms: Ints) -> pl.DataFrame:
    here = np.flatnonzero(which)
    cells = {"case": here, "kind": [kind] * len(here), "at_ms": at_ms[here], "is_clear": [True] * len(here)}
    return pl.DataFrame(cells, schema={name: CELLS[name] for name in cells}).select(
        *(pl.col(name) if name in cells else pl.lit(None, dtype).alias(name) for name, dtype in CELLS.items())
    )


def _shocks(which: Bools, name: str) -> pl.Series:
    return strings(["", name], which.astype(np.int64)).alias("shock")


def _no_deliveries(rng: np.random.Generator) -> pl.DataFrame:
    nothing: Sequence[pl.DataFrame] = ()
    return told(rng, "delivery", nothing, pl.DataFrame(schema={"site": pl.String}))
