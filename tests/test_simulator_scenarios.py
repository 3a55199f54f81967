"""Shocks: they are there when they go on, hit whom they say, and are named in the truth."""

from datetime import timedelta

import polars as pl
import pytest

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.scenarios import CALM, SCENARIOS, Scenario, Shock, Weather
from pipeline.simulator.simulator import Simulated, simulated

N = 120_000
NAMES = ("payment_outage", "slow_mobile", "broken_coupon", "late_parcels", "silent_carrier", "rfq_stall", "support_flood")


@pytest.fixture(scope="module")
def calm() -> Simulated:
    return simulated(15, N)


def shocked(name) -> Simulated:
    return simulated(15, N, scenario=SCENARIOS[name])


def test_the_scenarios_are_those_that_are_promised():
    assert set(SCENARIOS) == {"calm", *NAMES}
    assert not CALM.shocks
    assert all(len(SCENARIOS[name].shocks) == 1 for name in NAMES)


def test_a_shock_comes_every_day_at_its_hours_and_never_before():
    weather = Weather(Scenario("one", pages=Shock("one", begins_ms=2 * HOUR_MS, lasts_ms=HOUR_MS)), opened_ms=1_000 * DAY_MS)
    at = pl.Series([-22.5, 1.9, 2.0, 2.9, 3.0, 26.5, 27.5]) * HOUR_MS + 1_000 * DAY_MS

    hits = weather.hits(weather.scenario.pages, at.cast(pl.Int64).to_numpy())

    assert hits.tolist() == [False, False, True, True, False, True, False]


def test_calm_weather_shocks_nobody(calm):
    for frame in (calm.truth, calm.frictions, calm.cases, calm.contacts):
        assert set(frame["shock"]) == {""}


@pytest.mark.parametrize(
    ("name", "kind"), [("payment_outage", "payment_failed"), ("slow_mobile", "slow_page"), ("broken_coupon", "coupon_rejected")]
)
def test_a_shock_of_the_page_is_met_by_those_whom_it_hits(calm, name, kind):
    told = shocked(name)
    hit = told.truth.filter(pl.col("shock") == name)
    met = told.frictions.filter(kind=kind)

    assert 0.05 < hit.height / told.truth.height < 0.5
    assert met.filter(shock=name).height > 0.3 * met.height
    assert met.height > 1.5 * calm.frictions.filter(kind=kind).height
    assert (hit["because"] == kind).sum() > 3
    # By the truth, the hours are those of the shock.
    hours = (hit["started_at"] - told.truth["started_at"].min()).dt.total_minutes() / 60 % 24
    assert hours.is_between(1.5, 8.1).all()
    assert not hit["is_bot"].any()


def test_only_phones_are_slow_when_phones_are():
    told = shocked("slow_mobile")
    device = told.events.unique("visitor_id").select("visitor_id", "device")
    hit = told.frictions.filter(shock="slow_mobile", kind="slow_page").join(device, on="visitor_id")

    assert set(hit["device"]) == {"mobile"}


def test_parcels_are_late_when_they_leave_in_the_wrong_hours(calm):
    told = shocked("late_parcels")
    hit = told.cases.filter(shock="late_parcels")

    assert hit.height > 20
    assert hit["met"].list.contains("eta_slip").all()
    assert hit["waited"].list.contains("late_delivery").mean() > 0.5
    late, before = (
        some.cases.filter(document_type="order")["waited"].list.contains("late_delivery").mean() for some in (told, calm)
    )
    assert late > 3 * before


def test_a_carrier_that_is_silent_scans_once_and_then_not_for_days():
    told = shocked("silent_carrier")
    scans = told.deliveries.filter(pl.col("event_type") != "info_received").sort("event_at")
    gaps = scans.group_by("site", "delivery_id", maintain_order=True).agg(
        pl.col("carrier").first(),
        pl.col("order_id").drop_nulls().first(),
        pl.col("event_at").diff().get(1, null_on_oob=True).alias("gap"),
    )
    unheard = gaps.filter(pl.col("gap") > timedelta(days=4))
    hit = told.cases.filter(shock="silent_carrier")

    assert hit.height > 20
    assert set(unheard["carrier"]) == {"dpd"}
    assert hit["waited"].list.contains("late_delivery").mean() > 0.8


def test_a_scenario_may_begin_later():
    later = SCENARIOS["slow_mobile"].after(3 * DAY_MS)

    assert [shock.begins_ms for shock in later.shocks] == [3 * DAY_MS + 2 * HOUR_MS]
    assert (later.name, later.pages.device) == ("slow_mobile", "mobile")


def test_requests_lie_about_when_sales_stalls():
    told = simulated(16, 2 * N, scenario=SCENARIOS["rfq_stall"])
    hit = told.cases.filter(shock="rfq_stall")

    assert hit.height > 3
    assert set(hit["document_type"]) == {"rfq"}
    assert hit["waited"].list.contains("slow_quote").all()
    quoted = told.orders.filter(event_type="quote_received").group_by("site", "order_id").agg(pl.col("event_at").min())
    answered = hit.join(quoted, left_on=["site", "case_id"], right_on=["site", "order_id"])
    assert (answered["event_at"] - answered["began_at"] > timedelta(days=2)).all()


def test_many_more_write_and_are_served_badly_when_support_is_flooded(calm):
    told = shocked("support_flood")
    hit, others = (told.contacts.filter((pl.col("shock") != "") == is_hit) for is_hit in (True, False))

    assert told.contacts.height > 1.5 * calm.contacts.height
    assert hit.height > 50
    assert hit["is_service_good"].mean() < 0.3
    assert others["is_service_good"].mean() > 0.5
    assert hit["has_left"].mean() > 1.5 * calm.contacts["has_left"].mean()
    # The journey is what it was.
    assert (told.truth["ended_by"] != "").mean() == pytest.approx((calm.truth["ended_by"] != "").mean(), abs=0.02)
