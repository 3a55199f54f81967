"""How much of the silence of simulated customers is found, how much of what is found was silence, and how often its reason is named first.

Truth and findings meet only by who and when: a lapse stands for the visit in which its session began, or for the order after which nobody came.
What the simulator decided is the truth: who left with a full cart, who came back and ordered, who wrote to support, and because of what somebody left. That an
order of another cart is another matter is a rule of ours, not a finding, so the truth is asked with it.

A fresh seed every time, printed; `EBBTIDE_SEED` repeats one.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from rich.console import Console
from rich.table import Table

from pipeline.expectations import OF_PERSONS, OF_TICKETS
from pipeline.journeys_rules import JourneysRules
from pipeline.simulator.case_truth import LEAVE
from pipeline.simulator.scenarios import SCENARIOS
from pipeline.simulator.simulator import Simulated, simulated
from tests.accuracy.people import people
from tests.accuracy.test_accuracy import reaches
from tests.simulated_shop import WHO, drawn_seed

N_CLICKS = 150_000
RULES = JourneysRules(expectations=(*(replace(each, enabled="on") for each in OF_TICKETS), *OF_PERSONS))
WEATHER = SCENARIOS["late_parcels"]
A_YEAR_LATER = datetime(2027, 11, 16, tzinfo=UTC)
GAP, SILENCE, RECOVERY, A_DAY = timedelta(minutes=30), timedelta(hours=24), timedelta(days=7), timedelta(days=1)
FLOORS = {"silence": 0.99, "cause of a visit": 0.95, "cause of a customer": 0.95}
"""Causes: where nobody would doubt that the reason was met; what the simulator draws across a threshold is printed beside them."""
SAID_AS = {
    "delivered_by_promise": ("late_delivery", "lost_parcel"),
    "next_scan_after_scan": ("lost_parcel",),
    "notice_of_moved_date": ("eta_slip",),
    "ticket_reopened": ("reopened",),
    "ticket_escalated": ("escalated",),
    "transferred_twice": ("transferred",),
}
"""Our names -> those of the simulator; what never came did not come in time, and who was not told of another date has another date."""


@dataclass(frozen=True)
class Shop:
    """What happened, and what was found."""

    told: Simulated
    sessions: pl.DataFrame
    outcomes: pl.DataFrame


@pytest.fixture(scope="module")
def seed() -> int:
    return drawn_seed()


@pytest.fixture(scope="module")
def shop(seed) -> Shop:
    told = simulated(seed, N_CLICKS, scenario=WEATHER)
    sessions, found = people(told, RULES, A_YEAR_LATER)
    return Shop(told, sessions, _known(found["outcomes"]))


def _known(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))


# Silence ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def visits(shop) -> pl.DataFrame:
    """The visits that were left with a full cart: `was_silent`, and `status` and `cause` of what was found of each, null if nothing was."""
    every = _with_person(shop.told.truth.filter(~pl.col("is_bot")))
    left = _with_cart(every.filter("left"), shop.told).with_columns((pl.col("ended_at") + GAP).alias("lapsed"))
    back = left.join(_orders(every, shop.told), on="nobody").filter(
        pl.col("began_at").is_between(pl.col("started_at"), pl.col("lapsed") + RECOVERY),
        (pl.col("cart_id") == pl.col("ordered_cart_id")).fill_null(value=True),
    )
    wrote = shop.told.contacts.filter(pl.col("case_id").is_null()).join(every.select("visit_id", "nobody"), on="visit_id")
    spoke = left.join(wrote.select("nobody", "opened_at"), on="nobody").filter(
        pl.col("opened_at").is_between(pl.col("started_at"), pl.col("lapsed") + SILENCE)
    )
    undone = pl.concat([back.select("visit_id"), spoke.select("visit_id")]).unique()
    left = left.join(undone.with_columns(was_silent=pl.lit(value=False)), on="visit_id", how="left")
    found = _found_of_visits(shop, every)
    return left.with_columns(pl.col("was_silent").fill_null(value=True)).join(found, on="visit_id", how="left")


def _with_person(visits: pl.DataFrame) -> pl.DataFrame:
    """With `nobody`, the number of the person: at one device somebody else begins where nobody was to come back."""
    ordered = visits.sort(*WHO, "started_at")
    is_new = pl.col("came_back_at").shift(1).over(WHO) != pl.col("started_at")
    return ordered.with_columns(is_new.fill_null(value=True).cum_sum().alias("nobody"))


def _with_cart(visits: pl.DataFrame, told: Simulated) -> pl.DataFrame:
    """With `cart_id`: the last cart of the visit."""
    carts = told.events.select(*WHO, "event_at", "cart_id").drop_nulls("cart_id").unique().sort("event_at")
    found = visits.sort("ended_at").join_asof(
        carts, left_on="ended_at", right_on="event_at", by=WHO, strategy="backward", check_sortedness=False
    )
    return found.with_columns(pl.when(pl.col("event_at") >= pl.col("started_at")).then("cart_id"))


def _orders(visits: pl.DataFrame, told: Simulated) -> pl.DataFrame:
    carts = told.orders.group_by("site", pl.col("order_id").alias("case_id")).agg(
        pl.col("cart_id").drop_nulls().first().alias("ordered_cart_id")
    )
    orders = told.cases.filter(document_type="order").join(carts, on=["site", "case_id"], how="left")
    return orders.join(visits.select("visit_id", "nobody"), on="visit_id").select("nobody", "began_at", "ordered_cart_id")


def _found_of_visits(shop: Shop, visits: pl.DataFrame) -> pl.DataFrame:
    began = shop.sessions.select(*WHO, "session_id", "started_at")
    lapses = shop.outcomes.filter(expectation="order_after_commit").join(began, on=[*WHO, "session_id"])
    spans = visits.sort("started_at").select(*WHO, "visit_id", pl.col("started_at").alias("from"), pl.col("ended_at").alias("to"))
    found = lapses.sort("started_at").join_asof(
        spans, left_on="started_at", right_on="from", by=WHO, strategy="backward", check_sortedness=False
    )
    return found.filter(pl.col("started_at") <= pl.col("to")).select("visit_id", "status", "cause")


def test_who_was_silent_is_found_and_nobody_else(visits, seed):
    n_true, n_found, n_both = silence(visits)

    assert reaches(n_both, n_found, FLOORS["silence"]), f"EBBTIDE_SEED={seed}: precision {n_both} of {n_found}"
    assert reaches(n_both, n_true, FLOORS["silence"]), f"EBBTIDE_SEED={seed}: recall {n_both} of {n_true}"


def silence(visits: pl.DataFrame) -> tuple[int, int, int]:
    is_found = (visits["status"] == "silent").fill_null(value=False)
    return int(visits["was_silent"].sum()), int(is_found.sum()), int((is_found & visits["was_silent"]).sum())


def test_what_is_found_of_visits_is_of_visits_that_were_left(shop, visits):
    lapses = shop.outcomes.filter(expectation="order_after_commit")

    assert lapses.height - visits["status"].count() <= 0.01 * lapses.height


# Causes -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reasons(shop, visits) -> pl.DataFrame:
    """Visits that were left because of something: `is_named`, whether the best guess is right, and whether nobody would doubt that it was met (`is_clear`). Who knows all
    that was met knows that it was the last: nobody meets anything afterwards."""
    met = shop.told.frictions.filter(role="obstacle")
    last = met.sort("at", maintain_order=True).unique("visit_id", keep="last")
    caused = visits.filter(pl.col("status").is_not_null(), ~pl.col("because").is_in(["", "no_reason"]))
    return caused.join(last.select("visit_id", "kind", "is_clear"), on="visit_id").select(
        "is_clear",
        (pl.col("cause") == pl.col("because")).fill_null(value=False).alias("is_named"),
        (pl.col("kind") == pl.col("because")).alias("is_best_right"),
    )


@pytest.fixture(scope="module")
def departures(shop) -> pl.DataFrame:
    """Customers who ordered and never came back because of something: `is_named`, whether nobody would doubt that it was met (`is_clear`), and by the simulator's own
    probabilities how likely what was named had that effect, and how likely the likeliest of all that was met and waited for. So luck counts for neither."""
    told = shop.told
    left = told.customers.filter(pl.col("left"), ~pl.col("because").is_in(["", "no_reason"]), pl.col("customer_id").is_not_null())
    lapses = shop.outcomes.filter(expectation="next_order").select("site", pl.col("order_id").alias("case_id"), "cause")
    said = {name: list(kinds) for name, kinds in SAID_AS.items()}
    kinds = pl.col("cause").replace_strict(said, default=pl.concat_list("cause"), return_dtype=pl.List(pl.String))
    known = left.join(lapses, on=["site", "case_id"]).with_columns(kinds.alias("kinds"))
    could = known.select("site", "case_id", "kinds").join(_likely(told), on=["site", "case_id"])
    is_said = pl.col("kinds").list.contains(pl.col("kind")).fill_null(value=False)
    guesses = could.group_by("site", "case_id").agg(
        pl.col("likely").filter(is_said).sum().alias("likely_named"), pl.col("likely").max().alias("likely_best")
    )
    is_named = pl.col("kinds").list.contains(pl.col("because")).fill_null(value=False)
    met = told.incidents.group_by("site", "case_id", pl.col("kind").alias("because")).agg(pl.col("is_clear").any())
    return (
        known.join(guesses, on=["site", "case_id"])
        .join(met, on=["site", "case_id", "because"], how="left")
        .select(
            is_named.alias("is_named"), pl.col("is_clear").fill_null(value=True), "likely_named", "likely_best"
        )  # a wait is clear
    )


def _likely(told: Simulated) -> pl.DataFrame:
    """Of all that was met or waited for in a case the probability that it was the reason: of several the earliest that says so decides."""
    met = told.incidents.filter(pl.col("case_id").is_not_null()).select("site", "case_id", "kind", "at")
    late = pl.col("promised_at") + pl.when(pl.col("kind") == "lost_parcel").then(A_DAY).otherwise(timedelta(0))
    waited = (
        told.cases.select("site", "case_id", "promised_at", pl.col("waited").alias("kind"))
        .explode("kind")
        .filter(pl.col("kind").is_in(["late_delivery", "lost_parcel"]))
        .select("site", "case_id", "kind", late.alias("at"))
    )
    chance = pl.col("kind").replace_strict(LEAVE, default=0.0, return_dtype=pl.Float64)
    both = pl.concat([met, waited]).sort("at").unique(["site", "case_id", "kind"], keep="first", maintain_order=True)
    stayed = (1 - pl.col("chance")).cum_prod().over("site", "case_id") / (1 - pl.col("chance"))
    likely = pl.col("chance") * pl.col("stayed")
    return (
        both.with_columns(chance.alias("chance"))
        .with_columns(stayed.alias("stayed"))
        .select("site", "case_id", "kind", (likely / likely.sum().over("site", "case_id")).alias("likely"))
    )


def test_the_planted_cause_of_a_visit_is_named_first(reasons, seed):
    n, n_named, n_best = named(reasons.filter("is_clear"))

    assert n_best > 0.95 * n, "the last that was met is what ended the visit"
    assert reaches(n_named, n_best, FLOORS["cause of a visit"]), f"EBBTIDE_SEED={seed}: {n_named} of {n_best}"


def test_what_is_named_of_a_departure_is_nearly_as_likely_as_the_best_guess(departures, seed):
    clear = departures.filter("is_clear")
    likely = clear["likely_named"].sum(), clear["likely_best"].sum()

    assert reaches(*likely, FLOORS["cause of a customer"]), f"EBBTIDE_SEED={seed}: {likely}"


def share_of_best(departures: pl.DataFrame) -> float:
    return float(departures["likely_named"].sum() / departures["likely_best"].sum())


def named(rows: pl.DataFrame) -> tuple[int, int, int]:
    return rows.height, int(rows["is_named"].sum()), int(rows["is_best_right"].sum())


def test_the_figures_are_printed(shop, visits, reasons, departures, seed, capsys):
    table = Table("what", "of", "found or named", "right, or best", "share", title=f"silence on {N_CLICKS} clicks, seed {seed}")
    n_true, n_found, n_both = silence(visits)
    table.add_row("silent: precision", str(n_true), str(n_found), str(n_both), f"{n_both / n_found:.4f}")
    table.add_row("silent: recall", str(n_true), str(n_found), str(n_both), f"{n_both / n_true:.4f}")
    for what, rows in (("cause of a visit", reasons.filter("is_clear")), ("vague ones too", reasons)):
        n, n_named, n_best = named(rows)
        table.add_row(what, str(n), str(n_named), str(n_best), f"{n_named / max(1, n_best):.4f}")
    for what, rows in (("cause of a customer", departures.filter("is_clear")), ("vague ones too", departures)):
        n, n_named, best = rows.height, rows["is_named"].sum(), rows["likely_best"].sum()
        table.add_row(what, str(n), str(n_named), f"{best:.1f}", f"{share_of_best(rows):.4f}")
    with capsys.disabled():
        Console().print("", table)

    assert n_true > 500
    assert shop.outcomes.height > n_true
