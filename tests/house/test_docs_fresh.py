"""What is generated is as it would be generated now, and what is linked is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents import expectation_catalogue, report_catalogue
from agents.signal_catalogue import FILE, catalogue
from sinks import dictionary

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "lib", "node_modules"} & set(path.relative_to(ROOT).parts))


def test_the_catalogue_of_events_is_fresh():
    found = subprocess.run(
        [sys.executable, "-m", "schemas.document", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_catalogue_of_signals_is_fresh():
    """`make docs` writes it again."""
    assert (ROOT / FILE).read_text() == f"{catalogue()}\n"


def test_the_catalogue_of_expectations_is_fresh():
    assert (ROOT / expectation_catalogue.FILE).read_text() == f"{expectation_catalogue.catalogue()}\n"


def test_the_dictionary_of_the_tables_is_fresh(store):
    with store.open() as opened:
        assert (ROOT / dictionary.FILE).read_text() == f"{dictionary.page(opened.client(), store.database)}\n"


def test_the_table_of_measures_and_signs_is_fresh():
    assert (ROOT / report_catalogue.FILE).read_text() == f"{report_catalogue.catalogue()}\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_names_the_command_that_ci_runs():
    """What a reader is told to run is what is run before anything lands."""
    assert "make test" in (ROOT / "README.md").read_text()
    assert "make check" in (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^check: .*\btest\b", (ROOT / "Makefile").read_text(), re.MULTILINE)
