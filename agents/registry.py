"""Where schemas come from: the ids that ship with Ebbtide, or a Confluent-compatible Schema Registry.

Cases:   an id nobody knows, or one of another family -> its records are rejects | the registry does not answer -> RegistryUnavailable, and nothing is
         rejected that could have been read | a flood of made-up ids -> a few of them are asked for every few seconds, the others count as unknown
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from pipeline.decode import Bounds, Decoded, Records, decode
from schemas.contracts import FAMILIES, Schema, local_registry, schema

NO_SUCH_SCHEMA = 40403
"""What a registry says of an id that it does not know. A bare 404 may come from whatever stands in front of one that is away."""
INCOMPATIBLE = 409
"""... and with which status it refuses a contract that could not read what is there."""
UNKNOWN_FOR_S = 10.0
"""So long an id is unknown without being asked for again: it may have been registered since."""
UNKNOWN_AT_ONCE = 10
"""So many unknown ids are asked for in that time; a question takes the registry up to 50 ms."""
ANSWER_TIMEOUT_S = 5.0
ASK_AGAIN_S, SAY_AGAIN_S = 1.0, 30.0
"""How often one that is away is asked, and told of."""

log = logging.getLogger(__name__)
T = TypeVar("T")

_FAILURES = (SchemaRegistryError, httpx2.HTTPError, ValueError)  # ValueError: the answer is no JSON


class UnknownSchema(KeyError):
    """There is no such schema, or it is of none of our families."""


class RegistryUnavailable(RuntimeError):
    """The registry does not answer, or refuses to."""


class ContractRefused(RuntimeError):
    """The registry will not take a contract of ours: it could not read what its subject holds."""


def patiently(ask: Callable[[], T], what_waits: str) -> T:
    """What a registry says; waits for one that does not answer, and says so now and then. For the thread of a stage."""
    said_at = float("-inf")
    while True:
        try:
            return ask()
        except RegistryUnavailable as error:
            if time.monotonic() - said_at >= SAY_AGAIN_S:
                said_at = time.monotonic()
                log.warning("%s; %s", error, what_waits)
            time.sleep(ASK_AGAIN_S)


class Registry(Protocol):
    """Knows schemas by their ids on the wire. Any thread may ask."""

    def writer(self, schema_id: int) -> tuple[str, Schema]:
        """Family and schema of an id. Raises: UnknownSchema, RegistryUnavailable."""

    def schema_id(self, family: str) -> int:
        """Id under which a producer writes the newest contract of a family or published table. Raises: RegistryUnavailable, ContractRefused."""


class Writers(Mapping[int, Schema]):
    """The schemas of one family, asked for when they are named: what `decode` wants."""

    def __init__(self, registry: Registry, family: str) -> None:
        """Ask this registry."""
        self._registry, self._family = registry, family

    def __getitem__(self, schema_id: int) -> Schema:
        """Return the schema of this id. Raises: KeyError if it is of no or of another family; RegistryUnavailable."""
        family, found = self._registry.writer(schema_id)
        if family != self._family:
            raise KeyError(schema_id)
        return found

    def __iter__(self) -> Iterator[int]:
        """Nobody can list them."""
        return iter(())

    def __len__(self) -> int:
        """Nobody can count them."""
        return 0


def decoder(registry: Registry, family: str, bounds: Bounds) -> Callable[[Records], Decoded]:
    """`decode` with all but the records given. Raises when called: RegistryUnavailable."""
    return partial(decode, family=family, writers=Writers(registry, family), bounds=bounds)


class LetterWriters:
    """The schemas of any family, for a command that looks into records; close it."""

    def __init__(self, url: str | None, *, clickstream_topic: str) -> None:
        """Connect to nothing yet."""
        self._registry = open_registry(url, clickstream_topic=clickstream_topic)

    def of(self, family: str) -> Writers:
        """Those of one family."""
        return Writers(self._registry, family)

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connection, if there is one."""
        if isinstance(self._registry, ConfluentRegistry):
            self._registry.close()


class LocalRegistry:
    """The ids of schemas/registry.json: the same bytes on the wire, with no registry."""

    def writer(self, schema_id: int) -> tuple[str, Schema]:
        """Family and schema of an id. Raises: UnknownSchema."""
        try:
            family, version = local_registry()[schema_id]
        except KeyError:
            raise UnknownSchema(schema_id) from None
        return family, schema(family, version)

    def schema_id(self, family: str) -> int:
        """Id of the newest version."""
        return max((version, schema_id) for schema_id, (known, version) in local_registry().items() if known == family)[1]


class ConfluentRegistry:
    """A Schema Registry. What it once said of an id is true for ever, and is kept.

    The subject of a family is `<topic>-value`. A schema is of the family under whose subject it is registered; under none of them: of the family
    whose name the record has (another way to name subjects).
    """

    def __init__(
        self,
        url: str,
        topics: Mapping[str, str],
        *,
        settings: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet. `topics`: family -> its topic; `settings` are those of the client, for security.

        Raises: ValueError if the URL is none
        """
        patience = {"timeout": ANSWER_TIMEOUT_S, "max.retries": 2, "retries.wait.ms": 200, "retries.max.wait.ms": 1_000}
        self._client = SchemaRegistryClient({**patience, **(settings or {}), "url": url})
        self._url, self._clock = without_password(url), clock
        self._subjects = {f"{topic}-value": family for family, topic in topics.items()}
        self._known: dict[int, tuple[str, Schema]] = {}
        self._unknown: dict[int, float] = {}
        self._asking = threading.Lock()

    def writer(self, schema_id: int) -> tuple[str, Schema]:
        """Family and schema of an id. Raises: UnknownSchema, RegistryUnavailable."""
        known = self._known.get(schema_id)
        if known is None:
            with self._asking:
                known = self._known.get(schema_id) or self._asked(schema_id)
        return known

    def schema_id(self, family: str) -> int:
        """Register the newest contract of a family, which is no change if it is there, and return its id.

        Raises: ContractRefused if the subject's compatibility forbids it; RegistryUnavailable; KeyError if the family has no topic
        """
        subject = next((subject for subject, known in self._subjects.items() if known == family), None)
        if subject is None:
            raise KeyError(family)
        contract = RegisteredSchema(json.dumps(schema(family)), "AVRO")
        try:
            return self._client.register_schema(subject, contract)
        except _FAILURES as error:
            if isinstance(error, SchemaRegistryError) and error.http_status_code == INCOMPATIBLE:
                message = f"Schema Registry {self._url} does not take our contract for {subject}: {error.error_message}"
                raise ContractRefused(message) from error
            raise self._unavailable("register", subject, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _asked(self, schema_id: int) -> tuple[str, Schema]:
        now = self._clock()
        self._unknown = {known: at for known, at in self._unknown.items() if now - at < UNKNOWN_FOR_S}
        if schema_id in self._unknown or len(self._unknown) >= UNKNOWN_AT_ONCE:
            raise UnknownSchema(schema_id)
        found = self._fetched(schema_id)
        if found is None:
            self._unknown[schema_id] = now
            raise UnknownSchema(schema_id)
        self._known[schema_id] = found
        return found

    def _fetched(self, schema_id: int) -> tuple[str, Schema] | None:
        try:
            registered = self._client.get_schema(schema_id)
            subjects = self._client.get_subjects_by_schema_id(schema_id)
        except _FAILURES as error:
            if isinstance(error, SchemaRegistryError) and error.error_code == NO_SUCH_SCHEMA:
                return None
            raise self._unavailable("fetch schema", str(schema_id), error) from error
        try:
            parsed = json.loads(registered.schema_str or "")
        except ValueError:
            return None
        if registered.schema_type != "AVRO" or not isinstance(parsed, dict):
            return None
        families = [self._subjects[subject] for subject in subjects if subject in self._subjects]
        if not families and parsed.get("name") in FAMILIES:
            families = [str(parsed["name"])]
        return (families[0], parsed) if families else None

    def _unavailable(self, did: str, what: str, error: Exception) -> RegistryUnavailable:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return RegistryUnavailable(f"Schema Registry {self._url} did not {did} {what}: {said}")


def without_password(url: str) -> str:
    """The address of a registry for people: what is before an @ is a password."""
    return url.rpartition("@")[2]


def open_registry(url: str | None, *, clickstream_topic: str = "clickstream", topics: Mapping[str, str] | None = None) -> Registry:
    """The registry at this address; None: the ids that ship with Ebbtide. `topics`: family -> its topic, else that of the clickstream alone.

    Raises: ValueError if the URL is none
    """
    return LocalRegistry() if url is None else ConfluentRegistry(url, topics or {"clickstream": clickstream_topic})
