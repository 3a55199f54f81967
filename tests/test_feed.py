"""What the simulator says, in a folder, and how a feed keeps time and stops."""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import repeat

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from agents.event_files import lines
from agents.feed import FRAMES, SLICE_S, TRUTHS, Fed, _paced, to_folder, to_kafka
from agents.feed_command import STARTS_AT, into_folder, scenario_of
from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.contract import CONTRACT
from pipeline.simulator.entries import contract_of
from pipeline.simulator.simulator import Simulator

SIMULATOR = Simulator(5, datetime(2026, 11, 16, tzinfo=UTC), visitors_per_day=2_000)
N = 4_000
TIMES = ("event_at", "sent_at")


def simulated_events(n=N) -> pl.DataFrame:
    return pl.concat(list(SIMULATOR.slices(timedelta(days=1), n_events=n))).select(CONTRACT.names())


def test_a_folder_holds_what_was_simulated_in_order_of_arrival(tmp_path):
    fed = to_folder(SIMULATOR, tmp_path, n_events=N, formats=("ndjson", "parquet"))
    written = pl.read_ndjson(tmp_path / "clickstream.ndjson", schema=CONTRACT | dict.fromkeys(TIMES, pl.String))

    assert fed.n == N
    assert fed.seconds > 0
    assert_frame_equal(
        written.with_columns(pl.col(*TIMES).str.to_datetime("%+", time_unit="ms", time_zone="UTC")), simulated_events()
    )
    assert_frame_equal(pl.read_parquet(tmp_path / "clickstream.parquet"), simulated_events())


def test_a_line_says_only_what_is_there(tmp_path):
    to_folder(SIMULATOR, tmp_path, n_events=50)
    records = [json.loads(line) for line in (tmp_path / "clickstream.ndjson").read_text().splitlines()]

    assert len(records) == 50
    assert all(None not in record.values() for record in records)
    assert all(datetime.fromisoformat(record["event_at"]).utcoffset() == timedelta() for record in records)
    assert not any("record_at" in record for record in records)


def test_the_truth_lies_in_a_folder_of_its_own(tmp_path):
    to_folder(SIMULATOR, tmp_path, n_events=N)
    chapters = list(SIMULATOR.chapters(timedelta(days=1), n_events=N))
    visits = [json.loads(line) for line in (tmp_path / "truth" / "visits.ndjson").read_text().splitlines()]
    frictions = [json.loads(line) for line in (tmp_path / "truth" / "frictions.ndjson").read_text().splitlines()]

    assert {path.name for path in tmp_path.iterdir()} == {
        "clickstream.ndjson",
        "order.ndjson",
        "delivery.ndjson",
        "ticket.ndjson",
        "truth",
    }
    assert [visit["visit_id"] for visit in visits] == [one for chapter in chapters for one in chapter.truth["visit_id"]]
    assert [friction["event_id"] for friction in frictions] == [
        one for chapter in chapters for one in chapter.frictions["event_id"]
    ]
    assert len(frictions) > 10


def test_the_other_families_are_written_until_their_stories_are_over(tmp_path):
    fed = to_folder(SIMULATOR, tmp_path, n_events=20_000, formats=("ndjson", "parquet"))
    chapters = list(SIMULATOR.chapters(timedelta(days=1), n_events=20_000, whole=True))

    for family, frame in FRAMES.items():
        events = pl.concat([getattr(chapter, frame) for chapter in chapters]).select(contract_of(family).names())
        lines_of = (tmp_path / f"{family}.ndjson").read_text().splitlines()
        assert_frame_equal(pl.read_parquet(tmp_path / f"{family}.parquet"), events)
        assert [json.loads(line)["event_id"] for line in lines_of] == events["event_id"].to_list()
        assert family == "clickstream" or fed.others[family] == events.height > 20
    cases = [json.loads(line) for line in (tmp_path / "truth" / "cases.ndjson").read_text().splitlines()]
    assert len(cases) == sum(chapter.cases.height for chapter in chapters) > 10


def test_the_truth_can_be_one_file_whose_lines_say_what_they_are_of(tmp_path):
    to_folder(SIMULATOR, tmp_path / "shop", n_events=40_000, truth=tmp_path / "truth.ndjson")
    said = [json.loads(line) for line in (tmp_path / "truth.ndjson").read_text().splitlines()]

    for name in TRUTHS:
        apart = [json.loads(line) for line in (tmp_path / "shop" / "truth" / f"{name}.ndjson").read_text().splitlines()]
        assert [line for line in said if line["truth"] == name] == [{"truth": name, **line} for line in apart]
        assert apart


def test_a_shop_may_be_small_and_well_for_days_before_something_goes_wrong(tmp_path):
    scenario = scenario_of("payment_outage").after(20 * HOUR_MS)
    into_folder(tmp_path, 1, None, 10_000, scenario=scenario, visitors_per_day=200)
    visits = pl.read_ndjson(tmp_path / "truth" / "visits.ndjson", infer_schema_length=None)
    hit = visits.filter(pl.col("shock") != "")["started_at"].str.to_datetime(time_zone="UTC")

    assert hit.len() > 5
    assert hit.min() >= STARTS_AT + timedelta(hours=22)


def test_a_second_feed_replaces_the_first(tmp_path):
    to_folder(SIMULATOR, tmp_path, n_events=N)
    to_folder(SIMULATOR, tmp_path, n_events=10)

    assert len((tmp_path / "clickstream.ndjson").read_text().splitlines()) == 10


def test_an_absent_field_is_left_out_whatever_stands_in_the_others():
    hostile = pl.DataFrame({"id": ['a,"b":null', 'c",', "null"], "x": [None, "", ',"x":null'], "y": [None, None, 1]})

    said = [json.loads(line) for line in lines(hostile).splitlines()]

    assert said == [{"id": 'a,"b":null'}, {"id": 'c",', "x": ""}, {"id": "null", "x": ',"x":null', "y": 1}]


def test_an_absent_field_is_left_out_where_it_is_the_first():
    first = pl.DataFrame({"id": [None, "{", None], "x": [1, None, None]}, schema={"id": pl.String, "x": pl.Int64})

    assert [json.loads(line) for line in lines(first).splitlines()] == [{"x": 1}, {"id": "{"}, {}]


@pytest.mark.parametrize("formats", [(), ("csv",)])
def test_an_unknown_format_is_refused(tmp_path, formats):
    with pytest.raises(ValueError, match="ndjson, parquet"):
        to_folder(SIMULATOR, tmp_path, n_events=1, formats=formats)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_feed_with_whole_files(tmp_path, number):
    before = signal.getsignal(number)
    file = tmp_path / "clickstream.ndjson"

    def interrupt():
        until = time.monotonic() + 60
        while not (file.exists() and file.stat().st_size) and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt, daemon=True).start()
    fed = to_folder(SIMULATOR, tmp_path, n_events=100_000_000)

    assert 0 < fed.n < 100_000_000
    assert len((tmp_path / "clickstream.ndjson").read_bytes().splitlines()) == fed.n
    assert signal.getsignal(number) is before


def test_who_gives_an_event_stops_the_feed_by_it(tmp_path):
    stop = threading.Event()
    stop.set()

    assert to_folder(SIMULATOR, tmp_path, n_events=N, stop=stop).n == 0


def test_a_paced_feed_sends_a_slice_when_its_time_is_over():
    began = time.monotonic()
    sent = [time.monotonic() - began for _ in _paced(iter(range(3)), threading.Event())]

    assert sent == pytest.approx([SLICE_S, 2 * SLICE_S, 3 * SLICE_S], abs=0.2)
    assert all(at >= number * SLICE_S for number, at in enumerate(sent, start=1))


def test_a_paced_feed_that_is_stopped_does_not_wait():
    stop = threading.Event()
    stop.set()
    began = time.monotonic()

    assert [number for number, _ in zip(range(100), _paced(repeat(pl.DataFrame()), stop), strict=False)][-1] == 99
    assert time.monotonic() - began < SLICE_S


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_at_which_time_stands_still_is_refused(speed):
    with pytest.raises(ValueError, match="above 0"):
        to_kafka(SIMULATOR, "127.0.0.1:1", "clickstream", 1, speed=speed)


def test_the_rate_of_a_feed_is_its_events_a_second():
    assert Fed(n=500, seconds=2.0).per_s == 250.0
    assert Fed(n=500, seconds=2.0, others={"order": 100}).per_s == 300.0
