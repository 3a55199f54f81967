"""Why a record is not used. The names stand in tables and on topics: they are for ever."""

from enum import StrEnum


class Reason(StrEnum):
    """One reason a rejected record."""

    UNDECODABLE = "undecodable"
    """Not a datum of the schema that it names, or no Confluent frame at all."""
    UNKNOWN_SCHEMA = "unknown_schema"
    """Its schema id is not known, belongs to another family, or names a schema that is not flat."""
    MISSING_FIELD = "missing_field"
    """A required field is null or empty."""
    FROM_THE_FUTURE = "from_the_future"
    """It says that it happened long after the broker got it."""
    BEFORE_MIN_EVENT_AT = "before_min_event_at"
    """It says that it happened before there was anything."""
    TOO_LONG = "too_long"
    """The message or one of its strings is longer than allowed."""
    UNKNOWN_TYPE = "unknown_type"
    """Sound, but of a type that this version does not know: kept apart, and no sign of rubbish."""
    OUT_OF_RANGE = "out_of_range"
    """A number or a time that nothing can mean: a csat score of 6, a date in the year 40000."""
    TOO_LATE = "too_late"
    """So far behind the watermark that a repeat could not be told from it."""
