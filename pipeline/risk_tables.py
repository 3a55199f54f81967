"""Table of who is at risk of leaving right now. Nobody stores it: it is said on a topic of its own, where the newest row of an id counts."""

import polars as pl

from pipeline.table import DELETED, SITE, STRINGS, TIME, WHO, Table, columns

AT_RISK = Table(
    "at_risk",
    ("site", "kind", "entity_id"),
    columns(
        (
            SITE,
            ("kind", pl.String, "session, case", ""),
            ("entity_id", pl.String, "visitor_id/session_id of a session, order_id of a case", ""),
            WHO[0],
            ("session_id", pl.String, "session", ""),
            ("order_id", pl.String, "order; of a session the one placed in it", ""),
            *WHO[1:],
            ("journey", pl.String, "journey", ""),
            ("step", pl.String, "step reached", ""),
            ("owner", pl.String, "team that owns the step, or who has to act", ""),
            ("risk", pl.Float64, "how likely it is that what is expected does not come in time", "0 .. 1"),
            (
                "reasons",
                STRINGS,
                "what they met, the strongest first; of one that is over why: met, lapsed, ended, less_likely",
                "",
            ),
            ("expectation", pl.String, "what would lapse", ""),
            ("would_lapse_at", TIME, "when, if nothing comes until then", "UTC"),
            ("value_minor", pl.Int64, "money at stake; null: not known", "minor units of currency"),
            ("currency", pl.String, "currency", "ISO 4217"),
            ("updated_at", TIME, "how far event time had come when it was told", "UTC"),
            ("is_over", pl.UInt8, "1: no longer at risk", "0 or 1"),
            DELETED,
        )
    ),
    "a visit or a case that may be slipping away",
)
