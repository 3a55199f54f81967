"""Sessions, sentence by sentence: each is true of the oracle, of the fold over one batch, and of the fold record by record."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest

from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.signals.form_error_loop import FORM_ERROR_LOOP
from pipeline.signals.help_in_checkout import HELP_IN_CHECKOUT
from tests import oracle, session_oracle
from tests.builders import Event, cart, checkout, click, clock, frame, identify, product, purchase, records, view, watermarks
from tests.strategies import MINUTE, RULES, SECOND
from tests.views import counted, fates, now, told

ORACLE, WHOLE, ONE_BY_ONE = "the oracle", "the fold, all at once", "the fold, record by record"


@dataclass(frozen=True)
class Out:
    """What the views show."""

    tables: dict[str, list[dict[str, Any]]]

    def __getattr__(self, name: str) -> list[dict[str, Any]]:
        return self.tables.get(name, [])

    def of(self, table: str, *columns: str) -> list[Any]:
        """Cells of every row: one column's values, or tuples of several."""
        rows = [tuple(row[column] for column in columns) for row in self.tables[table]]
        return [row[0] for row in rows] if len(columns) == 1 else rows

    @property
    def session(self) -> dict[str, Any]:
        """The only session."""
        (row,) = self.tables["sessions"]
        return row

    def n(self, measure: str, **segment: Any) -> int:
        """What the rollups count."""
        asked = {"measure": measure, **segment}
        return sum(row["n"] for row in self.tables["rollups"] if asked.items() <= row.items())


Run = Callable[..., Out]


@pytest.fixture(params=[ORACLE, WHOLE, ONE_BY_ONE])
def run(request: pytest.FixtureRequest) -> Run:
    """Run events in order of arrival; `until`: time goes on until then, else as far as the events tell."""

    def runs(*events: Event, until: str | None = None, rules: SessionRules = RULES) -> Out:
        log, end = records(events), None if until is None else clock(until)
        if request.param == ORACLE:
            reached = None if end is None else dict.fromkeys({record["partition"] for record in log}, end)
            return Out({name: _in_order(rows) for name, rows in oracle.tables(log, rules, reached).items()})
        cut = [{**record, "cut_before": request.param == ONE_BY_ONE} for record in log]
        view = counted(now(told(SessionsFold(rules), cut, until=end)))
        return Out({name: _in_order(rows.to_dicts()) for name, rows in view.items()})

    return runs


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("started_at", "first_at", "fired_at", "began_at", "linked_at", "interval_at", "event_at")
    return sorted(rows, key=lambda row: [row[name] for name in times if name in row] + [str(row)])


def said(*batches: list[Event], table: str = "sessions", rules: SessionRules = RULES) -> list[dict[str, Any]]:
    """Every row that the fold said of one table, also those that were corrected later. Each list is a batch."""
    log = records({**event, "cut_before": not place} for batch in batches for place, event in enumerate(batch))
    steps = told(SessionsFold(rules), log)
    return [row for step in steps if table in step.tables for row in step.tables[table].to_dicts()]


def ms(at: str) -> str:
    """The id of a session that begins then and has none from its emitter."""
    return str(session_oracle.epoch_ms(clock(at)))


# Whose events belong together


def test_what_a_visitor_does_without_a_pause_is_one_session(run):
    out = run(view(at="10:00"), product(at="10:10"), product(at="10:35", page="/hats/7"))

    assert out.session["session_id"] == ms("10:00")
    assert (out.session["started_at"], out.session["ended_at"], out.session["n_events"]) == (clock("10:00"), clock("10:35"), 3)
    assert (out.session["entry_page"], out.session["exit_page"]) == ("/", "/hats/7")


def test_a_pause_as_long_as_the_gap_does_not_end_a_session(run):
    assert len(run(view(at="10:00"), view(at="10:30")).sessions) == 1


def test_a_pause_a_millisecond_longer_than_the_gap_ends_a_session(run):
    out = run(view(at="10:00"), view(at="10:30:00.001"))

    assert out.of("sessions", "session_id") == [ms("10:00"), ms("10:30:00.001")]


def test_a_session_goes_on_over_midnight(run):
    out = run(view(at="23:50"), view(at="+1d 00:15"))

    assert out.session["session_id"] == ms("23:50")


def test_an_emitters_session_is_one_whatever_its_pauses(run):
    out = run(view(at="10:00", session_id="s1"), view(at="13:00", session_id="s1"), view(at="+1d 13:00", session_id="s1"))

    assert (out.session["session_id"], out.session["n_events"]) == ("s1", 3)


def test_an_emitters_session_id_that_comes_back_after_the_retention_is_another_session(run):
    out = run(view(at="10:00", session_id="s1"), view(at="+1d 10:00:00.001", session_id="s1"))

    assert out.of("sessions", "session_id") == ["s1", f"s1~r{ms('+1d 10:00:00.001')}"]


def test_events_with_an_id_and_events_without_are_different_sessions(run):
    out = run(view(at="10:00"), view(at="10:01", session_id="s1"), view(at="10:02"), view(at="10:03", session_id="s2"))

    assert out.of("sessions", "session_id", "n_events") == [(ms("10:00"), 2), ("s1", 1), ("s2", 1)]


def test_visitors_and_sites_do_not_know_each_other(run):
    out = run(view(at="10:00"), view(at="10:00", visitor_id="bob"), view(at="10:00", site="outlet"))

    assert [row["n_events"] for row in out.sessions] == [1, 1, 1]


def test_the_order_of_arrival_within_a_session_is_not_the_order_of_events(run):
    out = run(product(at="10:00:30"), view(at="10:00", campaign="spring"), click(at="10:00:10", page="/x", campaign="autumn"))

    assert (out.session["entry_page"], out.session["exit_page"], out.session["campaign"]) == ("/", "/shoes/1", "spring")


def test_in_one_millisecond_the_sequence_is_the_order_and_none_comes_first(run):
    ties = [click(at="10:00", page=f"/{sequence}", sequence=sequence) for sequence in (2, 10, 1)]
    out = run(*ties, click(at="10:00", page="/none"), until="11:00")

    assert (out.session["entry_page"], out.session["exit_page"]) == ("/none", "/10")


# What is late


def test_a_late_event_that_bridges_two_sessions_makes_them_one(run):
    out = run(view(at="10:00"), cart(at="10:45"), product(at="10:20"))

    assert out.session["session_id"] == ms("10:00")
    assert out.session["steps"] == ["browse", "product", "cart"]
    assert set(out.of("steps", "session_id")) == {ms("10:00")}


def test_the_later_of_two_bridged_sessions_is_told_to_be_merged():
    rows = said([view(at="10:00"), cart(at="10:45")], [product(at="10:20")])

    gone = [row for row in rows if row["session_id"] == ms("10:45")][-1]
    assert (gone["status"], gone["is_deleted"]) == ("merged", 1)
    assert all((row["status"], row["is_deleted"]) != ("merged", 1) for row in rows if row["session_id"] == ms("10:00"))


def test_steps_of_a_merged_session_are_retracted():
    rows = said([view(at="10:00"), cart(at="10:45")], [product(at="10:20")], table="steps")

    assert [row["is_deleted"] for row in rows if row["session_id"] == ms("10:45")] == [0, 1]


def test_a_late_event_that_becomes_the_first_gives_the_session_its_id(run):
    out = run(view(at="10:10"), view(at="10:00"))

    assert out.session["session_id"] == ms("10:00")


def test_the_row_under_the_former_id_is_merged():
    rows = said([view(at="10:10")], [view(at="10:00")])

    assert [(row["session_id"], row["status"], row["is_deleted"]) for row in rows if row["is_deleted"]] == [
        (ms("10:10"), "merged", 1)
    ]


def test_a_late_event_that_becomes_the_first_renames_a_session_used_again(run):
    first, again = view(at="10:00", session_id="s1"), view(at="+1d 10:30", session_id="s1")
    out = run(first, again, view(at="+1d 10:10", session_id="s1"))

    assert out.of("sessions", "session_id") == ["s1", f"s1~r{ms('+1d 10:10')}"]


def test_a_late_event_can_bridge_a_session_used_again_to_the_first(run):
    first, again = view(at="10:00", session_id="s1"), cart(at="+1d 10:30", session_id="s1")
    out = run(first, again, view(at="+1d 09:50", session_id="s1"))

    assert (out.session["session_id"], out.session["n_events"]) == ("s1", 3)
    assert out.of("steps", "step", "session_id") == [("browse", "s1"), ("cart", "s1")]


def test_an_event_on_the_horizon_is_applied(run):
    out = run(view(at="12:00"), view(at="10:59"))  # the watermark stands at 11:59

    assert len(out.sessions) == 2


def test_an_event_beyond_the_horizon_is_too_late(run):
    out = run(view(at="12:00"), view(at="10:58:59.999"))

    assert len(out.sessions) == 1


def test_a_refused_event_is_named_by_its_place():
    (step,) = told(SessionsFold(RULES), records([view(at="12:00"), view(at="10:00"), view(at="12:01")]))

    assert step.rejects.select("partition", "offset", "reason").rows() == [(0, 1, "too_late")]


def test_a_fast_clock_is_held_back_by_the_record_time(run):
    fast = view(at="15:00", visitor_id="bob", record_at=clock("10:00"))
    out = run(fast, cart(at="10:00"), view(at="10:20"))

    assert len(out.sessions) == 2
    assert set(out.of("sessions", "status")) == {"open"}


def test_every_record_has_one_fate():
    log = records([view(at="12:00"), view(at="12:00"), view(at="10:00"), view(at="11:58:59"), view(at="11:59")])
    (step,) = told(SessionsFold(RULES), log)

    assert sorted(step.fates.rows()) == [(0, "applied", 3, 1), (0, "duplicate", 1, 0), (0, "too_late", 1, 0)]


def test_lateness_is_judged_record_by_record_within_a_batch():
    log = records([view(at="10:00"), view(at="12:00", visitor_id="bob"), view(at="10:30"), view(at="11:30")])
    (step,) = told(SessionsFold(RULES), log)

    assert sorted(step.fates.rows()) == [(0, "applied", 3, 1), (0, "too_late", 1, 0)]


# What comes twice


def test_a_repeated_event_changes_nothing(run):
    out = run(cart(at="10:00", engaged_ms=500), view(at="10:05"), cart(at="10:00", engaged_ms=500))

    assert (out.session["n_events"], out.session["engaged_ms"]) == (2, 500)


def test_the_same_id_on_another_site_is_another_event(run):
    out = run(view(at="10:00", event_id="e1"), view(at="10:00", event_id="e1", site="outlet"))

    assert len(out.sessions) == 2


def test_two_sites_that_give_their_events_the_same_ids_share_nothing(run):
    """Ids are unique within a site: shops that count their events from 1 have the same ones at the same time."""
    visit = (cart(at="10:00", event_id="e1", cart_id="c1"), checkout(at="10:01", event_id="e2", amount_minor=900, currency="EUR"))
    out = run(*visit, *({**event, "site": "outlet"} for event in visit), until="11:00")

    sites = ("outlet", "shop")
    assert sorted(out.of("steps", "site", "step", "n_events")) == [
        (site, step, 1) for site in sites for step in ("cart", "checkout")
    ]
    assert sorted(out.of("sessions", "site", "status", "furthest_step", "cart_id", "cart_value_minor")) == [
        (site, "abandoned", "checkout", "c1", 900) for site in sites
    ]
    assert sorted(out.of("outcomes", "site", "step")) == [(site, "checkout") for site in sites]


@pytest.mark.parametrize("cut_before", [False, True])
def test_an_id_is_forgotten_after_the_horizon(cut_before):
    first, again = view(at="10:00", event_id="e1"), view(at="12:00", event_id="e1")
    between = view(at="11:01:00.001", visitor_id="bob")  # from here on 10:00 is beyond the horizon
    log = records({**event, "cut_before": cut_before} for event in (first, between, again))

    assert fates(told(SessionsFold(RULES), log)) == session_oracle.fates(log, RULES) == {(0, "applied"): (3, 0)}


@pytest.mark.parametrize("cut_before", [False, True])
def test_an_id_is_kept_up_to_the_horizon(cut_before):
    first, again = view(at="10:00", event_id="e1"), view(at="12:00", event_id="e1")
    log = records({**event, "cut_before": cut_before} for event in (first, view(at="11:01", visitor_id="bob"), again))

    assert (
        fates(told(SessionsFold(RULES), log))
        == session_oracle.fates(log, RULES)
        == {(0, "applied"): (2, 0), (0, "duplicate"): (1, 0)}
    )


# What became of it


def test_a_session_is_open_until_the_watermark_has_passed_the_gap(run):
    assert run(cart(at="10:00"), until="10:30").session["status"] == "open"
    assert run(cart(at="10:00"), until="10:30:00.001").session["status"] == "abandoned"


def test_a_session_that_reached_no_commit_step_was_browsed(run):
    out = run(view(at="10:00"), product(at="10:05"), until="11:00")

    assert (out.session["status"], out.session["furthest_step"], out.session["abandoned_step"]) == ("browsed", "product", "")
    assert out.outcomes == []


def test_a_session_without_any_step_was_browsed(run):
    out = run(click(at="10:00", page="/imprint"), until="11:00")

    assert (out.session["status"], out.session["journey"], out.session["steps"]) == ("browsed", "", [])
    assert (out.session["furthest_step"], out.session["furthest_step_index"]) == ("", None)


def test_a_cart_left_alone_is_abandoned_at_the_furthest_step(run):
    out = run(view(at="10:00"), cart(at="10:05"), checkout(at="10:10"), view(at="10:15"), until="11:00")

    assert (out.session["status"], out.session["abandoned_step"]) == ("abandoned", "checkout")
    assert out.session["steps"] == ["browse", "cart", "checkout"]
    assert out.session["furthest_step_index"] == 3


def test_a_purchase_converts_at_once(run):
    assert run(cart(at="10:00"), purchase(at="10:05")).session["status"] == "converted"


def test_a_purchase_wins_over_a_later_cart(run):
    out = run(purchase(at="10:00"), cart(at="10:05"), until="11:00")

    assert (out.session["status"], out.outcomes) == ("converted", [])


def test_an_emitters_session_is_abandoned_after_the_gap_and_not_after_the_retention(run):
    assert run(cart(at="10:00", session_id="s1"), until="10:31").session["status"] == "abandoned"


def test_an_abandoned_session_tells_what_was_expected(run):
    out = run(
        view(at="10:00", device="mobile"),
        cart(at="10:05", amount_minor=4_900, currency="EUR", account_id="acme", event_id="e7"),
        checkout(at="10:10", customer_id="anna"),
        until="11:00",
    )

    (lapse,) = out.outcomes
    assert lapse["outcome_id"] == oracle.hashed("shop", "order_after_commit", "ann", oracle.hashed("e7"))
    assert (lapse["journey"], lapse["step"], lapse["owner"]) == ("shop", "checkout", "shop")
    assert (lapse["began_at"], lapse["due_at"], lapse["lapsed_at"]) == (clock("10:05"), clock("10:40"), clock("10:40"))
    assert (lapse["value_minor"], lapse["currency"], lapse["status"]) == (4_900, "EUR", "provisional")
    assert (lapse["customer_id"], lapse["account_id"], lapse["device"]) == ("anna", "acme", "mobile")
    assert (lapse["cause"], lapse["decided_at"], lapse["order_id"]) == ("", None, "")


def test_an_abandoned_session_that_goes_on_is_open_again(run):
    out = run(cart(at="10:00", session_id="s1"), view(at="10:40", visitor_id="bob"), view(at="10:41", session_id="s1"))

    row = next(row for row in out.sessions if row["session_id"] == "s1")
    assert (row["status"], row["abandoned_step"], out.outcomes) == ("open", "", [])
    assert out.n("abandoned") == 0


def test_an_abandoned_session_that_buys_after_all_is_converted(run):
    out = run(
        cart(at="10:00", session_id="s1"),
        view(at="11:40", visitor_id="bob"),
        purchase(at="11:41", session_id="s1"),
        until="+1d 12:00",
    )

    assert out.of("sessions", "session_id", "status")[0] == ("s1", "converted")
    assert (out.outcomes, out.n("abandoned"), out.n("converted")) == ([], 0, 1)


def test_a_late_event_that_moves_the_end_opens_a_session_again(run):
    out = run(cart(at="10:00"), view(at="10:32", visitor_id="bob"), view(at="10:20"))

    assert (out.of("sessions", "status"), out.outcomes) == (["open", "open"], [])


def test_a_late_event_that_does_not_move_the_end_is_told_of_a_closed_session(run):
    out = run(view(at="10:00"), cart(at="10:10"), view(at="10:55", visitor_id="bob"), click(at="10:05", engaged_ms=70))

    assert out.of("sessions", "n_events", "engaged_ms", "status")[0] == (3, 70, "abandoned")


def test_a_converted_session_that_only_went_on_for_seconds_is_told_when_it_closes(run):
    out = run(purchase(at="10:00"), click(at="10:00:30", engaged_ms=70), until="11:00")

    assert (out.session["n_events"], out.session["engaged_ms"]) == (2, 70)


def test_a_late_step_of_another_journey_is_told_of_a_closed_session(run):
    out = run(purchase(at="10:00"), view(at="10:50", visitor_id="bob"), click("rfq_step", at="10:00", page="/"))

    assert ("quote", "asked") in out.of("steps", "journey", "step")


def test_a_retracted_lapse_is_told():
    cartful, bob, bought = cart(at="10:00"), view(at="10:32", visitor_id="bob"), purchase(at="10:15")
    rows = said([cartful, bob], [bought], table="outcomes")

    assert [row["is_deleted"] for row in rows] == [0, 1]


def test_a_late_commit_event_begins_the_wait_anew(run):
    out = run(checkout(at="10:10"), view(at="10:45", visitor_id="bob"), cart(at="10:05", event_id="e3"))

    assert out.of("outcomes", "began_at", "step") == [(clock("10:05"), "checkout")]
    assert out.n("abandoned") == 1


# Facts of a session


def test_the_value_of_a_cart_is_its_last_known_total(run):
    totals = [
        cart(at="10:00", amount_minor=900, currency="EUR"),
        cart(at="10:02", amount_minor=0),
        cart(at="10:01", amount_minor=70),
    ]
    out = run(*totals, view(at="10:03", currency="USD"))

    assert (out.session["cart_value_minor"], out.session["currency"]) == (0, "")


def test_ids_are_the_last_known(run):
    out = run(cart(at="10:00", cart_id="k2", order_id="o2"), view(at="10:01"), cart(at="09:59:30", cart_id="k1", account_id="acme"))

    assert (out.session["cart_id"], out.session["order_id"], out.session["account_id"]) == ("k2", "o2", "acme")


def test_a_company_does_not_change_within_a_session(run):
    """An emitter that contradicts itself gets the smallest, whatever the order."""
    out = run(view(at="10:00", account_id="globex"), view(at="10:01", account_id="acme"), view(at="10:02"), until="11:00")

    assert out.session["account_id"] == "acme"


def test_campaign_and_channel_are_those_of_the_first_event_that_knows_one(run):
    out = run(
        view(at="10:00"),
        view(at="10:01", acquisition_channel="email"),
        view(at="10:02", campaign="spring", acquisition_channel="search"),
        until="11:00",
    )

    assert (out.session["campaign"], out.session["acquisition_channel"]) == ("", "email")


def test_time_in_the_foreground_adds_up(run):
    out = run(click("page_leave", at="10:00", engaged_ms=1_000), view(at="10:01"), click("page_leave", at="10:02", engaged_ms=250))

    assert out.session["engaged_ms"] == 1_250


def test_a_step_has_its_own_times_and_counts(run):
    out = run(view(at="10:00", engaged_ms=5), product(at="10:01"), view(at="10:02", engaged_ms=7))

    browse, _looked, quoted = out.steps
    assert (browse["step"], browse["first_at"], browse["last_at"]) == ("browse", clock("10:00"), clock("10:02"))
    assert (browse["n_events"], browse["engaged_ms"], browse["owner"], browse["step_index"]) == (2, 12, "marketing", 0)
    assert (browse["instance"], browse["instance_id"]) == ("session", f"ann/{ms('10:00')}")
    assert {quoted["journey"], _looked["journey"]} == {"shop", "quote"}


# Journeys


def test_the_journey_of_a_session_is_the_one_that_got_furthest(run):
    out = run(view(at="10:00"), click("rfq_step", at="10:01", page="/rfq/1"), until="11:00")

    assert (out.session["journey"], out.session["steps"]) == ("quote", ["asked"])
    assert (out.session["status"], out.session["abandoned_step"]) == ("abandoned", "asked")
    assert out.of("outcomes", "owner") == ["sales"]


def test_a_goal_counts_more_than_a_longer_way(run):
    out = run(click("rfq_step", at="10:00"), click("form_submit", at="10:01"), click("add_payment_info", at="10:02"), until="11:00")

    assert (out.session["journey"], out.session["status"]) == ("quote", "converted")


def test_of_two_journeys_that_got_equally_far_the_first_of_the_settings_counts(run):
    """Cart is 2/6 of the shop's way and its commit step, asked is 1/3 of the quote's and its commit step."""
    out = run(cart(at="10:00"), click("rfq_step", at="10:01", page="/"), until="11:00")

    assert out.session["journey"] == "shop"


def test_a_journey_of_one_step_is_reached_at_once(run):
    out = run(view(at="10:00"), click("help_view", at="10:01", page="/help"))

    assert (out.session["journey"], out.session["status"]) == ("help", "converted")
    assert out.n("converted", journey="help", step="helped") == 1


def test_the_emitters_own_step_is_believed(run):
    out = run(
        click("custom", at="10:00", journey="quote", step="requested"), click("custom", at="10:01", journey="shop", step="payment")
    )

    assert sorted(out.of("steps", "journey", "step")) == [("quote", "asked"), ("shop", "payment")]


def test_a_step_that_nobody_knows_is_found_by_what_the_event_is(run):
    out = run(cart(at="10:00", journey="shop", step="basket", page="/", page_type=None))

    assert out.session["steps"] == ["cart"]


def test_an_event_belongs_to_the_furthest_step_it_matches(run):
    out = run(click("add_to_cart", at="10:00", page_type="product"), click("form_submit", at="10:01", page="/rfq/7/thanks"))

    assert sorted(out.of("steps", "journey", "step")) == [("quote", "thanked"), ("shop", "cart")]


# Who it was


def test_a_session_belongs_to_the_customer_who_identifies_in_it(run):
    out = run(cart(at="10:00"), identify(at="10:05", customer_id="anna"), view(at="10:06"))

    assert (out.session["customer_id"], out.session["session_id"], out.session["n_events"]) == ("anna", ms("10:00"), 3)
    assert out.of("identities", "visitor_id", "customer_id", "linked_at", "source") == [
        ("ann", "anna", clock("10:05"), "clickstream")
    ]
    assert set(out.of("steps", "customer_id")) == {"anna"}


def test_a_second_customer_has_a_session_of_their_own(run):
    out = run(
        cart(at="10:00"),
        identify(at="10:05", customer_id="anna"),
        identify(at="10:06", customer_id="bert"),
        view(at="10:07"),
        product(at="10:08", customer_id="bert"),
    )

    assert out.of("sessions", "session_id", "customer_id", "n_events") == [
        (ms("10:00"), "anna", 3),
        (f"{ms('10:00')}~2", "bert", 2),
    ]
    assert out.of("identities", "customer_id", "linked_at") == [("anna", clock("10:05")), ("bert", clock("10:06"))]


def test_a_customer_who_identified_before_the_others_comes_first_even_if_late(run):
    out = run(
        view(at="10:00", session_id="s1"),
        identify(at="10:06", customer_id="bert", session_id="s1"),
        identify(at="10:05", customer_id="anna", session_id="s1"),
    )

    assert out.of("sessions", "session_id", "customer_id", "n_events") == [("s1", "anna", 2), ("s1~2", "bert", 1)]


def test_the_second_customers_session_goes_when_their_only_event_turns_out_to_be_another_sessions(run):
    """Two sessions become one: what was the first customer of the later one is the second of both."""
    out = run(
        identify(at="10:00", customer_id="anna"),
        identify(at="10:40", customer_id="bert"),
        view(at="10:20"),
        cart(at="10:41"),
        until="12:00",
    )

    assert out.of("sessions", "session_id", "customer_id", "n_events") == [
        (ms("10:00"), "anna", 3),
        (f"{ms('10:00')}~2", "bert", 1),
    ]


def test_customers_of_one_millisecond_come_in_the_order_of_their_ids(run):
    out = run(
        view(at="10:00", customer_id="bert", sequence=1),
        product(at="10:00", customer_id="anna", sequence=2),
        until="11:00",
    )

    assert out.of("sessions", "session_id", "customer_id") == [(ms("10:00"), "anna"), (f"{ms('10:00')}~2", "bert")]
    assert out.of("identities", "customer_id") == ["anna"]  # both have the same id: visitor and time


@pytest.mark.parametrize("nth", range(4))
def test_each_customer_of_one_millisecond_has_what_is_theirs(run, nth):
    """Whichever of the two parts stands first in the state: one has abandoned a cart, and it is counted once."""
    out = run(
        view(at="10:00", customer_id="bert", session_id="s1", event_id=f"b{nth}"),
        cart(at="10:00", customer_id="anna", session_id="s1", event_id=f"a{nth}"),
        view(at="12:00", visitor_id="else"),
        view(at="12:01", customer_id="bert", session_id="s1", event_id=f"c{nth}"),
        until="14:00",
    )

    assert out.of("sessions", "session_id", "customer_id", "status")[:2] == [
        ("s1", "anna", "abandoned"),
        ("s1~2", "bert", "browsed"),
    ]
    assert out.n("abandoned") == 1


def test_steps_go_along_when_customers_change_places(run):
    """Anna's late event makes hers the first part: what stood under ~2 is told of the session itself, and retracted there."""
    out = run(
        view(at="10:01", customer_id="bert"),
        cart(at="10:02", customer_id="anna"),
        product(at="10:00", customer_id="anna"),
        until="11:00",
    )

    assert sorted(out.of("steps", "session_id", "step", "journey")) == sorted(
        [
            (ms("10:00"), "product", "shop"),
            (ms("10:00"), "catalogue", "quote"),
            (ms("10:00"), "cart", "shop"),
            (f"{ms('10:00')}~2", "browse", "shop"),
        ]
    )


def test_all_parts_of_a_session_are_remembered_as_long_as_any(run):
    """Each pause is as long as the retention: who was there first is known when the last one comes."""
    out = run(
        cart(at="10:00", session_id="s1"),
        view(at="+1d 10:00", session_id="s1", customer_id="anna"),
        view(at="+2d 09:00", visitor_id="bob"),
        view(at="+2d 10:00", session_id="s1", customer_id="anna"),
        until="+9d 00:00",
    )

    assert out.of("sessions", "session_id", "n_events", "status")[0] == ("s1", 3, "abandoned")


def test_each_customers_part_has_its_own_fate(run):
    out = run(cart(at="10:00", customer_id="anna"), purchase(at="10:01", customer_id="bert"), until="11:00")

    assert out.of("sessions", "status") == ["abandoned", "converted"]


# Bots


def test_a_bot_stands_in_sessions_steps_and_events_only(run):
    out = run(cart(at="10:00"), identify(at="10:01", customer_id="anna", is_bot=True), until="11:00")

    assert (out.session["is_bot"], out.session["status"], out.session["n_signals"]) == (1, "abandoned", 0)
    assert len(out.steps) == 1
    assert len(out.events) == 2
    assert (out.outcomes, out.identities, out.rollups, out.signals) == ([], [], [], [])


def test_a_bot_that_is_found_out_late_is_taken_out_of_everything(run):
    out = run(
        identify(at="10:00", customer_id="anna"),
        cart(at="10:01"),
        view(at="10:50", visitor_id="bob"),
        view(at="10:02", is_bot=True),
        until="12:00",
    )

    assert (out.outcomes, out.identities) == ([], [])
    assert out.n("sessions") == 1  # Bob's


# Counts


def test_rollups_count_sessions_steps_and_lapses_in_their_intervals(run):
    out = run(view(at="10:03", device="mobile"), cart(at="10:07"), until="11:00")

    rows = {(row["measure"], row["step"]): row for row in out.rollups}
    assert set(rows) == {("sessions", ""), ("reached", "browse"), ("reached", "cart"), ("began", "cart"), ("abandoned", "cart")}
    assert rows["sessions", ""]["interval_at"] == rows["reached", "browse"]["interval_at"] == clock("10:00")
    assert rows["reached", "cart"]["interval_at"] == rows["abandoned", "cart"]["interval_at"] == clock("10:05")
    assert rows["abandoned", "cart"]["expectation"] == "order_after_commit"
    assert rows["abandoned", "cart"]["matures_at"] == clock("10:41")
    assert {(row["n"], row["device"], row["country"], row["interval_s"], row["source"]) for row in out.rollups} == {
        (1, "mobile", "", 300, "sessions")
    }


def test_counts_add_up_over_visitors_of_one_partition(run):
    out = run(
        view(at="10:00"),
        view(at="10:01", visitor_id="bob"),
        view(at="10:06", visitor_id="cleo"),
        view(at="10:02", visitor_id="dora", partition=1),
    )

    assert sorted(out.of("rollups", "measure", "source_partition", "n")) == sorted(
        [("sessions", 0, 2), ("reached", 0, 2), ("sessions", 0, 1), ("reached", 0, 1), ("sessions", 1, 1), ("reached", 1, 1)]
    )


def test_a_device_that_becomes_known_moves_the_counts(run):
    out = run(view(at="10:00"), cart(at="10:20", device="mobile"), until="11:00")

    assert set(out.of("rollups", "device")) == {"mobile"}


def test_a_count_that_falls_to_nothing_is_told():
    rows = said([view(at="10:00")], [cart(at="10:20", device="mobile")], table="rollups")

    sessions = [(row["device"], row["n"]) for row in rows if row["measure"] == "sessions"]
    assert sorted(sessions) == [("", 0), ("", 1), ("mobile", 1)]


def test_a_late_first_event_moves_a_session_to_an_earlier_interval(run):
    out = run(view(at="10:06"), view(at="10:04"))

    assert {row["interval_at"] for row in out.rollups} == {clock("10:00")}
    assert out.n("sessions") == out.n("reached") == 1


def test_a_merge_counts_once(run):
    out = run(cart(at="10:00"), cart(at="10:45"), view(at="11:20", visitor_id="bob"), cart(at="10:20"), until="12:00")

    assert (out.n("sessions"), out.n("abandoned"), out.n("reached", step="cart")) == (2, 1, 1)


def test_counts_stay_when_sessions_leave_the_state(run):
    early = [view(at="10:00", visitor_id=f"v{n}") for n in range(3)]
    out = run(*early, view(at="+5d 10:00"), view(at="+9d 10:00"), until="+30d 00:00")

    assert out.n("sessions", interval_at=clock("10:00")) == 3


def test_only_chosen_dimensions_are_told(run):
    rules = replace(RULES, dimensions=("country", "acquisition_channel"))
    out = run(view(at="10:00", device="mobile", country="DE", acquisition_channel="email"), rules=rules)

    assert set(out.of("rollups", "device", "country", "acquisition_channel")) == {("", "DE", "email")}


# Signals


def test_friction_is_felt_in_a_session(run):
    out = run(
        view(at="10:00"),
        product(at="10:01"),
        click("web_vital", at="10:01:02", metric="LCP", value=9_000.0, page="/shoes/1", device="mobile", event_id="slow"),
        until="11:00",
    )

    (signal,) = out.signals
    assert (signal["signal"], signal["session_id"], signal["fired_at"]) == ("slow_page", ms("10:00"), clock("10:01:02"))
    assert signal["signal_id"] == oracle.hashed("shop", "slow_page", "ann", oracle.hashed("slow"))
    assert (signal["journey"], signal["step"], signal["owner"]) == ("shop", "product", "catalogue")
    assert (signal["page"], signal["device"]) == ("/shoes/1", "mobile")
    assert out.session["n_signals"] == 1
    assert out.session["friction_score"] == signal["weight"] > 0
    assert out.n("signals", signal="slow_page", step="product", device="mobile") == 1


def test_friction_before_any_step_belongs_to_none(run):
    out = run(click("web_vital", at="10:00", metric="LCP", value=9_000.0, page="/"), view(at="10:01"))

    assert out.of("signals", "journey", "step", "owner") == [("", "", "")]


def test_friction_without_a_step_of_its_own_belongs_to_the_furthest_reached_by_then(run):
    slow = click("web_vital", at="10:03", metric="LCP", value=9_000.0)
    out = run(view(at="10:00"), cart(at="10:01"), product(at="10:02"), slow, checkout(at="10:04"), until="11:00")

    assert out.of("signals", "step", "owner") == [("cart", "shop")]


def test_help_that_is_read_in_the_checkout_belongs_to_the_checkout_not_to_the_page_it_is_read_on(run):
    out = run(
        cart(at="09:00"),
        checkout(at="09:01"),
        view(at="09:02", page="/returns", page_type="policy"),
        rules=replace(RULES, signals=(HELP_IN_CHECKOUT,)),
    )

    assert out.of("signals", "signal", "step", "owner") == [("help_in_checkout", "checkout", "shop")]


def test_what_a_signal_looks_back_at_is_the_visitors_whatever_the_session(run):
    errors = [click("form_error", at=f"10:00:{s}", form="card", field="number", session_id=f"s{s}") for s in (10, 20, 30)]
    out = run(*errors, until="11:00", rules=replace(RULES, signals=(FORM_ERROR_LOOP,)))

    assert out.of("signals", "signal", "session_id") == [("form_error_loop", "s30")]


def test_a_signal_looks_back_at_sessions_that_have_left_the_state(run):
    """One long loop of errors, each in a session of its own that is soon forgotten, fires once."""
    hasty = {"gap": MINUTE, "retention": MINUTE, "dedup_horizon": SECOND, "allowed_lateness": 0 * SECOND}
    rules = replace(RULES, **hasty, signals=(FORM_ERROR_LOOP,))
    errors = [click("form_error", at=f"10:{minute:02}", form="card", field="number") for minute in range(0, 60, 4)]

    assert run(*errors, until="12:00", rules=rules).of("signals", "fired_at") == [clock("10:08")]


def test_a_signal_in_a_merged_session_belongs_to_the_one_that_stays(run):
    slow = click("web_vital", at="10:45", metric="LCP", value=9_000.0)
    out = run(view(at="10:00"), slow, view(at="10:20"), until="12:00")

    assert out.of("signals", "session_id") == [ms("10:00")]
    assert out.session["n_signals"] == 1


# What is sent, and when


def test_an_open_session_that_only_goes_on_is_sent_at_most_once_a_minute():
    looks = [[product(at=f"10:00:{second:02}", page=f"/{second}")] for second in range(0, 60, 10)]
    rows = said(*looks, [product(at="10:01:00")])

    assert [row["ended_at"] for row in rows] == [clock("10:00"), clock("10:01:00")]


def test_an_empty_batch_lets_time_go_on():
    fold = SessionsFold(RULES)
    opened = fold.step(fold.empty(), frame([cart(at="10:00")]), watermarks({0: None}))
    closed = fold.step(opened.state, frame([]), watermarks({0: clock("10:31")}))

    assert opened.watermarks.rows() == [(0, clock("09:59"))]
    assert closed.watermarks.rows() == [(0, clock("10:31"))]
    assert closed.tables["sessions"]["status"].to_list() == ["abandoned"]
    assert closed.fates.is_empty()


def test_nothing_is_said_when_nothing_happens():
    fold = SessionsFold(RULES)
    opened = fold.step(fold.empty(), frame([cart(at="10:00")]), watermarks({0: None}))
    idle = fold.step(opened.state, frame([]), opened.watermarks)

    assert all(rows.is_empty() for rows in idle.tables.values())


def test_events_are_stored_only_where_that_is_asked_for():
    fold = SessionsFold(replace(RULES, store_events=False))
    step = fold.step(fold.empty(), frame([cart(at="10:00")]), watermarks({0: None}))

    assert step.tables.get("events", pl.DataFrame()).is_empty()


def test_an_applied_event_is_stored_with_its_step(run):
    out = run(product(at="10:00", session_id="s1", customer_id="anna", event_id="e1"), click(at="10:01", event_id="e2"))

    assert out.of("events", "family", "event_id", "session_id", "customer_id", "journey", "step") == [
        ("clickstream", "e1", "s1", "anna", "shop", "product"),
        ("clickstream", "e2", "", "", "", ""),
    ]


def test_the_gap_is_a_setting(run):
    rules = replace(RULES, gap=5 * MINUTE)

    assert len(run(view(at="10:00"), view(at="10:06"), rules=rules).sessions) == 2
