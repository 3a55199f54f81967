"""Expectations, steps and calendars in settings: what a user says, what is made of it, and what is said of mistakes."""

import json
import re
import tomllib
from dataclasses import replace
from datetime import date, time, timedelta

import polars as pl
import pytest

from agents.auto_verdicts import verdicts
from agents.input_files import file_plans, input_files
from agents.mapping_engine import MappingEngine
from agents.replay import Replay, Until
from agents.replay_store import ReplayStore
from agents.settings_reference import reference
from agents.settings_sources import SettingsWrong, healthy, load
from pipeline.calendars import Calendar
from pipeline.checks import Bounds
from pipeline.expectation import Expectation
from pipeline.expectations import EXPECTATIONS
from pipeline.frames import EVENTS
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from pipeline.passed import TYPES
from pipeline.sessions import SessionsFold
from sinks.reader import Reader
from sinks.types_seen import types_seen
from tests.builders import cart, clock, frame, happened, watermarks
from tests.people_line import PeopleLine
from tests.views import now, told

OWN = {
    "name": "invoice_after_shipping",
    "after": ["order_shipped"],
    "expect": ["step_completed"],
    "within_h": 24,
    "journey": "order",
    "step": "shipped",
    "owner": "accounting",
    "enabled": "on",
}


def toml(section, **said):
    return f"[[{section}]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items())


def own(**changes):
    return toml("expectations", **{name: value for name, value in (OWN | changes).items() if value is not None})


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.delenv("EBBTIDE_SETTINGS", raising=False)

    def loaded(*text):
        path = tmp_path / "settings.toml"
        path.write_text("\n".join(text))
        return load(path)

    return loaded


@pytest.fixture
def wrong(read):
    def said(*text):
        with pytest.raises(SettingsWrong) as error:
            read(*text)
        (problem,) = error.value.problems
        return str(problem)

    return said


def named(settings):
    return {each.name: each for each in settings.fulfilment_rules().expectations}


def test_without_a_word_everything_is_as_it_ships(read):
    assert read().fulfilment_rules() == FulfilmentRules()
    assert read().journeys_rules() == JourneysRules()


def test_a_name_that_is_new_adds_an_expectation(read):
    *ships, added = read(own(unless=["order_cancelled"], recovery_d=2, silence_h=0.5)).fulfilment_rules().expectations

    assert tuple(ships) == EXPECTATIONS
    assert added == Expectation(
        name="invoice_after_shipping",
        meaning="",
        after=("order_shipped",),
        expect=("step_completed",),
        unless=("order_cancelled",),
        within=timedelta(days=1),
        journey="order",
        step="shipped",
        owner="accounting",
        silence=timedelta(minutes=30),
        recovery=timedelta(days=2),
        enabled="on",
        source="settings: [[expectations]]",
    )


def test_of_one_that_ships_just_what_is_given_changes(read):
    settings = read(
        toml("expectations", name="shipping_after_confirmation", within_h=12, owner="night shift", calendar="working"),
        toml("expectations", name="answer_after_quote", due="none"),
        toml("expectations", name="quote_after_request", enabled="off"),
    )
    now, then = named(settings), {each.name: each for each in EXPECTATIONS}

    changed, ships = now["shipping_after_confirmation"], then["shipping_after_confirmation"]
    assert (changed.within, changed.owner, changed.calendar) == (timedelta(hours=12), "night shift", "working")
    assert (changed.after, changed.expect, changed.silence) == (ships.after, ships.expect, ships.silence)
    assert changed.source.endswith("Changed in the settings: calendar, owner, within.")
    assert now["answer_after_quote"].due is None
    assert now["quote_after_request"].enabled == "off"
    assert now["refund_after_return"] == then["refund_after_return"]


def test_what_is_awaited_of_a_person_can_be_changed_too(read):
    settings = read(toml("expectations", name="next_order", within_h=2400, owner="crm"))

    (found,) = (each for each in settings.journeys_rules().expectations if each.name == "next_order")
    assert (found.within, found.owner, found.silence) == (timedelta(days=100), "crm", timedelta(days=1))
    assert "next_order" not in named(settings)


def test_variables_say_it_too(read, monkeypatch):
    monkeypatch.setenv("EBBTIDE_EXPECTATIONS", json.dumps([OWN]))

    assert "invoice_after_shipping" in named(read())


@pytest.mark.parametrize(
    ("said", "where", "nearest"),
    [
        ({"after": ["order_shiped"]}, "expectations[0].after: 'order_shiped' is no event type", "'order_shipped'"),
        ({"expect": []}, "expectations[0].expect: at least one event type", ""),
        ({"unless": ["date_move"]}, "expectations[0].unless: 'date_move' is no event type", "'date_moved'"),
        ({"at_once": ["solved"]}, "expectations[0]: at_once: 'solved' never comes to a wait for each order", ""),
        ({"key": "parcels"}, "expectations[0].key: one of order, parcel", "'parcel'"),
        ({"calendar": "werking"}, "expectations[0].calendar: one of always, working", "'working'"),
        ({"re_arm": "last"}, "expectations[0].re_arm: one of first, latest", "'latest'"),
        ({"due": "promissed_at"}, "expectations[0].due: one of due_at, promised_at", "'promised_at'"),
        ({"enabled": "offf"}, "expectations[0].enabled: one of auto, on, off", "'off'"),
        ({"journey": "orders"}, "expectations: 'invoice_after_shipping': journey: one of", "'order'"),
        ({"step": "shipd"}, "expectations: 'invoice_after_shipping': step: one of", "'shipped'"),
        ({"step": " "}, "expectations[0].step: it must not be empty", ""),
        ({"owner": ""}, "expectations[0].owner: it must not be empty", ""),
        ({"owner": None}, "no expectation 'invoice_after_shipping' ships with Ebbtide", "needs owner as well"),
        ({"within_h": None}, "no expectation 'invoice_after_shipping' ships with Ebbtide", "needs within_h or due as well"),
        ({"within_h": -1}, "expectations[0].within_h", ""),
        ({"within_h": "none", "due": "due_at", "silence_h": "none"}, "expectations[0]: silence_h: it has no value 'none'", ""),
        ({"expect": ["date_moved"], "enabled": "auto"}, "expectations[0]: enabled: auto asks whether a site sends", "say on"),
        ({"owners": "a"}, "expectations[0].owners: there is no such setting", "expectations.owner"),
        ({"name": "Invoice"}, "expectations[0].name", ""),
    ],
)
def test_a_mistake_is_told_with_its_place_the_wrong_word_and_the_nearest_right_one(wrong, said, where, nearest):
    problem = wrong(own(**said))

    assert where in problem
    assert nearest in problem


def test_a_name_that_nearly_ships_is_told_the_right_one(wrong):
    problem = wrong(toml("expectations", name="shiping_after_confirmation", within_h=12))

    assert problem.startswith("expectations[0]: no expectation 'shiping_after_confirmation' ships with Ebbtide")
    assert "the nearest is 'shipping_after_confirmation'" in problem


@pytest.mark.parametrize("text", [toml("expectations", name="order_after_commit", silence_h=12), own(name="order_after_commit")])
def test_what_visits_tell_can_be_neither_set_nor_made_anew_and_it_is_said_what_can(wrong, text):
    problem = wrong(text)

    assert problem.startswith("expectations[0]: 'order_after_commit' is told by visits, and is no setting here")
    assert "[sessions]: gap_min, silence_h, recovery_d" in problem
    assert "[[journeys]]" in problem


def test_how_long_an_order_is_waited_for_is_set_with_visits(read):
    rules = read("[sessions]", "silence_h = 2", "recovery_d = 1").session_rules()
    fold = SessionsFold(replace(rules, tells_people=True))
    events = frame([cart(at="10:00")])

    left = fold.step(fold.empty(), events, watermarks({0: clock("10:31")}))

    (lapse,) = (each.rows.row(0, named=True) for each in left.passed if each.table == "lapse")
    assert (lapse["lapsed_at"], lapse["silent_at"]) == (clock("10:30"), clock("12:30"))
    assert lapse["recovers_until"] == clock("10:30") + timedelta(days=1)


def test_the_rest_is_known_although_an_expectation_is_wrong(tmp_path):
    """So `ebbtide check` looks at all the others."""
    (tmp_path / "s.toml").write_text('[kafka]\nprefix = "shop"\n' + own(owner=""))
    settings, broken, problems = healthy(tmp_path / "s.toml")

    assert (broken, settings.kafka.prefix) == ({"expectations"}, "shop")
    assert [str(problem) for problem in problems] == ["expectations[0].owner: it must not be empty, not ''"]


def test_a_name_stands_once(wrong):
    assert wrong(own(), own()) == "expectations: 'invoice_after_shipping' is set twice"


def test_a_step_of_another_owner_takes_what_is_expected_at_it_along(read):
    settings = read(
        toml("case_steps", journey="order", step="delivered", owner="last mile", name="handed over"),
        toml("case_steps", journey="process", step="*", owner="back office"),
        toml("case_steps", journey="order", step="confirmed", owner="desk"),
        toml("expectations", name="confirmation_after_payment", owner="robots"),
    )
    found = named(settings)

    assert (found["delivered_by_promise"].owner, found["delivered_by_promise"].step) == ("last mile", "handed over")
    assert found["notice_of_moved_date"].owner == "shop", "it was never the step's"
    assert found["completion_after_step_started"].owner == "back office"
    assert found["confirmation_after_payment"].owner == "robots", "said is said"


def test_a_step_of_ones_own_stands_behind_another(read):
    steps = read(
        toml("case_steps", journey="order", step="picked", owner="robots", event_types=["order_changed"], after="confirmed"),
        own(step="picked"),
    ).fulfilment_rules().journeys.steps  # fmt: skip

    found = [(step.name, step.index) for step in steps if step.journey == "order"]
    assert found == [("placed", 0), ("paid", 1), ("confirmed", 2), ("picked", 3), ("shipped", 4), ("scanned", 5), ("delivered", 6)]


@pytest.mark.parametrize(
    ("said", "where", "nearest"),
    [
        ({"step": ""}, "case_steps[0].step: it must not be empty", ""),
        ({"owner": ""}, "case_steps[0].owner: it must not be empty", ""),
        ({"journey": "ordr"}, "case_steps[0].journey: one of order, return", "'order'"),
        ({"step": "shipd"}, "case_steps[0]: journey 'order' has no step 'shipd'", "'shipped'"),
        ({"event_types": ["order_shiped"]}, "case_steps[0].event_types: 'order_shiped' is no event type", "'order_shipped'"),
        (
            {"event_types": ["order_placed"]},
            "case_steps: step 'shipped' of journey 'order': order_placed belongs to step",
            "'placed'",
        ),
        ({"name": "placed"}, "case_steps: journey 'order': there are two steps of the name 'placed'", ""),
        ({"after": "placed"}, "case_steps[0]: after: step 'shipped' ships with Ebbtide", ""),
        (
            {"step": "packed", "event_types": ["order_changed"], "after": "confirmt"},
            "case_steps: step 'packed' of journey 'order': after: there is no step 'confirmt'",
            "'confirmed'",
        ),
        ({"step": "*", "journey": "process", "name": "any"}, "case_steps[0]: name: these steps are named by your events", ""),
    ],
)
def test_a_mistake_about_a_step_says_where_it_is(wrong, said, where, nearest):
    problem = wrong(toml("case_steps", **({"journey": "order", "step": "shipped", "owner": "warehouse"} | said)))

    assert where in problem
    assert nearest in problem


def test_a_step_is_set_once(wrong):
    step = toml("case_steps", journey="order", step="paid", owner="bank")

    assert wrong(step, step) == "case_steps: step 'paid' of journey 'order' is set twice"


def test_calendars_say_when_a_site_works(read):
    text = '[[calendars]]\nsite = "*"\ntime_zone = "Europe/Paris"\n[[calendars]]\nsite = "shop.de"\ntime_zone = "Europe/Berlin"\n'
    settings = read(text + 'opens = "08:30"\ncloses = 18:00:00\nweekdays = ["mon", "sat"]\nholidays = [2026-12-25, "2027-01-01"]')
    calendars = settings.fulfilment_rules().calendars

    assert calendars.default == Calendar("Europe/Paris")
    days = frozenset({date(2026, 12, 25), date(2027, 1, 1)})
    assert calendars.of_site == {"shop.de": Calendar("Europe/Berlin", time(8, 30), time(18), (0, 5), days)}


@pytest.mark.parametrize(
    ("said", "where", "nearest"),
    [
        ({"time_zone": "Europe/Berlim"}, "calendars[0].time_zone: no time zone that is known", "'Europe/Berlin'"),
        ({"weekdays": ["mon", "thy"]}, "calendars[0].weekdays: 'thy' is no day", "'thu'"),
        ({"weekdays": []}, "calendars[0]: a calendar needs", ""),
        ({"closes": "08:00"}, "calendars[0]: a calendar needs `opens` before `closes`", ""),
        ({"holidays": ["christmas"]}, "calendars[0].holidays[0]", "christmas"),
        ({"site": ""}, "calendars[0].site: it must not be empty", ""),
    ],
)
def test_a_mistake_about_a_calendar_says_where_it_is(wrong, said, where, nearest):
    problem = wrong(toml("calendars", **({"site": "shop"} | said)))

    assert where in problem
    assert nearest in problem


def test_the_examples_of_the_reference_are_right(read):
    """But for what only one of two kinds of step can have."""
    lines = reference()[reference().index("# [[case_steps]]") :].splitlines()
    said = [line.removeprefix("# ") for line in lines if re.match(r"# (\[\[|\w+ = )", line)]
    text = "\n".join(line for line in said if line != 'after = "confirmed"')

    assert set(tomllib.loads(text)) >= {"case_steps", "calendars", "expectations"}
    assert "invoice_after_shipping" in named(read(text))


def happening(event_type, at, **fields):
    return happened(event_type, at, fields, {"family": "order", "order_id": "o1", "partition": 0})


def shown(rules, *events, until):
    steps = told(FulfilmentFold(rules), [{**each, "offset": n} for n, each in enumerate(events)], until=clock(until))
    return now(steps)


def test_an_expectation_of_the_users_own_lapses_in_the_fold(read):
    rules = read(own(), toml("case_steps", journey="order", step="shipped", owner="dock", name="sent")).fulfilment_rules()
    events = happening("order_placed", "09:00"), happening("order_shipped", "10:00", delivery_id="p1")
    view = shown(rules, *events, until="+1d 10:01")

    outcomes = view["outcomes"].select("expectation", "owner", "step", "status", "due_at").rows()
    assert outcomes == [("invoice_after_shipping", "accounting", "shipped", "provisional", clock("+1d 10:00"))]
    steps = view["steps"].select("step", "owner").rows()
    assert ("sent", "dock") in steps
    assert "outcomes" not in shown(rules, *events, happening("step_completed", "+1d 09:00", step="invoice"), until="+9d 10:00")


def test_working_hours_of_the_site_count_for_it(read):
    """Shipped on Monday at 10:00 UTC, an hour before the site opens; eight hours of work later is Tuesday noon there."""
    calendar = toml("calendars", site="shop", time_zone="America/New_York", opens="06:00", closes="12:00")
    rules = read(own(calendar="working", within_h=8), calendar).fulfilment_rules()
    events = happening("order_placed", "09:00"), happening("order_shipped", "10:00", delivery_id="p1")

    due = shown(rules, *events, until="+1d 14:00")["outcomes"]["due_at"].to_list()
    assert due == [clock("+1d 13:00")]


def test_rules_have_one_fingerprint_as_long_as_they_say_the_same(read):
    calendar = toml("calendars", site="shop", holidays=["2026-12-25", "2026-12-26"])
    settings = [read(calendar), read(calendar), read(calendar, own()), read(toml("calendars", site="shop"))]
    prints = [(each.fulfilment_rules().fingerprint, each.journeys_rules().fingerprint) for each in settings]

    assert prints[0] == prints[1]
    assert len({order for order, _ in prints}) == 3
    assert len({person for _, person in prints}) == 2
    assert "0x" not in repr((read().fulfilment_rules(), read().journeys_rules())), "an address would be another in every process"


def test_a_wait_that_began_before_its_expectation_was_set_lapses_all_the_same(read):
    """State outlives the settings; nothing about the order happens any more."""
    before, after = (FulfilmentFold(read(*text).fulfilment_rules()) for text in ((), (own(),)))
    events = happening("order_placed", "09:00", offset=0), happening("order_shipped", "10:00", offset=1, delivery_id="p1")
    done = before.step(before.empty(), frame(events, "commerce"), watermarks({0: None}))
    kept = {piece.name: piece.frame() for piece in done.state.pieces(0)}

    steps, state, reached = [], after.empty().restored(0, kept), done.watermarks
    for at in ("11:00", "+1d 09:59", "+1d 10:01"):
        reached = watermarks({0: clock(at)})
        steps.append(after.step(state, frame([], "commerce"), reached))
        state = steps[-1].state

    assert ["outcomes" in step.tables for step in steps] == [False, False, True]
    assert steps[-1].tables["outcomes"]["expectation"].to_list() == ["invoice_after_shipping"]


def tickets(n):
    """One of each of so many customers, on Monday at nine."""
    fields = {"family": "ticket", "ticket_id": "", "customer_id": ""}
    return [
        happened("ticket_opened", "09:00", {"ticket_id": f"t{at}", "customer_id": f"c{at}", "key": f"customer:c{at}"}, fields)
        for at in range(n)
    ]


def lapsed(line):
    return [(row["expectation"], row["customer_id"]) for row in line.shows("outcomes")]


def test_people_in_all_partitions_are_judged_alike_by_what_anybody_has_seen(read):
    """No partition holds a reply; that this shop sends some was told to all."""
    only = [toml("expectations", name=name, enabled="off") for name in ("first_human_reply_after_ticket", "solution_after_ticket")]
    rules = read(*only).journeys_rules()
    replies = {"family": TYPES, "site": "shop", "event_type": "agent_reply", "event_at": clock("08:00")}
    line, without = PeopleLine(JourneysFold(rules), 3), PeopleLine(JourneysFold(rules), 3)
    line.take(replies, *tickets(6)).time(clock("+1d 12:00"))
    without.take(*tickets(6)).time(clock("+1d 12:00"))

    assert len({step["partition"] for step in line.steps[0].tables["contacts"].to_dicts()}) > 1
    assert lapsed(without) == []
    assert sorted(lapsed(line)) == [("first_reply_after_ticket", f"c{at}") for at in range(6)]
    without.take({**replies, "event_at": clock("08:30")})  # heard of late
    assert sorted(lapsed(without)) == sorted(lapsed(line))


def test_what_is_awaited_of_people_may_be_set_while_they_wait(read):
    off = [toml("expectations", name=each.name, enabled="off") for each in read().journeys_rules().expectations]
    own = toml(
        "expectations",
        name="call_back",
        key="ticket",
        after=["ticket_opened"],
        expect=["human_joined"],
        within_h=2,
        journey="support",
        step="replied",
        owner="phone",
        enabled="on",
    )
    line = PeopleLine(JourneysFold(read(*off).journeys_rules())).take(*tickets(1)).time(clock("10:00"))
    line.fold = JourneysFold(read(*off, own).journeys_rules())
    line.again(0).time(clock("10:30")).time(clock("11:01"))

    assert [(row["expectation"], row["owner"], row["due_at"]) for row in line.shows("outcomes")] == [
        ("call_back", "phone", clock("11:00"))
    ]


def test_an_expectation_of_the_users_own_lapses_in_a_replay(read, store, tmp_path):
    events = happening("order_placed", "09:00"), happening("order_shipped", "10:00", delivery_id="p1")
    lines = [json.dumps({name: value for name, value in each.items() if name != "partition"}, default=str) for each in events]
    (tmp_path / "orders.ndjson").write_text("\n".join(lines))
    fold = FulfilmentFold(read(own()).fulfilment_rules(store_events=True))
    with MappingEngine(tmp_path) as engine, store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100_000)
        tables.open()
        Replay(file_plans(input_files([tmp_path / "orders.ndjson"]), engine), (fold,), Bounds(), Until.parsed("end")).run(
            engine, tables
        )

    assert store.query("SELECT expectation, owner, status FROM outcomes_now").rows() == [
        ("invoice_after_shipping", "accounting", "silent")
    ]


def test_the_events_of_a_store_tell_where_those_are_on_that_are_auto(read, store):
    """Of the two that can confirm, the one that did last is named."""
    rows = [
        ("shop", "order", "order_confirmed", "10:00"),
        ("shop", "order", "order_shipped", "11:00"),
        ("outlet", "order", "order_confirmed", "10:00"),
        ("shop", "clickstream", "click", "+31d 10:00"),
    ]
    events = EVENTS.conform(
        pl.DataFrame(
            {
                "site": [site for site, *_ in rows],
                "family": [family for _, family, *_ in rows],
                "event_id": [str(n) for n in range(len(rows))],
                "event_type": [name for *_, name, _ in rows],
                "event_at": [clock(at) for *_, at in rows],
                "partition": 0,
            }
        )
    )
    with store.open() as clickhouse:
        tables = ReplayStore(clickhouse, batch_rows=100)
        tables.open()
        tables.put({"events": events})
        tables.flush()
    known = read().all_expectations()
    with Reader(store.dsn, store.database) as reader:
        seen = types_seen(reader)

    said = {name: [(each.site, each.is_on) for each in of] for name, of in verdicts(known, seen, timedelta(days=31)).items()}
    assert said["confirmation_after_payment"] == [("outlet", True), ("shop", True)]
    assert said["refund_after_return"] == [("outlet", False), ("shop", False)]
    assert said["solution_after_ticket"] == [("outlet", None), ("shop", None)], "no ticket was kept at all"
    assert "next_order" not in said, "it is on"
    outlet, shop = verdicts(known, seen, timedelta(days=30))["confirmation_after_payment"]
    assert (shop.is_on, shop.event_type, shop.last_seen_at) == (False, "order_shipped", clock("11:00"))
    assert outlet.why.startswith("order_confirmed was seen, last at 2026-03-02T10:00:00Z: more than 30 days before the last event")
