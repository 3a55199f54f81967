"""Our contracts in a Schema Registry: one subject a topic, `<topic>-value`, and no version in it that could not read what the ones before wrote.

Cases:   a contract that is there -> left as it is | a subject that forbids nothing, or asks for less than BACKWARD -> BACKWARD from now on
         one contract that cannot read what its subject's latest version wrote -> none of them is registered
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from agents import topics
from agents.registry import ANSWER_TIMEOUT_S, RegistryUnavailable, without_password
from schemas.contracts import Schema, schema

LEVEL = "BACKWARD"
STRICT_ENOUGH = frozenset({LEVEL, "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"})
"""Levels that hold what BACKWARD holds."""
NOT_FOUND = 404
THERE, NEW, REGISTERED, INCOMPATIBLE = "there", "not there yet", "registered", "incompatible"


@dataclass(frozen=True)
class Subject:
    """A contract of a family or a published table, and what the registry says of it."""

    family: str
    name: str
    verdict: str
    """THERE, NEW, REGISTERED or INCOMPATIBLE."""
    version: int | None = None
    schema_id: int | None = None
    level: str = ""
    """Compatibility that the subject asks for; '': what the registry asks of all."""
    detail: str = ""

    def as_json(self) -> dict[str, object]:
        """It as JSON."""
        return {"subject": self.name, **{name: value for name, value in vars(self).items() if name != "name"}}


def subjects(clickstream_topic: str, prefix: str = "", published: Iterable[str] = ()) -> dict[str, str]:
    """Family, or published table, -> subject."""
    of = {"clickstream": clickstream_topic, "order": topics.ORDERS, "delivery": topics.DELIVERIES, "ticket": topics.TICKETS}
    of |= {table: topics.published(prefix, table) for table in published}
    return {family: f"{topic}-value" for family, topic in of.items()}


class Contracts:
    """Our contracts, and a registry for them."""

    def __init__(self, url: str, names: Mapping[str, str]) -> None:
        """Connect to nothing yet. `names`: family -> subject. Raises: ValueError if the URL is none."""
        patience = {"timeout": ANSWER_TIMEOUT_S, "max.retries": 1, "retries.wait.ms": 200, "retries.max.wait.ms": 1_000}
        self._client = SchemaRegistryClient({**patience, "url": url})
        self._url, self._names = without_password(url), dict(names)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def looked_at(self) -> list[Subject]:
        """How each contract stands; nothing is changed. Raises: RegistryUnavailable."""
        with self._answering():
            return [self._looked_at(family, name) for family, name in self._names.items()]

    def registered(self) -> list[Subject]:
        """Register what is not there, unless one of them is incompatible: then nothing. Raises: RegistryUnavailable."""
        with self._answering():
            for name in self._names.values():
                if self._latest(name) is not None:
                    self._hold_to(name)  # first: a subject that forbids nothing finds everything compatible
            before = [self._looked_at(family, name) for family, name in self._names.items()]
            if any(subject.verdict == INCOMPATIBLE for subject in before):
                return before
            return [self._registered(subject) if subject.verdict == NEW else subject for subject in before]

    def _looked_at(self, family: str, name: str) -> Subject:
        contract, level, latest = _as_registered(schema(family)), self._level(name), self._latest(name)
        if latest is None:
            return Subject(family, name, NEW, level=level)
        found = _or_none(lambda: self._client.lookup_schema(name, contract))
        if found is not None:
            return Subject(family, name, THERE, found.version, found.schema_id, level)
        if not self._client.test_compatibility(name, contract):
            why = "; ".join(differences(schema(family), json.loads(latest.schema.schema_str))) or "the registry says so"
            return Subject(
                family, name, INCOMPATIBLE, latest.version, latest.schema_id, level, f"with version {latest.version}: {why}"
            )
        return Subject(family, name, NEW, level=level, detail=f"version {latest.version} is another one")

    def _registered(self, subject: Subject) -> Subject:
        self._client.register_schema(subject.name, _as_registered(schema(subject.family)))
        self._hold_to(subject.name)
        found = self._client.lookup_schema(subject.name, _as_registered(schema(subject.family)))
        return Subject(subject.family, subject.name, REGISTERED, found.version, found.schema_id, self._level(subject.name))

    def _hold_to(self, name: str) -> None:
        """Let a subject ask for BACKWARD, if it does not ask for that or more by itself."""
        if self._level(name) not in STRICT_ENOUGH:
            self._client.set_compatibility(name, LEVEL)
            if (level := self._level(name)) != LEVEL:
                message = f"Schema Registry {self._url} took {LEVEL} for {name}, and says {level or 'nothing'}"
                raise RegistryUnavailable(message)

    def _latest(self, name: str) -> Any:
        return _or_none(lambda: self._client.get_latest_version(name))

    def _level(self, name: str) -> str:
        """What the subject asks for by itself."""
        return str(_or_none(lambda: self._client.get_compatibility(name)) or "")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (SchemaRegistryError, httpx2.HTTPError, ValueError) as error:  # ValueError: the answer is no JSON
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            message = f"Schema Registry {self._url}: {said}"
            raise RegistryUnavailable(message) from error


def differences(ours: Schema, theirs: Mapping[str, Any]) -> Iterable[str]:
    """Why ours cannot read what theirs wrote, as far as flat records go, a few words each."""
    known = {field["name"]: field for field in theirs.get("fields", ())}
    for field in ours["fields"]:
        name, before = field["name"], known.get(field["name"])
        if before is None:
            if "default" not in field:
                yield f"{name} is not in it, and has no default"
        elif _kinds(before) - _kinds(field):
            yield f"{name} is {' or '.join(sorted(_kinds(before)))} in it, and {' or '.join(sorted(_kinds(field)))} in ours"


def _kinds(field: Mapping[str, Any]) -> frozenset[str]:
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return frozenset(kind if isinstance(kind, str) else str(kind.get("logicalType", kind.get("type"))) for kind in kinds)


def _as_registered(contract: Schema) -> RegisteredSchema:
    return RegisteredSchema(json.dumps(contract), "AVRO")


def _or_none(ask: Any) -> Any:
    """What the registry answers; None if it has no such thing."""
    try:
        return ask()
    except SchemaRegistryError as error:
        if error.http_status_code == NOT_FOUND and error.error_code != -1:  # -1: no answer of a registry
            return None
        raise
