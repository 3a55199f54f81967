"""The fold of spikes: what goes wrong is told once, where it happens, with what rose beside it and what it costs; what is usual is not told."""

from copy import deepcopy
from datetime import timedelta

import polars as pl
import pytest

from pipeline.spike_rules import SpikeRules
from pipeline.spikes import SpikesFold
from tests.count_rows import MONDAY_MS, PARCEL, CountedShop, Shock, example_rows, heard_rows, watermarks

HOUR_MS = 3_600_000
DAYS = 5
SHOCK_MS = MONDAY_MS + DAYS * 24 * HOUR_MS
RULES = SpikeRules()


class Line:
    """A fold that is fed intervals."""

    def __init__(self, rules=RULES):
        self.fold = SpikesFold(rules)
        self.state = self.fold.empty()
        self.said = []

    def take(self, rows=(), *, till_ms, examples=(), **of):
        batch = pl.concat([heard_rows(rows, **of), example_rows(examples)])
        done = self.fold.step(self.state, batch, watermarks(till_ms))
        self.state = done.state
        self.said += [done.tables["alerts"]] if done.tables else []
        return self

    def run(self, shop, n_hours, *, at_once=6, examples=(), from_ms=MONDAY_MS):
        intervals = list(shop.rows(n_hours, from_ms))
        for begin in range(0, n_hours, at_once):
            some = intervals[begin : begin + at_once]
            self.take([row for _, rows in some for row in rows], till_ms=some[-1][0] + HOUR_MS + 60_000, examples=examples)
        return self.take(till_ms=intervals[-1][0] + 2 * HOUR_MS)

    def alerts(self):
        """Newest row of each alert."""
        rows = pl.concat(self.said) if self.said else pl.DataFrame()
        return rows.unique("alert_id", keep="last", maintain_order=True).to_dicts() if rows.height else []


def shop(*shocks, seed=11, **given):
    return CountedShop(seed, visits=150_000, interval_s=3_600, shocks=shocks, **given)


MEASURES = ("sessions", "reached", "began", "abandoned", "signals")


@pytest.fixture(scope="module")
def settled():
    """A shop and a fold after five quiet days."""
    its = shop(measures=MEASURES)
    return its, Line().run(its, DAYS * 24, at_once=24)


def from_then(settled, *shocks, rules=RULES):
    """The same with shocks to come, and whatever rules."""
    its, line = settled
    its, goes_on = deepcopy(its), Line(rules)
    its.shocks, goes_on.state = shocks, line.state
    return its, goes_on


@pytest.fixture(scope="module")
def shocked(settled):
    """Abandonment at the payment triples on mobiles, while a signal there does; ten hours later all is well."""
    until = SHOCK_MS + 6 * HOUR_MS
    shocks = [Shock(what, 3.0, SHOCK_MS, until, device="mobile") for what in ("payment", "form_error_loop")]
    said = [
        (
            SHOCK_MS + hour * HOUR_MS,
            "abandoned",
            "payment",
            "order_after_commit",
            "mobile",
            f"visitor-{hour}/s{no}",
            4_000 + 1_000 * no,
            "EUR",
        )
        for hour in range(6)
        for no in range(3)
    ]
    its, line = from_then(settled, *shocks)
    return line.run(its, 14, from_ms=SHOCK_MS, examples=said)


def test_a_spike_is_one_alert_of_the_segment_in_which_it_happens(shocked):
    abandonment = [alert for alert in shocked.alerts() if alert["rule"] == "abandonment"]

    assert [(alert["segment"], alert["journey"], alert["step"], alert["device"]) for alert in abandonment] == [
        ("step = payment and device = mobile", "shop", "payment", "mobile")
    ]
    assert abandonment[0]["owner"] == "payments"
    assert abandonment[0]["expectation"] == "order_after_commit"
    assert abandonment[0]["severity"] == "critical"


def test_it_opens_soon_and_is_resolved_when_all_is_well(shocked):
    its = pl.concat(shocked.said).filter(pl.col("rule") == "abandonment").to_dicts()

    assert its[0]["status"] == "open"
    assert its[0]["opened_at"].timestamp() * 1_000 <= SHOCK_MS + 3 * HOUR_MS
    assert its[-1]["status"] == "resolved"
    assert SHOCK_MS + 6 * HOUR_MS < its[-1]["resolved_at"].timestamp() * 1_000 <= SHOCK_MS + 11 * HOUR_MS
    assert len(its) <= 6, "told again only when enough has changed"
    assert {row["alert_id"] for row in its} == {its[0]["alert_id"]}


@pytest.mark.parametrize(("usual_for", "statuses"), [(3, ["open"]), (1, ["resolved", "open"])])
def test_a_spike_that_pauses_is_one_alert_unless_the_pause_is_long(settled, usual_for, statuses):
    hours = [(SHOCK_MS + begin * HOUR_MS, SHOCK_MS + end * HOUR_MS) for begin, end in ((0, 3), (7, 10))]
    its, line = from_then(settled, *(Shock("payment", 4.0, *of) for of in hours), rules=SpikeRules(usual_for=usual_for))
    its.measures = ("began", "abandoned")

    assert [alert["status"] for alert in line.run(its, 10, from_ms=SHOCK_MS).alerts()] == statuses


def test_its_cause_is_the_signal_that_rose_with_it(shocked):
    alert = next(alert for alert in shocked.alerts() if alert["rule"] == "abandonment")

    assert alert["cause"] == "form_error_loop"
    assert 0.05 < alert["cause_share"] < 0.2
    assert "form_error_loop rose most" in alert["summary"]


def test_it_says_what_it_costs_and_of_whom_it_is(shocked):
    alert = next(alert for alert in shocked.alerts() if alert["rule"] == "abandonment")

    assert alert["currency"] == "EUR"
    excess = alert["value_minor"] / 5_000
    assert 100 < excess < 4_000
    assert alert["examples"]
    assert all(each.startswith("visitor-") for each in alert["examples"])


def test_a_signal_costs_what_lies_in_the_carts_of_those_who_met_it(settled):
    until = SHOCK_MS + 6 * HOUR_MS
    its, line = from_then(settled, Shock("form_error_loop", 3.0, SHOCK_MS, until))
    met = [
        (SHOCK_MS + hour * HOUR_MS, "signals", "payment", "", "mobile", f"visitor-{hour}/s{no}", *money, "form_error_loop")
        for hour in range(6)
        for no, money in enumerate(((4_000, "EUR"), (6_000, "EUR"), (None, ""), (None, "")))
    ]
    (alert,) = line.run(its, 10, from_ms=SHOCK_MS, examples=met).alerts()

    assert (alert["rule"], alert["currency"]) == ("friction", "EUR")
    excess = alert["value_minor"] / 5_000 * 2  # half of them have no cart
    assert alert["n"] - alert["n_expected"] <= excess
    assert alert["examples"]


def test_exits_cost_what_is_given_up_at_their_step_and_where_there_are_no_carts_nobody_knows(settled):
    lost = [
        (SHOCK_MS - 2 * HOUR_MS, "abandoned", "payment", "order_after_commit", "mobile", f"visitor/s{no}", value, "EUR")
        for no, value in enumerate((4_000, 5_000, 9_000))
    ]
    costs = {}
    for step in ("payment", "product"):
        its, line = from_then(settled, Shock(f"exits:{step}", 2.0, SHOCK_MS, SHOCK_MS + 4 * HOUR_MS))
        its.measures = ("reached",)
        alerts = line.run(its, 5, from_ms=SHOCK_MS, examples=lost).alerts()
        costs |= {(alert["step"], alert["currency"]): alert["value_minor"] for alert in alerts if alert["rule"] == "exits"}

    assert costs.keys() == {("payment", "EUR"), ("product", "")}
    assert costs["payment", "EUR"] > 100 * 5_000
    assert costs["product", ""] is None


def test_the_signal_that_rose_is_an_alert_as_well(shocked):
    friction = [alert for alert in shocked.alerts() if alert["rule"] == "friction"]

    assert {(alert["signal"], alert["device"]) for alert in friction} == {("form_error_loop", "mobile")}


FAILED, RETRIED = "payment_failed", "payment_retried"


@pytest.fixture(scope="module")
def paying():
    """Two signals of the payment after five quiet days."""
    its = shop(measures=("sessions", "signals"), signals=((FAILED, "payment", 0.03), (RETRIED, "payment", 0.015)))
    return its, Line().run(its, DAYS * 24, at_once=24)


def outage(what, times, begins, lasts, device="mobile"):
    """Hours after the quiet days, and how long."""
    from_ms = SHOCK_MS + begins * HOUR_MS
    return Shock(what, times, from_ms, from_ms + lasts * HOUR_MS, device=device)


@pytest.mark.parametrize(("first", "then"), [(FAILED, RETRIED), (RETRIED, FAILED)])
def test_signals_that_rise_together_at_one_place_are_one_alert_whose_cause_rose_most(paying, first, then):
    its, line = from_then(paying, outage(first, 3.0, 0, 8), outage(then, 3.0, 2, 6))
    alerts = line.run(its, 16, from_ms=SHOCK_MS).alerts()

    assert [(alert["signal"], alert["segment"], alert["status"]) for alert in alerts] == [
        (first, "step = payment and device = mobile", "resolved")
    ]
    told = pl.concat(line.said).filter(pl.col("status") == "open").to_dicts()[-1]
    assert f"{then} rose with it" in told["summary"]
    assert told["cause"] == FAILED
    assert (told["cause_share"] == told["rate"]) is (first == FAILED), "who met it are told one share, and not two"


def test_it_is_over_when_all_that_rose_there_are(paying):
    its, line = from_then(paying, outage(FAILED, 4.0, 0, 3), outage(RETRIED, 4.0, 0, 8))
    (alert,) = line.run(its, 16, from_ms=SHOCK_MS).alerts()

    assert alert["resolved_at"].timestamp() * 1_000 >= SHOCK_MS + 8 * HOUR_MS


@pytest.mark.parametrize(
    ("others", "segment"),
    [
        ([outage(RETRIED, 4.0, 1, 6, "desktop")], "step = payment and device = desktop"),
        ([outage(RETRIED, 4.0, 1, 6), outage(RETRIED, 4.0, 3, 4, "desktop")], "step = payment and device = desktop"),
        ([outage(RETRIED, 4.0, 13, 4)], "step = payment and device = mobile"),
    ],
    ids=["elsewhere", "elsewhere as well", "much later"],
)
def test_what_rises_elsewhere_or_much_later_is_an_alert_of_its_own(paying, others, segment):
    its, line = from_then(paying, outage(FAILED, 4.0, 0, 20), *others)
    alerts = line.run(its, 24, from_ms=SHOCK_MS).alerts()

    assert {(alert["signal"], alert["segment"]) for alert in alerts} == {
        (FAILED, "step = payment and device = mobile"),
        (RETRIED, segment),
    }


def test_what_was_part_of_an_alert_is_so_after_a_restart(paying):
    its, line = from_then(paying, outage(FAILED, 4.0, 0, 8), outage(RETRIED, 4.0, 0, 8))
    line.run(its, 4, from_ms=SHOCK_MS)
    line.state = line.fold.empty().restored(0, {piece.name: piece.frame() for piece in line.state.pieces(0)})

    assert line.state.parts[0].alerts[0].parts
    assert len(line.run(its, 4, from_ms=SHOCK_MS + 4 * HOUR_MS).alerts()) == 1


def test_quiet_days_are_told_of_nothing(settled):
    assert not settled[1].alerts()


@pytest.mark.parametrize(("night", "n_alerts"), [([3, 4, 2, 3] * 4, 1), ([1, 2, 1, 2] * 4, 2)], ids=["goes on", "is over"])
def test_where_there_are_too_few_to_be_sure_an_alert_goes_on_until_it_is_seen_to_be_over(night, n_alerts):
    """Of 40 an hour at night 1.6 are usual, and 3.2 are as many as in the spike: neither is surprising by itself."""
    line, hours = Line(), DAYS * 24
    n_of = [600] * (hours + 3) + [40] * len(night) + [600] * 9
    n = [24] * hours + [48] * 3 + night + [48] * 3 + [24] * 6
    rows = [
        (MONDAY_MS + hour * HOUR_MS, 3_600, "sessions", *what, "", "", count, MONDAY_MS + (hour + 1) * HOUR_MS)
        for hour, counts in enumerate(zip(n_of, n, strict=True))
        for what, count in zip(
            [("sessions", "", "", "", ""), ("signals", "shop", "payment", "", "rage_click")], counts, strict=True
        )
    ]
    line.take(rows, till_ms=SHOCK_MS + len(n_of) * HOUR_MS)

    assert len(line.state.parts[0].alerts) == n_alerts
    assert line.state.n_open == 0


def test_without_history_nothing_is_claimed():
    early = Shock("payment", 5.0, MONDAY_MS + 12 * HOUR_MS, MONDAY_MS + 20 * HOUR_MS)

    assert not Line().run(shop(early), 20).alerts()


@pytest.mark.parametrize("seed", [11, 13, 14])
def test_what_begins_at_one_step_and_is_soon_everywhere_is_one_alert_of_all(seed):
    rest = ("browse", "cart", "checkout", "shipping", "payment")
    signals = [("page_error", step, 0.005) for step in ("product", *rest)]
    its = shop(measures=("sessions", "signals"), seed=seed, signals=signals)
    line = Line().run(its, DAYS * 24, at_once=24)
    until = SHOCK_MS + 5 * HOUR_MS
    its.shocks = [Shock("page_error", 10.0, SHOCK_MS, until, step="product")]
    its.shocks += [Shock("page_error", 2.5, SHOCK_MS + HOUR_MS, until, step=step) for step in rest]
    line.run(its, 4, at_once=1, from_ms=SHOCK_MS)

    told = pl.concat(line.said)
    assert (told["alert_id"].n_unique(), told["step"][0], told["step"][-1]) == (1, "product", "")


def test_alerts_beside_each_other_do_not_grow_into_each_other(settled):
    until = SHOCK_MS + 9 * HOUR_MS
    shocks = [
        Shock("form_error_loop", times, SHOCK_MS + late * HOUR_MS, until, device=device)
        for device, times, late in (("mobile", 4.0, 0), ("desktop", 2.5, 1))
    ]
    its, line = from_then(settled, *shocks)
    line.run(its, 4, at_once=1, from_ms=SHOCK_MS)

    assert [alert["segment"] for alert in line.alerts()] == [
        f"step = payment and device = {each}" for each in ("mobile", "desktop")
    ]


def test_what_lasts_becomes_usual(settled):
    lasts = Shock("payment", 3.0, SHOCK_MS, SHOCK_MS + 100 * HOUR_MS)
    its, line = from_then(settled, lasts, rules=SpikeRules(lasting=timedelta(hours=12)))
    its.measures = ("began", "abandoned")
    alerts = line.run(its, 26, from_ms=SHOCK_MS).alerts()

    assert len(alerts) == 1
    assert alerts[0]["status"] == "resolved"
    assert "usual" in alerts[0]["summary"]
    assert alerts[0]["resolved_at"].timestamp() * 1_000 <= SHOCK_MS + 15 * HOUR_MS


def test_what_is_so_every_week_is_not_told_every_week(settled):
    """More is given up at every weekend, by people who have the time to look around; a shop that is a year old would hear of it 52 times."""
    weekends = [(SHOCK_MS + days * 24 * HOUR_MS, SHOCK_MS + (days + 2) * 24 * HOUR_MS) for days in (0, 7, 14)]
    its, line = from_then(settled, *(Shock("payment", 1.6, *weekend) for weekend in weekends))
    its.measures = ("began", "abandoned")
    line.run(its, 16 * 24, from_ms=SHOCK_MS, at_once=24)

    assert [alert["opened_at"].timestamp() * 1_000 < weekends[0][1] for alert in line.alerts()] == [True]


def test_an_alert_of_which_nothing_is_heard_is_resolved_at_last(settled):
    until = Shock("payment", 3.0, SHOCK_MS, SHOCK_MS + 100 * HOUR_MS)
    its, line = from_then(settled, until)
    its.measures = ("began", "abandoned")
    line.run(its, 4, from_ms=SHOCK_MS)
    assert [alert["status"] for alert in line.alerts()] == ["open"]

    line.take(till_ms=SHOCK_MS + 40 * HOUR_MS)

    assert [alert["status"] for alert in line.alerts()] == ["resolved"]
    assert line.state.n_open == 0


def test_an_alert_of_which_nothing_is_heard_for_long_is_resolved_however_much_is_judged_at_once(settled):
    rules = SpikeRules(lasting=timedelta(hours=6))
    told = []
    for at_once in (1, 24):
        its, line = from_then(settled, Shock("payment", 3.0, SHOCK_MS, SHOCK_MS + 100 * HOUR_MS), rules=rules)
        its.measures = ("began", "abandoned")
        hours = [(at, rows) for at, rows in its.rows(14, SHOCK_MS) if not 4 <= (at - SHOCK_MS) // HOUR_MS < 12]
        for begin in range(0, len(hours), at_once):
            some = hours[begin : begin + at_once]
            line.take([row for _, rows in some for row in rows], till_ms=some[-1][0] + 2 * HOUR_MS)
        told.append(line.alerts())

    assert [alert["status"] for alert in told[0]] == ["resolved", "open"]
    assert told[0] == told[1]


def test_one_wait_that_is_due_in_weeks_holds_no_verdict_back():
    """Parcels are late after a day; of one in each sixth hour it is only known in six weeks."""
    from_ms = MONDAY_MS + 70 * HOUR_MS
    its = shop(Shock(PARCEL, 4.0, from_ms, from_ms + 8 * HOUR_MS), measures=(), lapses=True)
    line = Line(SpikeRules(history=timedelta(days=2)))
    hours = [
        [(*rows[0][:-1], at + 42 * 24 * HOUR_MS), *rows[1:]] if hour % 6 == 3 else rows
        for hour, (at, rows) in enumerate(its.rows(110))
    ]
    for begin in range(0, 110, 5):
        line.take([row for rows in hours[begin : begin + 5] for row in rows], till_ms=MONDAY_MS + (begin + 5) * HOUR_MS)

    (alert,) = line.alerts()
    assert (alert["rule"], alert["expectation"], alert["status"]) == ("lapse", PARCEL, "resolved")
    assert alert["opened_at"].timestamp() * 1_000 <= from_ms + 4 * HOUR_MS


def test_silence_is_told_where_it_rose_once_nobody_can_say_a_word_any_more():
    """Those who left at the payment could have written to support for a day."""
    from_ms = MONDAY_MS + 40 * HOUR_MS
    its = shop(Shock("payment", 4.0, from_ms, from_ms + 6 * HOUR_MS, device="mobile"), measures=("began", "abandoned"))
    line, day = Line(SpikeRules(history=timedelta(days=1))), 24 * HOUR_MS
    for at, rows in its.rows(46):
        silent = [(*row[:2], "journeys", "silent", *row[4:-1], row[-1] + day) for row in rows if row[3] == "abandoned"]
        line.take([*rows, *silent], till_ms=at + HOUR_MS)
    line.take(till_ms=from_ms + 7 * HOUR_MS)
    assert {alert["rule"] for alert in line.alerts()} == {"abandonment"}

    line.take(till_ms=from_ms + 7 * HOUR_MS + day)

    (alert,) = (alert for alert in line.alerts() if alert["rule"] == "silence")
    assert (alert["segment"], alert["owner"]) == ("step = payment and device = mobile", "payments")
    assert alert["summary"].startswith("Silent abandonment at step = payment and device = mobile: ")


@pytest.mark.parametrize("at_once", [10, 190])
def test_a_lapse_that_is_judged_days_later_is_because_of_what_rose_when_its_waits_began(at_once):
    """Of parcels it is known after four days, of clicks at once."""
    from_ms = MONDAY_MS + 75 * HOUR_MS
    shocks = [Shock(what, 4.0, from_ms, from_ms + 8 * HOUR_MS) for what in (PARCEL, "delivery_exception", "rage_click")]
    signals = [("delivery_exception", "in_transit", 0.02), ("rage_click", "checkout", 0.04)]
    its, line = shop(*shocks, measures=("sessions", "signals"), lapses=True, signals=signals), Line()
    hours = [[(*row[:-1], row[-1] + 3 * 24 * HOUR_MS * (PARCEL in row)) for row in rows] for _, rows in its.rows(190)]
    for begin in range(0, 190, at_once):
        line.take([row for rows in hours[begin : begin + at_once] for row in rows], till_ms=MONDAY_MS + (begin + at_once) * HOUR_MS)

    (alert,) = [alert for alert in line.alerts() if alert["rule"] == "lapse"]
    assert (alert["status"], alert["cause"]) == ("resolved", "delivery_exception")


def test_more_series_than_there_is_room_for_are_told():
    line = Line(SpikeRules(most_series=10)).run(shop(), 3)
    alerts = line.alerts()

    assert [(alert["rule"], alert["status"]) for alert in alerts] == [("limit", "open")]
    assert alerts[0]["n"] > 10
    assert line.state.parts[0].n_series == 10
    assert "10 are already" in alerts[0]["summary"]


def test_counts_that_were_judged_are_not_remembered():
    line = Line().run(shop(), 6)

    assert line.state.parts[0].counts.height == 0


def test_examples_that_no_alert_can_tell_any_more_are_not_remembered_though_one_expectation_fell_silent():
    line, its = Line(), shop(measures=("began", "abandoned"))
    line.take(
        [
            (MONDAY_MS, 3_600, "fulfilment", measure, "delivery", "in_transit", PARCEL, "", "", "", 9, MONDAY_MS + HOUR_MS)
            for measure in ("began", "abandoned")
        ],
        till_ms=MONDAY_MS,
    )
    for at, rows in its.rows(24):
        said = [(at, "abandoned", "payment", "order_after_commit", "mobile", f"visitor/s{no}", 4_000, "EUR") for no in range(3)]
        line.take(rows, till_ms=at + HOUR_MS, examples=said)

    assert 0 < line.state.parts[0].examples.height <= 3 * 15


def test_series_that_come_as_others_are_forgotten_are_kept_by_their_own_names():
    line, written = Line(SpikeRules(forgotten_after=timedelta(hours=10))), {}
    for device, from_ms in (("watch", MONDAY_MS), ("phone", MONDAY_MS + 30 * HOUR_MS)):
        line.run(shop(measures=("sessions", "signals"), devices=[(device, 1.0)]), 30, at_once=30, from_ms=from_ms)
        pieces = {piece.name: piece for piece in line.state.pieces(0)}
        written = {name: written[name] if name in written else piece.frame() for name, piece in pieces.items()}

    restored = line.fold.empty().restored(0, written)
    (its,) = restored.parts[0].series.values()
    (known,) = line.state.parts[0].series.values()
    assert its.known.equals(known.known)
    assert set(its.known["device"]) == {"", "phone"}


def test_state_of_an_older_version_goes_on_with_its_alert(settled):
    def told(since):
        its, line = from_then(settled, Shock("payment", 3.0, SHOCK_MS, SHOCK_MS + 3 * HOUR_MS))
        line.run(its, 3, from_ms=SHOCK_MS)
        written = {piece.name: piece.frame() for piece in line.state.pieces(0)}
        older = {name: frame.drop(since, strict=False) for name, frame in written.items()}
        line.state = line.fold.empty().restored(0, older)
        return line.run(its, 8, from_ms=SHOCK_MS + 3 * HOUR_MS).alerts()

    kept, anew = told([]), told(["lag_of_ms", "raised_n", "raised_expected", "over", "parts"])
    assert [alert["status"] for alert in kept] == ["resolved"]
    assert [(alert["alert_id"], alert["status"]) for alert in anew] == [(alert["alert_id"], alert["status"]) for alert in kept]


def test_nothing_is_judged_before_waits_are_over():
    line, (_, rows) = Line(), next(iter(shop().rows(1)))
    line.take(rows, till_ms=MONDAY_MS + HOUR_MS - 1)
    families = line.state.parts[0].series
    assert all(not its.known.height for its in families.values())

    line.take(till_ms=MONDAY_MS + HOUR_MS + 60_000)
    assert {family.rule for family, its in families.items() if not its.known.height} >= {"abandonment"}
    judged = {family.rule for family, its in line.state.parts[0].series.items() if its.known.height}
    assert judged == {"friction", "exits"}

    line.take(till_ms=MONDAY_MS + HOUR_MS + 31 * 60_000)
    assert {family.rule for family, its in line.state.parts[0].series.items() if its.known.height} == {
        "friction",
        "exits",
        "abandonment",
    }


@pytest.mark.parametrize("name", ["history", "false_discoveries", "least_n_of", "least_lift", "least_excess"])
def test_rules_that_cannot_work_are_refused(name):
    value = timedelta(0) if name == "history" else -1
    with pytest.raises(ValueError, match=name):
        SpikeRules(**{name: value})
