"""Comments of the columns of views. A view takes none over from its table and has none once it is made anew, so they are said after every migration.

A view `<table>_now` has the columns of its table, and their comments. Of a view that joins more, what is not a column of its first table stands here;
a migration may also say comments in `CREATE VIEW (...)`: those stay.
"""

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from pipeline.frames import SESSIONS, TABLES
from sinks.columns import comment, stored_columns

VISITS = {
    "order_id": "order placed in it (the last), else the first order that names the visit",
    "customer_id": "known person: its own, else the next login of the visitor",
    "order_status": "status of that order, as in cases",
    "order_amount_minor": "its last known total [minor units of order_currency]",
    "order_currency": "its currency [ISO 4217]",
    "ordered_at": "its first event; null: no order is known [UTC]",
    "delivered_at": "its last parcel came; null while one is missing [UTC]",
    "is_late": "1: the order came after the promise, or has not come and the promise is past [0 or 1]",
    "n_contacts": "tickets of the customer that name the visit or its order, or made its lapse contacted [tickets]",
    "first_contact_at": "the first of them was opened; null: there is none [UTC]",
    "first_ticket_id": "the first of them",
    "first_topic": "what the first of them is about",
    "outcome_id": "its lapse of order_after_commit; '': it has none",
    "outcome": "what became of that lapse: provisional, silent, contacted, recovered; '': there was none",
    "owner": "team that owns the step at which it lapsed",
    "lapsed_at": "when it lapsed [UTC]",
    "decided_at": "when silent, contacted or recovered was decided [UTC]",
    "contacted_at": "first contact with support about it [UTC]",
    "recovered_at": "the order came late, within the recovery window [UTC]",
    "returned_at": "the order came later still [UTC]",
    "cause": "signal or earlier lapse that explains it best; '': nothing does",
    "cause_id": "its id",
    "value_minor": "money at stake [minor units of currency]",
}


def comments() -> dict[str, dict[str, str]]:
    """View -> column -> comment."""
    found = {f"{table.name}_now": {column.name: comment(column) for column in stored_columns(table)} for table in TABLES.values()}
    found["visits_now"] = {**{column.name: comment(column) for column in SESSIONS.columns[:-1]}, **VISITS}
    return found


def comment_views(client: Client, database: str) -> None:
    """Say the comments that views of this database lack. A view or a column that is not there is passed by. Raises: the driver's errors."""
    asked = "SELECT table, name, comment FROM system.columns WHERE database = {database:String}"
    known, lacking = comments(), dict[str, list[str]]()
    for view, column, said in client.query(asked, parameters={"database": database}).result_rows:
        wanted = known.get(view, {}).get(column)
        if wanted is not None and wanted != said:
            literal = wanted.replace("\\", "\\\\").replace("'", "\\'")
            lacking.setdefault(view, []).append(f"COMMENT COLUMN {quote_identifier(column)} '{literal}'")
    for view, parts in lacking.items():
        client.command(f"ALTER TABLE {quote_identifier(database)}.{quote_identifier(view)} {', '.join(parts)}")
