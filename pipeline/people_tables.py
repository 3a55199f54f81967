"""Tables of what people say to support: a ticket, and an answer to a survey."""

import polars as pl

from pipeline.table import DELETED, SITE, TIME, WHO, Table, columns

_SENTIMENT = "-1 .. 1"

CONTACTS = Table(
    "contacts",
    ("site", "ticket_id"),
    columns(
        (
            SITE,
            ("ticket_id", pl.String, "the ticket", ""),
            *WHO,
            (
                "linked_by",
                pl.String,
                "by what its person is known: customer, visitor, order, account; unlinked: by nothing, for longer than one waits; '': by nothing yet",
                "",
            ),
            ("order_id", pl.String, "order it is about: the first that was said", ""),
            ("session_id", pl.String, "visit from which it came: the first that was said", ""),
            ("channel", pl.String, "email, chat, phone, bot, social, form, store: where it began", ""),
            ("topic", pl.String, "what it is about, as said last; how_to: needed help for a simple task", ""),
            ("team", pl.String, "team that serves, as said last", ""),
            ("agent_id", pl.String, "who serves, as said last", ""),
            ("priority", pl.String, "priority, as said last", ""),
            ("first_priority", pl.String, "priority, as said first, before it went up; '': none was said by then", ""),
            ("owner", pl.String, "team that owns that step; support, if none is known", ""),
            ("journey", pl.String, "journey it is about: its own, else that of its order, else support", ""),
            (
                "step",
                pl.String,
                "step it is about: its own, else of its order delivered or the first, else opened, replied or solved of support",
                "",
            ),
            ("is_outbound", pl.UInt8, "1: the shop got in touch, as the first event says that says it", "0 or 1"),
            ("opened_at", TIME, "its earliest event", "UTC"),
            ("first_reply_at", TIME, "first reply of an agent or a bot; null if outbound: nobody asked", "UTC"),
            ("first_human_reply_at", TIME, "first reply of an agent; null if outbound", "UTC"),
            ("solved_at", TIME, "solved last; null while it is not, or opened again", "UTC"),
            ("closed_at", TIME, "closed last", "UTC"),
            ("first_reply_ms", pl.Int64, "opening to first reply, all hours counted", "ms"),
            ("resolution_ms", pl.Int64, "opening to solved_at, all hours counted", "ms"),
            ("n_messages", pl.UInt32, "messages of the customer after the opening", "messages"),
            ("n_replies", pl.UInt32, "replies of agents", "replies"),
            ("n_bot_replies", pl.UInt32, "replies of bots", "replies"),
            ("n_reopens", pl.UInt32, "how often it was opened again", "times"),
            ("n_transfers", pl.UInt32, "how often somebody else became responsible", "times"),
            ("is_escalated", pl.UInt8, "1: it went up", "0 or 1"),
            ("is_bot_only", pl.UInt8, "1: a bot replied, and no person has so far", "0 or 1"),
            ("csat", pl.Int64, "satisfaction, as answered last: 4 and 5 are satisfied", "1 .. 5"),
            ("ces", pl.Int64, "ease, as answered last: 5 and more are easy", "1 .. 7"),
            ("sentiment", pl.Float64, "mean of what the customer wrote; null: nothing in a language that is read", _SENTIMENT),
            ("n_texts_unread", pl.UInt32, "texts of the customer in a language that is not read for sentiment", "texts"),
            ("status", pl.String, "open, solved, closed, left (the customer gave up waiting)", ""),
            DELETED,
        )
    ),
    "one support ticket",
)

ANSWERS = Table(
    "answers",
    ("site", "kind", "answer_id"),
    columns(
        (
            SITE,
            ("kind", pl.String, "csat, nps, ces", ""),
            ("answer_id", pl.String, "event_id of the answer", ""),
            ("score", pl.Int64, "csat 1..5, nps 0..10, ces 1..7", "points"),
            ("answered_at", TIME, "when it was answered", "UTC"),
            *WHO,
            ("order_id", pl.String, "order it is about: its own, else that of its ticket", ""),
            ("ticket_id", pl.String, "ticket it is about; '': none", ""),
            ("session_id", pl.String, "visit it is about: its own, else that of its ticket", ""),
            ("journey", pl.String, "journey it is about: its own, else that of its ticket or order, else support", ""),
            ("step", pl.String, "step it is about, likewise", ""),
            ("owner", pl.String, "team that owns that step; support, if none is known", ""),
            ("sentiment", pl.Float64, "of the words beside the score; null: none in a language that is read", _SENTIMENT),
            DELETED,
        )
    ),
    "one answer to a survey",
)
