"""Ten signs that service and experience have come apart: each a share that is measured, and a border from which it holds.

What a sign counts, row by row, is a query over the views: `sinks/signs/NN_name.sql`. A row of it is one thing that was looked at, and whether it is one of those.

Cases:   fewer than `min_n` were looked at -> not enough data, neither true nor false
Source:  borders are ours, for none are published; what is looked at follows from the signals and expectations named beside them
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Thing = Literal["ticket", "customer", "visit", "order"]

HOLDS, DOES_NOT, TOO_FEW = "holds", "does not hold", "not enough data"


@dataclass(frozen=True)
class Sign:
    """One of them."""

    number: int
    name: str
    title: str
    thing: Thing
    """What an id of its rows is the id of."""
    looked_at: str
    """The denominator, in words, as a plural."""
    those: str
    """What makes one of them count: the predicate of a sentence about whom they concern."""
    threshold: float
    """From this share on it holds, 0 to 1."""
    min_n: int
    """Of fewer it is not judged."""
    source: str

    def __post_init__(self) -> None:
        """Raises: ValueError on a share that is none, or a smallest number below 1."""
        if not 0 < self.threshold <= 1 or self.min_n < 1:
            message = f"{self.name}: threshold is a share above 0, and min_n at least 1"
            raise ValueError(message)

    @property
    def formula(self) -> str:
        """In words."""
        return f"{self.looked_at} that {self.those} / {self.looked_at}"


SIGNS: tuple[Sign, ...] = (
    Sign(
        1, "praise_and_complaints", "Praise for staff, complaints about the process", "ticket",
        "satisfied tickets (4, 5) whose customer also said how it went", "found it hard (CES 1 to 3), would not recommend the shop (NPS 0 to 6), or wrote angrily",
        0.25, 20, "ours: one in four who are content with the person is not with the shop; answers within 30 days, words of -0.5 as `negative_words`",
    ),
    Sign(
        2, "born_of_confusion", "Tickets born of confusion", "ticket",
        "tickets of somebody known", "came within a day after the customer was lost on the page (loops in forms, dead ends, steps back and forth, help in the checkout)",
        0.20, 30, "ours: one in five would not have been written had the page been clear; signals of `pipeline/signals`",
    ),
    Sign(
        3, "churn_despite_csat", "Churn in spite of good CSAT", "customer",
        "customers satisfied last (4, 5) whose wait for the next order has ended since", "did not order again",
        0.30, 20, "ours; `next_order` says when a wait has ended",
    ),
    Sign(
        4, "help_for_simple_tasks", "Help needed for simple tasks", "ticket",
        "tickets", "asked how to do something simple (topic how_to)",
        0.15, 30, "ours: one in seven; the event contract keeps the topic for this",
    ),
    Sign(
        5, "exhausting_purchase", "Buying is exhausting", "visit",
        "visits that began to buy", "met friction of 50 points and more of 100",
        0.20, 50, "ours: two or three signals in one visit, in one of five such visits",
    ),
    Sign(
        6, "person_hard_to_reach", "A person is hard to reach", "ticket",
        "tickets", "saw the customer give up waiting, or no reply of a person in time",
        0.15, 30, "ours: one in seven; `first_human_reply_after_ticket` says what is in time: two working days",
    ),
    Sign(
        7, "slow_or_unhelpful_replies", "Replies are slow or do not help", "ticket",
        "tickets whose customer waited for the reply", "had none in time, were opened again, asked again about the same, or ended unsatisfied (1, 2)",
        0.25, 30, "ours; `first_reply_after_ticket`: a working day, `repeat_contact`: within a week",
    ),
    Sign(
        8, "bots_without_people", "Bots with no human behind", "ticket",
        "tickets, a day old, to which a bot replied", "met no person ever, and were not solved, were opened again, or ended unsatisfied (1, 2)",
        0.25, 20, "ours: a bot that solves it is enough; one in four that it leaves alone is not",
    ),
    Sign(
        9, "left_alone_after_sale", "Left alone after the sale", "order",
        "orders that are over or a week old", "waited in vain for something due from the shop, or got it only after asking",
        0.10, 50, "ours; expectations of `pipeline/expectations` about orders; one in ten, where 8.1 % of Olist's orders were late",
    ),
    Sign(
        10, "small_issues_escalate", "Small issues that escalate", "ticket",
        "tickets of no high priority at first, about no overdue order", "went up, were passed on twice or opened again twice",
        0.10, 30, "ours: one in ten; two transfers as `transferred_twice`",
    ),
)  # fmt: skip
"""All of them, in order."""
BY_NAME: Mapping[str, Sign] = {sign.name: sign for sign in SIGNS}


def with_borders(signs: tuple[Sign, ...], name: str, threshold: float | None, min_n: int | None) -> tuple[Sign, ...]:
    """The same with other borders of one sign; what is None stays. Raises: ValueError if there is none of that name, or on a border that is none."""
    if name not in BY_NAME:
        message = f"there is no sign {name!r}; there are {', '.join(BY_NAME)}"
        raise ValueError(message)
    return tuple(
        replace(each, threshold=each.threshold if threshold is None else threshold, min_n=each.min_n if min_n is None else min_n)
        if each.name == name
        else each
        for each in signs
    )


@dataclass(frozen=True)
class Reading:
    """What a sign came to somewhere."""

    sign: Sign
    n: int
    """Looked at."""
    n_hits: int
    """Of these, those."""

    @property
    def share(self) -> float | None:
        """Of those; None: nothing was looked at."""
        return self.n_hits / self.n if self.n else None

    @property
    def standing(self) -> str:
        """HOLDS, DOES_NOT or TOO_FEW."""
        if self.n < self.sign.min_n:
            return TOO_FEW
        return HOLDS if self.n_hits >= self.sign.threshold * self.n - 1e-9 else DOES_NOT

    @property
    def sentence(self) -> str:
        """In words."""
        sign = self.sign
        if self.share is None:
            return f"There are no {sign.looked_at}."
        return f"{self.n_hits:,} of {self.n:,} {sign.looked_at} ({100 * self.share:.0f} %) {sign.those}."
