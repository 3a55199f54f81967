import asyncio
from contextlib import suppress

import polars as pl
import pytest
from faust.types import TP

from agents.arrow_batches import Batch
from agents.log_reader import Record
from agents.stages import ShellSettings
from pipeline.fold import Step
from tests.counting import CountingFold, value
from tests.shell_bench import NOON_MS, Bench, shown, with_clicks


def effects(trail):
    """A trail in the words of the design: what was done, without how often in a row."""
    said = []
    for done in trail:
        word = (
            {"rows": "emitted", "letters": "emitted", "chunks": "chunks", "manifests": "manifest"}[done[1]]
            if done[0] == "sent"
            else done
        )
        word = word if isinstance(word, str) else word[0]
        if done[-1] == "claim":
            word = "claimed"
        if done[-1] == "tombstone":
            word = "dropped"
        if said[-1:] != [word]:
            said.append(word)
    return said


def test_a_tick_emits_and_flushes_before_it_keeps_and_commits_last():
    log = with_clicks("ann", "bob", "ann")

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        log.trail.clear()
        bench.arrive(0, 1, 2)
        await bench.until(lambda: bench.log.trail and bench.is_kept)

    asyncio.run(story())

    assert effects(log.trail) == ["emitted", "flushed", "chunks", "flushed", "manifest", "flushed", "dropped", "committed"]
    assert log.trail[-1] == ("committed", {TP("clicks", 0): 2})
    assert shown(log).sessions() == {"ann": (2, 0 + 2), "bob": (1, 1)}


def test_a_take_over_claims_keeps_a_full_copy_and_marks_every_output_before_there_is_a_position():
    log = with_clicks("ann")

    async def story():
        bench = Bench(log, 0, rows_partitions=3)
        assert bench.position() is None
        await bench.shell.take_over()
        assert bench.position() == -1

    asyncio.run(story())

    assert effects(log.trail) == ["flushed", "claimed", "flushed", "chunks", "flushed", "manifest", "flushed", "emitted", "flushed"]
    markers = [Batch(record.value).about for partition in range(3) for record in log.partitions["rows", partition]]
    assert [about.is_marker for about in markers] == [True] * 3
    assert {about.epoch for about in markers} == {0}


def test_silence_is_noticed_when_no_event_says_so():
    log = with_clicks("ann")

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        bench.arrive(0)
        bench.group.is_caught_up = True
        await bench.until(lambda: bench.position() == 0)
        await bench.until(lambda: bench.work.progress.rows["sessions"] == 2)
        log.flush()

    asyncio.run(story())

    assert shown(log).statuses() == {"ann": "browsed"}


def test_a_backlog_is_not_silence():
    log = with_clicks("ann")

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        bench.arrive(0)
        await bench.until(lambda: bench.position() == 0)
        began = asyncio.get_running_loop().time()
        await bench.until(lambda: asyncio.get_running_loop().time() > began + 2.5)
        log.flush()

    asyncio.run(story())

    assert shown(log).statuses() == {"ann": "open"}


def test_what_cannot_be_used_becomes_a_dead_letter_with_its_bytes():
    log = with_clicks("ann", None)
    log.partitions["clicks", 0].append(Record(2, b"k", value("bob", 2, NOON_MS - 2 * 3_600_000)))

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        bench.arrive(0, 1, 2)
        await bench.until(lambda: bench.position() == 2)
        log.flush()
        return bench.work.fates

    assert asyncio.run(story()) == {0: {"applied": 1, "too_late": 1, "rejected": 1, "n_late": 0}}
    rejected, late = shown(log).dead_letters()
    assert (rejected["offset"], rejected["reason"], rejected["payload"]) == (1, "undecodable", b"\xff")
    assert (late["offset"], late["reason"], late["key"]) == (2, "too_late", "k")
    assert {row["stage"] for row in (rejected, late)} == {"counts"}
    assert {row["topic"] for row in (rejected, late)} == {"clicks"}
    assert {row["cluster_id"] for row in (rejected, late)} == {"cluster"}
    assert [(record.key, record.value) for record in log.partitions["letters", 0]] == [(b"k", b"\xff"), (b"k", late["payload"])]
    assert [(said["reason"], said["offset"]) for said in log.headers] == [(b"undecodable", b"1"), (b"too_late", b"2")]


class Forgetful(CountingFold):
    """Loses an event of every batch."""

    def step(self, state, batch, watermarks):
        done = super().step(state, batch, watermarks)
        return Step(done.state, done.tables, done.rejects, done.fates.with_columns(pl.col("n") - 1), done.watermarks)


def test_a_fold_that_loses_an_event_is_a_defect():
    log = with_clicks("ann", "bob")

    async def story():
        bench = Bench(log, 0, fold=Forgetful())
        await bench.shell.take_over()
        bench.arrive(0, 1)
        await bench.until(lambda: False)

    with pytest.raises(AssertionError, match=r"read \{0: 2\} records and accounts for \{0: 1\}"):
        asyncio.run(story())


def test_a_full_inbox_holds_the_partitions_of_its_stage_and_no_others():
    log = with_clicks(*["ann"] * 10)

    async def story():
        bench = Bench(log, 0, settings=ShellSettings(inbox_bytes=2_000))
        bench.group.assigned |= {TP("rows", 0)}
        await bench.shell.take_over()
        log.trail.clear()
        bench.arrive(*range(10))
        bench.shell.inbox.take(100)

    asyncio.run(story())

    assert log.trail == [("held", [TP("clicks", 0)]), ("released", [TP("clicks", 0)])]


def test_a_full_inbox_is_not_waited_for():
    log = with_clicks(*["ann"] * 10)

    async def story():
        bench = Bench(log, 0, settings=ShellSettings(inbox_bytes=2_000, linger_s=60.0))
        await bench.shell.take_over()
        bench.arrive(*range(10))
        await bench.until(lambda: bench.position() == 9)

    asyncio.run(story())


@pytest.mark.parametrize(("n_slow", "until_the_next_s"), [(1, 0.05), (2, 60.0)])
def test_checkpoints_take_a_tenth_of_the_time_at_most_but_one_that_waited_for_the_broker_puts_none_off(n_slow, until_the_next_s):
    log = with_clicks("ann", "bob")
    now = [0.0]

    async def story():
        bench = Bench(log, 0, clock=lambda: now[0])
        await bench.shell.take_over()
        whole = log.flush

        def slow():
            whole()
            now[0] += 2.0

        log.flush = slow
        for number in range(n_slow):
            bench.arrive(number)
            now[0] += 1.0
            await bench.until(lambda last=number: log.trail[-1] == ("committed", {TP("clicks", 0): last}))
        return bench.shell

    shell = asyncio.run(story())

    assert shell.checkpoint_cost_s == 6.0
    assert shell._checkpoint_at == now[0] + until_the_next_s


@pytest.mark.parametrize(("waited_s", "is_behind", "goes_on"), [(7.9, True, False), (8.1, True, True), (0.1, False, True)])
def test_while_a_stage_before_it_has_a_backlog_a_step_waits_for_more_but_not_for_ever(waited_s, is_behind, goes_on):
    log, now = with_clicks("ann", "bob"), [100.0]

    async def story():
        before = Bench(log, 0, settings=ShellSettings(max_batch_events=1 if is_behind else 2))
        before.arrive(0)
        bench = Bench(log, 0, settings=ShellSettings(linger_s=0.01), clock=lambda: now[0])
        bench.shell.before = (before.shell,)
        await bench.shell.take_over()
        bench.arrive(0)
        now[0] += waited_s
        bench.arrive(1)
        with suppress(TimeoutError):
            await bench.until(lambda: bench.position() == 1, timeout_s=5.0 if goes_on else 0.2)
        assert bench.position() == (1 if goes_on else -1)
        assert bench.work.progress.steps == int(goes_on)

    asyncio.run(story())


@pytest.mark.parametrize("settings", [{"max_batch_events": 0}, {"inbox_bytes": -1}, {"time_speed": 0}, {"linger_s": -0.1}])
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ShellSettings(**settings)
