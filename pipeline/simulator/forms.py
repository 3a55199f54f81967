"""Forms: filled in, refused once, refused again and again, sent.

A form that is begun and never sent in its visit is abandoned, whatever the reason. A refused attempt is a `form_error` alone; `form_submit` is only sent when the form was taken.

Frames:  TRODDEN with pace_ms -> HAPPENINGS
"""

import numpy as np
import polars as pl

from pipeline.simulator.draws import thought_ms, vaguely
from pipeline.simulator.friction import FORM_OF_KIND, Moment
from pipeline.simulator.happenings import happenings, repeated, strings
from pipeline.simulator.pages import Kind

ONE_ERROR = 0.10
TWO_ERRORS = 0.025
"""Probability of a calm visit to a form."""

_LONGEST_TRY_MS, _TRIES_SLOWLY_MS = 38_000, (120_000, 480_001)
"""Between two attempts. Six of at most 40 s are clear of any window in which people count them; slow ones may be as many errands."""

_FORMS = [FORM_OF_KIND.get(kind) for kind in Kind]
_FIELDS = {
    "login": (("password", "The password must not be empty."), ("email", "This is no e-mail address.")),
    "register": (("password", "At least ten characters, please."), ("email", "This is no e-mail address.")),
    "contact": (("phone", "Please enter a valid phone number."), ("email", "This is no e-mail address.")),
    "address": (("postal_code", "Please enter a valid postal code."), ("street", "The street is missing.")),
    "rfq": (("quantity", "Please enter a number."), ("delivery_date", "This day is not possible.")),
    "onboarding": (("tax_id", "This tax number is not known."), ("iban", "This account number is not valid.")),
    "card": (("card_number", "This card number is not valid."), ("expiry", "The card has expired.")),
}
_N_FIELDS = 2
_FIELD = [_FIELDS[form][which][0] if form else None for form in _FORMS for which in range(_N_FIELDS)]
_MESSAGE = [_FIELDS[form][which][1] if form else None for form in _FORMS for which in range(_N_FIELDS)]


def forms(rng: np.random.Generator, pages: pl.DataFrame) -> list[pl.DataFrame]:
    """All that happens to the forms on these pages up to their being sent."""
    n = pages.height
    kind, pace_ms = pages["kind"].to_numpy(), pages["pace_ms"].to_numpy()
    loops = pages["form_error_loop"].to_numpy()
    has_form = np.isin(kind, list(FORM_OF_KIND))
    # A form on the way in is always sent; another one only by who means to go on.
    is_sent = has_form & (pages["goes_on"].to_numpy() | np.isin(kind, (Kind.SIGN_IN, Kind.REGISTER)))
    mood = rng.random(n)
    errors = np.select([loops, ~has_form, mood < TWO_ERRORS, mood < TWO_ERRORS + ONE_ERROR], [rng.integers(3, 7, n), 0, 2, 1], 0)
    vague = loops & vaguely(rng, pages, np.arange(n))
    errors = np.where(vague, 3, errors)
    came_for_it = np.isin(kind, (Kind.RFQ, Kind.ONBOARDING))
    started = np.flatnonzero(has_form & (is_sent | (errors > 0) | came_for_it | (rng.random(n) < 0.5)))

    # Sent and refused by the bank was sent all the same.
    reached, declined = pages["cut"].to_numpy(), pages["payment_failed"].to_numpy()
    is_through = (is_sent & (reached >= Moment.DONE)) | (declined & (reached >= Moment.DECLINED))
    page, nth = repeated(np.arange(n), errors)
    slow_ms = np.repeat(rng.integers(*_TRIES_SLOWLY_MS, n), errors)
    apart_ms = np.where(vague[page], slow_ms, 2_000 + np.minimum(thought_ms(rng, pace_ms[page]), _LONGEST_TRY_MS))
    field = np.repeat(kind * _N_FIELDS + rng.integers(0, _N_FIELDS, n), errors)
    sent = np.flatnonzero(is_sent)
    return [
        happenings(
            started,
            Moment.STARTED,
            "form_start",
            thought_ms(rng, pace_ms[started]),
            form=strings(_FORMS, kind[started]),
            planted=strings(["form_abandoned", None], is_through[started].astype(np.int64)),
        ),
        happenings(
            page,
            Moment.FILLED,
            "form_error",
            apart_ms,
            nth=nth,
            form=strings(_FORMS, kind[page]),
            field=strings(_FIELD, field),
            message=strings(_MESSAGE, field),
            planted=strings([None, "form_error_loop"], loops[page].astype(np.int64)),
            vague=vague[page],
            measure=np.where(vague[page], apart_ms, _LONGEST_TRY_MS),
        ),
        happenings(sent, Moment.DONE, "form_submit", thought_ms(rng, pace_ms[sent]), nth=1, form=strings(_FORMS, kind[sent])),
    ]
