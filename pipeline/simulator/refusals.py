"""What a checkout does to people: it refuses a coupon, a login, a payment, it has sold out, it wants more money; and people hesitate.

Frames:  TRODDEN with pace_ms -> HAPPENINGS
Cases:   coupon, stock, payment: there is no more and no less of it, nothing is vague
         login: refused three times and more | vague: twice to four times. Once is everyday
         price: the total grows by 6 % and more | vague: by half to ten per cent
         hesitation: minutes before paying, the page in the foreground | vague: about a minute or less, or with a form that refuses; an idle tab is none
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import thought_ms, vaguely
from pipeline.simulator.friction import Moment
from pipeline.simulator.happenings import happenings, repeated, strings
from pipeline.simulator.pages import Kind

_COUPONS = ("WELCOME10", "SUMMER25", "FRIENDS15", "FREESHIP")
_COUPON_REASONS = ("expired", "not_valid_for_cart", "unknown_code")
_PAYMENT_REASONS = ("card_declined", "insufficient_funds", "authentication_failed", "issuer_unavailable")
_FAILS_AGAIN = 0.35
ONE_LOGIN_FAILED = 0.12
"""Probability of a calm login to fail once before."""
_HESITATES_PACES, _LONGEST_MS, _HESITATES_VAGUELY_MS = (35.0, 70.0), 720_000, (20_000, 70_000)
_LEAST_FEE_MINOR = 190
"""A fee that nobody overlooks."""


def coupons(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """A code that somebody had hopes of."""
    page = np.flatnonzero(pages["coupon_rejected"].to_numpy())
    return happenings(
        page,
        Moment.REFUSED,
        "coupon_rejected",
        2_000 + thought_ms(rng, pages["pace_ms"].to_numpy()[page]),
        coupon=strings(_COUPONS, rng.integers(0, len(_COUPONS), len(page))),
        reason=strings(_COUPON_REASONS, rng.integers(0, len(_COUPON_REASONS), len(page))),
        planted="coupon_rejected",
    )


def logins(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """The password is wrong: once every now and then, again and again where that is planted."""
    kind, planted = pages["kind"].to_numpy(), pages["login_failed_repeatedly"].to_numpy()
    calm = (kind == Kind.SIGN_IN) & ~planted & (rng.random(pages.height) < ONE_LOGIN_FAILED)
    here = np.flatnonzero(planted | calm)
    is_vague = planted[here] & vaguely(rng, pages, here)
    times = np.select([calm[here], is_vague], [1, rng.integers(2, 5, len(here))], rng.integers(3, 6, len(here)))
    page, nth = repeated(here, times)
    return happenings(
        page,
        Moment.LOCKED,
        "login_failed",
        2_500 + np.minimum(thought_ms(rng, pages["pace_ms"].to_numpy()[page]), 40_000),
        nth=nth,
        reason="wrong_password",
        planted=strings([None, "login_failed_repeatedly"], planted[page].astype(np.int64)),
        vague=np.repeat(is_vague, times),
        measure=np.repeat(times, times),
    )


def prices(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """The total grows once everything has been typed in; most shops say so in an event."""
    page = np.flatnonzero(pages["price_surprise"].to_numpy())
    vague = vaguely(rng, pages, page)
    share = np.where(vague, rng.uniform(0.005, 0.1, len(page)), rng.uniform(0.06, 0.35, len(page)))
    return happenings(
        page,
        Moment.PRICED,
        "price_changed",
        rng.integers(300, 2_000, len(page)),
        reason=strings(["shipping", "customs", "small_order_fee"], rng.integers(0, 3, len(page))),
        more_share=share,
        more_least=np.where(vague, 0, _LEAST_FEE_MINOR),
        planted="price_surprise",
        vague=vague,
        measure=share,
    )


def sold_out(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """Something in the cart is gone; it was there when it was put in."""
    page = np.flatnonzero(pages["out_of_stock_in_checkout"].to_numpy())
    return happenings(
        page,
        Moment.SOLD_OUT,
        "out_of_stock",
        rng.integers(300, 3_000, len(page)),
        reason="sold_out",
        planted="out_of_stock_in_checkout",
    )


def payments(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """The card is sent and refused, now and then twice. Who sends it again retries: a consequence."""
    page = np.flatnonzero(pages["payment_failed"].to_numpy())
    twice = page[rng.random(len(page)) < _FAILS_AGAIN]
    pace_ms = pages["pace_ms"].to_numpy()
    reason = rng.integers(0, len(_PAYMENT_REASONS), pages.height)
    return [
        happenings(page, Moment.DECLINED, "form_submit", thought_ms(rng, pace_ms[page]), nth=0, form="card"),
        happenings(page, Moment.DECLINED, "payment_submitted", rng.integers(60, 500, len(page)), nth=1),
        happenings(
            page,
            Moment.DECLINED,
            "payment_failed",
            rng.integers(900, 9_000, len(page)),
            nth=2,
            reason=strings(_PAYMENT_REASONS, reason[page]),
            planted="payment_failed",
        ),
        happenings(
            twice, Moment.DECLINED, "payment_submitted", 3_000 + thought_ms(rng, pace_ms[twice]), nth=3, planted="payment_retried"
        ),
        happenings(
            twice,
            Moment.DECLINED,
            "payment_failed",
            rng.integers(900, 9_000, len(twice)),
            nth=4,
            reason=strings(_PAYMENT_REASONS, reason[twice]),
            again=1,
            planted="payment_failed",
        ),
    ]


def hesitations(rng: np.random.Generator, pages: pl.DataFrame) -> pl.DataFrame:
    """Minutes of looking at what is to be paid, and a hand on the mouse at last."""
    page = np.flatnonzero(pages["payment_hesitation"].to_numpy())
    # Who fights with the form as well does not hesitate alone.
    vague = vaguely(rng, pages, page) | pages["form_error_loop"].to_numpy()[page]
    # By the own pace: what is long to one is nothing to another.
    long_ms = 120_000 + rng.uniform(*_HESITATES_PACES, len(page)) * pages["pace_ms"].to_numpy()[page]
    waits_ms = np.where(vague, rng.integers(*_HESITATES_VAGUELY_MS, len(page)), np.minimum(long_ms, _LONGEST_MS).astype(np.int64))
    return happenings(
        page,
        Moment.HESITATED,
        "click",
        waits_ms,
        element="text.total",
        element_role="other",
        reaction_ms=rng.integers(15, 380, len(page)),
        watched_ms=7_500,
        planted="payment_hesitation",
        vague=vague,
        measure=waits_ms,
    )
