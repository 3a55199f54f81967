"""Questions that one query each answers over the `_now` views: examples for BI tools, and what dashboards are made of.

A question is a file, `queries/NN_name.sql`: a comment that asks it, and the SQL.
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
    sql: str


@cache
def questions() -> tuple[Question, ...]:
    """All of them, in order."""
    found = []
    for file in files("sinks").joinpath("queries").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        first, _, sql = file.read_text(encoding="utf-8").partition("\n")
        found.append(Question(int(number), name, first.removeprefix("-- "), sql.strip()))
    return tuple(sorted(found, key=lambda question: question.number))
