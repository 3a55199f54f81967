"""The promises of every signal, whichever it is."""

import ast
import inspect
import pkgutil
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import pipeline.signals
from pipeline.definitions import BASE, DEFAULT, AnySignal, Fires, Quiet
from pipeline.events import event_schema
from pipeline.frames import WATERMARKS
from pipeline.friction import WEIGHTS
from pipeline.signal_engine import LOOKED_BACK_AT, fired, judged, keep, sifted
from pipeline.signal_window import narrow, whole
from pipeline.signals import SIGNALS
from schemas.contracts import event_types
from tests import strategies as _profile  # noqa: F401 - loads the profile of Hypothesis
from tests.own_signals import OWN
from tests.signal_frames import SAID, WHICH, Row, at_ms, in_order, rows_of, window_of
from tests.signal_oracle import LOOPS, ms, signals_of

RULES = [
    pytest.param(signal.with_profile(name), id=f"{signal.name}-{name}")
    for signal in SIGNALS
    for name in (DEFAULT, *signal.profiles)
] + [pytest.param(signal, id=f"own-{signal.name}") for signal in OWN]
EXAMPLES = [
    pytest.param(signal, example, id=f"{signal.name}: {example.title}")
    for signal in (*SIGNALS, *OWN)
    for example in signal.examples
]
LOOKING_BACK = [rule for rule in RULES if rule.values[0].closing is None]
"""The others are judged when a session closes: what holds of them is held by the properties of the fold."""
EACH = [pytest.param(signal, id=signal.name) for signal in SIGNALS]
MODULES = [module.name for module in pkgutil.iter_modules(pipeline.signals.__path__)]

MS = timedelta(milliseconds=1)
KEPT = pl.Schema({**LOOKED_BACK_AT, **WHICH})
"""What state keeps of an event, and which event it is."""
HORIZON = timedelta(seconds=90)
"""How far behind the watermark an event may come here."""


# What the examples say


@pytest.mark.parametrize(("signal", "example"), EXAMPLES)
def test_it_fires_where_its_examples_say_and_nowhere_else(signal, example):
    events = rows_of(example.events)
    found = fired(window_of(events), [signal.with_profile(example.profile)])

    expected = [events[place]["event_id"] for place in example.at] if isinstance(example, Fires) else []
    assert sorted(found["event_id"]) == sorted(expected)


@pytest.mark.parametrize("signal", RULES)
def test_every_rule_has_an_example_that_fires_and_one_that_stays_quiet(signal):
    kinds = {type(example) for example in signal.examples if example.profile == signal.profile}

    assert kinds == {Fires, Quiet}


# What holds of any events


def lives(signal: AnySignal, *, most: int = 10) -> st.SearchStrategy[list[Row]]:
    """What one or two visitors do, made of what the signal's examples are made of: on and around their pauses, with nulls."""
    happenings = [event for example in signal.examples for event in example.events]
    columns = (*signal.columns, *signal.sifts, "page")
    values = {name: [None, *{repr(event.get(name)): event.get(name) for event in happenings}.values()] for name in columns}
    edges = {signal.look_back // MS, signal.look_back // MS // 2}
    edges |= {abs(at_ms(later) - at_ms(event)) for example in signal.examples for event, later in pairwise(example.events)}
    edges |= {number for number in vars(signal.rule).values() if isinstance(number, int) and not isinstance(number, bool)}
    pauses = sorted({max(0, edge + by) for edge in edges for by in (-1, 0, 1)} | {0, 1, 50})

    @st.composite
    def life(draw: st.DrawFn) -> list[Row]:
        pool = draw(st.lists(st.sampled_from(happenings), min_size=1, max_size=3))
        paces = draw(st.lists(st.sampled_from(pauses), min_size=1, max_size=3))
        changed = st.dictionaries(st.sampled_from(columns), st.integers(0, 9), max_size=1)
        events, at = [], 0
        for place in range(draw(st.integers(1, most))):
            at += draw(st.sampled_from(paces))
            said = {name: values[name][which % len(values[name])] for name, which in draw(changed).items()}
            whose = {"visitor_id": draw(st.sampled_from(["ann", "ann", "ann", "bob"])), "event_id": f"e{place}"}
            events.append({**draw(st.sampled_from(pool)), "at_ms": at, **said, **whose})
        return rows_of(events)

    return life()


def verdicts(found: pl.DataFrame) -> pl.DataFrame:
    """What was said, in an order of its own."""
    said = found.select("event_id", "event_ms", "page", "element", "value", "rule", "detail", "weight", "signal", "visitor_id")
    return said.sort("signal", "visitor_id", "event_ms", "event_id")


def streamed(batches: Iterable[Sequence[Row]], signals: Sequence[AnySignal], *, reached: Iterable[datetime]) -> pl.DataFrame:
    """What is said after all batches, with no more kept than is needed; `reached`: the watermark after each batch."""
    kept, said = KEPT.to_frame(), SAID.to_frame()
    for batch, watermark in zip(batches, reached, strict=True):
        fresh = sifted(window_of(batch), signals)
        found = judged(kept, fresh, signals)
        said = pl.concat([found.settled(said), found.fired])
        watermarks = pl.DataFrame({"partition": [0], "watermark": [watermark]}, schema=WATERMARKS)
        kept = keep(pl.concat([kept, fresh.select(KEPT.names())]), watermarks, signals, HORIZON)
        kept = whole(narrow(kept), KEPT)  # as state keeps it
    return said


def cut(events: Sequence[Row], places: Iterable[int]) -> list[Sequence[Row]]:
    """The events in pieces."""
    edges = [0, *sorted({place for place in places if 0 < place < len(events)}), len(events)]
    return [events[begin:end] for begin, end in pairwise(edges)]


@pytest.mark.parametrize("signal", RULES)
@given(data=st.data())
def test_it_says_what_a_plain_loop_says(signal, data):
    events = in_order(data.draw(lives(signal)))
    found = fired(window_of(events), [signal])

    expected = signals_of(events, [signal])
    by_id = {row["event_id"]: row for row in found.to_dicts()}
    assert len(by_id) == found.height
    assert {told.event_id for told in expected} == set(by_id)
    for told in expected:
        row = by_id[told.event_id]
        assert vars(told) == {name: row[name] for name in vars(told)}


@pytest.mark.parametrize("signal", LOOKING_BACK)
@given(data=st.data())
def test_no_order_of_arrival_and_no_cut_changes_what_it_says(signal, data):
    """Every event comes when the watermark is at most the horizon ahead of it: late ones too."""
    events = data.draw(lives(signal))
    delays = data.draw(st.lists(st.sampled_from([0, 1, 400, 5_000, 60_000, 90_000]), min_size=len(events), max_size=len(events)))
    arrived = sorted(zip(events, delays, strict=True), key=lambda each: ms(each[0]) + each[1])
    arriving = [event for event, _ in arrived]
    pieces = cut(arriving, data.draw(st.one_of(st.just(range(len(events))), st.sets(st.integers(1, len(events))))))
    # The watermark is as far as it can be without an event of a later piece being too late.
    reached = []
    for number in range(len(pieces)):
        later = [event["event_at"] for piece in pieces[number + 1 :] for event in piece]
        here = max(event["event_at"] for piece in pieces[: number + 1] for event in piece)
        reached.append(min([here + timedelta(days=1), *(at + HORIZON for at in later)]))

    said = streamed(pieces, [signal], reached=reached)

    assert_frame_equal(verdicts(said), verdicts(fired(window_of(events), [signal])))


@pytest.mark.parametrize("signal", RULES)
@given(data=st.data())
def test_other_visitors_change_nothing(signal, data):
    events = data.draw(lives(signal))
    mine = [event for event in events if event["visitor_id"] == "ann"]
    shuffled = data.draw(st.permutations(events))

    found = fired(window_of(shuffled), [signal]).filter(pl.col("visitor_id") == "ann")

    assert_frame_equal(verdicts(found), verdicts(fired(window_of(mine), [signal])))


@pytest.mark.parametrize("signal", LOOKING_BACK)
@given(data=st.data())
def test_it_depends_on_nothing_beyond_its_look_back(signal, data):
    """With less than a look-back before an event, and nothing after it, the verdict on it is the same."""
    events = in_order(event for event in data.draw(lives(signal, most=8)) if event["visitor_id"] == "ann")
    found = set(fired(window_of(events), [signal])["event_id"])
    for place, event in enumerate(events):
        seen = [each for each in events[: place + 1] if each["event_at"] >= event["event_at"] - signal.look_back]
        says = event["event_id"] in set(fired(window_of(seen), [signal])["event_id"])
        assert says == (event["event_id"] in found)


@pytest.mark.parametrize("signal", RULES)
def test_it_leaves_its_input_alone(signal):
    events = window_of(rows_of(event for example in signal.examples for event in example.events))
    before = events.clone()
    fired(events, [signal])
    fresh = sifted(events.tail(-3), [signal])
    judged(sifted(events.head(3), [signal]).select(KEPT.names()), fresh, [signal])

    assert_frame_equal(events, before)


@pytest.mark.parametrize(("signal", "example"), EXAMPLES)
def test_nulls_and_no_events_do_it_no_harm(signal, example):
    signal = signal.with_profile(example.profile)
    events = rows_of(example.events)
    for name in (*signal.columns, *signal.sifts, "page"):
        without = [{**event, name: None} for event in events]
        expected = [told.event_id for told in signals_of(in_order(without), [signal])]
        assert sorted(fired(window_of(without), [signal])["event_id"]) == sorted(expected)

    assert fired(window_of([]), [signal]).schema == SAID


@pytest.mark.parametrize("signal", EACH)
def test_sites_and_partitions_are_kept_apart(signal):
    example = next(example for example in signal.examples if isinstance(example, Fires) and example.profile == DEFAULT)
    n = len(example.events)
    there = [{**event, "site": "outlet", "event_id": f"o{place}"} for place, event in enumerate(rows_of(example.events))]
    elsewhere = [{**event, "partition": 3, "event_id": f"p{place}"} for place, event in enumerate(rows_of(example.events))]
    alone = fired(window_of(rows_of(example.events)), [signal])

    assert n
    assert fired(window_of([*rows_of(example.events), *there, *elsewhere]), [signal]).height == 3 * alone.height


# What is written about it


def test_names_are_unique_and_every_module_is_listed():
    names = [signal.name for signal in SIGNALS]

    assert len(set(names)) == len(names)
    assert sorted(names) == sorted(MODULES)


def test_the_table_of_weights_has_every_signal_and_nothing_else():
    assert sorted(WEIGHTS) == sorted(signal.name for signal in SIGNALS)
    assert all(0 < weight <= 100 for weight in WEIGHTS.values())


@pytest.mark.parametrize("signal", EACH)
def test_it_is_documented(signal):
    module = inspect.getmodule(type(signal.rule))

    assert module is not None
    assert module.__name__ == f"pipeline.signals.{signal.name}"
    assert getattr(module, signal.name.upper()) is signal
    for text in (module.__doc__, type(signal.rule).__doc__, signal.meaning, signal.measures, signal.source):
        assert text
    assert len(signal.source) > 80, "says where its numbers come from"
    assert undocumented(type(signal.rule)) == []
    assert signal.version >= 1
    assert len({example.title for example in signal.examples}) == len(signal.examples)


def undocumented(rule: type[Any]) -> list[str]:
    """Fields of a rule that no docstring follows."""
    body = ast.parse(inspect.getsource(rule)).body[0].body
    followed = zip(body, [*body[1:], None], strict=True)
    return [
        statement.target.id
        for statement, following in followed
        if isinstance(statement, ast.AnnAssign)
        and not (
            isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) and isinstance(following.value.value, str)
        )
    ]


@pytest.mark.parametrize("signal", EACH)
def test_it_reads_what_the_contract_has(signal):
    assert set(signal.reads) <= set(event_types("clickstream"))
    assert set(signal.columns) | set(signal.sifts) <= set(event_schema("clickstream"))
    assert not set(signal.columns) & set(signal.sifts)
    assert set(signal.told_by) <= set(signal.columns)
    assert all(set(types) <= set(signal.reads) for types in signal.told_by.values())
    assert set(signal.evidence) <= {*signal.columns, *BASE}


@pytest.mark.parametrize("signal", RULES)
def test_its_rule_is_a_value(signal):
    assert hash(signal) == hash(signal.with_profile(signal.profile))
    assert signal.look_back >= timedelta(0)
    with pytest.raises(AttributeError):
        signal.rule.anything = 1


def test_every_signal_has_a_loop():
    assert sorted(LOOPS) == sorted(signal.name for signal in SIGNALS)
