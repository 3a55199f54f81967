"""Sessions as they are told: from what the fold remembers to one row a session, with its steps, journey and status.

The same function looks at what was remembered before a step and after it; what differs is what a step has to say.

Frames:  PARTS, REACHED, COMMITS, LASTS -> Told
Cases:   nobody known and one customer -> one session | a second customer -> a session of its own, ~2 | an id used again -> ~r and its first ms
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.journey_map import JourneyMap
from pipeline.session_parts import AMOUNT, CART, ORDER, PLACES, Remembered, clusters, latest, merged
from pipeline.session_rules import SessionRules
from pipeline.watermark import milliseconds

Quiet = Callable[[pl.DataFrame], NDArray[np.bool_]]
"""Says of sessions (PARTS) which of them have ended."""

STATUSES = ("open", "browsed", "abandoned", "converted")


@dataclass(frozen=True)
class Told:
    """What there is to say of some visitors."""

    sessions: pl.DataFrame
    """PARTS of whole sessions and `group` (its number here), what LASTS has of them, `told_id`, `journey_no`, `furthest`, `mask` (bit a step reached), `places` (a hash of the steps reached in all journeys), `status`, `n_signals`,
    `points`, `linked_ms` (first event that names the customer); journey_no and furthest are null without a step."""
    groups: pl.DataFrame
    """`part`, `visitor_key` and `group`: which session each part belongs to."""
    steps: pl.DataFrame
    """REACHED of sessions: `group`, `journey_no`, `step`, `first_ms`, `last_ms`, `n_events`, `engaged_ms`."""
    commits: pl.DataFrame
    """COMMITS of sessions: `group`, `journey_no`, `ms`, `high`, `low`."""
    fired: pl.DataFrame
    """Signals of sessions that are no bots: the columns of the fold's FIRED and `group`."""

    @cached_property
    def ids(self) -> pl.DataFrame:
        """What a session is found by: `visitor_key`, `told_id`."""
        return self.sessions.select("visitor_key", "told_id")


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
    parts = _numbered(remembered.parts)
    linked = parts.filter(pl.col("customer_id").is_not_null()).group_by("group").agg(pl.col("first_ms").min().alias("linked_ms"))
    sessions = (
        merged(parts, "group").with_columns(_told_id().alias("told_id")).join(linked, on="group", how="left", maintain_order="left")
    )
    groups = parts.select("visitor_key", "part", "group")
    steps = _grouped(remembered.reached, groups).with_columns(
        (pl.col("place") // PLACES).alias("journey_no"), (pl.col("place") % PLACES).alias("step")
    )
    if steps.select("group", "place").is_duplicated().any():
        steps = steps.group_by("group", "journey_no", "step", "place").agg(
            pl.col("first_ms").min(), pl.col("last_ms").max(), pl.col("n_events").sum(), pl.col("engaged_ms").sum()
        )
    said_last = latest(_grouped(remembered.lasts, groups), "group")
    for kind, values in _LASTS:
        of_kind = said_last.filter(pl.col("kind") == kind).select("group", **values)
        sessions = sessions.join(of_kind, on="group", how="left", maintain_order="left")
    places = steps.group_by("group").agg(pl.col("place").hash().sum().alias("places"))
    sessions = sessions.join(places, on="group", how="left", maintain_order="left")
    sessions = sessions.join(_furthest(steps, rules.journeys), on="group", how="left", maintain_order="left").with_columns(
        pl.col("mask").fill_null(0), pl.col("is_goal").fill_null(value=False), pl.col("is_commit").fill_null(value=False)
    )
    fired = (
        _grouped(remembered.fired, groups)
        .join(sessions.select("group", "is_bot"), on="group")
        .filter(~pl.col("is_bot"))
        .drop("is_bot")
    )
    points = fired.group_by("group").agg(pl.len().cast(pl.UInt32).alias("n_signals"), pl.col("weight").sum().alias("points"))
    sessions = sessions.join(points, on="group", how="left", maintain_order="left").with_columns(
        pl.col("n_signals").fill_null(0), pl.col("points").fill_null(0.0), pl.Series("is_quiet", quiet(sessions))
    )
    status = (
        pl.when("is_goal")
        .then(pl.lit("converted"))
        .when(~pl.col("is_quiet"))
        .then(pl.lit("open"))
        .when("is_commit")
        .then(pl.lit("abandoned"))
        .otherwise(pl.lit("browsed"))
    )
    first_commits = (
        _grouped(remembered.commits, groups)
        .sort("ms", "tie")
        .group_by("group", "journey", maintain_order=True)
        .first()
        .rename({"journey": "journey_no"})
    )
    return Told(sessions.with_columns(status.alias("status")), groups, steps, first_commits, fired)


_LASTS = (
    (ORDER, {"order_id": pl.col("text")}),
    (CART, {"cart_id": pl.col("text")}),
    (AMOUNT, {"amount_minor": pl.col("amount_minor"), "currency": pl.col("currency")}),
)
"""Kind of LASTS -> columns of a session."""


def _grouped(rows: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    return rows.join(groups, on=["visitor_key", "part"], how="inner")


def _numbered(parts: pl.DataFrame) -> pl.DataFrame:
    """The parts with `group` (a number a session), `number` (1, or of the further customers) and `cluster_ms` (its first event)."""
    cluster = parts["cluster"].to_numpy()
    n = len(cluster)
    begins = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1])) if n else np.zeros(0, dtype=np.int64)
    cluster_ms = parts["first_ms"].to_numpy()[begins][np.searchsorted(begins, np.arange(n), side="right") - 1] if n else begins
    parts = parts.with_columns(pl.Series("cluster_ms", cluster_ms, pl.Int64))
    known = parts.filter(pl.col("customer_id").is_not_null())
    if known["cluster"].is_duplicated().any():
        place = (
            known.sort("first_ms", "customer_id")
            .select("part", "cluster", pl.int_range(pl.len(), dtype=pl.Int64).over("cluster").alias("number") + 1)
            .filter(pl.col("number") > 1)
        )
        parts = parts.join(place, on=["cluster", "part"], how="left", maintain_order="left").with_columns(
            pl.col("number").fill_null(1)
        )
    else:
        parts = parts.with_columns(pl.lit(1, dtype=pl.Int64).alias("number"))
    return parts.with_columns(
        (pl.col("cluster") * (n + 1) + pl.col("number")).alias("group"),
        pl.col("is_reused").all().over("cluster") if n else pl.col("is_reused"),
    )


def _told_id() -> pl.Expr:
    first = pl.col("cluster_ms").cast(pl.String)
    again = pl.when("is_reused").then(pl.concat_str(pl.lit("~r"), first)).otherwise(pl.lit(""))
    number = pl.when(pl.col("number") > 1).then(pl.concat_str(pl.lit("~"), pl.col("number").cast(pl.String))).otherwise(pl.lit(""))
    return pl.concat_str(pl.when(pl.col("session_id").is_null()).then(first).otherwise(pl.concat_str("session_id", again)), number)


def _furthest(steps: pl.DataFrame, journeys: JourneyMap) -> pl.DataFrame:
    """The journey of each session that got furthest: `group`, `journey_no`, `furthest`, `mask`, `is_goal`, `is_commit`."""
    along = pl.DataFrame(
        {
            "journey_no": range(len(journeys.journeys)),
            "goal": [journey.goal_index for journey in journeys.journeys],
            "commit": [journey.commit_index for journey in journeys.journeys],
            "last": [max(1, len(journey.steps) - 1) for journey in journeys.journeys],
        },
        schema={"journey_no": pl.Int16, "goal": pl.Int16, "commit": pl.Int16, "last": pl.Int16},
    )
    of_journeys = (
        steps.join(along, on="journey_no")
        .group_by("group", "journey_no")
        .agg(
            pl.col("step").max().alias("furthest"),
            (pl.lit(1, dtype=pl.UInt64) * 2 ** pl.col("step").cast(pl.UInt64)).sum().alias("mask"),
            (pl.col("step") == pl.col("goal")).any().alias("is_goal"),
            (pl.col("step") >= pl.col("commit")).any().alias("is_commit"),
            (pl.col("step").max() / pl.col("last").first()).alias("share"),
        )
    )
    if len(journeys.journeys) > 1:
        of_journeys = of_journeys.sort(
            ["group", "is_goal", "is_commit", "share", "journey_no"], descending=[False, True, True, True, False]
        ).unique("group", keep="first")
    return of_journeys.drop("share")
