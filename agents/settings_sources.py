"""Where settings stand: a TOML file, and `EBBTIDE_` variables that overrule it.

A key that is not known is an error that names the nearest right one, in the file and in the environment alike: a setting that nobody
reads is worse than none.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as Unreadable

from agents.settings import Settings
from agents.settings_section import nearest

PREFIX = "EBBTIDE_"
FILE_VARIABLE = "EBBTIDE_SETTINGS"
"""Names the file, where no option does."""
NEST = "__"
SECRET = ("clickhouse.dsn", "kafka.librdkafka", "kafka.schema_registry_url", "alerts.channels.url")
"""Begins of keys whose values are not shown: a password may stand in them."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the settings."""

    key: str
    """Dotted path: `kafka.bootstrap`; '' if it is about several."""
    message: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.key}: {self.message}" if self.key else self.message


class SettingsWrong(ValueError):
    """Something is wrong with the settings: everything that is, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        """Hold the problems; there is at least one."""
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def load(path: Path | None = None) -> Settings:
    """Read the settings of this process. Raises: SettingsWrong."""
    said, problems = collected(path)
    try:
        settings = Settings(**said)
    except ValidationError as error:
        raise SettingsWrong([*problems, *map(_problem, error.errors())]) from None
    if problems:
        raise SettingsWrong(problems)
    return settings


def collected(path: Path | None = None) -> tuple[dict[str, Any], list[Problem]]:
    """What file and environment say, the environment overruling, and what is wrong with it before its values are looked at."""
    problems: list[Problem] = []
    path = path or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    said: dict[str, Any] = {}
    if path is not None:
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem("", f"{path} cannot be read: {error.strerror if isinstance(error, OSError) else error}"))
        except tomllib.TOMLDecodeError as error:
            problems.append(Problem("", f"{path} is no TOML: {error}"))
    try:
        said = overruled(said, EnvSettingsSource(Settings)())
    except Unreadable as error:
        problems.append(Problem("", f"in the environment: {error}: {error.__cause__}"))
    return said, [*problems, *_unknown_variables(os.environ)]


def healthy(path: Path | None = None) -> tuple[Settings, frozenset[str], list[Problem]]:
    """The settings as far as they are right, the sections that are not and have their defaults instead, and what is wrong."""
    said, problems = collected(path)
    broken: set[str] = set()
    while True:
        try:
            return Settings(**{name: told for name, told in said.items() if name not in broken}), frozenset(broken), problems
        except ValidationError as error:
            errors = error.errors()
            problems += map(_problem, errors)
            # What does not fit together names no section: none of them can be trusted.
            broken |= {str(each["loc"][0]) for each in errors if each["loc"]} or set(said)


def overruled(said: dict[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what others say instead; sections are merged, lists are not."""
    merged = dict(said)
    for name, told in by.items():
        before = merged.get(name)
        merged[name] = overruled(before, told) if isinstance(before, dict) and isinstance(told, Mapping) else told
    return merged


def _problem(error: Any) -> Problem:
    key = ".".join(part for part in error["loc"] if isinstance(part, str))
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    is_secret = key.startswith(SECRET)
    is_shown = isinstance(error["input"], str | int | float | bool) and not is_secret and "\n" not in error["msg"]
    given = f", not {error['input']!r}" if is_shown else ""
    variable = _variable(key)
    where = f" (set by {variable})" if variable.upper() in {name.upper() for name in os.environ} else ""
    if error["type"] == "extra_forbidden":
        return Problem(place, f"there is no such setting; the nearest is {nearest(key, keys())}{where}")
    if error["type"] == "missing":
        return Problem(place, "must be given")
    return Problem(place, error["msg"].removeprefix("Value error, ") + given + where)


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[Problem]:
    """Variables with our prefix that belong to no section; pydantic passes over those."""
    for name in environment:
        if name.upper().startswith(PREFIX) and name.upper() != FILE_VARIABLE:
            section = name[len(PREFIX) :].split(NEST)[0].lower()
            if section not in Settings.model_fields:
                known = [FILE_VARIABLE, *map(_variable, keys())]
                yield Problem(name, f"there is no such variable; the nearest is {nearest(name.upper(), known)}")


def keys() -> list[str]:
    """Every section and setting there is, as dotted path; lists are passed through."""
    return list(_keys(Settings, ""))


def _keys(model: type[BaseModel], before: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        yield f"{before}{name}"
        if inner is not None:
            yield from _keys(inner, f"{before}{name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, by itself or as a list; None: a plain value."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", NEST).upper()
