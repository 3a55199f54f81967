import asyncio

import pytest
from confluent_kafka import Message

from agents.inbox import RECORD_BYTES, Inbox
from agents.runs import Run

SMALL = 1_000 - RECORD_BYTES
"""Bytes of a value with which a record costs 1,000."""


def run(n=1, *, size=SMALL, partition=0, after=-1):
    made = Run(after=after, seeks=0)
    made.add([Message(topic="clicks", partition=partition, offset=after + 1 + at, value=bytes(size)) for at in range(n)])
    return made


def inbox_of(n_partitions, *, hold=lambda _tps: None, release=lambda: None):
    return Inbox(10_000, n_partitions=lambda: n_partitions, hold=hold, release=release)


@pytest.fixture
def trail():
    return []


@pytest.fixture
def inbox(trail):
    return inbox_of(1, hold=lambda _: trail.append("held"), release=lambda: trail.append("released"))


def test_runs_come_out_as_they_went_in(inbox):
    runs = [run(partition=at) for at in range(3)]
    for each in runs:
        inbox.put(each)

    assert inbox.take(100) == runs
    assert (inbox.size, inbox.events) == (0, 0)


def test_a_step_takes_no_further_run_once_it_has_enough_events(inbox):
    for _ in range(4):
        inbox.put(run(3))

    assert list(map(len, inbox.take(4))) == [3, 3]
    assert inbox.events == 6


def test_a_step_takes_no_further_run_once_it_has_enough_bytes(inbox):
    for _ in range(4):
        inbox.put(run())

    assert len(inbox.take(100, max_bytes=1_001)) == 2


def test_partitions_are_held_above_the_limit_and_released_below_half_of_it(inbox, trail):
    for _ in range(10):
        inbox.put(run())
    assert trail == []
    inbox.put(run())
    assert trail == ["held"]

    inbox.put(run())  # what was on its way is taken all the same
    inbox.take(7)
    assert trail == ["held"]
    inbox.take(1)
    assert trail == ["held", "released"]


def test_only_those_are_held_of_which_more_than_their_share_waits_so_that_none_starves():
    held = []
    inbox = inbox_of(4, hold=lambda tps: held.append({tp.partition for tp in tps}))

    inbox.put(run(6, partition=0))
    inbox.put(run(3, partition=1))
    inbox.put(run(2, partition=2))
    assert held == [{0, 1}]

    inbox.put(run(2, partition=3))  # they are not held, and what they have comes
    assert held == [{0, 1}]
    inbox.put(run(2, partition=3))
    assert held == [{0, 1}, {3}]


def test_small_records_count_more_than_their_values(inbox, trail):
    """Memory goes to what is around a value, too."""
    for _ in range(10):
        inbox.put(run(10, size=1))

    assert trail == ["held"]


def test_a_rebalance_empties_it_and_ends_the_hold(inbox, trail):
    """Also one that began after the new assignment, with what the old one had on its way: nobody else would ever end it."""
    inbox.put(run(11))
    inbox.clear()
    assert (inbox.size, inbox.events, inbox.take(100)) == (0, 0, [])

    inbox.put(run(11))
    assert trail == ["held", "released", "held"]


def test_it_tells_of_which_partitions_something_waits(inbox):
    inbox.put(run(partition=1))
    inbox.put(run(partition=3))

    assert inbox.partitions() == {("clicks", 1), ("clicks", 3)}


async def woken(inbox, timeout_s):
    loop = asyncio.get_running_loop()
    began = loop.time()
    await inbox.stirred(timeout_s)
    return loop.time() - began


def test_who_waits_is_woken_by_a_run():
    async def story():
        inbox = inbox_of(1)
        asyncio.get_running_loop().call_later(0.02, inbox.put, run())
        return await woken(inbox, 5.0), await woken(inbox, 0.05)

    first, second = asyncio.run(story())

    assert first < 1.0
    assert second >= 0.05  # the same run does not wake twice


def test_what_came_before_somebody_waits_wakes_at_once():
    async def story():
        inbox = inbox_of(1)
        inbox.stir()
        return await woken(inbox, 5.0)

    assert asyncio.run(story()) < 1.0


def test_it_knows_since_when_the_oldest_of_what_waits_has_waited():
    now = [10.0]
    inbox = Inbox(10_000, n_partitions=lambda: 1, hold=lambda _: None, release=lambda: None, clock=lambda: now[0])
    assert inbox.since == 10.0

    inbox.put(run(3))
    now[0] = 12.0
    inbox.put(run(3))
    assert inbox.since == 10.0

    inbox.take(3)
    now[0] = 13.0
    assert inbox.since == 12.0
