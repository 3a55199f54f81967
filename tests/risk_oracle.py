"""Who is at risk, row by row: what the newest rows of `at_risk` must say after all records of a log. Plain loops; the terms of the logit are values, and shared."""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.risk import RiskBands
from pipeline.session_rules import SessionRules
from tests import fulfilment_oracle
from tests.fulfilment_oracle import Case, Wait
from tests.session_oracle import APPLIED, Row, Session, Watermarks, sessions, verdicts

MS = timedelta(milliseconds=1)
LAPSE_WEIGHT = 20.0


def band_of(risk: float, bands: RiskBands) -> int:
    """The band from 1, 0: below the floor."""
    return int(risk / bands.width + 1e-9) + 1 if bands.enabled and risk >= bands.floor else 0


def logistic(logit: float) -> float:
    """From a logit to a probability."""
    return 1 / (1 + math.exp(-logit))


def heaviest(met: Iterable[tuple[str, float]]) -> list[str]:
    """Once each, the heaviest first."""
    weights: dict[str, float] = {}
    for name, weight in met:
        weights[name] = weights.get(name, 0.0) + weight
    return [name for name, _ in sorted(weights.items(), key=lambda each: (-each[1], each[0]))]


# Visits


def visits(log: Iterable[Row], rules: SessionRules, watermarks: Watermarks | None = None) -> list[Row]:
    """One row a visit at risk."""
    judged, reached = verdicts(log, rules)
    applied = [verdict.record for verdict in judged if verdict.fate == APPLIED]
    told = sessions(applied, reached if watermarks is None else watermarks, rules)
    return [row for session in told if (row := visit_row(session))]


def visit_row(session: Session) -> Row | None:
    """A visit that is open, of a person, and has come to the commit step."""
    journey, rules = session.journey, session.rules
    if session.status != "open" or session.is_bot or journey is None or session.watermark is None:
        return None
    furthest = max(session.reached(journey))
    if furthest < journey.commit_index:
        return None
    whole = journey.goal_index - journey.commit_index
    way = min(1.0, (furthest - journey.commit_index) / whole) if whole > 0 else min(1.0, float(furthest - journey.commit_index))
    silence = session.watermark + rules.allowed_lateness - session.ended_at
    stretch = sum(silence > timedelta(minutes=minutes) for minutes in rules.risk.silent_min)
    points = min(100.0, sum(fired.weight for fired in session.signals))
    term = rules.risk
    logit = term.base + (term.whole_way_silent if stretch else term.whole_way) * way
    logit += term.full_friction * math.sqrt(points / 100) + (0.0, *term.silent)[stretch]
    band = band_of(logistic(logit), rules.risk_bands)
    step = journey.steps[furthest]
    found = {
        "site": session.site,
        "kind": "session",
        "entity_id": f"{session.visitor_id}/{session.session_id}",
        "customer_id": session.customer_id or "",
        "journey": journey.name,
        "step": step.name,
        "owner": step.owner,
        "reasons": heaviest((fired.signal, fired.weight) for fired in session.signals),
        "expectation": "order_after_commit",
        "band": band,
    }
    return found if band else None


# Cases


def cases(log: Iterable[Row], rules: FulfilmentRules, watermarks: Watermarks | None = None) -> list[Row]:
    """One row a case at risk."""
    judged, reached = verdicts(log, rules)
    applied = [verdict.record for verdict in judged if verdict.fate == APPLIED]
    reached = reached if watermarks is None else watermarks
    found: list[Row] = []
    for partition in sorted({event["partition"] for event in applied}):
        events = [event for event in applied if event["partition"] == partition]
        rows = (case_row(case, events) for case in fulfilment_oracle.cases_of(events, rules, reached[partition]))
        found += [row for row in rows if row is not None]
    return found


def case_row(case: Case, everything: list[Row]) -> Row | None:
    """Of all that it waits for what is in the highest band; of equals what is due first."""
    rules, now = case.rules, case.now
    if case.order_id is None or now is None:
        return None
    lapsed = list(fulfilment_oracle.lapse_rows(case, everything))
    signals = list(fulfilment_oracle.signal_rows(case))
    points = min(100.0, sum(signal["weight"] for signal in signals))
    likely = []
    for place, expectation in enumerate(rules.expectations):
        if expectation.enabled == "off":
            continue
        if expectation.enabled == "auto" and not fulfilment_oracle.was_seen(expectation, now, case.site, everything, rules):
            continue
        term = rules.risk
        begin = term.base.get(expectation.name, term.base_of_others) + term.full_friction * points / 100
        begin += term.has_lapsed if lapsed else 0.0
        is_promise = expectation.name in term.by_its_time
        for wait in fulfilment_oracle.waits_of(case, expectation):
            due = max(wait.due, wait.first["event_at"])
            if goes_on(wait, due, now):
                began = wait.last["event_at"]
                share = max(now - began, timedelta(0)) / max(due - began, MS)
                waited = term.whole_promise * share**3 if is_promise else term.whole_wait * share
                waited += term.said_late if is_promise and said_late(case, wait) else 0.0
                band = band_of(logistic(begin + waited), rules.risk_bands)
                likely.append((-band, due, place, expectation))
    if not likely or (best := min(likely, key=lambda each: each[:3]))[0] == 0:
        return None
    band, due, _, expectation = best
    met = [(signal["signal"], signal["weight"]) for signal in signals] + [(lapse["expectation"], LAPSE_WEIGHT) for lapse in lapsed]
    return {
        **{name: value or "" for name, value in fulfilment_oracle.who(case).items()},
        "kind": "case",
        "entity_id": case.order_id,
        "journey": expectation.journey,
        "step": expectation.step,
        "owner": expectation.owner,
        "reasons": heaviest(met),
        "expectation": expectation.name,
        "would_lapse_at": due,
        "value_minor": case.last("amount_minor"),
        "currency": case.first("currency") or "",
        "band": -band,
    }


def said_late(case: Case, wait: Wait) -> bool:
    """Whether the date that was said last of its parcel is after its due time."""
    said = [event["eta_at"] for event in case.parcels()[wait.first["delivery_id"]] if event.get("eta_at") is not None]
    return bool(said) and said[-1] > wait.due


def goes_on(wait: Wait, due: datetime, now: datetime) -> bool:
    """Whether it may still lapse."""
    in_time = wait.met is not None and wait.met <= wait.due
    voided = wait.void is not None and wait.void <= wait.due and (wait.met is None or wait.void <= wait.met)
    return not in_time and not voided and now <= due
