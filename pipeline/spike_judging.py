"""One partition, while what is ripe in it is judged: series learn, alerts open, go on and are resolved.

Counts are summed for all ripe intervals at once; what must be done in order is done on arrays.

Frames:  COUNTED ->; alerts are values
Time:    each interval is judged by what was known of its counts then, in order; many at once say what one after the other would
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from pipeline.false_discoveries import threshold
from pipeline.many_baselines import Arrays, Floats, Places
from pipeline.nested_segments import WEAK_P, Evidence, Explaining, Passes, Segment, candidates, met, nested, part_of, within
from pipeline.rate_series import KEPT, NONE, WINDOWS, Interval, Judged, begin_anew, forget_stretch, judged
from pipeline.rate_tails import for_usual
from pipeline.spike_alerts import WARNING, Alert, where
from pipeline.spike_counts import FRICTION, LIMIT, Family, Kind
from pipeline.spike_evidence import RAISED, REMEMBERED_MS, raised, still_causes, still_told, told_of
from pipeline.spike_rules import SpikeRules
from pipeline.spike_segments import RIPE, Cells, cells
from pipeline.spike_state import KNOWN, Part, Series, more
from pipeline.watermark import UNREAD, milliseconds

NEVER_MS = np.iinfo(np.int64).max
SURE = math.log(50)
"""Log likelihood ratio at which the usual share is taken for what it is, and not that of the spike."""
AT_ONCE = 1_000_000
"""About so many cells, of intervals and segments, are summed at once: arrays of 20 MiB."""


class Judging:
    """What becomes of a partition."""

    def __init__(self, part: Part, rules: SpikeRules) -> None:
        """As it was before."""
        self._was, self._rules = part, rules
        self._series = dict(part.series)
        self._alerts = {alert.alert_id: alert for alert in part.alerts}
        self._raised, self._fresh_raised = part.raised, list[tuple[object, ...]]()
        self._told: dict[str, Alert] = {}
        self._looked = self._any = False
        steps = {"journey": pl.String, "step": pl.String, "next_step": pl.String}
        self._next_steps = pl.DataFrame(list(rules.next_steps), schema=steps, orient="row")
        self._passes = {"least_n_of": rules.least_n_of, "least_excess": rules.least_excess, "least_lift": rules.least_lift}

    def judge(self, kind: Kind, families: Sequence[Family], counts: pl.DataFrame, now_ms: tuple[int, int]) -> None:
        """All intervals of these families that are ripe. `now_ms`: how far the fold of visits is, and the slowest. Frames: COUNTED."""
        self._looked = True
        ahead = kind.ahead(counts, {family: self._series[family].ripeness.judged_ms for family in families})
        intervals, ripe = kind.intervals(ahead), list[tuple[int, int]]()
        for place, family in enumerate(families):
            series, due_ms = self._series[family], NEVER_MS
            ripeness = series.ripeness
            if place in intervals:
                all_from_ms = intervals[place]["from_ms"].to_list()
                ripeness, ripe_ms = ripeness.looked_at(intervals[place], kind=kind)
                unripe = np.flatnonzero(ripe_ms > now_ms[not ripeness.is_of_visits])
                n_ripe = int(unripe[0]) if len(unripe) else len(ripe_ms)
                due_ms = int(ripe_ms[n_ripe]) if len(unripe) else NEVER_MS
                ripe += [(place, from_ms) for from_ms in all_from_ms[:n_ripe]]
                if n_ripe:
                    ripeness = replace(ripeness, judged_ms=all_from_ms[n_ripe - 1] + kind.span_ms)
            serial = series.serial + (ripeness != series.ripeness)
            self._series[family] = replace(series, ripeness=ripeness, due_ms=due_ms, serial=serial)
        if ripe:
            self._any = True
            self._judge_ripe(kind, families, ahead, pl.DataFrame(ripe, schema=RIPE, orient="row"))

    def _judge_ripe(self, kind: Kind, families: Sequence[Family], counts: pl.DataFrame, ripe: pl.DataFrame) -> None:
        """As many of these intervals at once as memory allows."""
        known = max(self._series[families[place]].known.height for place in ripe["family"].unique())
        at_once = max(1, AT_ONCE // max(known, counts.height // ripe.height))
        for begin in range(0, ripe.height, at_once):
            some = ripe[begin : begin + at_once]
            its = [
                self._series[families[place]].known.with_columns(pl.lit(place, pl.Int64).alias("family"))
                for place in some["family"].unique()
            ]
            for place, cut in cells(counts, some, kind.rule, pl.concat(its), self._next_steps):
                family = families[place]
                series = self._series[family]
                self._series[family] = self._intervals(family, series, cut).kept(series)

    def lapse(self, now_ms: int) -> None:
        """Resolve alerts of which nothing was heard, and forget those resolved long ago."""
        for alert in list(self._alerts.values()):
            if alert.is_open:
                lag_ms = self._series[alert.family].ripeness.after_ms if alert.family in self._series else 0
                self._lapsed(alert, now_ms - lag_ms)
            elif now_ms - (alert.resolved_ms or 0) > milliseconds(self._rules.forgotten_after):
                del self._alerts[alert.alert_id]
                self._any = True

    def _lapsed(self, alert: Alert, judged_ms: int) -> bool:
        """Resolve it if nothing was heard of it for long, though all is judged up to then."""
        has_lapsed = judged_ms - alert.updated_ms > milliseconds(self._rules.lasting)
        if has_lapsed:
            self._tell(alert, alert.resolved(alert.updated_ms, "nothing was heard of it since"))
        return has_lapsed

    def said(self) -> list[Alert]:
        """Alerts that are to be told, each once."""
        return list(self._told.values())

    def part(self) -> Part:
        """The partition afterwards."""
        part = self._was
        if self._looked:
            part = replace(part, series=self._series)
        if not self._any and not self._told:
            return part
        since_ms = {family: series.ripeness.judged_ms for family, series in self._series.items()}
        known = part.counts.frame()
        ahead = [kind.ahead(known, its)["key"].to_numpy() for kind, its in by_kind(since_ms)]
        counts = part.counts.kept(lambda rows: np.isin(rows["key"].to_numpy(), np.concatenate(ahead))) if ahead else part.counts
        oldest = min((at for at in since_ms.values() if at != UNREAD), default=UNREAD)
        newest = max(since_ms.values(), default=UNREAD)
        keep_ms = KEPT * max((family.span_ms for family in self._series), default=0)
        recent_ms = max(0, oldest - keep_ms, newest - 2 * milliseconds(self._rules.lasting))
        late = [
            (family.site, max(at - KEPT * family.span_ms, newest - REMEMBERED_MS), self._series[family].known)
            for family, at in since_ms.items()
            if family.rule != FRICTION and at != UNREAD and at - KEPT * family.span_ms < recent_ms
        ]
        return replace(
            part,
            counts=counts,
            alerts=tuple(self._alerts.values()),
            raised=still_causes(self._signals(), late, recent_ms),
            examples=still_told(part.examples, since_ms),
            serial=part.serial + 1,
        )

    def _intervals(self, family: Family, series: Series, cut: Cells) -> Series:
        """Judge intervals in order."""
        rules = self._rules
        history_ms, lasting_ms, forgotten_ms = map(milliseconds, (rules.history, rules.lasting, rules.forgotten_after))
        segments: list[Segment] = cut.segments.rows()
        columns, its = np.arange(series.known.height), more(series.its, 0)  # a copy, which learns
        for n, n_of, is_new, from_ms in zip(cut.n, cut.n_of, cut.is_seen & (cut.n_of > 0), cut.from_ms, strict=True):
            interval = Interval(from_ms // family.span_ms, family.span_ms, family.rule != FRICTION, history_ms, lasting_ms)
            is_new[columns] = False
            if is_new.any():
                new = self._with_room(family, len(columns), (segments, np.flatnonzero(is_new), n_of), interval)
                columns, its = np.concatenate([columns, new]), more(its, len(new))
            rows = np.flatnonzero(n_of[columns] > 0)
            if len(rows):
                seen, seen_of = n[columns[rows]], n_of[columns[rows]]
                found = judged(its, rows, np.minimum(seen, seen_of) if interval.is_bound else seen, seen_of, interval)
                named = [segments[column] for column in columns[rows]]
                if family.rule == FRICTION:
                    self._fresh_raised += raised(found, named, (seen, seen_of), family.site, interval)
                self._watch(family, its, found, named, interval)
            is_old = its["seen_ms"] < from_ms - forgotten_ms
            if is_old.any():
                columns, its = columns[~is_old], {name: part[~is_old] for name, part in its.items()}
        return replace(series, known=cut.segments[columns], its=its)

    def _with_room(self, family: Family, n_known: int, new: tuple[Sequence[Segment], Places, Floats], interval: Interval) -> Places:
        """Those of the new ones for which there is room, wide ones first. `new`: segments, which of them, and of how many each is."""
        segments, places, n_of = new
        room = self._rules.most_series - n_known - sum(its.known.height for other, its in self._series.items() if other != family)
        if len(places) <= room:
            return places
        self._limit(family.site, len(places) - max(room, 0), interval)
        n_conditions = np.array([sum(map(bool, segments[place])) for place in places])
        return places[np.lexsort((places, -n_of[places], n_conditions))[: max(room, 0)]]

    def _limit(self, site: str, n: int, interval: Interval) -> None:
        """Say that so many series are not judged."""
        family = Family(site, LIMIT, "", interval.span_ms // 1_000)
        its = [alert for alert in self._alerts.values() if alert.is_open and (alert.site, alert.rule) == (site, LIMIT)]
        seen = Evidence(("",) * len(KNOWN), 0, 1, n, self._rules.most_series, 0.0, 1.0, 0.0, (0.0, 0.0))
        was = its[0] if its else None
        alert = Alert.opened(family, seen, interval.to_ms) if was is None else was
        more = max(seen.n, alert.excess)
        self._tell(
            was, replace(alert.seen(seen, max(interval.to_ms, alert.updated_ms)), n=int(more), excess=more, severity=WARNING)
        )

    def _watch(self, family: Family, its: Arrays, found: Judged, segments: Sequence[Segment], interval: Interval) -> None:
        """Open alerts, go on with those that are open, resolve them."""
        rules = self._rules
        its_alerts = [alert for alert in self._alerts.values() if alert.is_open and alert.family == family]
        is_open = [alert for alert in its_alerts if not self._lapsed(alert, interval.to_ms)]
        _, p = candidates(found, rules.least_n_of, 0.0)
        most_p = max(threshold(p, rules.false_discoveries), rules.false_discoveries / max(len(p), 1))
        places, _ = candidates(found, rules.least_n_of, most_p)
        if not places and not is_open:
            return
        explaining = Explaining(found, segments, is_bound=interval.is_bound)
        passes = Passes(most_p, **self._passes, least_points=rules.least_points)
        weak, _ = candidates(found, rules.least_n_of, WEAK_P)
        taken, young = {segment for alert in is_open for segment in alert.explains}, set[str]()
        for alert in is_open:
            is_young = interval.to_ms - alert.opened_ms <= WINDOWS[1] * interval.span_ms
            beside = taken - {alert.segment}
            others = [at for at in weak if not any(nested(explaining.segments[at], each) for each in beside)] if is_young else ()
            instead = explaining.instead_of(alert.segment, others, passes)
            place = explaining.places.get(alert.segment) if instead is None else instead.place
            if place is None:
                continue
            goes_on = self._going_on(alert, explaining.evidence(place), explaining, interval)
            taken.add(goes_on.segment)
            self._tell(alert, goes_on)
            if not goes_on.is_open:
                self._after(goes_on, explaining, its)
            elif is_young:
                young.add(goes_on.alert_id)
        for seen in explaining.smallest(places, weak, taken, passes):
            taken.add(self._opened(family, seen, taken, young, interval))

    def _opened(self, family: Family, seen: Evidence, taken: set[Segment], young: set[str], interval: Interval) -> Segment:
        """A segment rose: young alerts within it become one, which widens; of one of another signal it is a part; or it is an alert of its own: what is explained."""
        its = [alert for alert in self._alerts.values() if alert.alert_id in young and within(alert.segment, seen.segment)]
        inner = sorted(its, key=_age)
        for alert in () if inner else self._alerts.values():
            is_beside = alert.is_open and alert.family == family and interval.to_ms - alert.opened_ms < KEPT * interval.span_ms
            part = part_of(alert.segment, seen.segment) if is_beside else None
            if part and part not in taken:
                parts = (*(each for each in alert.parts if not within(each, part)), part)
                self._tell(alert, replace(alert, updated_ms=interval.to_ms, parts=parts))
                return part
        wide = inner[0].widened(seen, interval.to_ms) if inner else Alert.opened(family, seen, interval.to_ms)
        self._tell(inner[0] if inner else None, wide)
        for alert in inner[1:]:
            self._tell(alert, alert.resolved(interval.to_ms, f"it is part of {where(wide)}"))
        young.difference_update(alert.alert_id for alert in inner)
        return seen.segment

    @staticmethod
    def _after(alert: Alert, explaining: Explaining, its: Arrays) -> None:
        """An alert was resolved: what it explains of its segment and of others is no evidence any more; or it is usual there as well."""
        met_by = [
            row
            for row, segment in zip(explaining.found.rows, explaining.segments, strict=True)
            if any(met(segment, each) for each in alert.explains)
        ]
        rows = np.array(met_by, dtype=np.int64)
        if alert.why_resolved:
            begin_anew(its, rows[its["raised_ms"][rows] != NONE])
        forget_stretch(its, rows)

    def _going_on(self, alert: Alert, seen: Evidence, explaining: Explaining, interval: Interval) -> Alert:
        """An open alert after another interval."""
        rules, found, place = self._rules, explaining.found, seen.place
        n, n_of, expected, dispersion = (float(each[place, 0]) for each in (found.n, found.n_of, found.expected, found.dispersion))
        its = alert.seen(seen, interval.to_ms)
        its = replace(its, excess=alert.excess + max(0.0, n - expected))
        if found.became_usual[place]:
            return its.resolved(interval.to_ms, "it has been so for long enough to be usual")
        usual = for_usual(n, max(n_of, 1.0), expected, max(its.times, rules.least_lift), is_bound=interval.is_bound)
        its = replace(its, over=max(0.0, its.over + usual / dispersion))
        parts = [explaining.places[part] for part in its.parts if part in explaining.places]
        is_raised = [self._is_raised(found, each) for each in (place, *parts)]
        if is_raised[0]:
            its = replace(its, raised_n=its.raised_n + n, raised_expected=its.raised_expected + expected)
        if any(is_raised):
            return replace(its, n_usual=0, usual_ms=None)
        usual_ms = its.usual_ms or interval.to_ms
        its = replace(its, n_usual=its.n_usual + 1, usual_ms=usual_ms)
        is_sure = its.over >= SURE or interval.to_ms - usual_ms >= interval.lasting_ms
        return its.resolved(usual_ms) if is_sure and its.n_usual >= rules.usual_for else its

    def _is_raised(self, found: Judged, place: int) -> bool:
        """Whether so many would hardly be, if all were usual."""
        looked_at = [at for at in (0, 1) if found.n_of[place, at] >= self._rules.least_n_of] or [2]
        return float(found.p[place, looked_at].min()) < self._rules.usual_p

    def _signals(self) -> pl.DataFrame:
        """That rose, so far. Frames: -> RAISED."""
        if self._fresh_raised:
            fresh = pl.DataFrame(self._fresh_raised, schema=RAISED, orient="row")
            self._raised, self._fresh_raised = pl.concat([self._raised, fresh], rechunk=True), []
        return self._raised

    def _tell(self, was: Alert | None, alert: Alert) -> None:
        """Remember it; tell it if there is something to tell."""
        rules = self._rules
        alert = (
            alert.judged(critical_lift=rules.critical_lift, critical_excess=rules.critical_excess) if alert.rule != LIMIT else alert
        )
        if was is None or alert.differs(was):
            since_ms = max(alert.began_ms, alert.updated_ms - KEPT * alert.family.span_ms)
            alert = told_of(alert, self._signals(), self._was.examples, since_ms) if alert.is_open else alert
            alert = replace(alert, told_excess=alert.excess, owner=rules.owner(alert.of("journey"), alert.of("step")))
            self._told[alert.alert_id] = alert
        self._alerts[alert.alert_id] = alert


def by_kind(judged_ms: Mapping[Family, int]) -> Iterator[tuple[Kind, dict[Family, int]]]:
    """Families of each kind, and up to when they are judged; signals first: they are the causes of the others."""
    kinds = sorted({family.kind for family in judged_ms}, key=lambda each: (each.rule != FRICTION, each))
    for kind in kinds:
        yield kind, {family: judged_ms[family] for family in sorted(judged_ms) if family.kind == kind}


def _age(alert: Alert) -> tuple[int, str]:
    """The oldest first."""
    return alert.opened_ms, alert.alert_id
