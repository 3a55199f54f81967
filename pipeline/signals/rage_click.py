"""Rage click: one target hit again and again, faster than a page can answer.

A hit is *linked* to the visitor's hit before it if neither time, element nor distance parts them. It *completes* if with the `clicks - 1` linked
hits before it, it fits into the span. A run is completing hits of one chain of links, none further from the next than so many hits may take;
the signal fires at the first of a run.

What the emitter's own tool reports is taken as such; a run of ours and a report of the same are told once.

Cases:   element unknown -> never the same element | place unknown -> never near | a hit elsewhere in between -> parts the chain
         a click that does not count (a stepper, an answered one where it must be dead) -> as if it had never been
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened, in_range
from pipeline.signal_runs import if_known, not_told_yet, telling

_MOST = 60_000
"""A minute, or more pixels than a screen has: whatever is longer or further is no rage, and would be looked back at for long."""


@dataclass(frozen=True)
class RageClick:
    """When clicks are rage. At least one of `span_ms` and `gap_ms` is given."""

    clicks: int = 3
    """Hits that make it rage; 2 to 100."""
    span_ms: int | None = 1_000
    """Longest event time from the first of those hits to the last, inclusive; None: no limit."""
    gap_ms: int | None = None
    """Longest event time between two neighbouring hits, inclusive; None: no limit."""
    radius_px: float | None = None
    """How far apart they may lie, inclusive; None: anywhere."""
    distance: Literal["manhattan", "euclidean"] = "euclidean"
    """How distance is measured: along both axes, or straight."""
    measured_from: Literal["previous", "first"] = "previous"
    """Which hit the radius is drawn around: the one before, or the first of those that make it rage."""
    same_element: bool = True
    """All on one element of one page; else anywhere, as far as the radius lets them."""
    requires_dead: bool = False
    """Only clicks count after which the emitter watched for a reaction, and none came."""
    reacts_within_ms: int | None = None
    """A reaction later than this is none; None: any reaction is one. It matters only where the clicks must be dead."""
    ignored_roles: tuple[str, ...] = ("stepper", "text_input")
    """Roles of elements that people are meant to hit fast: plus and minus, a text in which a triple click selects. An unknown role counts."""
    reported_ms: int = 10_000
    """What the emitter's tool reports so soon after hits of ours, or the other way round, on the same element of one page, is the same, inclusive; 1 to a minute."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number out of range, or with no limit of time at all."""
        if not 2 <= self.clicks <= 100:
            message = f"rage_click: clicks must be from 2 to 100, not {self.clicks}"
            raise ValueError(message)
        if self.span_ms is None and self.gap_ms is None:
            raise ValueError("rage_click: span_ms or gap_ms must be given; clicks hours apart are no rage")
        for name in ("span_ms", "gap_ms", "reacts_within_ms", "radius_px"):
            number = getattr(self, name)
            if number is not None and not 0 <= number <= _MOST:
                message = f"rage_click: {name} must be from 0 to {_MOST}, not {number}"
                raise ValueError(message)
        in_range("rage_click", self, reported_ms=(1, _MOST))
        for name, known in (("distance", ("manhattan", "euclidean")), ("measured_from", ("previous", "first"))):
            if getattr(self, name) not in known:
                message = f"rage_click: {name} is {' or '.join(known)}, not {getattr(self, name)!r}"
                raise ValueError(message)
        if not self.same_element and self.radius_px is None:
            raise ValueError("rage_click: without same_element a radius_px must say what is one target")

    @property
    def link_ms(self) -> int:
        """Longest time between two neighbouring hits, however it is limited."""
        return min(limit for limit in (self.gap_ms, self.span_ms) if limit is not None)

    @property
    def reach_ms(self) -> int:
        """Longest time that the hits which make it rage can take."""
        by_gaps = self.link_ms * (self.clicks - 1)
        return by_gaps if self.span_ms is None else min(self.span_ms, by_gaps)


def counts(rule: RageClick) -> pl.Expr:
    """Clicks on what is not meant to be hit fast, and only the dead ones if the rule says so."""
    role = pl.col("element_role")
    counted = role.is_null() | ~role.is_in(list(rule.ignored_roles)) if rule.ignored_roles else pl.lit(value=True)
    if rule.requires_dead:
        unanswered = pl.col("reaction_ms").is_null()
        if rule.reacts_within_ms is not None:
            unanswered |= pl.col("reaction_ms") > rule.reacts_within_ms
        counted &= pl.col("watched_ms").is_not_null() & unanswered
    return counted.fill_null(value=False) | (pl.col("event_type") == "rage_click")


def fires(clicks: pl.DataFrame, rule: RageClick) -> pl.DataFrame:
    """The first completing hit of every run, and what was reported. Frames: -> FIRES."""
    others = rule.clicks - 1
    completes = (pl.col("chain") == pl.col("chain").shift(others)) & (pl.col("took_ms") <= rule.reach_ms)
    if rule.radius_px is not None and rule.measured_from == "first":
        for back in range(others):
            completes &= _near(rule, pl.col("x_px").shift(back), pl.col("y_px").shift(back), others)
    goes_on = (pl.col("chain") == pl.col("chain").shift(1)) & (pl.col("event_ms") - pl.col("event_ms").shift(1) <= rule.reach_ms)
    is_report = pl.col("event_type") == "rage_click"
    numbered = clicks.with_row_index("row")
    completing = (
        numbered.filter(~is_report)
        .with_columns(took_ms=pl.col("event_ms") - pl.col("event_ms").shift(others), chain=(~_linked(rule)).cum_sum())
        .filter(completes)
        .with_columns(is_first=~goes_on.fill_null(value=False), is_report=pl.lit(value=False))
    )
    reports = numbered.filter(is_report)
    if reports.height:
        told = reports.with_columns(
            took_ms=pl.lit(None, dtype=pl.Int64),
            chain=pl.lit(None, dtype=completing.schema["chain"]),
            is_first=pl.lit(value=True),
            is_report=pl.lit(value=True),
        )
        completing = not_told_yet(pl.concat([completing, told]).sort("row"), rule.reported_ms)
    return completing.filter("is_first").pipe(
        telling,
        value="took_ms",
        element="element",
        detail=pl.concat_str(
            pl.when("is_report")
            .then(pl.lit("reported by the page's own tool"))
            .otherwise(pl.format(f"{rule.clicks} hits in {{}} ms", "took_ms")),
            if_known(" on ", "element"),
        ),
    )


def _linked(rule: RageClick) -> pl.Expr:
    """Whether a click goes on where the one before it was; false for a visitor's first."""
    linked = (pl.col("visitor") == pl.col("visitor").shift(1)) & (pl.col("event_ms") - pl.col("event_ms").shift(1) <= rule.link_ms)
    if rule.same_element:
        linked &= (pl.col("element") == pl.col("element").shift(1)) & pl.col("page").eq_missing(pl.col("page").shift(1))
    if rule.radius_px is not None and rule.measured_from == "previous":
        linked &= _near(rule, pl.col("x_px"), pl.col("y_px"), 1)
    return linked.fill_null(value=False)


def _near(rule: RageClick, x_px: pl.Expr, y_px: pl.Expr, back: int) -> pl.Expr:
    """Whether a place lies within the radius around the click so many rows back; null if either is unknown."""
    assert rule.radius_px is not None
    across = (x_px.cast(pl.Int64) - pl.col("x_px").cast(pl.Int64).shift(back)).abs()
    down = (y_px.cast(pl.Int64) - pl.col("y_px").cast(pl.Int64).shift(back)).abs()
    if rule.distance == "manhattan":
        return across + down <= rule.radius_px
    return across.cast(pl.Float64).pow(2) + down.cast(pl.Float64).pow(2) <= rule.radius_px**2


def hits(element: str | None, *, at_ms: tuple[int, ...], role: str = "button", **said: object) -> tuple[Happening, ...]:
    """Clicks on one element for an example."""
    return tuple(happened("click", at_ms=at, element=element, element_role=role, **said) for at in at_ms)


def placed(*places: tuple[int, int], every_ms: int, **said: object) -> tuple[Happening, ...]:
    """Clicks at these places of a page for an example, each on an element of its own."""
    return tuple(
        happened("click", at_ms=nth * every_ms, element=f"tile-{nth}", x_px=x_px, y_px=y_px, **said)
        for nth, (x_px, y_px) in enumerate(places)
    )


RAGE_CLICK = Signal(
    name="rage_click",
    version=1,
    meaning="One target is hit again and again, faster than a page can answer.",
    measures="ms from the first of the hits that make it rage to the one at which it fired; none of what a tool reported",
    reads=("click", "rage_click"),
    columns=("element", "x_px", "y_px"),
    told_by={"x_px": ("click",), "y_px": ("click",)},
    sifts=("element_role", "reaction_ms", "watched_ms"),
    rule=RageClick(),
    looks_back=lambda rule: timedelta(milliseconds=rule.reach_ms + max(rule.reach_ms, rule.reported_ms)),
    counts=counts,
    fires=fires,
    evidence=("page", "element", "event_ms"),
    source=(
        "No two products agree (3 to 5 hits; 300 ms between two to 7 s in all; no radius to 100 px). Ours: three hits on one element of one page within a "
        "second. A double click is two; a second is as long as people keep their mind on a thing without an answer (Nielsen, Usability Engineering, 1993); "
        "an element is what the customer aims at, while a radius joins neighbours on a small screen and parts hits on a large button. Steppers and text "
        "inputs are left out, for which PostHog found most of its false alarms (posthog-js pull request 3749). "
        "Profiles are what the products' code did in 2026, which is not always what their documents say: posthog-js rageclick.ts; Datadog browser-sdk "
        "clickChain.ts and computeFrustration.ts; Sentry handleClick.ts; mixpanel-js rageclick.js; Amplitude track-rage-click.ts; OpenReplay clickRage.go. "
        "'Below' a limit is given as the last whole number that is. Not copied: that Mixpanel fires again at every fourth further hit of a run, "
        "that Amplitude forgets a window that grew too long instead of sliding on and draws a box of 50 px instead of a circle around the first hit, that Datadog "
        "spares text selection and scrolling, of which the contract knows nothing."
    ),
    profiles={
        "posthog": RageClick(
            clicks=3, span_ms=None, gap_ms=999, radius_px=29, distance="manhattan", measured_from="previous", same_element=False
        ),
        "datadog": RageClick(clicks=3, span_ms=1_000, gap_ms=1_000, radius_px=100, measured_from="previous", ignored_roles=()),
        "sentry": RageClick(
            clicks=3, span_ms=7_000, requires_dead=True, reacts_within_ms=3_000, ignored_roles=("text_input", "other")
        ),
        "mixpanel": RageClick(
            clicks=4, span_ms=None, gap_ms=999, radius_px=29.98, measured_from="previous", same_element=False, ignored_roles=()
        ),
        "amplitude": RageClick(clicks=4, span_ms=999, radius_px=50, measured_from="first", ignored_roles=()),
        "openreplay": RageClick(clicks=3, span_ms=None, gap_ms=299, ignored_roles=()),
    },
    examples=(
        Fires("three hits in under a second", hits("buy", at_ms=(0, 400, 900))),
        Fires("three hits in exactly a second", hits("buy", at_ms=(0, 500, 1_000))),
        Fires("a run is one signal, however long", hits("buy", at_ms=(0, 200, 400, 600, 800, 1_900)), at=(2,)),
        Fires("rage, calm, rage again: two signals", hits("buy", at_ms=(0, 200, 400, 9_000, 9_200, 9_400)), at=(2, 5)),
        Fires(
            "a stepper in between does not calm",
            (*hits("buy", at_ms=(0, 300)), *hits("plus", at_ms=(400,), role="stepper"), *hits("buy", at_ms=(600,))),
        ),
        Fires("the emitter's tool says so", (happened("rage_click", at_ms=0, element="buy"),)),
        Fires(
            "found, and reported as well",
            (*hits("buy", at_ms=(0, 200, 400)), happened("rage_click", at_ms=450, element="buy")),
            at=(2,),
        ),
        Fires(
            "reported, and found as well",
            (happened("rage_click", at_ms=0, element="buy"), *hits("buy", at_ms=(0, 200, 400))),
            at=(0,),
        ),
        Fires(
            "reported in the midst of hits",
            (*hits("buy", at_ms=(0, 200)), happened("rage_click", at_ms=300, element="buy"), *hits("buy", at_ms=(400,))),
            at=(2,),
        ),
        Fires(
            "reported elsewhere", (*hits("buy", at_ms=(0, 200, 400)), happened("rage_click", at_ms=450, element="map")), at=(2, 3)
        ),
        Fires("an unknown role counts", tuple(happened("click", at_ms=at, element="buy") for at in (0, 300, 600))),
        Quiet("three calm hits", hits("buy", at_ms=(0, 900, 1_900))),
        Quiet("a double click", hits("buy", at_ms=(0, 180))),
        Quiet("a gallery looked through", hits("next", at_ms=(0, 1_300, 2_700, 4_100))),
        Quiet("a stepper that wants to be hit often", hits("plus", at_ms=(0, 120, 300, 420), role="stepper")),
        Quiet("a text selected by a triple click", hits("name", at_ms=(0, 120, 240), role="text_input")),
        Quiet(
            "three boxes ticked in a row", (*hits("size", at_ms=(0,)), *hits("colour", at_ms=(300,)), *hits("brand", at_ms=(600,)))
        ),
        Quiet(
            "the same name on the next page is another element",
            (*hits("next", at_ms=(0,), page="/1"), *hits("next", at_ms=(300,), page="/2"), *hits("next", at_ms=(600,), page="/3")),
        ),
        Quiet("two visitors", (*hits("buy", at_ms=(0, 300)), *hits("buy", at_ms=(600,), visitor_id="bob"))),
        Quiet("nobody knows what was hit", hits(None, at_ms=(0, 300, 600))),
        Fires(
            "each within 30 px of the one before, however far it wanders",
            placed((0, 0), (20, 9), (40, 18), every_ms=900),
            profile="posthog",
        ),
        Quiet("30 px along both axes are too far", placed((0, 0), (20, 10), (40, 20), every_ms=900), profile="posthog"),
        Fires("three hits on one target within a second", hits("buy", at_ms=(0, 500, 1_000), x_px=10, y_px=10), profile="datadog"),
        Quiet(
            "far apart on one large element",
            tuple({**hit, "x_px": 90 * nth, "y_px": 90 * nth} for nth, hit in enumerate(hits("map", at_ms=(0, 300, 600)))),
            profile="datadog",
        ),
        Fires("slow and dead", hits("buy", at_ms=(0, 3_000, 7_000), watched_ms=7_500), profile="sentry"),
        Quiet(
            "slow, but the page answered", hits("buy", at_ms=(0, 3_000, 7_000), watched_ms=7_500, reaction_ms=80), profile="sentry"
        ),
        Quiet("nobody watched for an answer", hits("buy", at_ms=(0, 3_000, 7_000)), profile="sentry"),
        Fires("four, each near the one before", placed((0, 0), (13, 27), (26, 54), (39, 81), every_ms=999), profile="mixpanel"),
        Quiet("three are not enough", placed((0, 0), (1, 1), (2, 2), every_ms=100), profile="mixpanel"),
        Fires("four near the first", hits("buy", at_ms=(0, 300, 600, 900), x_px=5, y_px=5), profile="amplitude"),
        Quiet(
            "away from the first, step by step",
            tuple({**hit, "x_px": 20 * nth, "y_px": 0} for nth, hit in enumerate(hits("buy", at_ms=(0, 300, 600, 900)))),
            profile="amplitude",
        ),
        Fires("three below 300 ms apart", hits("buy", at_ms=(0, 299, 598)), profile="openreplay"),
        Quiet("300 ms apart", hits("buy", at_ms=(0, 300, 600)), profile="openreplay"),
    ),
)
