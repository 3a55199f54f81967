"""Dashboard: how customers are served, and what they go through, side by side: by journey, owner and week."""

# ruff: noqa: S608 - statements are put together from words of ours alone

from sinks.boards.panel import OF_SITE, Board, Panel, tile

_SITE_LEVEL = f"{OF_SITE} AND $__timeFilter_ms(at) AND journey = '' AND owner = ''"
_OWNERS = f"{OF_SITE} AND $__timeFilter_ms(at) AND owner != ''"
_WEEKS = f"{OF_SITE} AND $__dateFilter(week) AND journey = '' AND owner = ''"


def _share(measure: str, view: str) -> str:
    return f"SELECT if(count() = 0, NULL, avg(value)) AS {measure} FROM {view} WHERE {_SITE_LEVEL} AND measure = '{measure}'"


def _mean(measure: str) -> str:
    return f"if(countIf(measure = '{measure}') = 0, NULL, avgIf(value, measure = '{measure}')) AS {measure}"


def _median(measure: str, factor: int) -> str:
    """Minutes or hours as the seconds that Grafana spells."""
    middle = f"quantileExactInclusiveIf(0.5)(value, measure = '{measure}')"
    return f"if(countIf(measure = '{measure}') = 0, NULL, {factor} * {middle}) AS {measure.rpartition('_')[0]}"


def _by_week(title: str, view: str, columns: str, mind: str, unit: str) -> Panel:
    """Measures of whole sites; a week of which none is known has no row."""
    is_known = " OR ".join(f"{column.partition(' ')[0]} IS NOT NULL" for column in columns.split(", "))
    asks = f"""
SELECT toDateTime(week) AS time, site, {columns}
FROM {view}
WHERE {_WEEKS} AND ({is_known})
ORDER BY time, site"""
    return Panel(title, "timeseries", asks, mind, unit=unit)


SERVICE = Board(
    "ebbtide-service",
    "Ebbtide: service and experience",
    "How customers are served when they ask for help, and what they go through on the whole journey. `ebbtide report` gives a verdict on both.",
    (
        tile(
            "Satisfied with support",
            _share("csat", "service_facts"),
            "Share of tickets with a satisfaction of 4 or 5 of 5, of those that have one.",
            unit="percentunit",
        ),
        tile(
            "First reply of a person",
            f"SELECT {_median('first_human_reply_min', 60)} FROM service_facts WHERE {_SITE_LEVEL}",
            "Median from opening to the first reply of a person, all hours counted.",
            unit="s",
        ),
        tile(
            "Visits that convert",
            _share("conversion", "experience_facts"),
            "Share of visits that reached their goal, of those that are over.",
            unit="percentunit",
        ),
        tile(
            "Visits lost in silence",
            f"SELECT if(count() = 0, NULL, avg(value)) AS lost FROM experience_facts WHERE {_SITE_LEVEL} AND measure = 'silent_loss'",
            "Share of visits that were lost in silence and did not come back, of those that are over.",
            unit="percentunit",
        ),
        Panel(
            "Service by journey and owner",
            "table",
            f"""
SELECT journey, owner, countIf(measure = 'tickets') AS tickets, {_mean("csat")}, countIf(measure = 'csat') AS answers,
    {_median("first_reply_min", 60)}, {_median("first_human_reply_min", 60)}, {_median("resolution_h", 3600)},
    {_mean("reopen_rate")}, {_mean("transfer_rate")}
FROM service_facts
WHERE {_OWNERS}
GROUP BY journey, owner
ORDER BY tickets DESC
LIMIT 100""",
            "Tickets by the step that they are about. Times are medians. A share of few answers says little.",
            units={
                "csat": "percentunit",
                "first_reply": "s",
                "first_human_reply": "s",
                "resolution": "s",
                "reopen_rate": "percentunit",
                "transfer_rate": "percentunit",
            },
            width=24,
        ),
        Panel(
            "Experience by journey and owner",
            "table",
            f"""
SELECT journey, owner, countIf(measure = 'friction') AS visits, {_mean("conversion")}, {_mean("friction")}, {_mean("silent_loss")},
    countIf(measure = 'silent_rate') AS lapses, {_mean("silent_rate")}, {_mean("late_share")}, {_mean("sentiment")}, {_mean("effort")}
FROM experience_facts
WHERE {_OWNERS}
GROUP BY journey, owner
ORDER BY visits DESC, lapses DESC
LIMIT 100""",
            "Visits and documents that met a step of the owner. Silent loss is counted against all who came, silent rate against what lapsed. sinks/signs/README.md says what each counts.",
            units={
                "conversion": "percentunit",
                "friction": "none",
                "silent_loss": "percentunit",
                "silent_rate": "percentunit",
                "late_share": "percentunit",
                "sentiment": "none",
                "effort": "none",
            },
            width=24,
        ),
        _by_week(
            "Service by week",
            "service_weekly",
            "csat AS satisfied, reopen_rate AS reopened, transfer_rate AS transferred",
            "Shares of tickets by the week of their opening. The newest week is not full yet.",
            "percentunit",
        ),
        _by_week(
            "Experience by week",
            "experience_weekly",
            "conversion, silent_loss, late_share",
            "Shares of visits, and of promised orders that came late. The newest week is not full yet.",
            "percentunit",
        ),
        _by_week(
            "Contacts per 100 orders by week",
            "service_weekly",
            "contact_rate",
            "Tickets that customers opened, for 100 orders of the site in that week.",
            "none",
        ),
        _by_week(
            "Would recommend (NPS) by week",
            "experience_weekly",
            "nps",
            "Promoters less detractors, -100 .. 100; of few answers it says little.",
            "none",
        ),
    ),
    since="now-90d",
)
