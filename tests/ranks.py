"""How well a number ranks: of one who did and one who did not, how often the first has more."""

import polars as pl


def auc(score: pl.Series, is_one: pl.Series) -> float:
    """Area under the ROC curve, from ranks (Mann and Whitney); equal scores count half."""
    n, n_ones = len(is_one), int(is_one.sum())
    above = score.rank("average").filter(is_one).sum() - n_ones * (n_ones + 1) / 2
    return float(above / (n_ones * (n - n_ones)))
