"""Questions that one query each answers over the `_now` views: examples for BI tools, and what dashboards are made of.

A question is a file, `queries/NN_name.sql`: a comment that asks it, says what its columns mean and what to mind, and the SQL.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Question:
    """Something that people want to know."""

    number: int
    name: str
    text: str
    """In words."""
    columns: dict[str, str]
    """Column of the answer -> what it means, with its unit in brackets."""
    mind: tuple[str, ...]
    """What to look out for, a sentence or two a line."""
    sql: str


@cache
def questions() -> tuple[Question, ...]:
    """All of them, in order."""
    found = []
    for file in files("sinks").joinpath("queries").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if number.isdecimal():
            found.append(_read(int(number), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda question: question.number))


def _read(number: int, name: str, text: str) -> Question:
    head, sql = [], text
    while sql.startswith("--"):
        line, _, sql = sql.partition("\n")
        head.append(line.removeprefix("--").strip())
    asked, columns, mind = "\n".join(head).split("\n\n")
    meanings = dict(line.split(": ", 1) for line in columns.split("\n"))
    return Question(number, name, asked, meanings, tuple(mind.split("\n")), sql.strip())
