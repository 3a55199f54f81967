"""The fold behind intake: whatever its sources say twice, late or under an epoch that is over, every event is applied once."""

from dataclasses import replace

import polars as pl

from agents.arrow_batches import Batch, messages
from pipeline.about import About, Source
from pipeline.frames import TIME
from pipeline.passed import LINK
from pipeline.watermark import BEFORE
from tests.builders import clock, happened, order
from tests.collecting import CollectingFold
from tests.intake_line import INTERNAL, Line


def orders(*numbers, at="10:00"):
    return [order(at=at, order_id=str(n), event_id=f"o{n}") for n in numbers]


def scan(n, at="10:00", **fields):
    return happened("in_transit", at, fields, {"delivery_id": f"P{n}", "event_id": f"d{n}"})


def read_all(fold):
    for partition in range(INTERNAL["commerce"]):
        fold.read(partition)
    return fold


def applied(fold):
    return sorted(fold.folding._state.applied["event_id"])


def reached(fold):
    return fold.folding.watermarks["watermark"].to_list()


def test_every_event_is_given_to_the_fold_once_with_its_original_place():
    line = Line().send("order", *orders(1, 2, 3)).send("delivery", scan(4, order_id="1"), scan(5))
    line.intake().read()
    line.intake("delivery").read()
    fold = read_all(line.fold("order", "delivery"))

    assert applied(fold) == ["d4", "d5", "o1", "o2", "o3"]
    assert fold.folding.origins == {
        ("orders", 0): {"applied": 3, "n_late": 0},
        ("deliveries", 0): {"applied": 2, "n_late": 0},
    }
    assert fold.folding.unaccounted() == dict.fromkeys(range(INTERNAL["commerce"]), 0)


def test_an_order_and_its_parcel_lie_together():
    line = Line().send("order", *orders(*range(9))).send("delivery", *(scan(n, order_id=str(n)) for n in range(9)))
    line.intake().read()
    line.intake("delivery").read()
    fold = read_all(line.fold("order", "delivery"))

    where = fold.folding._state.applied.group_by("key").agg(pl.col("partition").n_unique(), pl.len())
    assert where.select("partition", "len").unique().rows() == [(1, 2)]
    assert len(where) == 9


def test_links_come_as_rows_and_have_no_fate():
    line = Line().send("delivery", scan(1, order_id="1"), scan(1, order_id="1", at="10:05"))
    line.intake("delivery").read()
    fold = read_all(line.fold("delivery"))

    assert fold.folding._state.links.select("key", "belongs_to").rows() == [("parcel:P1", "order:1")]
    assert fold.folding.origins == {("deliveries", 0): {"applied": 1, "duplicate": 1, "n_late": 0}}


def test_what_a_restarted_intake_says_again_changes_nothing_and_is_not_counted():
    line = Line().send("order", *orders(1, 2))
    first = line.intake().read(up_to=1).keep()
    fold = read_all(line.fold())
    first.read()
    line.send("order", *orders(3))
    read_all(fold)
    line.intake().read()  # goes on after the first record, and says the second again
    read_all(fold)

    assert applied(fold) == ["o1", "o2", "o3"]
    assert fold.folding.origins == {("orders", 0): {"applied": 3, "n_late": 0}}
    assert fold.folding._hearing.n_again == 1


def test_a_repeat_that_the_emitter_made_is_a_duplicate():
    line = Line().send("order", *orders(1, 1))
    line.intake().read()

    assert read_all(line.fold()).folding.origins == {("orders", 0): {"applied": 1, "duplicate": 1, "n_late": 0}}


def test_what_a_worker_says_that_has_lost_the_partition_is_ignored():
    line = Line().send("order", *orders(1))
    zombie = line.intake().read().keep()
    line.intake()
    line.send("order", *orders(2))
    zombie.read()
    fold = read_all(line.fold())

    assert applied(fold) == ["o1"]
    assert fold.folding._hearing.fenced > 0
    line.intake().read()
    assert applied(read_all(fold)) == ["o1", "o2"]


def test_time_has_come_as_far_as_with_the_slowest_source():
    line = Line(in_partitions=2).send("order", *orders(1, at="12:00")).send("order", *orders(2, at="10:00"), partition=1)
    intake = line.intake().read(0)
    fold = read_all(line.fold())
    assert reached(fold) == [None, None], "partition 1 has told nothing yet"

    intake.read(1)
    assert reached(read_all(fold)) == [clock("10:00")] * 2


def test_a_family_that_is_not_there_yet_is_waited_for_until_it_says_that_it_is_idle():
    line = Line().send("order", *orders(1, at="12:00"))
    line.intake().read()
    fold = read_all(line.fold("order", "delivery"))
    assert reached(fold) == [None, None]

    line.intake("delivery").rest(0)
    assert reached(read_all(fold)) == [clock("12:00")] * 2


def test_if_all_are_idle_there_is_no_watermark_and_the_stage_is_idle_itself():
    line = Line()
    line.intake().rest(0)
    fold = read_all(line.fold())

    assert reached(fold) == [None, None]
    assert fold.folding._hearing.is_idle(0)
    line.send("order", *orders(1))
    line.intake().read()
    assert not read_all(fold).folding._hearing.is_idle(0)


def test_a_row_is_late_by_the_time_that_had_come_before_it():
    line = Line().send("order", *orders(1, at="12:00"))
    intake, fold = line.intake().read(), CollectingFold()
    line.send("order", *orders(2, at="11:00"), *orders(3, at="12:30"))
    intake.read()
    behind = read_all(line.fold(fold=fold))

    seen = pl.concat([batch for batch, _ in fold.seen]).filter(pl.col("family") == "order")
    assert dict(seen.select("event_id", "watermark").rows()) == {"o1": None, "o2": clock("12:00"), "o3": clock("12:00")}
    assert behind.folding.origins == {("orders", 0): {"applied": 3, "n_late": 1}}


def test_the_fold_is_given_the_rows_with_the_time_before_them_and_after_them():
    line, fold = Line().send("order", *orders(1, at="12:00")), CollectingFold()
    line.intake().read()
    read_all(line.fold(fold=fold))

    (at,) = [batch["partition"][0] for batch, _ in fold.seen if batch.height]
    told = [(given[BEFORE][at], given["watermark"][at]) for batch, given in fold.seen if batch.height]
    assert told == [(None, clock("12:00"))]


def test_what_was_heard_is_part_of_a_checkpoint():
    line = Line(in_partitions=2).send("order", *orders(1, at="12:00")).send("order", *orders(2, at="10:00"), partition=1)
    intake = line.intake().read(0).read(1)
    read_all(line.fold()).keep()
    line.send("order", *orders(3, at="12:30"))
    intake.read(0)
    again = line.fold()
    assert reached(again) == [clock("10:00")] * 2

    line.intake().read(0).read(1)  # says everything again
    assert applied(read_all(again)) == ["o1", "o2", "o3"]
    assert again.folding.origins == {("orders", 0): {"applied": 2, "n_late": 0}, ("orders", 1): {"applied": 1, "n_late": 0}}
    assert reached(again) == [clock("10:00")] * 2


def test_a_topic_that_was_made_anew_is_read_anew():
    """Its offsets begin at 0 again; they are no repeats."""
    line = Line().send("order", *orders(1, 2, 3))
    line.intake().read().keep()
    fold = read_all(line.fold())
    line.log.partitions["orders", 0].clear()
    line.send("order", *orders(4, 2))
    line.intake(inputs_from="earliest").read()
    assert applied(read_all(fold)) == ["o1", "o2", "o3", "o4"]
    assert fold.folding.origins == {("orders", 0): {"applied": 4, "duplicate": 1, "n_late": 0}}

    line.intake().read()  # and what the next one says again is a repeat, as ever
    assert read_all(fold).folding.origins == {("orders", 0): {"applied": 4, "duplicate": 1, "n_late": 0}}


def test_a_topic_that_was_made_anew_is_read_anew_also_if_the_message_that_says_so_is_gone():
    line = Line().send("order", *orders(1, 2, 3))
    line.intake().read().keep()
    fold = read_all(line.fold())
    line.log.partitions["orders", 0].clear()
    line.send("order", order(at="10:00", order_id="3", event_id="o4"))
    ends = {at: len(line.log.partitions["commerce", at]) for at in range(INTERNAL["commerce"])}
    intake = line.intake(inputs_from="earliest")
    for at, end in ends.items():
        markers = line.log.partitions["commerce", at][end:]
        assert [Batch(each.value).about.turn for each in markers] == [1]
        line.log.partitions["commerce", at][end:] = [replace(each, value=b"retention") for each in markers]
    intake.read()

    assert applied(read_all(fold)) == ["o1", "o2", "o3", "o4"]


def test_what_is_too_late_becomes_a_dead_letter_with_its_original_bytes_and_place():
    line = Line().send("order", *orders(1, at="+60d 10:00"))
    intake = line.intake().read()
    line.send("order", *orders(2, at="10:00"), *orders(3, at="10:01"))
    intake.read()
    fold = read_all(line.fold())

    assert fold.folding.origins == {("orders", 0): {"applied": 1, "too_late": 2, "n_late": 0}}
    assert sorted(
        (each["topic"], each["partition"], each["offset"], each["family"], each["reason"]) for each in line.log.headers
    ) == [
        (b"orders", b"0", b"1", b"order", b"too_late"),
        (b"orders", b"0", b"2", b"order", b"too_late"),
    ]
    sent = {record.value for record in line.log.partitions["letters", 0] + line.log.partitions["letters", 1]}
    assert sent == {record.value for record in line.log.partitions["orders", 0][1:]}


def test_what_was_too_late_and_is_not_on_the_broker_any_more_is_a_letter_without_bytes():
    line = Line().send("order", *orders(1, at="+60d 10:00"))
    intake = line.intake().read()
    line.send("order", *orders(2, at="10:00"))
    intake.read()
    line.log.partitions["orders", 0].clear()
    line.log.first["orders", 0] = 2
    read_all(line.fold())

    assert [record.value for at in (0, 1) for record in line.log.partitions["letters", at]] == [None]


def test_a_message_that_is_none_of_ours_is_a_dead_letter_and_stops_nothing():
    line = Line().send("order", *orders(1))
    line.log.send("commerce", 0, b"what is this")
    (strange,) = messages(
        pl.DataFrame({"site": ["shop"]}), About(Source("later", "topic", 0), 0, 0, None, table="of a later version")
    )
    line.log.send("commerce", 1, strange)
    line.intake().read()
    fold = read_all(line.fold())

    assert applied(fold) == ["o1"]
    assert [(each["topic"], each["reason"]) for each in line.log.headers] == [(b"commerce", b"undecodable")] * 2
    assert fold.folding.unaccounted() == {0: 0, 1: 0}


def test_a_stage_that_has_only_heard_of_time_has_nothing_left_to_do():
    """Time is told every second; whoever waits for the end of all work must not wait for ever."""
    line = Line().send("order", *orders(1))
    intake = line.intake().read()
    fold = read_all(line.fold())
    assert fold.folding.holds_news

    fold.keep()
    for partition in range(INTERNAL["commerce"]):
        fold.folding.saved(partition)
    intake.rest(0, seconds=5)
    read_all(fold)
    assert reached(fold) == [clock("10:00:05")] * 2
    assert not fold.folding.holds_news
    assert fold.folding.dirty == {0, 1}, "its position is kept all the same"


def test_forwarded_rows_say_nothing_of_time_and_have_no_fate():
    line = Line().send("order", *orders(1))
    columns = {"site": "shop", "event_id": "o9", "event_at": clock("09:00"), "event_type": "order_placed", "key": "order:9"}
    rows = pl.DataFrame({name: [said] for name, said in columns.items()}).cast({"event_at": TIME})
    holder = Source("collect", "commerce", 1)
    for message in messages(rows, About(holder, 3, 7, None, table="order", is_forwarded=True)):
        line.log.send("commerce", 0, message)
    line.log.flush()
    line.intake().read()
    fold = CollectingFold()
    behind = read_all(line.fold(fold=fold))

    assert reached(behind) == [clock("10:00")] * 2
    seen = pl.concat([batch for batch, _ in fold.seen]).filter("is_forwarded")
    assert seen.select("event_id", "family", "origin_offset").rows() == [("o9", "order", None)]
    assert LINK not in seen["family"]
    assert behind.folding.origins == {("orders", 0): {"applied": 1, "n_late": 0}}
