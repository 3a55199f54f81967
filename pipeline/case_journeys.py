"""Journeys of commerce: which step an event belongs to, who owns it, and what an event makes of the status of its case.

Frames:  CaseLog -> REACHED
Cases:   money that goes back without a return (an order was cancelled) -> no step of the journey `return`
         steps of an onboarding and of any other process -> named by the shop, in `step`
Source:  DESIGN 4
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.case_log import CaseLog
from pipeline.frames import schema
from pipeline.groups import Groups, Mask, Places


@dataclass(frozen=True)
class CaseStep:
    """One step, and the event types that belong to it."""

    journey: str
    name: str
    """'': the shop names it, in `step`."""
    index: int
    owner: str
    event_types: tuple[str, ...]
    is_commit: bool = False
    is_goal: bool = False
    ships_as: str | None = None
    """Its name where nobody has given it another; None: the same."""

    @property
    def known_as(self) -> str:
        """The name by which signals and expectations that ship know it."""
        return self.name if self.ships_as is None else self.ships_as


Steps = Sequence[CaseStep]

STEPS = (
    CaseStep("order", "placed", 0, "shop", ("order_placed",), is_commit=True),
    CaseStep("order", "paid", 1, "payments", ("payment_authorized",)),
    CaseStep("order", "confirmed", 2, "shop", ("order_confirmed",)),
    CaseStep("order", "shipped", 3, "warehouse", ("order_shipped",)),
    CaseStep(
        "order", "scanned", 4, "carrier", ("in_transit", "out_for_delivery", "attempt_failed", "available_for_pickup", "exception")
    ),
    CaseStep("order", "delivered", 5, "carrier", ("delivered",), is_goal=True),
    CaseStep("return", "requested", 0, "customer", ("return_requested",), is_commit=True),
    CaseStep("return", "received", 1, "warehouse", ("return_received",)),
    CaseStep("return", "refunded", 2, "payments", ("order_refunded",), is_goal=True),
    CaseStep("rfq", "submitted", 0, "customer", ("rfq_submitted", "bulk_price_requested"), is_commit=True),
    CaseStep("rfq", "quoted", 1, "sales", ("quote_received", "bulk_price_offered")),
    CaseStep("rfq", "answered", 2, "customer", ("quote_accepted", "quote_rejected"), is_goal=True),
    CaseStep("approval", "requested", 0, "customer", ("approval_requested",), is_commit=True),
    CaseStep("approval", "decided", 1, "approver", ("approval_granted", "approval_rejected"), is_goal=True),
    CaseStep("onboarding", "started", 0, "shop", ("onboarding_started",), is_commit=True),
    CaseStep("onboarding", "", 1, "shop", ("onboarding_step_completed",)),
    CaseStep("onboarding", "completed", 2, "shop", ("onboarding_completed",), is_goal=True),
    CaseStep("process", "", 0, "shop", ("step_started", "step_completed"), is_commit=True),
    CaseStep("support", "opened", 0, "support", ("ticket_opened",), is_commit=True),
    CaseStep("support", "replied", 1, "support", ("agent_reply", "bot_reply")),
    CaseStep("support", "solved", 2, "support", ("solved",), is_goal=True),
)
"""The default journeys; of one event type there is one step at most. Those of `support` are of tickets."""

CASE_TYPES = ("order", "rfq", "approval", "onboarding", "other")
JOURNEYS = {
    "order": ("order", "return"),
    "rfq": ("rfq",),
    "approval": ("approval",),
    "onboarding": ("onboarding",),
    "other": ("process",),
}
"""Type of a case -> its journeys; the last of them that it has begun is its own."""

TYPE_OF = {
    **dict.fromkeys(
        ("rfq_submitted", "quote_received", "quote_accepted", "quote_rejected", "quote_expired", "rfq_withdrawn"), "rfq"
    ),
    **dict.fromkeys(("bulk_price_requested", "bulk_price_offered"), "rfq"),
    **dict.fromkeys(("approval_requested", "approval_granted", "approval_rejected", "approval_withdrawn"), "approval"),
    **dict.fromkeys(("onboarding_started", "onboarding_step_completed", "onboarding_completed"), "onboarding"),
    **dict.fromkeys(("step_started", "step_completed"), "other"),
}
"""Event type -> type of the case, where the case does not say; all others are of an order."""

STATUSES = {
    **dict.fromkeys(("order_placed", "return_requested", "rfq_submitted", "quote_received", "bulk_price_requested"), "open"),
    **dict.fromkeys(("approval_requested", "onboarding_started", "step_started"), "open"),
    "order_cancelled": "cancelled",
    "return_completed": "returned",
    "returned_to_sender": "sent_back",
    "expired": "lost",
    "bulk_price_offered": "completed",
    "quote_accepted": "accepted",
    "quote_rejected": "rejected",
    "quote_expired": "expired",
    "rfq_withdrawn": "withdrawn",
    "approval_granted": "granted",
    "approval_rejected": "rejected",
    "approval_withdrawn": "withdrawn",
    "onboarding_completed": "completed",
    "step_completed": "completed",
}
"""Event type -> status that it gives its case; the last one counts. `delivered` counts when the last parcel has come."""

REACHED = schema(
    {
        "case": pl.Int64,
        "journey": pl.String,
        "step": pl.String,
        "step_index": pl.Int64,
        "owner": pl.String,
        "is_commit": pl.Boolean,
        "is_goal": pl.Boolean,
        "first_ms": pl.Int64,
        "last_ms": pl.Int64,
        "n_events": pl.Int64,
    }
)


def step_numbers(log: CaseLog, steps: Steps) -> Places:
    """Place of the step of each event; -1: none."""
    numbers = np.full(log.events.height, -1, dtype=np.int64)
    for place, step in enumerate(steps):
        numbers[log.is_of(step.event_types)] = place
    has_return = log.cases.first(log.is_of(("return_requested", "return_received"))) >= 0
    numbers[log.is_of(("order_refunded",)) & ~has_return[log.case]] = -1
    return numbers


def step_names(log: CaseLog, numbers: Places, steps: Steps) -> pl.Series:
    """The name of the step of each event; null: none."""
    named = np.array([step.name == "" for step in steps])
    fixed = pl.Series([step.name for step in steps]).gather(np.maximum(numbers, 0))
    own = log.events["step"].cast(pl.String)
    by_shop = named[np.maximum(numbers, 0)]
    return pl.select(
        pl.when(pl.Series(numbers < 0))
        .then(None)
        .when(pl.Series(by_shop))
        .then(own.fill_null("step"))
        .otherwise(fixed)
        .alias("step")
    ).to_series()


def reached(log: CaseLog, steps: Steps = STEPS) -> pl.DataFrame:
    """The steps that cases have reached. Frames: -> REACHED."""
    numbers = step_numbers(log, steps)
    rows = np.flatnonzero(numbers >= 0)
    table = pl.DataFrame(
        {
            "number": range(len(steps)),
            "journey": [step.journey for step in steps],
            "step_index": [step.index for step in steps],
            "owner": [step.owner for step in steps],
            "is_commit": [step.is_commit for step in steps],
            "is_goal": [step.is_goal for step in steps],
        },
        schema_overrides={"number": pl.Int64},
    )
    names = step_names(log, numbers, steps)
    return (
        pl.DataFrame({"case": log.case[rows], "number": numbers[rows], "step": names.gather(rows), "ms": log.ms[rows]})
        .group_by("case", "number", "step")
        .agg(pl.col("ms").min().alias("first_ms"), pl.col("ms").max().alias("last_ms"), pl.len().cast(pl.Int64).alias("n_events"))
        .join(table, on="number", how="left")
        .select(REACHED.names())
        .cast(REACHED)
    )


def case_types(log: CaseLog) -> pl.Series:
    """What each case is: as its first event with a `document_type` says, else as its types tell."""
    said = log.word("document_type", log.cases.first(log.has("document_type")))
    known = pl.when(said.is_in(CASE_TYPES)).then(said).when(said.is_not_null()).then(pl.lit("other"))
    derived = log.word("event_type", log.cases.first(~log.is_of(("order_changed",)) & ~log.is_carriers))
    return (
        pl.select(pl.coalesce(known, derived.replace_strict(TYPE_OF, default="order", return_dtype=pl.String).fill_null("order")))
        .to_series()
        .alias("case_type")
    )


def furthest(log: CaseLog, types: pl.Series, steps: pl.DataFrame) -> pl.DataFrame:
    """Journey and furthest step of each case, a row a case; null: none reached. Frames: REACHED -> `case`, `journey`, `step`."""
    ranks = pl.DataFrame(
        [(type_, journey, rank) for type_, journeys in JOURNEYS.items() for rank, journey in enumerate(journeys)],
        schema={"case_type": pl.String, "journey": pl.String, "rank": pl.Int64},
        orient="row",
    )
    of_cases = pl.DataFrame({"case": np.arange(log.n), "case_type": types})
    best = (
        steps.join(of_cases, on="case")
        .join(ranks, on=["case_type", "journey"])
        .sort("rank", "step_index", "last_ms", "step")
        .unique("case", keep="last", maintain_order=True)
        .select("case", "journey", "step")
    )
    first = pl.col("case_type").replace_strict({type_: journeys[0] for type_, journeys in JOURNEYS.items()})
    return of_cases.join(best, on="case", how="left", maintain_order="left").select(
        "case", pl.coalesce("journey", first).alias("journey"), "step"
    )


def status_rows(log: CaseLog) -> Places:
    """The event of each case that says its status; -1: none does."""
    wanted = log.is_of(tuple(STATUSES))
    has_come = Groups(log.case_of_parcel, log.n)
    missing = has_come.count(log.delivered == _NEVER)
    last = log.cases.last(log.is_of(("delivered",)) & (log.parcel >= 0))
    whole: Mask = (last >= 0) & (missing == 0)
    wanted[last[whole]] = True
    return log.cases.last(wanted)


_NEVER = np.iinfo(np.int64).max


def statuses(log: CaseLog, rows: Places) -> pl.Series:
    """The status of each case."""
    said = log.word("event_type", rows).replace_strict(
        STATUSES | {"delivered": "delivered"}, default="open", return_dtype=pl.String
    )
    return said.fill_null("open").alias("status")
