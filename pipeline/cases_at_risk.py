"""Cases that may be slipping away: of all that each waits for, what is likeliest not to come in time; and that it is over.

Frames:  CaseLog, WAITS that go on -> rows of risk_tables.AT_RISK, with `partition`
Time:    a wait is in a band from a time on that follows from its events alone; `next_ms` says when that is
Cases:   two waits of one case -> the likelier to lapse, of equals the one that is due first | `auto`, and the shop has never sent what is awaited -> no risk
         met, lapsed or voided -> over, unless another wait is at risk | a parcel whose order is not known -> no case
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline import frames
from pipeline.attribution import Attribution
from pipeline.case_log import CaseLog
from pipeline.case_risk import MetOf, Waiting
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.groups import NEVER, Groups, Mask, Millis, at, told_ms
from pipeline.lapse_rows import can_lapse
from pipeline.risk import ENDED, LAPSED, LESS_LIKELY, MET, NOT_TOLD, BandNumbers
from pipeline.risk_tables import AT_RISK

WAIT = frames.schema({"case_key": pl.UInt64, "place": pl.Int16, "event_key": pl.UInt64})
"""A wait: of which case, of which expectation (its place in the rules), and the event that armed it first."""

_LAPSE_WEIGHT = Attribution().lapse_weight


@dataclass(frozen=True)
class CasesAtRisk:
    """How likely each of some cases is to be disappointed."""

    band: BandNumbers
    """Of each case in the order of its log; NOT_TOLD: nobody is told."""
    next_ms: Millis
    """After which time a wait of it is in another band, if nothing else comes; NEVER: none is."""
    rows: pl.DataFrame
    """Those that are told. Frames: AT_RISK"""
    waits: pl.DataFrame
    """The wait that each row is about. Frames: WAIT"""
    going: pl.DataFrame
    """All waits that go on. Frames: WAIT"""
    lapsed: pl.DataFrame
    """All that have lapsed. Frames: WAIT"""


@dataclass(frozen=True)
class Met:
    """What is known of the cases of a log."""

    who: pl.DataFrame
    """Whose each case is (case_rows.people)."""
    waiting: pl.DataFrame
    """Frames: WAITS"""
    lapsed: pl.DataFrame
    """Those of them that have. Frames: WAITS"""
    fired: pl.DataFrame
    """Frames: case_signals.FIRED"""
    seen: pl.DataFrame
    """Frames: SEEN"""


def at_risk(log: CaseLog, met: Met, rules: FulfilmentRules) -> CasesAtRisk:
    """Of each case at the time of its log."""
    waiting, lapsed, fired = met.waiting, met.lapsed, met.fired
    is_case = log.known["order_id"].is_not_null().to_numpy()
    case = waiting["case"].to_numpy()
    goes_on = is_case[case] & (log.now_ms[case] <= waiting["lapsed_ms"].to_numpy())
    if not rules.risk_bands.enabled:
        goes_on[:] = False
    waits = waiting.filter(pl.Series(goes_on, dtype=pl.Boolean))
    by_ms = log.now_ms[waits["case"].to_numpy()]
    waits = waits.filter(can_lapse(log, waits, met.seen, rules.expectations, rules.seen_within, by_ms=by_ms))
    case, place = waits["case"].to_numpy(), waits["expectation"].to_numpy().astype(np.int64)
    points = np.bincount(fired["case"].to_numpy(), fired["weight"].to_numpy(), minlength=log.n)
    has_lapsed = Groups(lapsed["case"].to_numpy(), log.n).count(np.ones(lapsed.height, dtype=bool)) > 0
    risk, expectations = rules.risk, rules.expectations
    going = Waiting(
        risk.begin(expectations, place, MetOf(points[case], has_lapsed[case], said_late(log, waits, rules))),
        *risk.slope(expectations, place),
        log.ms[waits["last"].to_numpy()],
        waits["lapsed_ms"].to_numpy(),
    )
    now_ms = log.now_ms[case]
    number, following = going.bands(now_ms, rules.risk_bands)
    next_ms = np.full(log.n, NEVER, dtype=np.int64)
    np.minimum.at(next_ms, case, following)
    # By what follows from the events alone: which of two is likelier to a hair may change between two steps.
    event_key = log.events["event_key"].to_numpy()[waits["first"].to_numpy()]
    order = np.lexsort((event_key, place, going.due_ms, -number, case))
    first = order[np.append(True, case[order][1:] != case[order][:-1])] if len(order) else order
    first = first[number[first] != NOT_TOLD]
    band = np.zeros(log.n, dtype=np.uint8)
    band[case[first]] = number[first]
    chosen = waits[first]
    told = _rows(log, met.who, chosen, rules).with_columns(
        pl.Series("risk", going.risk(now_ms)[first], pl.Float64), _reasons(log.n, lapsed, fired, rules)[case[first]]
    )
    return CasesAtRisk(band, next_ms, AT_RISK.conform(told), _waits(log, chosen), _waits(log, waits), _waits(log, lapsed))


def changes(before: CaseLog, old: CasesAtRisk | None, log: CaseLog, new: CasesAtRisk, rules: FulfilmentRules) -> pl.DataFrame:
    """What there is to say of these cases. `old`: as `before` was told; None: nothing was known. Frames: -> AT_RISK."""
    was = before.known.select("case_key", "partition", "site", "order_id", pl.col("at_risk").fill_null(NOT_TOLD).alias("then"))
    was = was.filter(pl.col("then") != NOT_TOLD)
    now = log.known.select(
        "case_key", "partition", "site", "order_id", pl.Series("band", new.band), pl.Series("now_ms", log.now_ms)
    )
    told = _changed(old, new, was, now)
    over = was.join(now.filter(pl.col("band") != NOT_TOLD), on="case_key", how="anti")
    if old is None or over.is_empty():
        return told
    over = over.join(now.select("case_key", "now_ms", pl.lit(value=False).alias("is_gone")), on="case_key", how="left")
    said = old.rows.with_columns(old.waits["case_key"]).drop(
        "partition", "site", "order_id", "risk", "reasons", "updated_at", "is_over", "is_deleted"
    )
    ended = (
        over.join(_why(old.waits, log, new, rules), on="case_key", how="left")
        .join(said, on="case_key", how="left")
        .select(
            pl.exclude("case_key", "then", "now_ms", "is_gone", "why", "kind", "entity_id"),
            pl.lit("case").alias("kind"),
            pl.col("order_id").alias("entity_id"),
            pl.lit(0.0).alias("risk"),
            pl.concat_list(pl.col("why").fill_null(ENDED)).alias("reasons"),
            pl.col("now_ms").cast(frames.TIME).alias("updated_at"),
            pl.lit(1, pl.UInt8).alias("is_over"),
            pl.col("is_gone").fill_null(value=True).cast(pl.UInt8).alias("is_deleted"),
        )
    )
    return pl.concat([told, AT_RISK.conform(ended)])


def _changed(old: CasesAtRisk | None, new: CasesAtRisk, was: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """The rows that say something else than before, but for what time alone moves within a band."""
    if old is None:
        return new.rows
    same = ["case_key", *(name for name in new.rows.columns if name not in ("risk", "updated_at")), "band"]
    then = old.rows.with_columns(old.waits["case_key"]).join(was.select("case_key", pl.col("then").alias("band")), on="case_key")
    here = new.rows.with_columns(new.waits["case_key"]).join(now.select("case_key", "band"), on="case_key", maintain_order="left")
    return here.join(then, on=same, how="anti", nulls_equal=True, maintain_order="left").select(new.rows.columns)


def _why(were: pl.DataFrame, log: CaseLog, new: CasesAtRisk, rules: FulfilmentRules) -> pl.DataFrame:
    """Why these waits are at risk no longer: `case_key`, `why`. Frames: WAIT."""
    ids = list(WAIT)
    states = pl.concat(
        [new.lapsed.with_columns(pl.lit(LAPSED).alias("why")), new.going.with_columns(pl.lit(LESS_LIKELY).alias("why"))]
    ).unique(ids, keep="first", maintain_order=True)
    found = were.join(states, on=ids, how="left")
    ended = found.select("case_key", "place", pl.coalesce("why", _end(found, log, rules)).alias("why"))
    return ended.select("case_key", "why")


def _end(waits: pl.DataFrame, log: CaseLog, rules: FulfilmentRules) -> pl.Series:
    """Of waits that neither go on nor have lapsed: met, or else void. What came last of both says which."""
    case = np.searchsorted(log.known["case_key"].to_numpy(), waits["case_key"].to_numpy())
    case = np.where(np.isin(waits["case_key"].to_numpy(), log.known["case_key"].to_numpy()), case, -1)
    place = waits["place"].to_numpy()
    is_met = np.zeros(waits.height, dtype=bool)
    for each in np.unique(place).tolist():
        expectation, here = rules.expectations[each], np.flatnonzero((place == each) & (case >= 0))
        met, void = (log.cases.last(log.is_of(names))[case[here]] for names in (expectation.expect, expectation.unless))
        is_met[here] = met > void
    return pl.Series("why", np.where(is_met, MET, ENDED).tolist(), pl.String)


def said_late(log: CaseLog, waits: pl.DataFrame, rules: FulfilmentRules) -> Mask:
    """Of which of these waits for a parcel the date that was said last is after the due time."""
    place = waits["expectation"].to_numpy()
    is_parcel = np.array([each.key == "parcel" and each.name in rules.risk.by_its_time for each in rules.expectations])[place]
    eta_ms = at(log.number("eta_at"), log.parcels.last(log.has("eta_at")))
    said_ms = at(eta_ms, np.where(is_parcel, waits["sub"].to_numpy(), -1))
    found: Mask = (said_ms != NEVER) & (said_ms > waits["due_ms"].to_numpy())
    return found


def _waits(log: CaseLog, waits: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "case_key": log.known["case_key"].gather(waits["case"]),
            "place": waits["expectation"],
            "event_key": log.events["event_key"].gather(waits["first"]),
        },
        schema=WAIT,
    )


def _reasons(n: int, lapsed: pl.DataFrame, fired: pl.DataFrame, rules: FulfilmentRules) -> pl.Series:
    """What each of so many cases met: signals, and waits that lapsed; once each, the heaviest first."""
    names = pl.Series([each.name for each in rules.expectations], dtype=pl.String)
    met = pl.concat(
        [
            fired.select("case", pl.col("signal").alias("name"), "weight"),
            lapsed.select(
                "case", names.gather(lapsed["expectation"].cast(pl.UInt32)).alias("name"), pl.lit(_LAPSE_WEIGHT).alias("weight")
            ),
        ]
    )
    summed = (
        met.group_by("case", "name").agg(pl.col("weight").sum()).sort("case", "weight", "name", descending=[False, True, False])
    )
    listed = summed.group_by("case", maintain_order=True).agg(pl.col("name").alias("reasons"))
    every = pl.DataFrame({"case": np.arange(n)}).join(listed, on="case", how="left", maintain_order="left")
    return every["reasons"]


def _rows(log: CaseLog, who: pl.DataFrame, waits: pl.DataFrame, rules: FulfilmentRules) -> pl.DataFrame:
    case = waits["case"].to_numpy()
    of_case = who[case].select("partition", "site", "visitor_id", "session_id", "order_id", "customer_id", "account_id", "currency")
    about = {name: [getattr(each, name) for each in rules.expectations] for name in ("name", "journey", "step", "owner")}
    named = pl.DataFrame(about, schema=dict.fromkeys(about, pl.String))[waits["expectation"].cast(pl.UInt32)]
    value = at(log.number("amount_minor"), log.cases.last(log.has("amount_minor")))[case]
    return of_case.hstack(named.rename({"name": "expectation"})).with_columns(
        pl.lit("case").alias("kind"),
        pl.col("order_id").alias("entity_id"),
        told_ms("would_lapse_at", waits["lapsed_ms"].to_numpy()).cast(frames.TIME),
        told_ms("value_minor", value),
        pl.Series("updated_at", log.now_ms[case], pl.Int64).cast(frames.TIME),
        pl.lit(0, pl.UInt8).alias("is_over"),
    )
