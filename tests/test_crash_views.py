"""What a dead worker said after its last checkpoint stands in ClickHouse: what its successor says must replace all of it in the `_now` views.

The successor reads the same records, but in other batches. It is put through the real tables and views.
"""

from agents.versions import VersionClock
from pipeline.frames import TABLES
from pipeline.sessions import SessionsFold
from tests.builders import product, records, view
from tests.properties.test_crashes import settled
from tests.strategies import RULES
from tests.views import FAR, now, told

FOLD = SessionsFold(RULES)
LOG = records([view(at="10:07"), product(at="10:08", visitor_id="bob"), product(at="10:09"), product(at="10:20", visitor_id="bob")])


def write(store, *lives):
    """What workers said, one after the other, each row with a version of its own life."""
    clock = VersionClock()
    with store.open() as opened:
        for life, steps in enumerate(lives):
            for place, step in enumerate(steps):
                version = clock.stamp()
                for name, rows in step.tables.items():
                    if rows.height:
                        said = rows.select(*TABLES[name].schema).with_columns(version=version)
                        opened.write(name, said, token=f"{life} {place}")


def counts(store):
    """Interval and what is counted in it -> how many, of all that is not nothing."""
    found = store.query("SELECT interval_at, measure, step, n FROM rollups_now WHERE n != 0 ORDER BY ALL")
    return found.rows()


def right(log):
    """What they are when nobody dies."""
    shown = now(told(FOLD, log, until=FAR))["rollups"].select("interval_at", "measure", "step", "n")
    return sorted(row for row in shown.rows() if row[-1])


def alone(log):
    return [{**record, "cut_before": True} for record in log]


def test_rollups_count_nothing_twice_after_a_crash(store):
    """Counts are absolute: said again, in other batches, they replace themselves."""
    dead = told(FOLD, alone(LOG))[:3]
    write(store, dead, told(FOLD, LOG, until=FAR))

    assert counts(store) == right(LOG)


def test_rollups_count_nothing_twice_after_a_crash_before_a_late_event(store):
    """The late event moves the session into an earlier interval. The successor reads it in its first batch, and never says the later one."""
    late = records([view(at="10:07"), view(at="10:04", record_at=LOG[0]["record_at"])])
    dead = told(FOLD, alone(late))[:1]
    write(store, dead, [settled(FOLD.empty(), dead)], told(FOLD, late, until=FAR))

    assert counts(store) == right(late)
