"""First reply after a ticket: who asks is answered, by a person or a bot."""

from pipeline.calendars import WORKING_HOURS
from pipeline.expectation import HOUR, Expectation

FIRST_REPLY_AFTER_TICKET = Expectation(
    name="first_reply_after_ticket",
    meaning="A customer who asks for help gets a reply, of a person or a bot.",
    key="ticket",
    after=("ticket_opened", "customer_message"),
    expect=("agent_reply", "bot_reply"),
    unless=("solved", "closed", "customer_left"),
    within=8 * HOUR,
    calendar=WORKING_HOURS,
    journey="support",
    step="replied",
    owner="support",
    source=(
        "Ours: one working day, in working hours as help desks count it (Zendesk, first reply time in business hours). What is solved or closed without a "
        "reply waits for none; who leaves the queue is the signal `left_queue`, which would else count twice."
    ),
)
