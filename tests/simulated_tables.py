"""Tables filled from a simulated shop, as `ebbtide feed` and `ebbtide replay` fill them; with alerts, which no replay tells, by hand."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents import feed_command, replay_command, terminal
from agents.replay import Until
from agents.settings import Settings
from pipeline.simulator.scenarios import SCENARIOS
from tests.stores import Store, rows_of

SEED, N_CLICKS = 7, 12_000
BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
"""Of the first visit."""

ALERTS = (
    {
        "alert_id": "1",
        "rule": "friction",
        "opened_at": BEGAN + timedelta(minutes=20),
        "updated_at": BEGAN + timedelta(minutes=30),
        "status": "open",
        "severity": "critical",
        "segment": "step = payment and device = mobile",
        "owner": "payments",
        "rate": 0.4,
        "baseline_rate": 0.1,
        "n": 40,
        "cause": "payment_failed",
        "value_minor": 120_000,
        "currency": "EUR",
        "summary": "four times as many payments fail on phones",
    },
    {"alert_id": "2", "status": "resolved", "opened_at": BEGAN, "updated_at": BEGAN, "resolved_at": BEGAN + timedelta(hours=1)},
)


def fill(store: Store, folder: Path) -> None:
    """Simulate, replay and write. The same every time."""
    feed_command.into_folder(folder, SEED, BEGAN, N_CLICKS, scenario=SCENARIOS["late_parcels"])
    told = Settings()
    told = told.model_copy(update={"clickhouse": told.clickhouse.model_copy(update={"database": store.database})})
    with terminal.progress(wanted=False) as way:
        replay_command.run(replay_command.Inputs((folder,), None), told, store.dsn, Until(), way)
    with store.open() as opened:
        site = store.query("SELECT min(site) AS site FROM sessions_now").item()
        opened.write("alerts", rows_of("alerts", *({**alert, "site": site} for alert in ALERTS)), token=uuid.uuid4().hex)
