"""The four packages are ours, and nobody else's."""

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("schemas", "pipeline", "sinks", "agents")


@pytest.mark.parametrize("name", OURS)
def test_a_package_resolves_inside_our_tree(name):
    assert Path(importlib.import_module(name).__file__).parent == ROOT / name


@pytest.mark.parametrize("name", OURS)
def test_no_dependency_brings_a_package_of_that_name(name):
    """An editable install lists no files, so it does not show here; anything else that does is a stranger."""
    assert set(importlib.metadata.packages_distributions().get(name, [])) <= {"ebbtide"}


def test_no_folder_below_the_top_is_named_like_a_package():
    taken = {*OURS, "faust", "polars", "chdb", "pyarrow", "rich"}
    folders = [path for top in (*OURS, "tests") for path in (ROOT / top).rglob("*") if path.is_dir() and path.name in taken]
    assert folders == []


def test_modules_are_small():
    """A newcomer finds any rule in a minute: 200 lines, 400 with a reason in DECISIONS.md."""
    long = {
        str(path.relative_to(ROOT)): n
        for top in OURS
        for path in (ROOT / top).rglob("*.py")
        if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
