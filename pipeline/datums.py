"""Many Avro datums of one flat schema, read column by column: all rows take one field at a time.

Every row has a cursor of its own that begins at its datum, only moves on, and must end exactly where its datum ends. So no row can borrow a byte
of its neighbour, and what is wrong with one changes no other. Only the canonical encoding is taken: shortest varints, union index 0 or 1,
booleans 0 or 1, ints of 32 bits, UTF-8; encoding the row again would give the same bytes. Strings stay where they lie: a column of strings
is views into the joined values.

Cases:   a varint of nine bytes or more is sound, but marked as well: it is for whoever reads that datum alone
         a marked row -> its values mean nothing, and are safe to look at
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from polars.exceptions import ComputeError

from pipeline.layouts import Layout, Place
from pipeline.strings import misread

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Places = NDArray[np.int64]

_SHORT = 64
"""Lengths below it are varints of one byte."""
_PAD = 1 << 16
"""Zeros after the last value: a cursor that has left its datum moves at most _SHORT + 2 bytes a field, and eight are read at once."""
MAX_FIELDS = _PAD // (_SHORT + 2) - 1
_INLINE = 12
"""Strings up to this length lie in their view."""

_U = np.uint64
_HIGH = _U(0x8080808080808080)
_FIRST_4 = np.array([(1 << 8 * min(n, 4)) - 1 for n in range(256)], dtype=np.uint64)
_NEXT_8 = np.array([(1 << 8 * min(max(n - 4, 0), 8)) - 1 for n in range(256)], dtype=np.uint64)
_ARROW = {"int": pa.int32(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}


class Body:
    """Values of many records, one after the other, and where each begins and ends."""

    def __init__(self, values: Sequence[bytes], sizes: Places | None = None) -> None:
        """Join them; together they are shorter than 4 GiB, for a view counts 32 bits. `sizes` are theirs, where they are known."""
        raw = b"".join([*values, bytes(_PAD)])
        assert len(raw) < 1 << 32, f"{len(raw)} bytes are more than a view can point into"
        self.octets: Bytes = np.frombuffer(raw, np.uint8)
        self.buffer = pa.py_buffer(raw)
        self.ends: Places = np.cumsum(sizes_of(values) if sizes is None else sizes)
        self.starts: Places = np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(values)]
        # Words are read where they lie, unaligned.
        self.words: Words = np.ndarray((len(raw) - 7,), "<u8", raw, strides=(1,))
        self.halves: NDArray[np.uint32] = np.ndarray((len(raw) - 3,), "<u4", raw, strides=(1,))
        self.doubles: NDArray[np.float64] = np.ndarray((len(raw) - 7,), "<f8", raw, strides=(1,))


def sizes_of(values: Sequence[bytes]) -> Places:
    """How many bytes each has. Raises: TypeError if one is None."""
    return np.fromiter(map(len, values), np.int64, len(values))


@dataclass(frozen=True)
class Columns:
    """What was read."""

    series: dict[str, pl.Series | None]
    """Field -> its values; None: null in every row."""
    marked: NDArray[np.bool_]
    """Rows that are not the canonical encoding of anything, or too strange to be read this way."""


@dataclass
class _Reading:
    """Some rows at one field: where they stand, and what is wrong with them so far."""

    body: Body
    at: Places
    ends: Places
    wrong: Bytes

    def columns(self, places: Layout) -> Columns:
        series = {place.name: self._column(place) for place in places}
        return Columns(series, (self.wrong != 0) | (self.at != self.ends))

    def _column(self, place: Place) -> pl.Series | None:
        rows, validity = None, None
        if place.is_nullable:
            index = self.body.octets.take(self.at)
            self.at += 1
            self.wrong |= index & np.uint8(0xFD)
            given = index != 0
            n_given = np.count_nonzero(given)
            if not n_given:
                return None
            if n_given < len(given):
                rows = np.flatnonzero(given)
                validity = pa.py_buffer(np.packbits(given, bitorder="little"))
        at = self.at if rows is None else self.at.take(rows)
        read = {"string": self._strings, "double": self._doubles, "boolean": self._booleans}.get(place.kind, self._numbers)
        values, after, wrong = read(at, rows, place)
        if wrong is not None and wrong.any():
            self._mark(rows, wrong)
        if rows is None:
            self.at = after
        else:
            self.at[rows] = after
        if place.kind == "string":
            return self._texts(place.name, values, rows, validity)
        return self._series(place, values, rows, validity)

    def _mark(self, rows: Places | None, wrong: NDArray[Any]) -> None:
        if rows is None:
            self.wrong |= wrong
        else:
            self.wrong[rows] |= wrong

    # One kind each: the values that begin at these places, the places behind them, and what is wrong -------------------------

    def _varints(self, at: Places) -> tuple[Words, Places, NDArray[np.bool_] | None]:
        first = self.body.octets.take(at)
        if first.max() < 0x80:
            return first.astype(np.uint64), at + 1, None
        wide = np.flatnonzero(first >= 0x80)
        if len(wide) == len(at):
            values, sizes, wrong = _wide_varints(self.body.words[at])
            return values, at + sizes, wrong
        values, after, wrong = first.astype(np.uint64), at + 1, np.zeros(len(at), np.bool_)
        values[wide], sizes, wrong[wide] = _wide_varints(self.body.words[at[wide]])
        after[wide] += sizes - 1
        return values, after, wrong

    def _numbers(self, at: Places, _rows: Places | None, place: Place) -> tuple[NDArray[Any], Places, NDArray[np.bool_] | None]:
        values, after, wrong = self._varints(at)
        if place.kind == "int" and wrong is not None:
            wrong |= values > _U(0xFFFFFFFF)
        signs = (values & _U(1)).view(np.int64)
        values >>= _U(1)
        numbers = values.view(np.int64) ^ -signs
        return numbers.astype(np.int32) if place.kind == "int" else numbers, after, wrong

    def _doubles(self, at: Places, _rows: Places | None, _place: Place) -> tuple[NDArray[Any], Places, None]:
        return self.body.doubles[at], at + 8, None

    def _booleans(self, at: Places, _rows: Places | None, _place: Place) -> tuple[NDArray[Any], Places, NDArray[np.bool_]]:
        values = self.body.octets.take(at)
        return values, at + 1, values > 1

    def _strings(self, at: Places, rows: Places | None, _place: Place) -> tuple[NDArray[Any], Places, NDArray[Any]]:
        """Values are views of 16 bytes: length, first 4 bytes, and then the other 8, or number of the buffer and place in it."""
        lengths = self.body.octets.take(at)
        if lengths.max() < 2 * _SHORT:
            wrong: NDArray[Any] = lengths & np.uint8(1)  # a negative length
            lengths >>= np.uint8(1)
            begin = at + 1
            after = begin + lengths
            return self._views(begin, lengths, lengths), after, wrong
        values, begin, odd = self._varints(at)
        wrong = (values & _U(1)).astype(np.bool_)
        if odd is not None:
            wrong |= odd
        long = (values >> _U(1)).view(np.int64)
        # A length of 2^55 must neither overflow nor point anywhere: the row is marked, and ends here.
        ends = self.ends if rows is None else self.ends.take(rows)
        beyond = wrong | (begin + long > ends)
        if beyond.any():
            wrong |= beyond
            long[beyond] = 0
            begin[beyond] = ends[beyond]
        return self._views(begin, long, np.minimum(long, 255).astype(np.uint8)), begin + long, wrong

    def _views(self, begin: Places, lengths: NDArray[Any], capped: Bytes) -> Words:
        views = np.empty((len(begin), 2), np.uint64)
        heads = self.body.halves[begin].astype(np.uint64)
        if capped.min() > _INLINE:
            tails = begin.astype(np.uint64) << _U(32)
        else:
            heads &= _FIRST_4.take(capped)
            tails = self.body.words[begin + 4] & _NEXT_8.take(capped)
            if capped.max() > _INLINE:
                tails = np.where(capped > _INLINE, begin.astype(np.uint64) << _U(32), tails)
        views[:, 0] = (heads << _U(32)) | lengths.astype(np.uint64)
        views[:, 1] = tails
        return views

    # Columns ----------------------------------------------------------------------------------------------------------------

    def _texts(self, name: str, views: Words, rows: Places | None, validity: pa.Buffer | None) -> pl.Series:
        n = len(self.at)
        if rows is not None:
            spread = np.zeros((n, 2), np.uint64)
            spread[:, 0][rows] = views[:, 0]
            spread[:, 1][rows] = views[:, 1]
            views = spread
        if self.wrong.any():
            views[self.wrong != 0] = 0  # the empty string: what stands there now may be no UTF-8
        array = pa.Array.from_buffers(pa.binary_view(), n, [validity, pa.py_buffer(views), self.body.buffer])
        octets = pl.Series(name, array)
        try:
            return octets.cast(pl.String)
        except ComputeError:
            bad = misread(octets)
            self.wrong[bad] = 1
            views[bad] = 0
            return octets.cast(pl.String)

    def _series(self, place: Place, values: NDArray[Any], rows: Places | None, validity: pa.Buffer | None) -> pl.Series:
        n = len(self.at)
        if rows is not None:
            spread = np.zeros(n, values.dtype)
            spread[rows] = values
            values = spread
        if place.kind == "boolean":
            values = np.packbits(values, bitorder="little")
        return pl.Series(place.name, pa.Array.from_buffers(_ARROW[place.kind], n, [validity, pa.py_buffer(values)]))


def columns(body: Body, starts: Places, ends: Places, places: Layout) -> Columns:
    """Read the datums that lie between these places, which are at least one."""
    assert len(places) <= MAX_FIELDS, f"{len(places)} fields are more than the padding allows for"
    return _Reading(body, starts.copy(), ends, np.zeros(len(starts), np.uint8)).columns(places)


def _wide_varints(words: Words) -> tuple[Words, Places, NDArray[np.bool_]]:
    """Varints of up to eight bytes at the low end of words: value, size, and whether it is longer than that or than it must be."""
    stops = ~words & _HIGH
    last = stops & (~stops + _U(1))  # the lowest bit that stands: the high bit of the last byte
    sizes = ((np.bitwise_count(last - _U(1)) + np.uint8(1)) >> np.uint8(3)).astype(np.int64)
    values = words & (last - _U(1))
    values = (values & _U(0x007F007F007F007F)) | ((values & _U(0x7F007F007F007F00)) >> _U(1))
    values = (values & _U(0x00003FFF00003FFF)) | ((values & _U(0x3FFF00003FFF0000)) >> _U(2))
    values = (values & _U(0x000000000FFFFFFF)) | ((values & _U(0x0FFFFFFF00000000)) >> _U(4))
    least = (sizes - 1).view(np.uint64) * _U(7)
    return values, sizes, (stops == 0) | ((values >> least) == 0) & (sizes > 1)
