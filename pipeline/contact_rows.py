"""Rows of `contacts`: what there is to say of tickets.

Frames:  TicketLog, cases, TEXTS -> rows of frames.CONTACTS, with `partition`, a row a ticket in the order of their numbers
Cases:   an account that no event says -> that of its order | several events say an order, a channel ... -> the first | a topic, a team, an agent, a priority -> the last
         what a ticket went up to -> not its first priority
         a ticket of which only a survey is known -> a row, open
"""

import numpy as np
import polars as pl

from pipeline.groups import NEVER, Millis, Places, told_ms
from pipeline.journeys_rules import JourneysRules
from pipeline.table import TIME
from pipeline.ticket_log import ASKS, HUMAN_REPLIES, REPLIES, TicketLog
from pipeline.ticket_places import OPENED, REPLIED, SOLVED, SUPPORT, accounts_of_orders, places

_FIRST = ("visitor_id", "account_id", "order_id", "session_id", "channel", "journey", "step")
_LAST = ("topic", "team", "agent_id", "priority")
_STATUSES = {"reopened": "open", "solved": "solved", "closed": "closed", "customer_left": "left"}
_TALKS = (*ASKS, *HUMAN_REPLIES, "human_joined")
"""What shows that a customer who had left is there again."""


def contacts(log: TicketLog, cases: pl.DataFrame, known_by: pl.Series, texts: pl.DataFrame, rules: JourneysRules) -> pl.DataFrame:
    """Frames: PERSON + CASE, `linked_by`, `sentiment` and `n_texts_unread` a ticket -> rows of frames.CONTACTS."""
    tickets, begins = log.tickets, log.begins
    said = log.said({name: tickets.first(log.has(name)) for name in _FIRST} | {name: tickets.last(log.has(name)) for name in _LAST})
    raised = tickets.first(log.is_of(("escalated",)))
    whose = log.whose(begins)
    opened = log.times(begins)
    asked = np.where(log.is_outbound, -1, tickets.first(log.is_of(REPLIES)))
    answered = np.where(log.is_outbound, -1, tickets.first(log.is_of(HUMAN_REPLIES)))
    solved = _solved(log)
    replies, human = log.is_of(REPLIES), log.is_of((*HUMAN_REPLIES, "human_joined"))
    counts = {
        "n_messages": log.is_of(("customer_message",)),
        "n_replies": log.is_of(HUMAN_REPLIES),
        "n_bot_replies": log.is_of(("bot_reply",)),
        "n_reopens": log.is_of(("reopened",)),
        "n_transfers": log.is_of(("transferred",)),
    }
    is_bot_only = (tickets.count(log.is_of(("bot_reply",))) > 0) & (tickets.first(human) < 0)
    where = places(
        pl.DataFrame(
            {
                "person": log.person[begins],
                "at_ms": opened,
                "order_id": said["order_id"],
                "journey": said["journey"],
                "step": said["step"],
                "else_journey": [SUPPORT] * log.n,
                "else_step": _reached(solved, tickets.first(replies), rules),
            },
            schema_overrides={"else_journey": pl.String},
        ),
        cases,
        rules,
    )
    of_order = accounts_of_orders(pl.DataFrame([pl.Series("person", log.person[begins], pl.Int64), said["order_id"]]), cases)
    return pl.DataFrame(
        [
            whose["partition"],
            whose["site"],
            log.said({"ticket_id": begins})["ticket_id"],
            _else(whose["home_visitor"], said["visitor_id"]).alias("visitor_id"),
            whose["customer_id"],
            _else(_else(said["account_id"], of_order), whose["home_account"]).alias("account_id"),
            known_by,
            *(said[name] for name in ("order_id", "session_id", "channel", *_LAST)),
            _first_priority(log, raised),
            *where.get_columns(),
            pl.Series("is_outbound", log.is_outbound, pl.UInt8),
            _time("opened_at", opened),
            _time("first_reply_at", log.times(asked)),
            _time("first_human_reply_at", log.times(answered)),
            _time("solved_at", log.times(solved)),
            _time("closed_at", log.times(tickets.last(log.is_of(("closed",))))),
            told_ms("first_reply_ms", _since(opened, log.times(asked))),
            told_ms("resolution_ms", _since(opened, log.times(solved))),
            *(pl.Series(name, tickets.count(wanted), pl.UInt32) for name, wanted in counts.items()),
            pl.Series("is_escalated", raised >= 0, pl.UInt8),
            pl.Series("is_bot_only", is_bot_only, pl.UInt8),
            *(_score(log, f"{kind}_answered").alias(kind) for kind in ("csat", "ces")),
            *texts.select("sentiment", "n_texts_unread").get_columns(),
            _status(log),
        ]
    )


def _first_priority(log: TicketLog, raised: Places) -> pl.Series:
    """What each ticket was before the event that raised it."""
    until = log.of_ticket(raised)
    is_before = (until < 0) | (np.arange(len(until)) < until)
    return log.said({"priority": log.tickets.first(log.has("priority") & is_before)})["priority"].alias("first_priority")


def _solved(log: TicketLog) -> Places:
    """The event that solved each ticket last; -1: none did, or it was opened again."""
    solved, reopened = (log.tickets.last(log.is_of((name,))) for name in ("solved", "reopened"))
    return np.where(reopened > solved, -1, solved)


def _reached(solved: Places, replied: Places, rules: JourneysRules) -> list[str]:
    names = [rules.journeys.step(SUPPORT, name).name for name in (SOLVED, REPLIED, OPENED)]
    found: list[str] = np.select([solved >= 0, replied >= 0], names[:2], names[2]).tolist()
    return found


def _status(log: TicketLog) -> pl.Series:
    row = log.tickets.last(log.is_of(tuple(_STATUSES)))
    said = log.said({"event_type": row})["event_type"].replace_strict(_STATUSES, default="open", return_dtype=pl.String)
    is_back = log.tickets.last(log.is_of(_TALKS)) > row
    return pl.select(
        pl.when((said == "left") & pl.Series(is_back, dtype=pl.Boolean))
        .then(pl.lit("open"))
        .otherwise(said)
        .fill_null("open")
        .alias("status")
    ).to_series()


def _score(log: TicketLog, event_type: str) -> pl.Series:
    return log.said({"score": log.tickets.last(log.is_of((event_type,)) & log.has("score"))})["score"]


def _since(begin: Millis, end: Millis) -> Millis:
    return np.where(end == NEVER, NEVER, end - begin)


def _time(name: str, ms: Millis) -> pl.Series:
    return told_ms(name, ms).cast(TIME)


def _else(first: pl.Series, second: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(first, second)).to_series()
