"""A series in a file: CSV with a header, NDJSON or Parquet, with a column of times and one of numbers.

Cases:   no value, or `NaN` -> none | a time without a zone -> UTC | whole numbers as times -> seconds, milliseconds or microseconds since 1970, by their size
Raises:  SeriesWrong, with file, column and row: the first row of values is row 1
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

TIMES = ("timestamp", "time", "datetime", "date", "at", "event_at")
"""What a column of times is called; else the first column is taken for it."""
EPOCHS = ((1e11, 1), (1e14, 1e3), (1e17, 1e6))
"""Up to which size a number is a time in which part of a second."""
READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema_length=None),
    ".ndjson": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".parquet": pl.read_parquet,
}


class SeriesWrong(Exception):
    """The file holds no series that can be scored."""


@dataclass(frozen=True)
class Series:
    """Times as the file has them and in seconds since 1970, and values."""

    column: str
    times: list[Any]
    at_s: list[float]
    values: list[float | None]


def series_of(path: Path, column: str | None) -> Series:
    """The series in this file; the column may be left out where there is one of numbers. Raises: SeriesWrong."""
    try:
        return _series(_frame(path), column)
    except SeriesWrong as error:
        message = f"{path}: {error}"
        raise SeriesWrong(message) from error


def _frame(path: Path) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SeriesWrong("there is no such file")
    if suffix not in READERS:
        message = f"not one of the formats {', '.join(READERS)}"
        raise SeriesWrong(message)
    try:
        return READERS[suffix](path)
    except pl.exceptions.NoDataError as error:
        raise SeriesWrong("the file is empty") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"it cannot be read as {suffix}: {str(error).strip().splitlines()[0]}"
        raise SeriesWrong(message) from error


def _series(frame: pl.DataFrame, column: str | None) -> Series:
    if frame.width < 2:
        message = f"a series has a column of times and one of values; there is only {', '.join(frame.columns) or 'nothing'}"
        raise SeriesWrong(message)
    time = next((name for known in TIMES for name in frame.columns if name.lower() == known), frame.columns[0])
    name = _value_column(frame, time, column)
    if not frame.height:
        raise SeriesWrong("there are no rows below the header")
    times = frame[time].to_list()
    return Series(name, times, _seconds(time, times), _numbers(name, frame[name]))


def _value_column(frame: pl.DataFrame, time: str, column: str | None) -> str:
    others = [name for name in frame.columns if name != time]
    if column is not None:
        if column in others:
            return column
        if column == time:
            message = f"column {column} has the times; values are in one of {', '.join(others)}"
            raise SeriesWrong(message)
        near = get_close_matches(column, others, n=1, cutoff=0.0)[0]
        message = f"no column {column}; the nearest is {near}, and there are {', '.join(others)}"
        raise SeriesWrong(message)
    numbers = [name for name in others if frame[name].dtype.is_numeric() or frame[name].dtype == pl.Null] or others
    if len(numbers) > 1:
        message = f"which column? --value names one of {', '.join(numbers)}"
        raise SeriesWrong(message)
    return numbers[0]


def _numbers(name: str, values: pl.Series) -> list[float | None]:
    found: list[float | None] = []
    for row, value in enumerate(values.to_list(), start=1):
        text = value.strip() if isinstance(value, str) else value
        try:
            number = None if text is None or text == "" else float(text)
        except (TypeError, ValueError) as error:
            message = f"column {name}, row {row}: {value!r} is no number"
            raise SeriesWrong(message) from error
        found.append(None if number is None or math.isnan(number) else number)
    return found


def _seconds(name: str, times: list[Any]) -> list[float]:
    found: list[float] = []
    for row, time in enumerate(times, start=1):
        at_s = _second(time)
        if at_s is None:
            message = f"column {name}, row {row}: {time!r} is no time like 2026-11-24T10:00:00Z, nor a number of seconds since 1970"
            raise SeriesWrong(message)
        if found and at_s <= found[-1]:
            what = "stands twice" if at_s == found[-1] else f"comes after {times[row - 2]!s}"
            message = f"column {name}, row {row}: {time!s} {what}; times go on from row to row: sort them, and sum up those that are the same"
            raise SeriesWrong(message)
        found.append(at_s)
    return found


def _second(time: Any) -> float | None:
    """Seconds since 1970; None: it is no time."""
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time.strip())
        except ValueError:
            try:
                time = float(time)
            except ValueError:
                return None
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    if isinstance(time, date):
        return datetime(time.year, time.month, time.day, tzinfo=UTC).timestamp()
    if isinstance(time, int | float) and not isinstance(time, bool):
        return next((time / part for size, part in EPOCHS if abs(time) < size), None)
    return None
