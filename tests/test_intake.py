"""Orders, deliveries and tickets on their way in: keyed, sent on, and how far time has come told with them."""

from datetime import timedelta
from random import Random

import polars as pl
import pytest

from agents.arrow_batches import Batch
from agents.passing import TELL_AGAIN_S
from agents.topics import MESSAGE_BYTES
from pipeline.intake import IntakeFold
from pipeline.keys import partitions
from pipeline.passed import LINK, ORIGIN, travelling
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


def test_a_ticket_goes_to_its_person_only():
    line = Line().send("ticket", ticket(customer_id="anna", order_id="1", text="where is it"))
    line.intake("ticket").read()

    assert rows(line, "people", "ticket").select("key", "text").rows() == [("customer:anna", "where is it")]
    assert sorted(rows(line, "people", LINK)["key"]) == ["order:1", "ticket:T1"]
    assert said(line, "commerce") == []


@pytest.mark.parametrize("family", ["order", "delivery", "ticket"])
def test_rows_have_the_columns_that_are_agreed_on(family):
    fold = IntakeFold(family, "topic")
    events = frame([happened("some", "10:00", {}, {"order_id": "1", "delivery_id": "2"} if family != "ticket" else {})], family)

    passed = fold.step(fold.empty(), events, watermarks({0: None})).passed

    assert {each.table for each in passed} == {family, LINK}
    for each in passed:
        assert {name: each.rows.schema[name] for name in travelling(each.table)} == dict(travelling(each.table))


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
