"""Orders, deliveries and tickets on their way in: keyed, sent on, and how far time has come told with them."""

from datetime import timedelta
from random import Random

import polars as pl
import pytest

from agents.arrow_batches import Batch
from agents.passing import TELL_AGAIN_S
from agents.topics import MESSAGE_BYTES
from pipeline import awaited_types
from pipeline.awaited_types import SEEN, noticed, telling, was_seen
from pipeline.intake import IntakeFold
from pipeline.keyed_rows import KeyedRows
from pipeline.keys import partitions
from pipeline.passed import FORWARDED, LINK, ORIGIN, TYPES, heard, travelling
from tests.builders import clock, frame, happened, order, watermarks
from tests.intake_line import INTERNAL, Line


def ms(at):
    return round(clock(at).timestamp() * 1_000)


def ticket(at="10:00", **fields):
    return happened("ticket_opened", at, fields, {"ticket_id": "T1"})


def said(line, topic):
    """What is said on an internal topic, partition by partition."""
    return [(at, Batch(record.value)) for at in range(INTERNAL[topic]) for record in line.log.partitions[topic, at] if record.value]


def rows(line, topic, table):
    """All rows of a table, and the partition in which they lie."""
    found = [
        pl.DataFrame(pl.from_arrow(batch.rows())).with_columns(pl.lit(at).alias("at"))
        for at, batch in said(line, topic)
        if batch.about.table == table
    ]
    return pl.concat(found, how="diagonal") if found else pl.DataFrame()


def told(line, topic):
    """What is said without rows, one partition of the topic: (watermark, is_idle), markers left out."""
    return [
        (batch.about.watermark_ms, batch.about.is_idle)
        for at, batch in said(line, topic)
        if at == 0 and not batch.about.table and not batch.about.is_marker
    ]


def test_every_order_goes_into_the_partition_of_its_key_with_the_place_where_it_lay():
    line = Line().send("order", *(order(at="10:00", order_id=str(n)) for n in range(20)))
    line.intake().read()

    found = rows(line, "commerce", "order")
    assert sorted(found["order_id"], key=int) == [str(n) for n in range(20)]
    assert found["at"].to_list() == partitions(found["site"], found["key"], INTERNAL["commerce"]).tolist()
    assert found.select("order_id", *ORIGIN).sort("origin_offset").rows() == [(str(n), "orders", 0, n) for n in range(20)]


def test_an_order_says_whose_it_is_to_people_and_its_parcel_to_commerce():
    line = Line().send("order", order(at="10:00", order_id="1", customer_id="anna", delivery_id="P1"))
    line.intake().read()

    assert rows(line, "people", LINK).select("key", "belongs_to").rows() == [("order:1", "customer:anna")]
    assert rows(line, "commerce", LINK).select("key", "belongs_to").rows() == [("parcel:P1", "order:1")]


def test_a_column_that_says_nothing_is_not_sent():
    line = Line().send("order", order(at="10:00", order_id="1"), order(at="10:01", order_id="2", carrier="dhl"))
    line.intake().read()

    columns = rows(line, "commerce", "order").columns
    assert "carrier" in columns
    assert "refund_minor" not in columns


def test_a_ticket_goes_to_its_own_key_only():
    line = Line().send("ticket", ticket(customer_id="anna", order_id="1", text="where is it"))
    line.intake("ticket").read()

    assert rows(line, "people", "ticket").select("key", "text").rows() == [("ticket:T1", "where is it")]
    assert sorted(rows(line, "people", LINK)["key"]) == ["order:1", "ticket:T1"]
    assert said(line, "commerce") == []


@pytest.mark.parametrize("family", ["order", "delivery", "ticket"])
def test_rows_have_the_columns_that_are_agreed_on(family):
    fold = IntakeFold(family, "topic")
    events = frame([happened("some", "10:00", {}, {"order_id": "1", "delivery_id": "2"} if family != "ticket" else {})], family)

    passed = fold.step(fold.empty(), events, watermarks({0: None})).passed

    assert {each.table for each in passed} == {family, LINK, TYPES}
    for each in passed:
        agreed = {name: dtype for name, dtype in travelling(each.table).items() if name not in FORWARDED}
        assert {name: each.rows.schema[name] for name in agreed} == agreed


def test_rows_come_with_the_watermark_before_them_and_only_then_all_partitions_hear_of_the_new_one():
    """So that nobody knows of a time before he has what happened until then."""
    line = Line().send("order", order(at="10:00", order_id="1"))
    intake = line.intake().read()
    line.send("order", order(at="11:00", order_id="1"))
    intake.read()

    for at in range(INTERNAL["commerce"]):
        abouts = [batch.about for partition, batch in said(line, "commerce") if partition == at]
        assert [each.watermark_ms for each in abouts if not each.table] == [None, ms("10:00"), ms("11:00")]
        assert [each.watermark_ms for each in abouts if each.table == "order"] in ([], [None, ms("10:00")])
        assert [each.watermark_ms for each in abouts if each.watermark_ms is not None] == sorted(
            each.watermark_ms for each in abouts if each.watermark_ms is not None
        )
    assert len(rows(line, "commerce", "order")) == 2


def test_the_watermark_lags_by_the_allowed_lateness():
    line = Line().send("order", order(at="10:00", order_id="1"))
    line.intake(lateness=timedelta(minutes=10)).read()

    assert told(line, "people") == [(ms("09:50"), False)]


def test_what_is_empty_and_caught_up_says_idle_once_and_counts_from_its_first_record_on():
    line = Line()
    intake = line.intake().rest(0).rest(0)
    line.send("order", order(at="10:00", order_id="1"))
    intake.read().rest(0, seconds=5)

    assert told(line, "commerce") == [(None, True), (ms("10:00"), False), (ms("10:00") + 5_000, False)]


def test_a_partition_that_nobody_has_caught_up_with_is_not_idle():
    line = Line()
    line.intake().rest()

    assert told(line, "commerce") == []


def test_a_partition_of_which_nothing_was_good_is_idle_once_it_is_caught_up():
    line = Line().send("order", b"rubbish")
    line.intake().read().rest(0)

    assert told(line, "commerce") == [(None, True)]


def test_a_watermark_that_has_not_changed_is_told_again_after_a_minute():
    """Messages are not kept for ever, and a new reader must hear of every source."""
    line, now = Line().send("order", order(at="10:00", order_id="1")), [0.0]
    intake = line.intake()
    intake.folding._passing._clock = lambda: now[0]
    intake.read().rest(0).rest(0)
    assert len(told(line, "people")) == 1

    now[0] += TELL_AGAIN_S
    intake.rest(0).rest(0)
    assert told(line, "people") == [(ms("10:00"), False)] * 2


def test_what_cannot_be_used_becomes_a_dead_letter_and_the_books_balance():
    line = Line().send("order", order(at="10:00", order_id="1"), b"rubbish", order(at="10:01", order_id="2"), b"\0")
    intake = line.intake().read()

    assert intake.folding.fates == {0: {"passed": 2, "n_late": 0, "rejected": 2}}
    assert intake.folding.unaccounted() == {0: 0}
    assert [headers["offset"] for headers in line.log.headers] == [b"1", b"3"]
    assert {headers["topic"] for headers in line.log.headers} == {b"orders"}


def test_no_message_is_larger_than_every_broker_takes():
    texts = (Random(n).randbytes(30_000).hex() for n in range(60))
    line = Line().send("ticket", *(ticket(at=f"10:{n:02}", customer_id="anna", text=text) for n, text in enumerate(texts)))
    line.intake("ticket").read()

    sizes = [len(record.value) for at in range(INTERNAL["people"]) for record in line.log.partitions["people", at]]
    assert max(sizes) <= MESSAGE_BYTES
    assert sum(sizes) > MESSAGE_BYTES
    assert len(rows(line, "people", "ticket")) == 60


def test_whoever_goes_on_from_a_checkpoint_marks_all_outputs_and_says_again_what_came_after_it():
    line = Line().send("order", order(at="10:00", order_id="1"))
    line.intake().read().keep()
    line.send("order", order(at="10:01", order_id="1"))
    line.log.flush()
    again = line.intake().read()

    epochs = [
        [batch.about.epoch for at, batch in said(line, "people") if at == each and batch.about.is_marker] for each in range(3)
    ]
    assert [len(of_partition) for of_partition in epochs] == [2, 2, 2]
    assert again.folding.fates == {0: {"passed": 2, "n_late": 0}}
    assert again.folding.positions() == {0: 1}


def types_said(line):
    """Type, time and partition of what is told of types."""
    found = rows(line, "people", TYPES)
    return sorted((f"{at:%d. %H:%M}", name, to) for name, at, to in found.select("event_type", "event_at", "at").rows())


def in_all(at, name):
    return [(at, name, to) for to in range(INTERNAL["people"])]


def test_a_type_that_a_site_sends_is_told_to_every_partition_of_people_once_a_day():
    line = Line().send("order", order(at="10:00", order_id="1"), order(at="10:01", order_id="2"))
    intake = line.intake().read()
    line.send("order", order(at="11:00", order_id="3"), order(at="+1d 12:00", order_id="4"))
    intake.read()

    assert types_said(line) == [*in_all("02. 10:00", "order_placed"), *in_all("03. 12:00", "order_placed")]
    assert rows(line, "commerce", TYPES).is_empty()


def test_an_earlier_event_of_a_day_is_told_again_and_so_is_everything_after_a_restart():
    line = Line().send("order", order(at="10:00", order_id="1"))
    intake = line.intake().read().keep()
    line.send("order", order(at="09:00", order_id="2"))
    intake.read()
    line.intake().read()

    twice = 2 * in_all("02. 09:00", "order_placed")
    assert types_said(line) == sorted([*twice, *in_all("02. 10:00", "order_placed")])


def test_types_are_told_before_the_time_that_makes_them_count():
    """So that no partition calls a wait lapsed for want of what another has seen."""
    line = Line().send("order", order(at="10:00", order_id="1"))
    line.intake().read()

    for to in range(INTERNAL["people"]):
        tables = [batch.about.table for at, batch in said(line, "people") if at == to and not batch.about.is_marker]
        assert tables[0] == TYPES
        assert tables[-1] == ""


def test_partitions_that_hold_nothing_themselves_judge_by_what_was_told():
    new = pl.DataFrame({"seen_key": 1, "partition": 0, "site": "shop", "event_type": "solved", "day": 20_000, "first_ms": 5}, schema=SEEN)  # fmt: skip
    sent = telling(new).with_columns(pl.lit(TYPES).alias("family")).drop("partition")
    everywhere = pl.concat([sent.with_columns(pl.lit(to, pl.Int32).alias("partition")) for to in (0, 1)])
    batch = heard("ticket", TYPES).to_frame().match_to_schema(heard("ticket", TYPES)).clear()
    batch = pl.concat([batch, everywhere], how="diagonal_relaxed")

    seen, _ = noticed(KeyedRows(SEEN, "seen_key"), awaited_types.told(batch))
    waits = pl.DataFrame({"partition": [0, 1, 1], "site": ["shop", "shop", "other"], "place": 2, "due_ms": [9, 9, 9]}, schema_overrides={"partition": pl.Int32, "place": pl.Int64})  # fmt: skip

    assert was_seen(seen.frame(), {1: ["opened"], 2: ["solved"]}, waits, 30).tolist() == [True, True, False]
