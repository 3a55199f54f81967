"""What the tables say of alerts."""

# ruff: noqa: S608 - every value is quoted, names are ours

from collections.abc import Mapping

import polars as pl

from sinks.reader import Reader
from sinks.story_rows import among, quoted, same, view

TABLES = ("alerts", "cases", "contacts")
"""What is read."""


def alerts(reader: Reader, *, site: str | None, only_open: bool, limit: int) -> pl.DataFrame:
    """Those that are open, and then those that opened last. Raises: as `Reader.query`."""
    wanted = same(site=site, status="open" if only_open else None) or "1"
    return reader.query(
        f"SELECT * FROM {view(reader, 'alerts')} WHERE {wanted} "
        f"ORDER BY status != 'open', opened_at DESC NULLS LAST, site, alert_id LIMIT {int(limit)}"
    )


def alert(reader: Reader, alert_id: str, site: str | None) -> pl.DataFrame:
    """Those of this id; it may be a beginning. Raises: as `Reader.query`."""
    its_site = f" AND {same(site=site)}" if site is not None else ""
    return reader.query(
        f"SELECT * FROM {view(reader, 'alerts')} WHERE startsWith(alert_id, {quoted(alert_id)}){its_site} "
        "ORDER BY opened_at DESC NULLS LAST, site, alert_id LIMIT 20"
    )


def example_kinds(reader: Reader, row: Mapping[str, object], examples: list[str]) -> dict[str, str]:
    """Of each example that is no session what it is: order or ticket; others are left out. Raises: as `Reader.query`."""
    its_site, kinds = same(site=row["site"]), (("ticket", "contacts"), ("order", "cases"))
    found: dict[str, str] = {}
    for kind, table in kinds:
        known = reader.query(
            f"SELECT DISTINCT {kind}_id AS id FROM {view(reader, table)} WHERE {its_site} AND {among(f'{kind}_id', examples)}"
        )
        found |= dict.fromkeys(known["id"].to_list(), kind)
    return found
