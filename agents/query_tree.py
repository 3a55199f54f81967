"""What the engine understood of a query, from `EXPLAIN QUERY TREE`: constants of the result, files that are read.

Nothing is guessed from the text: expressions of constants, comments, names given with WITH and subqueries are the engine's business.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

INDENT = 2
_CONSTANT = re.compile(r"CONSTANT id: \d+, constant_value: '((?:[^'\\]|\\.)*)', constant_value_type: ")
_COLUMN = re.compile(r"COLUMN id: \d+, column_name: (.*), result_type: .*, source_id: (\d+)$")
_ID = re.compile(r"\w+ id: (\d+)")
_IDENTIFIER = re.compile(r"IDENTIFIER id: \d+, identifier: (\w+)")
_DELIMITER = re.compile(r"\bformat_csv_delimiter=(.)")
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass
class Node:
    """A line of the tree, and what is indented below it."""

    text: str
    below: list["Node"] = field(default_factory=list)

    def child(self, text: str) -> "Node | None":
        """The first child that begins so."""
        return next((node for node in self.below if node.text.startswith(text)), None)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        for node in self.below:
            yield from node.walk()

    @property
    def constant(self) -> str | None:
        """The string it is; None: it is none, or not constant."""
        found = _CONSTANT.match(self.text)
        return None if found is None else _ESCAPED.sub(lambda escaped: _MEANT.get(escaped[1], escaped[1]), found[1])

    @property
    def word(self) -> str | None:
        """The string or the name it is; None: it is neither."""
        named = _IDENTIFIER.match(self.text)
        return self.constant if named is None else named[1]


def tree(lines: Iterable[str]) -> Node:
    """The tree of an answer, line by line as it came."""
    above = [Node("")]
    for line in lines:
        depth = (len(line) - len(line.lstrip(" "))) // INDENT
        node = Node(line.strip())
        del above[depth + 1 :]
        above[-1].below.append(node)
        above.append(node)
    return above[0]


def constants(root: Node, column: str) -> set[str] | None:
    """Strings that a column of the result can be; None: it is not constant, or not there."""
    by_id = {matched[1]: node for node in root.walk() if (matched := _ID.match(node.text))}
    found: set[str] = set()
    for query in root.below:
        told = _constants(query, column, by_id)
        if told is None:
            return None
        found |= told
    return found or None


def _constants(query: Node, column: str, by_id: dict[str, Node]) -> set[str] | None:
    if query.text.startswith("UNION"):
        queries = query.child("QUERIES")
        told = [_constants(each, column, by_id) for each in (queries.below[0].below if queries else [])]
        return None if not told or None in told else set().union(*(each for each in told if each is not None))
    names, values = query.child("PROJECTION COLUMNS"), next((node for node in query.below if node.text == "PROJECTION"), None)
    if names is None or values is None:
        return None
    for name, value in zip(names.below, values.below[0].below, strict=False):
        if name.text.startswith(f"{column} "):
            constant, passed = value.constant, _COLUMN.match(value.text)
            if constant is not None:
                return {constant}
            return _constants(by_id[passed[2]], passed[1], by_id) if passed and passed[2] in by_id else None
    return None


@dataclass(frozen=True)
class FileRead:
    """What was given to `file(...)`."""

    pattern: str
    format: str | None = None
    structure: str | None = None
    """None: not given, or not constant."""
    delimiter: str | None = None
    """What the query sets between the fields of CSV, if it is one for all files."""


def files(root: Node) -> list[FileRead]:
    """Every `file(...)`, one for each time it is read."""
    found = []
    set_to = {told[1] for node in root.walk() if node.text.startswith("SETTINGS ") for told in _DELIMITER.finditer(node.text)}
    delimiter = set_to.pop() if len(set_to) == 1 else None
    for node in root.walk():
        if node.text.startswith("TABLE_FUNCTION") and node.text.endswith("table_function_name: file"):
            arguments = node.child("ARGUMENTS")
            given = [each.word for each in arguments.below[0].below] if arguments else []
            if given and given[0] is not None:
                kind, structure = (*given[1:3], None, None)[:2]
                found.append(FileRead(given[0], kind, structure, delimiter))
    return found
