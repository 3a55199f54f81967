"""Replay: files through the folds into ClickHouse, in event time."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from agents.input_files import file_plans, input_files
from agents.mapping import plans, read_mappings
from agents.mapping_engine import MappingEngine
from agents.replay import Replay, Until
from agents.replay_look import looked_at
from agents.replay_store import ReplayStore
from agents.store_claim import Kind, StoreClaimed, claim
from pipeline.checks import Bounds
from pipeline.frames import TABLES
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from sinks.failures import WriteFailed

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[1] / "deploy" / "mappings" / "rees46"


def event(minute, event_type, visitor_id="v1", **fields):
    at = START + timedelta(minutes=minute)
    return {
        "event_id": f"{visitor_id}-{minute}",
        "event_type": event_type,
        "event_at": at.isoformat(),
        "site": "s",
        "visitor_id": visitor_id,
        **fields,
    }


LEFT = [event(0, "view_item"), event(5, "add_to_cart", amount_minor=1_000, currency="EUR")]
BOUGHT = [event(1, "add_to_cart", "v2"), event(9, "purchase", "v2")]


@contextmanager
def engine_and_plans(folder, events) -> Iterator:
    (folder / "clickstream.ndjson").write_text("\n".join(json.dumps(each) if isinstance(each, dict) else each for each in events))
    with MappingEngine(folder) as engine:
        yield engine, file_plans(input_files([folder]), engine)


def replayed(store, folder, events, until="end"):
    """Replay these events, and look into the store afterwards."""
    with engine_and_plans(folder, events) as (engine, found), store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100_000)
        tables.open()
        fold = SessionsFold(SessionRules(store_events=True))
        return Replay(found, (fold,), Bounds(), Until.parsed(until)).run(engine, tables)


def statuses(store):
    found = store.query("SELECT visitor_id, status FROM sessions_now ORDER BY visitor_id")
    return dict(found.rows())


def test_what_was_left_and_what_was_bought_is_told_apart(store, tmp_path):
    done = replayed(store, tmp_path, LEFT + BOUGHT)

    assert statuses(store) == {"v1": "abandoned", "v2": "converted"}
    assert done.fates == {"applied": 4, "rejected": 0}
    assert done.tables == done.tables | {
        "sessions": 2,
        "events": 4,
        "outcomes": 1,
        "dead_letters": 0,
    }
    assert store.query("SELECT abandoned_step, cart_value_minor FROM sessions_now WHERE visitor_id = 'v1'").row(0) == (
        "cart",
        1_000,
    )


def test_a_server_takes_the_same_rows(server_store, tmp_path):
    done = replayed(server_store, tmp_path, [*LEFT, *BOUGHT, "{cut off"])

    assert statuses(server_store) == {"v1": "abandoned", "v2": "converted"}
    assert (done.tables["events"], done.tables["dead_letters"]) == (4, 1)


def test_files_need_not_be_in_order(store, tmp_path):
    done = replayed(store, tmp_path, [*reversed(LEFT), *reversed(BOUGHT)])

    assert done.fates["too_late"] == 0
    assert statuses(store) == {"v1": "abandoned", "v2": "converted"}


def test_every_row_is_applied_duplicate_or_rejected(store, tmp_path):
    events = [
        *LEFT,
        LEFT[0],
        event(6, "no_such_type"),
        "{cut off",
        event(7, "click", quantity="many"),
        {**event(8, "click"), "site": ""},
    ]

    done = replayed(store, tmp_path, events)

    assert done.summary()["fates"] == {"applied": 2, "duplicate": 1, "rejected": 4, "too_late": 0}
    assert done.reasons == {"unknown_type": 1, "undecodable": 2, "missing_field": 1}
    letters = store.query(
        "SELECT cluster_id, topic, `offset`, reason, received_at, payload FROM dead_letters_now ORDER BY `offset`"
    )
    assert letters.select("cluster_id", "topic").unique().rows() == [("replay", "clickstream.ndjson")]
    assert letters.filter(pl.col("reason") == "unknown_type")["received_at"][0] == START + timedelta(minutes=6)
    assert json.loads(letters.filter(pl.col("reason") == "unknown_type")["payload"][0])["event_id"] == "v1-6"


@pytest.mark.parametrize(
    ("until", "status"),
    [
        ("end", "abandoned"),
        ("last", "open"),
        ("2026-03-01T10:35:00Z", "open"),
        ("2026-03-01T10:35:00.001Z", "abandoned"),
        ("2026-03-01T11:35:00.001+01:00", "abandoned"),
        ("2026-03-01T10:36:00", "abandoned"),
    ],
)
def test_time_goes_on_as_far_as_it_is_told(store, tmp_path, until, status):
    replayed(store, tmp_path, LEFT, until)

    assert statuses(store) == {"v1": status}


def test_what_happened_after_the_time_until_has_not_happened(store, tmp_path):
    done = replayed(store, tmp_path, LEFT + BOUGHT, "2026-03-01T10:01:00Z")

    assert statuses(store) == {"v1": "open", "v2": "open"}
    assert (done.fates["applied"], done.n_after) == (2, 2)


@pytest.mark.parametrize("until", ["", "tomorrow", "END"])
def test_a_time_until_that_is_none_is_an_error(until):
    with pytest.raises(ValueError, match="end, last, or a time"):
        Until.parsed(until)


def test_a_replay_that_is_run_again_changes_nothing(store, tmp_path):
    events = [*LEFT, *BOUGHT, "{cut off"]
    first = replayed(store, tmp_path, events)
    before = {name: shown(store, name) for name in TABLES}

    again = replayed(store, tmp_path, events)

    assert again.tables == first.tables
    for name in TABLES:
        assert shown(store, name).equals(before[name]), name


def shown(store, table):
    """What the view says, less what tells when it was said."""
    columns = [name for name in TABLES[table].schema if name != "received_at"]
    return store.query(f"SELECT {', '.join(f'`{name}`' for name in columns)} FROM {table}_now").sort(TABLES[table].key)


def test_a_store_that_a_worker_writes_is_refused(store, tmp_path):
    with store.open() as clickhouse:
        claim(clickhouse.client(), store.database, Kind.WORKER, "cluster/ebbtide")

    with pytest.raises(StoreClaimed, match=r"a worker [(]cluster/ebbtide[)] writes database"):
        replayed(store, tmp_path, LEFT)
    assert store.query("SELECT count() AS n FROM sessions")["n"][0] == 0


def test_families_that_nothing_folds_are_counted(store, tmp_path):
    done = replayed(store, tmp_path, [*LEFT, {**event(1, "order_placed"), "family": "order", "order_id": "o"}])

    assert done.unused == {"order": 1}
    assert done.fates["applied"] == 2


def bought(at, event_type, **fields):
    """An event of order o1 or of its parcel p1."""
    family = "delivery" if "delivery_id" in fields and "order_id" not in fields else "order"
    ids = {} if family == "delivery" else {"order_id": "o1", "customer_id": "anna"}
    when = (START + timedelta(days=at)).isoformat()
    return {
        "event_id": f"{event_type}-{at}",
        "event_type": event_type,
        "event_at": when,
        "site": "s",
        "family": family,
        **ids,
        **fields,
    }


def test_orders_and_deliveries_are_one_story_whichever_file_they_lie_in(store, tmp_path):
    """A parcel that knows no order, its order in another file, rows in no order; and one row too many that nobody can read."""
    orders = [
        bought(0.3, "order_shipped", delivery_id="p1", order_id="o1"),
        bought(0, "order_placed", promised_at=(START + timedelta(days=2)).isoformat()),
        bought(0.1, "order_placed", order_id=None),
    ]
    scans = [
        bought(5, "delivered", delivery_id="p1"),
        bought(0.5, "in_transit", delivery_id="p1"),
        bought(1, "delivered", delivery_id="p2"),  # so the shop is known to tell deliveries
    ]
    for name, rows in {"orders": orders, "scans": scans, "clicks": [{**each, "family": "clickstream"} for each in LEFT]}.items():
        (tmp_path / f"{name}.ndjson").write_text("\n".join(map(json.dumps, rows)))
    with MappingEngine(tmp_path) as engine, store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100_000)
        tables.open()
        folds = SessionsFold(SessionRules(store_events=True)), FulfilmentFold(FulfilmentRules(store_events=True))
        done = Replay(file_plans(input_files([tmp_path]), engine), folds, Bounds(), Until.parsed("end")).run(engine, tables)

    assert store.query("SELECT order_id, status, is_late, n_updates FROM cases_now").rows() == [("o1", "delivered", 1, 2)]
    assert store.query("SELECT delivery_id, order_id, linked_by FROM deliveries_now ORDER BY 1").rows() == [
        ("p1", "o1", "order"),
        ("p2", "", "unlinked"),
    ]
    assert store.query("SELECT status FROM outcomes_now WHERE expectation = 'delivered_by_promise'").rows() == [("recovered",)]
    assert store.query("SELECT family, count() FROM events_now GROUP BY family ORDER BY family").rows() == [
        ("clickstream", 2),
        ("delivery", 3),
        ("order", 2),
    ]
    assert done.unused == {}
    assert done.summary()["fates"] == {"applied": 7, "duplicate": 0, "rejected": 1, "too_late": 0}
    assert done.tables["cases"] == 1


def test_nothing_to_read_is_nothing_to_write(store, tmp_path):
    done = replayed(store, tmp_path, [])

    assert done.rowless == {"clickstream.ndjson"}
    assert sum(done.fates.values()) == 0
    assert set(done.tables.values()) == {0}


class Busy:
    """A store that is busy at first, and then takes rows."""

    database = "any"

    def __init__(self, failures):
        self.failures, self.taken = list(failures), []

    def write(self, table, rows, *, token):
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((table, rows.height, token))


def test_a_store_that_is_busy_is_waited_for():
    busy, waited = Busy([WriteFailed("busy", code=202)] * 2), []
    store = ReplayStore(busy, batch_rows=1, sleep=waited.append)

    store.put({"identities": pl.DataFrame([{"site": "s"}], schema=TABLES["identities"].schema)})

    assert [row[:2] for row in busy.taken] == [("identities", 1)]
    assert len(waited) == 2


def test_a_store_that_must_be_repaired_is_not_waited_for():
    store = ReplayStore(Busy([WriteFailed("no table", code=60)]), batch_rows=1)

    with pytest.raises(WriteFailed, match="no table"):
        store.put({"identities": pl.DataFrame([{"site": "s"}], schema=TABLES["identities"].schema)})


def test_rows_are_written_in_large_batches_each_under_a_name_of_its_own():
    busy = Busy([])
    store = ReplayStore(busy, batch_rows=3)

    for _ in range(4):
        store.put({"identities": pl.DataFrame([{"site": "s"}] * 2, schema=TABLES["identities"].schema)})
    store.flush()
    store.flush()

    assert [row[1] for row in busy.taken] == [4, 4]
    assert len({row[2] for row in busy.taken}) == 2


def test_a_look_says_what_would_be_read_and_writes_nothing(tmp_path):
    with engine_and_plans(tmp_path, [*LEFT, *BOUGHT, "{cut off", event(6, "no_such_type")]) as (engine, found):
        look = looked_at(found, engine, Bounds(), first=2)

    said = look.summary()
    assert said["events"] == {"clickstream": {"add_to_cart": 2, "purchase": 1, "view_item": 1}}
    assert said["rejects"] == {"unknown_type": 1, "undecodable": 1}
    assert [row["event_id"] for row in said["first"]["clickstream"]] == ["v1-0", "v2-1"]
    assert (said["from"], said["to"]) == (START, START + timedelta(minutes=9))
    assert sorted(letter["offset"] for letter in said["wrong"]) == [5, 5]
    assert (said["rows"], said["empty"]) == ({"clickstream.ndjson": 5}, {})


def test_a_look_shows_some_rows_of_each_reason_and_counts_all(tmp_path):
    """However many there are of one, the other is seen."""
    many = [event(6, "no_such_type", f"v{n}") for n in range(9)]
    with engine_and_plans(tmp_path, [*many, {**event(7, "click"), "site": ""}]) as (engine, found):
        look = looked_at(found, engine, Bounds(), first=2)

    place = "clickstream.ndjson"
    assert look.places == {(place, "unknown_type"): 9, (place, "missing_field"): 1}
    assert look.wrong["reason"].to_list() == ["unknown_type", "unknown_type", "missing_field"]


def test_a_look_names_what_gives_no_row_and_fields_that_are_null_in_all(tmp_path):
    query = "SELECT 'order' AS family, 's' AS site, now() AS event_at, 'order_placed' AS event_type, 'o' AS order_id, {} AS carrier FROM numbers(2)"
    for name, rest in {"never": "'x'", "empty": "''", "half": "if(number = 0, 'x', '')"}.items():
        (tmp_path / f"{name}.sql").write_text(query.format(rest) + (" WHERE 0" if name == "never" else ""))
    with MappingEngine(tmp_path) as engine:
        look = looked_at(plans(read_mappings(tmp_path), engine), engine, Bounds(), first=2)

    assert look.summary()["rows"] == {"empty.sql": 2, "half.sql": 2, "never.sql": 0}
    assert look.summary()["empty"] == {"empty.sql": ["carrier"]}


@pytest.mark.skipif("REES46_CSV" not in os.environ, reason="REES46_CSV names no extract of the public data set")
@pytest.mark.parametrize(
    ("mapping", "sessions", "distinct", "with_cart", "converted", "abandoned", "duplicates"),
    [("as it ships", 5_067, 5_066, 118, 200, 53, 5), ("without session ids", 4_518, None, 111, 193, 49, 6)],
)
def test_a_real_shop_has_the_sessions_that_were_counted_by_hand(
    store, tmp_path, mapping, sessions, distinct, with_cart, converted, abandoned, duplicates
):
    """2 h 50 min of a shop, 17,434 rows and one that is cut off; a session id is used by two visitors."""
    data, mappings = Path(os.environ["REES46_CSV"]), tmp_path / "mappings"
    mappings.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / data.name).symlink_to(data)
    lines = (EXAMPLE / "events.sql").read_text().splitlines(keepends=True)
    dropped = "session_id" if mapping == "without session ids" else "nothing"
    (mappings / "events.sql").write_text("".join(line for line in lines if dropped not in line))

    with MappingEngine(tmp_path / "data") as engine, store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100_000)
        tables.open()
        fold = SessionsFold(SessionRules(store_events=True))
        done = Replay(plans(read_mappings(mappings), engine), (fold,), Bounds(), Until()).run(engine, tables)

    assert done.summary()["fates"] == {"applied": 17_434 - duplicates, "duplicate": duplicates, "rejected": 1, "too_late": 0}
    found = store.query(
        "SELECT count() AS n, uniqExact(session_id) AS ids, countIf(has(steps, 'cart')) AS carts, "
        "countIf(status = 'converted') AS converted, countIf(status = 'abandoned') AS abandoned FROM sessions_now"
    ).row(0, named=True)
    assert (found["n"], found["carts"], found["converted"], found["abandoned"]) == (sessions, with_cart, converted, abandoned)
    assert distinct in (None, found["ids"])
    assert done.tables["dead_letters"] == 1
