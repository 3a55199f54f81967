"""What follows from simulated visits: orders, parcels and tickets that agree with each other, and the truth about them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.checks import Bounds
from pipeline.decode import Records, decode
from pipeline.encode import encode
from pipeline.events import event_schema
from pipeline.simulator.case_truth import CASE_KINDS, LEAVE, LEAVE_FOR_NO_REASON, WAITS
from pipeline.simulator.obstacles import KINDS
from pipeline.simulator.scenarios import SCENARIOS
from pipeline.simulator.simulator import Simulated, Simulator, simulated
from pipeline.simulator.truth import NO_REASON
from schemas.contracts import FAMILIES, event_types, schema

FRAMES = {"clickstream": "events", "order": "orders", "delivery": "deliveries", "ticket": "tickets"}
OTHERS = ("orders", "deliveries", "tickets")
TRUTHS = ("truth", "frictions", "cases", "incidents", "contacts", "customers")
ORDER = ["site", "order_id"]
NEVER = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def told() -> Simulated:
    return simulated(77, 300_000)


@pytest.fixture(scope="module")
def stalled() -> Simulated:
    return simulated(78, 150_000, scenario=SCENARIOS["rfq_stall"])


@pytest.fixture(scope="module")
def orders(told) -> pl.DataFrame:
    return once(told.orders)


@pytest.fixture(scope="module")
def deliveries(told) -> pl.DataFrame:
    return once(told.deliveries)


@pytest.fixture(scope="module")
def tickets(told) -> pl.DataFrame:
    return once(told.tickets)


def once(events: pl.DataFrame) -> pl.DataFrame:
    return events.unique("event_id", maintain_order=True).sort("event_at")


def first_of(events: pl.DataFrame, event_type: str, name: str, key: str = "order_id") -> pl.DataFrame:
    """The time of the first event of a type by its key."""
    return events.filter(event_type=event_type).group_by("site", key).agg(pl.col("event_at").min().alias(name))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_event_is_one_of_the_contract(told, family):
    """Encoded, decoded and judged: nothing is rejected, and what comes out is what went in."""
    events = getattr(told, FRAMES[family])[:30_000]
    values = encode(events.drop("record_at"), family, 1)
    n = len(values)
    record_ms = events["record_at"].to_physical().to_numpy()
    frame, rejects = decoded(values, family, record_ms)

    assert n > 100
    assert rejects.is_empty()
    assert_frame_equal(frame.select(event_schema(family).names()), events.drop("record_at"))


def decoded(values, family, record_ms):
    n = len(values)
    records = Records([0] * n, range(n), record_ms.tolist(), [None] * n, values)
    found = decode(records, family=family, writers={1: schema(family)}, bounds=Bounds())
    return found.events, found.rejects


@pytest.mark.parametrize("family", FAMILIES)
def test_every_event_type_happens(told, stalled, family):
    never = {
        # What the emitter's own tool reports, what only other shops do, and types of which no story is told.
        "clickstream": {"rage_click", "dead_click", "error_click", "identify", "logout", "custom", "remove_from_cart"},
        "order": {"step_started", "step_completed"},
    }.get(family, set())

    happened = pl.concat([getattr(some, FRAMES[family])["event_type"] for some in (told, stalled)])

    assert set(happened) >= set(event_types(family)) - never


def test_what_is_bought_on_the_page_is_an_order_with_the_same_total(told, orders):
    bought = once(told.events).filter(event_type="purchase").select(*ORDER, "amount_minor", "currency", "cart_id", "visitor_id")
    placed = orders.filter(pl.col("parent_id").is_null(), event_type="order_placed").select(bought.columns)

    assert placed.height > 300
    assert_frame_equal(placed.sort(ORDER), bought.sort(ORDER))


def test_an_order_has_one_total_and_no_more_money_goes_back(orders):
    totals = (
        orders.filter(document_type="order")
        .group_by(ORDER)
        .agg(pl.col("amount_minor").n_unique().alias("n"), pl.col("amount_minor").first(), pl.col("refund_minor").sum())
    )

    assert (totals["n"] == 1).all()
    assert (totals["refund_minor"] <= totals["amount_minor"]).all()
    assert (totals["amount_minor"] > 0).all()
    assert (totals["refund_minor"] > 0).sum() > 20
    refunds = orders.filter(event_type="order_refunded")
    paid = orders.filter(event_type="payment_authorized").select(ORDER)
    assert refunds.join(paid, on=ORDER, how="anti").is_empty()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("order_placed", "payment_authorized"),
        ("order_placed", "payment_failed"),
        ("payment_authorized", "order_confirmed"),
        ("order_confirmed", "order_shipped"),
        ("order_confirmed", "order_changed"),
        ("order_shipped", "return_requested"),
        ("return_requested", "return_received"),
        ("return_received", "return_completed"),
        ("rfq_submitted", "quote_received"),
        ("quote_received", "quote_accepted"),
        ("quote_received", "quote_expired"),
        ("approval_requested", "approval_granted"),
        ("onboarding_started", "onboarding_step_completed"),
        ("onboarding_step_completed", "onboarding_completed"),
    ],
)
def test_one_thing_comes_after_the_other(orders, before, after):
    both = first_of(orders, after, "after").join(first_of(orders, before, "before"), on=ORDER, how="left")

    assert both.height > 0
    assert both["before"].null_count() == 0
    assert (both["before"] < both["after"]).all()


def test_no_parcel_is_scanned_before_it_is_shipped_and_every_parcel_is_of_an_order(orders, deliveries):
    shipped = orders.filter(event_type="order_shipped").select(
        "site", "delivery_id", pl.col("order_id").alias("of"), pl.col("event_at").alias("shipped_at")
    )
    scans = deliveries.join(shipped, on=["site", "delivery_id"], how="left")

    assert shipped["delivery_id"].is_unique().all()
    assert scans["shipped_at"].null_count() == 0
    assert (scans["event_at"] > scans["shipped_at"]).all()
    assert (scans["order_id"].is_null() | (scans["order_id"] == scans["of"])).all()
    assert 0.1 < scans["order_id"].is_null().mean() < 0.2
    cancelled = orders.filter(event_type="order_cancelled").select(ORDER)
    assert orders.filter(event_type="order_shipped").join(cancelled, on=ORDER, how="semi").is_empty()


def test_nothing_is_heard_of_a_parcel_after_the_door(deliveries):
    last = deliveries.group_by("site", "delivery_id").agg(
        pl.col("event_type").last(), (pl.col("event_type") == "delivered").sum().alias("n")
    )

    assert last.filter(pl.col("n") > 0)["event_type"].unique().to_list() == ["delivered"]
    assert last["n"].max() == 1
    assert set(last["event_type"]) <= {"delivered", "expired", "returned_to_sender"}


def test_every_ticket_is_of_an_order_and_of_a_person_that_there_are(told, orders, tickets):
    known = orders.select(ORDER).unique()
    people = pl.concat([told.truth.select("site", "visitor_id").unique(), told.truth.select("site", "visitor_id").clear()])

    assert tickets.filter(pl.col("order_id").is_not_null()).join(known, on=ORDER, how="anti").is_empty()
    assert tickets.filter(pl.col("visitor_id").is_not_null()).join(people, on=["site", "visitor_id"], how="anti").is_empty()
    opened = tickets.filter(event_type="ticket_opened")
    nobody = opened.select(pl.all_horizontal(pl.col("customer_id", "visitor_id", "order_id").is_null())).to_series()
    assert 0.0 < nobody.mean() < 0.05
    assert opened["ticket_id"].is_unique().all()


def test_a_ticket_begins_with_being_opened_and_is_answered_before_it_is_solved(tickets):
    asked = (
        tickets.filter(pl.col("ticket_id").is_not_null())
        .group_by("ticket_id", maintain_order=True)
        .agg(
            pl.col("event_type").first().alias("first"),
            pl.col("event_type").is_in(["agent_reply", "bot_reply"]).arg_max().alias("answered"),
            (pl.col("event_type") == "solved").arg_max().alias("solved"),
            (pl.col("event_type") == "solved").any().alias("is_solved"),
            (pl.col("event_type") == "customer_left").any().alias("has_left"),
        )
    )

    assert asked["first"].unique().to_list() == ["ticket_opened"]
    assert (asked.filter("is_solved")["answered"] < asked.filter("is_solved")["solved"]).all()
    assert (asked["is_solved"] != asked["has_left"]).all()
    assert asked["has_left"].sum() > 10


def test_what_is_said_of_tickets_is_what_happened_to_them(told, tickets):
    replies = first_of(tickets.filter(pl.col("ticket_id").is_not_null()), "agent_reply", "at", key="ticket_id")
    both = told.contacts.join(replies, on=["site", "ticket_id"], how="left")

    assert both["replied_at"].equals(both["at"])
    assert told.contacts.height == tickets["ticket_id"].n_unique() - 1  # those of none are the surveys


def test_service_is_good_or_bad_whatever_happened_before(told):
    first = told.contacts.filter(pl.col("nth") == 0)
    of_visits, of_cases = (first.filter(pl.col("case_id").is_null() == is_visit)["is_service_good"] for is_visit in (True, False))

    assert of_visits.mean() == pytest.approx(0.65, abs=0.1)
    assert of_cases.mean() == pytest.approx(0.65, abs=0.2)
    again = told.contacts.filter(pl.col("nth") == 1).height / first.height
    assert 0.05 < again < 0.35


def test_frictions_of_orders_and_tickets_are_events_that_there_are(told, orders, deliveries, tickets):
    ids = pl.concat([frame.select("event_id", "event_at") for frame in (orders, deliveries, tickets)])
    both = told.incidents.join(ids, on="event_id", how="left")

    assert both["event_at"].equals(both["at"])
    assert set(told.incidents["kind"]) == set(CASE_KINDS)
    assert told.incidents["is_clear"].mean() > 0.6
    shown = {kind: set(of["event_id"]) for (kind,), of in told.incidents.group_by("kind")}
    assert shown["failed_attempt"] == set(deliveries.filter(event_type="attempt_failed")["event_id"])
    assert shown["transferred"] == set(tickets.filter(event_type="transferred")["event_id"])
    assert shown["left_queue"] == set(tickets.filter(event_type="customer_left")["event_id"])
    assert shown["eta_slip"] == set(deliveries.filter(event_type="eta_changed")["event_id"])


def test_a_clear_slip_of_the_date_is_a_day_and_more(told, deliveries):
    slips = told.incidents.filter(kind="eta_slip").join(deliveries.select("event_id", "eta_at", "promised_at"), on="event_id")
    hours = (slips["eta_at"] - slips["promised_at"]).dt.total_hours()

    assert (hours.filter(slips["is_clear"]) >= 24).all()
    assert (slips["is_clear"]).mean() > 0.7


def test_the_cases_end_as_the_events_say(told, orders, deliveries):
    ends = {
        "cancelled": "order_cancelled",
        "accepted": "quote_accepted",
        "rejected": "quote_rejected",
        "completed": "onboarding_completed",
    }
    for outcome, event_type in ends.items():
        said = told.cases.filter(outcome=outcome).filter(pl.col("document_type") != "approval")
        assert set(said["case_id"]) == set(orders.filter(event_type=event_type)["order_id"]), outcome
    arrived = told.cases.filter(pl.col("delivered_at").is_not_null())
    assert arrived.height == deliveries.filter(event_type="delivered").height
    late = arrived.filter(pl.col("waited").list.contains("late_delivery"))
    assert (late["delivered_at"] > late["promised_at"]).all()
    assert (
        (arrived.filter(~pl.col("waited").list.contains("late_delivery")).select(pl.col("delivered_at") <= pl.col("promised_at")))
        .to_series()
        .all()
    )


def test_so_many_leave_for_good_because_of_what_they_met_as_is_said(told):
    """Pooled over all causes, for each is rare: those who met one and were not gone because of another before."""
    cases = told.cases.with_columns(pl.concat_list("met", "waited").alias("all"))
    causes = (
        cases.explode("all").filter(pl.col("all").is_in(list(LEAVE))).with_columns(pl.col("all").replace_strict(LEAVE).alias("p"))
    )
    expected = causes.group_by("case_id", "site").agg((1 - (1 - pl.col("p")).product()).alias("p"), pl.col("because").first())
    blamed = ~expected["because"].is_in(["", NO_REASON])
    off = (expected["p"] * (1 - expected["p"])).sum() ** 0.5

    assert expected.height > 60
    assert abs(blamed.sum() - expected["p"].sum()) < 4 * off
    calm = cases.join(expected, on=["case_id", "site"], how="anti")
    assert calm["left"].mean() == pytest.approx(LEAVE_FOR_NO_REASON, abs=0.07)
    assert set(calm["because"]) == {"", NO_REASON}


def test_who_left_for_good_never_comes_back_and_who_stays_does_by_a_rhythm_of_their_own(told):
    left, stays = told.customers.filter("left"), told.customers.filter(~pl.col("left"))

    assert left["came_back_at"].null_count() == left.height
    assert (left["journey"] != "").all()
    assert stays.filter(pl.col("came_back_at").is_not_null()).height > 0.5 * stays.height
    # Nobody who left is seen again: the visits of the person are over when the case is decided.
    whole = simulated(5, 80_000, days=25)
    gone = (
        whole.customers.filter("left")
        .select("site", "visitor_id", "case_id")
        .join(whole.cases.select("case_id", "visit_id", "site"), on=["site", "case_id"])
    )
    began = whole.truth.select("visit_id", pl.col("started_at").alias("then"))
    later = gone.join(began, on="visit_id").join(whole.truth.select("site", "visitor_id", "started_at"), on=["site", "visitor_id"])
    assert (later["started_at"] <= later["then"]).all()
    again = whole.orders.filter(event_type="order_placed").group_by("site", "visitor_id").agg(pl.col("order_id").n_unique())
    assert (again["order_id"] > 1).sum() > 5


def test_a_visit_knows_when_its_person_comes_back(told):
    began = told.truth.select("site", "visitor_id", pl.col("started_at").alias("came_back_at"))
    known = told.truth.filter(pl.col("came_back_at").is_not_null())
    last = told.truth["started_at"].max()
    found = known.filter(pl.col("came_back_at") < last - timedelta(hours=1)).join(
        began, on=["site", "visitor_id", "came_back_at"], how="left", coalesce=False
    )

    assert known.height > 1_000
    assert found["came_back_at_right"].null_count() / found.height < 0.02


def test_who_wrote_to_support_about_a_visit_is_named(told):
    named = told.truth.filter(pl.col("ticket_id").is_not_null()).join(told.contacts, on="ticket_id")

    assert named.height > 50
    assert (named["visit_id"] == named["visit_id_right"]).all()
    assert (named["opened_at"] > named["ended_at"]).all()
    hurt = told.truth.filter(pl.col("ended_by") != "")
    assert 0.07 < hurt["ticket_id"].is_not_null().mean() < 0.14
    assert set(told.contacts["about"]) <= {*KINDS, *CASE_KINDS, *WAITS, "how_to"}


def test_quotes_become_orders_after_approval(orders):
    children = orders.filter(pl.col("parent_id").is_not_null(), event_type="order_placed")
    accepted = first_of(orders, "quote_accepted", "accepted_at").rename({"order_id": "parent_id"})
    both = children.join(accepted, on=["site", "parent_id"], how="left")

    assert children.height > 5
    assert (both["event_at"] > both["accepted_at"]).all()
    assert children["account_id"].null_count() == 0
    quoted = orders.filter(event_type="quote_accepted").select(
        "site", pl.col("order_id").alias("parent_id"), pl.col("amount_minor").alias("quoted")
    )
    assert (children.join(quoted, on=["site", "parent_id"]).select(pl.col("amount_minor") == pl.col("quoted"))).to_series().all()


def test_all_families_come_late_and_twice(told):
    for name in OTHERS:
        events = getattr(told, name)
        late = (events["record_at"] - events["event_at"]).dt.total_seconds()
        assert events["record_at"].is_sorted(), name
        assert 0.03 < (late > 2).mean() < 0.1, name
        assert 0.01 < 1 - events["event_id"].n_unique() / events.height < 0.035, name


def test_the_same_seed_tells_the_same_stories_in_slices_of_any_length():
    simulator = Simulator(9, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=2_000)
    parts = [list(simulator.chapters(every, n_events=30_000, whole=True)) for every in (timedelta(days=1), timedelta(minutes=50))]

    for name in (*OTHERS, *TRUTHS):
        whole, sliced = (pl.concat([getattr(chapter, name) for chapter in chapters]) for chapters in parts)
        assert whole.height > 20, name
        assert_frame_equal(sliced, whole)


def test_what_follows_from_the_visits_that_were_told_is_told_to_its_end():
    simulator = Simulator(9, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=2_000)
    chapters = list(simulator.chapters(timedelta(hours=6), n_events=20_000, whole=True))
    truth, cases, events, orders = (
        pl.concat([getattr(chapter, name) for chapter in chapters]) for name in ("truth", "cases", "events", "orders")
    )

    assert events.height == 20_000
    assert set(cases["visit_id"]) <= set(truth["visit_id"])
    assert set(orders.filter(event_type="order_placed")["order_id"]) == set(cases.filter(document_type="order")["case_id"])
    assert "delivered" in set(cases["outcome"])


def test_a_longer_feed_goes_on_where_a_shorter_one_stopped():
    simulator = Simulator(9, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=2_000)
    short, long = (
        pl.concat([chapter.orders for chapter in simulator.chapters(timedelta(hours=6), n_events=n)]) for n in (60_000, 80_000)
    )

    assert 100 < short.height < long.height
    assert_frame_equal(short, long[: short.height])
