"""Superset reads the tables through the HTTP interface of `ebbtide up --http-port`: it lists the views, and a chart of it has the right figures, drawn as well.

It has an environment of its own, in the cache of this machine: it wants older versions of what we use, and three packages that it does not say (`make bi`).
"""

import html
import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from agents.child_process import ChildProcess
from agents.embedded_broker import free_port
from pipeline.frames import TABLES
from sinks.http_front import offered
from tests.bi.kept_tools import kept
from tests.simulated_tables import fill
from tests.stores import store_at

PACKAGES = "'apache-superset==6.1.0' 'clickhouse-connect==1.12.0' 'flask-caching==2.3.1' rich cachetools"
CONFIG = """\
import os
SECRET_KEY = "of a test on loopback"
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.environ["SUPERSET_STORE"]
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
"""
SAID = {"FLASK_APP": "superset", "SUPERSET_CONFIG_PATH": "$PWD/config.py", "SUPERSET_STORE": "$PWD/kept.db"}
"""Whole paths: of one that is not, two of its libraries think differently."""
ADMIN = {"username": "admin", "password": "admin"}
CHROMIUM = [
    "chromium",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,400",
    "--virtual-time-budget=60000",
]
"""It asks nobody but the server, and looks when the page has settled."""
START_TIMEOUT_S = 180.0

pytestmark = [pytest.mark.bi, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def superset(tmp_path_factory):
    """Its folder of programs, and an empty store of its own."""
    said = " ".join(f"{name}={value}" for name, value in SAID.items())
    folder = kept(
        "superset-6.1.0",
        "python3.11 -m venv env && env/bin/pip install --quiet uv",
        f"env/bin/uv pip install --quiet --python env/bin/python {PACKAGES}",
        f"cat > config.py <<'END'\n{CONFIG}END",
        f"export {said} && env/bin/superset db upgrade && env/bin/superset init && env/bin/superset fab create-admin --username {ADMIN['username']} "
        f"--password {ADMIN['password']} --firstname a --lastname b --email a@b.example",
    )
    store = tmp_path_factory.mktemp("superset") / "store.db"
    shutil.copy(folder / "kept.db", store)
    return folder, store


@pytest.fixture(scope="module")
def shop(store_dsn, tmp_path_factory):
    for store in store_at(store_dsn):
        fill(store, tmp_path_factory.mktemp("shop"))
        yield store


class Api:
    """Its REST interface, logged in."""

    def __init__(self, port: int, server: ChildProcess) -> None:
        self.at, self._token = f"http://127.0.0.1:{port}", ""
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._opener.open(f"{self.at}/health", timeout=10).close()
            except OSError:
                assert server.exit_code is None, server.printed()
                assert time.monotonic() < until, server.printed()
                time.sleep(0.5)
            else:
                break
        self._token = self("security/login", {**ADMIN, "provider": "db", "refresh": False})["access_token"]

    def __call__(self, path: str, said: object = None) -> dict:
        """What it answers."""
        headers, body = {"Authorization": f"Bearer {self._token}"}, None
        if said is not None:
            headers["Content-Type"], body = "application/json", json.dumps(said).encode()
        asked = urllib.request.Request(f"{self.at}/api/v1/{path}", body, headers)
        try:
            with self._opener.open(asked, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode()[:2_000]
            raise AssertionError(path, error.code, said) from error


@pytest.fixture(scope="module")
def api(superset, shop):
    folder, store = superset
    port = free_port()
    command = [str(folder / "env" / "bin" / "superset"), "run", "-h", "127.0.0.1", "-p", str(port), "--with-threads"]
    said = {**SAID, "SUPERSET_CONFIG_PATH": str(folder / "config.py"), "SUPERSET_STORE": str(store)}
    with offered(shop.dsn, shop.database, free_port()) as front:
        server = ChildProcess(command, env={**os.environ, **said})
        try:
            api = Api(port, server)
            uri = f"clickhousedb://default@127.0.0.1:{front.port}/{shop.database}"
            api.database = api("database/", {"database_name": "ebbtide", "sqlalchemy_uri": uri})["id"]
            yield api
        finally:
            server.kill()


def test_it_lists_every_view(api, shop):
    found = api(f"database/{api.database}/tables/?q=(schema_name:{shop.database})")["result"]

    assert {"visits_now", *(f"{table}_now" for table in TABLES)} <= {each["value"] for each in found}


SILENT = "SELECT journey, step, count() AS n FROM outcomes_now WHERE status = 'silent' GROUP BY journey, step"


@pytest.fixture(scope="module")
def chart(api, shop):
    """Silent lapses by step, with a filter: made as a person makes it, and kept."""
    dataset = api("dataset/", {"database": api.database, "schema": shop.database, "table_name": "outcomes_now"})["id"]
    columns, counted = ["journey", "step"], {"label": "n", "expressionType": "SQL", "sqlExpression": "count()"}
    asked = {
        "columns": columns,
        "metrics": [counted],
        "filters": [{"col": "status", "op": "==", "val": "silent"}],
        "orderby": [[counted, False]],
        "row_limit": 100,
    }
    context = {"datasource": {"id": dataset, "type": "table"}, "queries": [asked], "result_format": "json", "result_type": "full"}
    silent = {"expressionType": "SIMPLE", "clause": "WHERE", "subject": "status", "operator": "==", "comparator": "silent"}
    shown = {"viz_type": "table", "query_mode": "aggregate", "groupby": columns, "metrics": [counted], "adhoc_filters": [silent]}
    return api(
        "chart/",
        {
            "slice_name": "Silent lapses by step",
            "viz_type": "table",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps(shown),
            "query_context": json.dumps(context),
        },
    )["id"]


def test_a_chart_has_the_right_figures(api, shop, chart):
    (found,) = api(f"chart/{chart}/data/")["result"]

    wanted = shop.query(SILENT).rows()
    assert {(row["journey"], row["step"], row["n"]) for row in found["data"]} == set(wanted)
    assert found["rowcount"] == len(wanted) > 3


@pytest.mark.skipif(not shutil.which(CHROMIUM[0]), reason="there is no Chromium: apt-get install --no-install-recommends chromium")
def test_it_draws_the_chart_with_the_right_figures(api, shop, chart, superset, tmp_path):
    """As somebody who logs in sees it, with a picture to look at: `chart.png` beside its environment."""
    said = "".join(f'<input name="{name}" value="{value}">' for name, value in ADMIN.items())
    to = f"{api.at}/login/?next=" + quote(f"/explore/?slice_id={chart}&standalone=1")
    form = f'<form method="post" action="{to}">{said}</form><script>document.forms[0].submit()</script>'
    (tmp_path / "login.html").write_text(form)
    picture = superset[0] / "chart.png"
    ways = [f"--user-data-dir={tmp_path}/profile", f"--screenshot={picture}", "--dump-dom"]
    page = subprocess.run([*CHROMIUM, *ways, tmp_path / "login.html"], capture_output=True, text=True, check=True).stdout

    cells = [html.unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in re.findall(r"<td\b[^>]*>(.*?)</td>", page, re.DOTALL)]
    drawn = {(journey, step, int(n)) for journey, step, n in zip(*[iter(cells)] * 3, strict=True)}
    assert drawn == set(shop.query(SILENT).rows())
    assert picture.stat().st_size > 10_000


def test_a_chart_over_time_has_the_right_figures(api, shop):
    dataset = api("dataset/", {"database": api.database, "schema": shop.database, "table_name": "visits_now"})["id"]
    each_hour = {"label": "hour", "expressionType": "SQL", "sqlExpression": "toStartOfHour(started_at)"}
    counted = {"label": "n", "expressionType": "SQL", "sqlExpression": "sum(n_signals)"}
    query = {"columns": [each_hour], "metrics": [counted], "row_limit": 1_000}
    asked = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_format": "json", "result_type": "full"}
    (drawn,) = api("chart/data", asked)["result"]

    wanted = shop.query(
        "SELECT toInt64(toUnixTimestamp(toStartOfHour(started_at))) * 1000 AS hour, sum(n_signals) AS n FROM visits_now GROUP BY hour"
    )
    assert {(row["hour"], row["n"]) for row in drawn["data"]} == set(wanted.rows())


def test_it_shows_what_the_columns_mean(api, shop):
    """The comments of the views: what a person sees beside each column."""
    found = api(f"database/{api.database}/table_metadata/?name=visits_now&schema={shop.database}")["columns"]
    said = {each["name"]: each["comment"] for each in found}

    assert said["outcome"].startswith("what became of that lapse")
    assert all(said.values())
