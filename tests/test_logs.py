"""The log, as people and as programs read it."""

import json
import logging

import pytest

from agents import logs


@pytest.fixture(autouse=True)
def afterwards():
    """The log of the tests is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def said(capsys, fmt, **extra):
    logs.begin(fmt=fmt)
    try:
        {}["x"]
    except KeyError:
        logging.getLogger("agents.shell").exception("%d records\nare odd", 3, extra=extra)
    logging.getLogger("faust").info("chatter")
    logging.getLogger("agents.shell").debug("details")
    return capsys.readouterr().err


def test_a_line_for_programs_is_one_json_object(capsys):
    text = said(capsys, "json", **logs.about(stage="sessions", topic="clickstream", partition=3, epoch=None))

    (line,) = map(json.loads, text.splitlines())
    assert line.pop("at").endswith("Z")
    assert "KeyError: 'x'" in line.pop("traceback")
    assert line == {
        "level": "ERROR",
        "logger": "agents.shell",
        "message": "3 records\nare odd",
        "stage": "sessions",
        "topic": "clickstream",
        "partition": 3,
    }
    assert logs.in_json()


def test_a_line_for_people_is_plain(capsys):
    text = said(capsys, "text", stage="sessions")

    assert "ERROR agents.shell: 3 records" in text
    assert "chatter" not in text
    assert not logs.in_json()


def test_a_field_that_nobody_knows_is_a_mistake():
    with pytest.raises(AssertionError, match="stagee"):
        logs.about(stagee="sessions")
