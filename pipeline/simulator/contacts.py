"""Who writes to support, about what, and how often.

Frames:  Stories, FACTS, CELLS -> CONTACTED
"""

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import HOUR_MS
from pipeline.simulator.case_truth import PLACES
from pipeline.simulator.cases import CELLS
from pipeline.simulator.draws import Floats, Ints
from pipeline.simulator.entries import about
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.stories import Stories
from pipeline.simulator.tickets import CONTACTED, Served, tickets
from pipeline.simulator.words import LANGUAGES

CONTACT = {
    "payment_declined_twice": 0.25, "eta_slip": 0.18, "failed_attempt": 0.12, "delivery_exception": 0.30, "return_soon": 0.10,
    "late_delivery": 0.15, "lost_parcel": 0.65, "slow_quote": 0.15, "slow_approval": 0.05, "stalled_onboarding": 0.20,
}  # fmt: skip
"""Probability that who meets it, or waits so, writes to support about it; about a case once, and again if that was no use."""
CONTACT_OF_VISIT = 0.10
"""Probability that who leaves a visit because of a friction writes to support: the others go without a word."""
HOW_TO_OF_CASE, HOW_TO_OF_VISIT = 0.04, 0.002
"""Probability of a question that nothing gave rise to."""
IN_A_FLOOD = 8.0
"""Factor of all of these while support is flooded."""
_AGAIN = (0.35, 0.05)
"""Probability that a ticket served badly, and well, is followed by another one about the same."""
_AGAIN_IF_LEFT = 0.4
_ROUNDS = 3
_TOPICS = {"order": "order", "return": "return", "rfq": "quote", "approval": "approval", "onboarding": "account"}
_UNKNOWN_SENDERS = 0.03
"""Of the tickets that are not chats, those that say nothing of who writes."""


def contacts(
    rng: np.random.Generator, story: Stories, facts: pl.DataFrame, cells: pl.DataFrame, weather: Weather
) -> tuple[pl.DataFrame, Served]:
    """Everybody who writes to support, again and again if need be."""
    found = pl.concat([_about_cases(rng, facts, cells, weather), _about_visits(rng, story, weather)])
    rounds, asked = [], found
    for _ in range(_ROUNDS):
        if not asked.height:
            break
        rounds.append((asked, tickets(rng, asked, weather)))
        served = rounds[-1][1]
        n = asked.height
        chance = np.where(served.has_left, _AGAIN_IF_LEFT, np.array(_AGAIN)[served.is_good.astype(np.int64)])
        again = rng.random(n) < chance
        later_ms = served.ended_ms + about(rng, n, 16 * HOUR_MS, 0.6) + HOUR_MS
        asked = asked.with_columns(pl.Series("at_ms", later_ms), pl.col("nth") + 1).filter(pl.Series(again))
    if not rounds:
        return found, tickets(rng, found, weather)
    contacted = pl.concat([asked for asked, _ in rounds])
    offset, blocks = 0, []
    for asked, served in rounds:
        blocks += [block.with_columns(pl.col("case") + offset) for block in served.blocks]
        offset += asked.height
    everything = [served for _, served in rounds]
    arrays = ("is_good", "is_shocked", "replied_ms", "solved_ms", "has_left", "ended_ms")
    return contacted, Served(
        blocks=blocks,
        ticket_id=pl.concat([served.ticket_id for served in everything]),
        channel=pl.concat([served.channel for served in everything]),
        **{name: np.concatenate([getattr(served, name) for served in everything]) for name in arrays},
    )


def _about_cases(rng: np.random.Generator, facts: pl.DataFrame, cells: pl.DataFrame, weather: Weather) -> pl.DataFrame:
    """Contacts about what was met or waited for, at most one a case, and questions. Frames: -> CONTACTED."""
    n = facts.height
    questions = pl.DataFrame(
        {"case": np.arange(n), "kind": ["how_to"] * n, "at_ms": facts["began_ms"]}, schema=dict(list(CELLS.items())[:3])
    )
    could = pl.concat([cells.select("case", "kind", "at_ms"), questions])
    at_ms = could["at_ms"].to_numpy() + about(rng, could.height, 2 * HOUR_MS, 0.9) + 60_000
    chance = could["kind"].replace_strict({**CONTACT, "how_to": HOW_TO_OF_CASE}, default=0.0, return_dtype=pl.Float64).to_numpy()
    writes = rng.random(could.height) < _in_weather(chance, at_ms, weather)
    chosen = (
        could.with_columns(pl.Series("at_ms", at_ms))
        .filter(pl.Series(writes))
        .sort("case", "at_ms")
        .unique("case", keep="first", maintain_order=True)
    )
    whose = facts.drop("began_ms", "promised_ms", "delivered_ms", "ended_ms", "outcome", "shock", "asks", "parent_id")[
        chosen["case"]
    ]
    place = chosen["kind"].replace_strict(
        {kind: journey for kind, (journey, _) in PLACES.items()}, default="order", return_dtype=pl.String
    )
    is_question = chosen["kind"] == "how_to"
    topic = place.replace_strict(_TOPICS, default="order", return_dtype=pl.String)
    step = chosen["kind"].replace_strict(
        {kind: step for kind, (_, step) in PLACES.items()}, default="placed", return_dtype=pl.String
    )
    return (
        chosen.with_columns(
            *whose,
            pl.col("kind").alias("about"),
            pl.Series("topic", ["how_to"]).new_from_index(0, chosen.height).zip_with(is_question, topic),
            place.alias("journey"),
            step.alias("step"),
            pl.lit(None, pl.String).alias("page"),
            pl.lit(0, pl.Int64).alias("nth"),
        )
        .select(CONTACTED.names())
        .cast(CONTACTED)
    )


def _about_visits(rng: np.random.Generator, story: Stories, weather: Weather) -> pl.DataFrame:
    """Contacts of those who left a visit because of a friction, and questions. Frames: -> CONTACTED."""
    whole, visits = story.truth, story.visits
    hurt = ((whole["ended_by"] != "") & ~whole["is_bot"]).to_numpy()
    at_ms = whole["ended_at"].to_physical().to_numpy() + about(rng, whole.height, 20 * 60_000, 1.2) + 30_000
    chance = np.where(hurt, CONTACT_OF_VISIT, np.where(whole["is_bot"].to_numpy(), 0.0, HOW_TO_OF_VISIT))
    writes = np.flatnonzero(rng.random(whole.height) < _in_weather(chance, at_ms, weather))
    fatal = story.frictions.filter("made_leave").select("visit_id", pl.col("page").alias("at_page"))
    chosen = whole.with_columns(visits["country"], visits["account_id"])[writes].join(
        fatal, on="visit_id", how="left", maintain_order="left"
    )
    is_hurt = pl.Series(hurt[writes])
    return chosen.select(
        pl.Series("visit", writes),
        pl.lit(-1, pl.Int64).alias("case"),
        pl.when(is_hurt).then("ended_by").otherwise(pl.lit("how_to")).alias("about"),
        pl.when(is_hurt).then(pl.lit("shop")).otherwise(pl.lit("how_to")).alias("topic"),
        pl.when(is_hurt).then(pl.lit("shop")).alias("journey"),
        pl.when(is_hurt & (pl.col("furthest_step") != "")).then("furthest_step").alias("step"),
        pl.col("at_page").alias("page"),
        pl.Series("at_ms", at_ms[writes]),
        pl.lit(0, pl.Int64).alias("nth"),
        "site", "country", "visitor_id", "session_id", "customer_id",
        pl.when(pl.col("customer_id").is_not_null()).then("account_id").alias("account_id"),
        pl.lit(None, pl.String).alias("order_id"),
    ).cast(CONTACTED)  # fmt: skip


def _in_weather(chance: Floats, at_ms: Ints, weather: Weather) -> Floats:
    """The chance of writing at these times."""
    flooded = weather.hits(weather.scenario.support, at_ms)
    return np.where(flooded, np.minimum(chance * IN_A_FLOOD, 0.9), chance)


def senders(rng: np.random.Generator, contacted: pl.DataFrame, served: Served) -> pl.DataFrame:
    """What a ticket's events say of who writes: chat and form know the browser, a mail the customer or the order, some nothing at all."""
    is_chat = served.channel.is_in(["chat", "form"])
    known = is_chat | pl.Series(rng.random(contacted.height) >= _UNKNOWN_SENDERS)
    return contacted.select(
        "site",
        served.ticket_id.alias("ticket_id"),
        served.channel.alias("channel"),
        pl.col("country").replace_strict(LANGUAGES, default="en", return_dtype=pl.String).alias("language"),
        pl.when(known).then("order_id").alias("order_id"),
        pl.when(known).then("customer_id").alias("customer_id"),
        pl.when(known).then("account_id").alias("account_id"),
        # Who is unknown and has no order writes from the page.
        pl.when(is_chat | (known & pl.col("customer_id").is_null() & pl.col("order_id").is_null()))
        .then("visitor_id")
        .alias("visitor_id"),
        pl.when(is_chat & (pl.col("case") < 0)).then("session_id").alias("session_id"),
    )


def tickets_of_visits(story: Stories, contacted: pl.DataFrame, served: Served) -> pl.Series:
    """The first ticket about each visit itself; null: none."""
    about_visit = (contacted["case"] < 0).to_numpy() & (contacted["nth"] == 0).to_numpy()
    row = np.full(story.visits.height, contacted.height)
    row[contacted["visit"].to_numpy()[about_visit]] = np.flatnonzero(about_visit)
    return pl.concat([served.ticket_id, pl.Series([None], dtype=pl.String)]).gather(row)
