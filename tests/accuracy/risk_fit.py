"""Fits the coefficients of risk on simulated shops: `python -m tests.accuracy.risk_fit`.

Nothing of it runs in production: a person looks at what it prints and writes it, rounded, into pipeline/session_risk.py and pipeline/case_risk.py. Its seeds are its own; a
test of accuracy draws others.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from pipeline.case_risk import CaseRisk
from pipeline.friction import MOST
from pipeline.session_risk import SessionRisk
from pipeline.simulator.scenarios import SCENARIOS
from pipeline.simulator.simulator import simulated
from tests.accuracy.risk_moments import cases, visits

SEEDS = (7_001, 7_002, 7_003, 7_004)
VISITS_OF = (("calm", "late_parcels"), 150_000, 150)
CASES_OF = (("calm",), 250_000, 60)
"""Weathers, clicks and moments of each shop. What goes wrong for everybody is no part of what is usual."""
RIDGE = 0.1
"""Of an intercept of which little is known nothing great is said."""

Numbers = NDArray[np.float64]


def fitted(terms: Numbers, came: Numbers) -> Numbers:
    """Coefficients of a logistic regression, by Newton's method."""
    found: Numbers = np.zeros(terms.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-terms @ found))
        slope = terms.T @ (came - likely) - RIDGE * found
        curve = (terms * (likely * (1 - likely))[:, None]).T @ terms + RIDGE * np.eye(len(found))
        found += np.linalg.solve(curve, slope)
    return found


def of_visits(rows: pl.DataFrame) -> dict[str, float]:
    """Term of SessionRisk -> coefficient."""
    stretch, way = rows["stretch"].to_numpy(), rows["way"].to_numpy()
    friction = np.sqrt(rows["points"].to_numpy().clip(0, MOST) / MOST)
    numbers = range(1, len(SessionRisk().silent) + 1)
    columns = [
        np.ones(rows.height),
        way * (stretch == 0),
        way * (stretch > 0),
        friction,
        *(stretch == number for number in numbers),
    ]
    names = ["base", "whole_way", "whole_way_silent", "full_friction", *(f"silent {number}" for number in numbers)]
    return dict(zip(names, fitted(np.column_stack(columns).astype(float), rows["came"].to_numpy().astype(float)), strict=True))


def of_cases(rows: pl.DataFrame) -> dict[str, float]:
    """Term of CaseRisk, or expectation -> coefficient."""
    names = sorted(rows["expectation"].unique())
    of_each = [(rows["expectation"] == name).to_numpy() for name in names]
    by_its_time = rows["expectation"].is_in(CaseRisk().by_its_time).to_numpy()
    share = rows["share"].to_numpy()
    terms = [
        share * ~by_its_time,
        share * by_its_time,
        rows["points"].to_numpy().clip(0, MOST) / MOST,
        rows["has_lapsed"].to_numpy(),
        rows["is_said_late"].to_numpy(),
    ]
    found = fitted(np.column_stack([*of_each, *terms]).astype(float), rows["came"].to_numpy().astype(float))
    return dict(zip([*names, "whole_wait", "whole_promise", "full_friction", "has_lapsed", "said_late"], found, strict=True))


if __name__ == "__main__":
    console = Console()
    for what, of, fit, of_shops in (("visits", visits, of_visits, VISITS_OF), ("cases", cases, of_cases, CASES_OF)):
        weathers, n_clicks, n_moments = of_shops
        shops = [(seed, simulated(seed, n_clicks, scenario=SCENARIOS[name])) for seed in SEEDS for name in weathers]
        rows = pl.concat(of(shop, seed, n_moments) for seed, shop in shops)
        console.print(f"{what}: seeds {SEEDS}, {weathers}, {n_clicks} clicks and {n_moments} moments each")
        console.print(
            f"{rows.height} rows, {rows['came'].mean():.3f} came", {name: round(float(of), 2) for name, of in fit(rows).items()}
        )
