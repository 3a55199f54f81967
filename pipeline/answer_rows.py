"""Rows of `answers`: what customers say when they are asked how it was.

Frames:  TicketLog, rows of `contacts`, cases -> rows of frames.ANSWERS, with `partition`, a row a survey in the order of the log
Cases:   an answer that says a journey -> that | of a ticket -> that of the ticket | of an order alone -> a step of the order | of nothing -> support, solved
"""

import numpy as np
import polars as pl

from pipeline.groups import picked
from pipeline.journeys_rules import JourneysRules
from pipeline.table import TIME
from pipeline.ticket_log import SURVEYS, TicketLog
from pipeline.ticket_places import SOLVED, SUPPORT, accounts_of_orders, places


def answers(
    log: TicketLog, contacts: pl.DataFrame, cases: pl.DataFrame, sentiments: pl.Series, rules: JourneysRules
) -> pl.DataFrame:
    """Frames: rows of frames.CONTACTS by number, PERSON + CASE, the sentiment of every event -> rows of frames.ANSWERS."""
    rows = np.flatnonzero(log.is_survey)
    said, whose, ticket = log.events[rows], log.whose(rows), log.ticket[rows]
    of_ticket = {
        name: picked(contacts[name], ticket) for name in ("order_id", "session_id", "account_id", "visitor_id", "journey", "step")
    }
    is_of_ticket = pl.Series(ticket >= 0)
    order_id = _else(said["order_id"], of_ticket["order_id"])
    where = places(
        said.select(
            "person",
            pl.col("event_at").to_physical().alias("at_ms"),
            # The ticket's own place stands for its order's.
            pl.when(~is_of_ticket).then(order_id).alias("order_id"),
            "journey",
            "step",
            of_ticket["journey"].fill_null(SUPPORT).alias("else_journey"),
            of_ticket["step"].fill_null(rules.journeys.step(SUPPORT, SOLVED).name).alias("else_step"),
        ),
        cases,
        rules,
    )
    of_order = accounts_of_orders(pl.DataFrame([said["person"], order_id.alias("order_id")]), cases)
    return pl.DataFrame(
        [
            whose["partition"],
            whose["site"],
            said["event_type"].replace_strict(SURVEYS, return_dtype=pl.String).alias("kind"),
            said["event_id"].alias("answer_id"),
            said["score"],
            said["event_at"].cast(TIME).alias("answered_at"),
            _else(whose["home_visitor"], _else(said["visitor_id"], of_ticket["visitor_id"])).alias("visitor_id"),
            whose["customer_id"],
            _else(said["account_id"], _else(of_ticket["account_id"], _else(of_order, whose["home_account"]))).alias("account_id"),
            order_id.alias("order_id"),
            said["ticket_id"],
            _else(said["session_id"], of_ticket["session_id"]).alias("session_id"),
            *where.get_columns(),
            sentiments.gather(rows).alias("sentiment"),
        ]
    )


def _else(first: pl.Series, second: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(first, second)).to_series()
