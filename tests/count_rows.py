"""Rows of rollups, made directly: a shop whose visits and lapses have seasons and are noisier than chance, with shocks that are known.

One seed, one shop. Counts are drawn interval by interval, so 28 days of 200 segments take seconds.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl

from pipeline.frames import TIME
from pipeline.passed import COUNT, EXAMPLE, heard

SCHEMA = pl.Schema({**heard(COUNT, EXAMPLE)})
MONDAY_MS = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1_000)
STEPS = ("browse", "product", "cart", "checkout", "shipping", "payment", "purchased")
REACHED = (1.0, 0.7, 0.4, 0.28, 0.22, 0.19, 0.15)
"""Share of visits that reach each step."""
LEFT = {"cart": 0.35, "checkout": 0.10, "shipping": 0.05, "payment": 0.08}
"""Share of waits that begin that are given up there."""
SIGNALS = (("rage_click", "checkout", 0.02), ("form_error_loop", "payment", 0.03), ("slow_page", "product", 0.06))
"""Name, step, how many a visit."""
PARCEL, PARCEL_MS = "next_scan_after_scan", 24 * 3_600_000
"""What is expected of parcels, and how long after an hour its waits are over."""
WAIT_MS = 31 * 60_000
"""How long after an interval its waits are over."""


@dataclass(frozen=True)
class Shock:
    """What goes wrong: a share is so many times what it was."""

    what: str
    """A step at which visits are given up, a signal, an expectation, or `exits:` and the step that so many times fewer go on from."""
    times: float
    from_ms: int
    to_ms: int
    device: str = ""
    country: str = ""
    step: str = ""
    """Of a signal that is met at several."""

    def factor(self, what: str, device: str, country: str, at_ms: int, step: str = "") -> float:
        """By which the share is multiplied there and then."""
        here = self.what == what and self.step in ("", step) and self.device in ("", device) and self.country in ("", country)
        return self.times if here and self.from_ms <= at_ms < self.to_ms else 1.0


@dataclass
class CountedShop:
    """Draws its counts. `visits`: of a whole day."""

    seed: int
    visits: float = 60_000
    devices: Sequence[tuple[str, float]] = (("mobile", 0.6), ("desktop", 0.32), ("tablet", 0.08))
    countries: Sequence[tuple[str, float]] = (("", 1.0),)
    interval_s: int = 300
    shocks: Sequence[Shock] = ()
    noise: float = 0.15
    """By how much shares wander beyond chance: standard deviation of their logarithm."""
    lapses: bool = False
    """Whether parcels are counted as well, by the hour, by the fold of orders."""
    measures: Sequence[str] = ("sessions", "reached", "began", "abandoned", "signals")
    signals: Sequence[tuple[str, str, float]] = SIGNALS
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Draw what is its own."""
        self.rng = np.random.default_rng([self.seed, 7])
        self.wander: dict[str, float] = {}
        self.phase = float(self.rng.uniform(0, 24))

    def season(self, at_ms: int) -> float:
        """Visits at this time, of the mean: few at night, fewer at weekends."""
        hours = (at_ms - MONDAY_MS) / 3_600_000
        day = math.exp(0.9 * math.cos(2 * math.pi * (hours - 15) / 24) - 0.2)
        return day * (0.75 if hours // 24 % 7 >= 5 else 1.05)

    def tendency(self, what: str, at_ms: int) -> float:
        """How much more is given up at this time: a season of the day and the week, and a level that wanders slowly."""
        hours = (at_ms - MONDAY_MS) / 3_600_000
        steady = 1 + 0.25 * math.cos(2 * math.pi * (hours - self.phase) / 24) + (0.12 if hours // 24 % 7 >= 5 else 0)
        step = self.interval_s / 3_600
        keep = math.exp(-step / 2)  # of two hours ago a third is left
        self.wander[what] = self.wander.get(what, 0.0) * keep + float(self.rng.normal(0, self.noise / 2 * math.sqrt(1 - keep**2)))
        return steady * math.exp(self.wander[what])

    def rows(self, n_intervals: int, from_ms: int = MONDAY_MS) -> Iterator[tuple[int, list[tuple[object, ...]]]]:
        """Start of each interval, and its counts."""
        span = self.interval_s * 1_000
        for at_ms in range(from_ms, from_ms + n_intervals * span, span):
            yield at_ms, self._interval(at_ms, span)

    def _interval(self, at_ms: int, span: int) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        tendencies = {what: self.tendency(what, at_ms) for what in (*LEFT, *(name for name, _, _ in self.signals))}
        mean = self.visits * self.interval_s / 86_400 * self.season(at_ms)
        for device, share in self.devices:
            for country, part in self.countries:
                visits = int(self.rng.poisson(mean * share * part))
                if not visits:
                    continue

                def count(measure: str, n: int, **of: str) -> None:
                    if measure in self.measures:
                        matures = at_ms + span + (WAIT_MS if measure in ("began", "abandoned") else 60_000)
                        ids = (of.get("journey", ""), of.get("step", ""), of.get("expectation", ""), of.get("signal", ""))
                        found.append((at_ms, self.interval_s, "sessions", measure, *ids, device, country, n, matures))  # noqa: B023 - called at once

                count("sessions", visits)
                left = visits
                for place, step in enumerate(STEPS):
                    share_on = REACHED[place] / (REACHED[place - 1] if place else 1)
                    for shock in self.shocks if place else ():
                        share_on /= shock.factor(f"exits:{STEPS[place - 1]}", device, country, at_ms)
                    left = int(self.rng.binomial(left, share_on))
                    count("reached", left, journey="shop", step=step)
                began = int(self.rng.binomial(visits, REACHED[2]))
                count("began", began, journey="shop", step="cart", expectation="order_after_commit")
                rest = began
                for step, rate in LEFT.items():
                    now = self._share(rate, step, device, country, at_ms, tendencies[step])
                    gone = min(rest, int(self.rng.binomial(began, now)))
                    rest -= gone
                    if gone:
                        count("abandoned", gone, journey="shop", step=step, expectation="order_after_commit")
                for name, step, rate in self.signals:
                    now = self._share(rate, name, device, country, at_ms, tendencies[name], most=5.0, step=step)
                    fired = int(self.rng.poisson(visits * now))
                    if fired:
                        count("signals", fired, journey="delivery" if step == "in_transit" else "shop", step=step, signal=name)
                if self.lapses and at_ms % 3_600_000 == 0:
                    parcels = int(self.rng.poisson(mean * share * part * 3_600 / self.interval_s * 0.15))
                    now = self._share(0.06, PARCEL, device, country, at_ms, tendencies["payment"])
                    ids = ("delivery", "in_transit", PARCEL, "")
                    for measure, n in (("began", parcels), ("abandoned", int(self.rng.binomial(parcels, now)))):
                        if n:
                            matures = at_ms + 3_600_000 + PARCEL_MS
                            found.append((at_ms, 3_600, "fulfilment", measure, *ids, device, country, n, matures))
        return found

    def _share(
        self, rate: float, what: str, device: str, country: str, at_ms: int, tendency: float, most: float = 0.95, step: str = ""
    ) -> float:
        own = math.exp(self.rng.normal(0, self.noise / 2))
        shocked = math.prod(shock.factor(what, device, country, at_ms, step) for shock in self.shocks)
        return min(most, rate * tendency * own * shocked)


COLUMNS = {
    "interval_ms": pl.Int64, "interval_s": pl.UInt32, "source": pl.String, "measure": pl.String, "journey": pl.String, "step": pl.String,
    "expectation": pl.String, "signal": pl.String, "device": pl.String, "country": pl.String, "n": pl.Int64, "matures_ms": pl.Int64,
}  # fmt: skip


def heard_rows(rows: Sequence[tuple[object, ...]], *, site: str = "shop.example", version: int = 1) -> pl.DataFrame:
    """As the fold of spikes is given them. Frames: -> heard(COUNT, EXAMPLE)."""
    told = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    given = told.select(
        *(
            pl.col(name)
            for name in ("source", "measure", "journey", "step", "expectation", "signal", "device", "country", "interval_s", "n")
        ),
        pl.lit(COUNT).alias("family"),
        pl.lit(site).alias("site"),
        pl.lit("").alias("acquisition_channel"),
        pl.lit(0, pl.UInt32).alias("source_partition"),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.lit(version, pl.Int64).alias("version"),
        pl.col("interval_ms").cast(TIME).alias("interval_at"),
        pl.col("matures_ms").cast(TIME).alias("matures_at"),
    )
    return given.select(
        (pl.col(name) if name in given.columns else pl.lit(None).alias(name)).cast(dtype) for name, dtype in SCHEMA.items()
    )


def watermarks(at_ms: int, partition: int = 0) -> pl.DataFrame:
    """Everybody has come so far."""
    at = pl.Series([at_ms], dtype=pl.Int64).cast(TIME)
    return pl.DataFrame([pl.Series("partition", [partition], pl.Int32), at.alias("watermark"), at.alias("of_visits")])


def example_rows(told: Sequence[tuple[object, ...]], *, site: str = "shop.example") -> pl.DataFrame:
    """Of whom something was counted: interval_ms, measure, step, expectation, device, example, value_minor, currency, and a signal. Frames: -> heard(COUNT, EXAMPLE)."""
    names = ("interval_ms", "measure", "step", "expectation", "device", "example", "value_minor", "currency", "signal")
    told = [(*row, "")[: len(names)] for row in told]
    types = {name: pl.Int64 if name in ("interval_ms", "value_minor") else pl.String for name in names}
    given = pl.DataFrame(told, schema=types, orient="row").with_columns(
        pl.lit(EXAMPLE).alias("family"),
        pl.lit(site).alias("site"),
        pl.lit("sessions").alias("source"),
        pl.lit("shop").alias("journey"),
        *(pl.lit("").alias(name) for name in ("country", "acquisition_channel")),
        pl.lit(0, pl.Int32).alias("partition"),
        pl.col("interval_ms").cast(TIME).alias("interval_at"),
    )
    return given.select(
        (pl.col(name) if name in given.columns else pl.lit(None).alias(name)).cast(dtype) for name, dtype in SCHEMA.items()
    )


def segment_rows(n: int, at_ms: int, *, seed: int, interval_s: int = 300) -> list[tuple[object, ...]]:
    """About so many segments: visits and a signal of ten devices and so many countries that all sums over them are as many."""
    rng = np.random.default_rng(seed)
    devices = [f"device-{no}" for no in range(10)]
    countries = [f"{no:03d}" for no in range(max(1, round(n / 22) - 1))]
    rows: list[tuple[object, ...]] = []
    for device in devices:
        for country in countries:
            visits = int(rng.poisson(40)) + 1
            matures = at_ms + interval_s * 1_000
            rows.append((at_ms, interval_s, "sessions", "sessions", "", "", "", "", device, country, visits, matures))
            fired = int(rng.poisson(0.05 * visits))
            rows.append(
                (at_ms, interval_s, "sessions", "signals", "shop", "payment", "", "rage_click", device, country, fired, matures)
            )
    return rows
