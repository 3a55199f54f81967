"""Completion after a step was started: any other process."""

from pipeline.expectation import DAY, Expectation

COMPLETION_AFTER_STEP_STARTED = Expectation(
    name="completion_after_step_started",
    meaning="A step of any other process that was started is completed.",
    key="step",
    after=("step_started",),
    expect=("step_completed",),
    unless=("order_cancelled",),
    within=3 * DAY,
    due="due_at",
    re_arm="latest",
    journey="process",
    step="completed",
    owner="shop",
    source="The `due_at` of the start; else three days.",
)
