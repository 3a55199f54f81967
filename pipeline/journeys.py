"""The fold by person: whose every record is, and all that follows from what lies together then.

Every record comes to its own lasting key, and only who holds that says whose it is (homes.py): it is told where it is at home, and sent on from everywhere else.
So this fold writes to the topic that it reads.

Frames:  passed.heard("ticket", LINK, TYPES, *FACTS) -> frames.CONTACTS, ANSWERS, SIGNALS, OUTCOMES, CUSTOMERS, IDENTITIES, EVENTS; what is sent on
Time:    the watermark that stands beside each row; a person of whom nothing comes is told when the watermark passes its `next_ms`
Cases:   a login, an order, a ticket that tells who somebody was -> what lies under the weaker key goes there, whatever was decided of it
         a fact is said again -> the higher version counts | taken back -> so is what was said of it
Rejects: tickets too late to be applied
Raises:  nothing on data; AssertionError if a frame breaks its schema
Source:  DESIGN 1 rule 4; DECISIONS.md: one writer a row id
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline import frames, journeys_views, people_changes, rollups
from pipeline.awaited_types import belated, noticed, told
from pipeline.commerce import judged
from pipeline.count_examples import Counting, counts, counts_again
from pipeline.facts import SAID, SENT
from pipeline.fold import Step
from pipeline.forwarding import forwarded, ids_of, sent_again, sent_no_more, sent_now
from pipeline.hashing import Hashes, hash64
from pipeline.homes import LYING, homes
from pipeline.journeys_rules import JourneysRules
from pipeline.journeys_views import TOLD, Tell
from pipeline.keyed_rows import KeyedRows
from pipeline.passed import Passed, heard
from pipeline.people_at_home import at_home, log_of, of_before, side_by_side, told_of
from pipeline.people_sweep import needed, swept
from pipeline.person_keys import keys_of
from pipeline.person_links import CLICKSTREAM, identities, learned
from pipeline.person_records import Arrived, Merged, arrived, merged
from pipeline.person_state import IDS, KINDS, RECORDS, PersonState
from pipeline.rollups import CONTRIBUTIONS
from pipeline.ticket_events import event_rows
from pipeline.watermark import before_batch, of_partitions

TICKETS = "ticket"
_OF_TICKETS = heard(TICKETS).names()

HELD_COUNTS = frames.schema({"entity": pl.UInt64, **CONTRIBUTIONS})
"""What holders add to the counts."""

_Known = tuple[pl.DataFrame, Mapping[str, pl.DataFrame], pl.DataFrame]
"""HOLDERS in order of `holder`, what is at home with them, SEEN."""


@dataclass(frozen=True)
class JourneysFold:
    """What is about people in, what became of them out."""

    rules: JourneysRules = field(default_factory=JourneysRules)
    tell: Tell = journeys_views.told
    at_once: int = 50_000
    """So many holders are told together: when rules change that is everybody, and memory is not for everybody at once."""
    name: ClassVar[str] = "journeys"
    family: ClassVar[str] = "people"
    tables: ClassVar[tuple[str, ...]] = (*TOLD, "identities", "rollups", "events")

    def empty(self) -> PersonState:
        """Remember nothing."""
        return PersonState()

    def step(self, state: PersonState, batch: pl.DataFrame, watermarks: pl.DataFrame) -> Step[PersonState]:
        """Fold one batch, which may be empty: time alone goes on then."""
        rules = self.rules
        tickets = batch.select(_OF_TICKETS).filter(pl.col("family") == TICKETS)
        counted = tickets.filter(~pl.col("is_forwarded"))
        found, after = judged(counted, watermarks, state.ids, rules.allowed_lateness, rules.dedup_horizon)
        applied = counted[found.chosen]
        came = arrived(batch, pl.concat([applied, tickets.filter("is_forwarded")]))
        seen, new = noticed(state.seen, told(batch))
        late = belated(new, seen, before_batch(watermarks), after, rules.seen_within.days)
        held = after["partition"].to_list()
        anew = np.concatenate([late, state.rules.others(held, rules.fingerprint)])
        due = state.holders.keys_where(lambda holders: _is_due(holders, after) | np.isin(holders["partition"].to_numpy(), anew))
        touched = np.unique(np.concatenate([came.holders["holder"].to_numpy(), *due]))
        kept = replace(state, seen=seen, ids=found.ids, rules=state.rules.told(held, rules.fingerprint))
        said: dict[str, list[pl.DataFrame]] = {}
        passed: tuple[Passed, ...] = ()
        contributed = [HELD_COUNTS.to_frame()]
        n_pieces = -(-len(touched) // self.at_once)
        for some in np.array_split(touched, n_pieces) if n_pieces else ():
            its = came if n_pieces == 1 else came.at(some)
            kept, rows_of, sent, theirs = self._told(state, kept, its, some, after)
            passed += sent
            contributed.append(theirs)
            for name, rows in rows_of.items():
                said.setdefault(name, []).append(rows)
        tables = {name: rows[0] if len(rows) == 1 else _together(name, rows) for name, rows in said.items()}
        tally, changed = state.tally.told(touched, pl.concat(contributed), rules.counted_for)
        kept = replace(kept, tally=tally)
        if changed.height:
            tables["rollups"] = frames.ROLLUPS.conform(rollups.rows(changed, rules.interval, self.name))
            passed += counts(tables)
        if rules.store_events and applied.height:
            tables["events"] = frames.EVENTS.conform(event_rows(applied))
        return Step(swept(kept, after, rules), tables, found.rejects, found.fates, after, passed)

    def told_again(self, state: PersonState, partition: int, said: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Of rows that were said of one partition, those that the state still says, as they are now. Frames: rows of facts.SAID -> the same."""
        holders, records = self._lying(state, partition, said)
        now = self._tables(holders, at_home(records), holders["told_ms"].to_numpy(), state.seen.frame())
        # A login that we told before the clicks did stays told: taken back, it would be so in their name as well.
        links = state.links.take(holders["holder"].to_numpy())[0].filter(pl.col("told_by") != CLICKSTREAM)
        now["identities"] = identities(holders, links)
        now["rollups"] = state.tally.rollups.rows_of(partition, self.rules.counted_for.cut, self.name)
        now[SENT.name] = pl.concat([sent_now(kind, rows) for kind, rows in records.items()])
        again = {}
        for name in {*now} & {*said}:
            rows = SAID[name].conform(now[name].drop("person", strict=False))
            again[name] = rows.join(said[name], on=SAID[name].key, how="semi", nulls_equal=True)
        return again

    def passed_again(
        self, state: PersonState, partition: int, said: Mapping[str, pl.DataFrame], gone: Mapping[str, pl.DataFrame]
    ) -> tuple[Passed, ...]:
        """The same of what was sent on and counted; `gone`: what is taken back."""
        counted = {name: rows for name, rows in said.items() if name == frames.ROLLUPS.name}
        counts_of = counts_again(self.told_again(state, partition, counted) if counted else {}, gone, partition)
        if SENT.name not in said:
            return counts_of
        records = self._lying(state, partition, {SENT.name: said[SENT.name]})[1]
        again = (each for kind, rows in records.items() for each in sent_again(kind, rows, said[SENT.name]))
        return (*again, *sent_no_more(gone[SENT.name], partition), *counts_of)

    @property
    def _counting(self) -> Counting:
        return Counting(self.name, self.rules.interval, self.rules.dimensions)

    @staticmethod
    def _lying(
        state: PersonState, partition: int, said: Mapping[str, pl.DataFrame]
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
        """The holders that rows can be of, and what lies there, with `key`."""
        keys = keys_of(partition, said)
        if frames.OUTCOMES.name in said:  # such a row may name its order alone, and the lapse lie with the visitor
            ids = hash64(*(said[frames.OUTCOMES.name][name] for name in IDS["lapse"]))
            its = state.lapse.keys_where(
                lambda rows: (rows["partition"] == partition).to_numpy() & np.isin(rows["record"].to_numpy(), ids)
            )
            keys = np.unique(np.concatenate([keys, *its]))
        holders = state.holders.take(keys)[0].sort("holder")
        of = holders.select("holder", "key")
        records = {
            kind: state.records(kind).take(keys)[0].join(of, on="holder", how="left", maintain_order="left") for kind in KINDS
        }
        return holders, records

    def _told(
        self, was: PersonState, kept: PersonState, came: Arrived, touched: Hashes, watermarks: pl.DataFrame
    ) -> tuple[PersonState, dict[str, pl.DataFrame], tuple[Passed, ...], pl.DataFrame]:
        """These holders after what has come, what to say of them, what to send on, and what they add to the counts."""
        known, left_holders = kept.holders.take(touched)
        links, left_links = kept.links.take(touched)
        found = {kind: kept.records(kind).find(touched) for kind in KINDS}
        old = {kind: rows for kind, (rows, _) in found.items()}
        fresh = came.holders.join(known, on="holder", how="anti") if known.height else came.holders
        holders = pl.concat([known, fresh]).sort("holder")
        now_links = learned(links, came.links)
        after = {kind: merged(kind, old[kind], came.records.get(kind)) for kind in KINDS}
        placed = _placed(after, holders, now_links)
        sendings = [
            forwarded(kind, placed[kind], after[kind].gone, ids_of(kind, after[kind].lay, after[kind].gone, holders))
            for kind in KINDS
            if placed[kind].height or after[kind].gone.height
        ]
        passed = tuple(each for sending in sendings for each in sending.passed)
        news = {kind: rows["is_news"] for kind, rows in placed.items()}
        new = {kind: rows.select(_as_it_lies(kind)) for kind, rows in placed.items()}
        then, here = at_home(old), at_home(new)
        now_ms = of_partitions(watermarks, holders["partition"].to_numpy())
        before, tables, next_ms, contributed = self._twice(
            (known.sort("holder"), then, was.seen.frame()), (holders, here, kept.seen.frame()), now_ms
        )
        said = people_changes.changes(before, tables, _left(then, new), _came(new, news))
        told_links = people_changes.changes(
            {"identities": identities(known, links)}, {"identities": identities(holders, now_links)}, {}, {}
        ).get("identities")
        if told_links is not None:
            said["identities"] = told_links.filter(pl.col("is_deleted") == 0)
        passed += self._counting.judged(said, before, [each.name for each in self.rules.expectations])
        if sendings:
            said[SENT.name] = pl.concat([sending.sent for sending in sendings])
        holders = holders.with_columns(
            pl.Series("told_ms", now_ms, pl.Int64),
            pl.Series("next_ms", next_ms, pl.Int64),
            needed(holders, new, now_links, self.rules),
        )
        put_back = {kind: _put_back(kept.records(kind), found[kind][1], placed[kind], new[kind]) for kind in KINDS}
        put_back |= {"holders": left_holders.put(holders), "links": left_links.put(now_links)}
        state = replace(kept, **put_back)  # type: ignore[arg-type]  # each is KeyedRows
        return state, {name: rows for name, rows in said.items() if rows.height}, passed, contributed

    def _tables(
        self, holders: pl.DataFrame, here: Mapping[str, pl.DataFrame], now_ms: NDArray[np.int64], seen: pl.DataFrame
    ) -> dict[str, pl.DataFrame]:
        """What there is to say of these holders, in order of `holder`."""
        worth = np.flatnonzero(told_of(holders, here))
        return dict(self.tell(log_of(holders[worth], here, now_ms[worth]), seen, self.rules).tables) if len(worth) else {}

    def _twice(
        self, before: _Known, after: _Known, now_ms: NDArray[np.int64]
    ) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame], NDArray[np.int64], pl.DataFrame]:
        """What there was to say and what there is; of each holder of after when it changes by itself; and what they add to the counts then."""
        next_ms = np.full(after[0].height, np.iinfo(np.int64).max, dtype=np.int64)
        worth, was_worth = (np.flatnonzero(told_of(holders, here)) for holders, here, _ in (after, before))
        log = log_of(after[0][worth], after[1], now_ms[worth])
        seen = after[2]
        if len(was_worth):
            known = before[0][was_worth]
            log = side_by_side(log_of(known, before[1], known["told_ms"].to_numpy()), log)
            seen = pl.concat([before[2].with_columns(of_before(pl.col("partition"))), seen])
        if log.people.is_empty():
            return {}, {}, next_ms, HELD_COUNTS.to_frame()
        found = self.tell(log, seen, self.rules)
        next_ms[worth] = found.next_ms[len(was_worth) :]
        is_before = pl.col("partition") < 0
        then = {name: rows.filter(is_before).with_columns(of_before(pl.col("partition"))) for name, rows in found.tables.items()}
        contributed = found.counts.filter(~is_before).with_columns(pl.col("person") - len(was_worth))
        entity = after[0]["holder"].gather(worth)[contributed["person"]].alias("entity")
        contributed = contributed.drop("person").select(entity, pl.all())
        return then, {name: rows.filter(~is_before) for name, rows in found.tables.items()}, next_ms, contributed


def _together(name: str, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """What is said of several pieces."""
    every = pl.concat(rows)
    return every if name == SENT.name else people_changes.once(name, every)


def _is_due(holders: pl.DataFrame, watermarks: pl.DataFrame) -> NDArray[np.bool_]:
    passed: NDArray[np.bool_] = of_partitions(watermarks, holders["partition"].to_numpy()) > holders["next_ms"].to_numpy()
    return passed


_OWN = {"ticket": "event_at", "visit": "started_at", "case": "opened_at", "lapse": "began_at", "signal": "fired_at"}
"""Kind of record -> when it began."""


def _placed(after: Mapping[str, Merged], holders: pl.DataFrame, links: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """All records of these holders with `key`, `home`, `start_ms`."""
    keys = holders.select("holder", "key")
    rows = {kind: each.rows.join(keys, on="holder", how="left", maintain_order="left") for kind, each in after.items()}
    lying = pl.concat([LYING.to_frame(), *(_lying(kind, each) for kind, each in rows.items() if each.height)])
    found = homes(lying, links)
    placed, begin = {}, 0
    for kind, each in rows.items():
        placed[kind] = each.hstack(found[begin : begin + each.height])
        begin += each.height
    return placed


def _lying(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    return rows.select(
        "holder",
        pl.lit(kind).alias("kind"),
        "key",
        pl.col(_OWN[kind]).to_physical().alias("own_ms"),
        "given_ms",
        *((name if name in KINDS[kind] else nothing.alias(name)) for name in ("session_id", "order_id", "customer_id")),
        (pl.lit(value=False) if kind == TICKETS else pl.col("is_deleted").fill_null(0) == 1).alias("is_deleted"),
        "sent_to",
        "sent_ms",
    ).match_to_schema(LYING)


def _as_it_lies(kind: str) -> list[pl.Expr]:
    """A record that was placed, as one of RECORDS."""
    sent = {"sent_to": pl.col("home").alias("sent_to"), "sent_ms": pl.col("start_ms").alias("sent_ms")}
    return [sent.get(name, pl.col(name)) for name in RECORDS[kind]]


def _put_back(records: KeyedRows, places: NDArray[np.int64], placed: pl.DataFrame, new: pl.DataFrame) -> KeyedRows:
    """What lies here now. Who comes again and again has a long history: what is as it was stays where it stands. `places`: of all that lay here."""
    is_same = pl.col("home").eq_missing(pl.col("sent_to")) & pl.col("start_ms").eq_missing(pl.col("sent_ms"))
    stays = placed.select(pl.col("lay_at").is_not_null() & ~pl.col("is_news") & is_same).to_series()
    goes = np.ones(len(places), dtype=bool)
    goes[placed["lay_at"].filter(stays).to_numpy()] = False
    return records.without(places[goes]).put(new.filter(~stays))


def _left(then: Mapping[str, pl.DataFrame], new: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Records that were at home, and are elsewhere now; what was taken back is not."""
    stays = {kind: new[kind].filter(pl.col("sent_to").is_null()) for kind in ("ticket", "lapse")}
    return {kind: then[kind].join(rows, on=["holder", "record"], how="anti") for kind, rows in stays.items()}


def _came(new: Mapping[str, pl.DataFrame], is_news: Mapping[str, pl.Series]) -> dict[str, pl.DataFrame]:
    """Records that came and are at home; those that were taken back as well."""
    return {kind: new[kind].filter(is_news[kind], pl.col("sent_to").is_null()) for kind in ("ticket", "lapse")}
