"""Next order: a customer orders again, in a rhythm of their own."""

from pipeline.expectation import CUSTOMER_SILENCE, DAY, Expectation, Rhythm

NEXT_ORDER = Expectation(
    name="next_order",
    meaning="A customer orders again, as is their habit.",
    key="person",
    after=("order_placed",),
    expect=("order_placed",),
    within=120 * DAY,
    rhythm=Rhythm(),
    re_arm="latest",
    journey="order",
    step="placed",
    owner="shop",
    silence=CUSTOMER_SILENCE,
    enabled="on",
    source="Ours: twice the usual gap is past a habit, not late; 120 days where there is none yet, for shops speak of lapsed customers after three to six months. On, for the wait begins with the type that it awaits: the shop is known to send it.",
)
