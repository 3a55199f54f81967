"""Journeys, their steps and who owns them: from settings to a value, and which step an event belongs to.

Frames:  events of the clickstream -> one Int16 column a journey: index of the step, null if it belongs to none
Cases:   the emitter names a known journey and step -> that one | several steps match -> the furthest | none matches -> null
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from pipeline.groups import Places

MOST_STEPS = 60
"""Steps of one journey; they are kept as bits of a number."""


@dataclass(frozen=True)
class JourneyStep:
    """One step, and which events belong to it; any of the matchers will do."""

    name: str
    owner: str
    """Team that answers for it."""
    event_types: tuple[str, ...] = ()
    page_types: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    """Patterns of `page`: `*` stands for any characters, everything else for itself."""
    steps: tuple[str, ...] = ()
    """Further names the emitter may give in `step`, beside the step's own."""

    def __post_init__(self) -> None:
        """Raises: ValueError if it has no name or no owner."""
        if not self.name or not self.owner:
            message = f"step {self.name!r}: a step has a name and an owner"
            raise ValueError(message)

    def matches(self) -> pl.Expr:
        """Whether an event belongs here, by what it is; nothing the emitter says about steps is looked at."""
        found = [pl.col("event_type").is_in(self.event_types)] if self.event_types else []
        if self.page_types:
            found.append(pl.col("page_type").is_in(self.page_types))
        if self.pages:
            found.append(pl.col("page").str.contains(f"^({'|'.join(map(_pattern, self.pages))})$"))
        return pl.any_horizontal(pl.lit(value=False), *(match.fill_null(value=False) for match in found))


@dataclass(frozen=True)
class Journey:
    """Steps in their order, the one at which somebody who goes quiet has abandoned, and the one that is the goal."""

    name: str
    steps: tuple[JourneyStep, ...]
    commit_step: str
    goal: str

    def __post_init__(self) -> None:
        """Raises: ValueError on no steps, a name that stands twice, or a commit step or goal that is no step."""
        names = [step.name for step in self.steps]
        if not self.name or not 1 <= len(names) <= MOST_STEPS or len(set(names)) < len(names):
            message = f"journey {self.name!r}: it has a name and 1 to {MOST_STEPS} steps of different names, not {names}"
            raise ValueError(message)
        for what, name in (("commit_step", self.commit_step), ("goal", self.goal)):
            if name not in names:
                message = f"journey {self.name!r}: {what} {name!r} is none of its steps {names}"
                raise ValueError(message)

    def index(self, step: str) -> int:
        """Place of a step, from 0."""
        return [step_.name for step_ in self.steps].index(step)

    @property
    def commit_index(self) -> int:
        """Place of the commit step."""
        return self.index(self.commit_step)

    @property
    def goal_index(self) -> int:
        """Place of the goal."""
        return self.index(self.goal)

    def step_of_event(self) -> pl.Expr:
        """Index of the step an event belongs to, Int16; null if none."""
        by_matching: pl.Expr = pl.lit(None, dtype=pl.Int16)
        for place, step in enumerate(self.steps):  # the later overwrites: the furthest wins
            by_matching = pl.when(step.matches()).then(pl.lit(place, dtype=pl.Int16)).otherwise(by_matching)
        named = {name: place for place, step in reversed(list(enumerate(self.steps))) for name in (*step.steps, step.name)}
        is_ours = pl.col("journey").is_null() | (pl.col("journey") == self.name)
        by_name = pl.col("step").replace_strict(named, default=None, return_dtype=pl.Int16)
        return pl.coalesce(pl.when(is_ours).then(by_name), by_matching)


def _pattern(page: str) -> str:
    return ".*".join(map(re.escape, page.split("*")))


@dataclass(frozen=True)
class JourneyMap:
    """All journeys of a clickstream, in the order of settings."""

    journeys: tuple[Journey, ...]

    def __post_init__(self) -> None:
        """Raises: ValueError if a name stands twice or there is no journey."""
        names = [journey.name for journey in self.journeys]
        if not names or len(set(names)) < len(names):
            message = f"journeys: at least one, of different names, not {names}"
            raise ValueError(message)

    def columns(self) -> Iterator[tuple[str, Journey]]:
        """Name of the column and journey, in order."""
        for place, journey in enumerate(self.journeys):
            yield f"step_{place}", journey

    def steps_of_events(self, events: pl.DataFrame) -> pl.DataFrame:
        """One column a journey, `step_0`, `step_1`...: what `Journey.step_of_event` says."""
        return events.select(journey.step_of_event().alias(name) for name, journey in self.columns())


@cache
def step_table(journeys: JourneyMap) -> pl.DataFrame:
    """Every step of every journey: `journey_no`, `step` (its index), `journey`, `step_name`, `owner`, `is_commit`, `is_goal`."""
    rows = [
        (no, place, journey.name, step.name, step.owner, step.name == journey.commit_step, step.name == journey.goal)
        for no, journey in enumerate(journeys.journeys)
        for place, step in enumerate(journey.steps)
    ]
    schema = {
        "journey_no": pl.Int16, "step": pl.Int16, "journey": pl.String, "step_name": pl.String, "owner": pl.String,
        "is_commit": pl.UInt8, "is_goal": pl.UInt8,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def step_places(journeys: JourneyMap, journey_no: Places, step: Places) -> Places:
    """The rows of `step_table` of these steps."""
    first = np.cumsum([0, *(len(journey.steps) for journey in journeys.journeys)])
    places: Places = first[journey_no] + step
    return places


SHOP = Journey(
    "shop",
    (
        JourneyStep("browse", "marketing", ("page_view", "view_item_list", "search"), ("home", "search", "listing")),
        JourneyStep("product", "catalogue", ("view_item",), ("product",)),
        JourneyStep("cart", "shop", ("add_to_cart", "view_cart"), ("cart",)),
        JourneyStep("checkout", "shop", ("begin_checkout",), ("checkout",)),
        JourneyStep("shipping", "logistics", ("add_shipping_info",)),
        JourneyStep("payment", "payments", ("add_payment_info", "payment_submitted", "payment_failed")),
        JourneyStep("purchased", "shop", ("purchase",)),
    ),
    commit_step="cart",
    goal="purchased",
)
"""The journey of a shop, where settings name none."""

DEFAULT_JOURNEYS = JourneyMap((SHOP,))
