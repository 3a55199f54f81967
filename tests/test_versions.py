from agents.versions import HEAD_START_US, VersionClock


class Wall:
    def __init__(self, *times):
        self.times = list(times)

    def __call__(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def test_a_version_is_the_wall_clock_when_it_runs_ahead():
    clock = VersionClock(wall=Wall(1_000, 2_000))

    assert [clock.stamp(), clock.stamp()] == [1_000, 2_000]


def test_versions_rise_when_the_wall_clock_stands_still_or_goes_back():
    clock = VersionClock(wall=Wall(5_000, 5_000, 3_000, 3_000))

    assert [clock.stamp() for _ in range(4)] == [5_000, 5_001, 5_002, 5_003]


def test_a_version_is_above_what_was_received():
    clock = VersionClock(wall=Wall(1_000))
    clock.receive(9_000)

    assert clock.stamp() == 9_001


def test_a_lower_version_received_changes_nothing():
    clock = VersionClock(10_000, wall=Wall(1_000))
    clock.receive(9_000)

    assert clock.stamp() == 10_001


def test_a_new_assignment_starts_a_minute_above_the_highest_of_the_manifest():
    """What a crash stamped after the manifest never outlives what is recomputed, also on a machine with a slow clock."""
    clock = VersionClock(10_000, wall=Wall(9_000))
    clock.start_assignment()

    assert clock.stamp() == 10_000 + HEAD_START_US + 1


def test_the_first_assignment_of_all_starts_at_the_wall_clock():
    clock = VersionClock(wall=Wall(1_000))
    clock.start_assignment()

    assert clock.stamp() == 1_000
