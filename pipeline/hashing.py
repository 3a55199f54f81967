"""Hashes of strings that are the same for ever: on every machine, in every version, over any library.

Ids of results, keys of state and kept event ids rest on them; a library's own hash may change with its version, and what a checkpoint holds
would then belong to nobody. Two 64-bit lanes of multiply, rotate and mix over words of 8 bytes; not for secrets.

Cases:   null -> another hash than '' | ("ab", "c") and ("a", "bc") -> different hashes, for lengths count
"""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_SEEDS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_MULTIPLIERS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xBF58476D1CE4E5B9))
_FINAL = np.uint64(0xC4CEB9FE1A85EC53)
_NULL = np.uint64(0xD6E8FEB86659FD93)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)


def hash64(*columns: pl.Series) -> Hashes:
    """One 64-bit hash a row over all columns, which are strings of equal length."""
    return _lane(0, columns)


def hash128(*columns: pl.Series) -> tuple[Hashes, Hashes]:
    """Two independent 64-bit hashes a row: together they tell apart whatever a business will ever count."""
    return _lane(0, columns), _lane(1, columns)


def also64(hashes: Hashes, *columns: pl.Series) -> Hashes:
    """Mix further columns into what `hash64` gave for the first ones: the same as hashing all of them at once."""
    return _mixed_in(0, hashes.copy(), columns)


def also128(hashes: tuple[Hashes, Hashes], *columns: pl.Series) -> tuple[Hashes, Hashes]:
    """Mix further columns into what `hash128` gave for the first ones."""
    return _mixed_in(0, hashes[0].copy(), columns), _mixed_in(1, hashes[1].copy(), columns)


def hex128(*columns: pl.Series) -> pl.Series:
    """The 128 bits of `hash128` as 32 hex digits: an id."""
    return hexed(*hash128(*columns))


def hexed(high: Hashes, low: Hashes) -> pl.Series:
    """Two lanes as 32 hex digits a row."""
    n = len(high)
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(n, 16)
    digits = np.ascontiguousarray(_HEX[octets].reshape(n, 32))
    offsets = np.arange(0, 32 * n + 1, 32, dtype=np.int64)
    array = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(digits))
    return pl.Series(pl.from_arrow(array))


def _lane(which: int, columns: tuple[pl.Series, ...]) -> Hashes:
    return _mixed_in(which, np.full(len(columns[0]), _SEEDS[which], dtype=np.uint64), columns)


def _mixed_in(which: int, hashes: Hashes, columns: tuple[pl.Series, ...]) -> Hashes:
    with np.errstate(over="ignore"):
        for column in columns:
            hashes = _added(hashes, column.cast(pl.String), _MULTIPLIERS[which])
        return hashes


def _added(hashes: Hashes, column: pl.Series, multiplier: np.uint64) -> Hashes:
    """Mix one column into the hashes, 8 bytes at a time over all rows that are that long."""
    array = column.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, offset_bytes, text = array.buffers()
    offsets = np.frombuffer(offset_bytes, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    starts, lengths = offsets[:-1], np.diff(offsets)
    nulls = column.is_null().to_numpy() if column.null_count() else None
    if nulls is not None:
        lengths[nulls] = 0  # what lies behind a null is anything
    # Words are read where they lie, unaligned and a little beyond the end, which the mask takes away.
    size = 0 if text is None else text.size
    padded = np.zeros(size + 8, dtype=np.uint8)
    if size:
        padded[:size] = np.frombuffer(text, dtype=np.uint8)
    words: NDArray[np.uint64] = np.ndarray((size + 1,), dtype="<u8", buffer=padded.data, strides=(1,))
    hashes = _mixed(hashes ^ lengths.astype(np.uint64), multiplier)
    rows = np.flatnonzero(lengths)
    at = 0
    while len(rows):
        left = lengths[rows] - at
        word = words[starts[rows] + at] & _MASKS[np.minimum(left, 8)]
        hashes[rows] = _mixed(hashes[rows] ^ word, multiplier)
        at += 8
        rows = rows[left > 8]
    if nulls is not None:
        hashes[nulls] = _mixed(hashes[nulls] ^ _NULL, multiplier)
    return hashes


def _mixed(hashes: Hashes, multiplier: np.uint64) -> Hashes:
    hashes = hashes * multiplier
    hashes ^= hashes >> np.uint64(32)
    hashes = hashes * _FINAL
    hashes ^= hashes >> np.uint64(29)
    return hashes
