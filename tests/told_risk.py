"""What the topic `at_risk` ends up with: of each that was told the newest row, and whether all that was told is told over."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.fold import Step
from pipeline.risk import RiskBands
from pipeline.risk_tables import AT_RISK
from tests.builders import Event

KEY = list(AT_RISK.key)


def told(steps: Iterable[Step[Any]]) -> pl.DataFrame:
    """All rows in their order, with `place`, the number of the step. Frames: -> AT_RISK"""
    found = [AT_RISK.schema.to_frame().with_columns(place=pl.lit(0, pl.Int32))]
    for place, step in enumerate(steps):
        if AT_RISK.name in step.tables:
            rows = step.tables[AT_RISK.name]
            assert rows.columns == [*AT_RISK.schema, "partition"]
            assert not rows.select(KEY).is_duplicated().any(), f"step {place} says two things about one row"
            found.append(rows.select(*AT_RISK.schema, pl.lit(place).cast(pl.Int32).alias("place")))
    return pl.concat(found)


def open_rows(steps: Iterable[Step[Any]], bands: RiskBands) -> list[Event]:
    """Who is at risk after all steps, with `band`."""
    last = told(steps).unique(KEY, keep="last", maintain_order=True).filter(is_over=0)
    return last.with_columns(pl.Series("band", bands.of(last["risk"].to_numpy()))).to_dicts()


def compared(shown: Sequence[Event], right: Sequence[Event], columns: Iterable[str]) -> list[str]:
    """A line for everybody who is at risk in one and not in the other, or another way."""
    names = [*columns]
    one, other = ({tuple(row[name] for name in KEY): row for row in rows} for rows in (shown, right))
    lines = [f"{key}: not told" for key in other.keys() - one.keys()]
    lines += [f"{key}: told without reason: {one[key]}" for key in one.keys() - other.keys()]
    return lines + [
        f"{key}: {name} is {one[key][name]!r}, not {other[key][name]!r}"
        for key in one.keys() & other.keys()
        for name in names
        if one[key][name] != other[key][name]
    ]


def not_told_over_once(steps: Iterable[Step[Any]]) -> list[str]:
    """A line for everybody who is told over without having been at risk, or twice, or stays at risk at the end."""
    lines = []
    at_risk: dict[tuple[object, ...], Mapping[str, object]] = {}
    for row in told(steps).to_dicts():
        key = tuple(row[name] for name in KEY)
        if row["is_over"]:
            if key not in at_risk:
                lines.append(f"{key}: told over, and was not at risk")
            if len(row["reasons"]) != 1:
                lines.append(f"{key}: over because of {row['reasons']}")
            at_risk.pop(key, None)
        else:
            at_risk[key] = row
    return lines + [f"{key}: never told over" for key in at_risk]
