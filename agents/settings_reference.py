"""Every setting with its default and what it means, as the TOML file `deploy/settings.reference.toml`.

`python -m agents.settings_reference` prints it; a test checks that the file is what this says.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agents.settings import Settings
from agents.settings_section import NONE
from agents.settings_sources import section_of

FILE = Path("deploy/settings.reference.toml")
WIDTH = 120

HEAD = """\
# Every setting, with its default. Made from the settings themselves: make docs.
# A variable overrules each: EBBTIDE_ and the path with two underscores, EBBTIDE_KAFKA__BOOTSTRAP=host:9092; lists are JSON there.
# The file is named with --settings FILE, or EBBTIDE_SETTINGS=FILE.
"""


def reference() -> str:
    """The text of the file."""
    return HEAD + "".join(_lines(Settings(), ""))


def _lines(section: BaseModel, path: str) -> Iterator[str]:
    """Plain values first, then the sections below, as TOML wants it."""
    below: list[tuple[str, Any, str | None]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value == () and section_of(field.annotation):
            below.append((f"{path}{name}", section_of(field.annotation), field.description))
        elif isinstance(value, BaseModel) or (isinstance(value, tuple) and value and isinstance(value[0], BaseModel)):
            below.append((f"{path}{name}", value, field.description))
        else:
            yield from _comment(field.description)
            yield f"# {name} = {_toml(field.examples[0])}\n" if field.examples else f"{name} = {_toml(value)}\n"
    for name, value, said in below:
        if isinstance(value, type):
            yield "\n"
            yield from _comment(said)
            yield from _example(name, value)
        elif isinstance(value, tuple):
            for number, each in enumerate(value):
                yield "\n"
                yield from _comment(said if number == 0 else None)
                yield f"[[{name}]]\n"
                yield from _lines(each, f"{name}.") if number == 0 else _bare(each, f"{name}.")
        else:
            yield "\n"
            yield from _comment(type(value).__doc__)
            yield f"[{name}]\n"
            yield from _lines(value, f"{name}.")


def _example(path: str, section: type[BaseModel]) -> Iterator[str]:
    """One of a list that is empty by default, as a comment."""
    yield f"# [[{path}]]\n"
    for name, field in section.model_fields.items():
        assert field.examples, f"{path}.{name} needs an example"
        yield from (f"#{line}" for line in _comment(field.description))
        yield f"# {name} = {_toml(field.examples[0])}\n"


def _bare(section: BaseModel, path: str) -> Iterator[str]:
    """What was explained at the first of a list is not explained again; what is empty is left out."""
    for line in _lines(section, path):
        if not line.startswith("#") and not line.endswith("= []\n"):
            yield line


def _comment(text: str | None) -> Iterator[str]:
    if text:
        plain = text.replace("``", "").replace("None:", f"{NONE}:")
        yield from (f"# {line}\n" for line in textwrap.wrap(" ".join(plain.split()), WIDTH))


def _toml(value: Any) -> str:
    if value is None:  # only the rule of a signal has it, for no limit
        return f'"{NONE}"'
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    assert isinstance(value, int | float), value
    return repr(value)


if __name__ == "__main__":
    sys.stdout.write(reference())
