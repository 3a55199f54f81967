"""The contracts of what is published, out of the tables: `python -m agents.published_contracts` writes the newest version of each.

A version that has been released is not written again: a table that changes after that gets a file of the next version, which may only add.
"""

import json
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipeline.published import TABLES, contract
from schemas.contracts import versions


def text(said: Mapping[str, Any]) -> str:
    """A contract as it stands in its file: a line a field."""
    head = "\n".join(f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in said.items() if name != "fields")
    fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in said["fields"])
    return f'{{\n{head}\n  "fields": [\n{fields}\n  ]\n}}\n'


def path(table: str) -> Path:
    """The file of a table's newest contract."""
    return Path(str(files("schemas") / table / f"v{versions(table)[-1]}.avsc"))


if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        path(name).write_text(text(contract(TABLES[name])), encoding="utf-8")
