"""Mappings and files as one stream of events, by the embedded engine in a child process."""

import gzip
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import polars as pl
import pytest

from agents.input_files import file_plans, input_files
from agents.mapping import plans, read_mappings, stream
from agents.mapping_engine import MappingEngine, QueryFailed
from agents.mapping_words import MappingWrong
from agents.replayed_events import Judge, unparsed
from pipeline.checks import Bounds
from pipeline.events import POSITION, event_schema
from pipeline.frames import DEAD_LETTERS
from schemas.contracts import FAMILIES, examples, schema

STRUCTURE = "'at DateTime, kind String, who String, n String'"
ORDERS = f"""
SELECT 'order' AS family, 'shop' AS site, at AS event_at, kind AS event_type, who AS order_id, toInt64OrNull(n) AS n_items
FROM file('orders.csv', CSVWithNames, {STRUCTURE})
"""
CLICKS = """
SELECT 'clickstream' AS family, 'shop' AS site, at AS event_at, 'page_view' AS event_type, who AS visitor_id
FROM file('clicks*.csv', CSVWithNames, 'at DateTime, who String')
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One process for all: each takes half a second to start."""
    with MappingEngine(tmp_path_factory.mktemp("data")) as engine:
        yield engine


@pytest.fixture
def folder(engine):
    """The data folder, with nothing but these files in it."""
    for path in engine.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (engine.folder / "orders.csv").write_text(
        "at,kind,who,n\n2026-01-01 10:00:00 UTC,order_placed,o1,2\n2026-01-01 09:00:00 UTC,order_placed,o2,\n"
    )
    (engine.folder / "clicks.csv").write_text("at,who\n2026-01-01 09:30:00,v1\n")
    return engine.folder


@pytest.fixture
def planned(engine, folder):
    """Mappings by name -> what was planned of them."""

    def plan(**queries):
        written = folder / "mappings"
        written.mkdir(exist_ok=True)
        for name, query in queries.items():
            (written / f"{name}.sql").write_text(query)
        return plans(read_mappings(written), engine)

    return plan


def read(engine, found):
    """All rows, judged: events by family, dead letters."""
    bad = Path(tempfile.mkdtemp(dir=engine.scratch))
    judge = Judge(Bounds())
    batches = [judge.batch(raw) for raw in engine.batches(stream(found, bad))]
    events = {
        family: pl.concat([batch.events[family] for batch in batches if family in batch.events])
        for family in FAMILIES
        if any(family in batch.events for batch in batches)
    }
    letters = pl.concat([*(batch.rejects for batch in batches), unparsed(bad, found)])
    assert list(letters.schema.items()) == list(DEAD_LETTERS.schema.items())
    for family, frame in events.items():
        assert frame.schema == pl.Schema({**event_schema(family), **POSITION})
    return events, letters


@pytest.fixture
def read_queries(engine, planned):
    """Mappings by name -> events by family, dead letters."""
    return lambda **queries: read(engine, planned(**queries))


@pytest.fixture
def read_files(engine):
    """Paths -> events by family, dead letters."""
    return lambda *paths: read(engine, file_plans(input_files(paths), engine))


@pytest.fixture
def refusal(planned):
    """Mappings by name -> what is said of them."""

    def refused(**queries):
        with pytest.raises(MappingWrong) as told:
            planned(**queries)
        return str(told.value)

    return refused


def test_all_mappings_are_one_stream_in_order_of_event_time(engine, planned):
    found = planned(orders=ORDERS, clicks=CLICKS)
    rows = pl.concat(engine.batches(stream(found, engine.scratch)))

    assert rows["event_at"].dt.strftime("%H:%M").to_list() == ["09:00", "09:30", "10:00"]
    assert rows["family"].cast(pl.String).to_list() == ["order", "clickstream", "order"]
    assert rows["mapping"].cast(pl.String).to_list() == ["orders.sql", "clicks.sql", "orders.sql"]
    assert rows["row"].to_list() == [2, 1, 1]


def test_columns_that_are_missing_and_empty_strings_are_null(read_queries):
    events, letters = read_queries(orders=ORDERS.replace("kind AS event_type", "kind AS event_type, '' AS reason"))

    assert letters.is_empty()
    assert events["order"]["n_items"].to_list() == [None, 2]
    assert events["order"]["reason"].null_count() == 2
    assert events["order"]["quote_id"].null_count() == 2


def test_record_time_is_event_time_and_sent_at_is_not_looked_at(read_queries):
    events, _ = read_queries(orders=ORDERS.replace("at AS event_at", "at AS event_at, at + INTERVAL 1 DAY AS sent_at"))

    assert events["order"]["event_at"].to_list() == events["order"]["record_at"].to_list()
    assert events["order"]["event_at"][1] == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert events["order"]["partition"].to_list() == [0, 0]
    assert events["order"]["offset"].to_list() == [0, 1]


def test_the_position_goes_on_from_batch_to_batch(read_queries):
    rows = "SELECT 'order' AS family, 'shop' AS site, toDateTime('2026-01-01 00:00:00') + number AS event_at, 'order_placed' AS event_type, number AS order_id FROM numbers(200000)"

    events, _ = read_queries(orders=rows)

    assert events["order"]["offset"].to_list() == list(range(200_000))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("who AS order_id", "who AS ordr_id", "orders.sql: column ordr_id is none of order; the nearest is order_id"),
        ("toInt64OrNull(n) AS n_items", "n AS n_items", "orders.sql: column n_items is String, and the contract wants Int32: write toInt32OrNull"),
        ("at AS event_at", "kind AS event_at", "orders.sql: column event_at is String, and the contract wants DateTime64(3, 'UTC'): write parse"),
        ("who AS order_id", "[who] AS order_id", "orders.sql: column order_id is Array(String), and the contract wants String"),
        ("'order' AS family", "'orders' AS family", "orders.sql: column family: there is no 'orders'; the nearest is 'order'"),
        ("'order' AS family", "kind AS family", "orders.sql: column family must be one constant"),
        ("'order' AS family, ", "", "orders.sql: there is no column family"),
        ("who AS order_id", "who AS order_id, kind AS order_id", "orders.sql: Multiple expressions kind AS event_type and who AS order_id for alias order_id"),
        ("orders.csv", "order??.csv", "orders.sql: no file matches 'order??.csv'"),
        ("orders.csv", "order.csv", "orders.sql: order.csv: File"),
        ("who AS order_id", "whom AS order_id", "orders.sql: Unknown expression"),
        ("FROM", "INTO OUTFILE 'x' FROM", "orders.sql: Syntax error"),
        ("SELECT", "INSERT INTO x SELECT", "orders.sql: Syntax error"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mapping_is_said_before_any_row_is_read(refusal, before, after, said):
    assert refusal(orders=ORDERS.replace(before, after)).startswith(said)


def test_what_is_wrong_is_said_of_all_mappings_at_once(refusal):
    said = refusal(orders=ORDERS.replace("who AS", "who AS x, who AS y, kind AS"), clicks=CLICKS.replace("AS site", "AS sight"))

    assert [line.split(" is none")[0] for line in said.splitlines()] == [
        "clicks.sql: column sight",
        "orders.sql: column x",
        "orders.sql: column y",
    ]


@pytest.mark.parametrize(
    "query",
    [
        ORDERS + ";",
        ORDERS.strip() + " ; -- the end\n",
        ORDERS + "-- the end",
        "/* ; */" + ORDERS + "SETTINGS max_threads = 1",
        f"WITH 'ord' || 'er' AS f {ORDERS.replace(chr(39) + 'order' + chr(39), 'f')}",
        f"SELECT * FROM ({ORDERS}) WHERE family != ''",
        f"{ORDERS} UNION ALL {ORDERS} LIMIT 0",
    ],
)
def test_a_mapping_may_be_written_as_people_write_sql(read_queries, query):
    assert read_queries(orders=query)[0]["order"].height == 2


def test_families_that_differ_within_a_mapping_are_an_error(refusal):
    clicks = (
        "SELECT 'clickstream' AS family, 'shop' AS site, now() AS event_at, '' AS event_type, '' AS order_id, toInt64(1) AS n_items"
    )

    assert (
        refusal(orders=f"{ORDERS} UNION ALL {clicks}")
        == "orders.sql: column family must be one constant, not clickstream and order"
    )


def test_a_number_that_its_field_cannot_hold_is_a_reject_and_never_wraps(read_queries):
    events, letters = read_queries(orders=ORDERS.replace("toInt64OrNull(n)", "if(n = '2', 5000000000, 3)"))

    assert events["order"]["n_items"].to_list() == [3]
    assert letters.select("topic", "offset", "row", "reason", "detail", "family").row(0) == (
        "orders.sql", 1, 0, "out_of_range", "n_items: '5000000000' does not fit", "order",
    )  # fmt: skip
    assert json.loads(letters["payload"][0])["n_items"] == "5000000000"
    assert letters["received_at"][0] == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("toInt8(-3)", -3),
        ("toUInt64(18446744073709551615)", None),
        ("2.0", 2),
        ("2.5", None),
        ("nan", None),
        ("toDecimal64(7, 2)", 7),
        ("toDecimal64(35.79, 2)", None),  # an accurate cast of ClickHouse would make 35 of it
        ("toDecimal128('99999999999999999999', 2)", None),
        ("NULL", "null"),
        ("toLowCardinality(toNullable(toUInt8(4)))", 4),
    ],
)
def test_a_number_is_held_exactly_or_not_at_all(read_queries, value, held):
    query = f"SELECT 'order' AS family, 'shop' AS site, now() AS event_at, 'order_placed' AS event_type, 'o' AS order_id, {value} AS amount_minor"

    events, letters = read_queries(orders=query)

    if held is None:
        assert letters["reason"].to_list() == ["out_of_range"]
    else:
        assert events["order"]["amount_minor"].to_list() == [None if held == "null" else held]


@pytest.mark.parametrize(("value", "held"), [("true", True), ("1", True), ("0", False), ("NULL", None)])
def test_a_flag_is_true_or_1(read_queries, value, held):
    query = f"SELECT 'order' AS family, 's' AS site, now() AS event_at, 'order_placed' AS event_type, 'o' AS order_id, {value} AS is_reorder"

    assert read_queries(orders=query)[0]["order"]["is_reorder"].to_list() == [held]


def test_ids_may_be_numbers_and_times_may_be_dates(read_queries):
    query = "SELECT 'order' AS family, 1 AS site, toDate('2026-01-02') AS event_at, 'order_placed' AS event_type, toUInt64(7) AS order_id"

    events, _ = read_queries(orders=query)

    assert events["order"].select("site", "order_id", "event_at").row(0) == ("1", "7", datetime(2026, 1, 2, tzinfo=UTC))


def test_a_missing_required_field_is_a_reject_with_its_row(read_queries):
    events, letters = read_queries(orders=ORDERS.replace("kind AS event_type", "nullIf(kind, 'order_placed') AS event_type"))

    assert not events
    assert letters["reason"].unique().to_list() == ["missing_field"]
    assert sorted(letters["offset"].to_list()) == [1, 2]


def test_rows_that_cannot_be_parsed_are_told_with_their_bytes_and_file(read_queries, folder):
    (folder / "orders.csv").write_text(
        "at,kind,who,n\n2026-01-01 10:00:00,order_placed,o1,2\nyesterday,order_placed,o2,3\n2026-01-01 11:00:00,order_placed,o3,4\n"
    )

    events, letters = read_queries(orders=ORDERS)

    assert events["order"]["order_id"].to_list() == ["o1", "o3"]
    (letter,) = letters.to_dicts()
    assert (letter["topic"], letter["offset"], letter["reason"], letter["payload"]) == (
        "orders.csv",
        2,
        "undecodable",
        b"yesterday,order_placed,o2,3",
    )
    assert letter["detail"] == 'at is "yesterday": Cannot read DateTime: unexpected word'


def test_the_last_row_cut_off_is_a_reject_without_bytes(read_queries, folder):
    (folder / "orders.csv").write_text("at,kind,who,n\n2026-01-01 10:00:00,order_placed,o1,2\n2026-01-01 10:00:00,order_pl")

    events, letters = read_queries(orders=ORDERS)

    assert events["order"].height == 1
    assert letters.select("topic", "offset", "row", "detail", "payload").rows() == [
        ("orders.csv", 2, 1, "row 2 cannot be parsed", b"")
    ]


def test_rows_of_several_files_that_cannot_be_parsed_are_all_told(read_queries, folder):
    for n in range(3):
        (folder / f"clicks{n}.csv").write_text("at,who\n2026-01-01 10:00:00,v,x\n")

    _, letters = read_queries(clicks=CLICKS)

    assert letters.select("topic", "offset").rows() == [("clicks.sql", 1)] * 3
    assert letters["row"].n_unique() == 3


def test_a_row_that_two_mappings_cannot_parse_is_one_reject(read_queries, folder):
    (folder / "orders.csv").write_text("at,kind,who,n\nyesterday,order_placed,o2,3\n")

    _, letters = read_queries(orders=ORDERS, again=ORDERS)

    assert letters.select("topic", "offset").rows() == [("orders.csv", 1)]


def test_an_event_without_an_id_has_one_of_family_mapping_and_row(read_queries, folder):
    (folder / "orders.csv").write_text(
        "at,kind,who,n\n2026-01-01 10:00:00,order_placed,o1,2\n2026-01-01 10:00:00,order_placed,o1,2\n2026-01-01 10:00:00,order_placed,o1,3\n"
    )

    first, other = read_queries(orders=ORDERS)[0]["order"], read_queries(again=ORDERS, orders=ORDERS)[0]["order"]

    assert first["event_id"].str.len_chars().unique().to_list() == [32]
    assert first["event_id"].n_unique() == 2
    assert other["event_id"].n_unique() == 4
    assert set(first["event_id"]) < set(other["event_id"])


def test_a_given_id_stays_and_an_empty_one_is_made(read_queries):
    events, _ = read_queries(orders=ORDERS.replace("who AS order_id", "who AS order_id, if(who = 'o1', 'mine', '') AS event_id"))

    assert [len(event_id) for event_id in events["order"]["event_id"]] == [32, 4]


def test_bytes_that_are_no_text_are_a_reject(read_queries, folder):
    (folder / "orders.csv").write_bytes(
        b"at,kind,who,n\n2026-01-01 10:00:00,order_placed,o\xff1,2\n2026-01-01 10:00:00,order_placed,o2,2\n"
    )

    events, letters = read_queries(orders=ORDERS)

    assert events["order"]["order_id"].to_list() == ["o2"]
    assert letters.select("reason", "detail").rows() == [("undecodable", "order_id is no UTF-8")]
    assert json.loads(letters["payload"][0]) | {"order_id": "6fff31", "n_items": 2} == json.loads(letters["payload"][0])
    assert "misfits" not in json.loads(letters["payload"][0])


def test_an_unmatched_row_of_a_join_is_null_and_nobody_in_common(read_queries):
    query = f"""SELECT 'order' AS family, 'shop' AS site, at AS event_at, kind AS event_type, who AS order_id, c.customer AS customer_id
    FROM file('orders.csv', CSVWithNames, {STRUCTURE}) AS o LEFT JOIN (SELECT 'o1' AS id, 'c1' AS customer) AS c ON o.who = c.id"""

    events, _ = read_queries(orders=query)

    assert sorted(events["order"].select("order_id", "customer_id").rows(), key=str) == [("o1", "c1"), ("o2", None)]


def test_every_file_of_a_join_must_be_there(refusal):
    query = f"""WITH names AS (SELECT * FROM file('customer' || '*.csv', CSVWithNames, 'id String, customer String'))
    SELECT 'order' AS family, 'shop' AS site, at AS event_at, kind AS event_type, who AS order_id, names.customer AS customer_id
    FROM file('orders.csv', CSVWithNames, {STRUCTURE}) AS o LEFT JOIN names ON o.who = names.id"""

    assert refusal(orders=query) == "orders.sql: no file matches 'customer*.csv'"


def test_a_column_that_no_file_has_is_an_error(refusal, folder):
    """It would be 0 or '' in every row. The structure may be written over several lines."""
    pl.DataFrame({"at": [datetime(2026, 1, 1, tzinfo=UTC)], "who": ["v1"]}).write_parquet(folder / "clicks.parquet")
    parquet = CLICKS.replace("clicks*.csv", "clicks*.parquet").replace("CSVWithNames", "Parquet").replace("who", "whom")
    csv = ORDERS.replace("kind String, who String, n String", "kind String,\n  who String, num Nullable(Int64)").replace(
        "toInt64OrNull(n)", "num"
    )

    assert refusal(orders=csv, clicks=parquet).splitlines() == [
        "clicks.sql: clicks*.parquet has no column whom; the nearest is who",
        "orders.sql: orders.csv has no column num; the nearest is n",
    ]


def test_a_column_that_some_of_the_files_lack_is_null_there(read_queries, folder):
    """Nor does a ragged first row make it an error."""
    (folder / "clicks2.csv").write_text("at,who,path\n2026-01-01 10:00:00,v2,/cart,x\n2026-01-01 10:00:00,v2,/cart\n")

    events, _ = read_queries(
        clicks=CLICKS.replace("who String'", "who String, path String'").replace("visitor_id", "visitor_id, path AS page")
    )

    assert events["clickstream"].select("visitor_id", "page").rows() == [("v1", None), ("v2", "/cart")]


@pytest.mark.parametrize("delimiter", [";", "|"])
def test_fields_may_stand_between_other_signs(read_queries, refusal, folder, delimiter):
    (folder / "clicks.csv").write_text("at,who\n2026-01-01 09:30:00,v1\n".replace(",", delimiter))
    query = f"{CLICKS} SETTINGS format_csv_delimiter = '{delimiter}'"

    assert read_queries(clicks=query)[0]["clickstream"]["visitor_id"].to_list() == ["v1"]
    assert "clicks*.csv has no column whom" in refusal(clicks=query.replace("who", "whom"))


@pytest.mark.parametrize("text", ["", "at,who\n"])
def test_a_file_without_rows_hides_no_missing_column(refusal, planned, folder, text):
    (folder / "clicks2.csv").write_text(text)

    assert planned(clicks=CLICKS)
    assert "clicks*.csv has no column whom" in refusal(clicks=CLICKS.replace("who", "whom"))


def test_of_two_events_with_one_id_the_one_read_first_comes_first(read_queries, folder):
    lines = [f"2026-01-01 10:00:00,order_placed,o{n % 7},{n}" for n in range(2_000)]
    (folder / "orders.csv").write_text("\n".join(["at,kind,who,n", *lines]) + "\n")

    events, _ = read_queries(orders=ORDERS.replace("who AS order_id", "who AS order_id, who AS event_id"))

    for _, same in events["order"].group_by("event_id"):
        assert same["n_items"].is_sorted()


def test_a_query_that_fails_half_way_is_an_error(read_queries):
    query = "SELECT 'order' AS family, toString(throwIf(number = 900000)) AS site, now() AS event_at, '' AS event_type, '' AS order_id FROM numbers(1000000)"

    with pytest.raises(QueryFailed, match="throwIf"):
        read_queries(orders=query)


def test_after_an_error_the_next_answer_is_its_own(engine):
    with pytest.raises(QueryFailed, match="no_such_column"):
        engine.rows("SELECT no_such_column")
    with pytest.raises(QueryFailed):
        list(engine.batches("SELECT number, throwIf(number = 900000) FROM numbers(2000000)"))

    assert engine.rows("SELECT 7 AS x, 'a' AS y") == [{"x": 7, "y": "a"}]


def test_no_mapping_in_the_folder_is_an_error(tmp_path):
    with pytest.raises(MappingWrong, match="holds no mapping"):
        read_mappings(tmp_path)
    with pytest.raises(MappingWrong, match="there is no folder"):
        read_mappings(tmp_path / "none")


def test_required_fields_that_a_mapping_does_not_give_are_known(planned):
    (plan,) = planned(clicks=CLICKS.replace("who AS visitor_id", "who AS page"))

    assert plan.lacks == ("visitor_id",)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl.gz", ".csv", ".parquet", ".avro"])
def test_files_in_the_contracts_own_columns_are_read_in_every_format(read_files, tmp_path, family, suffix):
    given = list(examples(family, valid=True).values())
    frame = pl.DataFrame(given, schema_overrides={}, infer_schema_length=None)
    times = [
        name for name, dtype in event_schema(family).items() if dtype == event_schema(family)["event_at"] and name in frame.columns
    ]
    frame = frame.with_columns(
        pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ms", time_zone="UTC")
        if frame[name].dtype == pl.String
        else pl.col(name).cast(event_schema(family)[name])
        for name in times
    )
    frame = frame.cast({name: event_schema(family)[name] for name in frame.columns})
    path = tmp_path / f"{family}{suffix}"
    text = frame.with_columns(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ") for name in times)
    if ".json" in suffix or suffix == ".ndjson":
        path.write_bytes(gzip.compress(text.write_ndjson().encode()) if suffix.endswith(".gz") else text.write_ndjson().encode())
    elif suffix == ".csv":
        text.write_csv(path)
    elif suffix == ".parquet":
        frame.write_parquet(path)
    else:
        with path.open("wb") as file:
            fastavro.writer(file, schema(family), frame.to_dicts())

    events, letters = read_files(path)

    assert letters.is_empty(), letters.to_dicts()
    expected = frame.sort("event_at", "event_id")
    found = events[family].sort("event_at", "event_id").select(expected.columns)
    skipped = ["sent_at"] if "sent_at" in expected.columns else []
    assert found.drop(skipped).equals(expected.drop(skipped))


def test_times_of_text_are_iso_8601_or_epoch_milliseconds(read_files, tmp_path):
    lines = [
        {"event_at": "2026-01-01T10:00:00+02:00"},
        {"event_at": "2026-01-01T08:00:00.250Z"},
        {"event_at": 1767254400500},
        {"event_at": "1767254400750"},
        {"event_at": "yesterday"},
    ]
    for n, line in enumerate(lines):
        line.update(event_id=str(n), event_type="page_view", site="s", visitor_id="v")
    (tmp_path / "clickstream.ndjson").write_text("\n".join(map(json.dumps, lines)))

    events, letters = read_files(tmp_path / "clickstream.ndjson")

    eight = datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert [(at - eight).total_seconds() for at in events["clickstream"]["event_at"]] == [0.0, 0.25, 0.5, 0.75]
    assert letters.select("reason", "detail").rows() == [("undecodable", "event_at: 'yesterday' does not fit")]


def test_a_row_may_say_its_family(read_files, tmp_path):
    common = {"event_at": "2026-01-01T10:00:00Z", "site": "s"}
    lines = [
        {**common, "family": "ticket", "event_id": "1", "event_type": "ticket_opened", "ticket_id": "t", "text": "help"},
        {**common, "family": "clickstream", "event_id": "2", "event_type": "click", "visitor_id": "v", "x_px": 4},
        {**common, "family": "tickets", "event_id": "3", "event_type": "ticket_opened"},
        {**common, "family": "ticket", "event_id": "4", "event_type": "ticket_opened", "x_px": 4},
        {**common, "event_id": "5", "event_type": "order_placed", "order_id": "o"},
    ]
    for name in ("events.ndjson", "order-2026.ndjson"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))

    events, letters = read_files(tmp_path / "events.ndjson")
    named, _ = read_files(tmp_path / "order-2026.ndjson")

    assert {family: frame["event_id"].to_list() for family, frame in events.items()} == {"clickstream": ["2"], "ticket": ["1"]}
    assert sorted(letters.select("offset", "detail").rows()) == [
        (3, "family 'tickets' is none of clickstream, order, delivery, ticket"),
        (4, "ticket has no field x_px"),
        (5, "family '' is none of clickstream, order, delivery, ticket"),
    ]
    assert named["order"]["event_id"].to_list() == ["5"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "clickstream.ndjson",
            '{"event_id": "1", "pge": "/"}',
            "clickstream.ndjson: column pge is none of clickstream; the nearest is page",
        ),
        ("clickstream.csv", "event_id,pge\n1,/\n", "clickstream.csv: column pge is none of clickstream; the nearest is page"),
        ("clickstream.csv", "", "clickstream.csv: the file is empty"),
        (
            "events.csv",
            "event_id\n1\n",
            "is none of clickstream, order, delivery, ticket: call it clickstream.csv, if clicks are in it",
        ),
        ("events.parquet", "", "events.parquet: the file is empty"),
        ("clickstream.xml", "<a/>", "not one of the formats"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_any_row_is_read(read_files, tmp_path, name, text, said):
    (tmp_path / name).write_text(text)

    with pytest.raises(MappingWrong) as told:
        read_files(tmp_path / name)
    assert said in str(told.value)


def test_a_wrong_type_of_a_parquet_column_is_an_error(read_files, tmp_path):
    pl.DataFrame({"event_id": ["1"], "quantity": ["two"]}).write_parquet(tmp_path / "clickstream.parquet")

    with pytest.raises(
        MappingWrong, match=r"clickstream.parquet: column quantity is Nullable\(String\), and the contract wants Int32"
    ):
        read_files(tmp_path / "clickstream.parquet")


def test_a_folder_is_read_without_what_lies_below(tmp_path):
    (tmp_path / "truth").mkdir()
    for path in ("clickstream.ndjson", "README.md", "truth/visits.ndjson"):
        (tmp_path / path).touch()

    assert [file.name for file in input_files([tmp_path])] == ["clickstream.ndjson"]


def test_a_path_that_means_no_file_of_events_is_an_error(tmp_path):
    with pytest.raises(MappingWrong, match="holds no file of events"):
        input_files([tmp_path])
    with pytest.raises(MappingWrong, match="there is no such file"):
        input_files([tmp_path / "none"])


def test_lines_of_rubbish_are_rejects_and_change_no_other(read_files, tmp_path):
    good = {"event_type": "page_view", "event_at": "2026-01-01T10:00:00Z", "site": "s", "visitor_id": "v"}
    lines = [
        json.dumps({**good, "event_id": "1"}),
        "{bad",
        json.dumps({**good, "event_id": "2", "page": {"a": 1}}),
        json.dumps({**good, "event_id": "3"}),
    ]
    (tmp_path / "clickstream.ndjson").write_text("\n".join(lines))

    events, letters = read_files(tmp_path / "clickstream.ndjson")

    assert events["clickstream"]["event_id"].to_list() == ["1", "3"]
    assert letters.select("topic", "offset", "reason").rows() == [
        ("clickstream.ndjson", 2, "undecodable"),
        ("clickstream.ndjson", 3, "undecodable"),
    ]


def test_an_unknown_field_further_down_is_a_reject(read_files, tmp_path):
    good = {"event_id": "1", "event_type": "page_view", "event_at": "2026-01-01T10:00:00Z", "site": "s", "visitor_id": "v"}
    lines = [json.dumps({**good, "event_id": str(n)}) for n in range(1_001)]
    (tmp_path / "clickstream.ndjson").write_text("\n".join([*lines, json.dumps({**good, "event_id": "x", "pge": "/"})]))

    events, letters = read_files(tmp_path / "clickstream.ndjson")

    assert events["clickstream"].height == 1_001
    assert letters["offset"].to_list() == [1_002]


def test_the_example_that_ships_can_be_read(engine, folder):
    """On rows in the form of the public data set."""
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    rows = ["view,1,2,a.b,c,35.79,7,s1", "cart,1,2,,,35.79,7,s1", "purchase,1,2,,,35.79,7,s1", "remove_from_cart,1,2,,,0.00,7,s1"]
    (folder / "orders.csv").unlink()
    (folder / "clicks.csv").unlink()
    (folder / "2019-Oct.csv").write_text(head + "".join(f"2019-10-01 00:00:0{n} UTC,{row}\n" for n, row in enumerate(rows)))
    found = plans(read_mappings(Path(__file__).parents[1] / "deploy" / "mappings" / "rees46"), engine)
    events, letters = read(engine, found)

    assert letters.is_empty()
    assert events["clickstream"]["event_type"].to_list() == ["view_item", "add_to_cart", "purchase", "remove_from_cart"]
    assert events["clickstream"].select("visitor_id", "session_id", "amount_minor", "currency").row(1) == ("7", "s1", 3579, "USD")
