"""Dead letters as ClickHouse has them: found, read with their bytes, sorted out, and marked."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from typer.testing import CliRunner

from agents import letter_store
from agents.cli import main
from agents.cli_dead_letters import _text
from agents.letter_look import hex_dump
from agents.letter_replay import BEFORE, CUT, ELSEWHERE, Forecast, Plan
from agents.letter_store import LetterStore, Wanted
from agents.topics import Cluster
from sinks.failures import ReadRefused
from tests.stores import rows_of

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
CLUSTER = Cluster("here", {"clicks": 2, "other": 1})


def letter(offset, **fields):
    known = {"site": "", "cluster_id": "here", "topic": "clicks", "partition": 0, "offset": offset, "row": 0, "received_at": AT}
    said = {"family": "clickstream", "stage": "sessions", "reason": "undecodable", "detail": "no frame", "payload": b"\xff\0'\\"}
    return {**known, **said, **fields}


@pytest.fixture
def written(store):
    """Put letters into the table, and open it as the command does."""
    opened = []

    def write(*letters):
        with store.open() as client:
            client.write("dead_letters", rows_of("dead_letters", *letters, version=7), token="once")
        opened.append(LetterStore(store.dsn, store.database))
        return opened[-1]

    yield write
    for each in opened:
        each.__exit__()


def offsets(store, wanted):
    return store.places(wanted)["offset"].to_list()


def test_they_are_found_by_reason_topic_and_time(written):
    store = written(
        letter(1),
        letter(2, reason="it's late", topic="o'ther"),
        letter(3, received_at=AT - timedelta(days=1)),
    )

    assert offsets(store, Wanted()) == [1, 3, 2]
    assert offsets(store, Wanted(reason="it's late")) == [2]
    assert offsets(store, Wanted(topic="o'ther")) == [2]
    assert offsets(store, Wanted(topic="' OR 1 = 1 --")) == []
    assert offsets(store, Wanted(since=AT)) == [1, 2]
    assert store.counts(Wanted()).select("reason", "topic", "n").rows() == [
        ("undecodable", "clicks", 2),
        ("it's late", "o'ther", 1),
    ]
    assert store.newest(Wanted(topic="clicks"), 1)["offset"].to_list() == [1]


def test_bytes_and_key_come_back_as_they_were(written):
    store = written(letter(1, payload=bytes(range(256)), key="0xff00"), letter(2, payload=b""))

    first, second = chain.from_iterable(store.chunks(store.places(Wanted())))

    assert (first.payload, first.key_bytes) == (bytes(range(256)), b"\xff\0")
    assert (second.payload, second.key_bytes) == (b"", None)
    assert first == store.at("clicks", 0, 1)[0]
    assert store.at("clicks", 1, 1) == []


def test_a_few_are_read_at_a_time_and_of_one_partition(written, monkeypatch):
    monkeypatch.setattr(letter_store, "CHUNK_LETTERS", 3)
    monkeypatch.setattr(letter_store, "CHUNK_BYTES", 100)
    store = written(
        *(letter(offset) for offset in range(4)),
        letter(4, payload=b"x" * 500),
        letter(5),
        letter(0, partition=1),
        letter(0, topic="other"),
    )

    chunks = [[each.offset for each in chunk] for chunk in store.chunks(store.places(Wanted()))]

    assert chunks == [[0, 1, 2], [3], [4], [5], [0], [0]]


def test_a_mark_changes_nothing_else_and_is_there_at_once(written):
    store = written(letter(1), letter(2), letter(1, partition=1))
    (chunk, _) = store.chunks(store.places(Wanted()))

    store.mark(chunk[:1], AT + timedelta(hours=1))

    found = {(each.partition, each.offset): each for each in chain.from_iterable(store.chunks(store.places(Wanted())))}
    assert {place: each.replayed_at for place, each in found.items()} == {
        (0, 1): AT + timedelta(hours=1),
        (0, 2): None,
        (1, 1): None,
    }
    assert vars(found[0, 1]) == {**vars(chunk[0]), "replayed_at": AT + timedelta(hours=1)}
    assert store.counts(Wanted())["n_replayed"].item() == 1


def test_only_what_lay_on_this_broker_whole_and_was_not_sent_before_is_sent(written):
    store = written(
        letter(1),
        letter(2, cluster_id="there"),
        letter(3, topic="clicks.csv"),
        letter(4, partition=2),
        letter(5, stage="sinks"),
        letter(6, detail="too long [the first MiB of 2000000 bytes]"),
        letter(7, replayed_at=AT),
    )
    found = store.places(Wanted())

    plan, insistent = Plan.of(found, CLUSTER, again=False), Plan.of(found, CLUSTER, again=True)

    assert plan.places["offset"].to_list() == [1]
    assert plan.left_out == {ELSEWHERE: 4, CUT: 1, BEFORE: 1}
    assert insistent.places["offset"].to_list() == [1, 7]
    assert BEFORE not in insistent.left_out


def test_nothing_found_is_nothing_planned(written):
    plan = Plan.of(written(letter(1)).places(Wanted(reason="none")), CLUSTER, again=False)

    assert plan.places.is_empty()
    assert plan.left_out == {}
    assert Forecast().told(timedelta(hours=1)) == []


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ReadRefused, match="there is no embedded store in"):
        LetterStore(f"chdb://{tmp_path / 'none'}", "ebbtide")


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed():
    assert _text("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\x0ac\\x202e"
    assert _text("Grüße, 客户") == "Grüße, 客户"


def test_bytes_are_shown_in_hex_and_as_text():
    first, second, rest = hex_dump(b"\0" + b"rubbish!" * 3, 20).splitlines()

    assert first == "00000000  00 72 75 62 62 69 73 68 21 72 75 62 62 69 73 68  .rubbish!rubbish"
    assert second.startswith("00000010  21 72 75 62 ")
    assert rest == "... 5 bytes more; --json has them all"


@pytest.mark.parametrize(
    "arguments", [("show", "clicks/1"), ("show", "clicks/a/1"), ("list", "--since", "yesterday"), ("replay", "--since", "0h")]
)
def test_a_wrong_command_line_is_exit_code_2(arguments):
    assert CliRunner().invoke(main, ["dead-letters", *arguments]).exit_code == 2
