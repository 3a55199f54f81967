"""Ids that look like those of a real emitter: random UUIDs, reproducible because the generator is handed in."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
_GROUPS = ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24))
"""From, to in the 32 hex digits, and where that group begins in the 36 characters."""


def uuids(rng: np.random.Generator, n: int) -> pl.Series:
    """N random version 4 UUIDs as text."""
    octets = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    digits = _HEX[octets].reshape(n, 32)
    text = np.full((n, 36), ord("-"), dtype=np.uint8)
    for begin, end, at in _GROUPS:
        text[:, at : at + end - begin] = digits[:, begin:end]
    return _strings(text)


def short_ids(rng: np.random.Generator, n: int, prefix: str) -> pl.Series:
    """N random ids of 12 hex digits after a prefix."""
    octets = rng.integers(0, 256, (n, 6), dtype=np.uint8)
    text = np.empty((n, len(prefix) + 12), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    text[:, len(prefix) :] = _HEX[octets].reshape(n, 12)
    return _strings(text)


def _strings(text: NDArray[np.uint8]) -> pl.Series:
    """Rows of ASCII bytes of one width as strings, without a Python object a row."""
    n, width = text.shape
    offsets = np.arange(0, width * n + 1, width, dtype=np.int64)
    array = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
    return pl.Series(array, dtype=pl.String)
