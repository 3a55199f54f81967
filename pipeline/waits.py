"""Waits: when each began, when it is due, and what came of it by the watermark.

Everything is told from all events of a case, so that batches and the order of arrival cannot matter: what is told now and was not told before is what
a step has to say.

Frames:  CaseLog -> WAITS
Time:    lapsed once watermark > due; what is awaited may then still be on its way, and retracts the lapse if it happened by the due time
Cases:   met or voided by the due time -> no lapse | met later, within the recovery window -> recovered | later still -> returned | voided later -> it stays
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import polars as pl

from pipeline.calendars import WORKING_HOURS, Calendars
from pipeline.case_log import CaseLog
from pipeline.expectation import WHOLE, Expectation, Key
from pipeline.frames import schema
from pipeline.groups import NEVER, Mask, Millis, Places, at
from pipeline.hashing import hash64
from pipeline.watermark import milliseconds

WAITS = schema(
    {
        "expectation": pl.Int16,
        "case": pl.Int64,
        "sub": pl.Int64,
        "first": pl.Int64,
        "last": pl.Int64,
        "due_ms": pl.Int64,
        "lapsed_ms": pl.Int64,
        "met_ms": pl.Int64,
        "silent_ms": pl.Int64,
        "recovery_ms": pl.Int64,
        "is_met": pl.Boolean,
        "is_void": pl.Boolean,
    }
)
"""A wait. `is_met`, `is_void`: by its due time, whichever came first; if neither, it lapses, or will. `expectation`: its place in the rules; `sub`: number of the parcel, step, return, -1: none; `first`, `last`: rows of the
first and the last event that armed it; `met_ms` NEVER: not met; `silent_ms`, `recovery_ms`: until when nothing is decided, and until when it can recover."""


class WaitRules(Protocol):
    """What a fold says of its waits."""

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected; a wait names one by its place."""

    @property
    def calendars(self) -> Calendars:
        """When sites work."""

    @property
    def promise_by(self) -> Literal["time", "day"]:
        """Whether a promise holds until its time, or until the end of that day."""


@dataclass(frozen=True)
class _Rows:
    """Events that concern one expectation, in order of (group, time, what arms first)."""

    row: Places
    group: Places
    ms: Millis
    arms: Mask
    meets: Mask
    voids: Mask
    at_once: Mask


def waits(log: CaseLog, rules: WaitRules) -> pl.DataFrame:
    """All waits that ever began. Frames: -> WAITS."""
    found = [WAITS.to_frame()]
    subs: dict[Key, Places] = {}
    for place, expectation in enumerate(rules.expectations):
        if expectation.enabled == "off":
            continue
        arms = log.is_of(expectation.after)
        if not arms.any():
            continue
        if expectation.key not in subs:
            subs[expectation.key] = sub_keys(log, expectation.key)
        found.append(_waits(log, rules, place, arms, subs[expectation.key]))
    return pl.concat(found)


def unmet(found: pl.DataFrame) -> pl.DataFrame:
    """Those that lapse, or will if nothing happens. Frames: WAITS -> WAITS."""
    return found.filter(~pl.col("is_met") & ~pl.col("is_void"))


def sub_keys(log: CaseLog, key: Key) -> Places:
    """Number of what each event is about within its case; -1: it does not say; -2: a parcel that belongs to another case."""
    if key in WHOLE:
        return np.full(log.events.height, -1, dtype=np.int64)
    if key == "parcel":
        return np.where(log.has("parcel_key") & (log.parcel < 0), -2, log.parcel)
    name = "step" if key == "step" else "return_id"
    numbers, rows = np.full(log.events.height, -1, dtype=np.int64), np.flatnonzero(log.has(name))
    if len(rows):
        numbers[rows] = np.unique(hash64(log.events[name].gather(rows).cast(pl.String)), return_inverse=True)[1]
    return numbers


def _waits(log: CaseLog, rules: WaitRules, place: int, arms: Mask, sub: Places) -> pl.DataFrame:
    expectation = rules.expectations[place]
    due_ms = _due(log, rules, expectation, arms)
    rows = _concerning(log, expectation, arms & (due_ms != NEVER) & (sub >= -1), sub)
    if not len(rows.row):
        return WAITS.to_frame()
    found = (_first if expectation.re_arm == "first" else _latest)(rows, due_ms)
    first, last, due, met, void = found
    is_met = (met <= due) & (met <= void)
    lapsed_ms = np.maximum(due, log.ms[first])
    return pl.DataFrame(
        {
            "expectation": np.full(len(first), place, dtype=np.int16),
            "case": log.case[first],
            "sub": sub[first],
            "first": first,
            "last": last,
            "due_ms": due,
            "lapsed_ms": lapsed_ms,
            "met_ms": met,
            "silent_ms": lapsed_ms + milliseconds(expectation.silence),
            "recovery_ms": lapsed_ms + milliseconds(expectation.recovery),
            "is_met": is_met,
            "is_void": (void <= due) & ~is_met,
        },
        schema=WAITS,
    )


def _due(log: CaseLog, rules: WaitRules, expectation: Expectation, arms: Mask) -> Millis:
    """When the wait that each event arms would be due; NEVER where it arms none."""
    due_ms = np.full(log.events.height, NEVER, dtype=np.int64)
    rows = np.flatnonzero(arms)
    if expectation.within is not None:
        if expectation.calendar == WORKING_HOURS:
            sites = log.known["site"].gather(log.case[rows])
            due_ms[rows] = rules.calendars.working(sites, log.ms[rows], expectation.within)
        else:
            due_ms[rows] = log.ms[rows] + milliseconds(expectation.within)
    if expectation.due == "promised_at":
        due_ms[rows] = promises(log, rules, rows)
    elif expectation.due is not None:
        said = log.number(expectation.due)[rows]
        due_ms[rows] = np.where(said != NEVER, said, due_ms[rows])
    return due_ms


def promises(log: CaseLog, rules: WaitRules, rows: Places) -> Millis:
    """Until when what each of these events is about was promised; NEVER: nobody said."""
    parcel = log.parcel[rows]
    promised_ms = np.where(parcel >= 0, at(log.promise_of_parcel, parcel), log.promise_of_case[log.case[rows]])
    return kept_until(log, rules, log.case[rows], promised_ms)


def kept_until(log: CaseLog, rules: WaitRules, case: Places, promised_ms: Millis) -> Millis:
    """Until when a promise of each of these cases is kept: that time, or the end of its day."""
    if rules.promise_by == "time":
        return promised_ms
    until_ms = promised_ms.copy()
    said = np.flatnonzero(promised_ms != NEVER)
    until_ms[said] = rules.calendars.days_end(log.known["site"].gather(case[said]), promised_ms[said])
    return until_ms


def _concerning(log: CaseLog, expectation: Expectation, arms: Mask, sub: Places) -> _Rows:
    """Every event under each of the keys that it concerns: all of its case, where the event or the key does not say which."""
    meets, voids, at_once = (log.is_of(names) for names in (expectation.expect, expectation.unless, expectation.at_once))
    armed = np.flatnonzero(arms)
    row = np.flatnonzero((arms | meets | voids | at_once) & (sub >= -1))
    if expectation.key in WHOLE:
        has_arm = np.zeros(log.n, dtype=bool)
        has_arm[log.case[armed]] = True
        row = row[has_arm[log.case[row]]]
        group = log.case[row]
    else:
        row, group = _of_groups(log, row, arms, sub, _groups(log.case[armed], sub[armed]))
    if expectation.key not in WHOLE:  # events stand in order of case and time
        order = np.argsort(group, kind="stable")
        row, group = row[order], group[order]
    ms, is_arm = log.ms[row], arms[row]
    if ((group[1:] == group[:-1]) & (ms[1:] == ms[:-1]) & is_arm[1:] & ~is_arm[:-1]).any():
        order = np.lexsort((row, ~is_arm, ms, group))
        row, group = row[order], group[order]
    return _Rows(row, group, log.ms[row], arms[row], meets[row], voids[row], at_once[row])


def _groups(case: Places, sub: Places) -> tuple[Places, Places]:
    """Case and sub key of each group, in order of the case; one without a name only where the case has none with one."""
    width = int(sub.max(initial=-1)) + 2
    pairs = np.unique(case * width + sub + 1)
    of_case, of_sub = pairs // width, pairs % width - 1
    is_named = of_sub >= 0
    kept = is_named | ~np.isin(of_case, of_case[is_named])
    return of_case[kept], of_sub[kept]


def _of_groups(log: CaseLog, row: Places, arms: Mask, sub: Places, groups: tuple[Places, Places]) -> tuple[Places, Places]:
    """Each of these rows with each of the groups that it concerns."""
    of_case, of_sub = groups
    begins, ends = (np.searchsorted(of_case, log.case[row], side=side) for side in ("left", "right"))
    counts = ends - begins
    starts = np.cumsum(counts) - counts
    group = np.arange(counts.sum()) - np.repeat(starts - begins, counts)
    row = np.repeat(row, counts)
    own, wanted = sub[row], of_sub[group]
    concerns = (own == wanted) | (~arms[row] & ((own < 0) | (wanted < 0)))
    return row[concerns], group[concerns]


_Found = tuple[Places, Places, Millis, Millis, Millis]
"""First and last arming row, due, met, voided."""


def _first(rows: _Rows, due_ms: Millis) -> _Found:
    """One wait a group, from its first arming event."""
    begins = np.flatnonzero(np.append(True, rows.group[1:] != rows.group[:-1]))

    def earliest(wanted: Mask) -> Millis:
        found: Millis = np.minimum.reduceat(np.where(wanted, rows.ms, NEVER), begins)
        return found

    place = np.minimum.reduceat(np.where(rows.arms, np.arange(len(rows.row)), len(rows.row)), begins)
    first = rows.row[place]
    due = np.minimum(due_ms[first], np.maximum(earliest(rows.at_once), rows.ms[place]))
    return first, first, due, earliest(rows.meets), earliest(rows.voids)


def _latest(rows: _Rows, due_ms: Millis) -> _Found:
    """A wait from each arming event that comes when none is open, moved by those that come while it is."""
    place = np.flatnonzero(rows.arms)
    group = rows.group[place]

    def after(wanted: Mask) -> Places:
        """The next row that is wanted after each arming one, in its group; -1: none."""
        n = len(rows.row)
        following = np.append(np.where(wanted, np.arange(n), n), n)
        following = np.minimum.accumulate(following[::-1])[::-1]
        found = following[place + 1]
        is_there = found < n
        is_there[is_there] = rows.group[found[is_there]] == group[is_there]
        return np.where(is_there, found, -1)

    met, void, at_once = after(rows.meets), after(rows.voids), after(rows.at_once)
    due = np.minimum(due_ms[rows.row[place]], at(rows.ms, at_once))
    ended = np.minimum(np.where(met >= 0, met, NEVER), np.where(void >= 0, void, NEVER))
    begins = np.ones(len(place), dtype=bool)
    begins[1:] = (group[1:] != group[:-1]) | (ended[:-1] <= place[1:]) | (rows.ms[place[1:]] > due[:-1])
    of_last = np.append(np.flatnonzero(begins)[1:] - 1, len(place) - 1)
    return rows.row[place[begins]], rows.row[place[of_last]], due[of_last], at(rows.ms, met[of_last]), at(rows.ms, void[of_last])
