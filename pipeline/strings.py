"""What must be known of strings in polars: which bytes are none, and what memory they hold."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError

_ONE_BY_ONE = 32
"""So few are looked at one by one."""


def texts(octets: pl.Series) -> pl.Series:
    """The strings that these bytes are; null where they are no UTF-8. (A cast that is not strict raises all the same)."""
    try:
        return octets.cast(pl.String)
    except ComputeError:
        is_text = octets.is_not_null().to_numpy().copy()
        is_text[misread(octets)] = False
        # The cast looks behind nulls as well: first put sound bytes there.
        sound = pl.when(pl.Series(is_text)).then(pl.col(octets.name)).otherwise(pl.lit(b"")).cast(pl.String)
        return octets.to_frame().select(pl.when(pl.Series(is_text)).then(sound).alias(octets.name)).to_series()


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


def owned(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame, with strings that are copies.

    A string of polars is a view, and keeps alive all that its neighbours were when it was read: of decoded events, the values of the whole
    batch. Filters, joins and groups copy views, not strings. So rows that are kept from one batch to the next are kept as copies.
    """
    return frame.with_columns(_copied(frame[name]) for name, dtype in frame.schema.items() if dtype == pl.String)


def _copied(column: pl.Series) -> pl.Series:
    copied = pl.from_arrow(column.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return pl.Series(column.name, copied)


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False
