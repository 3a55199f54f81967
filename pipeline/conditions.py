"""Conditions over one event, as people write them in settings: SQL, checked before the first event comes, with an error that points at the word.

A condition is asked of each event by itself, and must never fail on one: so there are no aggregates, windows and subqueries, no cast but TRY_CAST, and a
pattern stands there in quotes, where it can be looked at. Null is no.

Raises:  ConditionWrong
Source:  pl.sql_expr understands the SQL; it names no place in its errors, so that is found here
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache

import polars as pl

from pipeline.events import event_schema
from pipeline.frames import TIME

CALLS = frozenset(
    [
        "LOWER",
        "UPPER",
        "LENGTH",
        "CHAR_LENGTH",
        "OCTET_LENGTH",
        "STARTS_WITH",
        "ENDS_WITH",
        "TRIM",
        "LTRIM",
        "RTRIM",
        "SUBSTR",
        "SUBSTRING",
        "LEFT",
        "RIGHT",
        "REPLACE",
        "STRPOS",
        "CONCAT",
        "COALESCE",
        "IFNULL",
        "NULLIF",
        "GREATEST",
        "LEAST",
        "ABS",
        "ROUND",
        "FLOOR",
        "CEIL",
        "SIGN",
        "MOD",
        "TRY_CAST",
        "EXTRACT",
        "DATE_PART",
    ]
)
"""Functions that are asked of one event, and fail on none."""
_BEFORE_BRACKETS = frozenset(["AND", "OR", "NOT", "IN", "BETWEEN", "WHEN", "THEN", "ELSE", "CASE", "IS", "LIKE", "ILIKE"])
_PATTERNS = frozenset(("LIKE", "ILIKE", "RLIKE", "REGEXP", "~", "!~", "~*", "!~*", "~~", "!~~", "~~*", "!~~*"))
_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|::|!?~~?\*?|[A-Za-z_]\w*|\d+(?:\.\d+)?|[<>=!]+|\|\||\S""")
_LIKE_TEXT = re.compile(r"'.*'", re.DOTALL)


class ConditionWrong(ValueError):
    """A condition that cannot be asked."""

    def __init__(self, problem: str, text: str, at: int, length: int = 1) -> None:
        """Show the condition with the word in question underlined: so many characters from `at` on."""
        begin = text.rfind("\n", 0, at) + 1
        line = text[begin:].partition("\n")[0]
        under = " " * (at - begin) + "^" * max(1, min(length, len(line) - (at - begin)))
        super().__init__(f"{problem}\n    {line}\n    {under}")
        self.problem = problem


@dataclass(frozen=True)
class _Word:
    text: str
    at: int

    @property
    def name(self) -> str:
        return self.text.upper()


@cache
def condition(text: str) -> pl.Expr:
    """Whether an event fulfils it: true or false, and false where it says null. Frames: event_schema("clickstream"). Raises: ConditionWrong."""
    words = [_Word(found[0], found.start()) for found in _WORD.finditer(text)]
    for word, problem in _not_asked(words):
        raise ConditionWrong(problem, text, word.at, len(word.text))
    expression = _understood(text, words)
    _known_columns(expression, text, words)
    _of_one_type(expression, text, words)
    return expression.fill_null(value=False)


def columns_of(text: str) -> tuple[str, ...]:
    """Columns of the contract that a condition asks. Raises: ConditionWrong."""
    return tuple(sorted(set(condition(text).meta.root_names())))


def _not_asked(words: Sequence[_Word]) -> Iterator[tuple[_Word, str]]:
    """Words that ask more than one event, or may fail on one."""
    for word, after in zip(words, [*words[1:], _Word("", 0)], strict=False):
        if word.name in ("SELECT", "OVER"):
            yield word, f"{word.text} is not allowed here: a condition is asked of each event by itself"
        elif word.text == "::" or word.name == "CAST":
            yield word, f"{word.text} is not allowed here, for it may fail on an event; TRY_CAST(... AS ...) says null then"
        elif word.name in ("AND", "OR") and after.name in ("AND", "OR"):
            yield after, f"not understood: {after.text}"
        elif word.name in _PATTERNS and not _LIKE_TEXT.fullmatch(after.text):
            yield word, f"{word.text} needs a pattern in single quotes"
        elif after.text == "(" and re.match(r"[\w\"]", word.text) and word.name not in CALLS | _BEFORE_BRACKETS:
            near = get_close_matches(word.name, CALLS, n=1)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(CALLS))}"
            yield word, f"there is no function {word.text} for a single event; {known}"


def _understood(text: str, words: Sequence[_Word]) -> pl.Expr:
    expression = _parsed(text)
    if expression is not None:
        if not expression.meta.eq(expression.meta.undo_aliases()):
            message = f"not understood: {words[-1].text}"  # it would be a name for the answer
            raise ConditionWrong(message, text, words[-1].at, len(words[-1].text))
        return expression
    # The first word after which nothing can make sense of it any more.
    for n, word in enumerate(words, start=1):
        begun = text[: word.at + len(word.text)]
        missing = ")" * max(0, sum(each.text == "(" for each in words[:n]) - sum(each.text == ")" for each in words[:n]))
        going_on = (
            "",
            " 1",
            " 'x'",
            " 1 AND 2",
            " NULL",
            " x IS NULL",
            " x AS int",
            " x THEN 1 END",
            " 1 END",
            " THEN 1 END",
            "END",
        )
        if all(_parsed(f"{begun}{more}{missing}") is None for more in going_on):
            message = f"not understood: {word.text}"
            raise ConditionWrong(message, text, word.at, len(word.text))
    raise ConditionWrong("not understood: something is missing at the end" if words else "it is empty", text, len(text))


def _parsed(text: str) -> pl.Expr | None:
    try:
        return pl.sql_expr(text)
    except pl.exceptions.PolarsError:
        return None


def _known_columns(expression: pl.Expr, text: str, words: Sequence[_Word]) -> None:
    known = event_schema("clickstream").names()
    for name in dict.fromkeys(expression.meta.root_names()):
        if name in known:
            continue
        word = next((each for each in words if each.text.strip('"') == name), _Word(text, 0))
        if word.text.startswith('"'):
            message = f"there is no column {name!r}; a text stands in single quotes: '{name}'"
        else:
            near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            message = f"there is no column {name!r}; the nearest is {near!r}"
        raise ConditionWrong(message, text, word.at, len(word.text))


def _of_one_type(expression: pl.Expr, text: str, words: Sequence[_Word]) -> None:
    """It can be asked of any event, and the answer is yes or no."""
    said = _failure(expression)
    if said is not None:
        names = _smallest_failing(expression).meta.root_names()
        asked = [word for word in words if word.text.strip('"') in names] or [_Word(text, 0)]
        types = ", ".join(f"{name} is {_KINDS[event_schema('clickstream')[name]]}" for name in dict.fromkeys(names))
        message = f"{said}{f' ({types})' if types else ''}"
        raise ConditionWrong(message, text, asked[0].at, len(asked[0].text))
    found = _probe().select(expression.alias("_"))["_"].dtype
    if found not in (pl.Boolean, pl.Null):
        message = f"a condition says true or false, and this says {_KINDS.get(found, str(found))}"
        raise ConditionWrong(message, text, 0, len(text))


def _smallest_failing(expression: pl.Expr) -> pl.Expr:
    failing = [part for part in expression.meta.pop() if _failure(part) is not None]
    return _smallest_failing(failing[0]) if failing else expression


def _failure(expression: pl.Expr) -> str | None:
    """What Polars says against it, in its first line."""
    try:
        _probe().select(expression.alias("_"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return str(error).partition("\n")[0].strip().rstrip(":")
    return None


_KINDS: dict[object, str] = {
    pl.String: "text",
    pl.Int32: "a number",
    pl.Int64: "a number",
    pl.Float64: "a number",
    pl.Boolean: "true or false",
    TIME: "a time",
}

_VALUES: dict[object, list[object]] = {
    pl.String: ["x", "", None],
    pl.Int32: [1, -(2**31), None],
    pl.Int64: [1, -(2**63), None],
    pl.Float64: [1.5, float("nan"), None],
    pl.Boolean: [True, False, None],
    TIME: [datetime(2026, 3, 1, tzinfo=UTC), datetime(1990, 1, 1, tzinfo=UTC), None],
}


@cache
def _probe() -> pl.DataFrame:
    """Events of which each column says something, something odd, and nothing."""
    contract = event_schema("clickstream")
    return pl.DataFrame({name: _VALUES[dtype] for name, dtype in contract.items()}, schema=contract)
