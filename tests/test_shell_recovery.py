"""Where a shell goes on after a crash, a rebalance, a claim of somebody else's, or a run that got lost."""

import asyncio

from faust.types import TP

from agents.kafka_checkpoints import CLAIM_KEY
from agents.manifests import Manifest, Standing
from agents.shell import LOST_S
from agents.stages import ShellSettings
from agents.versions import HEAD_START_US
from tests.counting import truth
from tests.shell_bench import Bench, shown, with_clicks


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

    assert second.fates == first.fates == {0: {"applied": 2, "rejected": 1, "n_late": 0}}
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


def test_what_a_zombie_said_and_nobody_heard_is_not_taken_back():
    """Its owner has said the same before his checkpoint, and whoever goes on from that does not say it again."""
    log, later = with_clicks("ann", None), ShellSettings(linger_s=0.0, checkpoint_s=100.0)

    async def story():
        zombie = Bench(log, 0, settings=later)
        zombie.shell._checkpoint_at += 100
        await zombie.shell.take_over()
        owner = Bench(log, 0)
        await owner.shell.take_over()
        owner.arrive(0, 1)
        await owner.until(lambda: owner.position() == 1 and owner.is_kept)
        zombie.arrive(0, 1)
        await zombie.until(lambda: zombie.position() == 1)
        log.flush()
        await Bench(log, 0).shell.take_over()
        log.flush()

    asyncio.run(story())

    found = shown(log)
    assert found.fenced == 2  # a session and a dead letter
    assert found.sessions() == truth([("ann", 0)])
    assert [row["is_deleted"] for at, row in found.rows.items() if at[0] == "dead_letters"] == [0]
