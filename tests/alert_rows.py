"""Alerts for tests: rows as they are published."""

from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.frames import ALERTS

NOW = datetime.now(UTC).replace(microsecond=0)


def minutes(n):
    return NOW + timedelta(minutes=n)


def alert(alert_id="a1", *, version=1, **said):
    """An open alert of the payments team, with what is said instead."""
    known = {
        "site": "shop",
        "alert_id": alert_id,
        "rule": "abandonment",
        "opened_at": minutes(-10),
        "updated_at": minutes(-5),
        "status": "open",
        "severity": "warning",
        "journey": "purchase",
        "step": "payment",
        "device": "mobile",
        "segment": "step = payment and device = mobile",
        "owner": "payments",
        "rate": 0.61,
        "baseline_rate": 0.24,
        "n": 74,
        "n_of": 121,
        "cause": "payment_retry",
        "cause_share": 0.48,
        "value_minor": 412_000,
        "currency": "EUR",
        "summary": "Abandonment at <payment> is 61 %",
        "partition": 0,
        **said,
    }
    (row,) = ALERTS.conform(pl.DataFrame([known])).drop("partition").to_dicts()
    return {**row, "version": version}


def resolved(alert_id="a1", *, version=2, **said):
    return alert(alert_id, version=version, **{"status": "resolved", "resolved_at": minutes(-1), "updated_at": minutes(-1), **said})
