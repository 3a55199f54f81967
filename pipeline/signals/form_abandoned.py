"""Form abandoned: a form was begun, and the session closed before it was sent.

Cases:   sent, and refused -> begun again | bought, logged in or registered since -> whatever was begun before is forgotten
         the visit goes on after all -> taken back | a form without a name -> not judged
"""

from dataclasses import dataclass

import polars as pl

from pipeline.checkout import is_one_of
from pipeline.closings import FOREVER, left_undone
from pipeline.definitions import Closing, Fires, Happening, Quiet, Signal, happened

_BEGINS, _ENDS = ("form_start", "form_error"), ("form_submit", "purchase", "login", "sign_up")


@dataclass(frozen=True)
class FormAbandoned:
    """Which forms are meant to be sent."""

    ignored_forms: tuple[str, ...] = ("search", "filter", "newsletter")
    """Names of forms that people touch in passing."""


def counts(rule: FormAbandoned) -> pl.Expr:
    """Forms that have a name and are meant, and what ends them."""
    form = pl.col("form")
    is_meant = (form != "") & ~form.is_in(list(rule.ignored_forms))
    return is_meant.fill_null(value=False) | is_one_of(_ENDS)


CLOSING: Closing[FormAbandoned] = Closing(
    begins=lambda _rule: is_one_of(_BEGINS),
    ends=lambda _rule: is_one_of(_ENDS),
    subject="form",
    detail="begun and not sent",
)


def forms(*deeds: tuple[str, str | None], every_s: float = 20) -> tuple[Happening, ...]:
    """What is done with forms for an example: an event type and a form each."""
    return tuple(
        happened(event_type, at_ms=round(nth * every_s * 1_000), form=form) for nth, (event_type, form) in enumerate(deeds)
    )


FORM_ABANDONED = Signal(
    name="form_abandoned",
    version=1,
    meaning="A form was begun, and the visit ended before it was sent.",
    measures="nothing: a form is sent or not",
    reads=(*_BEGINS, *_ENDS),
    columns=("form",),
    rule=FormAbandoned(),
    looks_back=lambda _rule: FOREVER,
    counts=counts,
    fires=left_undone(CLOSING),
    closing=CLOSING,
    evidence=("page", "form", "event_ms"),
    source=(
        "FullStory exports the same ('a form was abandoned', segment export event types) and publishes no number: it needs none, for the session says when it is over. It fires at the last "
        "touch of the form. Search, filters and newsletters are touched in passing."
    ),
    examples=(
        Fires("begun and left", forms(("form_start", "address"))),
        Fires("refused and left", forms(("form_start", "card"), ("form_submit", "card"), ("form_error", "card"))),
        Fires("sent once, begun again", forms(("form_start", "address"), ("form_submit", "address"), ("form_start", "address"))),
        Fires("one of two", forms(("form_start", "address"), ("form_start", "card"), ("form_submit", "card")), at=(0,)),
        Fires("both", forms(("form_start", "address"), ("form_start", "card")), at=(0, 1)),
        Fires("begun after the purchase", forms(("purchase", None), ("form_start", "review"))),
        Quiet("sent", forms(("form_start", "address"), ("form_submit", "address"))),
        Quiet("bought without a word", forms(("form_start", "address"), ("purchase", None))),
        Quiet("logged in by a link", forms(("form_start", "login"), ("login", None))),
        Quiet("in passing", forms(("form_start", "newsletter"))),
        Quiet("nobody knows which", forms(("form_start", None))),
    ),
)
