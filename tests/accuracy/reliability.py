"""How far predicted risks can be believed: in each band what was predicted and what came, and three figures of all."""

from dataclasses import dataclass

import numpy as np
import polars as pl

N_BANDS = 10


@dataclass(frozen=True)
class Reliability:
    """Of some predictions, each with what came."""

    bands: pl.DataFrame
    """`band` (from 0), `n`, `predicted` and `came` in the mean."""
    n: int
    base: float
    """The share that came."""
    brier: float
    """Mean squared distance; base * (1 - base) has who always says `base`."""
    ece: float
    """Expected calibration error: distance of predicted and came in a band, weighted by its n."""
    auc: float
    """How often what came was held likelier than what did not; 0.5: by chance."""


def reliability(rows: pl.DataFrame) -> Reliability:
    """Frames: `risk`, `came` -> the figures."""
    banded = rows.with_columns((pl.col("risk") * N_BANDS).floor().clip(0, N_BANDS - 1).cast(pl.Int64).alias("band"))
    bands = banded.group_by("band").agg(
        pl.len().alias("n"), pl.col("risk").mean().alias("predicted"), pl.col("came").mean().alias("came")
    )
    off = (bands["n"] * (bands["predicted"] - bands["came"]).abs()).sum() / rows.height
    brier = float(np.mean((rows["risk"].to_numpy() - rows["came"].cast(pl.Float64).to_numpy()) ** 2))
    return Reliability(bands.sort("band"), rows.height, float(rows["came"].cast(pl.Float64).mean() or 0.0), brier, off, _auc(rows))


def _auc(rows: pl.DataFrame) -> float:
    ranks = rows.select(pl.col("risk").rank("average"), "came")
    n = int(rows["came"].sum())
    above = float(ranks.filter("came")["risk"].sum()) - n * (n + 1) / 2
    return above / (n * (rows.height - n)) if 0 < n < rows.height else float("nan")
