"""`ebbtide report`: verdicts, words, the terminal and JSON."""

import itertools
import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from typer.testing import CliRunner

from agents.cli import main
from agents.settings import Settings
from pipeline.report_words import hurts, value
from pipeline.reports import Place, report
from pipeline.signs import SIGNS
from pipeline.verdicts import (
    BOTH_STRONG,
    BOTH_WEAK,
    BY_NAME,
    MEASURES,
    NOT_ENOUGH,
    STRONG_WEAK,
    WEAK_STRONG,
    Figure,
    Measure,
    VerdictRules,
    score,
    verdict,
)
from sinks.report_page import page
from sinks.report_plots import Dot, owner_map, plain
from tests.stores import rows_of, store_at

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = VerdictRules()

# Verdicts ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "experience", "said"),
    [
        (80.0, 20.0, STRONG_WEAK),
        (20.0, 80.0, WEAK_STRONG),
        (50.0, 50.0, BOTH_STRONG),
        (49.9, 49.9, BOTH_WEAK),
        (None, 80.0, NOT_ENOUGH),
        (80.0, None, NOT_ENOUGH),
        (None, None, NOT_ENOUGH),
    ],
)
def test_two_sides_make_the_verdict(service, experience, said):
    assert verdict(service, experience, RULES) == said


@pytest.mark.parametrize("measure", [each for each in MEASURES if each.good is not None], ids=lambda each: each.name)
def test_a_measure_gives_all_points_where_it_is_good_none_where_it_is_poor_and_half_in_between(measure):
    beyond = measure.good - measure.poor
    assert [measure.points(measure.good), measure.points(measure.poor)] == [100, 0]
    assert [measure.points(measure.good + beyond), measure.points(measure.poor - beyond)] == [100, 0]
    assert measure.points((measure.good + measure.poor) / 2) == pytest.approx(50)


def test_a_measure_without_borders_gives_no_points():
    assert BY_NAME["conversion"].points(0.5) is None


def figure(name: str, amount: float | None, n: int = 1_000) -> Figure:
    return Figure(BY_NAME[name], amount, n)


def test_a_side_has_the_mean_of_what_was_measured_often_enough():
    figures = [figure("csat", 0.85), figure("reopen_rate", 0.15), figure("transfer_rate", 0.1, n=9), figure("contact_rate", 3.0)]
    assert score(figures, RULES) == 50
    assert score(figures[1:], RULES) is None
    assert score(figures[1:], VerdictRules(min_measures=1)) == 0
    assert score([figure("csat", None, n=0), figure("reopen_rate", 0.1)], RULES) is None


def test_borders_can_be_set_and_a_wrong_name_or_border_is_an_error():
    rules = RULES.with_borders("first_reply_min", 5, 10, None)
    assert [each.points(7.5) for each in rules.measures if each.name == "first_reply_min"] == [50]
    with pytest.raises(ValueError, match="there is no measure 'first_reply'; there are csat"):
        RULES.with_borders("first_reply", 5, 10, None)
    with pytest.raises(ValueError, match="good and poor are two different numbers"):
        RULES.with_borders("csat", 0.6, None, None)
    with pytest.raises(ValueError, match="strong_from lies between 0 and 100"):
        VerdictRules(strong_from=100)


def test_settings_say_other_borders_and_a_wrong_one_is_told_with_its_place():
    told = Settings.model_validate(
        {
            "report": {
                "strong_from": 60,
                "measures": [{"name": "csat", "good": 0.9}],
                "signs": [{"name": "born_of_confusion", "min_n": 5}],
            }
        }
    )
    assert told.report.verdicts().strong_from == 60
    assert {each.name: each.good for each in told.report.verdicts().measures}["csat"] == 0.9
    assert {each.name: each.min_n for each in told.report.signs_applied()}["born_of_confusion"] == 5
    with pytest.raises(ValueError, match="there is no sign 'x'"):
        Settings.model_validate({"report": {"signs": [{"name": "x"}]}})


@pytest.mark.parametrize(
    ("name", "amount", "said"),
    [
        ("csat", 0.854, "85 %"),
        ("late_share", 0.0543, "5.4 %"),
        ("csat", 0.0, "0 %"),
        ("first_reply_min", 0.4, "under 1 min"),
        ("first_reply_min", 61.0, "61 min"),
        ("first_reply_min", 150.0, "2.5 h"),
        ("resolution_h", 72.0, "3.0 d"),
        ("tickets", 1_200, "1,200"),
        ("nps", -11.1, "-11"),
        ("effort", 1.25, "1.25"),
        ("csat", None, "-"),
    ],
)
def test_figures_are_told_with_their_unit(name, amount, said):
    assert value(figure(name, amount)) == said


# Reports -------------------------------------------------------------------------------------------------------------------


def frame(columns: tuple[str, ...], *rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(columns), orient="row")


FIGURES = ("site", "journey", "owner", "measure", "n", "mean", "median")
READINGS = ("sign", "site", "journey", "owner", "n", "n_hits")
SILENCES = ("site", "journey", "owner", "currency", "n", "lost_minor")


def made(weeks: pl.DataFrame | None = None) -> Any:
    figures = frame(
        FIGURES,
        ("s", "", "", "orders", 50, 1.0, 1.0),
        ("s", "", "", "tickets", 20, 1.0, 1.0),
        ("s", "shop", "payments", "csat", 40, 0.9, 1.0),
        ("s", "shop", "payments", "first_reply_min", 40, 900.0, 30.0),
        ("s", "shop", "payments", "friction", 500, 1.2, 1.0),
        ("s", "shop", "payments", "silent_loss", 500, 0.5, 1.0),
        ("s", "shop", "shop", "silent_loss", 500, 0.1, 0.0),
        ("other", "", "", "tickets", 3, 1.0, 1.0),
    )
    read = frame(READINGS, ("bots_without_people", "s", "", "", 40, 30), ("bots_without_people", "s", "shop", "payments", 40, 30))
    lost = frame(
        SILENCES, ("s", "", "", "EUR", 12, 120_000), ("s", "", "", "USD", 1, 900), ("s", "shop", "payments", "EUR", 12, 120_000),
        ("s", "shop", "", "EUR", 12, 120_000),
    )  # fmt: skip
    return report(AT, AT + DAY, figures, read, lost, weeks=weeks)


def test_a_report_says_of_each_owner_the_verdict_and_what_was_lost():
    found = {each.place: each for each in made().standings}
    payments = found[Place("s", "shop", "payments")]

    assert (payments.service, payments.experience, payments.verdict) == (100, 0, STRONG_WEAK)
    assert (payments.n_silent, payments.lost_minor) == (12, {"EUR": 120_000})
    assert [each.sign.name for each in payments.holding] == ["bots_without_people"]
    assert found[Place("s", "shop", "shop")].verdict == NOT_ENOUGH
    assert found[Place("s")].lost_minor == {"EUR": 120_000, "USD": 900}
    assert len(payments.readings) == len(SIGNS)


def test_tickets_are_held_against_the_orders_of_their_own_site():
    found = {each.place: each.figures for each in made().standings}
    assert found[Place("s")]["contact_rate"].value == 40
    assert "contact_rate" not in found[Place("other")]


def test_what_hurts_most_comes_first_in_words():
    assert [each.place.name for each in made().of("s")] == ["the whole site", "shop", "shop / payments", "shop / shop"]
    first, second = hurts(made(), "s")
    assert first.title == "shop / payments"
    assert first.text == (
        "12 left in silence, EUR 1,200.00 at stake. Strong service / weak experience (100 / 0 of 100). "
        "The experience suffers most from: signals a visit 1.20 (500), lost in silence 50 % (500)."
    )
    assert second.text.startswith("30 of 40 tickets, a day old, to which a bot replied (75 %) met no person ever")
    assert second.text.endswith("Most of them at shop / payments: 30 of 40.")


# The command ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(store_dsn):
    """A store of two sites; one is named as nobody should."""
    tickets = [
        {"ticket_id": f"t{n}", "opened_at": AT, "topic": "how_to", "journey": "<script>", "owner": "[bold]", "csat": 5, "customer_id": "c'1",
         "first_reply_ms": 60_000, "status": "solved"} for n in range(40)
    ]  # fmt: skip
    for store in store_at(store_dsn):
        with store.open() as opened:
            for site in ("shop", "<b>x</b>"):
                opened.write("contacts", rows_of("contacts", *({**each, "site": site} for each in tickets)), token=uuid.uuid4().hex)
        yield store


def called(store, *arguments):
    told = {"EBBTIDE_CLICKHOUSE__DSN": store.dsn, "EBBTIDE_CLICKHOUSE__DATABASE": store.database, "COLUMNS": "150"}
    return CliRunner().invoke(main, ["report", *map(str, arguments)], env=told)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return called


def test_people_are_told_of_each_site_the_verdict_what_hurts_and_the_signs(shop, run):
    done = run(shop)

    assert done.exit_code == 0
    assert "<b>x</b>, 2026-03-02 to 2026-03-02: not enough data" in done.stdout
    assert "tickets 40 (40)" in done.stdout
    assert "<script>   [bold]" in done.stdout
    assert "Help needed for simple tasks: 40 of 40 tickets (100 %) asked how to do something simple" in done.stdout


def test_programs_are_told_all_of_it_on_one_line(shop, run):
    done = run(shop, "--site", "shop", "--json")

    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    (owner,) = [each for each in said["places"] if each["owner"]]
    assert (owner["site"], owner["journey"], owner["owner"], owner["verdict"]) == ("shop", "<script>", "[bold]", NOT_ENOUGH)
    assert owner["measures"]["csat"] == {"value": 1.0, "n": 40, "points": 100.0, "min_n": 10}
    assert owner["signs"]["help_for_simple_tasks"]["standing"] == "holds"
    assert owner["signs"]["exhausting_purchase"] == {
        "share": None, "n": 0, "n_hits": 0, "standing": "not enough data", "threshold": 0.2, "min_n": 50,
    }  # fmt: skip
    assert len(said["examples"]["shop"]["help_for_simple_tasks"]) == 5


def test_the_rows_behind_a_sign_are_listed(shop, run):
    done = run(shop, "--sign", "4", "--site", "shop")
    assert "t39" in done.stdout
    assert "ebbtide why --customer ID" in done.stdout
    assert len(json.loads(run(shop, "--sign", "help_for_simple_tasks", "--json").stdout)["help_for_simple_tasks"]) == 80
    assert "Bots with no human behind: there are none" in run(shop, "--sign", "8").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--site", "nowhere"], "there is no site 'nowhere'; there are <b>x</b>, shop"),
        (
            ["--from", "2026-05-01"],
            "nothing was seen from 2026-05-01 00:00 to 2026-03-02 12:00; there is something from 2026-03-02 12:00",
        ),
        (["--to", "2026-01-01"], "nothing was seen from"),
        (["--sign", "11"], "there is no sign '11'; there are 1 praise_and_complaints"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(shop, run, arguments, said):
    done = run(shop, *arguments)
    assert done.exit_code == 1
    assert said in " ".join(done.stderr.split())


def test_an_empty_store_and_one_without_the_views_say_what_to_do(store, run):
    assert "is empty: `ebbtide worker`, `replay` or `up` write into it" in run(store).stderr
    store.command("DROP VIEW sites_now")
    assert "`ebbtide migrate` makes them" in run(store).stderr


# The page ------------------------------------------------------------------------------------------------------------------

LOADS = re.compile(
    r"""(?:src|href|action|data)\s*=\s*["'](?!#)|url\(|@import|<(?:script|iframe|object|embed|link|img)\b""", re.IGNORECASE
)
"""What makes a browser fetch something, or run it."""


@pytest.fixture(scope="module")
def written(shop, tmp_path_factory):
    """The page of a shop whose names are as hostile as they can be."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    done = called(shop, "--html", file)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    return file.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_has_a_section_for_each_site(written):
    """It is written so that it is XML as well: whatever opens closes, and every attribute is quoted."""
    tree = ET.fromstring(written.removeprefix("<!DOCTYPE html>\n"))
    assert [section.attrib["id"] for section in tree.iter("section")] == ["site-0", "site-1"]
    assert [heading.text for heading in tree.iter("h2")] == ["<b>x</b>", "shop"]
    assert {link.attrib["href"] for link in tree.iter("a")} == {"#site-0", "#site-1"}
    assert sum(each.attrib.get("class", "").startswith("sign ") for each in tree.iter("article")) == 2 * len(SIGNS)


def test_the_page_loads_nothing_and_its_own_policy_forbids_it(written):
    assert LOADS.findall(written) == []
    assert "://" not in written
    assert """content="default-src 'none'; style-src 'unsafe-inline'\"""" in written


def test_what_comes_from_data_is_text_on_the_page(written):
    assert "<script" not in written
    assert "&lt;script&gt;" in written
    assert "&lt;b&gt;x&lt;/b&gt;" in written
    assert plain("a\x00\x1b<&'\"\n") == "a  &lt;&amp;&#x27;&quot; "


def test_the_page_shows_plots_of_what_there_is():
    weeks = frame(
        ("site", "journey", "owner", "measure", "week", "n", "mean", "median"),
        *(("s", "", "", name, date(2026, 3, 2) + number * 7 * DAY, 40, amount, amount)
          for number in (0, 1, 3) for name, amount in (("csat", 0.9), ("reopen_rate", 0.1), ("friction", 2.0), ("silent_loss", 0.1))),
        ("s", "", "", "csat", date(2026, 3, 16), 1, 0.9, 0.9),
    )  # fmt: skip
    found = made(weeks)
    tree = ET.fromstring(page(found, {}, AT).removeprefix("<!DOCTYPE html>\n"))

    plots = {plot.attrib["aria-label"]: plot for plot in tree.iter("svg") if "aria-label" in plot.attrib}
    dots = [title.text for circle in plots["owners by service and experience"].iter("circle") for title in circle]
    assert dots == ["shop / payments: strong service / weak experience (100 / 0 of 100). 12 left in silence."]
    told = [title.text for circle in plots["points of both sides, week by week"].iter("circle") for title in circle]
    assert told[:2] == ["service, week of 2026-03-02: 75", "service, week of 2026-03-09: 75"]
    assert len(told) == 6
    runs = plots["points of both sides, week by week"].findall("polyline")
    assert [len(run.attrib["points"].split()) for run in runs] == [2, 2]


CROWDS = {
    "side by side": [Dot(f"journey / owner {n}", 60 + n, 80 - n % 3, 0.1, "") for n in range(6)],
    "in a corner, and at the edge": [
        Dot("shop / shop", 79, 0, 1.0, ""), Dot("shop / logistics", 62, 85, 0.18, ""), Dot("shop / payments", 87, 78, 0.17, ""), Dot("order / shop", 87.5, 100, 0.02, ""),
        Dot("order / carrier", 94, 91, 0.01, ""), Dot("shop / catalogue", 83, 92, 0.0, ""), Dot("shop / marketing", 87, 94, 0.0, ""),
    ],
}  # fmt: skip


@pytest.mark.parametrize("dots", CROWDS.values(), ids=list(CROWDS))
def test_names_on_the_map_do_not_lie_on_each_other_nor_dots_on_the_edge(dots):
    drawn = ET.fromstring(owner_map(dots, 50))
    boxes = []
    for text in drawn.iter("text"):
        if text.attrib["class"] in {"label", "corner"}:
            x, y, wide = float(text.attrib["x"]), float(text.attrib["y"]), 6.5 * len(text.text or "")
            begin = x - wide * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
            boxes.append((begin, begin + wide, y))
    assert len(boxes) == len(dots) + 4
    for one, other in itertools.combinations(boxes, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) > 11
    within = (
        next(drawn.iter("rect")).attrib["x"],
        max(float(each.attrib["y"]) + float(each.attrib["height"]) for each in drawn.iter("rect")),
    )
    for dot in drawn.iter("circle"):
        x, y, radius = (float(dot.attrib[name]) for name in ("cx", "cy", "r"))
        assert x - radius > float(within[0])
        assert y + radius < within[1]


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(shop, run):
    done = run(shop, "--html", "nowhere/page.html")
    assert done.exit_code == 1
    assert "nowhere" in done.stderr
    assert "No such file or directory" in done.stderr
    assert run(shop, "--html", "page.html", "--sign", "4").exit_code == 2


def test_a_measure_of_nobodys_is_refused():
    with pytest.raises(ValueError, match="min_n is at least 1"):
        Measure("x", "service", "x", "x", "share", 1.0, 0.0, 0, "x")
