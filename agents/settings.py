"""Typed settings, read once: what a file and `EBBTIDE_` variables say, checked and turned into the values that the core takes.

Every concept owns its parameters as a frozen dataclass in `pipeline/`, which validates itself; here they are only collected. Where a
setting stands says `settings_sources`.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agents import topics
from agents.alert_settings import AlertSettings
from agents.calendar_settings import CalendarSettings, calendars
from agents.case_settings import CaseStepSettings, case_map
from agents.expectation_settings import ExpectationSettings, applied
from agents.journey_settings import JourneySettings
from agents.publish_settings import PublishSettings
from agents.report_settings import ReportSettings
from agents.risk_settings import RiskSettings
from agents.rubbish_limit import RubbishLimit
from agents.settings_section import Section
from agents.signal_settings import SignalsSettings
from agents.spike_settings import SpikeSettings
from agents.support_settings import SupportSettings
from pipeline.calendars import Calendars
from pipeline.case_map import CaseMap
from pipeline.checks import Bounds
from pipeline.expectation import CASE_KEYS, Expectation
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.journey_map import DEFAULT_JOURNEYS, JourneyMap
from pipeline.journeys_rules import JourneysRules
from pipeline.session_rules import SessionRules
from pipeline.spike_rules import SpikeRules
from sinks.addresses import address


def _known_address(dsn: str) -> str:
    address(dsn)
    return dsn


def _known_registry(url: str | None) -> str | None:
    for each in [] if url is None else url.split(","):
        parts = urlsplit(each.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it is http://host:port or https://host:port")
    return url


def _known_listen(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if listen and not (host and port.isdecimal() and int(port) < 1 << 16):
        message = "it is host:port, with a port of at most 65535, or empty"
        raise ValueError(message)
    return listen


Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class KafkaSettings(Section):
    """The broker, and what lies on it."""

    bootstrap: str = "127.0.0.1:9092"
    """`host:port` of one or more brokers, with commas between them."""
    prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$")] = "ebbtide"
    """Our own topics and the consumer group begin with it."""
    partitions: Count = 4
    """Partitions of a topic that we make."""
    replication: Count = 1
    """Replicas of a topic that we make."""
    clickstream_topic: str = topics.CLICKSTREAM
    """Topic of clickstream events."""
    orders_topic: str = topics.ORDERS
    """Topic of order events, under any key and in any partition; the worker reads it unless `fulfilment.enabled = false`."""
    deliveries_topic: str = topics.DELIVERIES
    """Topic of delivery events; likewise."""
    tickets_topic: str = topics.TICKETS
    """Topic of ticket events; likewise."""
    librdkafka: dict[str, str] = Field(default_factory=dict, repr=False)
    """Settings of librdkafka as they are, for security: `"security.protocol" = "SASL_SSL"`."""
    schema_registry_url: Annotated[
        str | None, Field(examples=["http://127.0.0.1:8081"], repr=False), AfterValidator(_known_registry)
    ] = None
    """Schema Registry; none: the schema ids that ship with Ebbtide."""

    @property
    def topics(self) -> dict[str, str]:
        """Family -> its topic."""
        return {
            "clickstream": self.clickstream_topic,
            "order": self.orders_topic,
            "delivery": self.deliveries_topic,
            "ticket": self.tickets_topic,
        }


class ClickHouseSettings(Section):
    """Where the tables are, and how much is written at a time."""

    dsn: Annotated[str, Field(repr=False), AfterValidator(_known_address)] = "clickhouse://default@127.0.0.1:8123"
    """`clickhouse://user:password@host:port` (HTTP; `clickhouses://` with TLS), or `chdb://FOLDER`: an engine in this process."""
    database: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "ebbtide"
    """Database of the tables; made if it is not there."""
    batch_rows: Count = 100_000
    """Rows of a table that are written at once, at most about."""
    batch_bytes: Count = 64 << 20
    """Bytes of a table that are written at once, at most about."""
    batch_age_s: Positive = 1.0
    """How long a row waits for others, s."""
    buffer_bytes: Count = 256 << 20
    """Bytes that may wait while ClickHouse is slow or away; above it the sink's partitions are paused."""


class EventSettings(Section):
    """What an event may be, before it is a reject."""

    max_future_min: Positive = 10
    """How far `event_at` may be ahead of the Kafka record time, min."""
    min_event_at: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    """Earliest `event_at`; UTC if it names no zone."""
    max_string_bytes: Count = 8 << 10
    """Longest string, bytes."""
    max_text_bytes: Count = 64 << 10
    """Longest `text`, bytes."""
    max_message_bytes: Count = 1 << 20
    """Longest message, bytes."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError, see `bounds`."""
        self.bounds()
        return self

    def bounds(self) -> Bounds:
        """The value. Raises: ValueError on one out of range."""
        return Bounds(
            max_future=timedelta(minutes=self.max_future_min),
            min_event_at=self.min_event_at if self.min_event_at.tzinfo else self.min_event_at.replace(tzinfo=UTC),
            max_string_bytes=self.max_string_bytes,
            max_text_bytes=self.max_text_bytes,
            max_message_bytes=self.max_message_bytes,
        )


class SessionSettings(Section):
    """When a visit ends, and how long things are remembered; all in event time."""

    gap_min: Positive = 30
    """Silence after which a visit has ended, min."""
    retention_h: Positive = 24
    """How long after its last event a session with an emitter's id goes on when the id comes again, h."""
    dedup_horizon_h: Positive = 1
    """How far behind the watermark an event is still applied, and how long its id is kept, h."""
    allowed_lateness_s: Annotated[float, Field(ge=0)] = 60
    """How far the watermark stays behind the latest event, s."""
    id_memory_d: Positive = 7
    """How long it is remembered that an emitter's session id was used, d."""
    send_every_s: Positive = 60
    """How often an open session that only goes on is written again, s."""
    silence_h: Positive = 24
    """How long after the end of a visit that was left with a full cart it is silent, if nobody orders or turns to support, h."""
    recovery_d: Positive = 7
    """How long after it an order has recovered it, d; later it is a return."""


class RollupSettings(Section):
    """What is counted, per interval."""

    interval_s: Count = 300
    """Length of an interval in which visits are counted, s; it divides a day."""
    case_interval_s: Count = 3_600
    """Length of one in which orders, tickets and what became of lapses are counted, s: they are slower, and their counts are kept for months. It divides a
    day, and is a multiple of `interval_s`."""
    dimensions: tuple[str, ...] = ("device",)
    """What counts are split by: device, country, acquisition_channel."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError on intervals of cases that do not divide a day, or cut an interval of visits."""
        if 86_400 % self.case_interval_s or self.case_interval_s % self.interval_s:
            message = (
                f"case_interval_s must divide a day (86,400 s) and be a multiple of interval_s ({self.interval_s}), "
                f"which {self.case_interval_s} does not"
            )
            raise ValueError(message)
        return self


class FulfilmentSettings(Section):
    """Orders and their parcels: cases, and what was expected of whom and did not happen."""

    enabled: bool = True
    """Whether the worker reads the topics of orders, deliveries and tickets as well, and joins per person; `up` and `replay` always do."""
    allowed_lateness_s: Annotated[int, Field(ge=0)] = 600
    """How far the watermark of orders, deliveries and tickets stays behind their latest event, s."""
    promise_by: Literal["time", "day"] = "time"
    """Whether a promised delivery holds until its time, or until the end of that day where the site is (`[[calendars]]`)."""


class StoreSettings(Section):
    """What is kept beside the tables that are always there."""

    events: bool = False
    """Whether every applied event becomes a row of `events`; always in `up` and `replay`."""


class DeadLetterSettings(Section):
    """When a topic has turned to rubbish: above either limit the worker stops. Unknown event types and late events do not count."""

    max_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the last `window` records of a partition that may be unusable; 1: any."""
    window: Count = 10_000
    """Records that this share is of; before there were so many it is not judged."""
    max_run: Count = 1_000
    """Records of a partition that may be unusable one after the other."""

    def limit(self) -> RubbishLimit:
        """The value."""
        return RubbishLimit(max_ratio=self.max_ratio, window=self.window, max_run=self.max_run)


class WorkerSettings(Section):
    """How the worker goes about it."""

    max_batch_events: Count = 200_000
    """Events of one step, at most about."""
    linger_ms: Annotated[int, Field(ge=0)] = 100
    """How long a step waits for more events, ms."""
    checkpoint_s: Positive = 5
    """How often state is written to the broker, s."""
    inbox_bytes: Count = 128 << 20
    """Bytes of a stage that may wait for it; above it its partitions are paused."""
    time_speed: Positive = 1.0
    """Seconds of event time that pass in a second without events; above 1 only where time is simulated."""


class TelemetrySettings(Section):
    """What the worker tells those who watch it."""

    listen: Annotated[str, AfterValidator(_known_listen)] = "127.0.0.1:9464"
    """`host:port` of `/metrics`, `/healthz` and `/readyz`; port 0: a free one; empty: none. Whoever reaches it can read it."""
    stuck_after_s: Positive = 300
    """A stage whose loop has not turned for so long is not healthy, s; longer than a broker or a registry may be away."""
    log_format: Literal["text", "json"] = "text"
    """How the log is written: lines for people, or a JSON object a line."""


class Settings(BaseSettings):
    """Everything that can be set. Made without arguments: the defaults."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, env_prefix="EBBTIDE_", env_nested_delimiter="__"
    )

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    events: EventSettings = EventSettings()
    sessions: SessionSettings = SessionSettings()
    rollups: RollupSettings = RollupSettings()
    fulfilment: FulfilmentSettings = FulfilmentSettings()
    risk: RiskSettings = RiskSettings()
    support: SupportSettings = SupportSettings()
    spikes: SpikeSettings = SpikeSettings()
    store: StoreSettings = StoreSettings()
    publish: PublishSettings = PublishSettings()
    alerts: AlertSettings = AlertSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    worker: WorkerSettings = WorkerSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    signals: SignalsSettings = SignalsSettings()
    report: ReportSettings = ReportSettings()
    journeys: tuple[JourneySettings, ...] = tuple(map(JourneySettings.of, DEFAULT_JOURNEYS.journeys))
    """An event without a step of the emitter's belongs to the furthest step that matches it."""
    case_steps: tuple[CaseStepSettings, ...] = ()
    """Steps of the journeys of commerce: who owns them, and steps of your own."""
    calendars: tuple[CalendarSettings, ...] = ()
    """Calendars of sites: time zone, working hours, holidays. A site without one works from 9 to 17, Monday to Friday, UTC."""
    expectations: tuple[ExpectationSettings, ...] = ()
    """What should happen, and by when: expectations of your own, and changes of those that ship (`ebbtide expectations`)."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic hands over all of them by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given, and nothing from elsewhere: `settings_sources` looks there."""
        return (init_settings,)

    @field_validator("case_steps")
    @classmethod
    def _known_steps(cls, said: tuple[CaseStepSettings, ...]) -> tuple[CaseStepSettings, ...]:
        """Raises: ValueError, see `case_map`."""
        case_map(said)
        return said

    @field_validator("calendars")
    @classmethod
    def _one_a_site(cls, said: tuple[CalendarSettings, ...]) -> tuple[CalendarSettings, ...]:
        """Raises: ValueError, see `calendars`."""
        calendars(said)
        return said

    @field_validator("expectations")
    @classmethod
    def _known_places(cls, said: tuple[ExpectationSettings, ...], info: ValidationInfo) -> tuple[ExpectationSettings, ...]:
        """Raises: ValueError, see `applied`."""
        applied(said, case_map(info.data.get("case_steps", ())))
        return said

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Raises: ValueError if what is fine by itself does not fit together."""
        self.session_rules()
        if self.alerts.channels and "alerts" not in self.publish.tables:
            raise ValueError("alerts.channels are told what is published: publish.tables must name alerts")
        return self

    def session_rules(self, *, store_events: bool | None = None) -> SessionRules:
        """What the sessions fold is told; `store_events` overrules the setting."""
        sessions, rollups = self.sessions, self.rollups
        return SessionRules(
            gap=timedelta(minutes=sessions.gap_min),
            retention=timedelta(hours=sessions.retention_h),
            dedup_horizon=timedelta(hours=sessions.dedup_horizon_h),
            allowed_lateness=timedelta(seconds=sessions.allowed_lateness_s),
            id_memory=timedelta(days=sessions.id_memory_d),
            journeys=JourneyMap(tuple(journey.journey() for journey in self.journeys)),
            signals=self.signals.applied(),
            interval=timedelta(seconds=rollups.interval_s),
            dimensions=rollups.dimensions,
            store_events=self.store.events if store_events is None else store_events,
            send_every=timedelta(seconds=sessions.send_every_s),
            silence=timedelta(hours=sessions.silence_h),
            recovery=timedelta(days=sessions.recovery_d),
            risk_bands=self.risk.bands(),
        )

    def fulfilment_rules(self, *, store_events: bool | None = None) -> FulfilmentRules:
        """What the fold by order is told; likewise."""
        return FulfilmentRules(
            allowed_lateness=timedelta(seconds=self.fulfilment.allowed_lateness_s),
            promise_by=self.fulfilment.promise_by,
            calendars=self.calendars_of_sites(),
            journeys=self.case_journeys(),
            expectations=tuple(each for each in self.all_expectations() if each.key in CASE_KEYS),
            risk_bands=self.risk.bands(),
            interval=timedelta(seconds=self.rollups.case_interval_s),
            dimensions=self.rollups.dimensions,
            store_events=self.store.events if store_events is None else store_events,
        )

    def journeys_rules(self, *, store_events: bool | None = None) -> JourneysRules:
        """What the fold by person is told; likewise."""
        return JourneysRules(
            allowed_lateness=timedelta(seconds=self.fulfilment.allowed_lateness_s),
            calendars=self.calendars_of_sites(),
            journeys=self.case_journeys(),
            web_journeys=JourneyMap(tuple(journey.journey() for journey in self.journeys)),
            expectations=tuple(each for each in self.all_expectations() if each.key not in CASE_KEYS),
            ticket_signals=self.support.signals(),
            sentiment=self.support.sentiment(),
            interval=timedelta(seconds=self.rollups.case_interval_s),
            dimensions=self.rollups.dimensions,
            store_events=self.store.events if store_events is None else store_events,
        )

    def spike_rules(self) -> SpikeRules:
        """What the fold of spikes is told."""
        return self.spikes.rules(JourneyMap(tuple(journey.journey() for journey in self.journeys)), self.case_journeys())

    def all_expectations(self) -> tuple[Expectation, ...]:
        """What should happen, of orders and of people: what ships, as it was changed, and the user's own."""
        return applied(self.expectations, self.case_journeys())

    def case_journeys(self) -> CaseMap:
        """The steps of the journeys of commerce, and whose they are."""
        return case_map(self.case_steps)

    def calendars_of_sites(self) -> Calendars:
        """When each site works."""
        return calendars(self.calendars)

    def bounds(self) -> Bounds:
        """What an event may be."""
        return self.events.bounds()
