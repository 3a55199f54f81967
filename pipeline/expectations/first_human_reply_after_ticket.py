"""First human reply after a ticket: behind the bot there is somebody."""

from pipeline.calendars import WORKING_HOURS
from pipeline.expectation import HOUR, Expectation

FIRST_HUMAN_REPLY_AFTER_TICKET = Expectation(
    name="first_human_reply_after_ticket",
    meaning="A customer who asks for help gets a reply of a person, unless it is solved without.",
    key="ticket",
    after=("ticket_opened", "customer_message", "human_requested"),
    expect=("agent_reply", "human_joined"),
    unless=("solved", "closed", "customer_left"),
    within=16 * HOUR,
    calendar=WORKING_HOURS,
    journey="support",
    step="replied",
    owner="support",
    source=(
        "Ours: two working days; a day behind the bot, so that where no bot answers the first reply lapses first and may be its cause. A bot that solves "
        "it is enough; Zendesk's first reply time counts people alone."
    ),
)
