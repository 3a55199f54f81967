import asyncio
from datetime import timedelta

import polars as pl
import pytest
from confluent_kafka import Message
from faust.types import TP

from agents.arrow_batches import Batch
from agents.checkpoints import KafkaCheckpoints
from agents.folding import Folding, Outputs
from agents.log_reader import Record
from agents.manifests import CLAIM_KEY, Manifest, Standing
from agents.quiet_time import QuietTime
from agents.runs import Run
from agents.shell import LOST_S, Shell
from agents.stages import ShellSettings
from agents.takeover import Input
from agents.versions import HEAD_START_US
from pipeline.fold import Step
from tests.counting import CountingFold, Shown, counting_stage, truth, value
from tests.memory_log import MemoryLog

NOON_MS = 1_700_000_000_000
SETTINGS = ShellSettings(linger_s=0.0, checkpoint_s=0.05)


class OneMember:
    """A consumer group with one member."""

    def __init__(self, log, *partitions):
        self.log = log
        self.generation, self.seeks, self.is_rebalancing = 1, 0, False
        self.assigned = {TP("clicks", partition) for partition in partitions}
        self.fetch_at, self.sought = {}, []
        self.is_caught_up = False

    def assignment(self):
        return self.assigned

    async def fetched(self, tp):
        return self.fetch_at.get(tp)

    def caught_up(self, _tp, _position):
        return self.is_caught_up

    def hold(self, tps):
        self.log.trail.append(("held", sorted(tps)))

    def release(self, tps):
        self.log.trail.append(("released", sorted(tps)))

    async def perform_seek(self, only):
        self.seeks += 1
        self.sought.append(set(only))

    async def commit_positions(self, positions):
        self.log.trail.append(("committed", positions))


class Bench:
    """A shell around the counting fold, on a broker in memory."""

    def __init__(self, log, *partitions, fold=None, settings=SETTINGS, clock=None, rows_partitions=1):
        self.log, self.group = log, OneMember(log, *partitions)
        stage = counting_stage("clicks")
        if fold is not None:
            stage = counting_stage("clicks").__class__(stage.name, stage.topic, fold, stage.decode)
        quiet = QuietTime(speed=3_600.0)
        self.work = Folding(stage, log, Outputs("rows", rows_partitions), "cluster", quiet)
        clocks = {"clock": clock} if clock else {}
        self.shell = Shell(
            "counts",
            Input("clicks", "cluster"),
            self.work,
            group=self.group,
            checkpoints=KafkaCheckpoints(log, log, chunks="chunks", manifests="manifests"),
            producer=log,
            reader=log,
            settings=settings,
            **clocks,
        )

    def arrive(self, *offsets, partition=0, after=None):
        """Hand over records that lie in the log."""
        log = self.log.partitions["clicks", partition]
        run = Run(after=offsets[0] - 1 if after is None else after, seeks=self.group.seeks)
        run.add(
            [
                Message(topic="clicks", partition=partition, offset=at, key=b"k", value=log[at].value, timestamp=(1, NOON_MS))
                for at in offsets
            ]
        )
        self.shell.inbox.put(run)

    async def until(self, condition, timeout_s=5.0):
        """Turn the loop until this is so."""
        turning = asyncio.create_task(self.shell.run())
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    assert not turning.done(), await turning
                    await asyncio.sleep(0.005)
        finally:
            turning.cancel()

    def position(self, partition=0):
        return self.shell.positions().get(TP("clicks", partition))

    @property
    def is_kept(self):
        return self.log.trail[-1][0] == "committed"


def with_clicks(*visitors, partitions=(0,)):
    log = MemoryLog()
    for partition in partitions:
        log.partitions["clicks", partition] = [
            Record(at, b"k", value(visitor, at, NOON_MS) if visitor else b"\xff") for at, visitor in enumerate(visitors)
        ]
    return log


def shown(log, partitions=1):
    reader = Shown()
    for partition in range(partitions):
        reader.read(record.value for record in log.partitions["rows", partition])
    assert reader.conflicts == []
    return reader


def effects(trail):
    """A trail in the words of the design: what was done, without how often in a row."""
    said = []
    for done in trail:
        word = {"rows": "emitted", "chunks": "chunks", "manifests": "manifest"}[done[1]] if done[0] == "sent" else done
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


def test_a_worker_that_comes_after_a_crash_goes_on_exactly_where_the_manifest_says():
    """What was said after the last checkpoint is said again, and outlives what the crash left behind."""
    log = with_clicks("ann", "bob", "ann", "cid")

    async def story():
        first = Bench(log, 0)
        await first.shell.take_over()
        first.arrive(0, 1)
        await first.until(lambda: first.position() == 1 and first.is_kept)
        first.shell._settings = ShellSettings(linger_s=0.0, checkpoint_s=100.0)
        first.shell._checkpoint_at += 100
        first.arrive(2)
        await first.until(lambda: first.position() == 2)
        log.flush()
        left_behind = max(row["version"] for row in shown(log).rows.values())

        second = Bench(log, 0)
        await second.shell.take_over()
        assert second.position() == 1
        second.arrive(2, 3)
        await second.until(lambda: second.position() == 3)
        log.flush()
        return left_behind

    left_behind = asyncio.run(story())

    found = shown(log)
    assert found.sessions() == truth([("ann", 0), ("bob", 1), ("ann", 2), ("cid", 3)])
    assert found.rows["sessions", "ann"]["version"] > left_behind + HEAD_START_US / 2


def test_state_goes_to_the_next_owner_with_fates_and_watermark():
    log = with_clicks("ann", None, "ann")

    async def story():
        first = Bench(log, 0)
        await first.shell.take_over()
        first.arrive(0, 1, 2)
        await first.until(lambda: first.position() == 2 and first.is_kept)
        second = Bench(log, 0)
        await second.shell.take_over()
        return first.work, second.work

    first, second = asyncio.run(story())

    assert second.fates == first.fates == {0: {"applied": 2, "rejected": 1, "late": 0}}
    assert second.watermarks.equals(first.watermarks)


def test_memory_is_newest_if_nobody_claimed_in_between():
    """A rebalance that leaves us a partition costs no repetition."""
    log = with_clicks("ann", "bob")

    async def story():
        bench = Bench(log, 0, settings=ShellSettings(linger_s=0.0, checkpoint_s=100.0))
        bench.shell._checkpoint_at += 100
        await bench.shell.take_over()
        bench.arrive(0, 1)
        await bench.until(lambda: bench.position() == 1)
        bench.group.generation += 1
        await bench.shell.take_over()
        return bench.position()

    assert asyncio.run(story()) == 1
    assert shown(log).sessions() == truth([("ann", 0), ("bob", 1)])


def test_a_foreign_claim_above_ours_makes_us_take_over_again_and_say_again_what_was_ignored():
    log = with_clicks("ann", "bob", "ann")

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        bench.arrive(0)
        await bench.until(lambda: bench.position() == 0 and bench.is_kept)
        # Somebody who is no owner takes over, from our manifest; readers ignore us from his marker on.
        stranger = Bench(log, 0)
        await stranger.shell.take_over()
        bench.arrive(1)
        await bench.until(lambda: bench.group.sought)
        assert bench.position() == 0
        bench.arrive(1, 2)
        await bench.until(lambda: bench.position() == 2 and bench.is_kept)
        return bench.group.sought

    assert asyncio.run(story()) == [{TP("clicks", 0)}]
    found = shown(log)
    assert found.fenced > 0
    assert found.sessions() == truth([("ann", 0), ("bob", 1), ("ann", 2)])


def test_a_foreign_claim_on_a_partition_that_the_group_has_taken_from_us_is_right():
    log = with_clicks("ann", "bob")

    async def story():
        bench = Bench(log, 0)
        await bench.shell.take_over()
        log.send("manifests", 0, b"{}", CLAIM_KEY)
        log.flush()
        bench.arrive(0)
        bench.group.is_rebalancing = True
        await bench.until(lambda: not bench.shell.positions())
        return bench

    bench = asyncio.run(story())

    assert bench.work.positions() == {}
    assert [record.key for record in log.partitions["manifests", 0]].count(CLAIM_KEY) == 2


def test_who_is_no_owner_any_more_claims_nothing():
    """Its claim would outrank the owner's, and results would stand still."""
    log = with_clicks("ann", partitions=(0, 1))

    async def story():
        bench = Bench(log, 0, 1)
        whole = log.flush

        def rebalanced_meanwhile():
            whole()
            if log.partitions["manifests", 0]:  # partition 0 is being taken over
                bench.group.generation += 1

        log.flush = rebalanced_meanwhile
        await bench.shell.take_over()
        return bench

    bench = asyncio.run(story())

    assert bench.shell.positions() == {}
    assert log.partitions["manifests", 1] == []
    assert [record.key for record in log.partitions["manifests", 0]] == [CLAIM_KEY]


def test_a_partition_taken_from_us_is_given_up():
    log = with_clicks("ann", "bob", partitions=(0, 1))

    async def story():
        bench = Bench(log, 0, 1)
        await bench.shell.take_over()
        bench.arrive(0, 1, partition=0)
        bench.arrive(0, 1, partition=1)
        await bench.until(lambda: bench.position(1) == 1)
        bench.group.assigned = {TP("clicks", 1)}
        bench.group.generation += 1
        await bench.shell.take_over()
        return bench

    bench = asyncio.run(story())

    assert bench.shell.positions() == {TP("clicks", 1): 1}
    assert bench.work._state.counts["partition"].unique().to_list() == [1]


def test_a_run_that_got_lost_is_fetched_again_and_only_its_partition():
    log = with_clicks("ann", "bob", "ann", partitions=(0, 1))

    async def story():
        bench = Bench(log, 0, 1)
        await bench.shell.take_over()
        bench.arrive(1, 2)  # what came before it was lost
        bench.arrive(0, partition=1)
        await bench.until(lambda: bench.group.sought)
        assert (bench.position(0), bench.position(1)) == (-1, 0)
        bench.arrive(0, 1, 2)
        await bench.until(lambda: bench.position(0) == 2)
        return bench.group.sought

    assert asyncio.run(story()) == [{TP("clicks", 0)}]


def test_the_last_run_that_got_lost_is_missed_after_a_while():
    """Nothing comes behind it that would show the hole."""
    log = with_clicks("ann", "bob")
    now = [0.0]

    async def story():
        bench = Bench(log, 0, clock=lambda: now[0])
        await bench.shell.take_over()
        bench.arrive(0)
        await bench.until(lambda: bench.position() == 0)
        bench.group.fetch_at[TP("clicks", 0)] = 2

        def later():
            now[0] += 0.1
            bench.shell.inbox.stir()
            return now[0] > LOST_S + 1.5

        await bench.until(lambda: later() or bench.group.sought)
        return bench.group.sought

    assert asyncio.run(story()) == [{TP("clicks", 0)}]


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

    assert asyncio.run(story()) == {0: {"applied": 1, "too_late": 1, "rejected": 1, "late": 0}}
    rejected, late = shown(log).dead_letters()
    assert (rejected["offset"], rejected["reason"], rejected["payload"]) == (1, "undecodable", b"\xff")
    assert (late["offset"], late["reason"], late["key"]) == (2, "too_late", "k")
    assert {row["stage"] for row in (rejected, late)} == {"counts"}
    assert {row["topic"] for row in (rejected, late)} == {"clicks"}
    assert {row["cluster_id"] for row in (rejected, late)} == {"cluster"}


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


def test_checkpoints_take_a_tenth_of_the_time_at_most():
    log = with_clicks("ann")
    now = [0.0]

    async def story():
        bench = Bench(log, 0, clock=lambda: now[0])
        await bench.shell.take_over()
        whole = log.flush

        def slow():
            whole()
            now[0] += 2.0

        log.flush = slow
        bench.arrive(0)
        now[0] = 1.0
        await bench.until(lambda: bench.is_kept)
        return bench.shell

    shell = asyncio.run(story())

    assert shell.checkpoint_cost_s == 6.0
    assert shell._checkpoint_at == now[0] + 60.0


def test_a_state_kept_by_a_zombie_does_not_count():
    """Highest epoch, never the last manifest: a frozen worker may write after its successor."""
    log = with_clicks("ann", "bob")

    async def story():
        zombie = Bench(log, 0)
        await zombie.shell.take_over()
        owner = Bench(log, 0)
        await owner.shell.take_over()
        owner.arrive(0, 1)
        await owner.until(lambda: owner.position() == 1 and owner.is_kept)
        log.send("manifests", 0, Manifest(0, 999, "cluster", Standing(position=55)).to_json(), b"manifest/0")
        log.flush()
        third = Bench(log, 0)
        await third.shell.take_over()
        return third.position()

    assert asyncio.run(story()) == 1


@pytest.mark.parametrize("settings", [{"max_batch_events": 0}, {"inbox_bytes": -1}, {"time_speed": 0}, {"linger_s": -0.1}])
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        ShellSettings(**settings)


def test_the_gap_of_the_counting_fold_is_half_an_hour():
    assert CountingFold().gap == timedelta(minutes=30)
