"""What companies do on a page: a request for quotation, an approval, an onboarding, step by step; and an earlier order wanted again.

Frames:  TRODDEN with pace_ms, errand -> HAPPENINGS
Cases:   all steps and sent | given up on the way | a form begun again from its first step, which is friction | vague: begun again at once
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import happenings, repeated, strings
from pipeline.simulator.pages import Kind

ERRAND_STEPS = {
    Kind.RFQ: ("rfq", "rfq_step", ("items", "quantities", "delivery", "review")),
    Kind.APPROVAL: ("approval", "approval_step", ("budget", "decision")),
    Kind.ONBOARDING: ("onboarding", "onboarding_step", ("company", "tax_id", "bank_account", "users")),
}
"""Kind of page -> journey, event type and steps, as the shop's emitter names them."""


def steps(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """The steps that are done of each form, and those of the forms that were begun again."""
    blocks = []
    for kind, (journey, event_type, names) in ERRAND_STEPS.items():
        is_here = (pages["kind"] == kind).to_numpy()
        restarts, goes_on = pages["form_restarted"].to_numpy(), pages["goes_on"].to_numpy()
        some = rng.integers(0, len(names), pages.height)
        for again in (False, True):
            here = np.flatnonzero(is_here & (restarts if again else ~restarts | (some > 0)))
            times = np.where(goes_on[here] & (restarts[here] == again), len(names), some[here])
            page, nth = repeated(here, times)
            blocks.append(
                happenings(
                    page,
                    Moment.SETTLED if again else Moment.STARTED,
                    event_type,
                    4_000 + thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
                    nth=nth + 1,
                    journey=journey,
                    step=strings(names, nth),
                )
            )
    return blocks


def restarts(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """What was typed in is lost: the form begins from its first step, once or twice."""
    here = np.flatnonzero(pages["form_restarted"].to_numpy())
    is_vague = vaguely(rng, pages, here)
    times = np.where(is_vague, 1, rng.integers(1, 4, len(here)))
    page, nth = repeated(here, times)
    kind = pages["kind"].to_numpy()[page]
    slow_ms = 20_000 + thought_ms(rng, pages["pace_ms"].to_numpy()[page])
    return happenings(
        page,
        Moment.RESTARTED,
        "form_start",
        np.where(np.repeat(is_vague, times), rng.integers(300, 3_000, len(page)), slow_ms),
        nth=nth,
        form=strings(["rfq", "onboarding"], (kind == Kind.ONBOARDING).astype(np.int64)),
        planted="form_restarted",
        vague=np.repeat(is_vague, times),
        measure=np.repeat(times, times),
    )


def reorders(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """An earlier order is wanted again; if nothing is bought in this visit, that was hard."""
    page = np.flatnonzero((pages["is_first"] & pages["reorders"]).to_numpy())
    bought = pages["buys"].to_numpy()[page].astype(np.int64)
    return happenings(
        page,
        Moment.DONE,
        "reorder_started",
        thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
        nth=-2,
        at_path="/account/orders",
        at_type="account",
        planted=strings(["hard_reorder", None], bought),
    )
