"""Words of mappings: what is said when one is wrong, and how ClickHouse writes a string and settings."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class MappingWrong(ValueError):
    """Mappings or files cannot be read as events; the message names every one of them, and the column."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The most similar of the known names."""
    return get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def quoted(text: str) -> str:
    """A string as ClickHouse writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def settings(values: Mapping[str, str]) -> str:
    """A SETTINGS clause."""
    return "SETTINGS " + ", ".join(f"{name} = {value}" for name, value in values.items())
