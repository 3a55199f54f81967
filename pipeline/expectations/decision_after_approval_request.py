"""Decision after a request for approval: the approver of each step decides."""

from pipeline.expectation import DAY, Expectation

DECISION_AFTER_APPROVAL_REQUEST = Expectation(
    name="decision_after_approval_request",
    meaning="Whoever must approve a step of a chain decides; a rejection is a decision.",
    key="step",
    after=("approval_requested",),
    expect=("approval_granted", "approval_rejected"),
    unless=("approval_withdrawn", "order_cancelled"),
    within=2 * DAY,
    due="due_at",
    re_arm="latest",
    journey="approval",
    step="decided",
    owner="approver",
    source="The `due_at` of the request; else two days. No published default found.",
)
