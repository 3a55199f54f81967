"""What stands beside an alert: the signal that rose with it, what it costs, and of whom it is.

Frames:  RAISED (signals that rose, by interval), rows of passed.heard(EXAMPLE) -> KEPT_EXAMPLES
Cases:   a signal of another journey -> is no cause: no parcel is late because pages are slow; but tickets are told where they came from
         a signal that does not say the device -> is held against all devices | no signal rose -> no cause
         exits -> those who gave a cart up at the same step are its examples, of late ones if it is too early for its own
         a signal in visits without a cart -> they have nothing at stake | no example has a value -> no money is known
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.frames import schema
from pipeline.hashing import hash64
from pipeline.many_baselines import Floats
from pipeline.nested_segments import Segment
from pipeline.rate_series import KEPT, Interval, Judged
from pipeline.rate_tails import surprise
from pipeline.spike_alerts import Alert
from pipeline.spike_counts import COUNTS_OF, DIMENSIONS, EXITS, FRICTION, IDENTITY, LIMIT, Family
from pipeline.ticket_places import SUPPORT
from pipeline.ticket_signals import TICKET_SIGNALS

RAISED_P = 0.01
"""Intervals in which a signal was so unlikely over any stretch are remembered as those in which it rose."""
SURE, LIFT = 4.0, 1.25
"""A cause is so many standard deviations of chance above what was expected, and so many times it."""
FEW = 5
"""Examples of an alert."""
REMEMBERED_MS = 8 * 86_400_000
"""So long signals that rose are remembered for alerts that are judged late: solutions of tickets, which take the longest but for quotes and returns, within a week."""
_OF_TICKETS = [each.name for each in TICKET_SIGNALS]
KEPT_EACH = 8
"""Examples that are kept of each interval and count."""

RAISED = schema(
    {
        "site": pl.String,
        **dict.fromkeys(IDENTITY, pl.String),
        "from_ms": pl.Int64,
        "to_ms": pl.Int64,
        "n": pl.Float64,
        "n_of": pl.Float64,
        "expected": pl.Float64,
    }
)
"""A signal in an interval in which it rose."""

KEPT_EXAMPLES = schema(
    {
        "site": pl.String,
        "measure": pl.String,
        **dict.fromkeys(IDENTITY, pl.String),
        "interval_ms": pl.Int64,
        "order": pl.UInt64,
        "example": pl.String,
        "value_minor": pl.Int64,
        "currency": pl.String,
    }
)


def raised(
    found: Judged, segments: Sequence[Segment], seen: tuple[Floats, Floats], site: str, interval: Interval
) -> list[tuple[object, ...]]:
    """Signals that rose in this interval, `seen` so often, of so many. Frames: -> rows of RAISED."""
    n, n_of = seen
    rose = np.flatnonzero(found.known & (found.p.min(axis=1) < RAISED_P) & (n > found.now)).tolist()
    return [
        (site, *segments[at], interval.from_ms, interval.to_ms, float(n[at]), float(n_of[at]), float(found.now[at])) for at in rose
    ]


def with_examples(known: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Those that are kept after these have come. Frames: KEPT_EXAMPLES, heard(EXAMPLE) -> KEPT_EXAMPLES."""
    told = {what for rule, (what, _) in COUNTS_OF.items() if rule != EXITS}
    fresh = fresh.filter(pl.col("measure").is_in(sorted(told)), pl.col("example").is_not_null())
    if fresh.is_empty():
        return known
    fresh = fresh.with_columns(
        pl.col("interval_at").to_physical().alias("interval_ms"),
        *(pl.col(name).fill_null("") for name in (*IDENTITY, "currency")),
        pl.Series("order", hash64(fresh["site"], fresh["example"]), pl.UInt64),
    )
    count = ["site", "measure", *IDENTITY, "interval_ms"]
    return (
        pl.concat([known, fresh.select(KEPT_EXAMPLES.names()).cast(KEPT_EXAMPLES)])
        .sort("order", "value_minor", "currency", nulls_last=True)
        .unique([*count, "example"], keep="first", maintain_order=True)
        .group_by(count, maintain_order=True)
        .head(KEPT_EACH)
        .select(KEPT_EXAMPLES.names())
    )


def still_causes(rose: pl.DataFrame, late: Sequence[tuple[str, int, pl.DataFrame]], recent_ms: int) -> pl.DataFrame:
    """Those that rose since `recent_ms`, and those of before that an alert can still be because of. Frames: RAISED -> the same.

    `late`: of families that are judged later than that their site, since when what rose is asked for, and the segments that are known.
    """
    is_recent = pl.col("to_ms") >= recent_ms
    if not late or rose.select(is_recent.all()).item():
        return rose.filter(is_recent)
    sites, since_ms, known = zip(*late, strict=True)
    since = pl.DataFrame({"site": sites, "since_ms": since_ms}).group_by("site").agg(pl.col("since_ms").min())
    segments = pl.concat([its.select("step", *DIMENSIONS) for its in known])
    is_met = (pl.col(name).is_in(["", *segments[name].unique().to_list()]) for name in segments.columns)
    return (
        rose.join(since, on="site", how="left", maintain_order="left")
        .filter(is_recent | ((pl.col("to_ms") >= pl.col("since_ms")) & pl.all_horizontal(*is_met)))
        .select(RAISED.names())
    )


def still_told(examples: pl.DataFrame, judged_ms: Mapping[Family, int]) -> pl.DataFrame:
    """Those that an alert can still tell, of families that are judged so far. Frames: KEPT_EXAMPLES -> the same."""
    since = pl.DataFrame(
        [
            (family.site, COUNTS_OF[family.rule][0], family.expectation, max(0, judged) - KEPT * family.span_ms)
            for family, judged in judged_ms.items()
        ],
        schema={"site": pl.String, "measure": pl.String, "about": pl.String, "since_ms": pl.Int64},
        orient="row",
    )
    about = pl.when(pl.col("measure") == "signals").then(pl.lit("")).otherwise("expectation").alias("about")
    by = ["site", "measure", "about"]
    return (
        examples.with_columns(about)
        .join(since.group_by(by).agg(pl.col("since_ms").min()), on=by, how="left", maintain_order="left")
        .filter(pl.col("since_ms").is_null() | (pl.col("interval_ms") >= pl.col("since_ms")))
        .select(KEPT_EXAMPLES.names())
    )


def told_of(alert: Alert, raised: pl.DataFrame, examples: pl.DataFrame, since_ms: int) -> Alert:
    """The alert with its cause, its money and its examples, as of what began since then."""
    if alert.rule == LIMIT:
        return alert
    of_late = _examples(alert, examples)
    its = of_late.filter(pl.col("interval_ms") >= since_ms).sort("interval_ms", "order", descending=[True, False])
    few = tuple(its["example"].unique(maintain_order=True).head(FEW))
    alert = replace(_with_cause(alert, raised, since_ms), examples=few or alert.examples)
    return _with_money(_with_money(alert, of_late), its)


def _with_money(alert: Alert, examples: pl.DataFrame) -> Alert:
    """What was counted beyond what was expected, at the median value of these, if it is known of any."""
    priced = examples.filter(pl.col("value_minor").is_not_null(), pl.col("currency") != "")
    if priced.is_empty():
        return alert
    currency = priced.group_by("currency").len().sort("len", "currency", descending=[True, False])["currency"][0]
    median = float(priced.filter(pl.col("currency") == currency)["value_minor"].median())  # type: ignore[arg-type]  # of integers
    share = priced.height / examples.height if alert.rule == FRICTION else 1.0  # a visit that has no cart has nothing at stake
    return replace(alert, currency=currency, value_minor=round(alert.excess * share * median))


def _with_cause(alert: Alert, raised: pl.DataFrame, since_ms: int) -> Alert:
    if alert.rule == FRICTION:
        alert = replace(alert, cause=alert.of("signal"), cause_share=min(1.0, alert.rate))
        if not alert.parts:
            return alert
        raised = raised.filter(pl.col("signal").is_in([segment[IDENTITY.index("signal")] for segment in alert.explains]))
    # One interval more: who meets a signal late in an interval may have begun to wait before.
    its = raised.filter(
        pl.col("site") == alert.site,
        pl.col("to_ms") > since_ms,
        pl.col("from_ms") < alert.updated_ms + alert.interval_s * 1_000,
        *((pl.col(name) == alert.of(name)) | (pl.col(name) == "") for name in DIMENSIONS),
        pl.col("journey").is_in(["", alert.of("journey")])
        | ((alert.of("journey") == SUPPORT) & pl.col("signal").is_in(_OF_TICKETS)),
        pl.col("step").is_in(["", alert.of("step")]),
    )
    if its.is_empty():
        return alert
    exact = pl.sum_horizontal((pl.col(name) == alert.of(name)).cast(pl.Int32) for name in (*DIMENSIONS, "step"))
    risen = (
        its.group_by(*IDENTITY)
        .agg(pl.col("n", "n_of", "expected").sum())
        .filter(pl.col("n") >= LIFT * pl.col("expected"))
        .pipe(_sure)
        .with_columns(exact.alias("exact"), ((pl.col("n") - pl.col("expected")) / pl.col("n_of")).alias("rise"))
        .sort("exact", "rise", *IDENTITY, descending=[True, True, *(False for _ in IDENTITY)])
        .unique("signal", keep="first", maintain_order=True)  # where it says most about this segment
        .sort("rise", "signal", descending=[True, False])
        .head(1)
    )
    if risen.is_empty():
        return alert
    best = risen.row(0, named=True)
    if alert.rule == FRICTION and best["signal"] == alert.cause:
        return alert  # of this stretch, and not of the intervals in which it rose
    return replace(alert, cause=best["signal"], cause_share=min(1.0, best["n"] / best["n_of"]))


def _sure(risen: pl.DataFrame) -> pl.DataFrame:
    """Signals that are hardly ever met so often by chance."""
    n, n_of, expected = (risen[name].to_numpy() for name in ("n", "n_of", "expected"))
    return risen.filter(surprise(n, n_of, expected, np.ones(len(n)), is_bound=False) >= SURE)


def _examples(alert: Alert, examples: pl.DataFrame) -> pl.DataFrame:
    """Those of its segment."""
    is_exits = alert.rule == EXITS
    wanted = dict(zip(IDENTITY, alert.segment, strict=True)) | ({"expectation": ORDER_AFTER_COMMIT} if is_exits else {})
    return examples.filter(
        pl.col("site") == alert.site,
        pl.col("measure") == ("abandoned" if is_exits else COUNTS_OF[alert.rule][0]),
        pl.col("interval_ms") < alert.updated_ms,
        *(pl.col(name) == value for name, value in wanted.items() if value),
    )
