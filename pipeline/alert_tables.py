"""Table of alerts: one spike, from its opening to its resolution."""

import polars as pl

from pipeline.table import DELETED, SITE, STRINGS, TIME, Table, columns

ALERTS = Table(
    "alerts",
    ("site", "alert_id"),
    columns(
        (
            SITE,
            ("alert_id", pl.String, "hash of site, rule, segment and the interval it opened at", ""),
            (
                "rule",
                pl.String,
                "what rose: abandonment, silence, exits (from a step), friction (a signal), lapse (of an expectation); limit: segments that are not judged",
                "",
            ),
            ("opened_at", TIME, "end of the interval that showed it", "UTC"),
            ("updated_at", TIME, "end of the newest interval judged", "UTC"),
            ("resolved_at", TIME, "end of the interval from which on it was usual again; null: it is open", "UTC"),
            ("status", pl.String, "open, resolved", ""),
            ("severity", pl.String, "warning, critical", ""),
            ("journey", pl.String, "journey", ""),
            ("step", pl.String, "step; '': all of the journey", ""),
            ("expectation", pl.String, "expectation that lapses", ""),
            ("signal", pl.String, "signal that fires", ""),
            ("device", pl.String, "device; '': all", ""),
            ("country", pl.String, "country; '': all", ""),
            ("acquisition_channel", pl.String, "channel; '': all", ""),
            ("segment", pl.String, "the smallest set that explains it: step = payment and device = mobile", ""),
            ("owner", pl.String, "team that owns the step", ""),
            ("interval_at", TIME, "start of the newest interval judged", "UTC"),
            ("interval_s", pl.UInt32, "its length", "s"),
            ("rate", pl.Float64, "share in that interval: n of n_of", "0 .. 1; signals a session"),
            ("baseline_rate", pl.Float64, "what was to be expected then", "as rate"),
            ("n", pl.Int64, "how many, in that interval", ""),
            ("n_of", pl.Int64, "of how many", ""),
            ("n_expected", pl.Float64, "how many were to be expected", ""),
            ("p_value", pl.Float64, "how likely so many or more are, if nothing is wrong", "0 .. 1"),
            ("cause", pl.String, "signal whose share rose most; '': none did", ""),
            ("cause_share", pl.Float64, "share of sessions that met it", "0 .. 1"),
            (
                "value_minor",
                pl.Int64,
                "money at stake: what was counted beyond what was expected, at the median value of carts or orders; null: none is known",
                "minor units of currency",
            ),
            ("currency", pl.String, "currency", "ISO 4217"),
            ("examples", STRINGS, "some of whom it happened to: visitor_id/session_id, order_id or ticket_id", ""),
            ("summary", pl.String, "one sentence", ""),
            DELETED,
        )
    ),
    "one spike, from opening to resolution",
)
