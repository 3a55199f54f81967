"""Option flipping: quantity or variant of one product is set back and forth.

What is set is a product, else a page. It is flipping if it is set to two things by turns: put in and taken out, two of it and one, this button and that;
a run is one signal.

Cases:   plus, plus, plus -> set once | three sizes looked through -> quiet | two products by turns -> each for itself
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import back_and_forth, if_known, telling


@dataclass(frozen=True)
class OptionFlipping:
    """When setting is flipping."""

    flips: int = 4
    """Changes from one to the other that make it so; 2 to 100."""
    within_s: int = 120
    """Longest event time from when the first is left to the last change, inclusive; 1 s to an hour."""
    roles: tuple[str, ...] = ("stepper", "button", "other")
    """Roles of elements that set something: a link leads on, and a text is typed into."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("option_flipping", self, flips=(2, 100), within_s=(1, 3_600))


def counts(rule: OptionFlipping) -> pl.Expr:
    """Products put in and taken out, and clicks on what sets something."""
    sets = pl.col("element_role").is_in(list(rule.roles)) & pl.col("element").is_not_null()
    is_known = pl.col("product_id").is_not_null() | pl.col("page").is_not_null()
    return is_known & ((pl.col("event_type") != "click") | sets.fill_null(value=False))


def fires(events: pl.DataFrame, rule: OptionFlipping) -> pl.DataFrame:
    """The first completing change of every run. Frames: -> FIRES."""
    is_click = pl.col("event_type") == "click"
    quantity = if_known(" ", pl.col("quantity").cast(pl.String))
    set_to = pl.when(is_click).then("element").otherwise(pl.concat_str(pl.col("event_type").cast(pl.String), quantity))
    deeds = (
        events.with_row_index("row")
        .with_columns(subject=pl.coalesce("product_id", "page"), is_click=is_click, set_to=set_to)
        .sort("visitor", "subject", "is_click", maintain_order=True)
    )
    return (
        back_and_forth(deeds, "set_to", rule.flips + 1, rule.within_s * 1_000, by=("subject", "is_click"))
        .sort("row")
        .pipe(
            telling,
            value="took_ms",
            element="subject",
            detail=pl.format(f"set back and forth {rule.flips} times in {{}} s", pl.col("took_ms") // 1_000),
        )
    )


def cart(*deeds: str, every_s: float = 5, product_id: str | None = "shoe-1", **said: object) -> tuple[Happening, ...]:
    """A product put in and taken out for an example."""
    return tuple(
        happened(f"{deed}_cart", at_ms=round(nth * every_s * 1_000), product_id=product_id, **said)
        for nth, deed in enumerate(deeds)
    )


def stepped(*elements: str, every_s: float = 2, role: str = "stepper") -> tuple[Happening, ...]:
    """Clicks on steppers for an example."""
    return tuple(
        happened("click", at_ms=round(nth * every_s * 1_000), element=element, element_role=role)
        for nth, element in enumerate(elements)
    )


OPTION_FLIPPING = Signal(
    name="option_flipping",
    version=1,
    meaning="Quantity or variant of a product is set back and forth, again and again.",
    measures="ms from leaving the first of the settings that make it so to the change at which it fired",
    reads=("click", "add_to_cart", "remove_from_cart"),
    columns=("element", "product_id", "quantity"),
    told_by={"element": ("click",), "quantity": ("add_to_cart", "remove_from_cart")},
    sifts=("element_role",),
    rule=OptionFlipping(),
    looks_back=lambda rule: timedelta(seconds=2 * rule.within_s),
    counts=counts,
    fires=fires,
    evidence=("element", "product_id", "quantity", "event_ms"),
    source=(
        "Ours, for no product publishes a number. Once more, once less is everyday; four changes of mind between two things in two minutes are a price that jumps, a discount looked for, or a "
        "control that does not do what it says. The contract has no role for the choice of a variant, so buttons count: what is pressed by turns with another is a choice, whatever it is called "
        "(a gallery leafed back and forth counts too)."
    ),
    examples=(
        Fires("in, out, in, out, in", cart("add_to", "remove_from", "add_to", "remove_from", "add_to")),
        Fires("within exactly two minutes", cart("add_to", "remove_from", "add_to", "remove_from", "add_to", every_s=30)),
        Fires("plus, minus, plus, minus, plus", stepped("plus", "minus", "plus", "minus", "plus")),
        Fires("a run is one signal", stepped(*("plus", "minus") * 5), at=(4,)),
        Fires(
            "two, one, two, one, two",
            tuple({**put, "quantity": 2 - nth % 2} for nth, put in enumerate(cart(*["add_to"] * 5))),
        ),
        Fires("no product named", cart("add_to", "remove_from", "add_to", "remove_from", "add_to", product_id=None)),
        Quiet("once more, once less", stepped("plus", "minus", "plus")),
        Quiet("counted up", stepped(*["plus"] * 9)),
        Fires("this size, that size", stepped("size-42", "size-43", "size-42", "size-43", "size-42", role="button")),
        Fires("more than one step each", stepped(*("plus", "plus", "minus", "minus") * 2, "plus"), at=(8,)),
        Quiet("links", stepped("next", "back", "next", "back", "next", role="link")),
        Quiet("one choice after the other", stepped("size", "colour", "size", "delivery", "size", "buy", role="button")),
        Quiet("slowly", cart("add_to", "remove_from", "add_to", "remove_from", "add_to", every_s=60)),
        Quiet(
            "two products",
            tuple(
                {**put, "product_id": f"shoe-{nth % 2}"}
                for nth, put in enumerate(cart("add_to", "add_to", "remove_from", "remove_from"))
            ),
        ),
        Quiet(
            "nobody knows of what",
            tuple(
                {**put, "page": None} for put in cart("add_to", "remove_from", "add_to", "remove_from", "add_to", product_id=None)
            ),
        ),
    ),
)
