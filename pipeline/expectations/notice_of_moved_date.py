"""Notice of a moved date: the customer hears of it from the shop."""

from pipeline.expectation import DATE_MOVED, HOUR, Expectation

NOTICE_OF_MOVED_DATE = Expectation(
    name="notice_of_moved_date",
    meaning="A customer is told when the date of delivery moves.",
    key="parcel",
    after=(DATE_MOVED,),
    expect=("customer_notified",),
    unless=("delivered", "order_cancelled"),
    within=12 * HOUR,
    re_arm="latest",
    journey="order",
    step="delivered",
    owner="shop",
    source="Ours: on the same day; a notice that comes later than the van tells nothing.",
)
