"""Hard reorder: somebody wanted to buy the same again, and the session closed before it was bought.

Cases:   begun again after the purchase -> begun | the visit goes on after all -> taken back
"""

from dataclasses import dataclass

from pipeline.checkout import is_one_of
from pipeline.closings import FOREVER, left_undone
from pipeline.definitions import Closing, Fires, Quiet, Signal, happened


@dataclass(frozen=True)
class HardReorder:
    """What ends a reorder."""

    done_by: tuple[str, ...] = ("purchase",)
    """Event types that say it was bought, or asked for: `form_submit` where reorders go through a form. Of those that this signal reads."""

    def __post_init__(self) -> None:
        """Raises: ValueError on an event type that it does not read."""
        if not self.done_by or set(self.done_by) - set(_ENDS):
            message = f"signal hard_reorder: done_by must be some of {', '.join(_ENDS)}, not {', '.join(self.done_by) or 'nothing'}"
            raise ValueError(message)


_ENDS = ("purchase", "payment_submitted", "form_submit")

CLOSING: Closing[HardReorder] = Closing(
    begins=lambda _rule: is_one_of(("reorder_started",)),
    ends=lambda rule: is_one_of(rule.done_by),
    subject=None,
    detail="a reorder begun and not bought",
)

HARD_REORDER = Signal(
    name="hard_reorder",
    version=1,
    meaning="Somebody wanted to buy the same again, and the visit ended before it was bought.",
    measures="nothing: it is bought or not",
    reads=("reorder_started", *_ENDS),
    columns=(),
    rule=HardReorder(),
    looks_back=lambda _rule: FOREVER,
    fires=left_undone(CLOSING),
    closing=CLOSING,
    evidence=("page", "event_ms"),
    source=(
        "Ours, for no product publishes a number: it needs none, for the session says when it is over. Whoever reorders has decided already; what is in the way then is the shop (a product that is gone, "
        "a price that changed, an approval)."
    ),
    examples=(
        Fires("begun and left", (happened("reorder_started", at_ms=0),)),
        Fires(
            "begun again after it was bought",
            tuple(happened(t, at_ms=n * 9) for n, t in enumerate(("reorder_started", "purchase", "reorder_started"))),
        ),
        Fires("begun twice: one signal", (happened("reorder_started", at_ms=0), happened("reorder_started", at_ms=9_000)), at=(1,)),
        Quiet("bought", (happened("reorder_started", at_ms=0), happened("purchase", at_ms=9_000))),
        Quiet("bought anew", (happened("purchase", at_ms=0),)),
    ),
)
