"""A batch over which a stage failed of which no command folds one again: it is kept as a file."""

import base64
import json
import tempfile

import pytest
from confluent_kafka import Message

from agents.defective_batch import Again, described
from agents.runs import Run
from pipeline.frames import WATERMARKS

RECORDS = [(7, b"customer:anna", b"a batch\x00"), (9, None, None)]


@pytest.fixture
def said(monkeypatch):
    def of(folder):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        run = Run(after=6, seeks=0)
        run.add([Message(topic="people", partition=3, offset=offset, key=key, value=value) for offset, key, value in RECORDS])
        again = Again((), "No command folds it again.")
        return described("journeys", "people", again, runs=[run], reached={3: 6}, watermarks=WATERMARKS.to_frame())

    return of


def test_it_says_where_every_record_is_and_nobody_else_can_read_it(said, tmp_path):
    told = said(tmp_path)

    (path,) = tmp_path.iterdir()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert f"people-3 offsets 7 to 9. Nothing of it was kept.\nNo command folds it again. Its records are kept in {path}" in told
    assert [(row["partition"], row["offset"]) for row in rows] == [(3, 7), (3, 9)]
    assert [base64.b64decode(rows[0][name]) for name in ("key", "value")] == [b"customer:anna", b"a batch\x00"]
    assert (rows[1]["key"], rows[1]["value"]) == (None, None)
    assert path.stat().st_mode & 0o077 == 0


def test_where_there_is_no_room_for_it_that_is_said(said, tmp_path):
    assert "could not be written to a file" in said(tmp_path / "nowhere")
