"""Dashboards as Grafana reads them: JSON of its dashboard schema 39, which every Grafana since 11 takes.

`python -m sinks.boards.grafana FOLDER` writes one file a dashboard; a test checks that those in `deploy/grafana/dashboards` are what this says.

Source:  @grafana/schema 11.6.0 on npm; the data source grafana-clickhouse-datasource 4 for targets (`format` 0: series, 1: table)
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sinks.boards.after_sale import AFTER_SALE
from sinks.boards.friction import FRICTION
from sinks.boards.panel import Board, Panel
from sinks.boards.service import SERVICE
from sinks.boards.silence import SILENCE
from sinks.boards.worker import WORKER

BOARDS = (SILENCE, FRICTION, AFTER_SALE, SERVICE, WORKER)
"""All of them."""
FOLDER = Path("deploy/grafana/dashboards")

Json = dict[str, Any]

ASKED_AS = {"pluginVersion": "4.0.0", "editorType": "sql"}
"""Without a version the source takes a query for one of before its version 4, and rewrites it."""

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "ebbtide-clickhouse"}
PROMETHEUS = {"type": "prometheus", "uid": "ebbtide-prometheus"}
"""As `deploy/grafana/provisioning/datasources` names them."""
COLUMNS = 24


def dashboard(board: Board) -> Json:
    """One dashboard."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.mind,
        "tags": ["ebbtide"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": board.since, "to": "now"},
        "templating": {"list": [_sites()] if board.is_of_tables else [_instances()]},
        "links": [_link("dashboards", "Ebbtide")],
        "panels": list(_panels(board)),
    }


def text(board: Board) -> str:
    """It as a file."""
    return json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"


def _panels(board: Board) -> Iterator[Json]:
    x = y = tallest = 0
    for number, panel in enumerate(board.panels, start=1):
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield {"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}, **_panel(panel)}
        x, tallest = x + panel.width, max(tallest, panel.height)


def _panel(panel: Panel) -> Json:
    source = CLICKHOUSE if isinstance(panel.asks, str) else PROMETHEUS
    made: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.mind,
        "datasource": source,
        "targets": list(_targets(panel, source)),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _options(panel),
    }
    if panel.to:
        made["links"] = [_link("link", "What is behind it", f"/d/{panel.to}?${{__url_time_range}}&${{site:queryparam}}")]
    return made


def _targets(panel: Panel, source: Json) -> Iterator[Json]:
    if isinstance(panel.asks, str):
        is_series = panel.kind == "timeseries"
        how = {"format": 0 if is_series else 1, "queryType": "timeseries" if is_series else "table"}
        yield {"refId": "A", "datasource": source, **ASKED_AS, **how, "rawSql": panel.asks.strip()}
        return
    for letter, asked in zip("ABCDEFGH", panel.asks, strict=False):
        how = {"range": panel.kind == "timeseries", "instant": panel.kind != "timeseries"}
        if panel.kind == "table":
            how["format"] = "table"
        yield {"refId": letter, "datasource": source, "expr": asked.expr, "legendFormat": asked.legend, **how}


def _defaults(panel: Panel) -> Json:
    found: Json = {"unit": panel.unit, "color": {"mode": "palette-classic"}, "custom": {}}
    if panel.limits and not panel.limits_of:
        found["thresholds"] = _steps(panel)
    if panel.kind == "stat":
        found["color"] = {"mode": "thresholds"} if panel.limits else {"mode": "fixed", "fixedColor": "text"}
    if panel.kind == "timeseries":
        found["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
        if panel.limits:
            found["custom"]["thresholdsStyle"] = {"mode": "dashed"}
        if panel.is_stacked:
            found["custom"] |= {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    if panel.kind == "barchart":
        found["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    return found


def _steps(panel: Panel) -> Json:
    above = ({"value": value, "color": colour} for value, colour in panel.limits)
    return {"mode": "absolute", "steps": [{"value": None, "color": "green"}, *above]}


def _overrides(panel: Panel) -> Iterator[Json]:
    for name in dict.fromkeys((*panel.units, *panel.limits_of)):
        said: list[Json] = []
        if name in panel.units:
            said.append({"id": "unit", "value": panel.units[name]})
        if name in panel.limits_of:
            said.append({"id": "thresholds", "value": _steps(panel)})
            said.append({"id": "color", "value": {"mode": "thresholds"}})
            said.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        yield {"matcher": {"id": "byName", "options": name}, "properties": said}


def _options(panel: Panel) -> Json:
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
    if panel.kind == "stat":
        reduced = {"calcs": ["lastNotNull"], "fields": "", "values": panel.is_each_row}
        mode = "value_and_name" if panel.is_each_row or isinstance(panel.asks, tuple) else "value"
        return {"reduceOptions": reduced, "textMode": mode, "colorMode": "value", "graphMode": "none", "orientation": "auto"}
    if panel.kind == "timeseries":
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "barchart":
        return {
            "orientation": "horizontal",
            "stacking": "normal" if panel.is_stacked else "none",
            "showValue": "auto",
            "legend": legend,
            "tooltip": {"mode": "multi", "sort": "none"},
        }
    return {"showHeader": True, "cellHeight": "sm"}


def _sites() -> Json:
    sql = "SELECT DISTINCT site FROM sessions_now ORDER BY site"
    query = {"rawSql": sql, **ASKED_AS, "queryType": "table", "format": 1}
    return _choice("site", "Site", CLICKHOUSE, query, "Shop, brand or market.")


def _instances() -> Json:
    query = {"query": "label_values(ebbtide_build_info, instance)", "refId": "A"}
    return _choice("instance", "Worker", PROMETHEUS, query, "Process that is scraped.")


def _choice(name: str, label: str, source: Json, query: Json, mind: str) -> Json:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": mind,
        "datasource": source,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _link(kind: str, title: str, url: str = "") -> Json:
    of_boards = kind == "dashboards"
    how = {"asDropdown": of_boards, "includeVars": of_boards, "keepTime": of_boards, "targetBlank": False}
    words = {"icon": "external link", "tooltip": "", "tags": ["ebbtide"] if of_boards else []}
    return {"type": kind, "title": title, "url": url, **how, **words}


def write(folder: Path) -> None:
    """Write all of them into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        (folder / f"{board.uid}.json").write_text(text(board), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
