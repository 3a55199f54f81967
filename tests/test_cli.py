"""The command `ebbtide` as people and programs meet it: in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from agents import terminal
from agents.child_process import ChildProcess
from agents.cli import main

MAPPING = """
SELECT 'clickstream' AS family, 'shop' AS site, at AS event_at, kind AS event_type, who AS visitor_id
FROM file('clicks.csv', CSVWithNames, 'at DateTime, kind String, who String')
"""
ROWS = "at,kind,who\n2026-03-01 10:00:00,view_item,v1\n2026-03-01 10:01:00,add_to_cart,v1\n2026-03-01 10:02:00,purchase,v2\nyesterday,click,v1\n"
HOLDS_A_STORE = """
import sys, time
from sinks.clickhouse import connect
client = connect(sys.argv[1])
client.command("CREATE DATABASE IF NOT EXISTS ebbtide")
open(sys.argv[2], "w").close()
time.sleep(600)
"""


def started(folder, *arguments):
    """Run a command in this folder: exit code, standard output, standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EBBTIDE_")}
    command = [sys.executable, "-m", "agents", *map(str, arguments)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, cwd=folder, env={**kept, "COLUMNS": "200"}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def ebbtide(tmp_path):
    """Run a command in an empty folder."""
    return partial(started, tmp_path)


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Call a command in this process, which needs no engine: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EBBTIDE_")]:
        monkeypatch.delenv(name)

    def call(*arguments):
        done = CliRunner().invoke(main, list(arguments))
        return done.exit_code, done.stdout, done.stderr

    return call


def with_data(folder):
    (folder / "data").mkdir()
    (folder / "data" / "clicks.csv").write_text(ROWS)
    (folder / "mappings").mkdir()
    (folder / "mappings" / "clicks.sql").write_text(MAPPING)
    return folder / "data"


@pytest.fixture
def data(tmp_path):
    """A data folder, and a folder of mappings beside it."""
    return with_data(tmp_path)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """What a replay said, and commands where it was run."""
    folder = tmp_path_factory.mktemp("replayed")
    with_data(folder)
    return the_json(started(folder, "replay", "data", "--map", "mappings", "--json")), partial(started, folder)


def the_json(done):
    """What a program reads: one line and nothing else."""
    code, out, said = done
    assert code == 0, said
    assert out.endswith("\n")
    assert out.count("\n") == 1
    return json.loads(out)


def test_a_replay_can_be_looked_into_afterwards(replayed):
    """Without a store being named both mean the folder ebbtide-data."""
    done, ebbtide = replayed
    found = the_json(ebbtide("sql", "SELECT visitor_id, status FROM sessions_now ORDER BY visitor_id", "--json"))

    assert done["fates"] == {"applied": 3, "duplicate": 0, "rejected": 1, "too_late": 0}
    assert (done["tables"]["sessions"], done["tables"]["dead_letters"]) == (2, 1)
    assert found == [{"visitor_id": "v1", "status": "abandoned"}, {"visitor_id": "v2", "status": "converted"}]


def test_people_are_shown_tables_and_nothing_of_it_is_on_the_way(ebbtide, data):
    code, out, said = ebbtide("replay", data / "clicks.csv", "--map", "mappings", "--clickhouse", f"chdb://{data.parent / 'store'}")
    shown, looked = ebbtide("sql", "SELECT status, n_events FROM sessions_now", "--clickhouse", "chdb://store")[1:]

    assert code == 0, said
    assert "applied" in out
    assert "abandoned" in shown
    assert looked == "note: 2 rows\n"


def test_a_look_shows_rows_and_counts_and_writes_nothing(ebbtide, data):
    said = the_json(ebbtide("replay", "--map", data.parent / "mappings", "--check", "--json", data))
    _, shown, _ = ebbtide("replay", "--map", "mappings", "--check", data)

    assert said["events"] == {"clickstream": {"add_to_cart": 1, "purchase": 1, "view_item": 1}}
    assert said["first"]["clickstream"][0]["visitor_id"] == "v1"
    assert said["rejects"] == {"undecodable": 1}
    assert "add_to_cart" in shown
    assert not (data.parent / "ebbtide-data").exists()


def test_a_mapping_that_gives_no_row_is_named(ebbtide, data):
    (data.parent / "mappings" / "none.sql").write_text(MAPPING + "WHERE who = 'v9'")

    looked = ebbtide("replay", data, "--map", "mappings", "--check", "--json")
    done = ebbtide("replay", data, "--map", "mappings", "--json")

    assert looked[2] == done[2] == "note: none.sql gives no row that can be read\n"
    assert (the_json(looked)["rows"], the_json(done)["rowless"]) == ({"clicks.sql": 3, "none.sql": 0}, ["none.sql"])


def test_the_data_folder_is_where_one_stands_if_none_is_named(ebbtide, data):
    (data.parent / "clicks.csv").write_text(ROWS)

    assert the_json(ebbtide("replay", "--map", "mappings", "--check", "--json"))["events"]


def test_a_mapping_sees_no_file_that_was_not_named(ebbtide, data):
    (data / "other.csv").write_text(ROWS)

    code, _, said = ebbtide("replay", data / "other.csv", "--map", "mappings", "--check")

    assert code == 1
    assert "clicks.sql: clicks.csv: " in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "x", "--until", "tomorrow"),
        ("replay", "--topic", "clicks", "--from", "0:1", "--check"),
        ("sql",),
        ("sql", "SELECT 1", "--clickhouse", "mysql://x"),
        ("feed", "--to", "somewhere"),
        ("feed", "--from", "tomorrow"),
        ("feed", "--speed", "0"),
        ("feed", "--to", "somewhere", "--events", "10", "--speed", "2"),
        ("why",),
        ("signals", "try"),
        ("signals", "try", "x", "--profile", ","),
        ("no-such-command",),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(called, arguments):
    code, out, said = called(*arguments)

    assert (code, out) == (2, "")
    assert said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("replay", "none.ndjson"), "none.ndjson: there is no such file or folder"),
        (("replay", "--map", "none", "."), "there is no folder none"),
        (("sql", "SELECT 1"), "there is no embedded store in "),
        (("why", "--session", "s1"), "there is no embedded store in "),
        (("signals", "try", ".", "--profile", "posthgo"), "there is no profile 'posthgo'; the nearest is 'posthog'"),
        (("sql", "SELECT 1", "--clickhouse", "clickhouse://127.0.0.1:1"), "ClickHouse does not answer (Connection refused)"),
        (("migrate", "--clickhouse", "clickhouse://127.0.0.1:1"), "ClickHouse does not answer (Connection refused)"),
        (("sql", "SELECT 1", "--settings", "none.toml"), "none.toml cannot be read"),
        (("feed", "--to", "somewhere", "--events", "10", "--truth", "none/truth"), "none/truth: No such file or directory"),
        (("up", "--data-dir", "/dev/null"), "/dev/null: File exists"),
        (("up", "--for", "1s", "--picture", "none/up.svg"), "none/up.svg: No such file or directory"),
    ],
)
def test_what_is_wrong_with_the_world_is_one_message_and_exit_code_1(called, arguments, told):
    code, out, said = called(*arguments)

    assert (code, out) == (1, "")
    assert told in said
    assert "Traceback" not in said


def test_wrong_settings_are_said_all_at_once(called, monkeypatch):
    monkeypatch.setenv("EBBTIDE_KAFKA__PARTITIONS", "0")
    monkeypatch.setenv("EBBTIDE_KAKFA__BOOTSTRAP", "x")

    code, out, said = called("sql", "SELECT 1")

    assert (code, out) == (1, "")
    assert "kafka.partitions" in said
    assert "EBBTIDE_KAKFA__BOOTSTRAP: there is no such variable; the nearest is EBBTIDE_KAFKA__BOOTSTRAP" in said


def test_why_tells_a_session_of_the_store(replayed):
    ebbtide = replayed[1]
    first_ms = round(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp() * 1_000)  # what a session without an id is called
    said = the_json(ebbtide("why", "--session", first_ms, "--json"))
    code, out, error = ebbtide("why", "--session", "none")

    assert [moment["what"] for moment in said["moments"] if moment["kind"] == "event"] == ["view_item", "add_to_cart"]
    assert said["ending"][0] == "Abandoned at cart of journey shop."
    assert (code, out) == (1, "")
    assert "there is no session 'none' in chdb://" in error


def test_why_wants_one_of_the_three_stories(called):
    for options in ((), ("--order", "o1", "--customer", "c1"), ("--order", "o1", "--visitor", "v1")):
        code, out, error = called("why", *options)
        assert (code, out) == (2, "")
        assert re.search(r"name one: --session|--visitor goes with", error)


def test_expectations_lists_who_waits_for_what(called, monkeypatch):
    said = {each["name"]: each for each in the_json(called("expectations", "--json"))}
    code, long, aside = called("expectations")
    monkeypatch.setenv("COLUMNS", "150")
    _, wide, _ = called("expectations")

    assert said["refund_after_return"]["within_s"] == 14 * 86_400
    assert said["answer_after_quote"]["at_once"] == ["quote_expired"]
    assert (said["answer_after_quote"]["origin"], said["answer_after_quote"]["sites"]) == ("ships", None)
    assert code == 0
    assert "--clickhouse DSN tells where those are on that are auto" in " ".join(aside.split())
    assert re.search(r"answer_after_quote +quote_received +its due_at, else", wide)
    assert "-> quote_rejected" in wide
    for name, each in said.items():
        assert f"{name}  {each['owner']}, {each['journey']}: {each['step']}" in long
    assert "due: its due_at, else within 14 d" in long


def test_expectations_lists_what_visits_tell_with_the_times_of_the_settings(called, monkeypatch, tmp_path):
    (tmp_path / "s.toml").write_text("[sessions]\ngap_min = 45\n")
    first, *_ = the_json(called("expectations", "--settings", "s.toml", "--json"))
    _, long, _ = called("expectations", "--settings", "s.toml", "--long")
    monkeypatch.setenv("COLUMNS", "150")
    _, wide, _ = called("expectations", "--settings", "s.toml")

    assert (first["name"], first["key"], first["within_s"], first["silence_s"]) == ("order_after_commit", "session", 2_700, 86_400)
    assert "due: when the visit ends, 45 min after its last event" in long
    assert "Its times are set in [sessions]" in " ".join(long.split())
    assert re.search(r"order_after_commit +commit step +at the end of the visit", wide)


def test_expectations_marks_those_that_settings_say(called, tmp_path):
    own = {"name": "thanks", "after": ["delivered"], "expect": ["customer_notified"], "within_h": 1, "journey": "order"}
    (tmp_path / "s.toml").write_text(
        '[[expectations]]\nname = "next_scan_after_scan"\nenabled = "off"\n[[expectations]]\nstep = "delivered"\nowner = "crm"\n'
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in own.items())
    )
    said = {each["name"]: each for each in the_json(called("expectations", "--settings", "s.toml", "--json"))}
    _, out, _ = called("expectations", "--settings", "s.toml", "--long")

    assert (said["next_scan_after_scan"]["enabled"], said["next_scan_after_scan"]["origin"]) == ("off", "changed")
    assert (said["thanks"]["origin"], said["thanks"]["source"]) == ("own", "settings: [[expectations]]")
    assert "thanks (own)  crm, order: delivered" in out
    assert "next_scan_after_scan (changed)" in out


def test_expectations_tells_by_the_store_where_those_are_on_that_are_auto(replayed):
    said = {each["name"]: each for each in the_json(replayed[1]("expectations", "--json"))}

    (of_shop,) = said["confirmation_after_payment"]["sites"]
    assert (of_shop["is_on"], of_shop["why"]) == (None, "the store has no events of the families order, delivery")


def test_signals_lists_what_is_on(called, tmp_path):
    own = '[[signals.own]]\nname = "lost"\nevent_types = ["click"]\nweight = 5\nmeaning = "Somebody is lost."'
    (tmp_path / "s.toml").write_text(f'[signals]\nprofile = "datadog"\n[signals.page_error]\nenabled = false\n{own}')
    said = {each["name"]: each for each in the_json(called("signals", "--settings", "s.toml", "--json"))}
    code, out, _ = called("signals", "--settings", "s.toml")

    assert (said["rage_click"]["profile"], said["rage_click"]["rule"]["radius_px"]) == ("datadog", 100)
    assert said["form_error_loop"]["profile"] == "default"
    assert "page_error" not in said
    assert (said["lost"]["is_own"], said["lost"]["weight"], said["lost"]["meaning"]) == (True, 5.0, "Somebody is lost.")
    assert all(each["source"] for each in said.values())
    assert code == 0
    assert "lost  5 points, profile custom" in out


def test_profiles_are_tried_side_by_side_on_files(called, tmp_path):
    clicks = [
        f'{{"event_id": "{at}", "event_type": "click", "event_at": "2026-03-01T10:00:0{at}Z", "site": "shop", "visitor_id": "v", "element": "buy", '
        '"page": "/", "x_px": 1, "y_px": 1}\n'
        for at in ("0.000", "0.900", "1.800")
    ]
    (tmp_path / "clickstream.ndjson").write_text("".join(clicks))
    said = the_json(called("signals", "try", "clickstream.ndjson", "--profile", "default, posthog", "--json"))
    code, out, _ = called("signals", "try", "clickstream.ndjson", "--profile", "posthog", "--profile", "default")

    assert said["signals"]["rage_click"] == {
        "default": {"n": 0, "sessions": 0, "is_default": False},
        "posthog": {"n": 1, "sessions": 1, "is_default": False},
    }
    assert said["signals"]["form_error_loop"]["posthog"]["is_default"]
    (difference,) = said["differences"]
    assert (difference["signal"], difference["fired_by"], difference["not_by"]) == ("rage_click", "posthog", "default")
    assert difference["examples"][0]["element"] == "buy"
    assert code == 0
    assert "rage_click: 1 fired by posthog, not by default" in out
    assert "2026-03-01 10:00:01" in out


def test_sql_changes_nothing(replayed):
    code, out, said = replayed[1]("sql", "DROP TABLE sessions")

    assert (code, out) == (1, "")
    assert "DROP is not allowed here" in said


def test_sql_says_what_json_does_not_know_as_null(replayed):
    found = the_json(
        replayed[1]("sql", "SELECT nan AS a, [inf, 2] AS b, 1.5 AS c, toDateTime64('2026-03-01', 3, 'UTC') AS d", "--json")
    )

    assert found == [{"a": None, "b": [None, 2.0], "c": 1.5, "d": "2026-03-01T00:00:00Z"}]


def test_a_question_is_answered_with_what_its_columns_mean(replayed):
    _, shown, minded = replayed[1]("questions", "2")

    assert "n_silent / n_lapses [0 .. 1]" in shown
    assert "It counts waits, not people" in minded
    assert the_json(replayed[1]("questions", "2", "--json"))[0]["silent_rate"] == 1.0


def test_questions_are_listed_and_printed_for_other_tools(called):
    assert [each["number"] for each in the_json(called("questions", "--json"))] == list(range(1, 11))
    assert "FROM outcomes_now" in called("questions", "2", "--sql")[1]
    assert [called("questions", *wrong)[0] for wrong in (("11",), ("--sql",))] == [2, 2]


def test_migrations_are_shown_and_applied(ebbtide):
    store = ("--clickhouse", "chdb://store", "--json")
    before = the_json(ebbtide("migrate", "--dry-run", *store))
    applied = the_json(ebbtide("migrate", *store))
    after = the_json(ebbtide("migrate", "--dry-run", *store))

    assert before["pending"][0] == "0001_sessions"
    assert before["applied"] == []
    assert applied == {"applied": before["pending"], "pending": []}
    assert after == {"applied": [], "pending": []}


def test_a_store_that_another_process_has_open_is_said_so(ebbtide, tmp_path):
    store, is_open = tmp_path / "store", tmp_path / "open"
    holder = ChildProcess([sys.executable, "-c", HOLDS_A_STORE, f"chdb://{store}", str(is_open)])
    try:
        until = time.monotonic() + 60
        while not is_open.exists():
            assert time.monotonic() < until, holder.printed()
            assert holder.exit_code is None, holder.printed()
            time.sleep(0.1)
        found = [
            ebbtide(*command, "--clickhouse", f"chdb://{store}") for command in (("sql", "SELECT 1"), ("why", "--session", "x"))
        ]
    finally:
        holder.kill()

    for code, out, said in found:
        assert (code, out) == (1, "")
        assert "is in use: process" in said


def test_a_feed_into_a_folder_can_be_replayed(ebbtide):
    fed = the_json(ebbtide("feed", "--seed", "3", "--events", "3000", "--to", "shop", "--json"))
    done = the_json(ebbtide("replay", "shop", "--json"))

    (folder,) = ebbtide.args
    others = [
        len((folder / "shop" / name).read_text().splitlines()) for name in ("order.ndjson", "delivery.ndjson", "ticket.ndjson")
    ]
    assert fed["events"] == 3_000
    assert sum(done["fates"].values()) == 3_000 + sum(others)
    assert done["tables"]["cases"] > 0
    assert done["fates"]["rejected"] == done["fates"]["too_late"] == 0
    assert done["tables"]["sessions"] > 0


def test_a_feed_to_a_broker_makes_the_topic_and_keys_by_visitor(ebbtide, broker, tmp_path):
    topic = f"{broker.prefix}.clicks"
    (tmp_path / "settings.toml").write_text(
        f'[kafka]\nbootstrap = "{broker.bootstrap}"\nclickstream_topic = "{topic}"\npartitions = 3\n'
    )

    fed = the_json(ebbtide("feed", "--seed", "3", "--events", "500", "--json", "--settings", "settings.toml"))
    _, out, _ = ebbtide("check", "--json", "--settings", "settings.toml")

    assert fed["events"] == 500
    assert [len(broker.read(topic, [partition])) > 0 for partition in range(3)] == [True] * 3
    (keys,) = [each for each in json.loads(out)["checks"] if each["name"] == "keys"]
    assert keys["verdict"] == "well"


def test_an_interrupted_replay_leaves_no_process_behind(tmp_path, data):
    numbers = "SELECT 'clickstream' AS family, 's' AS site, toDateTime(number) AS event_at, 'click' AS event_type, number AS visitor_id FROM numbers(100000000)"
    (data.parent / "mappings" / "clicks.sql").write_text(numbers)
    command = [sys.executable, "-m", "agents", "replay", str(data), "--map", "mappings", "--clickhouse", "chdb://store"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 60
    while not (engines := children.read_text().split()):
        assert time.monotonic() < until
        time.sleep(0.1)

    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped" in said
    assert not any(Path(f"/proc/{engine}").exists() for engine in engines)


def test_a_frame_too_wide_for_the_terminal_is_shown_row_by_row(capsys):
    terminal.print_frame(pl.DataFrame({f"column_{n}": ["some text", None] for n in range(12)}))

    shown = capsys.readouterr().out
    assert "row 2" in shown
    assert "column_11" in shown
    assert "null" in shown
