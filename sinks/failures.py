"""What can go wrong with ClickHouse, and what mends it: waiting, a person, or giving up the rows."""

import re
from enum import StrEnum

from clickhouse_connect.driver.exceptions import Error


class Cure(StrEnum):
    """What mends a failed write."""

    WAITING = "waiting"
    """The server is busy, full or away."""
    REPAIR = "repair"
    """Somebody must do something: migrate, mend the password, the grants or the server. The rows are fine."""
    UPGRADE = "upgrade"
    """A newer version has written these rows, and knows more of them than this one. The rows are fine."""
    REFUSAL = "refusal"
    """These rows are not taken, however often they come."""


class StoreBusy(RuntimeError):
    """The embedded store is open elsewhere; one process at a time can have it."""


class ReadRefused(ValueError):
    """Not a statement that only reads the tables."""


class WriteFailed(RuntimeError):
    """Rows were not written, or nobody knows whether they were."""

    def __init__(self, message: str, *, code: int | None = None, cure: Cure | None = None) -> None:
        """Say what happened; `code` is ClickHouse's error code, None if it never answered."""
        super().__init__(message)
        self.code = code
        self.cure = cure if cure is not None else _cure(code)

    @property
    def retryable(self) -> bool:
        """Whether the same rows may be taken later, without anybody doing anything."""
        return self.cure == Cure.WAITING

    @property
    def may_be_rows(self) -> bool:
        """Whether it may be about the rows after all: an error that we do not know, and that neither passes nor is surely about something else."""
        return self.cure == Cure.REPAIR and self.code is not None and self.code not in _NEVER_ROWS

    @property
    def fewer_may_pass(self) -> bool:
        """Whether a part of the rows may be taken where all of them are not."""
        return self.may_be_rows or self.code in _TOO_MUCH or _TOO_LARGE_FOR_HTTP in str(self)

    @property
    def advice(self) -> str:
        """What a person can do about it."""
        if self.cure == Cure.UPGRADE:
            return _UPGRADE
        if self.code is None and self.cure != Cure.WAITING:
            return _LOOK if self.cure == Cure.REPAIR else _DEFECT
        return _ADVICE.get(self.code, _IT_PASSES if self.retryable else _LOOK)


def failure(error: Exception) -> WriteFailed:
    """The same, in our terms."""
    if _DISK_FULL.search(str(error)):
        return WriteFailed(words(error), code=_NO_SPACE)
    return WriteFailed(words(error), code=error.code if isinstance(error, Error) else None)


def words(error: Exception) -> str:
    """What the engine or its client says, once, on one line, without versions and addresses."""
    line = _AFTER.sub("", _BEFORE.sub("", str(error).strip().partition("\n")[0])).strip()
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " [...]"


def _cure(code: int | None) -> Cure:
    if code in _REFUSALS:
        return Cure.REFUSAL
    return Cure.WAITING if code is None or code in _PASSING else Cure.REPAIR


_LONGEST = 500
_BEFORE = re.compile(r"^(?:Received ClickHouse exception, code: \d+, server response: )?(?:Code: \d+\. DB::\w*Exception: )*")
_AFTER = re.compile(r"\s*(?:\(version [^)]*\)\.?|\(for url [^)]*\)|\([A-Z_]{4,}\)\.?)")

_NO_SPACE = 243
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
"""What the system says, under whatever code: `CANNOT_OPEN_FILE`, `CANNOT_WRITE_TO_FILE_DESCRIPTOR`, `STD_EXCEPTION`."""

_PASSING = {
    3: "UNEXPECTED_END_OF_FILE",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    74: "CANNOT_READ_FROM_FILE_DESCRIPTOR",
    75: "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    95: "CANNOT_READ_FROM_SOCKET",
    96: "CANNOT_WRITE_TO_SOCKET",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    173: "CANNOT_ALLOCATE_MEMORY",
    198: "DNS_ERROR",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    244: "UNEXPECTED_ZOOKEEPER_ERROR",
    252: "TOO_MANY_PARTS",
    254: "NO_ACTIVE_REPLICAS",
    265: "NO_AVAILABLE_REPLICA",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    319: "UNKNOWN_STATUS_OF_INSERT",
    364: "RECEIVED_ERROR_TOO_MANY_REQUESTS",
    369: "ALL_REPLICAS_ARE_STALE",
    373: "SESSION_IS_LOCKED",
    394: "QUERY_WAS_CANCELLED",
    416: "REPLICA_STATUS_CHANGED",
    425: "SYSTEM_ERROR",
    473: "DEADLOCK_AVOIDED",
    499: "S3_ERROR",
    574: "DISTRIBUTED_TOO_MANY_PENDING_BYTES",
    677: "THREAD_WAS_CANCELED",
    700: "USER_SESSION_LIMIT_EXCEEDED",
    735: "QUERY_WAS_CANCELLED_BY_CLIENT",
    745: "SERVER_OVERLOADED",
    749: "TCP_CONNECTION_LIMIT_REACHED",
    762: "HTTP_CONNECTION_LIMIT_REACHED",
    776: "RESOURCE_LIMIT_EXCEEDED",
    999: "KEEPER_EXCEPTION",
    1019: "QUERY_SLOT_ACQUISITION_TIMEOUT",
    1020: "MEMORY_RESERVATION_ACQUISITION_TIMEOUT",
}
"""Errors that pass by themselves."""

_REFUSALS = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    153: "ILLEGAL_DIVISION",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    441: "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING",
    467: "CANNOT_PARSE_BOOL",
    469: "VIOLATED_CONSTRAINT",
    632: "UNEXPECTED_DATA_AFTER_PARSED_VALUE",
    675: "CANNOT_PARSE_IPV4",
    676: "CANNOT_PARSE_IPV6",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}
"""Errors about what stands in the rows. What is about the table, the server or us is none of theirs: rows would be given up for it."""

_NEVER_ROWS = {16, 60, 73, 81, 115, 164, 192, 193, 194, 291, 452, 497, 516}
"""Errors about tables, users and settings, for which nobody need look at single rows."""

_TOO_MUCH = {173, 241, 307, 778, 1020}
"""Errors of a server that is short of memory, or takes only so much at once."""

_TOO_LARGE_FOR_HTTP = "HTTP status 413"
"""A gateway before the server takes no body of this size; it knows no codes."""

_MIGRATE = "run `ebbtide migrate`: the tables are not those of this version"
_UPGRADE = "run the version that has written them in the place of this worker too"
_IT_PASSES = "it passes by itself; look at the server if it lasts"
_DEFECT = "these rows are not what the table takes: whoever made them has a defect"
_LOOK = "it does not pass by itself; `ebbtide check` looks at settings, server and tables"
_ADVICE: dict[int | None, str] = {
    None: "is ClickHouse running, and is `clickhouse.dsn` right?",
    16: _MIGRATE,
    60: _MIGRATE,
    81: _MIGRATE,
    164: "the user of `clickhouse.dsn` may only read: give it one that may write",
    192: "the user of `clickhouse.dsn` is not known there",
    241: "ClickHouse is short of memory: give it more, or make `clickhouse.batch_rows` smaller",
    242: "the tables are read-only now: look at the replicas and at Keeper",
    243: "the disk of ClickHouse is full: make room",
    252: "ClickHouse does not keep up with merging: look at system.merges and at its disk",
    497: "the user of `clickhouse.dsn` lacks a grant: it needs SELECT, INSERT, CREATE and ALTER on the database",
    516: "the user or the password of `clickhouse.dsn` is wrong",
}
