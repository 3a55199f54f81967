"""Next onboarding step: a customer who is being set up gets on."""

from pipeline.expectation import DAY, Expectation

NEXT_ONBOARDING_STEP = Expectation(
    name="next_onboarding_step",
    meaning="An onboarding goes on to its next step.",
    after=("onboarding_started", "onboarding_step_completed"),
    expect=("onboarding_step_completed", "onboarding_completed"),
    unless=("order_cancelled",),
    within=5 * DAY,
    due="due_at",
    re_arm="latest",
    journey="onboarding",
    step="completed",
    owner="shop",
    source="The `due_at` of the step before; else five days. No published default found.",
)
