"""Rows on their way to another stage: by which key they go, and where the records lay that they came in.

Frames:  travelling(table): what stands in a message; heard(tables): what a fold behind it is given
"""

from dataclasses import dataclass
from functools import cache

import polars as pl

from pipeline.events import POSITION, event_schema
from pipeline.frames import FATES, REFUSED, ROLLUPS, TIME, schema
from pipeline.keys import LINKS
from pipeline.person_log import FACTS

COMMERCE, PEOPLE, COUNTS = "commerce", "people", "rollups"
"""Where rows go: by order, by person, by site. The topics' names begin with a prefix (agents.topics)."""

LINK = "link"
"""What stands in the place of a family where rows are links."""
TYPES = "types"
"""... and where they say which event types a site sends (awaited_types.py). They have no key: every partition is told."""
COUNT, EXAMPLE = "rollup", "example"
"""... and where they are counts that changed (rollups.py), or say of whom something was counted."""
UNCOUNTED = (LINK, TYPES, *FACTS, COUNT, EXAMPLE)
"""Tables of which no row is a record: it has no fate, may come again, and changes nothing then."""

ORIGIN = schema({"origin_topic": pl.String, "origin_partition": pl.Int32, "origin_offset": pl.Int64})
"""Where a record lay: what became of it is counted there."""


FORWARDED = schema({"said_version": pl.Int64, "starts_at": TIME, "is_gone": pl.Boolean, "own_key": pl.String})
"""Beside what is about a person, where it was sent on: its version as it was first said; by which time a visitor's next login is looked for; whether it
lies elsewhere now, so that whoever told it tells it no more; and the key under which it lies for ever, whose holder knows where."""

TYPES_TOLD = schema({"site": pl.String, "event_type": pl.String, "event_at": TIME})
"""The first event of a type on a day, as one source has seen it."""

EXAMPLES = schema(
    {
        **{name: dtype for name, dtype in ROLLUPS.schema.items() if name in ROLLUPS.key and name != "source_partition"},
        "example": pl.String,
        "value_minor": pl.Int64,
        "currency": pl.String,
    }
)
"""Somebody of whom something was counted. `example`: visitor_id/session_id, order_id or ticket_id; `value_minor` null: nothing is known of money."""


@cache
def travelling(table: str) -> pl.Schema:
    """Columns of a family's events, of facts, of links, or of event types seen, between two stages."""
    if table == LINK:
        return LINKS
    if table == TYPES:
        return TYPES_TOLD
    if table in (COUNT, EXAMPLE):
        columns = ROLLUPS.schema if table == COUNT else EXAMPLES
        return pl.Schema([*columns.items(), ("key", pl.String())])
    if table in FACTS:
        return pl.Schema([*FACTS[table].items(), ("key", pl.String()), *FORWARDED.items()])
    forwarded = FORWARDED.items() if table == "ticket" else ()
    return pl.Schema([*event_schema(table).items(), ("record_at", TIME), ("key", pl.String()), *ORIGIN.items(), *forwarded])


FATES_OF_ORIGIN = schema({**FATES, "origin_topic": pl.String, "origin_partition": pl.Int32})
"""frames.FATES of a fold that reads passed rows: `partition` is that of its topic. Neither forwarded rows nor those of UNCOUNTED tables have a fate."""

REFUSED_OF_ORIGIN = schema({**REFUSED, "family": pl.String, **ORIGIN})
"""frames.REFUSED of such a fold."""


@cache
def heard(*tables: str) -> pl.Schema:
    """Frame that a fold over passed rows is given: the columns of these tables, null where a row's own table has none.

    Table after table, the rows of each in the order of their messages. `family` is the row's table, or LINK, TYPES, COUNT, EXAMPLE. `partition` and `offset` say where the message lies, ORIGIN where the record did; `watermark` is how far
    time had come before the row (null: no watermark): behind it, the row is late. With facts, `version` is that of the message.
    """
    columns: dict[str, pl.DataType | type[pl.DataType]] = {"family": pl.String}
    for table in tables:
        columns |= dict(travelling(table).items())
    columns |= {**dict(travelling(LINK).items()), **dict(ORIGIN.items()), "is_forwarded": pl.Boolean}
    if any(table in FACTS or table == COUNT for table in tables):
        columns["version"] = pl.Int64
    return schema(
        {**{name: dtype for name, dtype in columns.items() if name not in POSITION}, **dict(POSITION.items()), "watermark": TIME}
    )


@dataclass(frozen=True)
class Passed:
    """Rows of a step for another stage."""

    to: str
    """COMMERCE, PEOPLE or COUNTS."""
    table: str
    """A family, a fact, LINK, TYPES, COUNT or EXAMPLE."""
    rows: pl.DataFrame
    """travelling(table), less what none of the rows says, and `partition`: that of this stage's input. A record's rows stand in the order of the records."""
    is_forwarded: bool = False
    """Whether the rows were sent on by who held their key."""
