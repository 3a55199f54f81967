"""Form restarted: a long form of a B2B journey, an onboarding or a request for a quote, is begun again before it was sent.

A chain is the beginnings of one form until it is sent; a run is one signal.

Cases:   begun twice at once -> once | sent in between -> a new chain | a form without a name -> not judged
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import completed, same_as_before, since_before, telling


@dataclass(frozen=True)
class FormRestarted:
    """When a form is begun again."""

    starts: int = 2
    """Beginnings that make it so; 2 to 100."""
    within_s: int = 7_200
    """Longest event time from the first of them to the last, inclusive; 1 s to a day."""
    again_ms: int = 2_000
    """A beginning so soon after one, inclusive, is the same; 0 to a minute."""
    page_types: tuple[str, ...] = ("rfq", "onboarding")
    """Pages whose forms are meant."""
    forms: tuple[str, ...] = ("rfq", "quote", "onboarding")
    """Forms with one of these in their name are meant wherever they stand."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("form_restarted", self, starts=(2, 100), within_s=(1, 86_400), again_ms=(0, 60_000))


def counts(rule: FormRestarted) -> pl.Expr:
    """Such forms begun and sent, as far as they have a name."""
    is_meant = pl.col("page_type").is_in(list(rule.page_types)).fill_null(value=False)
    for form in rule.forms:
        is_meant |= pl.col("form").str.contains(form, literal=True).fill_null(value=False)
    return is_meant & pl.col("form").is_not_null()


def fires(events: pl.DataFrame, rule: FormRestarted) -> pl.DataFrame:
    """The first completing beginning of every run. Frames: -> FIRES."""
    is_start = pl.col("event_type") == "form_start"
    at_once = (pl.col("chain") == pl.col("chain").shift(1)) & (since_before() <= rule.again_ms)
    starts = (
        events.with_row_index("row")
        .sort("visitor", "form", maintain_order=True)
        .with_columns((~same_as_before("form") | ~is_start).cum_sum().alias("chain"))
        .filter(is_start)
        .filter(~at_once.fill_null(value=False))
    )
    return completed(starts, rule.starts, rule.within_s * 1_000).pipe(
        telling,
        value="took_ms",
        element="form",
        detail=pl.format(f"begun {rule.starts} times in {{}} s", pl.col("took_ms") // 1_000),
    )


def begun(form: str | None, *, at_s: tuple[float, ...], **said: object) -> tuple[Happening, ...]:
    """Beginnings for an example."""
    return tuple(happened("form_start", at_ms=round(at * 1_000), form=form, **said) for at in at_s)


def sent(form: str, *, at_s: float) -> Happening:
    """A form sent for an example."""
    return happened("form_submit", at_ms=round(at_s * 1_000), form=form)


FORM_RESTARTED = Signal(
    name="form_restarted",
    version=1,
    meaning="An onboarding or a request for a quote is begun again before it was sent.",
    measures="ms from the first of the beginnings that make it so to the one at which it fired",
    reads=("form_start", "form_submit"),
    columns=("form",),
    sifts=("page_type",),
    rule=FormRestarted(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s, milliseconds=rule.again_ms),
    counts=counts,
    fires=fires,
    evidence=("form", "event_ms"),
    source=(
        "Ours, for no product publishes a number: such a form takes half an hour and is filled in once; who begins it again has lost what was entered. Two hours, for papers have "
        "to be found in between. Forms of a shop are left out: an address begun twice is everyday."
    ),
    examples=(
        Fires("begun again", begun("rfq", at_s=(0, 600))),
        Fires("two hours later", begun("onboarding-2", at_s=(0, 7_200))),
        Fires("on such a page, whatever it is called", begun("main", at_s=(0, 600), page_type="onboarding")),
        Fires("again and again: one signal", begun("rfq", at_s=(0, 600, 1_200, 1_800)), at=(1,)),
        Fires("another form in between", (*begun("rfq", at_s=(0,)), *begun("onboarding", at_s=(60,)), *begun("rfq", at_s=(600,)))),
        Quiet("begun once", begun("rfq", at_s=(0,))),
        Quiet("told twice", begun("rfq", at_s=(0, 2))),
        Quiet("sent in between", (*begun("rfq", at_s=(0,)), sent("rfq", at_s=300), *begun("rfq", at_s=(600,)))),
        Quiet("an address", begun("address", at_s=(0, 60), page_type="checkout")),
        Quiet("the day after", begun("rfq", at_s=(0, 86_400))),
        Quiet("nobody knows which form", begun(None, at_s=(0, 600), page_type="rfq")),
    ),
)
