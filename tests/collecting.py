"""A fold behind intake that is small and real: it applies every event of its orders and parcels once, and says which."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import polars as pl

from pipeline.fold import Step
from pipeline.frames import EVENTS
from pipeline.passed import FATES_OF_ORIGIN, LINK, REFUSED_OF_ORIGIN, heard
from pipeline.pieces import Piece

ID = ("partition", "family", "site", "event_id")
TABLES_READ = ("order", "delivery", LINK)
LINKED = ("partition", "site", "key", "belongs_to")


@dataclass(frozen=True)
class Collected:
    """Every event applied, every link heard."""

    applied: pl.DataFrame
    links: pl.DataFrame
    serial: int = 0
    n_open: int = 0
    n_bytes: int = 0

    def pieces(self, partition):
        for name, frame in (("applied", self.applied), ("links", self.links)):
            its_own = frame.filter(pl.col("partition") == partition)
            yield Piece(f"{name}.{self.serial}", lambda its_own=its_own: its_own)

    def restored(self, partition, frames):
        bare = self.without(partition)
        found = {name.partition(".")[0]: frame for name, frame in frames.items()}
        if not found:
            return bare
        return replace(bare, applied=pl.concat([bare.applied, found["applied"]]), links=pl.concat([bare.links, found["links"]]))

    def without(self, partition):
        others = pl.col("partition") != partition
        return replace(self, applied=self.applied.filter(others), links=self.links.filter(others))


@dataclass(frozen=True)
class CollectingFold:
    """Stands for the fold by order."""

    horizon: timedelta = timedelta(days=30)
    family: str = "commerce"
    tables: tuple[str, ...] = ("events",)
    seen: list = field(default_factory=list, compare=False)
    """(frame, watermarks) of every step, for tests that look."""

    def empty(self):
        columns = heard(*TABLES_READ)
        return Collected(
            pl.DataFrame(schema={name: columns[name] for name in (*ID, "key", "event_at", "event_type")}),
            pl.DataFrame(schema={name: columns[name] for name in LINKED}),
        )

    def told_again(self, state, partition, said):
        known = state.applied.filter(pl.col("partition") == partition)
        return {"events": _rows(known.join(said["events"], on=EVENTS.key, how="semi"))} if "events" in said else {}

    def step(self, state, batch, watermarks):
        assert batch.schema == heard(*TABLES_READ), "a fold behind intake is given the frame that is agreed on"
        self.seen.append((batch, watermarks))
        events = batch.filter(pl.col("family") != LINK, ~pl.col("is_forwarded"))
        is_late = (events["event_at"] < events["watermark"]).fill_null(value=False)
        is_too_late = (events["event_at"] < events["watermark"] - self.horizon).fill_null(value=False)
        is_known = events.select(ID).hstack(events.select(pl.int_range(pl.len()).alias("row")))
        fresh = is_known.filter(~is_too_late).unique(ID, keep="first", maintain_order=True).join(state.applied, on=ID, how="anti")
        is_fresh = pl.Series(range(events.height), dtype=pl.Int64).is_in(fresh["row"].to_list())
        fate = pl.select(
            pl.when(is_too_late)
            .then(pl.lit("too_late"))
            .when(is_fresh)
            .then(pl.lit("applied"))
            .otherwise(pl.lit("duplicate"))
            .alias("fate")
        ).to_series()
        fates = (
            events.with_columns(fate, (is_late & is_fresh).alias("n_late"))
            .group_by("partition", "fate", "origin_topic", "origin_partition")
            .agg(pl.len().cast(pl.Int64).alias("n"), pl.col("n_late").sum().cast(pl.Int64))
            .match_to_schema(FATES_OF_ORIGIN)
        )
        refused = (
            events.filter(is_too_late)
            .with_columns(pl.lit("too_late").alias("reason"), pl.lit("behind").alias("detail"))
            .select(*REFUSED_OF_ORIGIN)
        )
        applied = events.filter(is_fresh)
        links = batch.filter(pl.col("family") == LINK).select(LINKED)
        kept = replace(
            state,
            applied=pl.concat([state.applied, applied.select(state.applied.columns)]),
            links=pl.concat([state.links, links]).unique(maintain_order=True),
            serial=state.serial + 1,
        )
        return Step(kept, {"events": _rows(applied)}, refused, fates, watermarks)


def _rows(applied):
    return EVENTS.conform(applied.select("partition", "site", "family", "event_id", "event_type", "event_at"))
