"""Form error loop: a form refuses again and again, and is not taken in between.

An *attempt* is an error of a form, with the errors on other fields that follow it at once: one sending can be refused for three fields. A chain is
attempts at one form until it is taken. An attempt *completes* if it and the `errors - 1` before it in its chain fit into `within_s`; the
signal fires at the first of a run, which goes on as long as attempts complete within that time of each other.

Cases:   a submit that the form answers with an error at once -> refused, not taken | a form without a name -> not judged
         a field without a name -> an attempt of its own
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened
from pipeline.signal_runs import if_known, telling


@dataclass(frozen=True)
class FormErrorLoop:
    """When errors of a form are a loop."""

    errors: int = 3
    """Attempts refused that make it a loop; 2 to 100."""
    within_s: int = 600
    """Longest event time from the first of them to the last, inclusive; 1 s to a day."""
    attempt_ms: int = 1_000
    """An error on another field so soon after an error belongs to the same attempt, inclusive; 0 to a minute."""
    refusal_ms: int = 3_000
    """A submit that the form answers with an error so soon was refused and not taken, inclusive; 0 to a minute."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        for name, least, most in (
            ("errors", 2, 100),
            ("within_s", 1, 86_400),
            ("attempt_ms", 0, 60_000),
            ("refusal_ms", 0, 60_000),
        ):
            number = getattr(self, name)
            if not least <= number <= most:
                message = f"form_error_loop: {name} must be from {least} to {most}, not {number}"
                raise ValueError(message)


def fires(events: pl.DataFrame, rule: FormErrorLoop) -> pl.DataFrame:
    """The first completing attempt of every run. Frames: -> FIRES."""
    within_ms = rule.within_s * 1_000
    is_error = pl.col("event_type") == "form_error"
    is_first = (pl.col("visitor").ne_missing(pl.col("visitor").shift(1))) | (pl.col("form").ne_missing(pl.col("form").shift(1)))
    answered = (
        (pl.col("visitor") == pl.col("visitor").shift(-1))
        & (pl.col("form") == pl.col("form").shift(-1))
        & is_error.shift(-1)
        & (pl.col("event_ms").shift(-1) - pl.col("event_ms") <= rule.refusal_ms)
    ).fill_null(value=False)
    goes_on = (pl.col("chain") == pl.col("chain").shift(1)) & (pl.col("event_ms") - pl.col("event_ms").shift(1) <= within_ms)
    same_attempt = (
        (pl.col("chain") == pl.col("chain").shift(1))
        & (pl.col("event_ms") - pl.col("event_ms").shift(1) <= rule.attempt_ms)
        & (pl.col("field") != pl.col("field").shift(1))
    )
    others = rule.errors - 1
    return (
        events.with_row_index("row")
        .sort("visitor", "form", maintain_order=True)
        .with_columns((is_first | (~is_error & ~answered)).cum_sum().alias("chain"))
        .filter(is_error)
        .filter(~same_attempt.fill_null(value=False))
        .with_columns((pl.col("event_ms") - pl.col("event_ms").shift(others)).alias("took_ms"))
        .filter((pl.col("chain") == pl.col("chain").shift(others)) & (pl.col("took_ms") <= within_ms))
        .filter(~goes_on.fill_null(value=False))
        .sort("row")
        .pipe(
            telling,
            value="took_ms",
            element="form",
            detail=pl.concat_str(
                pl.format(f"refused {rule.errors} times in {{}} s", pl.col("took_ms") // 1_000),
                if_known("; ", "field"),
                if_known(": ", pl.col("message").str.slice(0, 200)),
            ),
        )
    )


def refusals(
    form: str | None, *, at_s: tuple[float, ...], field: str | None = "card_number", **said: object
) -> tuple[Happening, ...]:
    """Errors of one field for an example."""
    return tuple(
        happened("form_error", at_ms=round(at * 1_000), form=form, field=field, message="not valid", **said) for at in at_s
    )


def sent(form: str, *, at_s: float) -> Happening:
    """A submit for an example."""
    return happened("form_submit", at_ms=round(at_s * 1_000), form=form)


FORM_ERROR_LOOP = Signal(
    name="form_error_loop",
    version=1,
    meaning="A form refuses what the customer enters, again and again, without being taken in between.",
    measures="ms from the first of the refusals that make it a loop to the one at which it fired",
    reads=("form_error", "form_submit"),
    columns=("form", "field", "message"),
    told_by={"field": ("form_error",), "message": ("form_error",)},
    rule=FormErrorLoop(),
    # One reach to the completing attempt before, one more to its own first, and what tells whether that one began an attempt.
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s, milliseconds=rule.attempt_ms),
    counts=lambda _rule: pl.col("form").is_not_null(),
    fires=fires,
    evidence=("form", "field", "message", "event_ms"),
    source=(
        "Ours, for no product publishes a number: one refusal is everyday, the second a slip while mending it; who is refused a third time without getting "
        "through does not know what the form wants. Ten minutes are longer than people stay at one form; who comes back later begins anew. An emitter sends "
        "`form_submit` at the attempt (GA4's enhanced measurement does) or at success: one that is answered by an error within 3 s was no success."
    ),
    examples=(
        Fires("refused three times in a minute", refusals("card", at_s=(0, 25, 60))),
        Fires("refused three times in exactly ten minutes", refusals("card", at_s=(0, 300, 600))),
        Fires("a loop is one signal, however long", refusals("card", at_s=(0, 20, 40, 60, 80, 500, 900)), at=(2,)),
        Fires(
            "every attempt is told as a submit, and refused",
            tuple(event for at in (0, 20, 40) for event in (sent("card", at_s=at), *refusals("card", at_s=(at + 0.8,)))),
        ),
        Fires(
            "another form in between", (*refusals("card", at_s=(0, 20)), sent("newsletter", at_s=30), *refusals("card", at_s=(40,)))
        ),
        Fires(
            "taken, then a loop all the same",
            (*refusals("card", at_s=(0, 10)), sent("card", at_s=20), *refusals("card", at_s=(40, 50, 60))),
        ),
        Fires("fields without a name", refusals("card", at_s=(0, 0.2, 0.4), field=None)),
        Quiet("refused twice", refusals("card", at_s=(0, 20))),
        Quiet(
            "refused twice, then taken, then refused",
            (*refusals("card", at_s=(0, 20)), sent("card", at_s=40), *refusals("card", at_s=(60,))),
        ),
        Quiet(
            "one attempt, three fields",
            tuple(
                event
                for nth, field in enumerate(("street", "city", "postal_code"))
                for event in refusals("address", at_s=(nth / 100,), field=field)
            ),
        ),
        Quiet("three times in an hour", refusals("card", at_s=(0, 1_800, 3_600))),
        Quiet("three forms", (*refusals("login", at_s=(0,)), *refusals("address", at_s=(20,)), *refusals("card", at_s=(40,)))),
        Quiet("two visitors", (*refusals("card", at_s=(0, 20)), *refusals("card", at_s=(40,), visitor_id="bob"))),
        Quiet("nobody knows which form", refusals(None, at_s=(0, 20, 40))),
    ),
)
