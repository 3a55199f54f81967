"""The simulated stream: the same for a seed, whatever the slices, and as disorderly as it says."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.simulator.arrivals import DAY_MS, arrivals
from pipeline.simulator.contract import CONTRACT, EVENTS
from pipeline.simulator.disorder import MOST_MS, Disorder
from pipeline.simulator.obstacles import Obstacle
from pipeline.simulator.shops import SHOPS, Shop
from pipeline.simulator.simulator import Simulated, Simulator, simulated
from pipeline.simulator.truth import FRICTIONS, TRUTH

START = datetime(2026, 11, 16, tzinfo=UTC)
QUIET = Disorder(late=0.0, twice=0.0)


@pytest.fixture(scope="module")
def told() -> Simulated:
    return simulated(11, 60_000)


def together(chapters) -> Simulated:
    parts = list(chapters)
    return Simulated(*(pl.concat([getattr(part, name) for part in parts]) for name in ("events", "truth", "frictions")))


def lateness_ms(events: pl.DataFrame) -> pl.Series:
    return (events["record_at"] - events["event_at"]).dt.total_milliseconds()


def silences_ms(events: pl.DataFrame) -> pl.DataFrame:
    """Time since the visitor's event before, of every event but the first."""
    once = events.unique("event_id", maintain_order=True).sort("visitor_id", "event_at")
    return once.with_columns(
        pl.col("event_at").diff().over("visitor_id").dt.total_milliseconds().alias("silence_ms"),
        (pl.col("session_id") == pl.col("session_id").shift(1).over("visitor_id")).alias("same_session"),
    ).drop_nulls("silence_ms")


@pytest.mark.parametrize("every", [timedelta(minutes=7), timedelta(hours=5)])
def test_the_slices_change_nothing(every):
    simulator = Simulator(5, START, visitors_per_day=2_000)

    whole = together(simulator.chapters(timedelta(days=1), n_events=15_000))
    sliced = together(simulator.chapters(every, n_events=15_000))

    assert_frame_equal(sliced.events, whole.events)
    assert_frame_equal(sliced.truth, whole.truth)
    assert_frame_equal(sliced.frictions, whole.frictions)


def test_a_shorter_feed_is_the_beginning_of_a_longer_one():
    simulator = Simulator(5, START, visitors_per_day=2_000)

    long = together(simulator.chapters(timedelta(hours=1), n_events=9_000))
    short = together(simulator.chapters(timedelta(hours=1), n_events=4_321))

    assert_frame_equal(short.events, long.events[:4_321])
    assert_frame_equal(short.truth, long.truth[: short.truth.height])


def test_whole_visits_are_those_of_the_stream(told):
    assert told.truth.drop("reached", "met").equals(simulated(11, 60_000).truth.drop("reached", "met"))
    assert told.events["event_id"].n_unique() == told.truth["n_events"].sum() >= 60_000


def test_another_seed_is_another_stream():
    first, second = (simulated(seed, 500).events for seed in (1, 2))

    assert set(first["event_id"]).isdisjoint(second["event_id"])


def test_the_stream_has_its_columns_and_comes_in_order_of_arrival(told):
    assert told.events.schema == EVENTS
    assert told.truth.schema == TRUTH
    assert told.frictions.schema == FRICTIONS
    assert told.events["record_at"].is_sorted()


def test_the_columns_are_those_of_the_contract():
    from pipeline.events import event_schema

    assert event_schema("clickstream") == CONTRACT


def test_every_event_says_what_the_contract_requires(told):
    from schemas.contracts import event_types

    assert set(told.events["event_type"]) <= set(event_types("clickstream"))
    assert not told.events.select("event_id", "event_type", "event_at", "site", "visitor_id").null_count().sum_horizontal().item()


def test_slices_of_wall_time_hold_what_arrived_in_them():
    simulator, every = Simulator(5, START, visitors_per_day=2_000), timedelta(minutes=20)

    for number, events in zip(range(30), simulator.slices(every), strict=False):
        assert events["record_at"].is_between(START + number * every, START + (number + 1) * every, closed="left").all()


def test_about_one_event_in_twenty_is_late_and_none_by_more_than_it_says(told):
    once = told.events.unique("event_id", keep="first", maintain_order=True)
    late = lateness_ms(once)

    assert 0.04 < (late > 2_000).mean() < 0.06
    assert (late > 60_000).mean() > 0.01
    assert late.min() > 0
    assert lateness_ms(told.events).max() <= MOST_MS


def test_one_event_in_fifty_comes_twice_and_says_the_same_again(told):
    copies = told.events.height - told.events["event_id"].n_unique()

    assert 0.017 < copies / told.events.height < 0.023
    assert told.events.drop("record_at").unique().height == told.events["event_id"].n_unique()


def test_without_disorder_everything_comes_once_and_in_time():
    events = simulated(4, 5_000, disorder=QUIET).events

    assert events["event_id"].is_unique().all()
    assert lateness_ms(events).max() <= 2_000


def test_half_the_visitors_send_no_session_id(told):
    visitors = told.events.group_by("visitor_id").agg(
        pl.col("session_id").is_null().any().alias("some"), pl.col("session_id").is_null().all().alias("all")
    )

    assert visitors.filter(pl.col("some") != pl.col("all")).is_empty()
    assert 0.45 < visitors["all"].mean() < 0.55


def test_one_visitor_in_fifty_is_a_bot_and_bots_buy_nothing(told):
    visitors = told.truth.group_by("visitor_id").agg(pl.col("is_bot").first())
    bots = told.truth.filter("is_bot")

    assert 0.01 < visitors["is_bot"].mean() < 0.03
    assert not bots.select(pl.any_horizontal("left", "converted").any()).item()
    assert set(bots["visitor_id"]) == set(told.events.filter(pl.col("is_bot").fill_null(value=False))["visitor_id"])


def test_pauses_within_a_visit_come_close_to_the_gap_and_pass_it_where_a_session_id_says_so(told):
    gap_ms = 1_800_000
    silences = silences_ms(told.events)
    within = silences.filter("same_session")["silence_ms"]
    anonymous = silences.filter(pl.col("session_id").is_null())["silence_ms"]

    assert (within > gap_ms).sum() > 5
    assert anonymous.is_between(gap_ms - 120_000, gap_ms - 1).sum() > 5
    assert anonymous.is_between(gap_ms + 1, gap_ms + 180_000).sum() > 5
    assert not anonymous.is_between(gap_ms - 29_000, gap_ms + 59_000).any()


def test_the_pauses_go_with_the_gap():
    told = simulated(9, 8_000, session_gap=timedelta(minutes=10), long_pauses=0.2)
    anonymous = silences_ms(told.events).filter(pl.col("session_id").is_null())["silence_ms"]

    assert not anonymous.is_between(571_000, 659_000).any()


def test_the_day_has_its_peak_in_the_evening_of_its_shop():
    begin_ms = int(START.timestamp() * 1000)

    for shop in SHOPS:
        came = pl.Series(arrivals(np.random.default_rng(3), shop, begin_ms, begin_ms + 7 * DAY_MS)).cast(EVENTS["event_at"])
        of_hour = np.bincount((came + shop.utc_offset).dt.hour(), minlength=24)
        assert of_hour[19:22].mean() > 4 * of_hour[2:5].mean()
        assert of_hour[11:14].mean() > 2 * of_hour[2:5].mean()
        assert len(came) == pytest.approx(7 * shop.visitors_per_day, rel=0.03)


def test_the_weekend_is_busier_than_the_days_before():
    begin_ms = int(START.timestamp() * 1000)
    came = pl.Series(arrivals(np.random.default_rng(3), SHOPS[0], begin_ms, begin_ms + 7 * DAY_MS)).cast(EVENTS["event_at"])

    of_day = np.bincount((came + SHOPS[0].utc_offset).dt.weekday(), minlength=8)
    assert of_day.argmax() == 7


def test_the_stream_follows_the_day():
    busy, quiet = (
        next(Simulator(3, datetime(2026, 11, 16, hour, tzinfo=UTC), visitors_per_day=8_000).slices(timedelta(hours=1))).height
        for hour in (19, 3)
    )

    assert busy > 2 * quiet


def test_a_larger_shop_has_more_visitors():
    sites = simulated(2, 20_000).truth.unique("visitor_id")["site"].value_counts()
    counted = dict(sites.iter_rows())

    assert 1.5 < counted["atlantic"] / counted["pacific"] < 3.0


def test_people_hold_many_devices_and_say_the_same_one_all_visit_long(told):
    per_visit = (
        told.events.join(told.truth.select("visitor_id"), on="visitor_id", how="semi")
        .group_by("visitor_id")
        .agg(pl.col("device", "os", "country").n_unique())
    )

    assert set(told.events["device"]) == {"mobile", "desktop", "tablet", "app", "other"}
    assert (per_visit.select("device", "os", "country") == 1).to_numpy().all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": -1}, "seed"),
        ({"start_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - that it has none is the point
        ({"session_gap": timedelta(minutes=1)}, "5 min"),
        ({"bots": 1.5}, "shares"),
        ({"shops": ()}, "shops"),
    ],
)
def test_a_simulator_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Simulator(**{"seed": 1, "start_at": START, **wrong})


def test_parts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="unknown kind"):
        Obstacle("rain", while_exploring=0.1, while_buying=0.1, makes_leave=0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Obstacle("slow_page", while_exploring=0.1, while_buying=0.1, makes_leave=1.1)
    with pytest.raises(ValueError, match="shares"):
        Disorder(late=-0.1)
    with pytest.raises(ValueError, match="must not be negative"):
        Shop("empty", -1.0, "EUR", (), timedelta(), says_no_bot=True)
