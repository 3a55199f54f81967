"""What a statement that a person or a BI tool wrote would do: one that only reads tables, or more than that.

`readonly = 1` keeps a server's tables as they are. Of the embedded engine, which has no users and no grants, it is not enough: INTO
OUTFILE still writes a file, the function file() and the table function python() still read what they like (all tried). So the engine
itself writes the statement down in its own form first, without comments and on one line; what is looked through is what is run.
"""

import re

from sinks.failures import ReadRefused

BEGINNINGS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN"})

ALLOWED_SOURCES = frozenset(
    {
        "generaterandom",
        "generateseries",
        "generate_series",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)
"""Table functions that make their rows themselves; all others that the engine has are refused. In small letters."""

ALSO_FUNCTIONS = frozenset({"format", "fuzzquery"})
"""Table functions that are functions as well, and reach nothing as either. In small letters."""

REFUSED_FUNCTIONS = frozenset({"catboostevaluate", "file", "filesystem", "python"})
"""Functions that reach files or objects of the process. In small letters."""

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|\\.)*') | (?P<name>`(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_]\w*) | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)


def written_down_by(sql: str) -> str:
    """What to ask the engine, so that it answers with the statement as it writes it. More than one statement is a syntax error."""
    literal = "'" + sql.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"SELECT formatQuerySingleLine({literal})"


def without_ours(message: str) -> str:
    """What the engine says of a statement that it could not write down, without our question."""
    return message.partition(": In scope SELECT formatQuerySingleLine(")[0]


TABLE_FUNCTIONS = "SELECT name FROM system.table_functions"
"""Every table function that the engine has."""


def refuse_more_than_reading(statement: str, sources: frozenset[str], *, is_embedded: bool) -> None:
    """Look through a statement in the engine's own form. `sources`: its table functions, in small letters.

    Raises:  ReadRefused if it does more than read tables
    """
    tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(statement)]
    first = next((text.upper() for kind, text in tokens if text != "("), "")
    if first not in BEGINNINGS:
        message = f"{first or 'nothing'} is not allowed here: a statement begins with {', '.join(sorted(BEGINNINGS))}"
        raise ReadRefused(message)
    refused = (sources - ALLOWED_SOURCES - ALSO_FUNCTIONS) | REFUSED_FUNCTIONS
    words = [text.upper() if kind == "word" else "" for kind, text in tokens]
    for at, (kind, text) in enumerate(tokens):
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if words[at : at + 2] == ["INTO", "OUTFILE"] or words[at : at + 2] == ["PARALLEL", "WITH"]:
            message = f"{words[at]} {words[at + 1]} is not allowed here: statements only read"
            raise ReadRefused(message)
        if text == "FORMAT" and at == len(tokens) - 2:  # the engine writes its own words in capitals
            raise ReadRefused("FORMAT is not allowed here: leave it out")
        if kind not in {"word", "name"}:
            continue
        name = text.strip('`"').lower()
        if following == "(" and (name in refused or (name.startswith("ai") and text[2:3].isupper())):
            message = f"{text}() is not allowed here: statements read tables, no files, addresses or programs"
            raise ReadRefused(message)
        if words[at - 1 : at] == ["APPLY"]:
            raise ReadRefused("APPLY is not allowed here: name the function for each column")
        if is_embedded and name == "default" and following == ".":
            raise ReadRefused("the database `default` of the embedded engine is the file system: it is not read here")


def without_format(statement: str) -> tuple[str, str | None]:
    """A statement in the engine's own form without the FORMAT at its end, and what that says; None if it says none."""
    matches = list(_TOKEN.finditer(statement))
    for at in range(len(matches) - 2, -1, -1):
        if matches[at].group() == "FORMAT":
            rest = matches[at + 2 :]
            if not rest or rest[0].group() == "SETTINGS":
                kept = statement[: matches[at].start()] + statement[matches[at + 1].end() :]
                return kept.strip(), matches[at + 1].group().strip('`"')
    return statement, None
