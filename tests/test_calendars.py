"""Working hours and days' ends, where the site is."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest

from pipeline.calendars import Calendar, Calendars, after_working, day_end

BERLIN = Calendar("Europe/Berlin", time(9), time(17), holidays=frozenset({date(2026, 4, 3), date(2026, 4, 6)}))


def ms(at: str) -> int:
    return int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)


def spelt(found: np.ndarray) -> list[str]:
    return [f"{datetime.fromtimestamp(each / 1000, UTC):%a %d %H:%M:%S.%f}"[:-3] for each in found.tolist()]


@pytest.mark.parametrize(
    ("begins", "hours", "ends"),
    [
        ("2026-03-02T08:00", 2, "Mon 02 10:00:00.000"),
        ("2026-03-02T03:00", 2, "Mon 02 10:00:00.000"),
        ("2026-03-06T15:00", 2, "Mon 09 09:00:00.000"),
        ("2026-03-07T12:00", 8, "Mon 09 16:00:00.000"),
        ("2026-04-02T14:00", 2, "Tue 07 08:00:00.000"),
        ("2026-03-02T08:00", 80, "Fri 13 16:00:00.000"),
    ],
    ids=["within a day", "before it opens", "over a weekend", "begun on a weekend", "over Easter", "two weeks"],
)
def test_a_wait_counts_the_hours_in_which_the_site_works(begins, hours, ends):
    assert spelt(after_working(BERLIN, np.array([ms(begins)]), timedelta(hours=hours))) == [ends]


def test_a_day_ends_where_the_site_is_also_when_clocks_change():
    found = day_end(BERLIN, np.array([ms("2026-03-02T22:59"), ms("2026-03-02T23:00"), ms("2026-03-29T10:00")]))

    assert spelt(found) == ["Mon 02 22:59:59.999", "Tue 03 22:59:59.999", "Sun 29 21:59:59.999"]


def test_every_site_has_its_own_calendar_and_others_the_default():
    calendars = Calendars({"tokyo": Calendar("Asia/Tokyo")})
    at = np.array([ms("2026-03-02T03:00")] * 2)

    assert spelt(calendars.working(pl.Series(["tokyo", "else"]), at, timedelta(hours=1))) == [
        "Mon 02 04:00:00.000",
        "Mon 02 10:00:00.000",
    ]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"time_zone": "Mars/Olympus"}, "Europe/Berlin"),
        ({"opens": time(17), "closes": time(9)}, "`opens` before `closes`"),
        ({"weekdays": ()}, "working days"),
        ({"weekdays": (7,)}, "working days"),
    ],
)
def test_a_calendar_in_which_nobody_works_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Calendar(**settings)
