"""What each customer has been through, and whether they are about to go: rows of `customers`.

Loyalty is judged by the customer's own rhythm: the wait for the next order as `next_order` has it. Who has not ordered yet is awaited from the last sign of life.

Frames:  PersonLog, rows of OUTCOMES with `person`, MOMENTS -> ToldCustomers
Cases:   the wait is over -> lapsed | most of it is -> at_risk | the last order came after the wait before it was over -> returned
         orders on two or more days -> active | else -> new; the first that holds | a person who is no customer -> no row
Source:  DECISIONS.md on loyalty
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.expectation import Expectation
from pipeline.expectations.next_order import NEXT_ORDER
from pipeline.frames import CUSTOMERS, schema
from pipeline.groups import NEVER, Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.outcome_views import known
from pipeline.person_log import PERSON, PersonLog
from pipeline.rhythms import due_ms, orders
from pipeline.table import TIME
from pipeline.watermark import milliseconds

_COLUMNS = ("partition", *(name for name in CUSTOMERS.schema if name != "is_deleted"))
_SHAPE = schema({**PERSON, "partition": pl.Int32, **{name: CUSTOMERS.schema[name] for name in _COLUMNS[1:]}})
_SURVEYS = ("csat_answered", "nps_answered", "ces_answered")
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class ToldCustomers:
    """What there is to say of some customers."""

    rows: pl.DataFrame
    """Columns of frames.CUSTOMERS, `partition` and `person`."""
    next_ms: Millis
    """Of each person when the next one is at risk or lapses, at or after now; NEVER: nothing follows."""


def told_customers(log: PersonLog, outcomes: pl.DataFrame, moments: pl.DataFrame, rules: JourneysRules) -> ToldCustomers:
    """Say it of every customer of whom anything is known. Frames: rows of OUTCOMES with `person`, MOMENTS."""
    awaited = next((each for each in rules.expectations if each.key == "person"), NEXT_ORDER)
    visits, cases, tickets = known(log.visits), known(log.cases), known(log.tickets)
    bought = orders(cases)
    whose = [frame.select("person") for frame in (visits, cases, tickets, outcomes)]
    rows = (
        log.people.with_row_index("person")
        .with_columns(pl.col("person").cast(pl.Int64))
        .filter(pl.col("customer_id").fill_null("") != "")
        .join(pl.concat(whose), on="person", how="semi", maintain_order="left")
    )
    next_ms = np.full(log.people.height, NEVER, dtype=np.int64)
    if rows.is_empty():  # of most visitors
        return ToldCustomers(pl.DataFrame(schema=_SHAPE), next_ms)
    for facts in (
        _seen(visits, cases, tickets, moments),
        _accounts(visits, cases),
        _counts(visits, cases, outcomes, moments),
        _bought(bought, rules),
        _spent(bought),
        _promoters(tickets),
        _last_waits(bought, awaited),
    ):
        rows = rows.join(facts, on="person", how="left", maintain_order="left")
    counted = ("n_sessions", "n_orders", "n_order_days", "n_contacts", "n_lapses", "n_silent", "n_late_deliveries")
    rows = _judged(rows.with_columns(pl.col(counted).fill_null(0).cast(pl.UInt32)), awaited, rules)
    for name in ("at_risk_ms", "lapsed_ms"):
        ahead = rows.filter(pl.col(name) >= pl.col("now_ms"))
        np.minimum.at(next_ms, ahead["person"].to_numpy(), ahead[name].to_numpy())
    return ToldCustomers(rows.select("person", *_COLUMNS), next_ms)


def _judged(rows: pl.DataFrame, awaited: Expectation, rules: JourneysRules) -> pl.DataFrame:
    """With `loyalty_state`, `is_repeat`, and when that changes by itself."""
    assert awaited.within is not None, "the grammar sees to it"
    since_ms = pl.coalesce("last_order_at", "last_seen_at").to_physical()
    lapsed_ms = pl.coalesce("due_ms", since_ms + milliseconds(awaited.within))
    at_risk_ms = since_ms + ((lapsed_ms - since_ms) * rules.at_risk_after).floor().cast(pl.Int64)
    rows = rows.with_columns(lapsed_ms.alias("lapsed_ms"), at_risk_ms.alias("at_risk_ms"))
    is_repeat = pl.col("n_order_days") >= 2
    return rows.with_columns(
        is_repeat.cast(pl.UInt8).alias("is_repeat"),
        pl.when(pl.col("now_ms") > pl.col("lapsed_ms"))
        .then(pl.lit("lapsed"))
        .when(pl.col("now_ms") > pl.col("at_risk_ms"))
        .then(pl.lit("at_risk"))
        .when("came_back")
        .then(pl.lit("returned"))
        .when(is_repeat)
        .then(pl.lit("active"))
        .otherwise(pl.lit("new"))
        .alias("loyalty_state"),
    )


def _seen(visits: pl.DataFrame, cases: pl.DataFrame, tickets: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """When the customer was seen first and last: by what they did, not by what was done for them."""
    answers = tickets.filter(pl.col("event_type").cast(pl.String).is_in(_SURVEYS))
    acts = [
        *((visits, name) for name in ("started_at", "ended_at")),
        *((cases, name) for name in ("opened_at", "placed_at")),
        (moments, "at"),
        (answers, "event_at"),
    ]
    at = pl.concat([frame.select("person", pl.col(name).cast(TIME).alias("at")) for frame, name in acts])
    return at.group_by("person").agg(pl.col("at").min().alias("first_seen_at"), pl.col("at").max().alias("last_seen_at"))


def _accounts(visits: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    said = pl.concat(
        [
            visits.select("person", "account_id", pl.col("started_at").alias("at"), pl.lit(0).alias("place")),
            cases.select("person", "account_id", pl.col("opened_at").alias("at"), pl.lit(1).alias("place")),
        ]
    ).filter(pl.col("account_id").is_not_null())
    return said.sort("at", "place", "account_id").unique("person", keep="last", maintain_order=True).select("person", "account_id")


def _counts(visits: pl.DataFrame, cases: pl.DataFrame, outcomes: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    every = pl.concat(
        [
            visits.select("person", pl.lit("n_sessions").alias("what")),
            cases.filter(pl.col("is_late") == 1).select("person", pl.lit("n_late_deliveries").alias("what")),
            outcomes.select("person", pl.lit("n_lapses").alias("what")),
            outcomes.filter(pl.col("status") == "silent").select("person", pl.lit("n_silent").alias("what")),
            moments.select("person", "ticket_id").unique().select("person", pl.lit("n_contacts").alias("what")),
        ]
    )
    names = ("n_sessions", "n_late_deliveries", "n_lapses", "n_silent", "n_contacts")
    return every.group_by("person").agg((pl.col("what") == name).sum().alias(name) for name in names)


def _bought(bought: pl.DataFrame, rules: JourneysRules) -> pl.DataFrame:
    """How often and when somebody ordered."""
    day = pl.Series("day", rules.calendars.days_end(bought["site"], bought["placed_ms"].to_numpy()))
    placed = pl.col("placed_ms").cast(TIME)
    return (
        bought.with_columns(day)
        .group_by("person", maintain_order=True)
        .agg(
            pl.len().alias("n_orders"),
            pl.col("day").n_unique().alias("n_order_days"),
            placed.first().alias("first_order_at"),
            placed.get(1, null_on_oob=True).alias("second_order_at"),
            placed.last().alias("last_order_at"),
            (pl.col("gap_ms").median() / _DAY_MS).alias("median_days_between_orders"),
        )
    )


def _spent(bought: pl.DataFrame) -> pl.DataFrame:
    paid = bought.filter(pl.col("amount_minor").is_not_null())
    is_counted = pl.col("currency").eq_missing(pl.col("currency").last().over("person"))
    return (
        paid.filter(is_counted)
        .group_by("person", maintain_order=True)
        .agg((pl.col("amount_minor") - pl.col("refund_minor").fill_null(0)).sum().alias("spent_minor"), pl.col("currency").last())
    )


def _promoters(tickets: pl.DataFrame) -> pl.DataFrame:
    answers = tickets.filter((pl.col("event_type").cast(pl.String) == "nps_answered") & pl.col("score").is_not_null())
    last = answers.sort("event_at", "event_id").unique("person", keep="last", maintain_order=True)
    return last.select("person", pl.col("score").cast(pl.Int64).alias("nps"))


def _last_waits(bought: pl.DataFrame, awaited: Expectation) -> pl.DataFrame:
    """When the order after the last one is due, and whether the last one came when nobody waited any more."""
    waits = bought.with_columns(due_ms(bought, awaited))
    was_due = pl.col("due_ms").shift(1).over("person")
    return (
        waits.with_columns((pl.col("placed_ms") > was_due).fill_null(value=False).alias("came_back"))
        .unique("person", keep="last", maintain_order=True)
        .select("person", "due_ms", "came_back")
    )
