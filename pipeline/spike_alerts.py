"""An alert: opened by a segment that rose, told again when something of it has changed enough, resolved when it is usual again.

Frames:  -> frames.ALERTS
Cases:   usual once, then raised -> goes on | raised for `lasting` -> resolved: it is usual now | nothing heard of it for so long -> resolved
         too few to be sure -> goes on, until they speak for the usual share and not for that of the spike, or say nothing for `lasting`
         another signal rises at the same place -> a part of it: named, and it is over when both are
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Self

import polars as pl

from pipeline.frames import ALERTS, TIME, schema
from pipeline.hashing import hex128
from pipeline.nested_segments import N_SUBJECT, Evidence, Segment
from pipeline.spike_counts import ABANDONMENT, CONDITIONS, EXITS, FRICTION, IDENTITY, LAPSE, LIMIT, SILENCE, Family

OPEN, RESOLVED = "open", "resolved"
WARNING, CRITICAL = "warning", "critical"
GREW = 1.5
"""An open alert is told again when it has grown so many times."""
_WHAT = {
    ABANDONMENT: "Abandonment",
    SILENCE: "Silent abandonment",
    LAPSE: "Lapse of {expectation}",
    FRICTION: "{signal}",
    EXITS: "Exits",
    LIMIT: "Segments",
}
_OF = {ABANDONMENT: "visits", SILENCE: "waits", LAPSE: "waits", FRICTION: "visits", EXITS: "visits"}


@dataclass(frozen=True)
class Alert:
    """One spike. Times in ms since 1970."""

    site: str
    rule: str
    expectation_of_family: str
    interval_s: int
    segment: Segment
    """What it is of: values of IDENTITY."""
    alert_id: str
    opened_ms: int
    updated_ms: int
    resolved_ms: int | None
    from_ms: int
    """Start of the stretch that was judged last."""
    n: int
    n_of: int
    n_expected: float
    p_value: float
    excess: float
    """More than expected, since it opened."""
    severity: str
    n_usual: int = 0
    """Usual intervals in a row."""
    usual_ms: int | None = None
    """End of the first of them."""
    began_ms: int = 0
    """Start of the stretch by which it opened."""
    told_excess: float = 0.0
    """When it was told last."""
    cause: str = ""
    cause_share: float | None = None
    value_minor: int | None = None
    currency: str = ""
    examples: tuple[str, ...] = ()
    owner: str = ""
    why_resolved: str = ""
    raised_n: float = 0.0
    """How many there were while it was raised ..."""
    raised_expected: float = 0.0
    """... and how many were expected."""
    over: float = 0.0
    """How far what came last speaks for the usual share, and not for that of the spike: log likelihood ratio, never below 0."""
    parts: tuple[Segment, ...] = ()
    """Other signals that rose at its place soon after it opened."""

    def of(self, name: str) -> str:
        """One of IDENTITY."""
        return self.segment[IDENTITY.index(name)]

    @property
    def family(self) -> Family:
        """Whose series it is of."""
        return Family(self.site, self.rule, self.expectation_of_family, self.interval_s)

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.resolved_ms is None

    @property
    def rate(self) -> float:
        """Share."""
        return self.n / max(self.n_of, 1)

    @property
    def baseline_rate(self) -> float:
        """Share that was to be expected."""
        return self.n_expected / max(self.n_of, 1)

    @property
    def times(self) -> float:
        """How many times the usual share it was while it was raised."""
        return self.raised_n / max(self.raised_expected, 1e-9)

    @property
    def explains(self) -> tuple[Segment, ...]:
        """Its segment and its parts."""
        return (self.segment, *self.parts)

    @classmethod
    def opened(cls, family: Family, seen: Evidence, to_ms: int) -> Self:
        """By this evidence of the stretch that ends then."""
        said = pl.Series([*family.__dict__.values(), *seen.segment, to_ms], dtype=pl.String, strict=False)
        alert_id = hex128(*(said[at : at + 1] for at in range(len(said))))[0]
        alert = cls(
            family.site, family.rule, family.expectation, family.interval_s, seen.segment, alert_id, to_ms, to_ms, None,
            to_ms, 0, 0, 0.0, 1.0, 0.0, WARNING,
        )  # fmt: skip
        alert = alert.seen(seen, to_ms)
        return replace(alert, excess=seen.n - seen.expected, began_ms=alert.from_ms).raised(seen)

    def seen(self, seen: Evidence, to_ms: int) -> Self:
        """After this evidence of it, which may be of another segment."""
        its = self if seen.segment == self.segment else self.raised(seen)
        return replace(
            its,
            segment=seen.segment,
            from_ms=to_ms - seen.window * self.family.span_ms,
            updated_ms=to_ms,
            n=round(seen.n),
            n_of=round(seen.n_of),
            n_expected=seen.expected,
            p_value=seen.p,
        )

    def widened(self, seen: Evidence, to_ms: int) -> Self:
        """After this evidence of a segment in which its own lies."""
        return replace(self.seen(seen, to_ms), excess=max(self.excess, seen.n - seen.expected), n_usual=0, usual_ms=None)

    def raised(self, seen: Evidence) -> Self:
        """As much as this evidence says of late."""
        n, expected = seen.recent
        return replace(self, raised_n=n, raised_expected=expected, over=0.0)

    def judged(self, *, critical_lift: float, critical_excess: float) -> Self:
        """With its severity, which never falls while it is open."""
        is_critical = self.n >= critical_lift * self.n_expected and self.n - self.n_expected >= critical_excess
        return replace(self, severity=CRITICAL if is_critical or self.severity == CRITICAL else WARNING)

    def resolved(self, at_ms: int, why: str = "") -> Self:
        """It is usual from then on."""
        return replace(self, resolved_ms=at_ms, updated_ms=max(self.updated_ms, at_ms), why_resolved=why)

    def differs(self, told: "Alert") -> bool:
        """Whether it must be told again."""
        return (
            (self.explains, self.severity, self.resolved_ms) != (told.explains, told.severity, told.resolved_ms)
            or self.excess >= GREW * max(self.told_excess, 1.0)
        )  # fmt: skip


_DTYPES: dict[object, pl.DataType] = {
    str: pl.String(),
    int: pl.Int64(),
    int | None: pl.Int64(),
    float: pl.Float64(),
    float | None: pl.Float64(),
    tuple[str, ...]: pl.List(pl.String),
    tuple[Segment, ...]: pl.List(pl.List(pl.String)),
}
ALERT = schema({name: _DTYPES[hint] for name, hint in Alert.__annotations__.items()})
"""How alerts are kept."""


def kept(alerts: Iterable[Alert]) -> pl.DataFrame:
    """Frames: -> ALERT."""
    return pl.DataFrame(
        [
            {
                **asdict(alert),
                "segment": list(alert.segment),
                "examples": list(alert.examples),
                "parts": list(map(list, alert.parts)),
            }
            for alert in alerts
        ],
        schema=ALERT,
        orient="row",
    )


def restored(frame: pl.DataFrame) -> tuple[Alert, ...]:
    """Frames: ALERT ->."""
    return tuple(
        Alert(
            **{
                "raised_n": float(row["n"]),  # older state does not say it
                "raised_expected": row["n_expected"],
                **row,
                "segment": tuple(row["segment"]),
                "examples": tuple(row["examples"]),
                "parts": tuple(map(tuple, row.get("parts", ()))),
            }
        )
        for row in frame.iter_rows(named=True)
    )


def rows(alerts: Iterable[Alert], partition: int) -> pl.DataFrame:
    """Frames: -> ALERTS."""
    told = [
        {
            **{name: value for name, value in alert.__dict__.items() if name in ALERTS.schema},
            **dict(zip(IDENTITY, alert.segment, strict=True)),
            "rate": alert.rate,
            "baseline_rate": alert.baseline_rate,
            "opened_at": alert.opened_ms,
            "updated_at": alert.updated_ms,
            "resolved_at": alert.resolved_ms,
            "interval_at": alert.from_ms,
            "interval_s": max(0, alert.updated_ms - alert.from_ms) // 1_000 if alert.is_open else alert.interval_s,
            "status": OPEN if alert.is_open else RESOLVED,
            "segment": spelt(alert.segment),
            "summary": summary(alert),
            "examples": list(alert.examples),
            "partition": partition,
        }
        for alert in alerts
    ]
    times = {name: pl.Int64 if dtype == TIME else dtype for name, dtype in ALERTS.schema.items() if name != "is_deleted"}
    frame = pl.DataFrame(told, schema={**times, "partition": pl.Int32}, orient="row")
    return ALERTS.conform(frame.with_columns(pl.col(name).cast(TIME) for name, dtype in ALERTS.schema.items() if dtype == TIME))


def spelt(segment: Segment) -> str:
    """The conditions of a segment; '' if there are none."""
    named = dict(zip(IDENTITY, segment, strict=True))
    return " and ".join(f"{name} = {value}" for name in CONDITIONS if (value := named[name]))


def where(alert: Alert) -> str:
    """Its segment in words, also if there are no conditions."""
    return spelt(alert.segment) or (f"journey = {alert.of('journey')}" if alert.of("journey") else "everywhere")


def summary(alert: Alert) -> str:
    """One sentence in plain words."""
    if alert.rule == LIMIT:
        return f"{alert.n:,} segments are not judged, for {alert.n_of:,} are already: choose fewer dimensions, or raise most_series"
    what = _WHAT[alert.rule].format(expectation=alert.of("expectation"), signal=alert.of("signal"))
    since = datetime.fromtimestamp(alert.from_ms / 1_000, UTC)
    share, usual = (_share(rate, alert.rule) for rate in (alert.rate, alert.baseline_rate))
    said = f"{what} at {where(alert)}: {share} instead of {usual} ({alert.n:,} of {alert.n_of:,} {_OF[alert.rule]} since {since:%Y-%m-%d %H:%M} UTC)"
    if alert.parts:
        said += f"; {' and '.join(_part(part, alert) for part in alert.parts)} rose with it"
    if alert.cause and alert.cause != alert.of("signal"):
        said += f"; {alert.cause} rose most, and {_share(alert.cause_share or 0.0, FRICTION)} met it"
    return f"{said}; {alert.why_resolved}" if alert.why_resolved else said


def _part(segment: Segment, alert: Alert) -> str:
    """Its signal, and where, if that is not all of the alert's place."""
    signal, is_there = segment[IDENTITY.index("signal")], segment[N_SUBJECT:] == alert.segment[N_SUBJECT:]
    return signal if is_there else f"{signal} at {spelt(segment)}"


def _share(rate: float, rule: str) -> str:
    return f"{rate:.2f} a visit" if rule == FRICTION and rate > 1 else f"{100 * rate:.3g} %"
