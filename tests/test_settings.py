"""Settings: what a file and variables say, and what is said of mistakes."""

import os
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.settings import Settings
from agents.settings_reference import FILE, reference
from agents.settings_sources import FILE_VARIABLE, SettingsWrong, healthy, keys, load
from pipeline.checks import Bounds
from pipeline.session_rules import SessionRules
from pipeline.signals import SIGNALS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in list(os.environ):
        if name.startswith("EBBTIDE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


def wrong(path=None):
    with pytest.raises(SettingsWrong) as told:
        load(path)
    return [str(problem) for problem in told.value.problems]


def test_the_defaults_are_those_of_the_core():
    assert load().session_rules() == SessionRules()
    assert load().events.bounds() == Bounds()


def test_a_file_says_what_is_different(file):
    settings = load(file('[sessions]\ngap_min = 20\n[kafka]\nlibrdkafka = {"security.protocol" = "SSL"}\n[store]\nevents = true'))

    assert settings.session_rules() == SessionRules(gap=timedelta(minutes=20), store_events=True)
    assert settings.kafka.librdkafka == {"security.protocol": "SSL"}
    assert settings.kafka.partitions == 4


def test_a_variable_overrules_the_file(file, monkeypatch):
    monkeypatch.setenv("EBBTIDE_KAFKA__BOOTSTRAP", "broker:1")
    monkeypatch.setenv("EBBTIDE_ROLLUPS__DIMENSIONS", '["country"]')

    settings = load(file('[kafka]\nbootstrap = "other:2"\nprefix = "shop"'))

    assert (settings.kafka.bootstrap, settings.kafka.prefix) == ("broker:1", "shop")
    assert settings.session_rules().dimensions == ("country",)


def test_a_variable_names_the_file(file, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(file('[kafka]\nprefix = "shop"')))

    assert load().kafka.prefix == "shop"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ('[kafka]\nbootstrp = "x"', "kafka.bootstrap"),
        ('bootstrap = "x"', "kafka.bootstrap"),
        ("[session]\ngap_min = 20", "sessions"),
        ("[signals.rage_click]\nclick = 4", "signals.rage_click.clicks"),
        ("[signals.rage_clicks]\nclicks = 4", "signals.rage_click"),
        ('[[journeys]]\nname="a"\ncommit_step="b"\ngoal="b"\nsteps=[{name="b", owner="c", page=["/x"]}]', "journeys.steps.pages"),
    ],
)
def test_an_unknown_key_names_the_nearest_right_one(file, text, nearest):
    (problem,) = wrong(file(text))

    assert "there is no such setting" in problem
    assert problem.endswith(nearest)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("EBBTIDE_KAFKA_BOOTSTRAP", "EBBTIDE_KAFKA__BOOTSTRAP"),
        ("EBBTIDE_KAKFA__BOOTSTRAP", "EBBTIDE_KAFKA__BOOTSTRAP"),
        ("EBBTIDE_SETTING", "EBBTIDE_SETTINGS"),
    ],
)
def test_an_unknown_variable_names_the_nearest_right_one(monkeypatch, variable, nearest):
    monkeypatch.setenv(variable, "x")

    assert wrong() == [f"{variable}: there is no such variable; the nearest is {nearest}"]


def test_an_unknown_variable_of_a_known_section_is_an_error_too(monkeypatch):
    monkeypatch.setenv("EBBTIDE_KAFKA__REPLICATON", "3")

    (problem,) = wrong()

    assert (
        problem == "kafka.replicaton: there is no such setting; the nearest is kafka.replication (set by EBBTIDE_KAFKA__REPLICATON)"
    )


def test_everything_that_is_wrong_is_said_at_once(file, monkeypatch):
    monkeypatch.setenv("EBBTIDE_CLICKHOUSE__BATCH_ROWS", "many")
    monkeypatch.setenv("EBBTIDE_X", "1")

    problems = wrong(file('[kafka]\npartitions = 0\n[clickhouse]\ndsn = "mysql://x"\n[signals.rage_click]\nclicks = 1'))

    about = ("EBBTIDE_X", "kafka.partitions", "clickhouse.batch_rows", "clickhouse.dsn", "signals.rage_click")
    assert sorted(problem.partition(":")[0] for problem in problems) == sorted(about)
    assert any("set by EBBTIDE_CLICKHOUSE__BATCH_ROWS" in problem for problem in problems)


def test_what_does_not_fit_together_is_an_error(file):
    (problem,) = wrong(file("[sessions]\nretention_h = 0.1"))

    assert problem == "retention (0:06:00) must not be shorter than gap (0:30:00)"


@pytest.mark.parametrize("text", ["[kafka", "\xff"])
def test_a_file_that_is_no_toml_is_an_error(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_bytes(text.encode("latin-1"))

    assert str(path) in wrong(path)[0]


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    assert "No such file" in wrong(tmp_path / "none.toml")[0]


def test_a_signal_is_set_by_profile_and_by_number(file):
    profile = next(iter(SIGNALS[0].profiles))
    text = f'[signals.{SIGNALS[0].name}]\nprofile = "{profile}"\n[signals.form_error_loop]\nerrors = 4\n[signals.page_error]\nenabled = false'

    signals = {signal.name: signal for signal in load(file(text)).session_rules().signals}

    assert signals[SIGNALS[0].name] == SIGNALS[0].with_profile(profile)
    assert signals["form_error_loop"].rule.errors == 4
    assert "page_error" not in signals


def test_a_profile_of_all_signals_leaves_those_without_it_and_those_that_say_otherwise(file):
    text = '[signals]\nprofile = "datadog"\n[signals.error_click]\nprofile = "default"'
    text += "\n[signals.rage_click]\nclicks = 4\n"

    signals = {signal.name: signal for signal in load(file(text)).session_rules().signals}

    assert (signals["rage_click"].rule.radius_px, signals["rage_click"].rule.clicks) == (100, 4)
    assert signals["error_click"].profile == signals["form_error_loop"].profile == "default"
    assert "no signal has a profile 'datadoge'; the nearest is 'datadog'" in wrong(file('[signals]\nprofile = "datadoge"'))[0]


OWN = """
[[signals.own]]
name = "{name}"
event_types = ["click"]
where = "{where}"
weight = {weight}
meaning = "Somebody is lost."
"""


def own(name="lost", where="element = 'map'", weight=5.0):
    return OWN.format(name=name, where=where, weight=weight)


def test_signals_of_ones_own_come_last_each_with_a_bit_of_its_own(file):
    *_, first, second = load(file(own() + own("found"))).session_rules().signals

    assert (first.name, first.weight, first.meaning, first.reads) == ("lost", 5.0, "Somebody is lost.", ("click",))
    assert (second.name, first.bit & second.bit) == ("found", 0)


def test_all_that_is_wrong_with_signals_of_ones_own_is_said_at_once(file):
    problems = wrong(file(own("rage_click", "elements = 'x'") + own("lost", "element =", 0)))

    assert problems[0] == "signals.own[0].name: a signal that ships with Ebbtide has this name, not 'rage_click'"
    assert problems[1].split("\n") == [
        "signals.own[0].where: there is no column 'elements'; the nearest is 'element'",
        "    elements = 'x'",
        "    ^^^^^^^^",
    ]
    assert [problem.partition(":")[0] for problem in problems[2:]] == ["signals.own[1].where", "signals.own[1].weight"]


def test_there_are_as_many_signals_of_ones_own_as_bits_and_each_name_once(file):
    assert "own: there are two signals of the name 'lost'" in wrong(file(own() + own()))[0]
    assert "own: there may be 8 signals of your own, not 9" in wrong(file("".join(own(f"lost_{n}") for n in range(9))))[0]


def test_the_example_of_a_signal_of_ones_own_in_the_reference_can_be_used(file):
    lines = reference().split("# [[signals.own]]")[1].split("\n\n")[0].splitlines()
    settings = load(file("[[signals.own]]\n" + "\n".join(line.removeprefix("# ") for line in lines)))

    assert settings.session_rules().signals[-1].name == "coupon_hunt"


def test_the_signal_that_the_readme_shows_can_be_used(file):
    text = (ROOT / "README.md").read_text().split("```toml\n[[signals.own]]")[1].split("```")[0]

    assert load(file(f"[[signals.own]]{text}")).session_rules().signals[-1].own.owner == "marketing"


def test_none_stands_for_no_limit(file):
    settings = load(file('[signals.rage_click]\nspan_ms = "none"\ngap_ms = 300'))

    assert settings.session_rules().signals[0].rule.span_ms is None


def test_journeys_of_the_file_replace_those_that_ship(file):
    text = '[[journeys]]\nname = "b2b"\ncommit_step = "rfq"\ngoal = "quote"\n'
    text += "".join(
        f'[[journeys.steps]]\nname = "{name}"\nowner = "sales"\nevent_types = ["rfq_step"]\n' for name in ("rfq", "quote")
    )

    (journey,) = load(file(text)).session_rules().journeys.journeys

    assert (journey.name, [step.name for step in journey.steps], journey.goal) == ("b2b", ["rfq", "quote"], "quote")


def test_a_goal_that_is_no_step_is_an_error(file):
    text = '[[journeys]]\nname = "b2b"\ncommit_step = "rfq"\ngoal = "quotes"\nsteps = [{name = "rfq", owner = "sales"}]'

    (problem,) = wrong(file(text))

    assert problem.startswith("journeys[0]: journey 'b2b': goal 'quotes' is none of its steps")


def test_nothing_secret_is_printed(file):
    settings = load(
        file(
            '[clickhouse]\ndsn = "clickhouse://me:hush@h:1"\n[kafka]\nschema_registry_url = "http://me:hush@h:1"\n[kafka.librdkafka]\n"sasl.password" = "hush"'
        )
    )

    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)


@pytest.mark.parametrize(
    "text",
    [
        '[clickhouse]\ndsn = "mysql://me:31337@h:1"',
        '[kafka]\nschema_registry_url = "me:31337@registry:8081"',
        '[kafka.librdkafka]\n"sasl.password" = 31337',
    ],
)
def test_nothing_secret_is_in_what_is_said_of_a_mistake(file, text):
    (problem,) = wrong(file(text))

    assert "31337" not in problem


def test_the_address_of_a_registry_has_a_scheme(file):
    (problem,) = wrong(file('[kafka]\nschema_registry_url = "registry:8081"'))

    assert problem == "kafka.schema_registry_url: it is http://host:port or https://host:port"
    assert load(file('[kafka]\nschema_registry_url = "http://a:8081,https://b"')).kafka.schema_registry_url


def test_nothing_changes_afterwards():
    with pytest.raises(ValidationError):
        load().kafka.prefix = "other"


def test_what_is_right_is_known_although_something_is_wrong(file):
    settings, broken, problems = healthy(file('[kafka]\npartitions = 0\n[clickhouse]\ndatabase = "other"'))

    assert broken == {"kafka"}
    assert settings.clickhouse.database == "other"
    assert [problem.key for problem in problems] == ["kafka.partitions"]


def test_the_reference_is_fresh():
    """`make docs` writes it again."""
    assert (ROOT / FILE).read_text() == reference()


def test_the_reference_says_every_key_and_changes_nothing():
    text = reference()
    said = tomllib.loads(text)

    assert Settings(**said).session_rules() == SessionRules()
    for key in keys():
        if key.startswith(
            (
                "signals.own",
                "case_steps",
                "calendars",
                "expectations",
                "alerts.channels",
                "alerts.mutes",
                "report.measures",
                "report.signs",
            )
        ):  # there is none: it stands there as an example
            assert f"# {key.rpartition('.')[2]} = " in text or f"# [[{key}]]" in text
            continue
        inner = said
        for part in key.split("."):
            inner = inner[0] if isinstance(inner, list) else inner
            assert part in inner or key == "kafka.schema_registry_url", key
            inner = inner.get(part)


@pytest.mark.parametrize("name", ["settings.minimal.toml", "settings.reference.toml"])
def test_the_files_that_ship_can_be_read(name):
    assert load(ROOT / "deploy" / name).kafka.bootstrap == "127.0.0.1:9092"
