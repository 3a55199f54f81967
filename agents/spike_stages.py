"""The stage of spikes, behind every stage that counts.

Its topic has one partition: rates are judged side by side over all segments of all sites, and one core judges more of them than there are
(tests/benchmarks/test_bench_spikes.py).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents import topics
from agents.batch_decoding import batch_decoder
from agents.commerce_stages import NO_REPLAY
from agents.intake_stages import upstream
from agents.stages import Stage
from pipeline.fulfilment import FulfilmentFold
from pipeline.journeys import JourneysFold
from pipeline.passed import COUNT, COUNTS, EXAMPLE
from pipeline.sessions import SessionsFold
from pipeline.spike_rules import SpikeRules
from pipeline.spikes import OF_VISITS, SpikesFold

COUNTING = (SessionsFold.name, FulfilmentFold.name, JourneysFold.name)
"""Stages that count."""


def with_spikes(stages: Sequence[Stage[Any]], prefix: str, rules: SpikeRules) -> list[Stage[Any]]:
    """These stages, those that count telling the one of spikes, and that one."""
    counts, fold = topics.passed(prefix, COUNTS), SpikesFold(rules)
    telling = [replace(stage, outputs={**stage.outputs, COUNTS: counts}) if stage.name in COUNTING else stage for stage in stages]
    spikes = Stage(
        fold.name,
        counts,
        fold,
        batch_decoder(COUNT, EXAMPLE),
        again=NO_REPLAY,
        upstream=upstream(telling, COUNTS),
        apart={SessionsFold.name: OF_VISITS},
    )
    return [*telling, spikes]
