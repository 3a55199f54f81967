"""Who is still to be told what: after news, mutes, restarts, and more alerts than anybody can hold."""

from datetime import UTC, datetime, time, timedelta

import pytest

from agents import alert_desk
from agents.alert_desk import KEPT, Desk
from agents.alert_settings import Channel
from pipeline.alert_routes import Mute, Mutes, Route
from pipeline.calendars import Calendar, Calendars
from tests.alert_rows import NOW, alert, minutes, resolved

HOOK = Channel("hook", "webhook", "http://hook")
FIGURES = Channel("figures", "webhook", "http://figures", has_updates=True)
MANAGER = Channel("manager", "alertmanager", "http://manager")
MUTED = Mutes((Mute(Route(rules=("abandonment",)), minutes(-5), minutes(5)),))


def desk_of(*channels, mutes=Mutes()):  # noqa: B008 - it never changes
    desk = Desk(channels, mutes)
    desk.restore(0, [])
    return desk


def heard(desk, channel, now=NOW):
    """Tell a channel all that it is to be told; what that was."""
    found = desk.news(channel, now)
    for news in found:
        desk.told(channel, news, now)
    return [(news.row["alert_id"], news.state) for news in found]


def test_news_is_told_once():
    desk = desk_of(HOOK)

    desk.take(0, alert(), NOW)
    assert heard(desk, HOOK) == [("a1", "open-warning")]
    desk.take(0, alert(version=2, n=90), NOW)
    assert heard(desk, HOOK) == [], "other figures are no news"
    desk.take(0, alert(version=3, severity="critical"), NOW)
    assert heard(desk, HOOK) == [("a1", "open-critical")]
    desk.take(0, resolved(version=4), NOW)
    assert heard(desk, HOOK) == [("a1", "resolved")]
    assert heard(desk, HOOK) == []


def test_that_it_happens_elsewhere_is_news():
    desk = desk_of(HOOK)
    desk.take(0, alert(), NOW)
    heard(desk, HOOK)

    desk.take(0, alert(version=2, device="", updated_at=minutes(-2)), NOW)
    (news,) = desk.news(HOOK, NOW)

    assert news.idempotency_key == f"a1:open-warning:{minutes(-2):%Y%m%dT%H%M%SZ}"
    assert heard(desk, HOOK) == [("a1", "open-warning")]
    assert heard(desk, HOOK) == []


def test_who_wants_figures_is_told_of_them_under_another_key():
    desk = desk_of(FIGURES)
    desk.take(0, alert(), NOW)
    heard(desk, FIGURES)

    desk.take(0, alert(version=2, updated_at=minutes(-3)), NOW)
    (news,) = desk.news(FIGURES, NOW)

    assert news.state == "open-warning"
    assert news.idempotency_key == f"a1:open-warning:{minutes(-3):%Y%m%dT%H%M%SZ}"


def test_what_becomes_as_bad_again_as_it_was_has_a_key_of_its_own():
    """Else a receiver that knows keys would drop it, and take the alert for critical for ever."""
    desk, keys = desk_of(HOOK), []
    for version, severity in enumerate(("warning", "critical", "warning", "critical"), start=1):
        desk.take(0, alert(version=version, severity=severity), NOW)
        keys += [news.idempotency_key for news in desk.news(HOOK, NOW)]
        heard(desk, HOOK)

    assert keys[0] == "a1:open-warning"
    assert len(set(keys)) == 4


def test_a_row_that_is_older_than_what_is_known_changes_nothing():
    """A worker that lost its partition, or a repetition after a crash."""
    desk = desk_of(HOOK)
    desk.take(0, resolved(version=5), NOW)
    heard(desk, HOOK)

    desk.take(0, alert(version=4), NOW)

    assert heard(desk, HOOK) == []


def test_a_resolution_that_is_said_again_is_no_news_for_a_day():
    desk = desk_of(HOOK)
    desk.take(0, alert(), NOW)
    heard(desk, HOOK)
    desk.take(0, resolved(), NOW)
    heard(desk, HOOK)
    desk.tidy(NOW + timedelta(hours=23))

    desk.take(0, resolved(version=9), NOW)
    assert heard(desk, HOOK) == []
    desk.tidy(NOW + timedelta(hours=25))
    assert desk.frame(0).is_empty()


def test_who_goes_on_after_a_crash_takes_back_and_says_again_and_nobody_hears_of_it():
    desk = desk_of(HOOK, FIGURES, MANAGER)
    desk.take(0, alert(), NOW)
    for channel in (HOOK, FIGURES, MANAGER):
        heard(desk, channel)

    desk.take(0, alert(version=2, is_deleted=1), NOW)
    assert heard(desk, HOOK) == heard(desk, FIGURES) == []
    assert [news.state for news in desk.standing(MANAGER, NOW)] == ["open-warning"]
    desk.take(0, alert(version=3), minutes(1))
    assert heard(desk, HOOK, minutes(5)) == []


def test_who_goes_on_after_a_crash_says_again_that_it_is_open_and_over_and_nobody_hears_of_it():
    desk = desk_of(HOOK, MANAGER)
    for row in (alert(), resolved()):
        desk.take(0, row, NOW)
        heard(desk, HOOK)
        heard(desk, MANAGER)

    desk.take(0, alert(version=3), NOW)
    assert heard(desk, HOOK) == []
    assert desk.standing(MANAGER, NOW) == []
    desk.take(0, resolved(version=4), minutes(1))
    assert heard(desk, HOOK, minutes(5)) == []


def test_what_was_said_to_be_over_and_stays_open_is_told_in_the_end():
    desk = desk_of(HOOK)
    for row in (alert(), resolved(), alert(version=3)):
        desk.take(0, row, NOW)
        heard(desk, HOOK)

    assert heard(desk, HOOK, minutes(3)) == [("a1", "open-warning")]


def test_a_second_crash_makes_nobody_hear_of_the_first():
    before = desk_of(HOOK)
    before.take(0, alert(), NOW)
    heard(before, HOOK)
    before.take(0, alert(version=2, is_deleted=1), NOW)

    after = desk_of(HOOK)
    after.restore(0, [before.frame(0)])

    assert heard(after, HOOK, minutes(1)) == []
    assert heard(after, HOOK, minutes(3)) == [("a1", "retracted")]


def test_an_alert_that_was_none_is_taken_back_where_it_was_told():
    desk = desk_of(HOOK, MANAGER)
    desk.take(0, alert(), NOW)
    heard(desk, HOOK)

    desk.take(0, alert(version=2, is_deleted=1), NOW)

    assert heard(desk, HOOK, minutes(3)) == [("a1", "retracted")]
    assert heard(desk, MANAGER, minutes(3)) == []


def test_what_was_over_before_anybody_was_told_is_told_once_if_it_is_not_old():
    desk = desk_of(HOOK, MANAGER)

    desk.take(0, resolved("fresh"), NOW)
    desk.take(0, resolved("old", resolved_at=NOW - timedelta(days=2)), NOW)

    assert heard(desk, HOOK) == [("fresh", "resolved")]
    assert heard(desk, MANAGER) == [], "it never knew of it"


def test_a_channel_that_was_away_hears_how_things_are_now():
    desk = desk_of(HOOK)

    for version in range(1, 50):
        desk.take(0, alert(version=version, severity="critical" if version % 2 else "warning"), NOW)

    assert heard(desk, HOOK) == [("a1", "open-critical")]


def test_who_was_told_that_it_is_open_is_told_that_it_is_over_whoever_owns_it_now():
    team = Channel("team", "webhook", "http://team", Route(owners=("payments",)))
    desk = desk_of(team)
    desk.take(0, alert(), NOW)
    heard(desk, team)

    desk.take(0, resolved(owner="checkout"), NOW)

    assert heard(desk, team) == [("a1", "resolved")]


# Mutes ----------------------------------------------------------------------------------------------------------------------


def test_what_is_muted_is_told_when_the_mute_has_ended_if_it_is_still_open():
    desk = desk_of(HOOK, mutes=MUTED)

    desk.take(0, alert("lasts"), NOW)
    desk.take(0, alert("passes"), NOW)
    desk.take(0, alert("another", rule="silence"), NOW)
    assert heard(desk, HOOK) == [("another", "open-warning")]
    desk.take(0, resolved("passes"), NOW)
    assert heard(desk, HOOK) == []

    assert ("lasts", "open-warning") in heard(desk, HOOK, minutes(6))


def test_who_knows_of_an_alert_hears_in_a_mute_that_it_is_over_but_not_that_it_is_worse():
    desk = desk_of(HOOK, MANAGER, mutes=MUTED)
    desk.take(0, alert(), minutes(-6))
    assert heard(desk, HOOK, minutes(-6)) == heard(desk, MANAGER, minutes(-6)) == [("a1", "open-warning")]

    desk.take(0, alert(version=2, severity="critical"), NOW)
    assert heard(desk, HOOK) == []
    assert [(news.key, news.is_new) for news in desk.standing(MANAGER, NOW)] == [(("shop", "a1"), False)], "it is not over"
    desk.take(0, resolved(version=3), NOW)

    assert heard(desk, HOOK) == [("a1", "resolved")]


def test_hours_of_the_week_are_those_of_the_site():
    night = Mute(Route(sites=("berlin",)), opens=time(22), closes=time(6), weekdays=(4,))  # from Friday on
    day = Mute(Route(sites=("tokyo",)), opens=time(9), closes=time(17), weekdays=(0,))
    mutes = Mutes((night, day), Calendars({"berlin": Calendar("Europe/Berlin"), "tokyo": Calendar("Asia/Tokyo")}))

    def is_muted(site, when):
        return mutes.cover(alert(site=site), datetime.fromisoformat(when).replace(tzinfo=UTC))

    assert not is_muted("berlin", "2026-07-03T19:59")  # 21:59 there
    assert is_muted("berlin", "2026-07-03T20:00")
    assert is_muted("berlin", "2026-07-04T03:59")
    assert not is_muted("berlin", "2026-07-04T04:00")
    assert not is_muted("berlin", "2026-07-04T21:00"), "Saturday's night is not named"
    assert is_muted("tokyo", "2026-07-06T00:00")
    assert not is_muted("tokyo", "2026-07-06T08:00")
    assert not is_muted("paris", "2026-07-03T20:00")


# Kept -----------------------------------------------------------------------------------------------------------------------


def test_after_a_restart_it_is_known_who_was_told_what():
    before = desk_of(HOOK, MANAGER)
    before.take(0, alert("told"), NOW)
    heard(before, HOOK)
    before.take(0, alert("not told"), NOW)
    before.take(0, resolved("over", version=3), NOW)

    after = desk_of(HOOK, MANAGER)
    kept = before.frame(0)
    assert kept.schema == KEPT
    after.restore(0, [kept])

    assert after.news(HOOK, NOW) == before.news(HOOK, NOW)
    assert [news.row["alert_id"] for news in after.news(HOOK, NOW)] == ["not told", "over"]
    assert after.standing(MANAGER, NOW) == before.standing(MANAGER, NOW)
    after.take(0, resolved("told"), NOW)
    assert ("told", "resolved") in heard(after, HOOK), "no resolution is lost"


def test_every_change_is_one_that_must_be_kept():
    desk = desk_of(HOOK)
    serials = [desk.serial(0)]

    desk.take(0, alert(), NOW)
    serials.append(desk.serial(0))
    heard(desk, HOOK)
    serials.append(desk.serial(0))
    heard(desk, HOOK)
    desk.tidy(NOW)

    assert serials == [0, 1, 2]
    assert desk.serial(0) == 2


def test_a_manager_hears_of_what_is_over_for_a_while():
    desk = desk_of(MANAGER)
    desk.take(0, alert(), NOW)
    heard(desk, MANAGER)
    desk.take(0, resolved(), NOW)
    heard(desk, MANAGER)

    assert len(desk.standing(MANAGER, minutes(14))) == 1
    for news in desk.standing(MANAGER, minutes(14)):
        desk.told(MANAGER, news, minutes(14))
    assert desk.standing(MANAGER, minutes(16)) == []


def test_a_partition_that_is_given_up_is_forgotten():
    desk = desk_of(HOOK)
    desk.take(0, alert(), NOW)
    (news,) = desk.news(HOOK, NOW)

    desk.forget(0)
    desk.told(HOOK, news, NOW)  # its answer came late

    assert desk.news(HOOK, NOW) == []
    assert desk.partitions == frozenset()


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr(alert_desk, "MOST", 100)


@pytest.mark.usefixtures("little_room")
def test_when_there_are_too_many_what_is_over_goes_first_and_then_somebody_is_told(caplog):
    desk = desk_of(HOOK)
    for n in range(50):
        desk.take(0, alert(f"over{n}"), NOW)
    heard(desk, HOOK)
    for n in range(50):
        desk.take(0, resolved(f"over{n}"), NOW)
    heard(desk, HOOK)

    for n in range(100):
        desk.take(0, alert(f"open{n}"), NOW)
    assert desk.n_open() == 100
    assert desk.given_up == 0
    desk.take(0, alert("one more"), NOW)

    assert desk.n_open() == 100
    assert desk.given_up == 1
    assert "nobody will be told of the 1 oldest" in caplog.text
