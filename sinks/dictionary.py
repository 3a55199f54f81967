"""Every table and view with its columns, as the page `sinks/DICTIONARY.md`: what ClickHouse itself says of them once the migrations are applied.

`python -m sinks.dictionary` prints it, from an empty embedded store; a test checks that the page is what this says.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clickhouse_connect.driver.client import Client

from pipeline.frames import TABLES
from sinks.clickhouse import connect
from sinks.migrate import apply

FILE = Path("sinks/DICTIONARY.md")
OURS = frozenset({"migrations", "writers"})
"""Tables that Ebbtide keeps for itself."""

HEAD = """\
# What stands in the tables

Every table and view of the database, with the comments that ClickHouse keeps: `DESCRIBE visits_now` says the same.
This page is made from them: `make docs`.

- **Read the views.** A table holds every version of a row; its view `<table>_now` has the same columns and shows the latest version of each, without those that were retracted.
- A row is told from others by its id, in the order in which it is quickest to look for; a filter on its first columns is cheap.
- Times are UTC. Money is in minor units (cents, yen), with its currency beside it: never add two currencies.
- What is absent is `''` in a text, null in a time or number, `[]` in a list. Flags are 0 or 1.
- `site` stands in every table: ids, teams and currencies of two sites are not the same ones.
- Rows of bots stand in `sessions`, `steps` and `events` only; `visits_now` has none.
- Names are a contract: columns are added, never renamed. [Ten questions](queries/README.md) show how they are used.
"""


def page(client: Client, database: str) -> str:
    """The text of the page, of a database that has all migrations."""
    asked = {"database": database}
    tables = client.query(
        "SELECT name, engine, sorting_key, comment FROM system.tables WHERE database = {database:String}", parameters=asked
    ).result_rows
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for table, *column in client.query(
        "SELECT table, name, type, comment FROM system.columns WHERE database = {database:String} ORDER BY table, position",
        parameters=asked,
    ).result_rows:
        columns.setdefault(table, []).append((column[0], column[1], column[2]))
    told = {name: (key, comment) for name, engine, key, comment in tables if engine != "View" and name not in OURS}
    joined = {name: comment for name, engine, _, comment in tables if engine == "View" and name.removesuffix("_now") not in told}
    lines = [HEAD, *_overview(told, joined)]
    for name in (*sorted(joined), *(name for name in TABLES if name in told)):
        lines += _section(name, told.get(name), columns[name])
    return "\n".join(lines)


def _overview(told: dict[str, tuple[str, str]], joined: dict[str, str]) -> Iterator[str]:
    yield "| view | one row is | id |"
    yield "|---|---|---|"
    for name, comment in sorted(joined.items()):
        yield f"| [`{name}`](#{name}) | {comment} | |"
    for name in TABLES:
        key, comment = told[name]
        yield f"| [`{name}_now`](#{name}) | {comment} | `{key}` |"


def _section(name: str, table: tuple[str, str] | None, columns: list[tuple[str, str, str]]) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield f"Table `{name}`, view `{name}_now`: {table[1]}.\n" if table else f"View `{name}`.\n"
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column, kind, comment in columns:
        yield f"| `{column}` | `{kind}` | {comment.replace('|', '/')} |"


def _fresh() -> str:
    with tempfile.TemporaryDirectory(prefix="ebbtide-") as folder:
        client = connect(f"chdb://{folder}/store")
        try:
            apply(client, "ebbtide")
            return page(client, "ebbtide")
        finally:
            client.close()


if __name__ == "__main__":
    sys.stdout.write(f"{_fresh()}\n")
