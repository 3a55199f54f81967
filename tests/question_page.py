"""The page of the ten questions, `sinks/queries/README.md`, with the answers on the rows of `tests/question_rows.py`.

`python -m tests.question_page` prints it; a test checks that the page is what this says.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from sinks.clickhouse import connect
from sinks.questions import Question, questions
from tests.question_rows import fill
from tests.stores import store_at

FILE = Path("sinks/queries/README.md")

HEAD = """\
# Ten questions

Each is one statement over the views; paste it into a BI tool, or run it with `ebbtide questions NUMBER`.
Answers are shown on a few made-up rows, the same that the tests hold them against. This page is made from these files: `make docs`.

- What stands in the views: [the dictionary](../DICTIONARY.md).
- A rate of few is no rate: look at the count beside it.
- Where a question does not name `site`, it is asked of all sites together; put `site` into `SELECT` and `GROUP BY` to see each.
- To look at a part of the time alone, put a condition on the first time of the row (`began_at`, `opened_at`, `started_at`, ...) into the innermost `WHERE`.
"""


def page(query: Callable[[str], pl.DataFrame]) -> str:
    """The text of the page; `query` asks a store with these rows."""
    lines = [HEAD, *(f"{each.number}. [{each.text}](#{each.name})" for each in questions())]
    for each in questions():
        lines += _section(each, query(each.sql))
    return "\n".join(lines)


def _section(question: Question, answer: pl.DataFrame) -> Iterator[str]:
    yield f"\n## {question.name}\n"
    yield f"**{question.number}. {question.text}**\n"
    yield from _table(("column", "meaning"), ((f"`{name}`", meaning) for name, meaning in question.columns.items()))
    yield ""
    yield from (f"- {line}" for line in question.mind)
    yield f"\n```sql\n{question.sql}\n```\n"
    yield "An answer:\n"
    yield from _table(answer.columns, answer.rows())


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fresh() -> str:
    with tempfile.TemporaryDirectory(prefix="ebbtide-") as folder:
        dsn = f"chdb://{folder}/store"
        kept = connect(dsn)
        (text,) = (page(store.query) for store in store_at(dsn) if fill(store) is None)
        kept.close()
        return text


if __name__ == "__main__":
    sys.stdout.write(f"{_fresh()}\n")
