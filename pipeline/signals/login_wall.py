"""Login wall: in the middle of the checkout somebody has to log in or register first.

Cases:   who is logged in already -> quiet | a login before the checkout -> quiet | the page shown again -> one signal, until some time has passed
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.checkout import MARKS, OVER, in_checkout
from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, telling


@dataclass(frozen=True)
class LoginWall:
    """When a login page is a wall."""

    within_s: int = 1_800
    """How long after something done in the checkout the visitor is still there, inclusive; 1 s to a day."""
    again_s: int = 600
    """Such a page so soon after one, inclusive, is the same wall; 0 to a day."""
    page_types: tuple[str, ...] = ("login", "register")
    """Pages that ask who somebody is."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("login_wall", self, within_s=(1, 86_400), again_s=(0, 86_400))


def counts(rule: LoginWall) -> pl.Expr:
    """What is done in the checkout, and such pages shown to somebody unknown."""
    asks = pl.col("page_type").is_in(list(rule.page_types)).fill_null(value=False) & pl.col("customer_id").is_null()
    return (pl.col("event_type") != "page_view") | asks


def fires(events: pl.DataFrame, rule: LoginWall) -> pl.DataFrame:
    """The first such page of every run. Frames: -> FIRES."""
    walls = (
        events.with_row_index("row")
        .with_columns(in_checkout(rule.within_s).alias("came"))
        .filter((pl.col("event_type") == "page_view") & pl.col("came"))
    )
    return first_of_runs(walls, (), rule.again_s * 1_000).pipe(
        telling, detail=pl.lit("asked to log in or register in the checkout")
    )


def shown(page_type: str | None = "login", *, at_s: float, **said: object) -> Happening:
    """A page shown for an example."""
    return happened("page_view", at_ms=round(at_s * 1_000), page_type=page_type, **said)


_BEGUN = happened("begin_checkout", at_ms=0)

LOGIN_WALL = Signal(
    name="login_wall",
    version=1,
    meaning="In the middle of the checkout the customer has to log in or register first.",
    measures="nothing: there is a wall or not",
    reads=("page_view", *MARKS, *OVER),
    marks=(*MARKS, *OVER),
    columns=(),
    at_furthest=True,
    sifts=("page_type", "customer_id"),
    rule=LoginWall(),
    looks_back=lambda rule: timedelta(seconds=rule.within_s + rule.again_s),
    counts=counts,
    fires=fires,
    evidence=("page", "event_ms"),
    source=(
        "Ours, for no product publishes a number. 'The site wanted me to create an account' is the reason of 18 % for leaving a cart (less just browsing, Baymard 2025, read second-hand). Half "
        "an hour is the session of most products; a wall seen twice in ten minutes is one."
    ),
    examples=(
        Fires("log in first", (_BEGUN, shown(at_s=5))),
        Fires("register first", (_BEGUN, shown("register", at_s=5))),
        Fires(
            "back and forth at the wall: one signal", (_BEGUN, shown(at_s=5), shown("register", at_s=30), shown(at_s=60)), at=(1,)
        ),
        Fires("half an hour later", (_BEGUN, shown(at_s=1_800))),
        Quiet("before the checkout", (shown(at_s=0), happened("begin_checkout", at_ms=5_000))),
        Quiet("somebody who is known", (_BEGUN, shown(at_s=5, customer_id="anna"))),
        Quiet("after the purchase", (_BEGUN, happened("purchase", at_ms=30_000), shown("register", at_s=60))),
        Quiet("long after", (_BEGUN, shown(at_s=1_801))),
        Quiet("another page", (_BEGUN, shown("checkout", at_s=5), shown(None, at_s=6))),
    ),
)
