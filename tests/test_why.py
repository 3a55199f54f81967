"""`ebbtide why`: the story of a session, from the rows of a fold and through a real store."""

import json

import pytest

from agents.terminal import plain
from agents.versions import VersionClock
from agents.why_command import NothingToTell, show
from agents.why_command import session as found
from pipeline.frames import TABLES
from pipeline.session_story import session_story
from pipeline.sessions import SessionsFold
from pipeline.story import EVENT, SIGNAL, Story
from sinks.reader import Reader
from tests.builders import cart, checkout, click, clock, identify, product, purchase, records, view
from tests.stores import rows_of as made_up
from tests.strategies import RULES
from tests.views import FAR, now, told

FOLD = SessionsFold(RULES)
LEFT = [
    view(at="10:00", session_id="s1", device="mobile", country="NL"),
    product(at="10:00:20", session_id="s1"),
    product(at="10:00:40", session_id="s1"),
    cart(at="10:01", session_id="s1", amount_minor=4_500, currency="EUR"),
    checkout(at="10:02", session_id="s1"),
    *(click(at=f"10:02:1{n}", session_id="s1", page="/checkout", element="pay", event_id=f"c{n}") for n in range(3)),
    click("js_error", at="10:02:30", session_id="s1", page="/checkout", message="cart is not defined"),
]


def rows_of(log, until=FAR):
    """What the views show, without events of other sessions."""
    return {name: frame.to_dicts() for name, frame in now(told(FOLD, records(log), until=until)).items()}


def told_of(log, **said) -> Story:
    rows = {**rows_of(log), **said}
    (session,) = rows["sessions"]
    names = ("steps", "signals", "outcomes", "events")
    return session_story(
        session,
        {
            name: sorted(
                rows.get(name, []),
                key=lambda row: row.get("event_at") or row.get("fired_at") or row.get("first_at") or row["due_at"],
            )
            for name in names
        },
    )


def lines(said: Story) -> list[str]:
    return [
        " | ".join(
            part
            for part in (f"{moment.at:%H:%M:%S}", moment.what, moment.where, moment.detail, moment.owner, f"{moment.points or ''}")
            if part
        )
        + (f" x{moment.n}" if moment.n > 1 else "")
        for moment in said.moments
    ]


def test_the_story_of_somebody_who_left():
    said = told_of(LEFT)

    assert lines(said) == [
        "10:00:00 | the session begins | / | a visitor who is not known, mobile, NL",
        "10:00:00 | page_view | /",
        "10:00:00 | reaches browse | marketing",
        "10:00:20 | view_item | /shoes/1",
        "10:00:20 | reaches product | catalogue",
        "10:00:40 | view_item | /shoes/1",
        "10:01:00 | add_to_cart | /shoes/1",
        "10:01:00 | reaches cart | the commit step: who leaves from here on has abandoned | shop",
        "10:02:00 | begin_checkout | /checkout",
        "10:02:00 | reaches checkout | shop",
        "10:02:10 | click | /checkout | pay x3",
        "10:02:30 | js_error | /checkout | cart is not defined",
        "10:02:30 | page_error | /checkout | js_error: cart is not defined | shop | 15.0",
        "10:02:30 | the session ends: abandoned | /checkout",
        "10:32:30 | order_after_commit lapses | provisional | shop",
    ]
    assert said.ending == (
        "Abandoned at checkout of journey shop, with EUR 45.00 at stake.",
        (
            "Expected of shop by 2026-03-02 10:32: a customer who has begun to buy places an order (order_after_commit). It has not come, "
            "and whether the customer stays silent about it is not decided yet; EUR 45.00 is at stake."
        ),
        "No cause is decided; what weighs most before it is page_error, 15 of 15 points.",
    )
    assert said.score.lines() == ("15 of 15 points: page_error",)
    assert said.notes == ()


def test_without_events_steps_signals_and_outcomes_tell():
    said = told_of(LEFT, events=[])

    assert {moment.kind for moment in said.moments} == {"began", "step", "signal", "ended", "outcome"}
    assert "events are not stored" in said.notes[0]


@pytest.mark.parametrize(
    ("log", "ending"),
    [
        ([cart(at="10:00"), purchase(at="10:01", order_id="o1")], "Converted: it reached the goal of journey shop, order o1."),
        ([product(at="10:00")], "Browsed: it ended before the commit step, and got as far as product."),
        ([click(at="10:00")], "Browsed: it ended before the commit step, and got as far as no step."),
        ([cart(at="10:00")], "Abandoned at cart of journey shop."),
    ],
)
def test_every_session_has_its_ending(log, ending):
    assert told_of(log).ending[0] == ending


def test_an_open_session_has_none_yet():
    rows = {name: rows.to_dicts() for name, rows in now(told(FOLD, records([cart(at="10:00")]))).items()}
    said = session_story(rows["sessions"][0], {"steps": rows["steps"], "signals": [], "outcomes": [], "events": rows["events"]})

    assert said.ending == ("Still open: it has reached cart so far.",)
    assert "ended" not in {moment.kind for moment in said.moments}


def test_a_cause_that_was_decided_is_told():
    rows = rows_of(LEFT)
    cause = {"cause": "page_error", "cause_id": rows["signals"][0]["signal_id"]}
    outcome = {**rows["outcomes"][0], "status": "silent", "decided_at": clock("+1d 10:32"), **cause}

    assert told_of(LEFT, outcomes=[outcome]).ending[1:] == (
        (
            "Expected of shop by 2026-03-02 10:32: a customer who has begun to buy places an order (order_after_commit). It did not come, "
            "and the customer did not contact support about it: silent since 2026-03-03 10:32; EUR 45.00 is at stake. "
            "Cause: page_error on 2026-03-02 10:02 (js_error: cart is not defined)."
        ),
    )


def test_what_an_order_of_the_visit_met_later_is_of_another_story():
    """Signals and lapses of an order name the visit in which it was placed."""
    log = [cart(at="10:00"), purchase(at="10:01", order_id="o1")]
    later = {"order_id": "o1", "session_id": "s1", "visitor_id": "ann"}
    signals = made_up("signals", {"signal": "eta_slip", "weight": 20.0, **later}).to_dicts()
    outcomes = made_up("outcomes", {"expectation": "delivered_by_promise", **later}).to_dicts()
    said = told_of(log, signals=signals, outcomes=outcomes)

    assert {moment.kind for moment in said.moments} == {"began", "event", "step", "ended"}
    assert (said.score.points, said.lapses, said.notes) == (0.0, (), ())
    assert said.further == (("order", "o1"),)


def test_a_score_that_its_signals_do_not_explain_is_said():
    assert "one of them is on its way" in told_of(LEFT, signals=[]).notes[0]


@pytest.fixture
def filled(store):
    """A store with sessions of several visitors, two of them of one id; read by whoever looks into it."""
    log = [
        *LEFT,
        cart(at="10:00", visitor_id="it's", session_id="two"),
        cart(at="10:05", visitor_id="bob", session_id="two"),
        view(at="10:01:30", visitor_id="bob", session_id="other"),
        identify(at="12:00", visitor_id="bob", session_id="later", customer_id="c9"),
        product(at="10:02", visitor_id="eve"),
        product(at="10:03", visitor_id="eve"),
    ]
    clock = VersionClock()
    with store.open() as opened:
        for place, step in enumerate(told(FOLD, records(sorted(log, key=lambda event: event["event_at"])), until=FAR)):
            version = clock.stamp()
            for name, rows in step.tables.items():
                opened.write(name, rows.select(*TABLES[name].schema).with_columns(version=version), token=f"{place}")
    with Reader(store.dsn, store.database) as reader:
        yield reader


def test_a_story_comes_from_the_views_of_the_store(filled, capsys):
    said = found(filled, "s1", None, None)

    assert lines(said) == lines(told_of(LEFT))
    assert (said.ending, said.score.points) == (told_of(LEFT).ending, 15.0)
    show(said)
    out = capsys.readouterr().out
    assert "page_error" in out
    assert "friction score 15 of 100" in out
    assert "15 of 15 points: page_error" in out
    as_json = json.loads(json.dumps(said.as_json(), default=plain))
    assert [moment["what"] for moment in as_json["moments"] if moment["kind"] == SIGNAL] == ["page_error"]
    assert as_json["score"]["explained"] == ["15 of 15 points: page_error"]


def test_of_several_sessions_one_must_be_chosen_and_none_is_said(filled):
    both = found(filled, "two", None, None)
    hers = found(filled, "two", "it's", "shop")

    assert [row["visitor_id"] for row in both.rows] == ["it's", "bob"]
    assert hers.row["visitor_id"] == "it's"
    assert [moment.what for moment in hers.moments if moment.kind == EVENT] == ["add_to_cart"]

    with pytest.raises(NothingToTell, match="there is no session 's1', visitor 'bob' in chdb"):
        found(filled, "s1", "bob", None)


def test_events_without_an_id_of_the_emitters_are_found_by_time(filled):
    session_id = next(
        row["session_id"] for row in filled.query("SELECT session_id FROM sessions_now WHERE visitor_id = 'eve'").to_dicts()
    )

    assert [moment.what for moment in found(filled, session_id, None, None).moments if moment.kind == EVENT] == ["view_item"] * 2
