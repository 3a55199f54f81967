"""How good service and experience are, each from 0 to 100, and what follows for whoever owns a step: the verdict.

A measure gives 100 points where it is good, none where it is poor, and in between by where it lies; a side has the mean of its measures that were taken
often enough. Two sides make the verdict.

Cases:   a measure of too few -> says nothing | a side with too few measures -> no score, and no verdict | a measure without borders -> shown, not judged
Source:  of each measure, in its row; where no number is published: ours
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["service", "experience"]
Statistic = Literal["mean", "median"]

SERVICE: Side = "service"
EXPERIENCE: Side = "experience"
SIDES: tuple[Side, ...] = (SERVICE, EXPERIENCE)

STRONG_WEAK = "strong service / weak experience"
WEAK_STRONG = "weak service / strong experience"
BOTH_STRONG = "both strong"
BOTH_WEAK = "both weak"
NOT_ENOUGH = "not enough data"
VERDICTS = (STRONG_WEAK, WEAK_STRONG, BOTH_STRONG, BOTH_WEAK, NOT_ENOUGH)


@dataclass(frozen=True)
class Measure:
    """One thing that is measured, and what counts as good and as poor."""

    name: str
    """As in the views."""
    side: Side
    title: str
    meaning: str
    """Formula and denominator in words; when it counts, and whose it is."""
    unit: Literal["share", "min", "h", "points", "signals", "contacts", "per 100", ""]
    good: float | None
    """From here on it is good: 100 points; None: it is shown, and not judged."""
    poor: float | None
    """Here it is poor: no points. Above `good` where less is better."""
    min_n: int
    """Of fewer it says nothing."""
    source: str
    statistic: Statistic = "mean"

    def __post_init__(self) -> None:
        """Raises: ValueError on borders that tell nothing apart, or a smallest number below 1."""
        if (self.good is None) != (self.poor is None) or (self.good is not None and self.good == self.poor) or self.min_n < 1:
            message = f"{self.name}: good and poor are two different numbers, and min_n is at least 1"
            raise ValueError(message)

    def points(self, value: float) -> float | None:
        """0 to 100; None: it is not judged."""
        if self.good is None or self.poor is None:
            return None
        return 100 * min(1.0, max(0.0, (value - self.poor) / (self.good - self.poor)))


_TICKET = "by the week in which the ticket was opened, at the journey and the owner of the step that it is about"
_VISIT = "by the start of the visit, at each journey and owner whose steps it met; of documents (orders, requests, ...) likewise"

MEASURES = (
    Measure(
        "csat", SERVICE, "satisfied", f"tickets with a satisfaction of 4 or 5 of 5 / tickets with one; {_TICKET}", "share", 0.85, 0.60, 10,
        "4 and 5 of 5 are satisfied by the usual count; borders ours",
    ),
    Measure(
        "first_reply_min", SERVICE, "first reply", f"median time from opening to the first reply, of a person or a bot, all hours counted; {_TICKET}",
        "min", 60, 480, 10, "ours: an hour is good, a working day poor (`first_reply_after_ticket`)", "median",
    ),
    Measure(
        "first_human_reply_min", SERVICE, "first reply of a person", f"median time from opening to the first reply of a person; {_TICKET}",
        "min", 240, 960, 10, "bots do not count in Zendesk's first reply time; borders ours: half and all of what `first_human_reply_after_ticket` allows", "median",
    ),
    Measure(
        "resolution_h", SERVICE, "solved", f"median time from opening to the last solution; {_TICKET}", "h", 24, 120, 10,
        "to the last solved, as Zendesk's full resolution; borders ours: a day, a working week", "median",
    ),
    Measure(
        "reopen_rate", SERVICE, "opened again", f"tickets that were opened again / tickets that were solved once; {_TICKET}", "share", 0.05, 0.15, 10,
        "Zendesk `reopens`; borders ours",
    ),
    Measure(
        "transfer_rate", SERVICE, "passed on", f"tickets for which somebody else became responsible / tickets; {_TICKET}", "share", 0.10, 0.30, 10,
        "Zendesk `assignee_stations`; borders ours",
    ),
    Measure(
        "tickets", SERVICE, "tickets", f"tickets that customers opened; {_TICKET}", "", None, None, 1, "a number of its own: many tickets are no bad service",
    ),
    Measure(
        "contact_rate", SERVICE, "tickets per 100 orders", f"100 x tickets / orders of the site in that time, whosever the row is; {_TICKET}",
        "per 100", None, None, 10, "every ticket by every order, where others count shipments or customers; not judged, for it says how often help is needed, not how it is given",
    ),
    Measure(
        "conversion", EXPERIENCE, "reach the goal", f"visits that reached the goal / visits that are over; {_VISIT}", "share", None, None, 20,
        "not judged: what is usual differs from shop to shop by a factor of ten",
    ),
    Measure(
        "friction", EXPERIENCE, "signals a visit", f"friction signals at its steps / visits that are over; {_VISIT}", "signals", 0.2, 1.0, 20,
        "ours: one visit in five, or every visit",
    ),
    Measure(
        "silent_loss", EXPERIENCE, "lost in silence", f"visits that lapsed here in silence and did not come back / visits that are over; {_VISIT}", "share", 0.10, 0.40, 20,
        "all who came are the denominator; 70 % of carts are left (Baymard, second hand), of these 42 % by who just browses: the rest, 0.4, is poor; 0.1 ours",
    ),
    Measure(
        "silent_rate", EXPERIENCE, "silent of all lapses",
        "lapses that stayed silent / lapses that are decided, without waits for support and for the next order; by the start of the wait, at its own journey and owner",
        "share", None, None, 20, "those who left are the denominator; not judged, for it says who complains, not how many are lost (of contact centres 69.5 % on average: arXiv 2304.11754)",
    ),
    Measure(
        "late_share", EXPERIENCE, "late", "orders that came after the promise, or have not come and it is past / orders with a promise that came or are late; "
        "by the promise, at journey order and the owner of its goal", "share", 0.05, 0.15, 20, "8.1 % of Olist's 97,000 orders were late, and rated 2.55 instead of 4.28; borders ours around it",
    ),
    Measure(
        "repeat_rate", EXPERIENCE, "ordered again", "customers with a second order within 90 days of the first / customers whose 90 days are over; "
        "by their end, of the site alone", "share", 0.30, 0.10, 20, "ours",
    ),
    Measure(
        "churn_rate", EXPERIENCE, "did not order again", "waits for the next order (`next_order`) that ended without one / waits that ended; "
        "by their end, of the site alone, from its 120th day", "share", 0.20, 0.60, 20, "by a customer's own rhythm; borders ours",
    ),
    Measure(
        "nps", EXPERIENCE, "NPS", "% of 9 and 10 - % of 0 to 6; by the answer, at its journey and owner", "points", 50, 0, 10,
        "Net Promoter Score: at 0 as many warn as recommend; 50 ours",
    ),
    Measure(
        "ces", EXPERIENCE, "found it easy", "answers of 5 and more of 7 / answers; by the answer, at its journey and owner", "share", 0.80, 0.50, 10,
        "more than 4 of 7 is easy by the usual count; borders ours",
    ),
    Measure(
        "rating", EXPERIENCE, "rated well", "satisfactions of 4 and 5 of 5 that name no ticket / those that name none; by the answer, at its journey and owner",
        "share", 0.85, 0.60, 10, "as satisfaction with tickets",
    ),
    Measure(
        "sentiment", EXPERIENCE, "words", "mean sentiment of tickets and answers with words that are read; at their journey and owner", "points", 0.05, -0.40, 10,
        "VADER calls positive what is above 0.05; a plain complaint lies near -0.4",
    ),
    Measure(
        "effort", EXPERIENCE, "contacts for a simple task", "what a customer wrote about how to do something (topic `how_to`), within a week, of one order or in one journey: "
        "opening and messages, mean over such tasks; by the first, at its journey and owner", "contacts", 1.5, 3.0, 10,
        "96 % of those with high effort leave, 9 % of those with low (Gartner, second hand); borders ours",
    ),
)  # fmt: skip
"""All of them, those of service first."""
BY_NAME: Mapping[str, Measure] = {measure.name: measure for measure in MEASURES}


@dataclass(frozen=True)
class VerdictRules:
    """When a side is strong."""

    measures: tuple[Measure, ...] = MEASURES
    strong_from: float = 50.0
    """A side with so many points is strong; 0 to 100."""
    min_measures: int = 2
    """A side that was judged by fewer has no score; at least 1."""

    def __post_init__(self) -> None:
        """Raises: ValueError on a number that no side can have."""
        if not 0 < self.strong_from < 100 or self.min_measures < 1:
            raise ValueError("strong_from lies between 0 and 100, and min_measures is at least 1")

    def with_borders(self, name: str, good: float | None, poor: float | None, min_n: int | None) -> "VerdictRules":
        """The same with other borders of one measure; what is None stays. Raises: ValueError if there is none of that name, or they tell nothing apart."""
        if name not in BY_NAME:
            message = f"there is no measure {name!r}; there are {', '.join(BY_NAME)}"
            raise ValueError(message)
        changed = tuple(
            replace(
                each,
                good=each.good if good is None else good,
                poor=each.poor if poor is None else poor,
                min_n=each.min_n if min_n is None else min_n,
            )
            if each.name == name
            else each
            for each in self.measures
        )
        return replace(self, measures=changed)


@dataclass(frozen=True)
class Figure:
    """What a measure came to, of how many."""

    measure: Measure
    value: float | None
    """None: of nothing."""
    n: int

    @property
    def is_enough(self) -> bool:
        """Whether it says something."""
        return self.value is not None and self.n >= self.measure.min_n

    @property
    def points(self) -> float | None:
        """0 to 100; None: too few, or not judged."""
        return self.measure.points(self.value) if self.value is not None and self.is_enough else None


def score(figures: Iterable[Figure], rules: VerdictRules) -> float | None:
    """Mean of the points of one side; None: too few measures say something."""
    points = [each for figure in figures if (each := figure.points) is not None]
    return sum(points) / len(points) if len(points) >= rules.min_measures else None


def verdict(service: float | None, experience: float | None, rules: VerdictRules) -> str:
    """One of VERDICTS."""
    if service is None or experience is None:
        return NOT_ENOUGH
    if service >= rules.strong_from:
        return BOTH_STRONG if experience >= rules.strong_from else STRONG_WEAK
    return WEAK_STRONG if experience >= rules.strong_from else BOTH_WEAK
