"""Mappings: each is one ClickHouse SELECT whose result has the columns of the contract; together they become one stream in order of event time.

Cases:   a column that is missing, '' -> null | an unknown column, a type that never fits, a pattern that matches no file -> an error before any row is
         read | no `event_id` -> a hash of family, mapping and mapped row | rows that the format cannot parse -> `unparsed`, never dropped in silence
Source:  tried on chDB 26.9: why each setting stands here is said beside it
"""

# ruff: noqa: S608 - the queries are the user's own, run by a process of the user's own

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from agents.mapped_columns import CONTRACT_TYPES, MappedColumn, fits, hint
from agents.mapped_files import check_columns, matched
from agents.mapping_engine import MappingEngine, QueryFailed
from agents.mapping_words import MappingWrong, nearest, quoted, settings
from agents.query_tree import constants, files, tree
from pipeline.events import event_schema
from schemas.contracts import FAMILIES, required


class Named(Protocol):
    """Something an error can name."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...


S = TypeVar("S", bound=Named)

READING = {
    "session_timezone": "'UTC'",  # a time without a zone would take that of the machine
    "join_use_nulls": "1",  # else all that found no partner become one customer named ''
    "date_time_input_format": "'best_effort'",
    "input_format_allow_errors_ratio": "1",  # without it nothing is written down of rows that cannot be parsed
}
SORTING = {
    "max_threads": "1",  # rows have the number of their place in the file; two threads were no faster
    "parallelize_output_from_storages": "0",
    "query_plan_execute_functions_after_sorting": "0",  # the number is that before the sort
    "max_bytes_ratio_before_external_sort": "0",
    "max_bytes_before_external_sort": "300000000",  # above it the sort goes to disk: 12 M rows, 1.3 GiB
}
_ENDING = re.compile(r"\s*;(?:\s|--[^\n]*|/\*.*?\*/)*$", re.DOTALL)


@dataclass(frozen=True)
class Mapping:
    """One query, as it was written."""

    name: str
    """Its file; it stands in dead letters, and in the hash that is the id of an event without one."""
    query: str
    """A SELECT whose result has columns of the contract."""


@dataclass(frozen=True)
class Plan:
    """A mapping that was checked: nothing in it can fail any more but single values."""

    name: str
    """That of the mapping."""
    query: str
    families: tuple[str, ...]
    """What its rows can be: one family, unless every row says its own."""
    family: str
    """The family of a row, as an expression of ClickHouse."""
    columns: tuple[MappedColumn, ...]
    """Fields of the contract that it gives, in the contract's order."""
    source: str
    """What to call the place of a row that could not be parsed: the file, if there is only one."""
    is_chosen: bool = True
    """Whether somebody chose these columns; else they are all that the file may have."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Required fields that no row has: each will be a reject."""
        given = {column.name for column in self.columns} | {"event_id"}
        return tuple(name for name in required(self.families[0]) if name not in given) if len(self.families) == 1 else ()


def read_mappings(folder: Path) -> list[Mapping]:
    """Every `*.sql` of a folder, in order of name. Raises: MappingWrong if there is none."""
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        message = f"{folder} holds no mapping, a file *.sql" if folder.is_dir() else f"there is no folder {folder}"
        raise MappingWrong(message)
    return [Mapping(path.name, _ENDING.sub("", path.read_text(encoding="utf-8"))) for path in paths]


def plans(mappings: Iterable[Mapping], engine: MappingEngine) -> list[Plan]:
    """Every mapping, checked against the contract. Raises: MappingWrong, with all that is wrong in all of them."""
    return all_or_none(mappings, lambda mapping: _plan(mapping, engine))


def all_or_none(sources: Iterable[S], plan: Callable[[S], Plan]) -> list[Plan]:
    """A plan for each source. Raises: MappingWrong, with all that is wrong in all of them, named."""
    found, problems = [], []
    for source in sources:
        try:
            found.append(plan(source))
        except MappingWrong as wrong:
            problems += [f"{source.name}: {line}" for line in str(wrong).splitlines()]
        except QueryFailed as failed:
            problems.append(f"{source.name}: {failed}")
    if problems:
        raise MappingWrong("\n".join(problems))
    return found


def _plan(mapping: Mapping, engine: MappingEngine) -> Plan:
    explained = engine.rows(f"EXPLAIN QUERY TREE SELECT * FROM (\n{mapping.query}\n)\n{settings(READING)}")
    root = tree(row["explain"] for row in explained)
    reads = dict.fromkeys(files(root))
    read = {path for each in reads for path in matched(each, engine)}
    for each in reads:
        check_columns(each, engine)
    types = described(mapping.query, engine)
    family = _only_family(types, constants(root, "family"))
    columns = columns_of({name: type_ for name, type_ in types.items() if name != "family"}, (family,))
    source = Path(read.pop()).name if len(read) == 1 else mapping.name
    return Plan(mapping.name, mapping.query, (family,), quoted(family), columns, source)


def _only_family(types: Dict[str, str], told: set[str] | None) -> str:
    if "family" not in types:
        raise MappingWrong("there is no column family: write 'clickstream' AS family, or another of " + ", ".join(FAMILIES))
    if told is None or len(told) > 1:
        message = f"column family must be one constant{', not ' + ' and '.join(sorted(told)) if told else ''}"
        raise MappingWrong(message)
    (family,) = told
    if family not in FAMILIES:
        message = f"column family: there is no {family!r}; the nearest is {nearest(family, FAMILIES)!r}"
        raise MappingWrong(message)
    return family


def described(query: str, engine: MappingEngine) -> dict[str, str]:
    """Column -> type of a query's result, without reading it. Raises: MappingWrong if a name stands twice."""
    rows = engine.rows(f"DESCRIBE TABLE (\n{query}\n)\n{settings(READING)}")
    types = {row["name"]: row["type"] for row in rows}
    if len(types) < len(rows):
        twice = {row["name"] for row in rows if sum(row["name"] == other["name"] for other in rows) > 1}
        message = f"column {', '.join(sorted(twice))} stands twice"
        raise MappingWrong(message)
    return types


def columns_of(types: Dict[str, str], families: tuple[str, ...]) -> tuple[MappedColumn, ...]:
    """The columns in the contract's order. Raises: MappingWrong, with every one that is unknown or of a wrong type."""
    contract = fields_of(families)
    problems = []
    for name, type_ in types.items():
        if name not in contract:
            problems.append(f"column {name} is none of {' or '.join(families)}; the nearest is {nearest(name, contract)}")
        elif not fits(contract[name], type_):
            problems.append(
                f"column {name} is {type_}, and the contract wants {CONTRACT_TYPES[contract[name]]}: write {hint(contract[name])}"
            )
    if problems:
        raise MappingWrong("\n".join(problems))
    return tuple(MappedColumn(name, dtype, types[name]) for name, dtype in contract.items() if name in types)


def fields_of(families: Iterable[str]) -> dict[str, object]:
    """Every field of these families -> its dtype; a name has one in all of them."""
    return {name: dtype for family in families for name, dtype in event_schema(family).items()}


def stream(planned: list[Plan], bad: Path) -> str:
    """One query for all of them: rows in order of (`event_at`, `sequence`, `event_id`), then as they were read: of two with one id the first counts.

    Columns: `family`, `mapping`, `row` (its place among the mapping's rows, from 1), `misfits` (JSON: field -> value that did not
    fit), and every field of the contract that one of them gives. What cannot be parsed is written down in the folder `bad`: `<place of the plan>*`.
    """
    given = {column.name for plan in planned for column in plan.columns} | {"event_id", "event_at"}
    fields = {name: dtype for name, dtype in fields_of(FAMILIES).items() if name in given}
    arms = "\nUNION ALL\n".join(_arm(plan, fields, bad / str(place)) for place, plan in enumerate(planned))
    order = ("event_at", *(["sequence NULLS FIRST"] if "sequence" in fields else []), "event_id", "mapping", "row")
    return f"SELECT * FROM (\n{arms}\n)\nORDER BY {', '.join(order)}\n{settings(READING | SORTING)}"


def _arm(plan: Plan, fields: Dict[str, object], bad: Path) -> str:
    given = {column.name: column for column in plan.columns}
    values = [f"{given[name].value} AS {name}" for name in fields if name in given and name != "event_id"]
    own_id = given["event_id"].value if "event_id" in given else "CAST(NULL AS Nullable(String))"
    hashed = ", ".join(f"ifNull(CAST({name} AS Nullable(String)), '')" for name in given if name != "event_id")
    absent = [
        f"CAST(NULL AS Nullable({CONTRACT_TYPES[fields[name]]})) AS {name}" for name in fields if name not in {*given, "event_id"}
    ]
    judged = [f"({quoted(column.name)}, {column.misfit})" for column in plan.columns if column.misfit is not None]
    misfits = (
        f"toJSONString(CAST(arrayFilter(each -> each.2 != '', [{', '.join(judged)}]) AS Map(String, String)))" if judged else "'{}'"
    )
    event_id = f"coalesce(own_id, lower(hex(sipHash128(family, mapping, {hashed}))))"
    return f"""SELECT family, mapping, row, misfits, {", ".join(name if name != "event_id" else f"{event_id} AS event_id" for name in fields)}
FROM (
SELECT {plan.family} AS family, {quoted(plan.name)} AS mapping, rowNumberInAllBlocks() + 1 AS row, {misfits} AS misfits,
{", ".join([*values, *absent, f"{own_id} AS own_id"])}
FROM (
SELECT * FROM (
{plan.query}
) {settings({"input_format_record_errors_file_path": quoted(str(bad))})}
) AS _q
)"""
