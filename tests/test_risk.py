"""Who may be slipping away: visits and cases told as at risk, again when the risk has moved, and over."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from pipeline.case_risk import FROM_THE_START, CaseRisk, MetOf, Waiting
from pipeline.friction import WEIGHTS
from pipeline.fulfilment import FulfilmentFold
from pipeline.groups import NEVER
from pipeline.risk import RiskBands
from pipeline.session_risk import SessionRisk
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from tests import told_risk
from tests.builders import MONDAY, cart, click, clock, frame, happened, identify, order, product, purchase, records, watermarks
from tests.commerce_strategies import RULES as CASE_RULES
from tests.views import told

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VISITS, CASES = SessionsFold(), FulfilmentFold(CASE_RULES)
DECLINED = {"event_type": "payment_failed", "page": "/checkout/payment", "page_type": "checkout", "reason": "insufficient_funds"}


def rows(fold, *batches, until=None):
    """The rows of at_risk, batch by batch, and when time has come to `until`."""
    log = records(event for batch in batches for event in batch)
    begins = {sum(map(len, batches[:place])) for place in range(len(batches))}
    return told_risk.told(told(fold, [{**record, "cut_before": place in begins} for place, record in enumerate(log)], until=until))


def words(found):
    return found.select("entity_id", "is_over", pl.col("reasons").list.join(" ")).rows()


# Bands --------------------------------------------------------------------------------------------------------------------------


def test_a_risk_on_a_border_is_in_the_upper_band_and_one_below_the_floor_in_none():
    bands = RiskBands(floor=0.3, width=0.1)

    assert bands.of(np.array([0.0, 0.29, 0.3, 0.39, 0.7, 1.0])).tolist() == [0, 0, 4, 4, 8, 11]
    assert [band for band, _ in bands.borders()] == [4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("said", [{"floor": 1.2}, {"floor": -0.1}, {"width": 0.0}, {"width": 2.0}])
def test_bands_that_are_none_are_refused(said):
    with pytest.raises(ValueError, match=r"floor|width"):
        RiskBands(**said)


# Visits -------------------------------------------------------------------------------------------------------------------------


def test_a_visit_with_something_in_the_cart_is_at_risk_and_told_over_when_it_has_lapsed():
    found = rows(VISITS, [product(at="10:00"), cart(at="10:01", amount_minor=4_900, currency="EUR")], until=clock("12:00"))

    (entity_id,) = found["entity_id"].unique()
    assert entity_id == f"ann/{int(clock('10:00').timestamp() * 1_000)}"
    assert words(found) == [(entity_id, 0, ""), (entity_id, 1, "lapsed")]
    first = found.row(0, named=True)
    assert {name: first[name] for name in ("kind", "journey", "step", "owner", "expectation", "value_minor", "currency")} == {
        "kind": "session", "journey": "shop", "step": "cart", "owner": "shop", "expectation": "order_after_commit",
        "value_minor": 4_900, "currency": "EUR",
    }  # fmt: skip
    assert first["would_lapse_at"] == clock("10:31")
    assert first["updated_at"] == clock("10:00")  # the watermark stands a minute before the last event
    assert 0.7 < first["risk"] < 0.8


def test_what_was_met_is_said_the_heaviest_first():
    trouble = [click(**DECLINED, at=f"10:0{minute}") for minute in (2, 3)]
    found = rows(VISITS, [cart(at="10:01"), *trouble])

    assert found["reasons"].to_list() == [sorted(found["reasons"][0], key=lambda name: -WEIGHTS[name])]
    assert "payment_failed" in found["reasons"][0]


def test_who_buys_has_met_it_and_is_told_over_once():
    found = rows(VISITS, [cart(at="10:01")], [purchase(at="10:02")], until=clock("15:00"))

    assert [row[1:] for row in words(found)] == [(0, ""), (1, "met")]


def test_who_was_never_told_at_risk_is_not_told_over():
    assert rows(
        VISITS, [cart(at="10:01"), purchase(at="10:02")], [product(at="10:03", visitor_id="bob")], until=clock("15:00")
    ).is_empty()


def test_bots_are_at_no_risk():
    assert rows(VISITS, [cart(at="10:01", is_bot=True)], until=clock("15:00")).is_empty()


def test_a_visit_that_turns_out_to_be_a_bots_is_over():
    found = rows(VISITS, [cart(at="10:01")], [product(at="10:02", is_bot=True)])

    assert [row[1:] for row in words(found)] == [(0, ""), (1, "ended")]


def test_silence_alone_raises_the_risk():
    found = rows(VISITS, [cart(at="10:01")], [product(at=f"10:{minute:02}", visitor_id="bob") for minute in (4, 5)])

    ann = found.filter(visitor_id="ann")
    assert ann["risk"].to_list() == sorted(ann["risk"].unique().to_list())
    assert ann.height == 2
    assert ann["updated_at"][1] > clock("10:02")


def test_a_visit_that_goes_on_at_the_same_risk_is_told_once_a_minute_at_most():
    found = rows(VISITS, *([cart(at=f"10:01:{second:02}")] for second in range(0, 50, 10)))

    assert found.height == 1


def test_a_visit_that_becomes_part_of_another_one_is_taken_back():
    """An earlier event makes one visit, under another id, of what was two."""
    found = rows(VISITS, [cart(at="10:20")], [product(at="10:21"), cart(at="10:22")], [cart(at="10:15")], until=clock("15:00"))
    gone = found.filter(is_deleted=1)

    assert gone["is_over"].to_list() == [1]
    assert gone["reasons"].to_list() == [["ended"]]
    assert told_risk.open_rows(told(VISITS, records([cart(at="10:20")])), RiskBands())


def test_another_customer_at_the_same_device_is_at_a_risk_of_his_own():
    found = rows(
        VISITS,
        [cart(at="10:01"), identify(at="10:02", customer_id="anna")],
        [identify(at="10:03", customer_id="bert"), cart(at="10:04", customer_id="bert")],
    )

    at_risk = found.filter(is_over=0).unique("entity_id", keep="last", maintain_order=True)
    assert set(at_risk["customer_id"]) == {"anna", "bert"}


def test_where_the_feed_is_off_nobody_is_told_and_who_was_told_before_is_told_over():
    off = SessionsFold(SessionRules(risk_bands=RiskBands(enabled=False)))
    assert rows(off, [cart(at="10:01")], until=clock("15:00")).is_empty()

    (step,) = told(VISITS, records([cart(at="10:01")]))
    after = off.step(step.state, frame([]), watermarks({0: clock("15:00")}))
    assert after.tables["at_risk"]["is_over"].to_list() == [1]


def test_the_risk_of_a_visit_rises_with_friction_and_silence_and_falls_with_the_way():
    rule, one = SessionRisk(), np.ones(5)
    stretches = np.arange(4)

    assert (np.diff(rule.risk(0.5 * np.ones(4), 20 * np.ones(4), stretches)) > 0).all()
    assert (np.diff(rule.risk(0.5 * one, np.array([0.0, 10, 30, 60, 100]), np.zeros(5, dtype=int))) > 0).all()
    assert (np.diff(rule.risk(np.linspace(0, 1, 5), 20 * one, np.zeros(5, dtype=int))) < 0).all()


@pytest.mark.parametrize(
    "said",
    [{"whole_way": 1.0}, {"whole_way_silent": -9.0}, {"full_friction": -1.0}, {"silent": (3.0, 2.0, 1.0)}, {"silent_min": (1.0,)}],
)
def test_a_rule_by_which_friction_would_calm_is_refused(said):
    with pytest.raises(ValueError, match=r"."):
        SessionRisk(**said)


# Cases --------------------------------------------------------------------------------------------------------------------------

NO_ORDERS = frame([], "commerce")
QUOTE = {"order_id": "q1", "customer_id": "anna", "document_type": "rfq"}


def asked(at):
    return {**order(at=at, **QUOTE), "event_type": "rfq_submitted", "event_id": "asked", "family": "order"}


def said(event_type, at, **fields):
    return {**order(at=at, **QUOTE, **fields), "event_type": event_type, "event_id": event_type, "family": "order"}


def test_a_case_is_at_risk_once_most_of_its_wait_is_over():
    assert rows(CASES, [asked("10:00")], until=clock("10:01")).is_empty()

    found = rows(CASES, [said("payment_failed", "10:00")], until=clock("+1d 06:00"))
    assert found.select("kind", "expectation", "order_id", "customer_id", "is_over").rows() == [
        ("case", "retry_after_payment_failure", "q1", "anna", 0)
    ]


def test_time_alone_raises_the_risk_of_a_case_band_by_band_and_ends_it():
    step = told(CASES, records([asked("10:00")]))[-1]
    bands, over = [], []
    for hours in range(11, 120):
        step = CASES.step(step.state, NO_ORDERS, watermarks({0: MONDAY + hours * HOUR}))
        if "at_risk" in step.tables:
            (row,) = step.tables["at_risk"].to_dicts()
            (over if row["is_over"] else bands).append(row)
    risks = [row["risk"] for row in bands]

    assert risks == sorted(risks)
    assert len(bands) == 5  # from a half, by tenths
    assert [row["reasons"] for row in over] == [["lapsed"]]
    assert {row["expectation"] for row in bands} == {"quote_after_request"}


@pytest.mark.parametrize(("event_type", "why"), [("quote_received", "met"), ("rfq_withdrawn", "ended")])
def test_a_case_is_over_when_what_is_awaited_comes_or_nobody_waits_any_more(event_type, why):
    step = told(CASES, records([asked("10:00")]))[-1]
    for hours in range(11, 24 * 14):
        step = CASES.step(step.state, NO_ORDERS, watermarks({0: MONDAY + hours * HOUR}))
        if "at_risk" in step.tables:
            break
    assert step.tables["at_risk"]["is_over"].to_list() == [0]

    came = said(event_type, step.tables["at_risk"]["would_lapse_at"][0] - HOUR)
    done = CASES.step(step.state, frame([came], "commerce"), step.watermarks)
    assert done.tables["at_risk"].select("is_over", pl.col("reasons").list.join(" ")).rows() == [(1, why)]


def test_an_expectation_that_the_shop_never_met_puts_nobody_at_risk():
    fold = FulfilmentFold(
        replace(CASE_RULES, expectations=tuple(replace(each, enabled="auto") for each in CASE_RULES.expectations))
    )

    assert rows(fold, [asked("10:00")], until=MONDAY + 400 * DAY).is_empty()


def test_a_wait_is_in_a_band_from_the_time_at_which_its_risk_is_that_great():
    bands = RiskBands()
    waiting = Waiting(
        np.array([-2.0, 3.0, -9.0]), np.array([8.0, 8.0, 1.0]), np.ones(3), np.zeros(3, dtype=np.int64), np.full(3, 1_000_000)
    )
    crosses = waiting.crosses_ms(0.5)

    assert crosses.tolist() == [250_000, FROM_THE_START, NEVER]
    just, then = waiting.bands(np.array([250_000] * 3), bands), waiting.bands(np.array([250_001] * 3), bands)
    assert (just[0][0], then[0][0]) == (0, 6)
    assert just[1][0] == 250_000
    assert then[1][0] == waiting.crosses_ms(0.6)[0]


def test_a_parcel_whose_carrier_says_a_date_after_the_promise_is_at_risk_at_once_and_until_he_takes_it_back():
    """Whatever is usual in the shop: on a day on which all parcels are late each says so itself."""
    promised = {"family": "order", **order(at="10:00", promised_at=clock("+3d 18:00"))}
    on_its_way = parcel("in_transit", "20:00", eta_at=clock("+3d 12:00"))
    moved, back = (
        parcel("eta_changed", "20:30", eta_at=clock("+5d 12:00")),
        parcel("eta_changed", "21:00", eta_at=clock("+3d 10:00")),
    )

    assert rows(CASES, [promised, on_its_way], until=clock("+1d 10:00")).is_empty()
    found = rows(CASES, [promised, on_its_way], [moved], until=clock("20:31")).to_dicts()
    assert [(row["expectation"], row["owner"], row["reasons"]) for row in found] == [
        ("delivered_by_promise", "carrier", ["eta_slip"])
    ]
    assert found[0]["risk"] > 0.9
    over = rows(CASES, [promised, on_its_way], [moved], [back], until=clock("21:01")).to_dicts()[-1]
    assert (over["is_over"], over["reasons"]) == (1, ["less_likely"])


def parcel(event_type, at, **fields):
    return {"family": "delivery", **happened(event_type, at, {"order_id": "1001", "delivery_id": "p1", **fields}, {})}


def test_the_risk_of_a_wait_rises_with_time_friction_and_lapses_and_a_later_date():
    rule, place = CaseRisk(), np.zeros(4, dtype=np.int64)
    met = MetOf(np.array([0.0, 30.0, 30.0, 30.0]), np.array([False, False, True, True]), np.array([False, False, False, True]))
    begin = rule.begin(CASE_RULES.expectations, place, met)

    assert (np.diff(begin) > 0).all()
    waiting = Waiting(begin[:1], *rule.slope(CASE_RULES.expectations, place[:1]), np.zeros(1, dtype=np.int64), np.array([100]))
    risks = [waiting.risk(np.array([ms]))[0] for ms in range(0, 101, 10)]
    assert risks == sorted(risks)
    with pytest.raises(ValueError, match="does not fall"):
        CaseRisk(has_lapsed=-1.0)
