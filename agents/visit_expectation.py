"""What is expected of every visit: whoever has begun to buy places an order. It is built into the fold by visitor, and no setting of `[[expectations]]`.

Its lapses are rows of `outcomes` like all others, so it is listed like all others; its times follow from `[sessions]`.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.attribution import ORDER_AFTER_COMMIT
from pipeline.lapse_words import MEANINGS
from pipeline.session_rules import SessionRules
from pipeline.spans import span

NAME = ORDER_AFTER_COMMIT
MEANING = MEANINGS[NAME]
OWNER, STEP = "the step's", "furthest"
BEGINS, ENDS = "commit step", "goal, or an order"
SOURCE = "Built in. Its times are set in [sessions]: gap_min, silence_h, recovery_d; its steps and owners from [[journeys]]. It cannot be set in [[expectations]]."


def journeys(rules: SessionRules) -> str:
    """The journeys in which it can lapse: all of the web."""
    return ", ".join(each.name for each in rules.journeys.journeys)


def as_json(rules: SessionRules) -> dict[str, Any]:
    """It in the form of the others; no event type begins or ends it, but steps do."""
    return {
        "name": NAME,
        "meaning": MEANING,
        "key": "session",
        "after": [],
        "expect": [],
        "unless": [],
        "at_once": [],
        "within_s": rules.gap.total_seconds(),
        "due": None,
        "rhythm": None,
        "calendar": "always",
        "re_arm": "latest",
        "journey": journeys(rules),
        "step": STEP,
        "owner": OWNER,
        "silence_s": rules.silence.total_seconds(),
        "recovery_s": rules.recovery.total_seconds(),
        "enabled": "on",
        "source": SOURCE,
        "origin": "ships",
        "sites": None,
    }


def row(rules: SessionRules) -> tuple[str, ...]:
    """It as a row of the table."""
    windows = f"{span(rules.silence)}, {span(rules.recovery)}"
    return (
        NAME,
        f"{BEGINS}\n-> {ENDS}",
        f"at the end of the visit,\n{span(rules.gap)} after its last event\n(set in [sessions])",
        OWNER,
        f"{journeys(rules)}: {STEP}",
        windows,
        "on",
    )


def lines(rules: SessionRules) -> Iterator[str]:
    """What there is to say of it, a line each; the source last."""
    yield MEANING
    yield f"after the {BEGINS} of its journey, for each visit"
    yield f"until the {ENDS} of the same customer, in the visit or later"
    yield f"due: {due(rules)}"
    yield f"silent {span(rules.silence)} later; recovers within {span(rules.recovery)}; on"
    yield f"source: {SOURCE}"


def due(rules: SessionRules) -> str:
    """When it is due."""
    return f"when the visit ends, {span(rules.gap)} after its last event"
