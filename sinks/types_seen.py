"""What the tables say of the event types that each site sends.

Cases:   a store that keeps no events -> nothing: nobody can say
"""

# ruff: noqa: S608 - names are ours

import polars as pl
from clickhouse_connect.driver.binding import quote_identifier

from sinks.reader import Reader


def types_seen(reader: Reader) -> pl.DataFrame:
    """When each type was seen last, of every site. Frames: -> `site`, `family`, `event_type`, `last_at`. Raises: as `Reader.query`."""
    return reader.query(
        f"SELECT site, family, event_type, max(event_at) AS last_at FROM {quote_identifier(reader.database)}.events_now "
        "GROUP BY site, family, event_type ORDER BY site, family, event_type"
    )
