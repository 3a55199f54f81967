"""Dead click: a click on something that should answer, and nothing came.

Cases:   the emitter did not watch for an answer, or not long enough -> quiet | its tool reports one that we found as well -> told once
         again and again on one element -> one signal, until it is left alone for a while
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import first_of_runs, if_known, telling


@dataclass(frozen=True)
class DeadClick:
    """When a click is dead."""

    within_ms: int = 3_000
    """A click that had no reaction within this time is dead, if the emitter watched for so long; 1 to a minute."""
    again_ms: int = 5_000
    """A dead click on the same element so soon after one, inclusive, is the same; 1 to a minute."""
    ignored_roles: tuple[str, ...] = ("text_input",)
    """Roles of elements that need not answer: a text takes the cursor and nothing moves. An unknown role counts."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range."""
        in_range("dead_click", self, within_ms=(1, 60_000), again_ms=(1, 60_000))


def counts(rule: DeadClick) -> pl.Expr:
    """Every report, and the clicks that are dead."""
    role, reaction_ms = pl.col("element_role"), pl.col("reaction_ms")
    answers = role.is_null() | ~role.is_in(list(rule.ignored_roles)) if rule.ignored_roles else pl.lit(value=True)
    unanswered = (reaction_ms.is_null() & (pl.col("watched_ms") >= rule.within_ms)) | (reaction_ms > rule.within_ms)
    return (pl.col("event_type") == "dead_click") | (answers & unanswered).fill_null(value=False)


def fires(clicks: pl.DataFrame, rule: DeadClick) -> pl.DataFrame:
    """The first of every run on one element of one page. Frames: -> FIRES."""
    return first_of_runs(clicks.with_row_index("row"), ("page", "element"), rule.again_ms).pipe(
        telling, element="element", detail=pl.concat_str(pl.lit("no reaction"), if_known(" of ", "element"))
    )


def tried(
    element: str | None, *, at_ms: int, role: str | None = "button", watched_ms: int | None = 7_500, **said: object
) -> Happening:
    """A click for an example, which nothing answered if no `reaction_ms` is given."""
    return happened("click", at_ms=at_ms, element=element, element_role=role, watched_ms=watched_ms, **said)


DEAD_CLICK = Signal(
    name="dead_click",
    version=1,
    meaning="Something that should answer a click does not.",
    measures="nothing: a click is dead or not",
    reads=("click", "dead_click"),
    columns=("element",),
    sifts=("element_role", "reaction_ms", "watched_ms"),
    rule=DeadClick(),
    looks_back=lambda rule: timedelta(milliseconds=rule.again_ms),
    counts=counts,
    fires=fires,
    evidence=("page", "element", "event_ms"),
    source=(
        "Products wait from 100 ms to 7 s. Ours: 3 s, as Sentry and Amplitude do: whoever waited so long takes it for broken, and a slow answer that came after "
        "1 s is the business of slow pages. A text input is left out, for it takes the cursor and nothing else moves. Profiles, from the products' code of 2026: posthog-js "
        "dead-clicks-autocapture.ts (2,500 ms, no links, not twice on one node within a second); Sentry handleClick.ts and constants.ts (3 s until a click is "
        "slow; buttons, links and submits); Amplitude track-dead-click.ts (3 s); OpenReplay deadClick.go (1,234 ms, no inputs); mixpanel-js deadclick.js (500 ms, nothing "
        "that is not interactive); Datadog browser-sdk waitPageActivityEnd.ts (100 ms; no text inputs, no links). That a report of the same click is no second one within a second is ours. Not copied: what the contract does not tell apart, scrolls, "
        "selections and modifier keys among them."
    ),
    profiles={
        "posthog": DeadClick(within_ms=2_500, again_ms=1_000, ignored_roles=("link",)),
        "datadog": DeadClick(within_ms=100, again_ms=1_000, ignored_roles=("text_input", "link")),
        "sentry": DeadClick(within_ms=3_000, again_ms=1_000, ignored_roles=("text_input", "other")),
        "mixpanel": DeadClick(within_ms=500, again_ms=1_000, ignored_roles=("other",)),
        "amplitude": DeadClick(within_ms=3_000, again_ms=1_000, ignored_roles=()),
        "openreplay": DeadClick(within_ms=1_234, again_ms=1_000, ignored_roles=("text_input",)),
    },
    examples=(
        Fires("watched for long, and nothing came", (tried("buy", at_ms=0),)),
        Fires("an answer that came too late", (tried("buy", at_ms=0, reaction_ms=3_001),)),
        Fires("the emitter's tool says so", (happened("dead_click", at_ms=0, element="buy"),)),
        Fires(
            "found, and reported as well: told once",
            (tried("buy", at_ms=0), happened("dead_click", at_ms=2_600, element="buy")),
            at=(0,),
        ),
        Fires("tried again and again: one signal", tuple(tried("buy", at_ms=at) for at in (0, 4_000, 8_000)), at=(0,)),
        Fires("tried again later: two signals", tuple(tried("buy", at_ms=at) for at in (0, 5_001)), at=(0, 1)),
        Fires("two elements are two signals", (tried("buy", at_ms=0), tried("size", at_ms=900)), at=(0, 1)),
        Fires("an unknown role counts", (tried(None, at_ms=0, role=None),)),
        Quiet("answered", (tried("buy", at_ms=0, reaction_ms=80),)),
        Quiet("answered just in time", (tried("buy", at_ms=0, reaction_ms=3_000),)),
        Quiet("nobody watched", (tried("buy", at_ms=0, watched_ms=None),)),
        Quiet("not watched for long enough", (tried("buy", at_ms=0, watched_ms=2_999),)),
        Quiet("a text takes the cursor", (tried("name", at_ms=0, role="text_input"),)),
        Fires("nothing for 2.5 s", (tried("buy", at_ms=0, watched_ms=2_500),), profile="posthog"),
        Quiet("a link leads elsewhere", (tried("terms", at_ms=0, role="link"),), profile="posthog"),
        Fires("nothing for 0.1 s", (tried("buy", at_ms=0, watched_ms=100),), profile="datadog"),
        Quiet("a link", (tried("terms", at_ms=0, role="link"),), profile="datadog"),
        Fires("slow", (tried("buy", at_ms=0, reaction_ms=3_200),), profile="sentry"),
        Quiet("neither button nor link", (tried("picture", at_ms=0, role="other"),), profile="sentry"),
        Fires("nothing for half a second", (tried("buy", at_ms=0, watched_ms=500),), profile="mixpanel"),
        Quiet("not interactive", (tried("picture", at_ms=0, role="other"),), profile="mixpanel"),
        Fires("nothing for three seconds", (tried("picture", at_ms=0, role="other"),), profile="amplitude"),
        Quiet("a change after two seconds", (tried("buy", at_ms=0, reaction_ms=2_000),), profile="amplitude"),
        Fires("nothing for 1,234 ms", (tried("buy", at_ms=0, watched_ms=1_234),), profile="openreplay"),
        Quiet("an input", (tried("name", at_ms=0, role="text_input"),), profile="openreplay"),
    ),
)
