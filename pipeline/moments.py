"""When people turned to support: what may make a lapse `contacted` instead of silent.

Frames:  TicketLog -> person_log.MOMENTS
Cases:   the shop wrote first -> its opening is no moment, the customer's answer is one | a survey answer -> none
"""

import numpy as np
import polars as pl

from pipeline.person_log import MOMENTS
from pipeline.ticket_log import TicketLog


def moments(log: TicketLog) -> pl.DataFrame:
    """Every inbound event of a customer, with what its ticket knows. Frames: -> MOMENTS."""
    rows = np.flatnonzero(log.is_asked)
    events = log.events[rows]

    def known(name: str) -> pl.Expr:
        first = log.of_ticket(log.tickets.first(log.has(name)))
        return pl.coalesce(log.said({name: first[rows]})[name], pl.col(name)).alias(name)

    return events.select(
        "person", pl.col("event_at").alias("at"), "ticket_id", known("order_id"), known("journey"), "event_id"
    ).select(MOMENTS.names())
