"""What others subscribe to: contracts that are the tables, records that are the rows, and keys by which the newest counts."""

import io
import json
from datetime import UTC, datetime

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dead_letter_topic import LetterBox
from agents.folding import Folding
from agents.manifests import Standing
from agents.outputs import Outputs
from agents.published_contracts import path, text
from agents.publishing import Publishing, SchemaIds
from agents.quiet_time import QuietTime
from agents.registry import ContractRefused, LocalRegistry, RegistryUnavailable
from agents.runs import Run
from agents.stages import Stage
from pipeline.frames import ALERTS
from pipeline.published import COMPACTED, TABLES, contract, records
from pipeline.risk_tables import AT_RISK
from schemas.contracts import PUBLISHED, examples, local_registry, schema
from tests.counting import CountingFold, decode
from tests.memory_log import MemoryLog
from tests.shell_bench import NOON_MS, with_clicks
from tests.wire import datum, event_of, framed

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EXAMPLES = [pytest.param(table, name, id=f"{table}-{name}") for table in PUBLISHED for name in examples(table, valid=True)]


def at_risk(*rows):
    return AT_RISK.conform(pl.DataFrame([{"site": "shop", "kind": "session", "partition": 0, **row} for row in rows]))


def read(value, table):
    assert value[:1] == b"\0"
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(dict(schema(table))), None)


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_contract_is_what_its_table_is(table):
    """If the table has changed on purpose: `python -m agents.published_contracts`, or the next version if this one was released."""
    assert path(table).read_text() == text(contract(TABLES[table]))
    fastavro.parse_schema(dict(schema(table)))


def test_every_published_table_has_a_contract_and_an_id():
    assert tuple(TABLES) == PUBLISHED
    assert {table for table, _ in local_registry().values()} >= set(PUBLISHED)
    assert set(PUBLISHED) >= COMPACTED


def test_a_reader_of_an_older_record_finds_a_default_for_all_but_the_id():
    for table in PUBLISHED:
        fields = schema(table)["fields"]
        assert {field["name"] for field in fields if "default" not in field} == {*TABLES[table].key, "version"}


@pytest.mark.parametrize(("table", "name"), EXAMPLES)
def test_an_example_is_a_record_that_is_read_with_its_defaults(table, name):
    said = event_of(examples(table, valid=True)[name], table)
    found = read(framed(1, datum(said, schema(table))), table)

    assert {column: value for column, value in found.items() if column in said} == said
    assert set(found) == {*TABLES[table].schema, "version"}


words = st.text(st.characters(codec="utf-8"), max_size=70)
lists = st.none() | st.lists(words | st.just("ü" * 5_000), max_size=4) | st.just(["x"] * 70)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, lists, st.none() | st.floats(0, 1)), min_size=1, max_size=6))
def test_records_are_the_bytes_that_fastavro_writes(said):
    rows = at_risk(*({"entity_id": name, "reasons": reasons, "risk": risk, "would_lapse_at": NOON} for name, reasons, risk in said))

    found = records(rows, "at_risk", 7, 8, 4)

    as_rows = rows.drop("partition").with_columns(version=pl.lit(7)).to_dicts()
    assert found.values == [framed(8, datum(row, schema("at_risk"))) for row in as_rows]


def test_a_key_is_the_id_and_says_the_partition():
    rows = at_risk(*({"entity_id": f'v{n % 10}/s"1'} for n in range(20)))

    found = records(rows, "at_risk", 1, 8, 4)

    assert json.loads(found.keys[3]) == {"site": "shop", "kind": "session", "entity_id": 'v3/s"1'}
    assert found.keys[:10] == found.keys[10:]
    assert list(found.partitions[:10]) == list(found.partitions[10:])
    assert set(found.partitions) == {0, 1, 2, 3}


# On their topics ------------------------------------------------------------------------------------------------------------


def published(rows, table, outputs=None):
    log = MemoryLog()
    Publishing(log, {table: (f"p.{table}", 1)} if outputs is None else outputs, LocalRegistry().schema_id).say(table, rows, 42)
    log.flush()
    return log.partitions[f"p.{table}", 0]


def test_what_is_over_is_said_and_then_need_not_be_kept():
    gone = {"entity_id": "gone", "is_deleted": 1}
    told = published(at_risk({"entity_id": "open"}, {"entity_id": "over", "is_over": 1}, gone), "at_risk")

    assert [json.loads(record.key)["entity_id"] for record in told] == ["open", "over", "over", "gone", "gone"]
    assert [record.value is None for record in told] == [False, False, True, False, True]
    assert [read(record.value, "at_risk")["version"] for record in told if record.value] == [42, 42, 42]
    assert read(told[3].value, "at_risk")["is_deleted"] == 1


def test_what_is_not_compacted_has_no_tombstones():
    table = TABLES["signals"]
    rows = table.conform(pl.DataFrame({"site": ["shop"], "signal_id": ["a"], "is_deleted": [1], "partition": [0]}))

    assert [record.value is None for record in published(rows, "signals")] == [False]


def test_a_table_that_nobody_asked_for_is_not_published():
    assert published(at_risk({"entity_id": "v"}), "at_risk", outputs={}) == []


class Alarming(CountingFold):
    """Says an alert for every visitor."""

    def step(self, state, batch, watermarks):
        done = super().step(state, batch, watermarks)
        rows = done.tables["sessions"].select("site", "partition", pl.col("visitor_id").alias("alert_id"))
        done.tables["alerts"] = ALERTS.conform(rows)
        return done


def test_what_a_fold_says_is_published_beside_its_rows_with_their_version():
    log = with_clicks("ann", "bob")
    outputs = Outputs("rows", 1, log, LetterBox("letters", 1), {}, {"alerts": ("p.alerts", 1)}, LocalRegistry().schema_id)
    folding = Folding(Stage("counts", "clicks", Alarming(), decode), log, outputs, cluster_id="cluster", quiet=QuietTime(speed=1.0))
    folding.restore(0, Standing(position=-1), {})
    from confluent_kafka import Message

    run = Run(after=-1, seeks=0)
    run.add(
        [
            Message(topic="clicks", partition=0, offset=at, key=b"k", value=record.value, timestamp=(1, NOON_MS))
            for at, record in enumerate(log.partitions["clicks", 0])
        ]
    )
    folding.prepare([run])
    folding.step([run], {})
    log.flush()

    told = [read(record.value, "alerts") for record in log.partitions["p.alerts", 0]]
    assert sorted(row["alert_id"] for row in told) == ["ann", "bob"]
    assert len({row["version"] for row in told}) == 1
    assert told[0]["version"] > 0


# Under which id -------------------------------------------------------------------------------------------------------------


class Away:
    """A registry that comes back."""

    def __init__(self, *said):
        self.said = list(said)

    def schema_id(self, _table):
        answer = self.said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_an_id_waits_for_a_registry_that_is_away_and_is_asked_once(monkeypatch, caplog):
    monkeypatch.setattr("agents.registry.ASK_AGAIN_S", 0.0)
    ids = SchemaIds(Away(RegistryUnavailable("it sleeps"), RegistryUnavailable("it sleeps"), RegistryUnavailable("it sleeps"), 12))

    ids.asked(["alerts"])

    assert ids.of("alerts") == ids.of("alerts") == 12
    assert caplog.text.count("it sleeps") == 2, "at the start, and once while it waits"


def test_a_contract_that_is_refused_is_an_error_at_the_start():
    with pytest.raises(ContractRefused):
        SchemaIds(Away(ContractRefused("no"))).asked(["alerts"])
