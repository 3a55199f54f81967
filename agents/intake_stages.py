"""The stages of intake, and who writes to which internal topic: what the stages behind them must be told.

**Delivery:** as every stage (shell, passing). It remembers nothing but its position.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from agents import topics
from agents.defective_batch import Again
from agents.stages import Decode, Stage, Watch
from pipeline.intake import IntakeFold
from pipeline.passed import COMMERCE, PEOPLE

FAMILIES = ("order", "delivery", "ticket")
"""Those whose keys are made by us."""

NO_REPLAY = Again((), "Nothing is folded here, so no command folds it again: the records lie where they lay.")


def intake_stages(
    prefix: str,
    topic_of: Mapping[str, str],
    decode_of: Callable[[str], Decode],
    *,
    watch_of: Callable[[str], Watch] | None = None,
    read_by: Collection[str] = (COMMERCE, PEOPLE),
    allowed_lateness: timedelta = timedelta(minutes=10),
) -> list[Stage[Any]]:
    """One stage a family. `topic_of`: family -> its topic; `decode_of` is asked with the family, `watch_of` with the topic.

    `read_by`: the internal topics that somebody reads; a family that goes to none of them has no stage.
    """
    stages: list[Stage[Any]] = []
    for family in FAMILIES:
        fold = IntakeFold(family, topic_of[family], allowed_lateness)
        outputs = {to: topics.passed(prefix, to) for to in fold.outputs if to in read_by}
        if not outputs:
            continue
        stage = Stage(fold.name, fold.topic, fold, decode_of(family), again=NO_REPLAY, outputs=outputs)
        stages.append(stage if watch_of is None else replace(stage, watch=watch_of(fold.topic)))
    return stages


def upstream(stages: Iterable[Stage[Any]], to: str) -> tuple[tuple[str, str], ...]:
    """Of an internal topic: the stages that write to it, each with the topic that it reads (`Stage.upstream`)."""
    return tuple((stage.name, stage.topic) for stage in stages if to in stage.outputs)
