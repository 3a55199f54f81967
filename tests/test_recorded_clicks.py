"""Rage clicks of people: on recorded clicks every rule counts what a plain loop counts. `data/README.md` says whose they are."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.definitions import DEFAULT
from pipeline.session_rules import SessionRules
from pipeline.sessions import SessionsFold
from pipeline.signal_engine import fired
from pipeline.signals.rage_click import RAGE_CLICK, RageClick
from tests import oracle
from tests.builders import MONDAY, click, records
from tests.signal_frames import in_order, window_of
from tests.signal_loops.clicks import rage_clicks
from tests.views import FAR, counted, differences, now, told

DATA = Path(__file__).parent / "data" / "mouse_clicks.csv"

FIRED = {"posthog": 8, "mixpanel": 4, DEFAULT: 7, "datadog": 7, "amplitude": 4, "openreplay": 5}
"""How often each profile fires. The first two ask for place and time alone; to the others the whole screen is one element. Sentry's rule
needs to know what was dead, and nobody recorded that."""


@pytest.fixture(scope="module")
def log():
    """The clicks as they would come in, in several batches: all sessions begin at once, each is a visitor of its own."""
    with DATA.open() as lines:
        clicks = [
            click(
                at=MONDAY + timedelta(milliseconds=int(row["at_ms"])),
                event_id=f"{row['session']}-{place}",
                visitor_id=row["session"],
                page="/desktop",
                element="screen",
                x_px=int(row["x_px"]),
                y_px=int(row["y_px"]),
            )
            for place, row in enumerate(csv.DictReader(lines))
        ]
    arriving = sorted(clicks, key=lambda event: event["event_at"])
    return records({**event, "cut_before": place % 150 == 0} for place, event in enumerate(arriving))


def grid() -> Iterator[RageClick]:
    """Rules from every corner; where there is no radius, nothing says how it is measured."""
    times = ((None, 1_000), (300, None), (1_000, None), (2_000, None), (450, 1_100))
    radii = [(None, "euclidean", "previous"), *product((40, 100), ("manhattan", "euclidean"), ("previous", "first"))]
    for clicks, (gap_ms, span_ms), (radius_px, distance, measured_from) in product((2, 3, 4, 5), times, radii):
        yield RageClick(
            clicks, span_ms, gap_ms, radius_px, distance=distance, measured_from=measured_from, same_element=radius_px is None
        )


def test_every_rule_counts_what_a_plain_loop_counts(log):
    events = in_order(log)
    window = window_of(events)
    each = defaultdict(list)
    for event in events:
        each[event["visitor_id"]].append(event)
    found = {}
    for rule in grid():
        found[rule] = sorted(fired(window, [RAGE_CLICK.with_rule(**vars(rule))])["event_id"])
        assert found[rule] == sorted(hit.event["event_id"] for theirs in each.values() for hit in rage_clicks(theirs, rule)), rule

    assert len(found) == 4 * 5 * 9
    assert min(len(ids) for ids in found.values()) > 0
    assert len({tuple(ids) for ids in found.values()}) > 50, "the rules differ on these clicks"
    for told_otherwise in ({"distance": "manhattan"}, {"measured_from": "first"}):
        assert any(ids != found.get(replace(rule, **told_otherwise), ids) for rule, ids in found.items()), told_otherwise


@pytest.mark.parametrize("profile", FIRED)
def test_through_the_sessions_fold_every_profile_fires_where_the_oracle_says(log, profile):
    rules = SessionRules(signals=(RAGE_CLICK.with_profile(profile),))
    view = counted(now(told(SessionsFold(rules), log, until=FAR)))

    assert differences(view, oracle.tables(log, rules, {0: FAR})) == []
    assert (len(log), view["sessions"].height) == (426, 15), "one of the 14 was away from the mouse for an hour and a half"
    assert view["signals"].height == FIRED[profile]
    Console().print(f"\n{profile}: {FIRED[profile]} rage clicks in {len(log)} recorded clicks")
