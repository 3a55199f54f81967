"""Solution after a ticket: what was asked is solved, and again if it is opened again."""

from pipeline.calendars import WORKING_HOURS
from pipeline.expectation import HOUR, Expectation

SOLUTION_AFTER_TICKET = Expectation(
    name="solution_after_ticket",
    meaning="A ticket is solved; one that is opened again, once more.",
    key="ticket",
    after=("ticket_opened", "reopened"),
    expect=("solved",),
    unless=("closed", "customer_left"),
    within=40 * HOUR,
    calendar=WORKING_HOURS,
    re_arm="latest",
    journey="support",
    step="solved",
    owner="support",
    source=(
        "Ours: a working week. Each opening is a wait of its own, as full resolution time runs to the last solved. Closed without a solution "
        "(a duplicate, spam) is waited for no more; a customer who has left waits no more."
    ),
)
