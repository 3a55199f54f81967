"""The truth beside the simulated stream: what the events of a visit show is what is said of it."""

import polars as pl
import pytest

from pipeline.simulator.obstacles import MOST_WEARY, OBSTACLE_KINDS, OBSTACLES, WEARINESS
from pipeline.simulator.quality import HARMLESS
from pipeline.simulator.simulator import Simulated, simulated
from pipeline.simulator.truth import NO_REASON

POOR = {"LCP": 4_000.0, "INP": 500.0, "CLS": 0.25}


@pytest.fixture(scope="module")
def told() -> Simulated:
    return simulated(21, 80_000)


@pytest.fixture(scope="module")
def many() -> Simulated:
    return simulated(31, 300_000)


@pytest.fixture(scope="module")
def events(told) -> pl.DataFrame:
    """Every event once, with its visit: of one visitor the visit that had begun last."""
    once = told.events.unique("event_id", maintain_order=True).sort("event_at")
    began = told.truth.select("visitor_id", "visit_id", pl.col("started_at").alias("event_at")).sort("event_at")
    return once.join_asof(began, on="event_at", by="visitor_id", check_sortedness=False).sort("visit_id", "event_at")


@pytest.fixture(scope="module")
def evidence(told, events) -> pl.DataFrame:
    """The events of the stretch of time in which a friction was met."""
    ours = ("visit_id", "event_at", "event_type", "page", "element", "form", "metric", "message", "value", "status", "reaction_ms")
    return (
        told.frictions.select(
            "visit_id",
            "kind",
            "began_at",
            "at",
            "n_events",
            "is_clear",
            pl.col("page").alias("where"),
            pl.col("element").alias("what"),
        )
        .join(events.select(*ours), on="visit_id")
        .filter(pl.col("event_at").is_between("began_at", "at"))
    )


def test_a_visit_has_the_events_that_are_said(told, events):
    found = events.group_by("visit_id").agg(
        pl.len().cast(pl.Int64).alias("n_events"),
        pl.col("event_at").min().alias("started_at"),
        pl.col("event_at").max().alias("ended_at"),
        pl.col("event_id").first().alias("first_event_id"),
        pl.col("session_id").first(),
        pl.col("customer_id").drop_nulls().first(),
    )
    said = told.truth.select(found.columns)

    assert said.sort("visit_id").equals(found.sort("visit_id"))


def test_time_goes_on_within_a_visit(events):
    assert events.select(pl.col("event_at").diff().over("visit_id").dt.total_milliseconds().min()).item() > 0


def test_a_visit_has_one_session_and_at_most_one_customer(told, events):
    per_visit = events.group_by("visit_id").agg(pl.col("session_id").n_unique(), pl.col("customer_id").drop_nulls().n_unique())

    assert (per_visit["session_id"] == 1).all()
    assert (per_visit["customer_id"] <= 1).all()
    assert told.truth["session_id"].drop_nulls().is_unique().all()
    assert told.truth["visit_id"].is_unique().all()


def test_who_saw_the_cart_and_did_not_buy_left(told, events):
    seen = events.group_by("visit_id").agg(
        (pl.col("event_type").is_in(["add_to_cart", "view_cart"]) | (pl.col("page_type") == "cart")).any().alias("cart"),
        (pl.col("event_type") == "purchase").any().alias("bought"),
    )
    both = told.truth.join(seen, on="visit_id")

    assert (both["converted"] == both["bought"]).all()
    assert (both["left"] == (both["cart"] & ~both["bought"])).all()
    assert 0.05 < both["left"].mean() < 0.5
    assert both["converted"].mean() > 0.03


def test_the_steps_reached_are_those_of_the_pages_seen(told, events):
    seen = events.group_by("visit_id").agg(
        (pl.col("page_type").is_in(["home", "search", "listing"])).any().alias("browse"),
        (pl.col("page_type") == "product").any().alias("product"),
        (pl.col("event_type") == "begin_checkout").any().alias("checkout"),
        (pl.col("event_type") == "add_shipping_info").any().alias("shipping"),
        (pl.col("event_type") == "add_payment_info").any().alias("payment"),
    )
    both = told.truth.join(seen, on="visit_id")

    for step in ("browse", "product", "checkout", "shipping", "payment"):
        assert (both["reached"].list.contains(step) == both[step]).all(), step
    reached = both.filter(pl.col("reached").list.len() > 0)
    assert (reached["furthest_step"] == reached["reached"].list.last()).all()
    assert (told.truth.filter("left")["left_at_step"] == told.truth.filter("left")["furthest_step"]).all()


def test_a_reason_is_given_for_whoever_left_and_for_nobody_else(told):
    left, others = told.truth.filter("left"), told.truth.filter(~pl.col("left"))

    assert NO_REASON in set(left["because"]) <= {NO_REASON, *OBSTACLE_KINDS}
    assert left["because"].n_unique() > 15
    assert set(others["because"]) == {""}
    blamed = left.filter(pl.col("because") != NO_REASON)
    assert (blamed["because"] == blamed["ended_by"]).all()
    assert all(because in met for because, met in blamed.select("because", "met").iter_rows())


def test_people_leave_because_of_friction_or_for_no_reason_or_stay_in_spite_of_it(told):
    met = told.truth.filter(pl.col("met").list.len() > 0)

    assert met.filter("converted").height > 20
    assert met.filter(pl.col("left") & (pl.col("because") == NO_REASON)).height > 20
    assert met.filter(pl.col("left") & (pl.col("because") != NO_REASON)).height > 20
    assert told.truth.filter(pl.col("left") & (pl.col("met").list.len() == 0)).height > 20


def test_so_many_leave_because_of_a_friction_as_is_said(many):
    """Within what chance allows: four standard deviations of each kind."""
    met = many.frictions.filter(role="obstacle")
    kinds = met.group_by("kind").agg(
        pl.len().alias("n"),
        pl.col("made_leave").mean().alias("left"),
        pl.col("chance").mean(),
        (pl.col("chance") * (1 - pl.col("chance"))).sum().sqrt().alias("off") / pl.len(),
    )

    assert set(kinds["kind"]) == set(OBSTACLE_KINDS)
    assert kinds["n"].min() > 30
    assert ((kinds["left"] - kinds["chance"]).abs() < 4 * kinds["off"]).all(), kinds


def test_the_probability_of_leaving_is_that_of_the_table(many):
    table = {obstacle.kind: obstacle.makes_leave for obstacle in OBSTACLES}
    undecided = many.frictions.filter(pl.col("chance") == 0.0, role="obstacle")
    met = many.frictions.filter(pl.col("chance") > 0.0, role="obstacle").with_columns(
        pl.col("kind").replace_strict(table).alias("first")
    )
    weary = met["first"].clip(upper_bound=MOST_WEARY / WEARINESS) * WEARINESS

    assert (((met["chance"] - met["first"]).abs() < 1e-9) | ((met["chance"] - weary).abs() < 1e-9)).all()
    assert 0.2 < (met["chance"] > met["first"]).mean() < 0.7
    assert set(undecided["kind"]) == {"payment_failed"}  # refused twice on one page: the second time decides
    assert many.frictions.filter(pl.col("role") != "obstacle")["chance"].max() == 0.0


def test_half_of_those_who_buy_met_friction_and_a_third_of_those_who_leave_met_two_kinds(many):
    people = many.truth.filter(~pl.col("is_bot"))
    stayed, left = people.filter("converted"), people.filter("left")

    assert (stayed["met"].list.len() > 0).mean() == pytest.approx(0.5, abs=0.06)
    assert (left["met"].list.len() > 1).mean() == pytest.approx(1 / 3, abs=0.04)
    assert (left["because"] == NO_REASON).mean() > 0.3


def test_nobody_leaves_because_of_friction_that_is_not_planted():
    told = simulated(8, 10_000, obstacles=())

    assert set(told.frictions["role"]) <= {"consequence", "echo"}
    assert set(told.truth["because"]) == {"", NO_REASON}


def test_how_much_of_what_is_planted_is_vague_can_be_said():
    clear, vague = (simulated(8, 20_000, vague=share).frictions.filter(role="obstacle") for share in (0.0, 1.0))
    fights_with_the_form = clear.filter(~pl.col("is_clear"))
    never_vague = set(vague.filter("is_clear")["kind"])

    assert set(fights_with_the_form["kind"]) <= {"payment_hesitation"}
    assert {"rage_click", "dead_click", "slow_page"}.isdisjoint(never_vague)
    assert never_vague == {
        "page_error",
        "coupon_rejected",
        "out_of_stock_in_checkout",
        "payment_failed",
        "login_wall",
        "help_in_checkout",
    }


def test_the_friction_that_made_somebody_leave_is_the_last_thing_met(told):
    fatal = told.frictions.filter("made_leave").join(told.truth.select("visit_id", "ended_by", "ended_at"), on="visit_id")

    assert (fatal["kind"] == fatal["ended_by"]).all()
    assert fatal["visit_id"].is_unique().all()
    assert told.truth.filter(pl.col("ended_by") != "").height == fatal.height
    assert not told.frictions["is_bot"].any()


def test_a_rage_click_is_three_and_more_hits_of_one_dead_button_within_moments(told, evidence):
    hits = evidence.filter("is_clear").filter(
        (pl.col("kind") == "rage_click") & (pl.col("event_type") == "click") & (pl.col("element") == pl.col("what"))
    )
    runs = hits.group_by("visit_id", "began_at").agg(
        pl.len().alias("n"),
        pl.col("n_events").first(),
        pl.col("event_at").diff().max().dt.total_milliseconds().alias("apart_ms"),
        pl.col("reaction_ms").count(),
    )

    assert runs.height == told.frictions.filter("is_clear", kind="rage_click").height > 50
    assert (runs["n"] == runs["n_events"]).all()
    assert runs["n"].min() == 3
    assert runs["apart_ms"].max() <= 240
    assert runs["reaction_ms"].max() == 0


def test_a_form_error_loop_is_three_and_more_refusals_of_one_form(told, evidence):
    refused = evidence.filter("is_clear").filter(
        (pl.col("kind") == "form_error_loop") & (pl.col("event_type") == "form_error") & (pl.col("form") == pl.col("what"))
    )
    loops = refused.group_by("visit_id", "began_at").agg(pl.len().alias("n"), pl.col("n_events").first())

    assert loops.height == told.frictions.filter("is_clear", kind="form_error_loop").height > 20
    assert (loops["n"] == loops["n_events"]).all()
    assert loops["n"].min() == 3


def test_a_slow_page_has_one_clearly_poor_vital_and_nothing_else_is_poor(told, events, evidence):
    poor = pl.col("value") > pl.col("metric").replace_strict(POOR, return_dtype=pl.Float64)
    of_slow_page = evidence.filter((pl.col("kind") == "slow_page") & (pl.col("metric") == pl.col("what")))
    vague = told.frictions.filter(~pl.col("is_clear"), kind="slow_page")

    assert of_slow_page.filter("is_clear").select(poor.all()).item()
    assert vague["measure"].is_between(0.1, 6_000).all()
    n_poor = events.filter(event_type="web_vital").filter(poor).height
    assert (
        50 < told.frictions.filter("is_clear", kind="slow_page").height <= n_poor <= told.frictions.filter(kind="slow_page").height
    )


def test_a_page_error_is_an_error_of_the_page_or_of_its_server(told, events):
    errors = events.filter(
        (pl.col("event_type") == "js_error") | ((pl.col("event_type") == "api_error") & (pl.col("status") >= 400))
    )
    noticed, noise = (errors.filter((pl.col("message") == HARMLESS) == is_noise) for is_noise in (False, True))

    assert noticed.height == told.frictions.filter(pl.col("kind") == "page_error").height > 50
    assert set(told.frictions.filter(pl.col("kind") == "page_error")["event_id"]) == set(noticed["event_id"])
    assert noise.height < 0.05 * noticed.height


def test_much_looks_like_friction_and_is_none(told, events):
    """Steppers, double clicks, forms refused once, pages that could be better, redirects: none of it is in the truth."""
    clicks = events.filter(pl.col("event_type") == "click").with_columns(
        (pl.col("event_at").diff().over("visit_id").dt.total_milliseconds() < 300).fill_null(value=False).alias("fast")
    )
    refused_forms = events.filter(event_type="form_error").group_by("visit_id", "form").len()
    vitals = events.filter(event_type="web_vital", metric="LCP")["value"]

    assert clicks.filter("fast", element_role="stepper").height > 50
    assert clicks.filter("fast", element="image.main").height > 100
    assert refused_forms.filter(pl.col("len") < 3).height > 30
    assert vitals.is_between(2_500, 4_000).sum() > 100
    assert events.filter(event_type="api_error", status=302).height > 10
    assert not set(told.frictions["element"]) & {"image.main", "button.gallery-next", "text.description"}


def test_runs_of_calm_clicks_do_not_mix(events):
    """On one page somebody ends one thing before the next: the clicks of a run follow each other."""
    calm = events.filter(pl.col("element").is_in(["image.main", "button.quantity-plus", "button.gallery-next"]))
    hits = calm.with_columns(
        (pl.col("element") != pl.col("element").shift(1).over("visit_id")).fill_null(value=True).alias("changes")
    )
    fast = hits.filter(pl.col("event_at").diff().over("visit_id").dt.total_milliseconds() < 300)

    assert not fast["changes"].any()
