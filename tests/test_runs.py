from confluent_kafka import Message
from faust.types import TP

from agents.runs import Run

CLICKS = TP("clicks", 2)


def message(offset: int, value: bytes | None = b"value", key: bytes | None = None) -> Message:
    return Message(topic="clicks", partition=2, offset=offset, value=value, key=key, timestamp=(1, 1_000 + offset))


def run(*messages: Message, after: int = -1) -> Run:
    made = Run(after=after, seeks=3)
    made.add(list(messages))
    return made


def test_a_run_says_what_it_covers():
    """Offsets may have gaps: what is missing there does not exist."""
    made = run(message(7), message(9), after=4)

    assert (made.after, made.last, made.tp, made.seeks) == (4, 9, CLICKS, 3)
    assert made.offsets() == [7, 9]


def test_a_run_gives_its_columns():
    made = run(message(0, b"a", b"k"), message(1, None, b""), message(2, b"", None))

    assert made.values() == [b"a", None, b""]
    assert made.keys() == [b"k", b"", None]
    assert made.record_times_ms() == [1_000, 1_001, 1_002]


def test_the_size_of_a_run_is_that_of_its_values():
    made = run(message(0, b"abc", b"a key"), message(1, None), message(2, b""))
    made.add([message(3, b"de")])

    assert made.size == 5


def test_a_run_that_was_fetched_next_joins_on():
    made = run(message(5), message(6), after=4)
    made.join(run(message(7, b"four"), after=6))

    assert (made.after, made.last, made.size) == (4, 7, 14)
    assert made.offsets() == [5, 6, 7]
