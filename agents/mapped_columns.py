"""Columns of a mapping: which of ClickHouse's types fit a field of the contract, and how a value becomes one.

Cases:   '' -> null | a number that the field cannot hold -> null and a misfit, told with the value | a type that never fits -> refused before any row is read
"""

import re
from dataclasses import dataclass

import polars as pl

from pipeline.frames import TIME

TEXT = "text"
"""The type of a column of a file whose format knows only text; every value is looked at by itself."""

CONTRACT_TYPES: dict[object, str] = {
    pl.String: "String",
    pl.Int32: "Int32",
    pl.Int64: "Int64",
    pl.Float64: "Float64",
    pl.Boolean: "Bool",
    TIME: "DateTime64(3, 'UTC')",
}
"""dtype of a field -> the type it has in ClickHouse."""

_WRAPPED = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")
_INTEGER = re.compile(r"^(U?)Int(\d+)$")
_FRACTION = re.compile(r"^(?:B?Float\d+|Decimal(?:\d*)\(.*\))$")
_STRING = re.compile(r"^(?:String|FixedString\(\d+\)|UUID|Enum(?:8|16)\(.*\)|IPv[46])$", re.DOTALL)
_TIME = re.compile(r"^(?:Date|Date32|DateTime(?:64)?(?:\(.*\))?)$")
_NOTHING = "Nothing"
"""The type of a bare NULL: it fits every field."""

_FITS: dict[object, tuple[re.Pattern[str], ...]] = {
    pl.String: (_STRING, _INTEGER),
    pl.Int32: (_INTEGER, _FRACTION),
    pl.Int64: (_INTEGER, _FRACTION),
    pl.Float64: (_INTEGER, _FRACTION),
    pl.Boolean: (re.compile("^Bool$"), _INTEGER),
    TIME: (_TIME,),
}
_HINTS: dict[object, str] = {
    pl.String: "toString(...)",
    pl.Int32: "toInt32OrNull(...)",
    pl.Int64: "toInt64OrNull(...), for money toInt64(round(100 * ...))",
    pl.Float64: "toFloat64OrNull(...)",
    pl.Boolean: "a comparison, or 0 and 1",
    TIME: "parseDateTime64BestEffortOrNull(..., 3), or fromUnixTimestamp64Milli(...)",
}


def bare(type_: str) -> str:
    """A type without what only says how it is stored, or that null may stand there."""
    while found := _WRAPPED.match(type_):
        type_ = found[1]
    return type_


def fits(dtype: object, type_: str) -> bool:
    """Whether values of this type can be values of the field."""
    plain = bare(type_)
    return plain in (TEXT, _NOTHING) or any(pattern.match(plain) for pattern in _FITS[dtype])


def hint(dtype: object) -> str:
    """What to write in the mapping instead."""
    return _HINTS[dtype]


@dataclass(frozen=True)
class MappedColumn:
    """A field of the contract, as a mapping gives it."""

    name: str
    dtype: object
    """That of the contract."""
    type_: str
    """That of the mapping, TEXT or as DESCRIBE names it."""

    @property
    def value(self) -> str:
        """The value as an expression of ClickHouse, Nullable of the contract's type; null too where it does not fit."""
        given, wanted, plain = f"_q.{self.name}", CONTRACT_TYPES[self.dtype], bare(self.type_)
        if self.dtype == pl.String:
            return f"nullIf(CAST({given} AS Nullable(String)), '')"
        if self.dtype == TIME:
            return text_time(given) if plain == TEXT else f"CAST({given} AS Nullable({wanted}))"
        if self.dtype == pl.Boolean and _INTEGER.match(plain):
            return f"multiIf({given} = 0, false, {given} = 1, true, CAST(NULL AS Nullable(Bool)))"
        if plain.startswith("Decimal") and self.dtype != pl.Float64:
            # An accurate cast of a decimal cuts its fraction off, and of one too large it fails.
            return f"if(trunc({given}) = {given}, accurateCastOrNull(toString(trunc({given})), '{wanted}'), NULL)"
        if self._may_misfit:
            return f"accurateCastOrNull({given}, '{wanted}')"
        return f"CAST({given} AS Nullable({wanted}))"

    @property
    def misfit(self) -> str | None:
        """The value that does not fit, '' if it does; None: every value fits."""
        if not self._may_misfit:
            return None
        given = f"CAST(_q.{self.name} AS Nullable(String))"
        return f"if(isNull({self.value}), ifNull({given}, ''), '')"

    @property
    def _may_misfit(self) -> bool:
        plain = bare(self.type_)
        if self.dtype == pl.String or plain == _NOTHING or (self.dtype == TIME and plain != TEXT):
            return False
        integer = _INTEGER.match(plain)
        if self.dtype == pl.Float64:
            return plain == TEXT
        if self.dtype == pl.Boolean:
            return plain != "Bool"
        if integer is None:
            return True
        unsigned, bits = bool(integer[1]), int(integer[2])
        return bits + unsigned > (32 if self.dtype == pl.Int32 else 64)


def text_time(given: str) -> str:
    """A time that is text: epoch milliseconds if it is a number, else ISO 8601."""
    number = f"fromUnixTimestamp64Milli(toInt64OrNull({given}), 'UTC')"
    return f"if(match(ifNull({given}, ''), '^-?[0-9]{{1,15}}$'), {number}, parseDateTime64BestEffortOrNull({given}, 3, 'UTC'))"
