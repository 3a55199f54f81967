"""The ten signs: for each a shop in which it holds and one in which it does not, from their events to what is read; and the rows behind it."""

import itertools
import math

import pytest

from agents import replay_command, terminal
from agents.replay import Until
from agents.settings import Settings
from pipeline.signs import BY_NAME, DOES_NOT, HOLDS, SIGNS, TOO_FEW, Reading, Sign, with_borders
from sinks.reader import Reader
from sinks.report_rows import Span, readings, sign_rows
from sinks.sign_queries import sign_queries
from tests.sign_events import AT, DAY, HOUR, IGNORED, LATER, SCENARIOS, known_shop, write
from tests.stores import store_at

KINDS = ("holds", "not")


def border(sign: Sign) -> int:
    """Hits from which it holds, of as few as it is judged of."""
    return math.ceil(sign.threshold * sign.min_n - 1e-9)


def of_shops():
    """Two shops for each sign: at its border, and one short of it."""
    for sign in SIGNS:
        for kind, n_hits in zip(KINDS, (border(sign), border(sign) - 1), strict=True):
            things = (SCENARIOS[sign.name](n, hit=n < n_hits) for n in range(sign.min_n))
            yield f"{sign.name}/{kind}", itertools.chain(*things, IGNORED[sign.name](), known_shop())


@pytest.fixture(scope="module")
def reader(store_dsn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signs")
    write(folder, of_shops())
    for store in store_at(store_dsn):
        told = Settings.model_validate({"clickhouse": {"database": store.database}})
        with terminal.progress(wanted=False) as way:
            done = replay_command.run(replay_command.Inputs((folder,), None), told, store.dsn, Until(), way)
        assert done.fates["rejected"] == 0
        with Reader(store.dsn, store.database) as found:
            yield found


def at(*sites: str) -> Span:
    return Span(sites, AT - 100 * DAY, LATER + DAY)


@pytest.fixture(scope="module")
def read(reader):
    """Sign, kind of shop, journey, owner -> what was read."""
    sites = [f"{sign.name}/{kind}" for sign in SIGNS for kind in KINDS]
    return {
        (row["sign"], kind, row["journey"], row["owner"]): Reading(BY_NAME[row["sign"]], row["n"], row["n_hits"])
        for row in readings(reader, at(*sites)).to_dicts()
        for name, _, kind in [row["site"].partition("/")]
        if name == row["sign"]
    }


def test_there_are_ten_signs_each_with_a_query_and_scenarios():
    assert [sign.number for sign in SIGNS] == list(range(1, 11))
    assert list(sign_queries()) == [sign.name for sign in SIGNS] == list(SCENARIOS) == list(IGNORED)
    assert all(sql.startswith("-- ") for sql in sign_queries().values())


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_a_sign_holds_from_its_border_on_and_not_below(read, sign):
    holds, does_not = read[sign.name, "holds", "", ""], read[sign.name, "not", "", ""]

    assert (holds.n, holds.n_hits, holds.standing) == (sign.min_n, border(sign), HOLDS)
    assert (does_not.n, does_not.n_hits, does_not.standing) == (sign.min_n, border(sign) - 1, DOES_NOT)
    assert f"{border(sign)} of {sign.min_n} {sign.looked_at}" in holds.sentence


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_of_too_few_a_sign_is_not_judged_although_all_are_those(sign):
    assert Reading(sign, sign.min_n - 1, sign.min_n - 1).standing == TOO_FEW
    assert Reading(sign, 0, 0).sentence == f"There are no {sign.looked_at}."


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_it_is_told_of_the_owner_whose_step_it_is(read, sign):
    owner = ("order", "carrier") if sign.name == "left_alone_after_sale" else ("shop", "payments")

    assert read[sign.name, "holds", *owner] == read[sign.name, "holds", owner[0], ""] == read[sign.name, "holds", "", ""]


def test_friction_is_held_against_the_owner_at_whose_step_it_was_met(read):
    cart = read["exhausting_purchase", "holds", "shop", "shop"]
    assert (cart.n, cart.n_hits) == (BY_NAME["exhausting_purchase"].min_n, 0)


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_the_rows_behind_a_sign_are_those_and_say_why(reader, sign):
    rows = sign_rows(reader, at(f"{sign.name}/holds"), sign.name, most=1_000)

    name = {"ticket": "t{0}", "customer": "c{0}", "visit": "v{0}/s{0}", "order": "o{0}"}[sign.thing]
    assert set(rows["id"]) == {name.format(n) for n in range(border(sign))}
    assert "" not in rows["detail"].to_list()
    assert sign_rows(reader, at(f"{sign.name}/holds"), sign.name, most=2).height == 2


def test_what_was_before_or_after_is_not_looked_at(reader):
    site = "help_for_simple_tasks/holds"
    assert sign_rows(reader, Span((site,), AT + HOUR, LATER), "help_for_simple_tasks", most=1).is_empty()
    assert sign_rows(reader, Span((site,), AT - HOUR, AT), "help_for_simple_tasks", most=1).is_empty()


def test_a_wait_that_ended_after_all_that_was_seen_makes_nobody_lost(reader):
    """A replay lets every wait elapse: nobody has seen that they did not come."""
    lost = reader.query(
        "SELECT customer_id FROM outcomes_now WHERE expectation = 'next_order' AND site = 'churn_despite_csat/holds'"
    )
    rows = reader.query(f"SELECT id FROM ({sign_queries()['churn_despite_csat']}) WHERE site = 'churn_despite_csat/holds'")

    assert "late" in lost["customer_id"].to_list()
    assert "late" not in rows["id"].to_list()


def test_borders_of_a_sign_can_be_set_and_must_be_borders():
    stricter = with_borders(SIGNS, "bots_without_people", 0.5, None)
    assert [sign.threshold for sign in stricter if sign.name == "bots_without_people"] == [0.5]
    assert [sign.min_n for sign in stricter] == [sign.min_n for sign in SIGNS]
    with pytest.raises(ValueError, match="there is no sign 'bots'; there are praise_and_complaints"):
        with_borders(SIGNS, "bots", 0.5, None)
    with pytest.raises(ValueError, match="threshold is a share above 0"):
        with_borders(SIGNS, "bots_without_people", 0.0, None)
