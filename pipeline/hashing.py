"""Hashes of strings that are the same for ever: on every machine, in every version, over any library.

Ids of results, keys of state and kept event ids rest on them; a library's own hash may change with its version, and what a checkpoint holds
would then belong to nobody. Two 64-bit lanes of multiply, rotate and mix over words of 8 bytes; not for secrets.

Cases:   null -> another hash than '' | ("ab", "c") and ("a", "bc") -> different hashes, for lengths count
"""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_SEEDS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_MULTIPLIERS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xBF58476D1CE4E5B9))
_FINAL = np.uint64(0xC4CEB9FE1A85EC53)
_NULL = np.uint64(0xD6E8FEB86659FD93)
_BLOCK = 1 << 14
"""Rows that are mixed at a time: what is gone over again and again stays in the cache."""
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)


def hash64(*columns: pl.Series) -> Hashes:
    """One 64-bit hash a row over all columns, which are strings of equal length."""
    return _lanes((0,), columns, len(columns[0]))[0]


def hash128(*columns: pl.Series) -> tuple[Hashes, Hashes]:
    """Two independent 64-bit hashes a row: together they tell apart whatever a business will ever count."""
    high, low = _lanes((0, 1), columns, len(columns[0]))
    return high, low


def also64(hashes: Hashes, *columns: pl.Series) -> Hashes:
    """Mix further columns into what `hash64` gave for the first ones: the same as hashing all of them at once."""
    return _mixed_in([hashes.copy()], (0,), columns)[0]


def also128(hashes: tuple[Hashes, Hashes], *columns: pl.Series) -> tuple[Hashes, Hashes]:
    """Mix further columns into what `hash128` gave for the first ones."""
    high, low = _mixed_in([lane.copy() for lane in hashes], (0, 1), columns)
    return high, low


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


def _lanes(which: Sequence[int], columns: Iterable[pl.Series], n: int) -> list[Hashes]:
    return _mixed_in([np.full(n, _SEEDS[lane], dtype=np.uint64) for lane in which], which, columns)


def _mixed_in(hashes: list[Hashes], which: Sequence[int], columns: Iterable[pl.Series]) -> list[Hashes]:
    """Mix columns into these lanes. The lanes are changed in place."""
    multipliers = [_MULTIPLIERS[lane] for lane in which]
    with np.errstate(over="ignore"):
        for column in columns:
            words, starts, lengths, nulls = _words(column)
            for begin in range(0, len(starts), _BLOCK):
                rows = slice(begin, begin + _BLOCK)
                lanes = [lane[rows] for lane in hashes]
                _mix_in_block(lanes, multipliers, words, starts[rows], lengths[rows])
            if nulls is not None:
                for lane, multiplier in zip(hashes, multipliers, strict=True):
                    mixed = lane[nulls] ^ _NULL
                    _mix(mixed, multiplier)
                    lane[nulls] = mixed
    return hashes


def _mix_in_block(
    lanes: list[Hashes], multipliers: Sequence[np.uint64], words: NDArray[np.uint64], starts: NDArray[np.int64], lengths: Hashes
) -> None:
    """Mix in the words of some rows, 8 bytes at a time over all rows that are that long."""
    for lane, multiplier in zip(lanes, multipliers, strict=True):
        np.bitwise_xor(lane, lengths, out=lane)
        _mix(lane, multiplier)
    shortest, longest = int(lengths.min()), int(lengths.max())
    for at in range(0, longest, 8):
        # Most columns are ids of one length: there no row needs to be picked.
        rows = slice(None) if at < shortest else np.flatnonzero(lengths > at)
        word = words[starts[rows] + at]
        if at + 8 > shortest:
            word &= _MASKS[np.minimum(lengths[rows] - np.uint64(at), 8)]
        for lane, multiplier in zip(lanes, multipliers, strict=True):
            mixed = lane[rows] ^ word
            _mix(mixed, multiplier)
            lane[rows] = mixed


def _words(column: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.bool_] | None]:
    """The bytes of a column as words that begin at every byte, where each row starts, how long it is (0: null), and which are null."""
    array = column.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, offset_bytes, text = array.buffers()
    offsets = np.frombuffer(offset_bytes, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    lengths = np.diff(offsets).astype(np.uint64)
    nulls = column.is_null().to_numpy() if column.null_count() else None
    if nulls is not None:
        lengths[nulls] = 0  # what lies behind a null is anything
    # Words are read where they lie, unaligned and a little beyond the end, which a mask takes away.
    size = 0 if text is None else text.size
    padded = np.zeros(size + 8, dtype=np.uint8)
    if size:
        padded[:size] = np.frombuffer(text, dtype=np.uint8)
    words: NDArray[np.uint64] = np.ndarray((size + 1,), dtype="<u8", buffer=padded.data, strides=(1,))
    return words, offsets[:-1], lengths, nulls


def _mix(hashes: Hashes, multiplier: np.uint64) -> None:
    hashes *= multiplier
    hashes ^= hashes >> np.uint64(32)
    hashes *= _FINAL
    hashes ^= hashes >> np.uint64(29)
