"""Files that a mapping reads: those its patterns mean, and whether they have the columns that it names.

Cases:   a pattern that matches no file would be no rows, without a word -> an error
         a column of the structure that is in no file would be '' or 0 in every row -> an error; one that some of the files lack is not
         a format whose rows have no names, or names of their own (JSON); files whose columns cannot be told -> their rows will say
"""

import re
from dataclasses import replace

from agents.mapping_engine import MappingEngine, QueryFailed
from agents.mapping_words import MappingWrong, nearest, quoted, settings
from agents.query_tree import FileRead

_NAMED = re.compile(r"(?:CSV|TSV|TabSeparated|CustomSeparated)\w*WithNames(?:AndTypes)?|Parquet|ORC|Arrow|ArrowStream|Avro")
"""Formats that tell their columns before the first row."""
_ALL_OF_THEM = {
    "schema_inference_mode": "'union'",
    "input_format_csv_use_best_effort_in_schema_inference": "0",  # names are enough, and types might not agree
    "input_format_csv_allow_variable_number_of_columns": "1",  # the first row may be ragged
    "input_format_max_rows_to_read_for_schema_inference": "1",
}
_NO_ROWS = re.compile("file is empty|EMPTY_DATA_PASSED|Cannot read rows from the data")


def matched(read: FileRead, engine: MappingEngine) -> list[str]:
    """The files that it means. Raises: MappingWrong."""
    try:
        rows = engine.rows(f"SELECT DISTINCT toString(_path) AS _path FROM file({quoted(read.pattern)}, One)")  # noqa: S608 - the user's own
    except QueryFailed as failed:
        message = f"{read.pattern}: {failed}"
        raise MappingWrong(message) from failed
    if not rows:
        message = f"no file matches {read.pattern!r}"
        raise MappingWrong(message)
    return [row["_path"] for row in rows]


def check_columns(read: FileRead, engine: MappingEngine) -> None:
    """Raises: MappingWrong, with every column that no file has."""
    if read.structure is None or read.format is None or not _NAMED.fullmatch(read.format):
        return
    try:
        named = [
            row["name"]
            for row in engine.rows(f"DESCRIBE TABLE file({quoted(read.pattern)}, {read.format}, {quoted(read.structure)})")
        ]
        there = _columns(read, engine) or {
            name for path in matched(read, engine) for name in _columns(replace(read, pattern=path), engine)
        }
    except QueryFailed:
        return
    if there.isdisjoint(named):  # then it is read by settings that are not known here
        return
    problems = [
        f"{read.pattern} has no column {name}; the nearest is {nearest(name, there)}" for name in named if name not in there
    ]
    if problems:
        raise MappingWrong("\n".join(problems))


def _columns(read: FileRead, engine: MappingEngine) -> set[str]:
    """Columns of all files together; none if one of them has no rows, which the engine takes for having none. Raises: QueryFailed."""
    known = _ALL_OF_THEM | ({"format_csv_delimiter": quoted(read.delimiter)} if read.delimiter else {})
    try:
        rows = engine.rows(f"DESCRIBE TABLE file({quoted(read.pattern)}, {read.format}) {settings(known)}")
        return {row["name"] for row in rows}
    except QueryFailed as failed:
        if _NO_ROWS.search(str(failed)):
            return set()
        raise
