"""From what the fold remembers to one row a session, with its steps, journey and status.

The same function looks at what was remembered before a step and after it; what differs is what a step has to say. A session's number is its place in the
frame, so that what belongs to it is added up and looked up by place, in numpy: joins cost more than all the rest.

Frames:  PARTS, REACHED, COMMITS, LASTS, FIRED, CLOSINGS -> Told
Cases:   nobody known and one customer -> one session | a second customer -> a session of its own, ~2 | an id used again -> ~r and its first ms
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.groups import Places, rows_or_none
from pipeline.journey_map import JourneyMap
from pipeline.session_parts import AMOUNT, CART, ORDER, PLACES, Remembered, clusters, engaged_ms, latest, merged
from pipeline.session_rules import SessionRules
from pipeline.session_signals import left_undone
from pipeline.watermark import milliseconds

Quiet = Callable[[pl.DataFrame], NDArray[np.bool_]]
"""Says of sessions (PARTS) which of them have ended."""


@dataclass(frozen=True)
class Told:
    """What there is to say of some visitors."""

    sessions: pl.DataFrame
    """PARTS of whole sessions in order of `group` (its number, from 0), what LASTS has of them, `told_id`, `journey_no`, `furthest`, `mask` (bit a step
    reached), `places` (a hash of the steps reached in all journeys), `status`, `friction` (a hash of what fired at which step, of this process), `n_signals`, `points`, `linked_ms` (first event that names the customer);
    journey_no and furthest are null without a step."""
    groups: Places
    """The session of each part, in the order of the parts."""
    steps: pl.DataFrame
    """REACHED of sessions: `group`, `journey_no`, `step`, `first_ms`, `last_ms`, `n_events`, `engaged_ms`, `n_signals`, `points`."""
    commits: pl.DataFrame
    """COMMITS of sessions: `group`, `journey_no`, `ms`, `high`, `low`."""
    fired: pl.DataFrame
    """Signals of sessions that are no bots: the columns of the fold's FIRED, `group`, and `journey_no` and `step` at which each fired; null if at none."""
    masks: NDArray[np.uint64]
    """Journey, session -> a bit for each step reached."""


def patience_ms(parts: pl.DataFrame, rules: SessionRules) -> NDArray[np.int64]:
    """The longest silence within a cluster of each part's stream."""
    has_id = parts["session_id"].is_not_null().to_numpy()
    return np.where(has_id, milliseconds(rules.retention), milliseconds(rules.gap)).astype(np.int64)


def clustered(parts: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The parts in order of (stream, first_ms), with `cluster`."""
    parts = parts.sort("stream", "first_ms", "part")
    numbers = clusters(
        parts["stream"].to_numpy(), parts["first_ms"].to_numpy(), parts["last_ms"].to_numpy(), patience_ms(parts, rules)
    )
    return parts.with_columns(pl.Series("cluster", numbers, pl.Int64))


def told(remembered: Remembered, rules: SessionRules, quiet: Quiet) -> Told:
    """Put the parts (with `cluster`, in that order) together to sessions and say what each of them is."""
    parts, linked_ms = _numbered(remembered.parts)
    sessions = merged(parts, "group")
    if not sessions["group"].is_sorted():  # customers of one millisecond are numbered by name, their parts stand in no such order
        sessions = sessions.sort("group")
    groups = parts.select("visitor_key", "part", "group")
    steps = _steps(remembered.reached, groups)
    masks, journey_no, furthest = _furthest(steps, rules.journeys, sessions.height)
    is_quiet = quiet(sessions)
    undone = _grouped(remembered.closings, groups)
    undone = left_undone(undone.filter(pl.Series(is_quiet[undone["group"].to_numpy()])), rules)
    fired = pl.concat([_grouped(remembered.fired, groups), undone])
    if fired.height:
        fired = fired.filter(~pl.Series(sessions["is_bot"].to_numpy()[fired["group"].to_numpy()]))
    met = fired["group"].to_numpy()
    at = np.arange(sessions.height)
    fired = _at_own_step(_placed(fired, steps, journey_no, furthest, rules), rules)
    is_along = furthest >= 0
    mask = masks[journey_no, at]
    journeys = rules.journeys.journeys
    goal, commit = (np.array([getattr(journey, name) for journey in journeys]) for name in ("goal_index", "commit_index"))
    is_goal = is_along & (mask >> goal[journey_no].astype(np.uint64) & np.uint64(1)).astype(bool)
    is_commit = is_along & (furthest >= commit[journey_no])
    status = np.select([is_goal, ~is_quiet, is_commit], [3, 0, 2], 1)
    sessions = sessions.with_columns(
        _told_id().alias("told_id"),
        *_lasts(_grouped(remembered.lasts, groups), sessions.height),
        pl.when(pl.Series(linked_ms < _NEVER)).then(pl.Series(linked_ms)).alias("linked_ms"),
        pl.when(pl.Series(is_along)).then(pl.Series(journey_no, dtype=pl.Int16)).alias("journey_no"),
        pl.when(pl.Series(is_along)).then(pl.Series(furthest, dtype=pl.Int16)).alias("furthest"),
        pl.Series("mask", mask),
        pl.Series("places", _places(masks)),
        pl.Series("n_signals", np.bincount(met, minlength=sessions.height), pl.UInt32),
        pl.Series("points", np.bincount(met, fired["weight"].to_numpy(), minlength=sessions.height), pl.Float64),
        pl.Series("friction", _friction(fired, sessions.height)),
        pl.Series("is_quiet", is_quiet),
        STATUSES.gather(status).alias("status"),
    )
    commits = _grouped(remembered.commits, groups).rename({"journey": "journey_no"})
    first_commits = commits.sort("ms", "tie").unique(["group", "journey_no"], keep="first", maintain_order=True)
    return Told(sessions, groups["group"].to_numpy(), _with_friction(steps, fired), first_commits, fired, masks)


STATUSES = pl.Series(["open", "browsed", "abandoned", "converted"])
"""What a session can be, but merged."""

_NEVER = np.iinfo(np.int64).max

_LASTS = (
    (ORDER, {"order_id": "text"}),
    (CART, {"cart_id": "text"}),
    (AMOUNT, {"amount_minor": "amount_minor", "currency": "currency"}),
)
"""Kind of LASTS -> column of a session -> column of it."""


def _lasts(lasts: pl.DataFrame, n: int) -> list[pl.Series]:
    """What LASTS has of each of so many sessions."""
    lasts = latest(lasts, "group")
    kind, group = lasts["kind"].to_numpy(), lasts["group"].to_numpy()
    columns = []
    for kind_, names in _LASTS:
        of_kind = np.flatnonzero(kind == kind_)
        place = np.full(n, -1)
        place[group[of_kind]] = of_kind
        columns += [lasts[of_it].gather(rows_or_none(place)).alias(name) for name, of_it in names.items()]
    return columns


def _grouped(rows: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    return rows.join(groups, on=["visitor_key", "part"], how="inner")


def _steps(reached: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """REACHED of sessions, each journey and step once."""
    steps = _grouped(reached, groups).select(
        "group",
        "place",
        (pl.col("place") // PLACES).alias("journey_no"),
        (pl.col("place") % PLACES).alias("step"),
        "first_ms",
        "last_ms",
        "n_events",
        "engaged_ms",
    )
    of_session = steps["group"].to_numpy() * 2**16 + steps["place"].to_numpy()
    if len(np.unique(of_session)) < len(of_session):
        steps = steps.group_by("group", "place", "journey_no", "step").agg(
            pl.col("first_ms").min(), pl.col("last_ms").max(), pl.col("n_events").sum(), engaged_ms()
        )
    return steps


def _numbered(parts: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The parts with `group`, `number` (1, or of the further customers) and `cluster_ms` (its first event); and when each session was first linked to a customer."""
    cluster = parts["cluster"].to_numpy()
    n = len(cluster)
    begins = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1])) if n else np.zeros(0, dtype=np.int64)
    first_ms = parts["first_ms"].to_numpy()
    is_known = parts["customer_id"].is_not_null().to_numpy()
    group, number = cluster, np.ones(n, dtype=np.int64)
    if len(np.unique(cluster[is_known])) < is_known.sum():
        # Customers of one cluster are counted in the order in which they came.
        counted = parts.filter(pl.Series(is_known)).select(pl.struct("first_ms", "customer_id").rank("ordinal").over("cluster"))
        number[is_known] = counted.to_series().to_numpy()
        group = np.unique(cluster * (n + 1) + number, return_inverse=True)[1]
    linked_ms = np.full(group.max(initial=-1) + 1, _NEVER)
    np.minimum.at(linked_ms, group[is_known], first_ms[is_known])
    is_reused = np.logical_and.reduceat(parts["is_reused"].to_numpy(), begins) if n else np.zeros(0, dtype=bool)
    numbered = parts.with_columns(
        pl.Series("group", group),
        pl.Series("number", number),
        pl.Series("cluster_ms", first_ms[begins][cluster] if n else first_ms),
        pl.Series("is_reused", is_reused[cluster] if n else is_reused),
    )
    return numbered, linked_ms


def _told_id() -> pl.Expr:
    first = pl.col("cluster_ms").cast(pl.String)
    again = pl.when("is_reused").then(pl.concat_str(pl.lit("~r"), first)).otherwise(pl.lit(""))
    number = pl.when(pl.col("number") > 1).then(pl.concat_str(pl.lit("~"), pl.col("number").cast(pl.String))).otherwise(pl.lit(""))
    return pl.concat_str(pl.when(pl.col("session_id").is_null()).then(first).otherwise(pl.concat_str("session_id", again)), number)


def _furthest(steps: pl.DataFrame, journeys: JourneyMap, n: int) -> tuple[NDArray[np.uint64], Places, Places]:
    """Of so many sessions: the steps reached as bits (journey, session), the journey that got furthest, and its last step (-1: none)."""
    group, journey_no, step = (steps[name].to_numpy() for name in ("group", "journey_no", "step"))
    masks = np.zeros((len(journeys.journeys), n), dtype=np.uint64)
    np.bitwise_or.at(masks, (journey_no, group), np.uint64(1) << step.astype(np.uint64))
    reached = np.full(masks.shape, -1, dtype=np.int64)
    np.maximum.at(reached, (journey_no, group), step)
    worth = np.empty(masks.shape)
    for no, journey in enumerate(journeys.journeys):
        is_goal = (masks[no] >> np.uint64(journey.goal_index) & np.uint64(1)).astype(bool)
        share = reached[no] / max(1, len(journey.steps) - 1)
        # The goal counts most, then the commit step, then the share of the way: of equals the first journey stands.
        worth[no] = np.where(reached[no] < 0, -1, 4 * is_goal + 2 * (reached[no] >= journey.commit_index) + share)
    best = worth.argmax(axis=0)
    return masks, best, reached[best, np.arange(n)]


def _placed(fired: pl.DataFrame, steps: pl.DataFrame, journey_no: Places, furthest: Places, rules: SessionRules) -> pl.DataFrame:
    """The signals with `journey_no` and `step`: the event's own step in the session's journey, else the furthest one reached by then."""
    whose_step_counts = ~pl.col("signal").cast(pl.String).is_in([signal.name for signal in rules.signals if signal.at_furthest])
    group = fired["group"].to_numpy()
    fired = fired.with_columns(
        pl.when(pl.Series(furthest[group] >= 0)).then(pl.Series(journey_no[group], dtype=pl.Int16)).alias("journey_no")
    )
    own = pl.coalesce(
        pl.lit(None, dtype=pl.Int16),
        *(
            pl.when(whose_step_counts & (pl.col("journey_no") == no)).then(name)
            for no, (name, _) in enumerate(rules.journeys.columns())
        ),
    )
    if fired.is_empty():
        return fired.with_columns(own.alias("step"))
    by_then = (
        fired.with_row_index("row")
        .select("row", "group", "journey_no", "event_ms")
        .join(steps.select("group", "journey_no", "step", "first_ms"), on=["group", "journey_no"])
        .filter(pl.col("first_ms") <= pl.col("event_ms"))
        .group_by("row")
        .agg(pl.col("step").max().alias("by_then"))
    )
    placed = fired.with_row_index("row").join(by_then, on="row", how="left", maintain_order="left")
    return placed.with_columns(pl.coalesce(own, "by_then").alias("step")).drop("row", "by_then")


def _at_own_step(fired: pl.DataFrame, rules: SessionRules) -> pl.DataFrame:
    """The signals, those of the user's own at the step that he says."""
    journey_no, step = pl.col("journey_no"), pl.col("step")
    places = {
        (journey.name, each.name): (no, place)
        for no, (_, journey) in enumerate(rules.journeys.columns())
        for place, each in enumerate(journey.steps)
    }
    for signal in rules.signals:
        if signal.own is not None and signal.own.step:
            its_journey, its_step = places[signal.own.journey, signal.own.step]
            is_it = pl.col("signal") == signal.name
            journey_no = pl.when(is_it).then(pl.lit(its_journey, dtype=pl.Int16)).otherwise(journey_no)
            step = pl.when(is_it).then(pl.lit(its_step, dtype=pl.Int16)).otherwise(step)
    return fired.with_columns(journey_no.alias("journey_no"), step.alias("step"))


def _with_friction(steps: pl.DataFrame, fired: pl.DataFrame) -> pl.DataFrame:
    """The steps with `n_signals` and `points`."""
    if fired.is_empty():
        return steps.with_columns(pl.lit(0, dtype=pl.UInt32).alias("n_signals"), pl.lit(0.0).alias("points"))
    met = fired.group_by("group", "journey_no", "step").agg(
        pl.len().cast(pl.UInt32).alias("n_signals"), pl.col("weight").sum().alias("points")
    )
    joined = steps.join(met, on=["group", "journey_no", "step"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("n_signals").fill_null(0), pl.col("points").fill_null(0.0))


def _friction(fired: pl.DataFrame, n: int) -> NDArray[np.uint64]:
    """A hash of what fired at which step, of each of so many sessions."""
    mixed = np.zeros(n, dtype=np.uint64)
    if fired.height:
        np.add.at(mixed, fired["group"].to_numpy(), fired.select("signal", "journey_no", "step").hash_rows().to_numpy())
    return mixed


def _places(masks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of the steps reached in all journeys."""
    mixed = np.zeros(masks.shape[1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for mask in masks:
            mixed = (mixed ^ mask) * np.uint64(0x9E3779B97F4A7C15)
    return mixed
