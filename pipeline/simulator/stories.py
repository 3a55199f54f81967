"""Whole visits told as events, with the truth about each.

Frames:  VISITORS -> events (`contract.EVENTS`), truth (`truth.TRUTH`), frictions (`truth.FRICTIONS`), and VISITORS who come back
Time:    within a visit `event_at` rises strictly, and no silence is as long as the gap, unless its events have a `session_id`
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.simulator import dead_ends, detours, errands, refusals
from pipeline.simulator.bad_clicks import broken, dead, flips
from pipeline.simulator.clicks import leading_on, look_alikes, rage
from pipeline.simulator.contract import as_events
from pipeline.simulator.forms import forms
from pipeline.simulator.friction import Moment, trodden
from pipeline.simulator.happenings import NOTES
from pipeline.simulator.identifiers import uuids
from pipeline.simulator.obstacles import Obstacle
from pipeline.simulator.pages import PAGE_TYPES, PATHS, Kind, Stage, pages
from pipeline.simulator.quality import errors, vitals
from pipeline.simulator.scenarios import Weather
from pipeline.simulator.shopping import CLEAR_OF_GAP_MS, COMMERCE, deeds, leaves, pauses, views
from pipeline.simulator.shops import Shop
from pipeline.simulator.truth import frictions, truth
from pipeline.simulator.visits import visits


@dataclass(frozen=True)
class Habits:
    """What holds for everybody who comes."""

    gap_ms: int
    """Silence between two visits of one visitor is longer; within a visit it is shorter, unless a `session_id` says whose it is."""
    long_pauses: float
    """Probability that a page is opened after minutes of silence."""
    obstacles: tuple[Obstacle, ...]
    vague: float
    """Of what is planted, the share that anybody may call friction or not."""
    weather: Weather


@dataclass(frozen=True)
class Stories:
    """What happened in some visits."""

    events: pl.DataFrame
    truth: pl.DataFrame
    frictions: pl.DataFrame
    visits: pl.DataFrame
    """VISITS and how they ended: `ended_ms`, `left`, `converted`, `ended_by`, `logged_in`, `cart_id`, `cart_minor`, `currency`, `has_case`."""

    @classmethod
    def all_of(cls, parts: Sequence["Stories"]) -> "Stories":
        """All parts, their visits numbered through."""
        begins = np.cumsum([0, *(part.visits.height for part in parts)])
        events = [part.events.with_columns(pl.col("visit") + int(first)) for part, first in zip(parts, begins, strict=False)]
        return cls(
            pl.concat(events),
            pl.concat([part.truth for part in parts]),
            pl.concat([part.frictions for part in parts]),
            pl.concat([part.visits for part in parts]),
        )


def stories(
    rng: np.random.Generator, visitors: pl.DataFrame, shops: tuple[Shop, ...], habits: Habits, *, first_order: int
) -> Stories:
    """The visits that these visitors make, their order numbers, shop by shop, from `first_order` on."""
    meant = visits(rng, visitors)
    opened = _seen(rng, meant, trodden(rng, meant, pages(rng, meant), habits.obstacles, habits.weather), habits)
    told = _timed(rng, meant, opened, _happenings(rng, opened), gap_ms=habits.gap_ms)
    told = _carried(meant, opened, told, shops, first_order=first_order)
    shock = "" if habits.weather.scenario.pages is None else habits.weather.scenario.pages.name
    planted = frictions(told, opened, meant, shops, obstacles=habits.obstacles, shock=shock)
    whole = truth(told, opened, meant, shops, planted=planted, shock=shock)
    last = told.group_by("visit", maintain_order=True).agg(
        pl.col("customer_id").is_not_null().any().alias("logged_in"),
        pl.col("total_minor").last(),
        pl.col("quantity").filter(pl.col("event_type") == "add_to_cart").sum().cast(pl.Int64).alias("n_added"),
    )
    ended = meant.with_columns(
        whole["ended_at"].dt.epoch("ms").alias("ended_ms"),
        whole["left"],
        whole["converted"],
        whole["ended_by"],
        last["logged_in"],
        pl.when("resumes").then("cart_id").otherwise("new_cart_id").alias("cart_id"),
        last["total_minor"].alias("cart_minor"),
        pl.col("cart_items") + last["n_added"],
        pl.Series([shop.currency for shop in shops]).gather(meant["shop"]).alias("currency"),
        (whole["converted"] | ((whole["errand"] != "") & ~whole["gave_up"])).alias("has_case"),
    )
    return Stories(as_events(told), whole, planted, ended)


def _seen(rng: np.random.Generator, meant: pl.DataFrame, opened: pl.DataFrame, habits: Habits) -> pl.DataFrame:
    """The opened pages with what is needed to tell them: whose they are, how many pieces are wanted, how long it took to come."""
    whose = meant.select("pace_ms", "device", "device_name", "is_bot", "sends_session_id", "reorders")[opened["visit"]]
    buys = np.zeros(meant.height, dtype=bool)
    buys[opened["visit"].to_numpy()[(opened["kind"] == Kind.CONFIRMATION).to_numpy()]] = True
    n = opened.height
    mood = rng.random(n)
    pieces = np.select([mood < 0.12, mood < 0.25], [rng.integers(4, 7, n), 2], 1)
    opened = opened.with_columns(
        *whose.drop("pace_ms"),
        # Whoever has come to the payment has made up their mind.
        whose["pace_ms"] * pl.when(pl.col("kind") == Kind.PAYMENT).then(0.7).otherwise(1.0),
        pl.col("path").shift(1, fill_value=0).alias("back_path"),
        pl.col("kind").shift(1, fill_value=0).alias("back_kind"),
        _searches_again(opened) & ~whose["is_bot"],
        pl.lit(habits.vague).alias("vague_share"),
        pl.Series("buys", buys[opened["visit"].to_numpy()]),
        pl.Series("quantity", np.where(opened["adds"].to_numpy(), pieces, 0)),
    )
    silence = pauses(rng, opened, long_pauses=habits.long_pauses, gap_ms=habits.gap_ms)
    return opened.with_columns(pl.Series("pause_ms", silence))


def _searches_again(opened: pl.DataFrame) -> pl.Series:
    """The searches before which the visitor had searched and not looked at any product since."""
    kind = pl.col("kind")
    in_row = (kind == Kind.SEARCH).cum_sum().over("visit", (kind == Kind.PRODUCT).cum_sum().over("visit"))
    return opened.select(((kind == Kind.SEARCH) & (in_row > 1)).alias("searches_again")).to_series()


def _happenings(rng: np.random.Generator, opened: pl.DataFrame) -> pl.DataFrame:
    """Everything that happens on these pages, in order; what would come after somebody has had enough does not."""
    blocks = [
        *views(rng, opened),
        *vitals(rng, opened),
        *errors(rng, opened),
        *look_alikes(rng, opened),
        rage(rng, opened),
        *_hampered(rng, opened),
        *forms(rng, opened),
        *errands.steps(rng, opened),
        leading_on(rng, opened),
        *deeds(rng, opened),
        leaves(rng, opened),
    ]
    told = pl.concat(blocks, how="diagonal")
    told = told.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in NOTES.items() if name not in told.columns)
    page, moment = told["page"].to_numpy(), told["moment"].to_numpy()
    key = (page * 32 + moment) * 64 + told["nth"].to_numpy()
    keep = (moment <= opened["cut"].to_numpy()[page]) | (moment == Moment.LEFT)
    order = np.argsort(key, kind="stable")
    kept: pl.DataFrame = told[order[keep[order]]]
    return kept


def _hampered(rng: np.random.Generator, opened: pl.DataFrame) -> list[pl.DataFrame]:
    """All that is planted beside rage, slow pages, errors and forms."""
    return [
        dead(rng, opened),
        *broken(rng, opened),
        flips(rng, opened),
        detours.thrashing(rng, opened),
        *detours.ping_pong(rng, opened),
        *detours.help_read(rng, opened),
        *detours.walls(rng, opened),
        dead_ends.searches(rng, opened),
        *dead_ends.filters(rng, opened),
        refusals.coupons(rng, opened),
        refusals.logins(rng, opened),
        refusals.prices(rng, opened),
        refusals.sold_out(rng, opened),
        *refusals.payments(rng, opened),
        refusals.hesitations(rng, opened),
        errands.restarts(rng, opened),
        errands.reorders(rng, opened),
    ]


def _timed(rng: np.random.Generator, meant: pl.DataFrame, opened: pl.DataFrame, told: pl.DataFrame, *, gap_ms: int) -> pl.DataFrame:
    """The happenings with visit, time, id, number within the visit and time spent on the page."""
    page = told["page"].to_numpy()
    visit = opened["visit"].to_numpy()[page]
    n = len(visit)
    is_first = np.ones(n, dtype=bool)
    is_first[1:] = visit[1:] != visit[:-1]
    first_of_visit = np.flatnonzero(is_first)[np.cumsum(is_first) - 1] if n else page
    # Only a pause between two pages may be longer than the gap.
    is_pause, silence_ms = told["moment"].to_numpy() == Moment.OPENED, told["after_ms"].to_numpy()
    silence_ms = np.where(is_pause, silence_ms, np.clip(silence_ms, 1, gap_ms - CLEAR_OF_GAP_MS))
    after_ms = np.where(is_first, 0, silence_ms)
    elapsed = np.cumsum(after_ms)
    at_ms = meant["at_ms"].to_numpy()[visit] + elapsed - elapsed[first_of_visit] if n else after_ms
    # Back from another page, the time on this one begins again.
    opens = (told["event_type"] == "page_view").to_numpy()
    opened_ms = at_ms[np.flatnonzero(opens)[np.cumsum(opens) - 1]] if n else after_ms
    return told.with_columns(
        pl.Series("visit", visit),
        pl.Series("at_ms", at_ms),
        pl.Series("sequence", np.arange(n) - first_of_visit + 1),
        uuids(rng, n).alias("event_id"),
        (pl.col("foreground") * pl.Series(at_ms - opened_ms)).cast(pl.Int64).alias("engaged_ms"),
    )


def _carried(
    meant: pl.DataFrame, opened: pl.DataFrame, told: pl.DataFrame, shops: tuple[Shop, ...], *, first_order: int
) -> pl.DataFrame:
    """The happenings with what every event says of page, visitor, device and origin, and with the cart as it then stood."""
    visit = told["visit"]
    page = opened.select("kind", "path", "stage", "is_first")[told["page"]]
    whose = meant.select(
        "shop", "visitor_id", "session_id", "customer_id", "account_id", "is_remembered", "cart_minor", "cart_items",
        pl.when("resumes").then("cart_id").otherwise("new_cart_id").alias("cart_id"),
        pl.col("device_name").alias("device"), "browser", "os", "country", "app_version",
        "acquisition_channel", "campaign", "referrer", "is_bot",
    )[visit]  # fmt: skip
    of_shop = pl.DataFrame(
        {
            "site": [shop.site for shop in shops],
            "currency": [shop.currency for shop in shops],
            "says_no_bot": [shop.says_no_bot for shop in shops],
        }
    )[whose["shop"]]
    frame = told.with_columns(*page, *whose, *of_shop).with_columns(
        (pl.col("cart_minor") + pl.col("more_minor").fill_null(0).cum_sum().over("visit")).alias("cart_total"),
        (pl.col("is_remembered") | pl.col("event_type").is_in(["login", "sign_up"]).cum_max().over("visit")).alias("is_known"),
        ((pl.col("stage") == Stage.CONFIRMATION) & (pl.col("event_type") == "page_view")).cast(pl.Int64).alias("is_order"),
    )
    # What is put in the cart is in it before anything is added to its price.
    surcharge = pl.max_horizontal((pl.col("cart_total") * pl.col("more_share")).round().cast(pl.Int64), "more_least").fill_null(0)
    frame = frame.with_columns((pl.col("cart_total") + surcharge.cum_sum().over("visit")).alias("total_minor"))
    is_commerce, opens = pl.col("event_type").is_in(COMMERCE), pl.col("event_type") == "page_view"
    is_confirmed = (pl.col("kind") == Kind.CONFIRMATION) & (opens | (pl.col("event_type") == "purchase"))
    return frame.with_columns(
        pl.coalesce("at_path", PATHS.gather(frame["path"])).alias("page_path"),
        pl.coalesce("at_type", PAGE_TYPES.gather(frame["kind"])).alias("page_type"),
        pl.when("is_known").then("customer_id").alias("customer_id"),
        pl.when("is_known").then("account_id").alias("account_id"),
        pl.when(is_commerce).then("cart_id").alias("cart_id"),
        pl.when(is_commerce).then("total_minor").alias("amount_minor"),
        pl.when(is_commerce).then("currency").alias("currency"),
        pl.when(is_confirmed).then((pl.col("is_order").cum_sum().over("shop") + first_order - 1).cast(pl.String)).alias("order_id"),
        pl.when(pl.col("is_first") & opens).then("referrer").alias("referrer"),
        pl.when(pl.col("is_bot") | pl.col("says_no_bot")).then("is_bot").alias("is_bot"),
    )
