"""What others subscribe to: rows of a fold as Avro records, on a topic of their table's own.

**Delivery:** at least once, before the position that covers them is kept; what was said after the last checkpoint is said again. Of two records with
one key the one with the higher `version` counts, so that a reader who keeps it is right in the end, whatever came twice or from a worker that had
lost its partition. On a compacted topic what is over is followed by a tombstone.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from agents import topics
from agents.checkpoints import Writing
from agents.registry import Registry, RegistryUnavailable, open_registry, patiently
from pipeline.published import COMPACTED, records

log = logging.getLogger(__name__)


@dataclass
class SchemaIds:
    """Under which id each table is written: what the registry says is true for ever, and is asked once."""

    registry: Registry
    _known: dict[str, int] = field(default_factory=dict)

    def of(self, table: str) -> int:
        """Return the id of a table's newest contract. Waits for a registry that is away. Raises: ContractRefused."""
        if table not in self._known:
            self._known[table] = patiently(lambda: self.registry.schema_id(table), "what is to be published waits until it does")
        return self._known[table]

    def asked(self, tables: Collection[str]) -> None:
        """Ask for all of them now; a registry that is away is asked again when there is something to be written. Raises: ContractRefused."""
        for table in tables:
            try:
                self._known[table] = self.registry.schema_id(table)
            except RegistryUnavailable as error:
                log.warning("%s; it is asked again when there is something to publish", error)
                return


def schema_ids(url: str | None, prefix: str, tables: Collection[str]) -> SchemaIds:
    """Ask the registry at this address, where the subject of a table is that of its topic. None: the ids that ship with Ebbtide."""
    return SchemaIds(open_registry(url, topics={table: topics.published(prefix, table) for table in tables}))


class Publishing:
    """The published topics, as one stage writes to them."""

    def __init__(self, producer: Writing, outputs: Mapping[str, tuple[str, int]], schema_id: Callable[[str], int]) -> None:
        """Take the outputs: table -> its topic and how many partitions that has; and who knows under which id a table is written."""
        self._producer, self._outputs, self._schema_id = producer, dict(outputs), schema_id

    def say(self, table: str, rows: pl.DataFrame, version: int) -> None:
        """Send rows of a table, if it is published. Frames: the table's columns."""
        if table not in self._outputs or rows.is_empty():
            return
        topic, n = self._outputs[table]
        send = partial(self._producer.send, topic)
        for key, value, at, is_over in records(rows, table, version, self._schema_id(table), n):
            send(at, value, key.encode())
            if is_over and table in COMPACTED:
                send(at, None, key.encode())
