"""The stages by which orders and deliveries become cases: intake of both, and the fold by order behind it.

Their topic has one partition. A delivery that knows only its parcel lies under the parcel's key, its order under another; in one partition they meet,
and until somebody sends on what lies under a parcel's key they would not meet otherwise (DECISIONS.md).
"""

from collections.abc import Callable
from typing import Any

from agents import topics
from agents.batch_decoding import batch_decoder
from agents.defective_batch import Again
from agents.intake_stages import intake_stages, upstream
from agents.settings import KafkaSettings
from agents.stages import Decode, Stage, Watch
from pipeline.commerce import FAMILIES
from pipeline.fulfilment import FulfilmentFold
from pipeline.fulfilment_rules import FulfilmentRules
from pipeline.passed import COMMERCE, LINK

NO_REPLAY = Again((), "No command folds a batch of this stage again yet; `ebbtide replay` folds files of the same events.")


def commerce_stages(
    kafka: KafkaSettings, rules: FulfilmentRules, decode_of: Callable[[str], Decode], watch_of: Callable[[str], Watch]
) -> list[Stage[Any]]:
    """All of them. `decode_of` is asked with the family, `watch_of` with the topic."""
    intake = intake_stages(
        kafka.prefix, kafka.topics, decode_of, watch_of=watch_of, read_by={COMMERCE}, allowed_lateness=rules.allowed_lateness
    )
    fold, topic = FulfilmentFold(rules), topics.passed(kafka.prefix, COMMERCE)
    decode = batch_decoder(*FAMILIES, LINK)
    return [*intake, Stage(fold.name, topic, fold, decode, again=NO_REPLAY, upstream=upstream(intake, COMMERCE))]
