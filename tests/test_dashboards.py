"""Dashboards of Grafana: every query of every panel finds something in the tables of a simulated shop, or asks for metrics that there are."""

import json
import re
from datetime import timedelta

import pytest
import yaml

from agents.metrics import METRICS, Metric
from sinks.boards.grafana import BOARDS, FOLDER, dashboard, text
from sinks.boards.panel import OF_SITE
from tests.house.test_alerts import promtool
from tests.simulated_tables import BEGAN, fill
from tests.stores import HOUSE, store_at

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
ASKING_TABLES = [(board, panel) for board, panel in PANELS if isinstance(panel.asks, str)]
SHOWN = (BEGAN - timedelta(days=1), BEGAN + timedelta(days=120))
"""The time that is looked at."""
UP = Metric("up", "gauge", "What Prometheus says itself of whom it asks.")
EXPRESSIONS = [asked.expr for _, panel in PANELS if not isinstance(panel.asks, str) for asked in panel.asks]


def names(panels):
    return [f"{board.uid}: {panel.title}" for board, panel in panels]


def as_asked(sql, sites):
    """The one place where what Grafana and its ClickHouse data source put into a query is put in.

    The macros as the source writes them (its version 4); a variable with `:singlequote` as Grafana documents it.
    """
    first, last = (int(at.timestamp() * 1000) for at in SHOWN)
    sql = re.sub(
        r"\$__timeFilter_ms\((\S+?)\)", rf"\1 >= fromUnixTimestamp64Milli({first}) AND \1 <= fromUnixTimestamp64Milli({last})", sql
    )
    days = [f"toDate('{at:%Y-%m-%d}')" for at in SHOWN]
    sql = re.sub(r"\$__dateFilter\((\S+?)\)", rf"\1 >= {days[0]} AND \1 <= {days[1]}", sql)
    sql = re.sub(r"\$__timeInterval\((\S+?)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 600 second)", sql)
    sql = sql.replace("${site:singlequote}", ", ".join(f"'{site}'" for site in sites))
    assert "$" not in sql
    return sql


@pytest.fixture(scope="module")
def shop(store_dsn, tmp_path_factory):
    for store in store_at(store_dsn):
        fill(store, tmp_path_factory.mktemp("shop"))
        yield store


@pytest.fixture(scope="module")
def sites(shop):
    (variable,) = dashboard(BOARDS[0])["templating"]["list"]
    return shop.query(variable["query"]["rawSql"])["site"].to_list()


@pytest.mark.xdist_group("dashboards")  # they ask one shop
@pytest.mark.parametrize(("board", "panel"), ASKING_TABLES, ids=names(ASKING_TABLES))
def test_a_panel_shows_something_and_its_columns_are_those_it_styles(shop, sites, board, panel):  # noqa: ARG001 - in its name
    found = shop.query(as_asked(panel.asks, sites))

    assert found.height > 0
    assert all(column.null_count() < found.height for column in found.iter_columns() if column.name in {"time", *panel.units})
    assert panel.kind != "stat" or found.item(0, -1) is not None
    assert {*panel.units, *panel.limits_of} <= set(found.columns)
    if panel.kind == "timeseries":
        assert found.columns[0] == "time"
        assert found["time"].is_sorted()
        assert {dtype.is_numeric() for dtype in found.dtypes[-1:]} == {True}


def test_every_panel_asks_the_sites_that_were_chosen_alone():
    assert [f"{board.uid}: {panel.title}" for board, panel in ASKING_TABLES if OF_SITE not in panel.asks] == []


def sampled(metric):
    """A worker that counts one thing a second, or measures 1, for three hours."""
    labels = {"job": "ebbtide", "instance": "w1:9464", **dict.fromkeys(metric.labels, "some")}
    buckets = ("1", "+Inf") if metric.kind == "histogram" else ("",)
    for le in buckets:
        said = ", ".join(f'{name}="{value}"' for name, value in (labels | ({"le": le} if le else {})).items())
        name = f"{metric.name}_bucket" if le else metric.name
        yield {"series": f"{name}{{{said}}}", "values": "1x180" if metric.kind == "gauge" else "0+60x180"}


def test_prometheus_answers_every_expression_over_what_a_worker_exports(tmp_path):
    assert len(EXPRESSIONS) > 20
    asked = [expr.replace("$__rate_interval", "5m").replace("$instance", "w1:9464|w2:9464") for expr in EXPRESSIONS]
    found = [
        {"expr": f"count({expr}) >= bool 1", "eval_time": "3h", "exp_samples": [{"labels": "{}", "value": 1}]} for expr in asked
    ]
    series = [its for metric in (UP, *METRICS) for its in sampled(metric)]
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": found}]
    (tmp_path / "tests.yml").write_text(json.dumps({"tests": tests}))
    done = promtool("test", "rules", tmp_path / "tests.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "$" not in (tmp_path / "tests.yml").read_text()


def test_expressions_ask_for_what_is_exported_and_leave_nothing_out():
    asked = {re.sub("_bucket$", "", name) for expr in EXPRESSIONS for name in re.findall(r"\bebbtide_\w+", expr)}

    assert asked == {metric.name for metric in METRICS}


def test_expressions_group_by_labels_that_there_are_and_name_lines_by_them():
    labels = {metric.name: {*metric.labels, "instance"} for metric in METRICS}
    for _, panel in PANELS:
        for asked in panel.asks if isinstance(panel.asks, tuple) else ():
            of = [labels[re.sub("_bucket$", "", name)] for name in re.findall(r"\bebbtide_\w+", asked.expr)]
            kept = {label.strip() for group in re.findall(r"by \((.*?)\)", asked.expr) for label in group.split(",")}
            assert all(kept - {"le"} <= each for each in of), asked
            assert set(re.findall(r"\{\{(\w+)\}\}", asked.legend)) == kept - {"le"}, asked


def test_panels_name_sources_that_are_provided():
    provided = yaml.safe_load((HOUSE / "deploy/grafana/provisioning/datasources/ebbtide.yaml").read_text())["datasources"]
    asked = {
        (target["datasource"]["type"], target["datasource"]["uid"])
        for board in BOARDS
        for panel in dashboard(board)["panels"]
        for target in panel["targets"]
    }

    assert asked == {(each["type"], each["uid"]) for each in provided}


def test_panels_lie_side_by_side_and_each_says_what_it_shows():
    for board in BOARDS:
        taken = set()
        for panel in dashboard(board)["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24
            taken |= cells
    assert [panel.title for _, panel in PANELS if not panel.mind.endswith((".", "!"))] == []
    assert {panel.to for _, panel in PANELS} - {""} <= {board.uid for board in BOARDS}


def test_the_files_are_fresh():
    """`make docs` writes them again."""
    found = {path.name: path.read_text() for path in (HOUSE / FOLDER).glob("*.json")}
    assert found == {f"{board.uid}.json": text(board) for board in BOARDS}
