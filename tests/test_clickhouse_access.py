"""Who may do what: the roles of `deploy/clickhouse` on the real engine, which reads the users of a server where it finds a config.xml.

It has one user, `default`, which is given what the file gives another. Passwords, networks and quotas that are used up are not tried: nobody logs in there.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import clickhouse_connect
import polars as pl
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, Error

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port
from agents.store_claim import claim_for_worker
from pipeline.frames import TABLES, TIME
from sinks.clickhouse import ClickHouse, connect
from sinks.questions import questions
from sinks.reader import Reader
from sinks.statements import written_down_by
from tests.stores import HOUSE, SOME_TIME, rows_of

FOLDER = HOUSE / "deploy" / "clickhouse"
PASSWORD = hashlib.sha256(b"secret").hexdigest()
STRICTER = (
    "select_from_system_db_requires_grant",
    "select_from_information_schema_requires_grant",
    "on_cluster_queries_require_cluster_grant",
    "table_engines_require_grant",
    "settings_constraints_replace_previous",
)
"""As strict as a server can be made, with what the config.xml of its packages says and what it offers beside it."""
PLAIN = "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>{}</default></users></clickhouse>"


def environment(**said):
    names = ("CLICKHOUSE_BI_SHA256", "CLICKHOUSE_WRITER_SHA256")
    return {**os.environ, "PYTHONPATH": str(HOUSE), **dict.fromkeys(names, PASSWORD), **said}


def place(folder: Path, user: str) -> Path:
    """A folder in which the engine's one user may do what this user may."""
    (folder / "users.d").mkdir(parents=True)
    (folder / "users.d" / "ebbtide.xml").write_bytes((FOLDER / "users.xml").read_bytes())
    said = f"<user_directories><users_xml><path>{folder}/users.xml</path></users_xml></user_directories>"
    stricter = "".join(f"<{name}>true</{name}>" for name in STRICTER)
    improved = f"<access_control_improvements>{stricter}</access_control_improvements>"
    (folder / "config.xml").write_text(f"<clickhouse>{said}{improved}</clickhouse>")
    given = ET.parse(FOLDER / "users.xml").find(f"users/{user}")
    rights = "".join(ET.tostring(each, encoding="unicode") for each in given if not each.tag.startswith("password"))
    (folder / "users.xml").write_text(PLAIN.format(f"<password/>{rights}"))
    return folder


def of_key(table: str):
    """The times and numbers of a key, which no row lacks."""
    schema = TABLES[table].schema
    return {name: SOME_TIME if schema[name] == TIME else 1 for name in TABLES[table].key if schema[name] != pl.String}


class As:
    """The engine behind HTTP, with the rights of a user."""

    def __init__(self, folder: Path, user: str, data: Path):
        self._port = free_port()
        command = ["env", "-C", place(folder, user), sys.executable, "-m", "tests.clickhouse_front", self._port, data]
        self.process = ChildProcess([str(word) for word in command], env=environment())
        self.dsn = f"clickhouse://default@127.0.0.1:{self._port}"
        until = time.monotonic() + 60
        while True:
            try:
                self.client = connect(self.dsn)
            except Error:
                assert self.process.exit_code is None, self.process.printed()
                assert time.monotonic() < until, self.process.printed()
                time.sleep(0.1)
            else:
                return

    def refuses(self, sql, **settings):
        with pytest.raises(DatabaseError) as refused:
            self.client.command(sql, settings=settings)
        return refused.value.code

    def end(self):
        self.client.close()
        self.process.kill()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where the writer has made all tables and written a row into each; and what it was refused: statement -> code."""
    folder = tmp_path_factory.mktemp("access")
    writer = As(folder / "writer", "ebbtide", folder / "data")
    try:
        claim_for_worker(writer.client, "ebbtide", "of the tests")
        with ClickHouse(writer.dsn, "ebbtide") as store:
            for table in TABLES:
                store.write(table, rows_of(table, of_key(table)), token=table)
        refused = {sql: writer.refuses(sql) for sql in ANYWHERE}
    finally:
        writer.end()
    return folder, refused


@pytest.fixture(scope="module")
def reader(written):
    folder, _ = written
    reader = As(folder / "reader", "ebbtide_bi", folder / "data")
    reader.client.database = "ebbtide"
    yield reader
    reader.end()


DENIED, READONLY, CONSTRAINT = 497, 164, 452
ANYWHERE = (
    "SELECT * FROM url('http://127.0.0.1:1/x', 'CSV', 'a Int32')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'ebbtide.sessions')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'a Int32')",
    "CREATE USER somebody",
    "GRANT SELECT ON *.* TO default",
    "DROP TABLE ebbtide.sessions",
    "TRUNCATE TABLE ebbtide.sessions",
    "ALTER TABLE ebbtide.sessions DELETE WHERE 1",
    "DROP DATABASE ebbtide",
    "CREATE DATABASE other",
    "CREATE FUNCTION f AS (x) -> x",
    "SYSTEM SHUTDOWN",
)
BEYOND_READING = (
    *ANYWHERE,
    "INSERT INTO ebbtide.sessions (site) VALUES ('x')",
    "CREATE VIEW ebbtide.mine AS SELECT 1",
    "CREATE TEMPORARY TABLE mine (a Int32)",
    "ALTER TABLE ebbtide.sessions ADD COLUMN x Int32",
    "ALTER TABLE ebbtide.sessions_now COMMENT COLUMN site 'x'",
    "SELECT payload FROM ebbtide.dead_letters",
    "SELECT payload FROM ebbtide.dead_letters_now",
)


def test_the_writer_makes_and_fills_the_tables_and_can_do_nothing_beyond(written):
    assert {sql: code for sql, code in written[1].items() if code != DENIED} == {}


def test_the_reader_reads_every_table_and_view_but_dead_letters(reader):
    names = [name for (name,) in reader.client.query("SHOW TABLES").result_rows]

    assert {*TABLES, *(f"{name}_now" for name in TABLES), "visits_now"} - set(names) == {"dead_letters", "dead_letters_now"}
    for name in names:
        assert reader.client.query(f"SELECT count() FROM {name}").result_rows[0][0] > 0, name


@pytest.mark.parametrize("sql", BEYOND_READING)
def test_the_reader_can_do_nothing_beyond(reader, sql):
    assert reader.refuses(sql) in {DENIED, READONLY}


def test_the_reader_answers_the_questions_and_tools_may_set_what_they_set(reader):
    with Reader(reader.dsn, "ebbtide") as asked:
        assert sum(asked.query(each.sql).height for each in questions()) > 0
    client = clickhouse_connect.get_client(dsn=f"{reader.dsn}/ebbtide", settings={"max_execution_time": 30, "join_use_nulls": 1})
    assert client.query_df("SELECT count() AS n FROM visits_now", settings={"max_threads": 1})["n"][0] == 1
    client.close()


@pytest.mark.parametrize(
    "setting",
    [
        "max_memory_usage = 1e12",
        "max_execution_time = 0",
        "max_result_rows = 0",
        "max_concurrent_queries_for_user = 999",
        "readonly = 0",
    ],
)
def test_limits_of_the_reader_can_be_made_smaller_and_not_larger(reader, setting):
    assert reader.refuses(f"SELECT 1 SETTINGS {setting}") in {CONSTRAINT, READONLY}


def test_a_server_without_a_password_for_them_does_not_start(tmp_path):
    folder = place(tmp_path / "access", "ebbtide_bi")
    told = {name: value for name, value in environment().items() if name != "CLICKHOUSE_BI_SHA256"}
    done = subprocess.run([sys.executable, "-c", "import chdb"], cwd=folder, env=told, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "parsing user 'ebbtide_bi'" in done.stderr


def test_the_sql_says_what_the_file_says(store):
    """No server is to be had that would take it: it is read by the engine, and held against the file, which the engine obeys."""
    text = re.sub(r"^--.*$", "", (FOLDER / "access.sql").read_text(), flags=re.MULTILINE)
    said = [store.query(written_down_by(each)).item() for each in text.split(";") if each.strip()]
    file = ET.parse(FOLDER / "users.xml")

    grants = [
        f"{each.text} {'FROM' if each.text.startswith('REVOKE') else 'TO'} {role.tag}"
        for role in file.find("roles")
        for each in role.iter("query")
    ]
    assert [each for each in said if each.startswith(("GRANT", "REVOKE"))] == grants
    for profile in file.find("profiles"):
        (stated,) = [each for each in said if each.startswith(f"CREATE SETTINGS PROFILE IF NOT EXISTS `{profile.tag}`")]
        assert set(re.findall(r"(?:` SETTINGS|,) (\w+)", stated)) == {
            *(each.tag for each in profile if each.tag != "constraints"),
            *(each.tag for each in profile.iterfind("constraints/*")),
        }
        for each in profile.iterfind("*"):
            assert each.tag == "constraints" or re.search(rf"\b{each.tag} = '?{each.text}\b", stated), each.tag
        for each in profile.iterfind("constraints/*"):
            bounds = " CONST" if each.find("readonly") is not None else f" MIN {each.findtext('min')} MAX {each.findtext('max')}"
            assert re.search(rf"\b{each.tag}( = [^ ,]+)?{bounds}", stated), each.tag
