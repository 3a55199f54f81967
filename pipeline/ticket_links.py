"""By what the person of a ticket is known, and since when nobody is waited for any more.

Frames:  TicketLog, PERSON + CASE -> `linked_by` a ticket, in the order of their numbers
Time:    unlinked once now > opened + link_horizon
Cases:   its order is known, and nobody of the order -> order: a guest | a link or an order that comes later -> it is linked all the same
"""

import numpy as np
import polars as pl

from pipeline.groups import NEVER, Millis
from pipeline.journeys_rules import JourneysRules
from pipeline.ticket_log import TicketLog
from pipeline.watermark import milliseconds


def linked_by(log: TicketLog, cases: pl.DataFrame, rules: JourneysRules) -> tuple[pl.Series, Millis]:
    """What is known, and of the tickets of which nothing is the time at which that is given up, NEVER of the others."""
    person = log.person[log.begins]
    kind = log.people["key"].str.extract(r"^([a-z]+):")[person]
    has_case = pl.Series(np.isin(person, cases["person"].unique().to_numpy()), dtype=pl.Boolean)
    has_account = log.said({"account_id": log.tickets.first(log.has("account_id"))})["account_id"].is_not_null()
    known = pl.select(
        pl.when(kind.is_in(["customer", "visitor"]))
        .then(kind)
        .when(has_case)
        .then(pl.lit("order"))
        .when(has_account)
        .then(pl.lit("account"))
        .otherwise(pl.lit(""))
        .alias("linked_by")
    ).to_series()
    is_alone = (known == "").to_numpy()
    given_up_ms = np.where(is_alone, log.times(log.begins) + milliseconds(rules.link_horizon), NEVER)
    is_over = pl.Series(log.people["now_ms"].to_numpy()[person] > given_up_ms, dtype=pl.Boolean)
    unlinked = pl.repeat("unlinked", log.n, dtype=pl.String, eager=True)
    return unlinked.zip_with(is_over, known).alias("linked_by"), given_up_ms
