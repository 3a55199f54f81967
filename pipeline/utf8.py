"""Strings out of bytes of anybody's: which of them are no UTF-8. Polars only says that one of many is not."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError

_ONE_BY_ONE = 32
"""So few are looked at one by one."""


def texts(octets: pl.Series) -> pl.Series:
    """The strings that these bytes are; null where they are no UTF-8."""
    try:
        return octets.cast(pl.String)
    except ComputeError:
        is_wrong = np.zeros(len(octets), np.bool_)
        is_wrong[misread(octets)] = True
        return octets.to_frame().select(pl.when(~pl.Series(is_wrong)).then(pl.col(octets.name)).cast(pl.String)).to_series()


def misread(octets: pl.Series, first: int = 0) -> NDArray[np.int64]:
    """Rows that are no UTF-8; the first row has this number. Halves that are sound are passed over."""
    if len(octets) <= _ONE_BY_ONE:
        return np.array([row for row, value in enumerate(octets.to_list(), first) if not _is_utf8(value)], np.int64)
    try:
        octets.cast(pl.String)
    except ComputeError:
        half = len(octets) // 2
        return np.concatenate([misread(octets[:half], first), misread(octets[half:], first + half)])
    return np.zeros(0, np.int64)


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False
