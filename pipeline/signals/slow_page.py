"""Slow page: a page told a web vital that is poor.

A class of devices may have borders of its own.

Cases:   no value, or none that is a number -> quiet | a vital we know no border of -> quiet | at the border -> quiet
"""

from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

import polars as pl

from pipeline.definitions import Fires, Happening, Quiet, Signal, happened
from pipeline.signal_runs import telling

_MOST = 1e15
"""Whatever is slower is told as this slow."""


@dataclass(frozen=True)
class SlowPage:
    """Above what a vital is poor."""

    lcp_ms: float = 4_000.0
    """Largest contentful paint."""
    inp_ms: float = 500.0
    """Interaction to next paint."""
    cls: float = 0.25
    """Cumulative layout shift: a share of the screen times a share of it, no unit."""
    mobile_lcp_ms: float | None = None
    """The same on what is held in the hand (`mobile_devices`); None: as elsewhere."""
    mobile_inp_ms: float | None = None
    """The same on what is held in the hand; None: as elsewhere."""
    mobile_cls: float | None = None
    """The same on what is held in the hand; None: as elsewhere."""
    mobile_devices: tuple[str, ...] = ("mobile", "tablet", "app")
    """Devices that are held in the hand; an unknown one is not."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a border that is negative or no number."""
        for name in ("lcp_ms", "inp_ms", "cls", "mobile_lcp_ms", "mobile_inp_ms", "mobile_cls"):
            border = getattr(self, name)
            if border is None and name.startswith("mobile_"):
                continue
            if not isfinite(border) or border < 0:
                message = f"slow_page: {name} must be a number that is not negative, not {border}"
                raise ValueError(message)


def counts(rule: SlowPage) -> pl.Expr:
    """Vitals that are poor."""
    metric, value = pl.col("metric"), pl.col("value")
    borders = (
        ("LCP", rule.lcp_ms, rule.mobile_lcp_ms),
        ("INP", rule.inp_ms, rule.mobile_inp_ms),
        ("CLS", rule.cls, rule.mobile_cls),
    )
    is_mobile = pl.col("device").is_in(list(rule.mobile_devices)).fill_null(value=False)
    poor = pl.lit(value=False)
    for name, everywhere, mobile in borders:
        border = everywhere if mobile is None else pl.when(is_mobile).then(mobile).otherwise(everywhere)
        poor |= (metric == name) & (value > border)
    # Polars holds that nothing is greater than NaN.
    return (poor & value.is_finite()).fill_null(value=False)


def fires(vitals: pl.DataFrame, _rule: SlowPage) -> pl.DataFrame:
    """Every vital that counts. Frames: -> FIRES."""
    value = pl.col("value").clip(upper_bound=_MOST)
    whole, thousandths = value.floor().cast(pl.Int64), (value * 1_000).clip(upper_bound=_MOST).floor().cast(pl.Int64)
    shift = pl.format("CLS {}.{}", thousandths // 1_000, (thousandths % 1_000).cast(pl.String).str.zfill(3))
    return vitals.with_row_index("row").pipe(
        telling,
        value="value",
        element="metric",
        detail=pl.when(pl.col("metric") == "CLS").then(shift).otherwise(pl.format("{} {} ms", "metric", whole)),
    )


def vital(metric: str | None, value: float | None) -> tuple[Happening, ...]:
    """One measurement for an example."""
    return (happened("web_vital", at_ms=0, metric=metric, value=value),)


SLOW_PAGE = Signal(
    name="slow_page",
    version=1,
    meaning="A page is poor in a web vital: it paints late, answers late or jumps about.",
    measures="the vital: ms of LCP and INP, the number itself of CLS",
    reads=("web_vital",),
    columns=("metric", "value"),
    sifts=("device",),
    rule=SlowPage(),
    looks_back=lambda _rule: timedelta(0),
    counts=counts,
    fires=fires,
    evidence=("page", "metric", "value"),
    source=(
        "The borders of 'poor' of web.dev's Core Web Vitals, as in the web-vitals library (onLCP.ts, onINP.ts, onCLS.ts). They are meant for the "
        "75th percentile of a page; here they judge what one customer met. web.dev sets one border for all devices, and so do we; who expects less of phones says so with `mobile_...`."
    ),
    examples=(
        Fires("painted after five seconds", vital("LCP", 5_000)),
        Fires("answered after 501 ms", vital("INP", 501)),
        Fires("jumps about", vital("CLS", 0.3)),
        Quiet("at the border", vital("LCP", 4_000)),
        Quiet("could be better", vital("INP", 440)),
        Quiet("steady", vital("CLS", 0.02)),
        Quiet("another vital", vital("TTFB", 9_000)),
        Quiet("no value", vital("LCP", None)),
        Quiet("no number", vital("LCP", float("nan"))),
        Quiet("infinite", vital("LCP", float("inf"))),
        Quiet("no name", vital(None, 9_000)),
    ),
)
