"""The fold by visitor: sessions opening, going on, merging and falling silent; the steps they reach, the friction they meet.

Frames:  event_schema("clickstream") + POSITION -> frames.SESSIONS, STEPS, SIGNALS, OUTCOMES, IDENTITIES, ROLLUPS, EVENTS
Time:    event time; a session has ended once watermark > last event + gap
Cases:   goes on -> sent at most once a minute | late, between two -> one session, the other is retracted | comes back after it ended -> open again, its
         outcome retracted | no id from the emitter -> the ms of its first event
Rejects: too late to be applied
Raises:  nothing on data; AssertionError if a frame breaks its schema
Source:  DESIGN: keyed by visitor, one partition; DECISIONS.md on customers within a session
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames, rollups, session_rows
from pipeline.event_rows import event_rows
from pipeline.fold import Step
from pipeline.hashing import Hashes
from pipeline.session_events import forgotten, in_pieces, judged
from pipeline.session_parts import COMMITS, PARTS, PLACES, REACHED, merged, pieces
from pipeline.session_rules import SessionRules
from pipeline.session_signals import signals_after
from pipeline.session_state import RETIRED, SessionState
from pipeline.session_views import Told, clustered, patience_ms, told
from pipeline.signal_engine import needed as needed_events
from pipeline.watermark import UNREAD, milliseconds, of_partitions

_SWEEP_MS = 600_000
"""Event time between two sweeps of what nobody can need any more."""


@dataclass(frozen=True)
class SessionsFold:
    """`clickstream` in, sessions out."""

    rules: SessionRules = field(default_factory=SessionRules)
    name: ClassVar[str] = "sessions"
    family: ClassVar[str] = "clickstream"
    tables: ClassVar[tuple[str, ...]] = ("sessions", "steps", "signals", "outcomes", "identities", "rollups", "events")

    def empty(self) -> SessionState:
        """Remember nothing."""
        return SessionState.empty(self.rules.journeys)

    def step(self, state: SessionState, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[SessionState]:
        """Fold one batch, which may be empty: time alone goes on then."""
        rules = self.rules
        found = judged(batch, watermarks, state.ids, rules)
        events = in_pieces(found.applied, rules)
        events = events.hstack(rules.journeys.steps_of_events(events))
        due = _due(state, found.watermarks, rules)
        keys = np.unique(np.concatenate([events["visitor_key"].to_numpy(), *due]))
        before, left = _taken(state, keys)
        after = _with_events(before, events, left, found.watermarks, rules)
        old = told(clustered(before.parts, rules), before.reached, before.commits, before.fired, rules, _as_sent)
        ended = _Ended(found.watermarks, milliseconds(rules.gap))
        new = told(after.parts, after.reached, after.commits, after.fired, rules, ended)
        tables, sent = _said(old, new, rules)
        facts = (_facts(old, rules), _facts(new, rules))
        for name in ("signals", "outcomes", "identities"):
            tables[name] = _changes(facts[0][name], facts[1][name], name)
        added = (
            rollups.contributions(all_of, fact["signals"], fact["outcomes"], rules)
            for all_of, fact in zip((old, new), facts, strict=True)
        )
        moved, counts = left.rollups.moved(*added)
        tables["rollups"] = rollups.rows(counts, rules, self.name)
        if rules.store_events:
            tables["events"] = event_rows(found.applied, rules.journeys)
        parts = _marked(after.parts, new, sent)
        kept = replace(
            left,
            parts=left.parts.put(parts),
            reached=left.reached.put(after.reached),
            commits=left.commits.put(after.commits),
            fired=left.fired.put(after.fired),
            window=left.window.put(after.window),
            ids=found.ids,
            rollups=moved,
        )
        conformed = {name: frames.TABLES[name].conform(rows) for name, rows in tables.items() if rows.height}
        return Step(_swept(kept, found.watermarks, rules), conformed, found.rejects, found.fates, found.watermarks)


@dataclass(frozen=True)
class _Taken:
    """What is remembered of the visitors that a step touches."""

    parts: pl.DataFrame
    reached: pl.DataFrame
    commits: pl.DataFrame
    fired: pl.DataFrame
    window: pl.DataFrame


@dataclass(frozen=True)
class _Ended:
    """Says of sessions whether they have ended at these watermarks."""

    watermarks: pl.DataFrame
    gap_ms: int

    def __call__(self, sessions: pl.DataFrame) -> NDArray[np.bool_]:
        watermark_ms = of_partitions(self.watermarks, sessions["partition"].to_numpy())
        ended: NDArray[np.bool_] = watermark_ms > sessions["last_ms"].to_numpy() + self.gap_ms
        return ended


def _as_sent(sessions: pl.DataFrame) -> NDArray[np.bool_]:
    return sessions["is_quiet"].to_numpy()


def _due(state: SessionState, watermarks: pl.DataFrame, rules: SessionRules) -> list[Hashes]:
    """Visitors with a session that has fallen silent since."""
    ended = _Ended(watermarks, milliseconds(rules.gap))
    return list(state.parts.keys_where(lambda parts: ~parts["is_quiet"].to_numpy() & ended(parts)))


def _taken(state: SessionState, keys: Hashes) -> tuple[_Taken, SessionState]:
    taken, left = {}, {}
    for name in ("parts", "reached", "commits", "fired", "window"):
        taken[name], left[name] = getattr(state, name).take(keys)
    return _Taken(**taken), replace(state, **left)


def _with_events(
    before: _Taken, events: pl.DataFrame, state: SessionState, watermarks: pl.DataFrame, rules: SessionRules
) -> _Taken:
    """What is remembered of these visitors after these events; the parts with `cluster`, in order of it."""
    fresh = pieces(events)
    part_of_piece = fresh.select("piece", "part")
    parts, renamed = _joined(pl.concat([before.parts, fresh.drop("piece")]), state, rules)
    events = events.join(part_of_piece, on="piece", how="left", maintain_order="left")
    reached = pl.concat([before.reached, *(_reached(events, no, name) for no, (name, _) in enumerate(rules.journeys.columns()))])
    commits = pl.concat(
        [
            before.commits,
            *(_commits(events, no, name, journey.commit_index) for no, (name, journey) in enumerate(rules.journeys.columns())),
        ]
    )
    reached, commits = _renamed(reached, renamed), _renamed(commits, renamed)
    if not before.reached.is_empty():
        reached = _summed(reached)
        commits = commits.sort("ms", "tie").unique(["visitor_key", "part", "journey"], keep="first", maintain_order=True)
    fired, window = signals_after(
        _renamed(before.fired, renamed), _renamed(before.window, renamed), _renamed(events, renamed), watermarks, rules
    )
    return _Taken(parts, reached, commits, fired, window)


def _joined(parts: pl.DataFrame, state: SessionState, rules: SessionRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Parts of one cluster and customer as one, in order and with `cluster`; and which part each has become: `visitor_key`, `part`, `became`."""
    parts = _reuse(clustered(parts, rules), state)
    group = parts.select(pl.struct("cluster", "customer_id").hash().alias("group"))["group"]
    parts = parts.with_columns(group)
    whole = merged(parts, "group")
    became = (
        parts.filter(~pl.col("group").is_unique())
        .select("visitor_key", "part", "group")
        .join(whole.select("group", pl.col("part").alias("became")), on="group", how="left")
        .drop("group")
        .filter(pl.col("part") != pl.col("became"))
        .unique()
    )
    return whole.drop("group").sort("stream", "first_ms", "part"), became


def _reuse(parts: pl.DataFrame, state: SessionState) -> pl.DataFrame:
    """Mark the clusters whose emitter's id had been used before, in another cluster or one that was forgotten."""
    has_id = pl.col("session_id").is_not_null()
    streams = np.unique(parts.filter(has_id)["stream"].to_numpy())
    gone, _ = state.retired.take(streams)
    is_second = pl.col("cluster") != pl.col("cluster").min().over("stream")
    is_gone = pl.col("stream").is_in(gone["stream"].implode())
    # What was told of a cluster stays; of a new one it is asked.
    was_told_plain = (pl.col("sent_ms").is_not_null() & ~pl.col("is_reused")).any().over("cluster")
    was_told_reused = pl.col("is_reused").any().over("cluster")
    return parts.with_columns((~was_told_plain & (was_told_reused | (has_id & (is_second | is_gone)))).alias("is_reused"))


def _reached(events: pl.DataFrame, no: int, column: str) -> pl.DataFrame:
    """Steps of one journey that these events belong to. Frames: -> REACHED."""
    return (
        events.filter(pl.col(column).is_not_null())
        .group_by("part", column)
        .agg(
            pl.col("visitor_key").first(),
            pl.col("partition").first(),
            pl.col("event_ms").min().alias("first_ms"),
            pl.col("event_ms").max().alias("last_ms"),
            pl.len().alias("n_events"),
            pl.col("engaged_ms").sum(),
        )
        .with_columns((pl.col(column) + no * PLACES).alias("place"))
        .select(pl.col(name).cast(dtype) for name, dtype in REACHED.items())
    )


def _summed(reached: pl.DataFrame) -> pl.DataFrame:
    return (
        reached.group_by("visitor_key", "part", "place")
        .agg(
            pl.col("partition").first(),
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
            pl.col("n_events").sum(),
            pl.col("engaged_ms").sum(),
        )
        .select(REACHED.names())
    )


def _commits(events: pl.DataFrame, no: int, column: str, commit: int) -> pl.DataFrame:
    """The first event of each part from the commit step of one journey on. Frames: -> COMMITS."""
    return (
        events.filter(pl.col(column) >= commit)
        .group_by("part", maintain_order=True)  # in the order of the events: the first of a group is the first there is
        .first()
        .with_columns(
            pl.lit(no, dtype=pl.Int16).alias("journey"),
            pl.col("event_ms").alias("ms"),
            pl.col("event_key").alias("high"),
            pl.col("event_low").alias("low"),
        )
        .select(COMMITS.names())
    )


def _renamed(rows: pl.DataFrame, became: pl.DataFrame) -> pl.DataFrame:
    if became.is_empty():
        return rows
    return (
        rows.join(became, on=["visitor_key", "part"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("became", "part").alias("part"))
        .drop("became")
    )


def _said(old: Told, new: Told, rules: SessionRules) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """The rows that have something new to say, and the groups that were sent: `group`."""
    sent = _worth_sending(old, new, rules)
    gone = old.sessions.join(new.ids, on=["visitor_key", "told_id"], how="anti").select("group")
    tables = {
        "sessions": _upserts(
            session_rows.sessions(_only(new, sent), rules),
            session_rows.sessions(_only(old, gone), rules).with_columns(pl.lit("merged").alias("status")),
        ),
        "steps": _upserts(session_rows.steps(_only(new, sent), rules), session_rows.steps(_only(old, gone), rules)),
    }
    return tables, sent


def _facts(all_of: Told, rules: SessionRules) -> dict[str, pl.DataFrame]:
    return {
        "signals": session_rows.signals(all_of, rules),
        "outcomes": session_rows.outcomes(all_of, rules),
        "identities": session_rows.identities(all_of),
    }


def _only(all_of: Told, groups: pl.DataFrame) -> Told:
    return replace(
        all_of,
        sessions=all_of.sessions.join(groups, on="group", how="semi", maintain_order="left"),
        steps=all_of.steps.join(groups, on="group", how="semi", maintain_order="left"),
    )


def _worth_sending(old: Told, new: Told, rules: SessionRules) -> pl.DataFrame:
    """Sessions that are new, reached a step, were identified, changed their status or their friction, or have gone on for a while."""
    compared = ("status", "journey_no", "mask", "customer_id", "n_signals", "is_bot")
    was = old.sessions.select(
        "visitor_key",
        "told_id",
        pl.lit(value=True).alias("was_told"),
        pl.col("sent_ms").alias("was_ms"),
        pl.col("n_events").alias("was_n_events"),
        *(pl.col(name).alias(f"was_{name}") for name in compared),
    )
    joined = new.sessions.join(was, on=["visitor_key", "told_id"], how="left", maintain_order="left")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"was_{name}")) for name in compared)
    went_on = pl.col("last_ms") >= pl.col("was_ms") + milliseconds(rules.send_every)
    is_corrected = pl.col("is_quiet") & (pl.col("n_events") != pl.col("was_n_events"))
    return joined.filter(pl.col("was_told").is_null() | differs | is_corrected | went_on.fill_null(value=True)).select("group")


def _upserts(rows: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        [
            rows.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    ).drop("group")


def _changes(old: pl.DataFrame, new: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows that were not there before in every column, and those that are there no more, as deleted."""
    key = list(frames.TABLES[table].key)
    said, says = old.drop("group"), new.drop("group")
    changed = says.join(said, on=says.columns, how="anti", nulls_equal=True)
    gone = said.join(says, on=key, how="anti", nulls_equal=True)
    return pl.concat(
        [
            changed.with_columns(pl.lit(0, dtype=pl.UInt8).alias("is_deleted")),
            gone.with_columns(pl.lit(1, dtype=pl.UInt8).alias("is_deleted")),
        ]
    )


def _marked(parts: pl.DataFrame, new: Told, sent: pl.DataFrame) -> pl.DataFrame:
    """The parts with what was told of their sessions: whether they have ended, and how far they had come when they were last sent."""
    told_of = new.sessions.select("group", pl.col("is_quiet").alias("told_quiet"), pl.col("last_ms").alias("told_ms"))
    marks = new.groups.join(told_of, on="group", how="left").join(
        sent.with_columns(pl.lit(value=True).alias("is_sent")), on="group", how="left"
    )
    return (
        parts.join(marks, on=["visitor_key", "part"], how="left", maintain_order="left")
        .with_columns(
            pl.col("told_quiet").alias("is_quiet"), pl.when("is_sent").then("told_ms").otherwise("sent_ms").alias("sent_ms")
        )
        .select(PARTS.names())
    )


def _swept(state: SessionState, watermarks: pl.DataFrame, rules: SessionRules) -> SessionState:
    """Forget what no event that is still applied can touch; now and then, for it costs a look at everything."""
    highest = int(of_partitions(watermarks, watermarks["partition"].to_numpy()).max(initial=UNREAD))
    if highest < state.swept_ms + _SWEEP_MS:
        return state
    horizon_ms = milliseconds(rules.dedup_horizon)

    def needed(parts: pl.DataFrame) -> NDArray[np.bool_]:
        last_needed_ms = parts["last_ms"].to_numpy() + patience_ms(parts, rules) + horizon_ms
        kept: NDArray[np.bool_] = of_partitions(watermarks, parts["partition"].to_numpy()) <= last_needed_ms
        return kept

    parts = state.parts.kept(needed)
    living = parts.frame().select("visitor_key", "part", "partition", "first_ms", "stream")
    gone = (
        state.parts.frame()
        .filter(pl.col("session_id").is_not_null())
        .join(living, on="stream", how="anti")
        .group_by("stream")
        .agg(pl.col("partition").first(), pl.col("last_ms").max())
    )

    def looked_back_at(window: pl.DataFrame) -> NDArray[np.bool_]:
        return needed_events(window, watermarks, rules.signals, rules.dedup_horizon) & belongs(window)

    def belongs(rows: pl.DataFrame) -> NDArray[np.bool_]:
        marked = rows.join(
            living.select("visitor_key", "part", is_living=True), on=["visitor_key", "part"], how="left", maintain_order="left"
        )
        return marked["is_living"].fill_null(value=False).to_numpy()

    def remembered(rows: pl.DataFrame) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = of_partitions(watermarks, rows["partition"].to_numpy()) <= rows[
            "last_ms"
        ].to_numpy() + milliseconds(rules.id_memory)
        return kept

    forget = forgotten(watermarks, horizon_ms)
    oldest = dict(living.group_by("partition").agg(pl.col("first_ms").min()).iter_rows())
    interval_ms = milliseconds(rules.interval)
    since = {partition: min(ms, oldest.get(partition, ms)) // interval_ms * interval_ms for partition, ms in forget.items()}
    retired = state.retired.kept(remembered).put(gone.select(RETIRED.names()))
    return replace(
        state,
        parts=parts,
        reached=state.reached.kept(belongs),
        commits=state.commits.kept(belongs),
        fired=state.fired.kept(belongs),
        window=state.window.kept(looked_back_at),
        retired=retired,
        ids=state.ids.swept(forget),
        rollups=state.rollups.kept(since),
        swept_ms=highest,
    )
