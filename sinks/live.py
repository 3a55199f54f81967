"""What a person wants to see of the last hours, read from the views like any dashboard reads them.

Frames:  rollups_now, sessions_now, outcomes_now, signals_now, alerts_now -> Live
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from pipeline.attribution import ORDER_AFTER_COMMIT

Query = Callable[[str], pl.DataFrame]

LAST_LEFT = 8
"""Sessions shown of those that left last."""
ALERTS = 3
"""Alerts shown, at most."""


@dataclass(frozen=True)
class Live:
    """One look at the store."""

    statuses: dict[str, int]
    """Status -> sessions of people, not bots."""
    funnel: pl.DataFrame
    """`journey`, `step`, `reached`: a row a step that somebody reached."""
    lapses: pl.DataFrame
    """`journey`, `step`, `owner`, and how many lapses there are `silent`, `contacted`, `recovered`, `provisional`: most silence first."""
    signals: pl.DataFrame
    """`signal`, `n`, `in_abandoned` (share of these sessions that were abandoned; null: it is of no session), most first."""
    left: pl.DataFrame
    """Those who left and have not been heard of: `left_at`, `site`, `visitor_id`, `step`, `owner`, `value_minor`, `currency`, `met` (signals, '' for none), latest first."""
    alerts: pl.DataFrame
    """`status`, `severity`, `opened_at`, `site`, `rule`, `journey`, `segment`, `rate`, `baseline_rate`, `owner`, `cause`: open ones first, then the newest."""


def look(query: Query, database: str) -> Live:
    """Read all of it; each query is one that a BI tool could send."""
    return Live(
        _statuses(query, database),
        _funnel(query, database),
        _lapses(query, database),
        _signals(query, database),
        _left(query, database),
        _alerts(query, database),
    )


def _statuses(query: Query, database: str) -> dict[str, int]:
    found = query(f"SELECT status, count() AS n FROM {database}.sessions_now WHERE is_bot = 0 GROUP BY status")  # noqa: S608 - the name is from settings
    return dict(zip(found["status"].to_list(), found["n"].to_list(), strict=True))


def _funnel(query: Query, database: str) -> pl.DataFrame:
    return query(
        f"""
        SELECT journey, step, sum(n) AS reached FROM {database}.rollups_now WHERE measure = 'reached' GROUP BY journey, step
        """  # noqa: S608 - the name is from settings
    )


def _lapses(query: Query, database: str) -> pl.DataFrame:
    return query(
        f"""
        SELECT journey, step, owner, countIf(status = 'silent') AS silent, countIf(status = 'contacted') AS contacted,
               countIf(status = 'recovered') AS recovered, countIf(status = 'provisional') AS provisional
        FROM {database}.outcomes_now GROUP BY journey, step, owner ORDER BY silent DESC, count() DESC, journey, step, owner
        """  # noqa: S608 - the name is from settings
    )


def _signals(query: Query, database: str) -> pl.DataFrame:
    return query(
        f"""
        SELECT signal, count() AS n,
               if(sum(in_session) = 0, NULL, uniqExactIf((site, visitor_id, session_id), left) / uniqExactIf((site, visitor_id, session_id), in_session))
                   AS in_abandoned
        FROM (
            SELECT s.signal AS signal, s.site AS site, s.visitor_id AS visitor_id, s.session_id AS session_id,
                   s.session_id != '' AS in_session, o.outcome_id != '' AS left
            FROM {database}.signals_now AS s
            LEFT JOIN (SELECT * FROM {database}.outcomes_now WHERE expectation = '{ORDER_AFTER_COMMIT}') AS o
                ON s.site = o.site AND s.visitor_id = o.visitor_id AND s.session_id = o.session_id
        )
        GROUP BY signal ORDER BY n DESC, signal
        """  # noqa: S608 - the name is from settings
    )


def _left(query: Query, database: str) -> pl.DataFrame:
    return query(
        f"""
        WITH last_left AS (
            SELECT site, visitor_id, session_id, step, owner, lapsed_at, value_minor, currency
            FROM {database}.outcomes_now
            WHERE expectation = '{ORDER_AFTER_COMMIT}' AND status IN ('provisional', 'silent')
            ORDER BY lapsed_at DESC, outcome_id LIMIT {LAST_LEFT}
        )
        SELECT l.lapsed_at AS left_at, l.site AS site, l.visitor_id AS visitor_id, l.step AS step, l.owner AS owner,
               l.value_minor AS value_minor, l.currency AS currency, m.met AS met
        FROM last_left AS l
        LEFT JOIN (
            SELECT site, visitor_id, session_id, arrayStringConcat(arraySort(groupUniqArray(signal)), ', ') AS met
            FROM {database}.signals_now
            WHERE (site, visitor_id, session_id) IN (SELECT site, visitor_id, session_id FROM last_left)
            GROUP BY site, visitor_id, session_id
        ) AS m ON l.site = m.site AND l.visitor_id = m.visitor_id AND l.session_id = m.session_id
        ORDER BY left_at DESC, visitor_id
        """  # noqa: S608 - the name is from settings
    )


def _alerts(query: Query, database: str) -> pl.DataFrame:
    return query(
        f"""
        SELECT status, severity, opened_at, site, rule, journey, segment, rate, baseline_rate, owner, cause
        FROM {database}.alerts_now
        ORDER BY status = 'open' DESC, severity = 'critical' DESC, opened_at DESC, alert_id LIMIT {ALERTS}
        """  # noqa: S608 - the name is from settings
    )
