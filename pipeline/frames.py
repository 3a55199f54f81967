"""Every frame that crosses a border: columns, dtypes, units, meaning. The single dictionary.

Tables of ClickHouse are frames as well: `TABLES` says which columns a fold hands over; the shell adds `version`, the sink `written_at`.
"""

import polars as pl

from pipeline.alert_tables import ALERTS
from pipeline.commerce_tables import CASES, DELIVERIES
from pipeline.customer_tables import CUSTOMERS
from pipeline.people_tables import ANSWERS, CONTACTS
from pipeline.table import DELETED as _DELETED
from pipeline.table import SITE as _SITE
from pipeline.table import STRINGS, TIME, Column, Dtype, Table, schema
from pipeline.table import WHO as _WHO
from pipeline.table import columns as _columns

__all__ = [
    "ALERTS",
    "ANSWERS",
    "CASES",
    "CONTACTS",
    "CUSTOMERS",
    "DEAD_LETTERS",
    "DELIVERIES",
    "EVENTS",
    "FATES",
    "FATE_NAMES",
    "IDENTITIES",
    "OUTCOMES",
    "REFUSED",
    "REJECTS",
    "ROLLUPS",
    "SESSIONS",
    "SIGNALS",
    "STEPS",
    "STRINGS",
    "TABLES",
    "TIME",
    "WATERMARKS",
    "Column",
    "Dtype",
    "Table",
    "schema",
]

_CONTEXT = (
    ("device", pl.String, "desktop, mobile, tablet, app, other", ""),
    ("browser", pl.String, "browser", ""),
    ("os", pl.String, "operating system", ""),
    ("country", pl.String, "country", "ISO 3166-1 alpha-2"),
    ("app_version", pl.String, "release of the shop's page or app", ""),
    ("acquisition_channel", pl.String, "where the visit came from", ""),
)

SESSIONS = Table(
    "sessions",
    ("site", "visitor_id", "session_id"),
    _columns(
        (
            _SITE,
            *_WHO[:1],
            ("session_id", pl.String, "the emitter's, else the ms of the first event; ~2.. another customer, ~r.. used again", ""),
            *_WHO[1:],
            ("journey", pl.String, "the journey that got furthest", ""),
            ("started_at", TIME, "first event", "UTC"),
            ("ended_at", TIME, "last event so far", "UTC"),
            ("n_events", pl.UInt32, "events", "events"),
            ("engaged_ms", pl.Int64, "time in the foreground", "ms"),
            ("entry_page", pl.String, "page of the first event that has one", ""),
            ("exit_page", pl.String, "page of the last event that has one", ""),
            ("steps", STRINGS, "steps reached of that journey, in its order", ""),
            ("furthest_step", pl.String, "the furthest of them", ""),
            ("furthest_step_index", pl.Int64, "its place in the journey from 0; null: no step", ""),
            ("status", pl.String, "open, browsed, abandoned, converted, merged", ""),
            ("abandoned_step", pl.String, "the furthest step of an abandoned session", ""),
            ("order_id", pl.String, "order placed in it (the last)", ""),
            ("cart_id", pl.String, "cart (the last)", ""),
            *_CONTEXT,
            ("campaign", pl.String, "campaign of the visit", ""),
            ("is_bot", pl.UInt8, "1: an event said that a bot made it", "0 or 1"),
            ("cart_value_minor", pl.Int64, "last known total of cart or order", "minor units of currency"),
            ("currency", pl.String, "currency of that total", "ISO 4217"),
            ("n_signals", pl.UInt32, "friction signals that fired", "signals"),
            ("friction_score", pl.Float64, "friction met: 0 none .. 100", "points"),
            _DELETED,
        )
    ),
    "a visit, as the clicks alone tell it",
)

STEPS = Table(
    "steps",
    ("site", "instance", "instance_id", "journey", "step"),
    _columns(
        (
            _SITE,
            ("instance", pl.String, "session or case", ""),
            ("instance_id", pl.String, "visitor_id/session_id of a session, order_id of a case", ""),
            ("journey", pl.String, "journey", ""),
            ("step", pl.String, "step of that journey", ""),
            ("step_index", pl.UInt32, "its place in the journey, from 0", ""),
            ("is_commit", pl.UInt8, "1: from here on a customer who goes quiet has abandoned", "0 or 1"),
            ("is_goal", pl.UInt8, "1: the journey's end", "0 or 1"),
            ("owner", pl.String, "team that owns the step", ""),
            ("first_at", TIME, "first event of the step", "UTC"),
            ("last_at", TIME, "last event of the step", "UTC"),
            ("n_events", pl.UInt32, "events of the step", "events"),
            ("engaged_ms", pl.Int64, "time in the foreground", "ms"),
            ("n_signals", pl.UInt32, "friction signals that fired at it", "signals"),
            ("friction_score", pl.Float64, "friction met at it: 0 none .. 100", "points"),
            ("session_id", pl.String, "session, where the instance is one", ""),
            *_WHO,
            _DELETED,
        )
    ),
    "one step of one session or case",
)

SIGNALS = Table(
    "signals",
    ("site", "signal", "signal_id"),
    _columns(
        (
            _SITE,
            ("signal", pl.String, "name of the signal", ""),
            ("signal_id", pl.String, "hash of site, signal, visitor and the event at which it fired", ""),
            ("fired_at", TIME, "when it fired", "UTC"),
            *_WHO[:1],
            ("session_id", pl.String, "session it fired in", ""),
            *_WHO[1:],
            ("order_id", pl.String, "order it is about", ""),
            ("ticket_id", pl.String, "ticket it is about", ""),
            ("journey", pl.String, "journey of the event", ""),
            ("step", pl.String, "step of the event, else the furthest step reached by then", ""),
            ("page", pl.String, "page", ""),
            ("element", pl.String, "element, form or field it happened on", ""),
            ("owner", pl.String, "team that owns the step", ""),
            ("value", pl.Float64, "how much, in the signal's own unit", ""),
            ("weight", pl.Float64, "what it adds to a friction score", "points"),
            ("rule", pl.String, "profile of the rule that fired", ""),
            ("detail", pl.String, "one line of evidence", ""),
            *_CONTEXT,
            _DELETED,
        )
    ),
    "one friction signal that fired",
)

OUTCOMES = Table(
    "outcomes",
    ("site", "expectation", "outcome_id"),
    _columns(
        (
            _SITE,
            ("expectation", pl.String, "what was expected", ""),
            ("outcome_id", pl.String, "hash of site, expectation, key and first arming event", ""),
            ("journey", pl.String, "journey", ""),
            ("step", pl.String, "step at which it lapsed", ""),
            ("owner", pl.String, "team that owns the step", ""),
            ("assignee_id", pl.String, "person who had to act", ""),
            *_WHO[:1],
            ("session_id", pl.String, "session", ""),
            ("order_id", pl.String, "order", ""),
            ("quote_id", pl.String, "quote", ""),
            ("delivery_id", pl.String, "parcel", ""),
            ("ticket_id", pl.String, "ticket", ""),
            *_WHO[1:],
            ("began_at", TIME, "start of the wait", "UTC"),
            ("due_at", TIME, "end of the wait", "UTC"),
            ("lapsed_at", TIME, "when it lapsed", "UTC"),
            ("decided_at", TIME, "when silent, contacted or recovered was decided", "UTC"),
            ("contacted_at", TIME, "first contact with support about it", "UTC"),
            ("recovered_at", TIME, "what was expected came late, within the recovery window", "UTC"),
            ("returned_at", TIME, "what was expected came later still", "UTC"),
            ("status", pl.String, "provisional, silent, contacted, recovered", ""),
            ("cause", pl.String, "signal or earlier lapse that explains it best", ""),
            ("cause_id", pl.String, "its id", ""),
            ("contact_ticket_id", pl.String, "ticket of the contact", ""),
            ("value_minor", pl.Int64, "money at stake", "minor units of currency"),
            ("currency", pl.String, "currency", "ISO 4217"),
            *(row for row in _CONTEXT if row[0] != "os"),
            _DELETED,
        )
    ),
    "one lapse: something expected that did not come",
)

IDENTITIES = Table(
    "identities",
    ("site", "visitor_id", "linked_at"),
    _columns(
        (
            _SITE,
            _WHO[0],
            ("linked_at", TIME, "when the visitor identified", "UTC"),
            _WHO[1],
            ("source", pl.String, "event family that told", ""),
            _DELETED,
        )
    ),
    "a visitor known to be a customer",
)

ROLLUPS = Table(
    "rollups",
    (
        "site",
        "interval_at",
        "interval_s",
        "source",
        "source_partition",
        "journey",
        "step",
        "expectation",
        "signal",
        "device",
        "country",
        "acquisition_channel",
        "measure",
    ),
    _columns(
        (
            _SITE,
            ("interval_at", TIME, "start of the interval in which the step was reached, the wait began or the signal fired", "UTC"),
            ("interval_s", pl.UInt32, "its length", "s"),
            ("source", pl.String, "fold that counts: sessions, fulfilment, journeys", ""),
            ("source_partition", pl.UInt32, "its partition", ""),
            ("journey", pl.String, "journey", ""),
            ("step", pl.String, "step", ""),
            ("expectation", pl.String, "expectation", ""),
            ("signal", pl.String, "signal", ""),
            ("device", pl.String, "device, where it is a dimension", ""),
            ("country", pl.String, "country, where it is a dimension", ""),
            ("acquisition_channel", pl.String, "channel, where it is a dimension", ""),
            (
                "measure",
                pl.String,
                "sessions, reached, began, met, abandoned, silent, contacted, recovered, converted, signals",
                "",
            ),
            ("n", pl.Int64, "how many, absolute", ""),
            ("matures_at", TIME, "when every wait that is counted can have been decided", "UTC"),
            _DELETED,
        )
    ),
    "one count of one interval and segment, absolute",
)

DEAD_LETTERS = Table(
    "dead_letters",
    ("site", "cluster_id", "topic", "partition", "offset", "row"),
    _columns(
        (
            ("site", pl.String, "always '': what cannot be read has no site", ""),
            ("cluster_id", pl.String, "broker's cluster, or replay", ""),
            ("topic", pl.String, "topic, or mapping or file of a replay", ""),
            ("partition", pl.Int32, "partition", ""),
            ("offset", pl.Int64, "offset, or row of a replay", ""),
            ("row", pl.Int64, "row within a batch record; 0 for a single record", ""),
            ("received_at", TIME, "record time of Kafka", "UTC"),
            ("family", pl.String, "event family", ""),
            ("stage", pl.String, "stage that rejected it", ""),
            ("reason", pl.String, "why", ""),
            ("detail", pl.String, "one line more", ""),
            ("schema_id", pl.Int32, "schema id; null where there is none", ""),
            ("key", pl.String, "key as it came, UTF-8 or hex", ""),
            ("payload", pl.Binary, "value as it came", "bytes"),
            ("replayed_at", TIME, "when it was sent again", "UTC"),
            _DELETED,
        )
    ),
    "one event that could not be used",
)

EVENTS = Table(
    "events",
    ("site", "family", "event_id"),
    _columns(
        (
            _SITE,
            ("family", pl.String, "clickstream, order, delivery, ticket", ""),
            ("event_id", pl.String, "event", ""),
            ("event_type", pl.String, "type", ""),
            ("event_at", TIME, "when it happened", "UTC"),
            _WHO[0],
            ("session_id", pl.String, "as the emitter gave it", ""),
            _WHO[1],
            ("order_id", pl.String, "order", ""),
            ("ticket_id", pl.String, "ticket", ""),
            ("journey", pl.String, "journey of its step", ""),
            ("step", pl.String, "step it belongs to", ""),
            ("page", pl.String, "page", ""),
            ("detail", pl.String, "one line of what it said", ""),
            _DELETED,
        )
    ),
    "one applied event of any family",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        SESSIONS,
        STEPS,
        SIGNALS,
        OUTCOMES,
        IDENTITIES,
        ROLLUPS,
        DEAD_LETTERS,
        EVENTS,
        CASES,
        DELIVERIES,
        CONTACTS,
        ANSWERS,
        CUSTOMERS,
        ALERTS,
    )
}

WATERMARKS = schema({"partition": pl.Int32, "watermark": TIME})
"""How far event time has come, a row a partition; null: nothing read yet."""

FATE_NAMES = ("applied", "duplicate", "rejected", "too_late")
"""Every record is exactly one of these."""

PASSED, HEARD = "passed", "heard"
"""What becomes of a record in a stage that only sends it on, and of a message in the stage behind it: of the four above it is that one's to say."""

FATES = schema({"partition": pl.Int32, "fate": pl.String, "n": pl.Int64, "n_late": pl.Int64})
"""What became of the records of a batch: applied, duplicate, rejected, too_late; n_late counts within applied."""

REFUSED = schema({"partition": pl.Int32, "offset": pl.Int64, "reason": pl.String, "detail": pl.String})
"""Events that a fold refused: too late to be applied."""

REJECTS = schema(
    {
        "partition": pl.Int32,
        "offset": pl.Int64,
        "record_at": TIME,
        "reason": pl.String,
        "detail": pl.String,
        "schema_id": pl.Int32,
        "key": pl.Binary,
        "payload": pl.Binary,
    }
)
"""Records that could not be used, with their bytes; `reason` is a `rejects.Reason`, `schema_id` null where there is none."""
