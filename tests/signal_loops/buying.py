"""Signals of the checkout, in plain loops."""

from collections.abc import Iterable, Iterator, Sequence
from math import floor
from statistics import median

from pipeline.signals.coupon_rejected import CouponRejected
from pipeline.signals.hard_reorder import HardReorder
from pipeline.signals.help_in_checkout import HelpInCheckout
from pipeline.signals.login_wall import LoginWall
from pipeline.signals.out_of_stock_in_checkout import OutOfStockInCheckout
from pipeline.signals.payment_failed import PaymentFailed
from pipeline.signals.payment_hesitation import PaymentHesitation
from pipeline.signals.payment_retried import PaymentRetried
from pipeline.signals.price_surprise import PriceSurprise
from tests.signal_loops.forms import apart
from tests.signal_loops.rows import Row, Told, completed, cut, first_of_runs, in_checkout, said, since


def coupons_rejected(events: Sequence[Row], rule: CouponRejected) -> Iterator[Told]:
    """Each coupon until it is left alone."""
    for event in first_of_runs(events, ("coupon",), rule.again_s * 1_000):
        yield Told(event, None, event.get("coupon"), f"not taken{said(event, 'reason', 'message')}")


def price_surprises(events: Sequence[Row], rule: PriceSurprise) -> Iterator[Told]:
    """The first total after each of the cart that has grown."""
    cart: Row | None = None
    is_told = False
    for event in events:
        amount_minor = event.get("amount_minor")
        if amount_minor is None:
            continue
        if event["event_type"] in ("add_to_cart", "remove_from_cart", "view_cart", "begin_checkout"):
            cart, is_told = event, False
            continue
        if cart is None or is_told or since(cart, event) > rule.within_s * 1_000:
            continue
        if (cart.get("currency") or "") != (event.get("currency") or ""):
            continue
        grown = amount_minor - cart["amount_minor"]
        if grown >= rule.least_minor and grown >= rule.least_share * cart["amount_minor"]:
            is_told = True
            unit = f" of {event['currency']}" if event.get("currency") is not None else ""
            detail = f"{grown} more than the {cart['amount_minor']} of the cart, minor units{unit}"
            yield Told(event, float(grown), None, detail)


def out_of_stock(events: Sequence[Row], rule: OutOfStockInCheckout) -> Iterator[Told]:
    """What is gone while somebody is in the checkout."""
    here = [
        event
        for place, event in enumerate(events)
        if event["event_type"] == "out_of_stock"
        and (
            event.get("page_type") == "checkout"
            or event.get("step") in ("checkout", "shipping", "payment")
            or in_checkout(event, events[:place], rule.within_s)
        )
    ]
    for event in first_of_runs(here, ("product_id",), rule.again_s * 1_000):
        yield Told(event, None, event.get("product_id"), "out of stock in the checkout")


def payments_failed(events: Sequence[Row], rule: PaymentFailed) -> Iterator[Told]:
    """Each failure once."""
    failures = [event for event in events if event.get("reason") not in rule.ignored_reasons]
    for event in first_of_runs(failures, (), rule.again_ms):
        yield Told(event, None, None, f"payment failed{said(event, 'reason', 'message')}")


def payments_retried(events: Sequence[Row], rule: PaymentRetried) -> Iterator[Told]:
    """Payments sent until something was bought."""
    chains = [apart(chain, rule.again_ms) for chain in cut(events, ("purchase",))]
    for event, took_ms in completed(chains, rule.tries, rule.within_s * 1_000):
        yield Told(event, float(took_ms), None, f"sent {rule.tries} times in {took_ms // 1_000} s")


def login_walls(events: Sequence[Row], rule: LoginWall) -> Iterator[Told]:
    """Pages that ask somebody unknown who that is, in the checkout."""
    walls = [
        event
        for place, event in enumerate(events)
        if event["event_type"] == "page_view"
        and event.get("page_type") in rule.page_types
        and event.get("customer_id") is None
        and in_checkout(event, events[:place], rule.within_s)
    ]
    for event in first_of_runs(walls, (), rule.again_s * 1_000):
        yield Told(event, None, None, "asked to log in or register in the checkout")


def helps_in_checkout(events: Sequence[Row], rule: HelpInCheckout) -> Iterator[Told]:
    """Help read in the checkout."""
    reading = [
        event
        for place, event in enumerate(events)
        if (
            event["event_type"] == "help_view" or (event["event_type"] == "page_view" and event.get("page_type") in rule.page_types)
        )
        and in_checkout(event, events[:place], rule.within_s)
    ]
    for event in first_of_runs(reading, (), rule.again_s * 1_000):
        where = f": {event['page']}" if event.get("page") is not None else ""
        yield Told(event, None, None, f"help read in the checkout{where}")


def payment_hesitations(events: Sequence[Row], rule: PaymentHesitation) -> Iterator[Told]:
    """Payment pages that took far longer than the pages before."""
    within_ms = rule.within_s * 1_000
    paces: list[Row] = []
    for place, event in enumerate(events):
        if (
            event["event_type"] != "page_leave"
            or event.get("page_type") not in rule.page_types
            or not (event.get("engaged_ms") or 0) > 0
        ):
            continue
        page = event.get("page")
        paid = [each for each in events[:place] if each["event_type"] != "page_leave" and each.get("page") == page]
        is_payment = (
            event.get("step") in rule.steps
            or (page is not None and rule.payment_pages in page)
            or (page is not None and bool(paid) and since(paid[-1], event) <= within_ms)
        )
        if not is_payment:
            paces.append(event)
            continue
        before = [each["engaged_ms"] for each in paces if since(each, event) <= within_ms]
        engaged_ms = event["engaged_ms"]
        if len(before) < rule.pages or not rule.least_s * 1_000 <= engaged_ms <= rule.most_s * 1_000:
            continue
        pace_ms = median(before)
        if engaged_ms >= rule.times * pace_ms:
            detail = f"{engaged_ms // 1_000} s at the payment, {floor(pace_ms / 1_000)} s a page before"
            yield Told(event, float(engaged_ms), None, detail)


def hard_reorders(events: Iterable[Row], rule: HardReorder) -> Iterator[Told]:
    """Of a session that has closed: the last beginning, if nothing was bought after it."""
    begun: Row | None = None
    for event in events:
        if event["event_type"] == "reorder_started":
            begun = event
        elif event["event_type"] in rule.done_by:
            begun = None
    if begun is not None:
        yield Told(begun, None, None, "a reorder begun and not bought")
