"""Every expectation, as the page `pipeline/expectations/README.md`.

`python -m agents.expectation_catalogue` prints it; a test checks that the page is what this says.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from agents import visit_expectation
from agents.expectations_command import lines
from pipeline.case_signals import CASE_SIGNALS, JOURNEY_OF
from pipeline.expectations import CATALOGUE
from pipeline.session_rules import SessionRules
from pipeline.ticket_signals import TICKET_SIGNALS

FILE = Path("pipeline/expectations/README.md")

VISITS = SessionRules()
"""As it is where no settings say otherwise."""

HEAD = """\
# Expectations: what should happen

Something good that did not happen: each is one file here, a value that says what begins a wait, what ends it, when it is due, and who answers for it.
This page is made from these files: `make docs`. The first, of visits, is built in: its times follow from `[sessions]`, and `[[expectations]]` cannot set it.

- A wait that is not met by its due time **lapses**, once the watermark has passed it: `provisional`, and `silent` when the silence window is over.
- What comes later is `recovered` within the recovery window; later still the row stays silent and says `returned_at`. What turns out to have come in time takes the row back.
- A wait is **for each** document, parcel, step or return; for each ticket; or for each customer. An event that does not say which parcel, step or return concerns all of its document.
- A ticket that the shop itself began, and a survey, begin no wait.
- **auto**: it lapses only where the shop sent what is awaited in the 30 days before it was due; a shop that never sends confirmations has no lapses of them.
- A **rhythm** is a customer's own: the wait follows the median gap of what came before, once there was enough of it.
- The **cause** of a lapse is the signal or the earlier lapse about the same visit, order or ticket that weighs most and lies nearest; for a lapse of a customer, of all that happened since the last order.
"""


def catalogue() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *_overview(), *_sections(), *_signals()])


def _overview() -> Iterator[str]:
    yield "| expectation | meaning | owner | journey: step |\n|---|---|---|---|"
    of_visits = visit_expectation
    where = f"{of_visits.journeys(VISITS)}: {of_visits.STEP}"
    yield f"| [{of_visits.NAME}](#{of_visits.NAME}) | {of_visits.MEANING} | {of_visits.OWNER} | {where} |"
    for each in CATALOGUE:
        yield f"| [{each.name}](#{each.name}) | {each.meaning} | {each.owner} | {each.journey}: {each.step} |"


def _sections() -> Iterator[str]:
    told = [(visit_expectation.NAME, visit_expectation.lines(VISITS)), *((each.name, lines(each)) for each in CATALOGUE)]
    for name, (meaning, *rest) in told:
        yield f"\n## {name}\n\n{meaning}\n"
        yield from (f"- {line}" for line in rest)


def _signals() -> Iterator[str]:
    yield "\n## Signals of the later journey\n\nWhat happened that should not have, as the events of one document show it.\n"
    yield "| signal | meaning | weight | journey: step | source |\n|---|---|---|---|---|"
    for each in CASE_SIGNALS:
        yield f"| {each.name} | {each.meaning} | {each.weight:g} | {': '.join(JOURNEY_OF[each.name])} | {each.source} |"
    yield "\n## Signals of support\n"
    yield "What happened with support that should not have, told at the step that the ticket or the survey is about, and to its owner. Numbers: settings `[support]`.\n"
    yield "| signal | meaning | weight | value | source |\n|---|---|---|---|---|"
    for signal in TICKET_SIGNALS:
        yield f"| {signal.name} | {signal.meaning} | {signal.weight:g} | {signal.measures} | {signal.source} |"


if __name__ == "__main__":
    sys.stdout.write(f"{catalogue()}\n")
