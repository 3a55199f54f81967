import threading

from confluent_kafka import Message
from faust.types import TP

from agents.arrivals import Arrivals
from agents.runs import Run

CLICKS, ORDERS = TP("clicks", 0), TP("orders", 0)


def run(tp: TP, first: int, n: int = 1, size: int = 10) -> Run:
    made = Run(after=first - 1, seeks=0)
    made.add([Message(topic=tp.topic, partition=tp.partition, offset=first + at, value=b"v" * size) for at in range(n)])
    return made


def test_what_arrives_before_it_is_taken_is_one_run():
    arrivals = Arrivals()
    arrivals.put({CLICKS: run(CLICKS, 0, 2), ORDERS: run(ORDERS, 0)})
    arrivals.put({CLICKS: run(CLICKS, 2, 3)})

    taken = arrivals.take({CLICKS, ORDERS})

    assert taken[CLICKS].offsets() == [0, 1, 2, 3, 4]
    assert (taken[CLICKS].after, taken[CLICKS].size) == (-1, 50)
    assert taken[ORDERS].offsets() == [0]
    assert arrivals.take({CLICKS, ORDERS}) == {}


def test_what_was_not_wanted_stays():
    arrivals = Arrivals()
    arrivals.put({CLICKS: run(CLICKS, 0), ORDERS: run(ORDERS, 0)})

    assert list(arrivals.take([ORDERS])) == [ORDERS]
    assert list(arrivals.take([ORDERS])) == []
    assert list(arrivals.take([CLICKS])) == [CLICKS]


def test_what_was_forgotten_is_never_taken_and_the_next_run_stands_for_itself():
    arrivals = Arrivals()
    arrivals.put({CLICKS: run(CLICKS, 50), ORDERS: run(ORDERS, 0)})
    arrivals.forget([CLICKS, TP("unheard-of", 1)])
    arrivals.put({CLICKS: run(CLICKS, 7)})

    assert arrivals.take([CLICKS])[CLICKS].offsets() == [7]
    assert list(arrivals.take([ORDERS])) == [ORDERS]


def test_a_share_is_counted_in_bytes_of_values_that_wait():
    arrivals = Arrivals()
    arrivals.put({CLICKS: run(CLICKS, 0, 10), ORDERS: run(ORDERS, 0, 11)})

    assert arrivals.larger_than(100) == {ORDERS}
    arrivals.take([ORDERS])
    assert arrivals.larger_than(0) == {CLICKS}


def test_room_is_told_when_something_was_taken_and_only_then():
    arrivals = Arrivals()
    arrivals.take([CLICKS])
    assert not arrivals.taken.is_set()

    arrivals.put({CLICKS: run(CLICKS, 0)})
    arrivals.take([ORDERS])
    assert not arrivals.taken.is_set()

    arrivals.take([CLICKS])
    assert arrivals.taken.is_set()


def test_nothing_is_lost_or_doubled_between_two_threads():
    arrivals, n = Arrivals(), 3_000
    taken: list[int] = []

    def put() -> None:
        for offset in range(n):
            arrivals.put({CLICKS: run(CLICKS, offset)})

    putting = threading.Thread(target=put)
    putting.start()
    while putting.is_alive() or arrivals.larger_than(0):
        for found in arrivals.take([CLICKS]).values():
            assert found.after == (taken[-1] if taken else -1)
            taken += found.offsets()
    putting.join()

    assert taken == list(range(n))
