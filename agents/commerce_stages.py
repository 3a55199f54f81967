"""The stages behind which everything about a person comes together: intake of orders, deliveries and tickets, the fold by order and the one by person.

The topic by order has one partition. A delivery that knows only its parcel lies under the parcel's key, its order under another; in one partition they meet,
and until somebody sends on what lies under a parcel's key they would not meet otherwise (DECISIONS.md). That by person has as many as any.
"""

from collections.abc import Callable
from dataclasses import replace
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
from pipeline.journeys import JourneysFold
from pipeline.journeys_rules import JourneysRules
from pipeline.passed import COMMERCE, LINK, PEOPLE, TYPES
from pipeline.person_log import FACTS

NO_REPLAY = Again((), "No command folds a batch of this stage again yet; `ebbtide replay` folds files of the same events.")


def commerce_stages(
    kafka: KafkaSettings,
    visits: Stage[Any],
    rules: tuple[FulfilmentRules, JourneysRules],
    decode_of: Callable[[str], Decode],
    watch_of: Callable[[str], Watch],
) -> list[Stage[Any]]:
    """All of them, that of visits first, which tells people. `rules`: of the fold by order, of the one by person; `decode_of` is asked with the family, `watch_of` with the topic."""
    by_order, by_person = rules
    intake = intake_stages(kafka.prefix, kafka.topics, decode_of, watch_of=watch_of, allowed_lateness=by_order.allowed_lateness)
    commerce, people = (topics.passed(kafka.prefix, to) for to in (COMMERCE, PEOPLE))
    visits = replace(visits, outputs={PEOPLE: people})
    cases, persons = FulfilmentFold(replace(by_order, tells_people=True)), JourneysFold(by_person)
    orders = Stage(
        cases.name,
        commerce,
        cases,
        batch_decoder(*FAMILIES, LINK),
        again=NO_REPLAY,
        outputs={PEOPLE: people},
        upstream=upstream(intake, COMMERCE),
    )
    return [
        visits,
        *intake,
        orders,
        Stage(
            persons.name,
            people,
            persons,
            batch_decoder("ticket", LINK, TYPES, *FACTS),
            again=NO_REPLAY,
            outputs={PEOPLE: people},  # what it sends on
            upstream=upstream([visits, *intake, orders], PEOPLE),
        ),
    ]
