"""A contact with support, from the first word to the last, and what people answer when they are asked how it was.

Whether service is good or bad is drawn for each ticket, whatever happened to the customer before: a smooth journey can end in a bad queue, and a lost parcel
with somebody who cares.

Frames:  CONTACTED -> entries of the family `ticket`, and what became of each
Cases:   a bot answers, and is enough or not | the customer leaves the queue | answered, passed on, escalated, solved, opened again
         answers: a clear score | vague: the middle of the scale
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator.arrivals import DAY_MS, HOUR_MS
from pipeline.simulator.columns import schema
from pipeline.simulator.draws import Bools, Floats, Ints
from pipeline.simulator.entries import MINUTE_MS, between, entries
from pipeline.simulator.happenings import strings
from pipeline.simulator.identifiers import short_ids
from pipeline.simulator.orders import NEVER_MS
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.words import ANSWERS, BOT_ANSWERS, HOW_TO, LANGUAGES, MOODS, TEXTS

CONTACTED = schema(
    {
        "visit": pl.Int64, "case": pl.Int64, "about": pl.String, "topic": pl.String, "journey": pl.String, "step": pl.String, "page": pl.String,
        "at_ms": pl.Int64, "nth": pl.Int64, "site": pl.String, "country": pl.String, "visitor_id": pl.String, "session_id": pl.String,
        "customer_id": pl.String, "account_id": pl.String, "order_id": pl.String,
    }
)  # fmt: skip
"""`case`: row of CASES, -1: of no case. `about`: the friction or the wait that it is about, else 'how_to'. `nth`: contacts about the same before."""

CHANNELS = ("chat", "email", "phone", "form", "social")
_CHAT, _PHONE = 0, 2
_CHANNEL_SHARES = (0.40, 0.34, 0.13, 0.10, 0.03)
GOOD_SERVICE, GOOD_IN_A_FLOOD = 0.65, 0.15
_TEAMS = ("first_line", "parcels", "payments", "accounts")
_CSAT = np.array([[0.42, 0.28, 0.2, 0.08, 0.02], [0.01, 0.02, 0.09, 0.33, 0.55]])
"""Share of each answer, 1 to 5, of those who were served badly, and well."""
_ANSWERS_CSAT, _ANSWERS_CES = 0.3, 0.1
_TRANSFERRED, _ESCALATED, _REOPENED = (0.28, 0.04), (0.12, 0.015), (0.2, 0.03)
"""Shares of tickets that were served badly, and well."""
_LANGUAGES = tuple(TEXTS)


@dataclass(frozen=True)
class Served:
    """What became of tickets; a value a row of CONTACTED."""

    blocks: list[pl.DataFrame]
    ticket_id: pl.Series
    channel: pl.Series
    is_good: Bools
    is_shocked: Bools
    replied_ms: Ints
    """The first answer by a person; NEVER_MS: none."""
    solved_ms: Ints
    has_left: Bools
    ended_ms: Ints


@dataclass(frozen=True)
class _Course:
    """How it goes: what happens, and when; a value a ticket."""

    is_shocked: Bools
    is_good: Bools
    channel: Ints
    has_bot: Bools
    by_bot: Bools
    bot_ms: Ints
    asked_ms: Ints
    has_left: Bools
    patience_ms: Ints
    is_served: Bools
    replied_ms: Ints
    wrote_back: Bools
    back_ms: Ints
    moved: Bools
    moved_ms: Ints
    raised: Bools
    raised_ms: Ints
    final_ms: Ints
    solved_ms: Ints
    again: Bools
    again_ms: Ints
    reply_again_ms: Ints
    last_solved_ms: Ints


def _course(rng: np.random.Generator, contacted: pl.DataFrame, weather: Weather) -> _Course:
    n = contacted.height
    at_ms = contacted["at_ms"].to_numpy()
    is_shocked = weather.hits(weather.scenario.support, at_ms)
    is_good = rng.random(n) < np.where(is_shocked, GOOD_IN_A_FLOOD, GOOD_SERVICE)
    good = is_good.astype(np.int64)
    channel = rng.choice(len(CHANNELS), n, p=_CHANNEL_SHARES).astype(np.int64)
    is_live = (channel == _CHAT) | (channel == _PHONE)

    has_bot = (channel == _CHAT) & (rng.random(n) < 0.6)
    by_bot = has_bot & (rng.random(n) < np.where((contacted["topic"] == "how_to").to_numpy(), 0.6, 0.1))
    bot_ms = at_ms + between(rng, n, 1_500, 8_000)
    asked_ms = np.where(has_bot, bot_ms + between(rng, n, 20_000, 120_000), at_ms)
    queue_ms = np.where(is_good, between(rng, n, 15_000, 150_000), between(rng, n, 3 * MINUTE_MS, 20 * MINUTE_MS))
    queue_ms = np.where(is_shocked & ~is_good, queue_ms * 3, queue_ms)
    patience_ms = (5 * MINUTE_MS * rng.lognormal(0.0, 0.7, n)).astype(np.int64)
    has_left = is_live & ~by_bot & (queue_ms > patience_ms)
    mail_ms = np.where(is_good, between(rng, n, HOUR_MS, 10 * HOUR_MS), between(rng, n, 20 * HOUR_MS, 90 * HOUR_MS))
    is_served = ~by_bot & ~has_left

    def after(before_ms: Ints) -> Ints:
        """The next thing: minutes later in a talk, hours later in letters."""
        later: Ints = before_ms + np.where(is_live, between(rng, n, 40_000, 4 * MINUTE_MS), between(rng, n, HOUR_MS, 12 * HOUR_MS))
        return later

    replied_ms = asked_ms + np.where(is_live, queue_ms, mail_ms)
    back_ms = after(replied_ms)
    moved_ms = after(back_ms)
    raised_ms = after(moved_ms)
    final_ms = after(raised_ms)
    solved_ms = np.select([by_bot, is_served], [bot_ms + between(rng, n, MINUTE_MS, 4 * MINUTE_MS), after(final_ms)], NEVER_MS)
    again = is_served & (rng.random(n) < np.array(_REOPENED)[good])
    again_ms = solved_ms + between(rng, n, 2 * HOUR_MS, 48 * HOUR_MS)
    reply_again_ms = after(again_ms)
    return _Course(
        is_shocked=is_shocked,
        is_good=is_good,
        channel=channel,
        has_bot=has_bot,
        by_bot=by_bot,
        bot_ms=bot_ms,
        asked_ms=asked_ms,
        has_left=has_left,
        patience_ms=patience_ms,
        is_served=is_served,
        replied_ms=replied_ms,
        wrote_back=is_served & (rng.random(n) < np.where(is_good, 0.4, 0.75)),
        back_ms=back_ms,
        moved=is_served & (rng.random(n) < np.array(_TRANSFERRED)[good]),
        moved_ms=moved_ms,
        raised=is_served & (rng.random(n) < np.array(_ESCALATED)[good]),
        raised_ms=raised_ms,
        final_ms=final_ms,
        solved_ms=solved_ms,
        again=again,
        again_ms=again_ms,
        reply_again_ms=reply_again_ms,
        last_solved_ms=np.where(again, after(reply_again_ms), solved_ms),
    )


def tickets(rng: np.random.Generator, contacted: pl.DataFrame, weather: Weather) -> Served:
    """Tickets until they are closed."""
    n = contacted.height
    way = _course(rng, contacted, weather)
    is_solved = way.solved_ms != NEVER_MS
    ended_ms = np.where(is_solved, way.last_solved_ms, way.asked_ms + way.patience_ms)
    return Served(
        [*_talk(rng, contacted, way), *_answers(rng, way)],
        short_ids(rng, n, "t-"),
        strings(CHANNELS, way.channel),
        way.is_good,
        way.is_shocked,
        np.where(way.is_served, way.replied_ms, NEVER_MS),
        way.last_solved_ms,
        way.has_left,
        ended_ms,
    )


def _talk(rng: np.random.Generator, contacted: pl.DataFrame, way: _Course) -> list[pl.DataFrame]:
    """What is said and done, by whom."""
    n = contacted.height
    is_chat, is_live = way.channel == _CHAT, (way.channel == _CHAT) | (way.channel == _PHONE)
    is_how_to = (contacted["topic"] == "how_to").to_numpy()
    language = _languages(contacted["country"])
    angry = contacted["about"].is_in(_ANGERING).to_numpy() & (rng.random(n) < 0.5)
    opening = np.select([is_how_to, angry], [0, 2], _moods(rng, n, 0.06))
    later = _moods(rng, n, np.where(way.is_good, 0.05, 0.5))
    repeats = (contacted["nth"] > 0).to_numpy()
    agent = strings([f"a-{number}" for number in range(24)], rng.integers(0, 24, n))
    team, other = strings(_TEAMS, rng.integers(0, 2, n)), strings(_TEAMS, rng.integers(2, 4, n))
    answer = _lines(ANSWERS, language)
    said = np.select([repeats, is_how_to, opening == 2, opening == 1], [0, 1, 2, 3], 4)
    nothing = np.zeros(n, dtype=bool)
    spoke_again = way.wrote_back | way.moved | way.raised
    is_solved = way.solved_ms != NEVER_MS
    return [
        _of(
            ~nothing, "ticket_opened", contacted["at_ms"].to_numpy(), topic=contacted["topic"],
            text=_texts(rng, language, opening, is_how_to), planted=_planted(said), vague=(opening == 1) & ~repeats,
            journey=contacted["journey"], step=contacted["step"], page=contacted["page"],
            priority=strings(["normal", "high"], (opening == 2).astype(np.int64)),
        ),
        _of(way.has_bot, "bot_reply", way.bot_ms, text=_lines(BOT_ANSWERS, language)),
        _of(way.has_bot & ~way.by_bot, "human_requested", way.asked_ms),
        _of(
            way.has_left, "customer_left", way.asked_ms + way.patience_ms, planted="left_queue",
            vague=way.patience_ms < MINUTE_MS, measure=way.patience_ms.astype(np.float64),
        ),
        _of(way.is_served & is_chat, "human_joined", way.replied_ms - 900, agent_id=agent),
        _of(way.is_served & ~is_live, "assigned", (way.asked_ms + way.replied_ms) // 2, agent_id=agent, team=team),
        _of(way.is_served, "agent_reply", way.replied_ms, agent_id=agent, team=team, text=answer),
        _of(
            way.wrote_back, "customer_message", way.back_ms, text=_texts(rng, language, later, nothing),
            planted=_planted(np.select([later == 2, later == 1], [2, 3], 4)), vague=later == 1,
        ),
        _of(way.moved, "transferred", way.moved_ms, team=other, planted="transferred"),
        _of(way.raised, "escalated", way.raised_ms, priority="urgent", planted="escalated"),
        _of(way.is_served & spoke_again, "agent_reply", way.final_ms, agent_id=agent, text=answer),
        _of(is_solved, "solved", way.solved_ms),
        _of(way.again, "reopened", way.again_ms, planted="reopened"),
        _of(way.again, "agent_reply", way.reply_again_ms, agent_id=agent, text=answer),
        _of(way.again, "solved", way.last_solved_ms),
        _of(is_solved, "closed", way.last_solved_ms + 3 * DAY_MS),
    ]  # fmt: skip


def _answers(rng: np.random.Generator, way: _Course) -> list[pl.DataFrame]:
    """What is answered when support asks how it was: by how it was, and by nothing else."""
    n = len(way.is_good)
    is_solved = way.solved_ms != NEVER_MS
    rates = is_solved & (rng.random(n) < _ANSWERS_CSAT)
    tells = is_solved & ~rates & (rng.random(n) < _ANSWERS_CES)
    shares = np.cumsum(_CSAT[way.is_good.astype(np.int64)], axis=1)
    csat = 1 + (rng.random(n)[:, None] > shares).sum(axis=1).clip(0, 4)
    ces = np.where(way.is_good, rng.integers(5, 8, n), rng.integers(1, 5, n))
    at_ms = way.last_solved_ms + between(rng, n, HOUR_MS, 30 * HOUR_MS)
    low = strings(["low_csat", None], (csat > 3).astype(np.int64))
    return [
        _of(rates, "csat_answered", at_ms, score=csat, planted=low, vague=csat == 3, measure=csat.astype(np.float64)),
        _of(tells, "ces_answered", at_ms, score=ces),
    ]


def _of(which: Bools, event_type: str, at_ms: Ints, **columns: Ints | Floats | Bools | str | pl.Series) -> pl.DataFrame:
    """An entry of each of these tickets."""
    here = np.flatnonzero(which)
    cells = {name: value if isinstance(value, str) else value[here] for name, value in columns.items()}
    return entries("ticket", here, event_type, at_ms[here], **cells)


_ANGERING = ("lost_parcel", "payment_declined_twice", "late_delivery", "delivery_exception", "payment_failed")


def _planted(which: Ints) -> pl.Series:
    return strings(["repeat_contact", "howto_contact", "negative_words", "negative_words", None], which)


def _moods(rng: np.random.Generator, n: int, negative: object) -> Ints:
    """Index into MOODS."""
    mood = rng.random(n)
    drawn: Ints = np.select([mood < np.asarray(negative), mood > 0.97], [2, 1], 0)
    return drawn


def _languages(country: pl.Series) -> Ints:
    """Index into _LANGUAGES."""
    names = {land: _LANGUAGES.index(language[:2]) for land, language in LANGUAGES.items()}
    return country.replace_strict(names, default=0, return_dtype=pl.Int64).to_numpy()


def _texts(rng: np.random.Generator, language: Ints, mood: Ints, is_how_to: Bools) -> pl.Series:
    """Something of that mood in that language."""
    of_mood = [text for name in _LANGUAGES for feeling in MOODS for text in TEXTS[name][feeling]]
    of_how_to = [text for name in _LANGUAGES for text in HOW_TO[name]]
    which = rng.integers(0, 2, len(mood))
    row = np.where(is_how_to, len(of_mood) + language * 2 + which, (language * len(MOODS) + mood) * 2 + which)
    return strings([*of_mood, *of_how_to], row)


def _lines(table: Mapping[str, str], language: Ints) -> pl.Series:
    """The line of each language."""
    return strings([table[name] for name in _LANGUAGES], language)


def surveys(rng: np.random.Generator, at_ms: Ints, n_bad: Ints) -> list[pl.DataFrame]:
    """What customers answer after an order, asked for by mail: worse the more went wrong, and not only then."""
    n = len(at_ms)
    mood = rng.random(n)
    asks_nps, asks_csat = mood < 0.08, (mood > 0.9)
    nps = np.clip(np.round(9.2 - 2.6 * n_bad + rng.normal(0.0, 1.6, n)), 0, 10).astype(np.int64)
    csat = np.clip(np.round(4.6 - 1.1 * n_bad + rng.normal(0.0, 0.7, n)), 1, 5).astype(np.int64)
    answered_ms = at_ms + between(rng, n, 6 * HOUR_MS, 4 * DAY_MS)
    blocks = []
    for which, event_type, kind, score, low, middle in (
        (asks_nps, "nps_answered", "low_nps", nps, 6, 5),
        (asks_csat, "csat_answered", "low_csat", csat, 3, 3),
    ):
        here = np.flatnonzero(which)
        of = score[here]
        blocks.append(
            entries(
                "ticket", here, event_type, answered_ms[here], score=of, journey="order", step="delivered",
                planted=strings([kind, None], (of > low).astype(np.int64)), vague=of >= middle, measure=of.astype(np.float64),
            )
        )  # fmt: skip
    return blocks
