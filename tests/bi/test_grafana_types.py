"""The files of the dashboards fit the types that Grafana itself is written in. `make bi`; it needs Node, and npm the first time."""

import json
import subprocess

import pytest

from sinks.boards.grafana import BOARDS, dashboard
from tests.bi.kept_tools import kept

VERSION = "11.6.0"
HEAD = """\
import type { Dashboard } from '@grafana/schema';
type Written<T> = T extends string ? `${T}` : T extends (infer U)[] ? Written<U>[] : T extends object ? { [K in keyof T]: Written<T[K]> } : T;
"""
"""A file says the value of an enumeration where TypeScript wants its name."""
KINDS = {"stat": "StatPanelCfg", "timeseries": "TimeSeriesPanelCfg", "barchart": "BarChartPanelCfg", "table": "TablePanelCfg"}
OF_KIND = "./node_modules/@grafana/schema/dist/esm/raw/composable/{0}/panelcfg/x/{1}_types.gen"
CHECK = [
    "npx",
    "tsc",
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--target",
    "es2022",
]

pytestmark = pytest.mark.bi


@pytest.fixture(scope="module")
def types():
    return kept(f"grafana-schema-{VERSION}", f"npm install --no-audit --no-fund @grafana/schema@{VERSION} typescript@5")


def told(types, name, text):
    """What the compiler says of it."""
    (types / f"{name}.ts").write_text(text)
    return subprocess.run([*CHECK, f"{name}.ts"], cwd=types, capture_output=True, text=True, check=False).stdout


def written(boards):
    """All of them as one program, with the options of each panel, which the type of a dashboard leaves open."""
    lines = [HEAD]
    for kind, module in KINDS.items():
        fields = ", FieldConfig" if kind != "stat" else ""
        imported = f"Options as Options_{kind}{fields and f'{fields} as Fields_{kind}'}"
        lines.append(f"import type {{ {imported} }} from '{OF_KIND.format(kind, module)}';")
    for n, board in enumerate(boards):
        lines.append(f"export const board{n}: Written<Dashboard> = {json.dumps(board)};")
        for panel in board["panels"]:
            kind, name = panel["type"], f"{n}_{panel['id']}"
            lines.append(f"export const options{name}: Partial<Written<Options_{kind}>> = {json.dumps(panel['options'])};")
            if kind != "stat":
                custom = json.dumps(panel["fieldConfig"]["defaults"]["custom"])
                lines.append(f"export const fields{name}: Partial<Written<Fields_{kind}>> = {custom};")
    return "\n".join(lines)


def test_every_dashboard_and_the_options_of_every_panel_fit(types):
    assert told(types, "all", written([dashboard(board) for board in BOARDS])) == ""


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"schemaVersion": 39', '"schemaVersion": "39"'),
        ('"palette-classic"', '"palette-classy"'),
        ('"drawStyle": "bars"', '"drawStyle": "barz"'),
        ('"graphMode": "none"', '"graphMode": "nun"'),
        ('"showHeader"', '"showHeaders"'),
        ('"gridPos": {"x"', '"gridPos": {"xx"'),
    ],
)
def test_what_does_not_fit_is_found(types, good, bad):
    text = written([dashboard(board) for board in BOARDS])

    assert good in text
    assert "error" in told(types, "bad", text.replace(good, bad))
