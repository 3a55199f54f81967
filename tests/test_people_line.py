"""Orders and tickets through intake, the fold by order and the one by person, with every stage restarted now and then: the views are as if none had been."""

from dataclasses import replace
from random import Random

import polars as pl
import pytest

from agents.arrow_batches import Batch
from agents.batch_decoding import batch_decoder
from agents.hearing import Hearing
from agents.stages import Stage
from pipeline.about import Source
from pipeline.expectations import EXPECTATIONS
from pipeline.facts import UNSTORED
from pipeline.frames import TABLES
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journeys import JourneysFold
from pipeline.passed import LINK, PEOPLE, TYPES
from pipeline.person_log import FACTS
from tests import intake_line
from tests.builders import happened
from tests.intake_line import INTERNAL, TOPICS, Line, Stand

CASES = FulfilmentFold(FulfilmentRules(expectations=tuple(replace(each, enabled="on") for each in EXPECTATIONS), tells_people=True))
END = "+60d 10:00"


def order(event_type, at, **fields):
    return happened(event_type, at, fields, {})


def said(event_type, at, **fields):
    return happened(event_type, at, fields, {"ticket_id": "T"})


LOG = (
    ("order", order("order_placed", at="10:00", order_id="1", visitor_id="v", cart_id="k")),
    ("order", order("payment_authorized", at="10:01", order_id="1")),
    ("ticket", said("customer_message", "+2d 09:00")),
    ("ticket", said("agent_reply", "+2d 12:00", order_id="1")),
    ("order", order("order_placed", at="+3d 10:00", order_id="2", visitor_id="v", customer_id="anna")),
    ("ticket", said("ticket_opened", "+4d 10:00", ticket_id="U", customer_id="bert", order_id="3")),
    ("order", order("order_placed", at="+4d 10:30", order_id="3", customer_id="bert")),
    ("ticket", said("csat_answered", "+5d 10:00", ticket_id="U", score=2)),
    ("order", order("order_confirmed", at="+5d 11:00", order_id="1")),
    ("ticket", said("nps_answered", "+6d 10:00", ticket_id=None, order_id="2", score=9)),
    ("order", order("payment_failed", at="+6d 11:00", order_id="2")),
    ("ticket", said("solved", "+6d 12:00")),
    ("order", order("order_changed", at=END, order_id="9", site="elsewhere")),
    ("ticket", said("assigned", END, ticket_id="9", site="elsewhere")),
)


class Shop:
    """Four stages on one log; each is made anew from its last checkpoint when it is restarted."""

    def __init__(self):
        self.line, self.stands = Line(), {}
        sources = {
            "fulfilment": [Source("intake-order", TOPICS["order"], 0)],
            "journeys": [
                Source("intake-order", TOPICS["order"], 0),
                Source("intake-ticket", TOPICS["ticket"], 0),
                Source("fulfilment", "commerce", 0),
            ],
        }
        stages = (
            Stage("fulfilment", "commerce", CASES, batch_decoder("order", "delivery", LINK), outputs={PEOPLE: "people"}),
            Stage("journeys", "people", JourneysFold(), batch_decoder("ticket", LINK, TYPES, *FACTS), outputs={PEOPLE: "people"}),
        )
        self.make = {family: (lambda family=family: self.line.intake(family)) for family in ("order", "ticket")}
        for stage in stages:
            self.make[stage.name] = lambda stage=stage: Stand(
                self.line.log, stage, range(INTERNAL[stage.topic]), hearing=Hearing(frozenset(sources[stage.name]))
            )
        for name in self.make:
            self.restart(name)

    def restart(self, name):
        self.stands[name] = self.make[name]()

    def read(self, name, up_to=None):
        for partition in range(INTERNAL[self.stands[name].stage.topic] if name not in TOPICS else 1):
            self.stands[name].read(partition, up_to)

    def view(self):
        """The newest row of every id, without what is deleted, counts of nothing, and what happened elsewhere."""
        rows = {}
        for record in self.line.log.partitions["rows", 0]:
            batch = Batch(record.value)
            if batch.about.table and batch.about.table not in UNSTORED:
                rows.setdefault(batch.about.table, []).append(pl.DataFrame(pl.from_arrow(batch.rows())))
        newest = {
            name: pl.concat(said)
            .sort("version", maintain_order=True)
            .unique(list(TABLES[name].key), keep="last", maintain_order=True)
            for name, said in rows.items()
        }
        shown = {name: said.filter(pl.col("is_deleted") == 0, pl.col("site") != "elsewhere") for name, said in newest.items()}
        shown["rollups"] = shown["rollups"].filter(pl.col("n") != 0)
        return {name: said.drop("version").sort(TABLES[name].key).to_dicts() for name, said in shown.items()}


@pytest.fixture(autouse=True)
def _one_partition_of_orders(monkeypatch):
    monkeypatch.setitem(intake_line.INTERNAL, "commerce", 1)


def told(seed=None):
    """The views after the log; with a seed, stages take a few messages at a time, and are restarted."""
    shop, rng = Shop(), Random(seed)
    for family, event in LOG:
        shop.line.send(family, event)
        for name in shop.stands if seed is not None else ():
            if rng.random() < 0.6:
                shop.read(name, rng.choice((1, 2, None)))
            if rng.random() < 0.3:
                shop.stands[name].keep()
            if rng.random() < 0.25:
                shop.restart(name)
    for _ in range(6):
        for name in shop.stands:
            shop.read(name)
    return shop.view()


@pytest.fixture(scope="module")
def undisturbed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(intake_line.INTERNAL, "commerce", 1)
        return told()


@pytest.mark.parametrize("seed", range(3))
def test_restarts_change_nothing_of_what_is_told_of_people(seed, undisturbed):
    assert told(seed) == undisturbed


def test_the_story_has_something_to_lose(undisturbed):
    assert [(row["ticket_id"], row["customer_id"]) for row in undisturbed["contacts"]] == [("T", "anna"), ("U", "bert")]
    assert {row["customer_id"] for row in undisturbed["answers"]} == {"anna", "bert"}
    found = {(row["expectation"], row["customer_id"], row["status"]) for row in undisturbed["outcomes"]}
    assert found >= {("confirmation_after_payment", "anna", "recovered"), ("retry_after_payment_failure", "anna", "silent")}
