"""Files of events in the contract's own columns: NDJSON, CSV with a header, Parquet, Avro; also compressed.

The family is that of each row's field `family`, else the file's name: `clickstream.ndjson`, `order-2026-10.csv.gz`. They take the same way as a
mapping, for each is one: a SELECT over one file. Formats that know only text have times as ISO 8601 or epoch milliseconds.

Cases:   a column that no family knows, a name that is no family -> an error before any row is read; in NDJSON of the first lines only, further down the
         row is a reject
"""

# ruff: noqa: S608 - the queries are the user's own, run by a process of the user's own

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.mapped_columns import TEXT
from agents.mapping import Plan, all_or_none, columns_of, described, fields_of
from agents.mapping_engine import MappingEngine
from agents.mapping_words import MappingWrong, quoted, settings
from schemas.contracts import FAMILIES

FORMATS = {
    ".ndjson": "JSONEachRow",
    ".jsonl": "JSONEachRow",
    ".csv": "CSVWithNames",
    ".parquet": "Parquet",
    ".avro": "Avro",
}
COMPRESSED = (".gz", ".zst", ".lz4", ".bz2", ".xz", ".br")
LOOKED_AT = 1_000
"""Lines of NDJSON whose fields are looked at before any row is read."""
TEXTS = {
    "input_format_skip_unknown_fields": "0",  # what nobody would read is a reject, not silence
    "input_format_json_read_objects_as_strings": "0",  # a field holds one value
    "input_format_json_read_arrays_as_strings": "0",
    "input_format_csv_trim_whitespaces": "0",
}


@dataclass(frozen=True)
class InputFile:
    """A file of events."""

    path: Path
    format: str
    """ClickHouse's name of it."""
    family: str | None
    """What its name says."""

    @property
    def name(self) -> str:
        """Its name without the folder."""
        return self.path.name


def input_files(paths: Iterable[Path]) -> list[InputFile]:
    """These files, and those of these folders that are of a known format; of folders below, nothing.

    Raises: MappingWrong if one is not there, of an unknown format, or a folder holds none
    """
    found = []
    for path in paths:
        if path.is_dir():
            below = [each for each in sorted(path.iterdir()) if each.is_file() and format_of(each)]
            if not below:
                message = f"{path}: the folder holds no file of events ({', '.join(FORMATS)}, also compressed)"
                raise MappingWrong(message)
            found += below
        elif path.is_file():
            found.append(path)
        else:
            message = f"{path}: there is no such file or folder"
            raise MappingWrong(message)
    unknown = [str(path) for path in found if format_of(path) is None]
    if unknown:
        message = f"{', '.join(unknown)}: not one of the formats {', '.join(FORMATS)}, also compressed"
        raise MappingWrong(message)
    return [InputFile(path.resolve(), format_of(path) or "", family_of(path)) for path in dict.fromkeys(found)]


def format_of(path: Path) -> str | None:
    """The format that a name promises; None: no known one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def family_of(path: Path) -> str | None:
    """The family that a name says: up to its first character that is no letter."""
    said = re.split(r"[^a-z]", path.name.lower(), maxsplit=1)[0]
    return said if said in FAMILIES else None


def file_plans(files: Iterable[InputFile], engine: MappingEngine) -> list[Plan]:
    """Every file, checked against the contract. Raises: MappingWrong, with all that is wrong in all of them."""
    return all_or_none(files, lambda file: _plan(file, engine))


def _plan(file: InputFile, engine: MappingEngine) -> Plan:
    at = quoted(str(file.path))
    if not file.path.stat().st_size and (file.format != "JSONEachRow" or file.family is None):
        raise MappingWrong("the file is empty")  # one of lines that has none yet is no error
    if file.format in ("Parquet", "Avro"):
        query = f"SELECT * FROM file({at}, {file.format})"
        types = described(query, engine)
    else:
        types = dict.fromkeys(_keys(file, engine) if file.format == "JSONEachRow" else _header(file, engine), TEXT)
        query = ""
    says = "family" in types
    if not says and file.family is None:
        name = f"clickstream{''.join(file.path.suffixes)}"
        message = f"no column family, and its name is none of {', '.join(FAMILIES)}: call it {name}, if clicks are in it"
        raise MappingWrong(message)
    families = FAMILIES if says or file.family is None else (file.family,)
    columns = columns_of({name: type_ for name, type_ in types.items() if name != "family"}, families)
    if file.format == "JSONEachRow":  # further down there may be more
        columns = columns_of(dict.fromkeys(fields_of(families), TEXT), families)
    if not query:
        structure = ", ".join(
            f"{name} Nullable(String)" for name in (*(["family"] if says else []), *(column.name for column in columns))
        )
        query = f"SELECT * FROM file({at}, {file.format}, {quoted(structure)})\n{settings(TEXTS)}"
    named = "CAST(NULL AS Nullable(String))" if file.family is None else quoted(file.family)
    family = f"ifNull(coalesce(nullIf(CAST(_q.family AS Nullable(String)), ''), {named}), '')" if says else named
    return Plan(file.name, query, families, family, columns, file.name, is_chosen=False)


def _header(file: InputFile, engine: MappingEngine) -> list[str]:
    lines = engine.rows(f"SELECT line FROM file({quoted(str(file.path))}, LineAsString, 'line String') LIMIT 1")
    if not lines:
        raise MappingWrong("the file is empty: there is no header")
    names = next(csv.reader([str(lines[0]["line"]).removeprefix("\ufeff")]))
    if len(set(names)) < len(names):
        message = f"column {', '.join(sorted({name for name in names if names.count(name) > 1}))} stands twice"
        raise MappingWrong(message)
    return names


def _keys(file: InputFile, engine: MappingEngine) -> list[str]:
    """Fields of the first lines. All of the contract may follow: the structure has to know them."""
    lines = f"SELECT line FROM file({quoted(str(file.path))}, LineAsString, 'line String') LIMIT {LOOKED_AT}"
    seen = engine.rows(f"SELECT DISTINCT arrayJoin(JSONExtractKeys(line)) AS name FROM ({lines})")
    return [row["name"] for row in seen]
