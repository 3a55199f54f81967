"""Files that a mapping reads: those its patterns mean, and whether they have the columns that it names.

Cases:   a pattern that matches no file would be no rows, without a word -> an error
         a column of the structure that is in no file would be '' or 0 in every row -> an error; one that some of the files lack is not
         a format whose rows have no names, or names of their own (JSON); a file whose columns cannot be told -> its rows will say
"""

import re

from agents.mapping_engine import MappingEngine, QueryFailed
from agents.mapping_words import MappingWrong, nearest, quoted, settings
from agents.query_tree import FileRead

_NAMED = re.compile(r"(?:CSV|TSV|TabSeparated|CustomSeparated)\w*WithNames(?:AndTypes)?|Parquet|ORC|Arrow|ArrowStream|Avro")
"""Formats that tell their columns before the first row."""
_ALL_OF_THEM = {"schema_inference_mode": "'union'", "input_format_csv_use_best_effort_in_schema_inference": "0"}


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
    table = f"file({quoted(read.pattern)}, {quoted(read.format)}"
    try:
        named = engine.rows(f"DESCRIBE TABLE {table}, {quoted(read.structure)})")
        there = {row["name"] for row in engine.rows(f"DESCRIBE TABLE {table}) {settings(_ALL_OF_THEM)}")}
    except QueryFailed:
        return
    problems = [
        f"{read.pattern} has no column {row['name']}; the nearest is {nearest(row['name'], there)}"
        for row in named
        if row["name"] not in there
    ]
    if there and problems:
        raise MappingWrong("\n".join(problems))
