"""The views of service and experience: every measure, at every level and in every week, is what a plain count of the rows gives."""

import random
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from statistics import mean, median
from typing import Any

import pytest

from pipeline.verdicts import BY_NAME, EXPERIENCE, SERVICE
from sinks.reader import Reader
from sinks.report_rows import Span, figures, silences
from tests.stores import rows_of, store_at

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
"""The shop opens."""
DAYS = 150
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Row = dict[str, Any]
PLACES = [("shop", "shop"), ("shop", "payments"), ("order", "carrier"), ("order", "shop"), ("support", "support")]


def made_up(seed: int) -> dict[str, list[Row]]:
    """Rows of a shop in which anything may be absent."""
    rng = random.Random(seed)

    def when() -> datetime:
        return MONDAY + timedelta(minutes=rng.randrange(DAYS * 1440))

    def maybe(value: Any, share: float = 0.6) -> Any:
        return value if rng.random() < share else None

    def place() -> Row:
        journey, owner = rng.choice(PLACES)
        return {"journey": journey, "owner": owner}

    tables: dict[str, list[Row]] = defaultdict(list)
    for n in range(80):
        opened = when()
        tables["contacts"].append(
            {
                "ticket_id": f"t{n}",
                "opened_at": opened,
                "is_outbound": int(rng.random() < 0.1),
                "customer_id": rng.choice(["", "ann", "bob"]),
                "order_id": rng.choice(["", "", "o1", "o2"]),
                "topic": rng.choice(["how_to", "order"]),
                "n_messages": rng.randrange(4),
                "first_reply_ms": maybe(rng.randrange(10_000_000)),
                "first_human_reply_at": maybe(opened + timedelta(minutes=rng.randrange(900))),
                "resolution_ms": maybe(rng.randrange(500_000_000)),
                "solved_at": maybe(opened + DAY),
                "n_reopens": rng.choice([0, 0, 1]),
                "n_transfers": rng.choice([0, 0, 2]),
                "csat": maybe(rng.randint(1, 5)),
                "sentiment": maybe(rng.uniform(-1, 1)),
                **place(),
            }
        )
        tables["answers"].append(
            {
                "kind": rng.choice(["nps", "ces", "csat"]),
                "answer_id": f"a{n}",
                "answered_at": when(),
                "score": rng.randint(1, 7),
                "ticket_id": rng.choice(["", "t1"]),
                "sentiment": maybe(rng.uniform(-1, 1), 0.2),
                **place(),
            }
        )
        tables["sessions"].append(
            {
                "visitor_id": "v",
                "session_id": f"s{n}",
                "started_at": when(),
                "status": rng.choice(["browsed", "abandoned", "converted", "open", "merged"]),
                "is_bot": int(rng.random() < 0.1),
                "n_signals": rng.randrange(3),
            }
        )
        for step, owner, is_goal in [("cart", "shop", 0), ("payment", "payments", 0), ("purchased", "shop", 1)][: rng.randrange(4)]:
            tables["steps"].append(
                {
                    "instance": "session",
                    "instance_id": f"v/s{n}",
                    "visitor_id": "v",
                    "session_id": f"s{n}",
                    "journey": "shop",
                    "step": step,
                    "owner": owner,
                    "is_goal": is_goal,
                    "n_signals": rng.randrange(3),
                }
            )
        promised = maybe(when())
        delivered = None if promised is None else maybe(promised + timedelta(hours=rng.randrange(-50, 50)))
        tables["cases"].append(
            {
                "order_id": f"o{n}",
                "case_type": rng.choice(["order", "order", "rfq"]),
                "opened_at": when(),
                "customer_id": rng.choice(["", "ann", "bob"]),
                "closed_at": maybe(when()),
                "cancelled_at": maybe(when(), 0.1),
                "promised_at": promised,
                "delivered_at": delivered,
                "is_late": int(promised is not None and (delivered or MONDAY + DAYS * DAY) > promised),
            }
        )
        for step, owner, is_goal in [("placed", "shop", 0), ("delivered", "carrier", 1)][: rng.randrange(3)]:
            where = {
                "instance": "case",
                "instance_id": f"o{n}",
                "journey": "order",
                "step": step,
                "owner": owner,
                "is_goal": is_goal,
            }
            tables["steps"].append({**where, "n_signals": rng.randrange(2), "last_at": MONDAY})
        is_of_visit = rng.random() < 0.5
        expectation = (
            "order_after_commit" if is_of_visit else rng.choice(["delivered_by_promise", "next_order", "solution_after_ticket"])
        )
        began = when()
        tables["outcomes"].append(
            {
                "expectation": expectation,
                "outcome_id": f"l{n}",
                "began_at": began,
                "due_at": began + DAY * rng.randrange(20),
                "lapsed_at": began,
                "status": rng.choice(["provisional", "silent", "silent", "contacted", "recovered"]),
                "returned_at": maybe(began + 30 * DAY, 0.2),
                "ticket_id": "t1" if expectation == "solution_after_ticket" else "",
                "value_minor": maybe(rng.randrange(9_000)),
                "currency": "EUR",
                **({"visitor_id": "v", "session_id": f"s{n}"} if is_of_visit else {"order_id": f"o{n}"}),
                **(place() if not is_of_visit else {"journey": "shop", "owner": rng.choice(["shop", "payments"])}),
            }
        )
    for name in ("ann", "bob", *map(str, range(30))):
        first = maybe(when(), 0.9)
        tables["customers"].append(
            {
                "customer_id": name,
                "first_order_at": first,
                "second_order_at": None if first is None else maybe(first + DAY * rng.randrange(150)),
                "last_seen_at": MONDAY,
            }
        )
    return tables


SEEN = (("sessions", "started_at"), ("cases", "opened_at"), ("contacts", "opened_at"), ("answers", "answered_at"))


def seen_until(tables: dict[str, list[Row]]) -> datetime:
    return max(row[at] for table, at in SEEN for row in tables[table])


def levels(row: Row) -> set[tuple[str, str]]:
    return {("", ""), (row["journey"], ""), (row["journey"], row["owner"])}


Facts = dict[tuple[str, str, str], list[tuple[datetime, float]]]
"""Journey, owner, measure -> when and how much."""


def counted(tables: dict[str, list[Row]]) -> Facts:
    """All measurements, one by one, as the table of measures has them."""
    facts: Facts = defaultdict(list)
    last = seen_until(tables)

    def add(where: set[tuple[str, str]], measure: str, at: datetime, value: float | None) -> None:
        for journey, owner in where if value is not None else ():
            facts[journey, owner, measure].append((at, float(value)))

    tasks: dict[Any, list[Row]] = defaultdict(list)
    for row in tables["contacts"]:
        if row["is_outbound"]:
            continue
        at, where, human = row["opened_at"], levels(row), row["first_human_reply_at"]
        add(where, "tickets", at, 1)
        add(where, "csat", at, None if row["csat"] is None else row["csat"] >= 4)
        add(where, "first_reply_min", at, None if row["first_reply_ms"] is None else row["first_reply_ms"] / 60_000)
        add(where, "first_human_reply_min", at, None if human is None else (human - at) / timedelta(minutes=1))
        add(where, "resolution_h", at, None if row["resolution_ms"] is None else row["resolution_ms"] / 3_600_000)
        add(where, "reopen_rate", at, None if row["solved_at"] is None and not row["n_reopens"] else row["n_reopens"] > 0)
        add(where, "transfer_rate", at, row["n_transfers"] > 0)
        add(where, "sentiment", at, row["sentiment"])
        if row["topic"] == "how_to":
            week = at.date() - timedelta(days=at.weekday())
            tasks[row["journey"], week, row["order_id"] or row["customer_id"] or row["ticket_id"]].append(row)
    for task in tasks.values():
        first = min(task, key=lambda row: row["opened_at"])
        add(levels(first), "effort", first["opened_at"], sum(1 + row["n_messages"] for row in task))
    for row in tables["answers"]:
        at, where, score, kind = row["answered_at"], levels(row), row["score"], row["kind"]
        add(where, "nps", at, 100 * ((score >= 9) - (score <= 6)) if kind == "nps" else None)
        add(where, "ces", at, score >= 5 if kind == "ces" else None)
        add(where, "rating", at, score >= 4 if kind == "csat" and not row["ticket_id"] else None)
        add(where, "sentiment", at, row["sentiment"])
    lost: set[tuple[str, str, str]] = set()
    for row in tables["outcomes"]:
        if row["status"] == "provisional" or row["due_at"] > last or row["ticket_id"] or row["expectation"] == "next_order":
            continue
        add(levels(row), "silent_rate", row["began_at"], row["status"] == "silent")
        if row["status"] == "silent" and row["returned_at"] is None:
            lost |= {(row.get("order_id") or f"v/{row['session_id']}", *level) for level in levels(row)}
    things = {f"v/{row['session_id']}": row for row in tables["sessions"]} | {row["order_id"]: row for row in tables["cases"]}
    for thing_id, thing in things.items():
        is_visit = "started_at" in thing
        if is_visit and (thing["is_bot"] or thing["status"] not in {"browsed", "abandoned", "converted"}):
            continue
        steps = [row for row in tables["steps"] if row["instance_id"] == thing_id]
        at = thing["started_at"] if is_visit else thing["opened_at"]
        met = {level for row in steps for level in levels(row)} | {level[1:] for level in lost if level[0] == thing_id}
        for journey, owner in met - {("", "")}:
            here = [row for row in steps if row["journey"] == journey and owner in {"", row["owner"]}]
            reached = any(row["is_goal"] for row in steps if row["journey"] == journey) if here else False
            is_over = is_visit or thing["closed_at"] is not None
            add({(journey, owner)}, "conversion", at, reached if is_over else None)
            add({(journey, owner)}, "friction", at, sum(row["n_signals"] for row in here))
            add({(journey, owner)}, "silent_loss", at, (thing_id, journey, owner) in lost)
        if is_visit:
            add({("", "")}, "conversion", at, thing["status"] == "converted")
            add({("", "")}, "friction", at, thing["n_signals"])
            add({("", "")}, "silent_loss", at, (thing_id, "", "") in lost)
    customers = {row["customer_id"]: row for row in tables["customers"]}
    waits = []
    for row in tables["cases"]:
        if row["case_type"] != "order":
            continue
        add({("", "")}, "orders", row["opened_at"], 1)
        promised, customer = row["promised_at"], customers.get(row["customer_id"])
        if promised is not None and promised <= last and (row["delivered_at"] is not None or row["is_late"]):
            add({("", ""), ("order", ""), ("order", "carrier")}, "late_share", promised, row["is_late"])
        if (
            customer
            and customer["first_order_at"]
            and row["cancelled_at"] is None
            and row["opened_at"] > customer["first_order_at"]
        ):
            waits.append((row["opened_at"], 0))
    waits += [
        (row["due_at"], 1)
        for row in tables["outcomes"]
        if row["expectation"] == "next_order" and row["status"] in {"silent", "contacted"} and row["returned_at"] is None
    ]
    began = min(row[at] for table, at in SEEN for row in tables[table])
    for at, is_lost in waits:
        if began + 120 * DAY <= at <= last:
            add({("", "")}, "churn_rate", at, is_lost)
    for row in tables["customers"]:
        if row["first_order_at"] and (over := row["first_order_at"] + 90 * DAY) <= last:
            add({("", "")}, "repeat_rate", over, bool(row["second_order_at"] and row["second_order_at"] <= over))
    return facts


TABLES = made_up(7)
ALWAYS = Span(("shop",), MONDAY - DAY, MONDAY + 400 * DAY)


@pytest.fixture(scope="module")
def reader(store_dsn):
    for store in store_at(store_dsn):
        with store.open() as opened:
            for table, rows in TABLES.items():
                opened.write(table, rows_of(table, *rows), token=uuid.uuid4().hex)
                # What was retracted, and what another site has, counts nowhere.
                opened.write(table, rows_of(table, {**rows[0], "site": "gone", "is_deleted": 1}), token=uuid.uuid4().hex)
        with Reader(store.dsn, store.database) as found:
            yield found


def test_every_measure_is_what_a_plain_count_gives_at_the_site_the_journey_and_the_owner(reader):
    wanted = counted(TABLES)
    found = {(row["journey"], row["owner"], row["measure"]): row for row in figures(reader, ALWAYS).to_dicts()}

    assert set(found) == set(wanted)
    assert {name for _, _, name in wanted} == {*BY_NAME, "orders"} - {"contact_rate"}
    for key, facts in wanted.items():
        values = [value for _, value in facts]
        row = found[key]
        assert (row["n"], row["mean"], row["median"]) == (
            len(values),
            pytest.approx(mean(values)),
            pytest.approx(median(values)),
        ), key


@pytest.mark.parametrize("side", [SERVICE, EXPERIENCE])
def test_a_week_of_the_views_is_a_plain_count_of_that_week_and_null_where_there_is_nothing(reader, side):
    facts = counted(TABLES)
    orders = [at for at, _ in facts["", "", "orders"]]
    rows = reader.query(f"SELECT * FROM {side}_weekly WHERE site = 'shop'").to_dicts()

    assert len({(row["journey"], row["owner"], row["week"]) for row in rows}) == len(rows) > 40
    for row in rows:
        begin = datetime.combine(row["week"], datetime.min.time(), tzinfo=UTC)
        assert begin.weekday() == 0
        for name, measure in BY_NAME.items():
            if measure.side != side:
                continue
            values = [value for at, value in facts[row["journey"], row["owner"], name] if begin <= at < begin + 7 * DAY]
            if name == "tickets":
                assert row["tickets"] == len(values)
            elif name == "contact_rate":
                n, tickets = sum(begin <= at < begin + 7 * DAY for at in orders), row["tickets"]
                assert row["n_contact_rate"] == n
                assert row["contact_rate"] == (pytest.approx(100 * tickets / n) if n else None)
            else:
                came_to = None if not values else median(values) if measure.statistic == "median" else mean(values)
                assert row[f"n_{name}"] == len(values), (row["journey"], row["owner"], row["week"], name)
                assert row[name] == (None if came_to is None else pytest.approx(came_to)), name


def test_every_column_of_every_view_says_what_it_means(reader):
    asked = (
        "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() "
        "AND table IN ('sites_now', 'service_facts', 'experience_facts', 'service_weekly', 'experience_weekly')"
    )
    rows = reader.query(asked).rows()
    assert len(rows) > 60
    assert [row for row in rows if not row[2]] == []


def test_what_was_lost_in_silence_counts_once_a_visit_or_document_with_its_money(reader):
    last = seen_until(TABLES)
    lapses = [
        row
        for row in TABLES["outcomes"]
        if row["status"] == "silent" and not row["returned_at"] and not row["ticket_id"] and row["expectation"] != "next_order" and row["due_at"] <= last
    ]  # fmt: skip
    found = {(row["journey"], row["owner"]): (row["n"], row["lost_minor"] or 0) for row in silences(reader, ALWAYS).to_dicts()}

    assert found["", ""] == (len(lapses), sum(row["value_minor"] or 0 for row in lapses))
    for journey, owner in set(found) - {("", "")}:
        theirs = [row for row in lapses if row["journey"] == journey and owner in {"", row["owner"]}]
        assert found[journey, owner] == (len(theirs), sum(row["value_minor"] or 0 for row in theirs))


def test_two_lapses_of_one_order_are_one_loss_with_the_money_of_the_first_that_knows_it(store):
    lapse = {
        "expectation": "first_scan_after_shipping",
        "order_id": "o1",
        "status": "silent",
        "journey": "order",
        "owner": "carrier",
        "currency": "EUR",
    }
    first = {**lapse, "outcome_id": "1", "began_at": MONDAY, "due_at": MONDAY, "lapsed_at": MONDAY, "value_minor": None}
    second = {**first, "outcome_id": "2", "expectation": "delivered_by_promise", "lapsed_at": MONDAY + DAY, "value_minor": 4_900}
    other = {**second, "outcome_id": "3", "owner": "shop", "lapsed_at": MONDAY + 2 * DAY, "value_minor": 5_000}
    with store.open() as opened:
        opened.write("outcomes", rows_of("outcomes", first, second, other), token="lapses")
        opened.write("cases", rows_of("cases", {"order_id": "o1", "case_type": "order", "opened_at": MONDAY + DAY}), token="cases")
    with Reader(store.dsn, store.database) as reader:
        found = {(row["journey"], row["owner"]): (row["n"], row["lost_minor"]) for row in silences(reader, ALWAYS).to_dicts()}

    assert found == {
        ("", ""): (1, 4_900),
        ("order", ""): (1, 4_900),
        ("order", "carrier"): (1, 4_900),
        ("order", "shop"): (1, 5_000),
    }


def test_what_is_promised_for_a_time_after_all_that_was_seen_is_neither_late_nor_in_time(store):
    """A replay lets every promise pass, and what came early is no share of a week that is not over."""
    seen = {"case_type": "order", "opened_at": MONDAY, "delivered_at": MONDAY + 2 * DAY}
    orders = [
        {"order_id": "in time", "promised_at": MONDAY, **seen},
        {"order_id": "early", "promised_at": MONDAY + 9 * DAY, **seen},
        {"order_id": "unknown", "promised_at": MONDAY + 9 * DAY, "is_late": 1, **seen, "delivered_at": None},
    ]
    with store.open() as opened:
        opened.write("cases", rows_of("cases", *orders), token="cases")
    with Reader(store.dsn, store.database) as reader:
        assert reader.query("SELECT id FROM experience_facts WHERE measure = 'late_share' AND journey = ''")["id"].to_list() == [
            "in time"
        ]
