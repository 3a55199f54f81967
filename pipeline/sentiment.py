"""Whether somebody wrote kindly or angrily: VADER, words and rules, no model, so that a score can be looked up.

It knows English alone. The language of a text is said by its event, else by its ticket, else by the rule; a text in another one, or in none that
was said, is not read, and counted.

Frames:  texts and languages -> scores from -1 to 1, null where it was not read
Source:  Hutto, Gilbert: VADER, a parsimonious rule-based model for sentiment analysis of social media text. ICWSM 2014
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import polars as pl
from vader import SentimentIntensityAnalyzer

LANGUAGES = ("en",)
"""That are read; of a tag like `en-GB` the first part counts."""

MOST_CHARACTERS = 2_000
"""Of a text; who is angry says so before. It also bounds what is remembered."""
_REMEMBERED = 4_096


@dataclass(frozen=True)
class SentimentRule:
    """What is taken for known of texts."""

    language: str = ""
    """BCP 47 tag of texts of which nobody says the language; '': they are not read."""


def is_read(language: pl.Expr, rule: SentimentRule) -> pl.Expr:
    """Whether a text in this language (null: nobody says) is read."""
    return language.fill_null(rule.language).str.to_lowercase().str.extract(r"^([a-z]+)").is_in(LANGUAGES).fill_null(value=False)


def sentiments(texts: pl.Series) -> pl.Series:
    """The score of each text; null for null."""
    return pl.Series(texts.name, [None if text is None else _score(text[:MOST_CHARACTERS]) for text in texts.to_list()], pl.Float64)


@lru_cache(maxsize=_REMEMBERED)
def _score(text: str) -> float:
    # A person is told again whenever something new is known; 30 us a text, each time, would be the most expensive part of it.
    return float(_analyzer().polarity_scores(text)["compound"])


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
