"""What is told of a stage that only sends on, and of the one behind it."""

from types import SimpleNamespace

from agents.metrics_page import WorkerMetrics
from tests.builders import order
from tests.intake_line import INTERNAL, Line


def records(**folds):
    """(stage, topic, fate) -> records told."""
    worker = SimpleNamespace(
        folds={name: stand.folding for name, stand in folds.items()},
        shells={},
        sink=None,
        alerting=None,
        has_begun=False,
        group=None,
    )
    found = {}
    for family in WorkerMetrics(worker, None, "ebbtide").collect():
        for sample in family.samples if family.name == "ebbtide_records" else ():
            place = tuple(sample.labels[name] for name in ("stage", "topic", "fate"))
            found[place] = found.get(place, 0) + sample.value
    return {place: n for place, n in found.items() if n}


def test_records_that_are_sent_on_are_told_as_such_so_that_shares_of_a_topic_are_right():
    """An alert asks which share of a topic's records cannot be used."""
    line = Line().send("order", order(at="10:00", order_id="1"), b"rubbish", *[order(at="10:01", order_id="2", event_id="o2")] * 2)
    intake, fold = line.intake().read(), line.fold()
    for partition in range(INTERNAL["commerce"]):
        fold.read(partition)

    assert records(intake=intake, fulfilment=fold) == {
        ("intake", "orders", "passed"): 3,
        ("intake", "orders", "rejected"): 1,
        ("fulfilment", "commerce", "applied"): 2,
        ("fulfilment", "commerce", "duplicate"): 1,
    }
