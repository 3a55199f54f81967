"""`ebbtide score`: a file in, a score for each row out; what is wrong with it is said with its place."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from agents.cli import main
from agents.score_command import picture

HEAD = "timestamp,value\n"


def rows(n=300, spike=None):
    return [(f"2026-01-05T{row // 12 % 24:02}:{row % 12 * 5:02}:00Z", 90 if row == spike else 20 + row * 7 % 5) for row in range(n)]


def csv(*told, head=HEAD):
    return head + "".join(f"{time},{value}\n" for time, value in told)


@pytest.fixture
def score(tmp_path):
    """Score a file with this content."""

    def run(text, *options, name="series.csv"):
        path = tmp_path / name
        if isinstance(text, pl.DataFrame):
            text.write_parquet(path)
        elif text is not None:
            path.write_text(text)
        done = CliRunner().invoke(main, ["score", str(path), *options], env={"COLUMNS": "100"})
        return done.exit_code, done.stdout, done.stderr

    return run


def test_json_is_one_line_with_a_score_for_each_row_in_order(score):
    told = rows(288, spike=250)
    code, out, err = score(csv(*told), "--json")
    found = json.loads(out)

    assert (code, err, out.count("\n")) == (0, "", 1)
    assert [(each["timestamp"], each["value"]) for each in found] == told
    assert max(found, key=lambda each: each["score"])["timestamp"] == told[250][0]
    assert found[250]["score"] > 0.9
    assert all(0 <= each["score"] <= 1 for each in found)


def test_a_terminal_shows_the_most_unusual_rows_and_a_picture(score):
    code, out, _ = score(csv(*rows(288, spike=250)))

    assert code == 0
    assert "value: 288 rows, " in out
    assert "2026-01-05T20:50:00Z" in out
    assert "█" in out.splitlines()[0]
    assert "^" in out.splitlines()[1]


def test_formats_and_kinds_of_time_make_no_difference(score):
    told = rows(288, spike=250)
    first = 1_767_571_200
    frame = pl.DataFrame({"timestamp": [time for time, _ in told], "value": [value for _, value in told]})
    wanted = [each["score"] for each in json.loads(score(csv(*told), "--json")[1])]
    others = (
        score(csv(*((first + 300 * row, value) for row, (_, value) in enumerate(told))), "--json"),
        score(csv(*((1_000 * (first + 300 * row), value) for row, (_, value) in enumerate(told))), "--json"),
        score(csv(*((time[:-1].replace("T", " "), value) for time, value in told)), "--json"),
        score("".join(json.dumps({"timestamp": time, "value": value}) + "\n" for time, value in told), "--json", name="s.ndjson"),
        score(frame.with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC")), "--json", name="s.parquet"),
    )

    assert [[each["score"] for each in json.loads(out)] for _, out, _ in others] == [wanted] * len(others)


def test_a_row_without_a_value_has_a_score(score):
    code, out, _ = score(csv(*rows(40), ("2026-01-05T04:00:00Z", ""), ("2026-01-05T04:05:00Z", "NaN")), "--json")

    assert code == 0
    assert [each["value"] for each in json.loads(out)[-2:]] == [None, None]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", (), "the file is empty"),
        (HEAD, (), "there are no rows below the header"),
        ("timestamp\n2026-01-05\n", (), "there is only timestamp"),
        (csv(*rows(3)), ("--value", "values"), "no column values; the nearest is value"),
        (csv(*rows(3)), ("--value", "timestamp"), "column timestamp has the times; values are in one of value"),
        ("timestamp,a,b\n2026-01-05,1,2\n", (), "--value names one of a, b"),
        (csv(("2026-01-05", 1), ("2026-01-06", "many")), (), "column value, row 2: 'many' is no number"),
        (csv(("2026-01-05", 1), ("soon", 2)), (), "column timestamp, row 2: 'soon' is no time like"),
        (csv(("2026-01-05", 1), ("", 2)), (), "column timestamp, row 2: "),
        (csv(("2026-01-05", 1), ("2026-01-05", 2)), (), "row 2: 2026-01-05 stands twice"),
        (csv(("2026-01-05", 1), ("2026-01-04", 2)), (), "row 2: 2026-01-04 comes after 2026-01-05"),
        (csv(("2026-01-05", "1,2")), (), "it cannot be read as .csv"),
        (None, (), "there is no such file"),
    ],
)
def test_what_is_wrong_is_said_with_file_column_and_row(score, text, options, said):
    code, out, err = score(text, *options, "--json")

    assert (code, out) == (1, "")
    assert "series.csv: " in err
    assert said in " ".join(err.split())


def test_a_format_that_nobody_reads_is_refused(score):
    assert "not one of the formats .csv" in score("x", name="series.xml")[2]


def test_a_picture_has_room_for_every_series():
    assert picture([1.0], [0.0], 80) == ("▁", " ")
    assert picture([None, None], [0.0, 0.6], 80) == ("  ", " ^")
    assert picture([0.0, 0.0, 7.0, 7.0], [0, 0, 0.9, 0], 2) == ("▁█", " ^")
    assert picture([1e308, -1e308, float("inf"), 1.0], [0, 0, 0, 0], 4) == ("   ▁", "    ")
