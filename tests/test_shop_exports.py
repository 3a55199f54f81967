"""The mappings for a shop's exports that ship, on the made-up files that ship with them."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from agents import replay_command, terminal
from agents.mapping import Mapping, plans, read_mappings
from agents.mapping_engine import MappingEngine
from agents.replay import Replay, Until
from agents.replay_store import ReplayStore
from agents.settings import Settings
from pipeline.checks import Bounds
from tests.test_mapping import read

FOLDER = Path(__file__).parents[1] / "deploy" / "mappings"
MAPPINGS = FOLDER / "shop_exports"
DATA = MAPPINGS / "data"
PAGE = (FOLDER / "README.md").read_text()
CHECKED = re.search(r"it says\n\n```text\n(.*?)```", PAGE, re.DOTALL)
ASKED = re.findall(r'```sh\nebbtide sql "(.*?)"\n```\n\n```text\n(.*?)```', PAGE, re.DOTALL)

EVENTS = {
    "order": """
03-02 08:15:00 order_placed A-1001 - c-17
03-02 08:20:00 order_confirmed A-1001 - c-17
03-03 13:00:00 order_shipped A-1001 PC-9001 c-17
03-03 19:05:00 order_placed A-1002 - c-21
03-03 19:05:00 order_placed A-1002 - c-21
03-03 19:30:00 order_confirmed A-1002 - c-21
03-03 19:30:00 order_confirmed A-1002 - c-21
03-05 09:00:00 order_shipped A-1002 PC-9002 c-21
03-05 17:00:00 order_placed A-1003 - c-17
03-05 17:01:00 order_confirmed A-1003 - c-17
03-06 08:30:00 order_shipped A-1003 PC-9003 c-17
03-07 07:10:00 order_placed A-1004 - c-22
03-07 07:12:00 order_confirmed A-1004 - c-22
03-08 09:00:00 order_placed A-1005 - c-23
03-08 09:40:00 order_cancelled A-1005 - c-23
03-09 08:00:00 approval_requested p-71 - acme
03-09 15:00:00 approval_granted p-71 - acme
03-09 15:00:01 approval_requested p-71 - acme
03-10 06:45:00 order_placed A-1007 - c-23
03-10 06:50:00 order_confirmed A-1007 - c-23
03-10 10:00:00 approval_rejected p-71 - acme
03-11 11:00:00 order_shipped A-1007 A-1007 c-23
03-16 09:30:00 approval_requested p-72 - acme
03-20 08:00:00 approval_requested p-73 - acme
03-23 08:00:00 approval_withdrawn p-73 - acme
03-28 22:30:00 order_placed A-1006 - ADB3EA852C649668
03-28 22:31:00 order_confirmed A-1006 - ADB3EA852C649668
03-29 08:00:00 order_shipped A-1006 PC-9006 ADB3EA852C649668
""",
    "delivery": """
03-04 01:10:00 in_transit - PC-9001 -
03-05 06:55:00 out_for_delivery - PC-9001 -
03-05 10:30:00 delivered A-1001 PC-9001 -
03-05 10:30:00 delivered - PC-9001 -
03-06 00:15:00 in_transit - PC-9002 -
03-06 09:00:00 in_transit - PC-9099 -
03-07 03:00:00 in_transit - PC-9003 -
03-08 05:00:00 in_transit - PC-9002 -
03-11 16:30:00 attempt_failed - PC-9002 -
03-12 07:00:00 out_for_delivery - PC-9002 -
03-12 15:45:00 delivered A-1002 PC-9002 -
03-12 15:45:00 delivered - PC-9002 -
03-13 16:20:00 delivered A-1007 A-1007 -
03-29 19:00:00 in_transit - PC-9006 -
03-30 08:00:00 delivered A-1006 PC-9006 -
03-30 08:00:00 delivered - PC-9006 -
""",
    "ticket": """
03-02 17:00:00 csat_answered A-0999 - -
03-08 11:00:00 csat_answered A-1001 - -
03-10 09:00:00 ticket_opened - t-501 c-21
03-10 09:00:04 bot_reply - t-501 -
03-10 09:09:00 customer_left - t-501 -
03-13 08:40:00 csat_answered A-1002 - -
03-14 20:10:00 csat_answered A-1007 - -
03-16 10:05:00 ticket_opened A-1003 t-502 c-17
03-17 09:30:00 agent_reply - t-502 -
03-17 18:00:00 customer_message - t-502 -
03-18 12:00:00 ticket_opened - t-503 -
03-18 12:30:00 agent_reply - t-503 -
03-18 16:00:00 solved - t-502 -
03-19 07:00:00 reopened - t-502 -
03-19 08:00:00 ticket_opened - t-506 c-31
03-19 11:00:00 transferred - t-502 -
03-20 15:00:00 solved - t-502 -
03-21 08:00:00 csat_answered A-1003 t-502 c-17
03-30 15:00:00 ticket_opened A-1006 t-504 ADB3EA852C649668
03-30 15:40:00 agent_reply - t-504 -
03-30 15:41:00 solved - t-504 -
03-31 09:00:00 csat_answered A-1006 t-504 ADB3EA852C649668
""",
}
"""Family -> its events in their order: time, type, order, parcel or ticket, customer or company."""
IDS = {"order": "delivery_id", "delivery": "delivery_id", "ticket": "ticket_id"}
WIDTH = "110"


@pytest.fixture(scope="module")
def engine():
    """One process for all that read the files as they lie."""
    with MappingEngine(DATA) as engine:
        yield engine


@pytest.fixture(scope="module")
def found(engine):
    """Events by family, dead letters."""
    return read(engine, plans(read_mappings(MAPPINGS), engine))


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """The same files, and in each the last line first."""
    folder = tmp_path_factory.mktemp("turned") / "data"
    shutil.copytree(DATA, folder)
    for path in filter(Path.is_file, folder.rglob("*")):
        head, *lines = path.read_text().splitlines()
        kept, lines = ([head], lines) if path.suffix == ".csv" else ([], [head, *lines])
        path.write_text("\n".join([*kept, *reversed(lines)]) + "\n")
    return folder


def told(events: pl.DataFrame, family: str) -> list[str]:
    """A line an event."""
    customer = pl.coalesce("customer_id", "account_id") if "account_id" in events.columns else pl.col("customer_id")
    columns = pl.col("event_at").dt.strftime("%m-%d %H:%M:%S"), "event_type", "order_id", IDS[family], customer.alias("who")
    return [" ".join(each or "-" for each in row) for row in events.select(columns).rows()]


@pytest.mark.parametrize("family", EVENTS)
def test_every_family_has_its_events_in_order_of_time(found, family):
    assert told(found[0][family], family) == EVENTS[family].strip().splitlines()


def test_every_row_that_is_wrong_is_told_with_its_place(found):
    assert sorted(found[1].select("topic", "offset", "reason", "detail").rows()) == [
        ("approvals.sql", 6, "missing_field", "order_id is missing"),
        ("orders.csv", 4, "undecodable", 'placed_at is "soon": Cannot read DateTime: unexpected word'),
        ("orders.sql", 12, "missing_field", "order_id is missing"),
        ("orders.sql", 18, "missing_field", "event_at is missing"),
        ("parcel_scans.sql", 5, "undecodable", "row 5 cannot be parsed"),
        ("parcel_scans.sql", 9, "unknown_type", "event_type is TELEPORTED"),
        ("reviews.csv", 3, "undecodable", 'score: garbage after Nullable(Int32): "six,Lovely"'),
        ("reviews.sql", 4, "out_of_range", "score is 9, csat_answered has 1..5"),
        ("ticket_log.sql", 11, "unknown_type", "event_type is colour_changed"),
        ("tickets.sql", 6, "undecodable", 'created_at is "2026-13-01T12:00:00Z": Cannot read DateTime: unexpected date: 2026-13-1'),
    ]


def test_what_is_known_of_an_event_is_in_it(found):
    orders, deliveries, tickets = (found[0][family] for family in EVENTS)

    assert orders.filter(event_id="A-1006 order_shipped").select(
        "delivery_id", "amount_minor", "currency", "carrier", "country"
    ).rows() == [("PC-9006", 1850, "EUR", "parcelco", "AT")]
    assert orders.filter(order_id="p-71", event_type="approval_requested").select(
        "document_type", "step", "assignee_id"
    ).rows() == [
        ("approval", "budget", "u-4"),
        ("approval", "legal", "u-9"),
    ]
    assert deliveries.filter(event_type="attempt_failed").select("delivery_id", "reason").rows() == [
        ("PC-9002", "nobody at the door")
    ]
    assert tickets.filter(event_type="csat_answered").select("order_id", "ticket_id", "score", "text").rows() == [
        ("A-0999", None, 3, "Ordered long ago."),
        ("A-1001", None, 5, None),
        ("A-1002", None, 1, "Three days late, and nobody told me."),
        ("A-1007", None, 4, "Good, thank you."),
        ("A-1003", "t-502", 1, None),
        ("A-1006", "t-504", 5, None),
    ]


def test_a_promised_day_ends_where_the_shop_is(found):
    """Before and after the clocks change."""
    promised = found[0]["order"].filter(event_type="order_placed").select("order_id", pl.col("promised_at").dt.strftime("%d %X"))

    assert dict(promised.rows()) | {"A-1007": "13 22:59:59", "A-1006": "31 21:59:59"} == dict(promised.rows())


def test_a_guest_has_one_name_in_the_shop_and_at_the_help_desk(found):
    """The shop writes the address with a capital letter; of a caller without an address nobody is made."""
    guest = found[0]["order"].filter(order_id="A-1006")["customer_id"].unique().to_list()
    opened = found[0]["ticket"].filter(event_type="ticket_opened")

    assert opened.filter(order_id="A-1006")["customer_id"].to_list() == guest
    assert opened.filter(ticket_id="t-503")["customer_id"].to_list() == [None]


def test_the_order_of_lines_changes_no_event(found, turned):
    with MappingEngine(turned) as engine:
        events, letters = read(engine, plans(read_mappings(MAPPINGS), engine))

    assert letters.height == found[1].height
    for family, frame in events.items():
        whole = [name for name in frame.columns if name != "offset"]
        assert frame.select(whole).sort(whole).equals(found[0][family].select(whole).sort(whole))


@pytest.mark.parametrize("mapping", read_mappings(MAPPINGS), ids=lambda mapping: mapping.name)
def test_each_mapping_stands_by_itself(engine, mapping: Mapping):
    (plan,) = plans([mapping], engine)

    assert plan.lacks == ()


def test_a_replay_tells_what_the_page_tells(store, turned, capsys, monkeypatch):
    """Also with the last line first."""
    monkeypatch.setenv("COLUMNS", WIDTH)
    with MappingEngine(turned) as engine, store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100_000)
        tables.open()
        folds = replay_command.folds(Settings())
        people = replay_command.people(Settings())
        done = Replay(plans(read_mappings(MAPPINGS), engine), folds, Bounds(), Until(), people=people).run(engine, tables)
        shown = []
        for sql, _ in ASKED:
            terminal.print_frame(store.query(sql))
            shown.append(plainly(capsys.readouterr().out))

    assert len(ASKED) == 3
    assert shown == [plainly(page) for _, page in ASKED]
    assert done.rowless == set()
    assert (done.fates["applied"], done.fates["duplicate"], done.fates["rejected"]) == (61, 5, 10)
    steps = "SELECT instance_id AS order_id, arrayMap(each -> each.2, arraySort(groupArray((step_index, step)))) AS steps FROM steps_now GROUP BY 1"
    assert {order_id: " ".join(steps) for order_id, steps in store.query(steps).rows()} == {
        "A-1001": "placed confirmed shipped scanned delivered",
        "A-1002": "placed confirmed shipped scanned delivered",
        "A-1003": "placed confirmed shipped scanned",
        "A-1004": "placed confirmed",
        "A-1005": "placed",
        "A-1006": "placed confirmed shipped scanned delivered",
        "A-1007": "placed confirmed shipped delivered",
        "p-71": "requested decided",
        "p-72": "requested",
        "p-73": "requested",
    }


def test_a_look_shows_what_the_page_shows(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", WIDTH)
    with terminal.progress(wanted=False) as way:
        look = replay_command.look(replay_command.Inputs((DATA,), MAPPINGS), Bounds(), way)
    replay_command.show_look(look)

    assert CHECKED is not None
    assert plainly(capsys.readouterr().out).endswith(plainly(CHECKED[1]))


def plainly(text: str) -> str:
    """Without blanks at the ends of lines, and without empty ones."""
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
