from datetime import timedelta

import pytest

from agents.log_ends import TRUSTED_S
from agents.quiet_time import QuietTime


class Clocks:
    def __init__(self):
        self.monotonic_s, self.wall_s = 1_000.0, 1_700_000_000.0

    def pass_(self, seconds, quiet=None):
        """Let time go on, with a worker that ticks every second if there is one."""
        while seconds > 0:
            self.monotonic_s += min(seconds, 1.0)
            self.wall_s += min(seconds, 1.0)
            seconds -= 1.0
            if quiet is not None:
                quiet.tick()


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def quiet(clocks):
    return QuietTime(monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s)


def everywhere(_partition):
    return True


def seconds(passed):
    return {partition: span / timedelta(seconds=1) for partition, span in passed.items()}


def test_a_quiet_partition_advances_by_what_has_elapsed_and_each_second_once(clocks, quiet):
    quiet.begin(0, None)
    clocks.pass_(3, quiet)
    assert seconds(quiet.elapsed(everywhere)) == {0: 3.0}

    clocks.pass_(2, quiet)
    assert seconds(quiet.elapsed(everywhere)) == {0: 2.0}


def test_time_counts_from_the_last_arrival(clocks, quiet):
    quiet.begin(0, None)
    clocks.pass_(3, quiet)
    quiet.arrived(0)
    clocks.pass_(1, quiet)

    assert seconds(quiet.elapsed(everywhere)) == {0: 1.0}


def test_a_partition_with_a_backlog_is_not_quiet(clocks, quiet):
    quiet.begin(0, None)
    quiet.begin(1, None)
    clocks.pass_(3, quiet)

    assert seconds(quiet.elapsed(lambda partition: partition == 1)) == {1: 3.0}


def test_the_speed_of_a_simulation_counts(clocks):
    quiet = QuietTime(speed=60.0, monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s)
    quiet.begin(0, None)
    clocks.pass_(2, quiet)

    assert seconds(quiet.elapsed(everywhere)) == {0: 120.0}


def test_downtime_counts_as_elapsed(clocks, quiet):
    kept_ms = round((clocks.wall_s - 3_600) * 1_000)
    quiet.begin(0, kept_ms)
    clocks.pass_(1, quiet)

    assert seconds(quiet.elapsed(everywhere)) == {0: pytest.approx(3_601.0)}


def test_a_wall_clock_that_went_back_is_no_downtime(clocks, quiet):
    quiet.begin(0, round((clocks.wall_s + 3_600) * 1_000))
    clocks.pass_(1, quiet)

    assert seconds(quiet.elapsed(everywhere)) == {0: pytest.approx(1.0)}


def test_a_checkpoint_keeps_since_when_the_watermark_stands(clocks, quiet):
    quiet.begin(0, None)
    quiet.arrived(0)
    at_ms = round(clocks.wall_s * 1_000)
    clocks.pass_(7, quiet)

    assert quiet.since_ms(0) == at_ms


def test_a_frozen_worker_waits_until_it_has_heard_anew_where_the_logs_end(clocks, quiet):
    """It would call customers silent whom its successor has long seen."""
    quiet.begin(0, None)
    clocks.monotonic_s += 60
    assert quiet.elapsed(everywhere) == {}

    clocks.pass_(TRUSTED_S - 1, quiet)
    assert quiet.elapsed(everywhere) == {}

    clocks.pass_(2, quiet)
    assert seconds(quiet.elapsed(everywhere)) == {0: pytest.approx(60 + TRUSTED_S + 1)}


def test_a_freeze_while_it_asks_is_not_taken_for_silence(clocks, quiet):
    quiet.begin(0, None)
    clocks.pass_(2, quiet)

    def frozen(_partition):
        clocks.monotonic_s += 60
        return True

    assert seconds(quiet.elapsed(frozen)) == {0: 2.0}


def test_a_partition_given_up_is_forgotten(clocks, quiet):
    quiet.begin(0, None)
    quiet.end(0)
    clocks.pass_(2, quiet)

    assert quiet.elapsed(everywhere) == {}
