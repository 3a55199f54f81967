"""Rows of `signals` that tickets and surveys made fire.

Frames:  FIRED, rows of `contacts` and `answers` -> PERSON and rows of frames.SIGNALS, with `partition`
Cases:   one of a ticket -> whose, where and about what the ticket's row says | one of a survey -> as the answer's row says
         `signal_id` -> hash of site, signal and the event at which it fired
"""

import numpy as np
import polars as pl

from pipeline.groups import Places, picked
from pipeline.hashing import hex128
from pipeline.person_log import PERSON, SIGNAL
from pipeline.table import TIME
from pipeline.ticket_log import TicketLog

_OF_ROW = (
    "partition", "site", "visitor_id", "session_id", "customer_id", "account_id", "order_id", "ticket_id", "journey", "step", "owner",
)  # fmt: skip
_EVIDENCE = ("channel", "topic", "team")


def signal_rows(log: TicketLog, fired: pl.DataFrame, contacts: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """In order of (person, time, signal, id). Frames: FIRED, rows of frames.CONTACTS by number and of ANSWERS in the order of the log."""
    row = fired["row"].to_numpy()
    of_row = pl.concat([contacts.select(_OF_ROW), answers.select(_OF_ROW)])[_whose(log, row)]
    events = log.events.select(pl.col("event_id", "event_at", "page").gather(pl.Series(row, dtype=pl.UInt32)))
    ids = hex128(of_row["site"], fired["signal"], events["event_id"]) if fired.height else pl.Series([], dtype=pl.String)
    ticket = log.ticket[row]
    evidence = pl.DataFrame([picked(contacts[name], ticket) for name in _EVIDENCE])
    return of_row.with_columns(
        pl.Series("person", log.person[row], pl.Int64),
        fired["signal"],
        ids.alias("signal_id"),
        events["event_at"].cast(TIME).alias("fired_at"),
        events["page"],
        fired["value"],
        fired["weight"],
        pl.lit("default").alias("rule"),
        evidence.select(pl.concat_str(_EVIDENCE, separator=" ", ignore_nulls=True).alias("detail"))["detail"],
    ).sort("person", "fired_at", "signal", "signal_id")


def as_candidates(rows: pl.DataFrame) -> pl.DataFrame:
    """The same as what may explain a lapse. Frames: -> PERSON + SIGNAL."""
    wanted = pl.Schema([*PERSON.items(), *SIGNAL.items()])
    return rows.with_columns(pl.lit(0, pl.UInt8).alias("is_deleted")).select(wanted.names()).cast(wanted)


def _whose(log: TicketLog, row: Places) -> Places:
    """Place of what each of these events is of: a ticket, or behind all tickets a survey."""
    nth_survey = np.cumsum(log.is_survey) - 1
    return np.where(log.is_survey[row], log.n + nth_survey[row], log.ticket[row])
