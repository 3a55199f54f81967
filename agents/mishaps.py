"""What can go wrong without a defect of ours, and what to tell people: one message, and what to do."""

import re

from clickhouse_connect.driver.exceptions import Error as ClickHouseError
from confluent_kafka import KafkaException

from agents.alert_settings import ChannelUnfit
from agents.alerts_command import NoSuchAlert, NoSuchChannel
from agents.child_process import ProgramEnded
from agents.embedded_broker import BrokerNotStarted
from agents.log_reader import NoAnswer
from agents.manifests import StateUnreadable
from agents.mapping_engine import QueryFailed
from agents.mapping_words import MappingWrong
from agents.newest_checkpoints import NothingKept
from agents.producer import NotDelivered
from agents.registry import ContractRefused, RegistryUnavailable
from agents.replayed_range import RangeWrong
from agents.series_files import SeriesWrong
from agents.settings_sources import SettingsWrong
from agents.signal_trial import NoSuchProfile
from agents.store_claim import StoreClaimed
from agents.telemetry import TelemetryUnavailable
from agents.topics import TopicsUnfit
from agents.up_folder import DataDirInUse
from agents.why_command import NothingToTell
from sinks.failures import ReadRefused, StoreBusy, WriteFailed, failure
from sinks.http_front import PortTaken
from sinks.migrate import MigrationRefused
from sinks.story_rows import TablesMissing

_NO_ANSWER = re.compile(r"Max retries exceeded.*\[Errno -?\d+\] ([^\"')]+)")

MISHAPS = (
    SettingsWrong,
    MappingWrong,
    QueryFailed,
    StoreClaimed,
    StoreBusy,
    ReadRefused,
    WriteFailed,
    MigrationRefused,
    PortTaken,
    ClickHouseError,
    KafkaException,
    NoAnswer,
    TopicsUnfit,
    NotDelivered,
    RegistryUnavailable,
    ContractRefused,
    ChannelUnfit,
    NoSuchAlert,
    NoSuchChannel,
    BrokerNotStarted,
    ProgramEnded,
    StateUnreadable,
    DataDirInUse,
    TelemetryUnavailable,
    RangeWrong,
    NothingKept,
    NoSuchProfile,
    NothingToTell,
    TablesMissing,
    SeriesWrong,
)
"""Errors whose message is for people."""


def is_mishap(error: BaseException) -> bool:
    """Whether it is one of these, or a file or folder that the system does not let us have. All else is a defect, and its traceback is shown."""
    return isinstance(error, MISHAPS) or (isinstance(error, OSError) and error.filename is not None)


def advice(mishap: BaseException) -> str:
    """What is wrong, and what can be done about it where we know."""
    if isinstance(mishap, ClickHouseError):
        mishap = failure(mishap)
    if isinstance(mishap, WriteFailed):
        refused = _NO_ANSWER.search(str(mishap))
        return f"{f'ClickHouse does not answer ({refused[1]})' if refused else mishap}: {mishap.advice}"
    if isinstance(mishap, KafkaException):
        return f"Kafka: {mishap.args[-1] if isinstance(mishap.args[-1], str) else mishap.args[0].str()}"
    if isinstance(mishap, OSError) and mishap.filename is not None:
        return f"{mishap.filename}: {mishap.strerror}"
    if isinstance(mishap, SettingsWrong):
        return "\n".join(("the settings are wrong", *(f"  {problem}" for problem in mishap.problems)))
    return str(mishap)
