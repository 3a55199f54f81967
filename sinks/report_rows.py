"""What a report is made of: figures, signs and money by site, journey and owner, and the rows behind a sign.

Cases:   '' as journey -> the whole site | '' as owner -> all of the journey
"""

# ruff: noqa: S608 - every value is quoted, names are ours

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from clickhouse_connect.driver.binding import quote_identifier

from sinks.reader import Reader
from sinks.sign_queries import sign_queries
from sinks.story_rows import quoted, refuse_if_missing

_LEVELS = "arrayJoin(arrayDistinct([('', ''), (toString(journey), ''), (toString(journey), toString(owner))])) AS level"


class NothingToReport(LookupError):
    """The store has nothing of what was asked for."""


@dataclass(frozen=True)
class Span:
    """Which sites, and when."""

    sites: tuple[str, ...]
    since: datetime
    until: datetime
    """Exclusive."""

    def where(self, at: str = "at") -> str:
        """As a condition."""
        sites = ", ".join(map(quoted, self.sites))
        return f"site IN ({sites}) AND {at} >= {quoted(self.since)} AND {at} < {quoted(self.until)}"


def sites(reader: Reader) -> pl.DataFrame:
    """Every site: `site`, `first_at`, `last_at`. Raises: TablesMissing; NothingToReport if there is none; as `Reader.query`."""
    refuse_if_missing(reader, ("sites",))
    found = reader.query(f"SELECT * FROM {quote_identifier(reader.database)}.sites_now ORDER BY site")
    if found.is_empty():
        message = f"{reader.address}, database {reader.database}, is empty: `ebbtide worker`, `replay` or `up` write into it what there is to report"
        raise NothingToReport(message)
    return found


def figures(reader: Reader, span: Span, *, by_week: bool = False) -> pl.DataFrame:
    """Of every measure anywhere: `site`, `journey`, `owner`, `measure`, `n`, `mean`, `median`, and `week`, where that is asked for. Raises: as `Reader.query`."""
    database, week = quote_identifier(reader.database), ", toMonday(at) AS week" if by_week else ""
    each = (
        f"SELECT site, journey, owner, measure{week}, count() AS n, avg(value) AS mean, quantileExactInclusive(0.5)(value) AS median "
        f"FROM {database}.{view} WHERE {span.where()} GROUP BY site, journey, owner, measure{', week' if by_week else ''}"
        for view in ("service_facts", "experience_facts")
    )
    return reader.query(" UNION ALL ".join(each))


def readings(reader: Reader, span: Span) -> pl.DataFrame:
    """Of every sign anywhere: `sign`, `site`, `journey`, `owner`, `n` looked at, `n_hits` of these. Raises: as `Reader.query`."""
    found = [
        reader.query(
            f"SELECT {quoted(name)} AS sign, site, level.1 AS journey, level.2 AS owner, uniqExact(id) AS n, uniqExactIf(id, is_hit) AS n_hits "
            f"FROM (SELECT site, id, is_hit, {_LEVELS} FROM ({sql}) WHERE {span.where()}) GROUP BY site, journey, owner"
        )
        for name, sql in sign_queries().items()
    ]
    return pl.concat([frame for frame in found if frame.width], how="vertical_relaxed")


def sign_rows(reader: Reader, span: Span, sign: str, most: int) -> pl.DataFrame:
    """The newest rows for which a sign is true: `site`, `journey`, `owner`, `id`, `customer_id`, `at`, `detail`. Raises: as `Reader.query`."""
    return reader.query(
        f"SELECT site, journey, owner, id, customer_id, at, detail FROM ({sign_queries()[sign]}) WHERE is_hit AND {span.where()} "
        f"ORDER BY at DESC, id, owner LIMIT {most}"
    )


def silences(reader: Reader, span: Span) -> pl.DataFrame:
    """Who left without a word: `site`, `journey`, `owner`, `currency`, `n`, `lost_minor`, anywhere. Whatever failed about one visit or document counts once.

    Raises:  as `Reader.query`
    """
    database = quote_identifier(reader.database)
    return reader.query(
        f"SELECT site, level.1 AS journey, level.2 AS owner, currency, count() AS n, sum(value_minor) AS lost_minor FROM ("
        f"SELECT site, {_LEVELS}, currency, value_minor, order_id, visitor_id, session_id, outcome_id, lapsed_at FROM ("
        f"SELECT o.* FROM {database}.outcomes_now AS o INNER JOIN {database}.sites_now AS s ON o.site = s.site "
        f"WHERE o.status = 'silent' AND o.expectation != 'next_order' AND o.ticket_id = '' AND o.returned_at IS NULL AND o.due_at <= s.last_at) "
        f"WHERE {span.where('began_at')} "
        f"ORDER BY value_minor IS NULL, lapsed_at, outcome_id "
        f"LIMIT 1 BY site, level, multiIf(order_id != '', ('order', order_id), session_id != '', (visitor_id, session_id), ('', outcome_id))"
        f") GROUP BY site, journey, owner, currency"
    )
