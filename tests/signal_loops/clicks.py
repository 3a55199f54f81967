"""Signals of clicks, in plain loops."""

from collections.abc import Iterator, Sequence

from pipeline.signals.dead_click import DeadClick
from pipeline.signals.error_click import ErrorClick
from pipeline.signals.option_flipping import OptionFlipping
from pipeline.signals.rage_click import RageClick
from tests.signal_loops.rows import Row, Told, back_and_forth, first_of_runs, in_order, ms, once, said, same, since


def rage_clicks(events: Sequence[Row], rule: RageClick) -> Iterator[Told]:
    """The first completing hit of every run, and what was reported; each once."""
    hits, firsts = completing_hits([event for event in events if event["event_type"] == "click"], rule)
    reports = [
        Told(event, None, event.get("element"), f"reported by the page's own tool{on(event)}")
        for event in events
        if event["event_type"] == "rage_click"
    ]
    for told in once(hits, reports, events, rule.reported_ms):
        if any(told is each for each in (*firsts, *reports)):
            yield told


def on(click: Row) -> str:
    """Where it was."""
    return f" on {click['element']}" if click.get("element") is not None else ""


def completing_hits(clicks: Sequence[Row], rule: RageClick) -> tuple[list[Told], list[Told]]:
    """All of them, and the first of every run."""
    hits: list[Told] = []
    firsts: list[Told] = []
    chain: list[Row] = []
    before: Row | None = None  # the last hit of this chain that completed
    for click in (click for click in clicks if is_hit(click, rule)):
        if not chain or not is_linked(chain[-1], click, rule):
            chain, before = [], None
        chain.append(click)
        last = chain[-rule.clicks :]
        if len(last) < rule.clicks or not is_rage(last, rule):
            continue
        took_ms = ms(click) - ms(last[0])
        hits.append(Told(click, float(took_ms), click.get("element"), f"{rule.clicks} hits in {took_ms} ms{on(click)}"))
        if before is None or ms(click) - ms(before) > longest_ms(rule):
            firsts.append(hits[-1])
        before = click
    return hits, firsts


def is_hit(click: Row, rule: RageClick) -> bool:
    """Whether it counts."""
    if click.get("element_role") in rule.ignored_roles:
        return False
    if not rule.requires_dead:
        return True
    if click.get("watched_ms") is None:
        return False
    reaction_ms = click.get("reaction_ms")
    return reaction_ms is None or (rule.reacts_within_ms is not None and reaction_ms > rule.reacts_within_ms)


def is_linked(before: Row, click: Row, rule: RageClick) -> bool:
    """Whether a hit goes on where the one before it was."""
    gap_ms = ms(click) - ms(before)
    if rule.gap_ms is not None and gap_ms > rule.gap_ms:
        return False
    if rule.span_ms is not None and gap_ms > rule.span_ms:
        return False
    if rule.same_element and (click.get("element") is None or click["element"] != before.get("element")):
        return False
    if rule.same_element and click.get("page") != before.get("page"):
        return False
    return rule.measured_from == "first" or is_near(before, click, rule)


def is_rage(last: Sequence[Row], rule: RageClick) -> bool:
    """Whether linked hits, as many as make it rage, are close enough together."""
    if rule.span_ms is not None and ms(last[-1]) - ms(last[0]) > rule.span_ms:
        return False
    return rule.measured_from == "previous" or all(is_near(last[0], click, rule) for click in last[1:])


def is_near(one: Row, other: Row, rule: RageClick) -> bool:
    """Whether two hits lie within the radius; what has no place lies nowhere."""
    if rule.radius_px is None:
        return True
    if any(hit.get(axis) is None for hit in (one, other) for axis in ("x_px", "y_px")):
        return False
    across, down = abs(one["x_px"] - other["x_px"]), abs(one["y_px"] - other["y_px"])
    if rule.distance == "manhattan":
        return bool(across + down <= rule.radius_px)
    return bool(across**2 + down**2 <= rule.radius_px**2)


def longest_ms(rule: RageClick) -> int:
    """The longest that the hits which make it rage can take."""
    limits = []
    if rule.span_ms is not None:
        limits.append(rule.span_ms)
    if rule.gap_ms is not None:
        limits.append(rule.gap_ms * (rule.clicks - 1))
    return min(limits)


def dead_clicks(events: Sequence[Row], rule: DeadClick) -> Iterator[Told]:
    """The first of every run of dead clicks on one element."""
    dead = [event for event in events if is_dead(event, rule)]
    for event in first_of_runs(dead, ("page", "element"), rule.again_ms):
        where = f" of {event['element']}" if event.get("element") is not None else ""
        yield Told(event, None, event.get("element"), f"no reaction{where}")


def is_dead(event: Row, rule: DeadClick) -> bool:
    """Whether a tool says so, or nothing answered in time while the emitter watched."""
    if event["event_type"] == "dead_click":
        return True
    if event.get("element_role") in rule.ignored_roles:
        return False
    if event.get("reaction_ms") is not None:
        return bool(event["reaction_ms"] > rule.within_ms)
    return event.get("watched_ms") is not None and event["watched_ms"] >= rule.within_ms


def error_clicks(events: Sequence[Row], rule: ErrorClick) -> Iterator[Told]:
    """The first error after a click, and what was reported; each once."""
    found, reports = [], []
    before: Row | None = None  # the click or error before
    for event in events:
        detail = f"a click was answered by an error{said(event, 'message')}"
        if event["event_type"] == "error_click":
            reports.append(Told(event, None, event.get("element"), detail))
            continue
        if event["event_type"] == "api_error" and event.get("status") is not None and event["status"] < rule.lowest_status:
            continue
        if (
            event["event_type"] != "click"
            and before is not None
            and before["event_type"] == "click"
            and same(before, event, "page")
            and since(before, event) <= rule.within_ms
        ):
            found.append(Told(event, float(since(before, event)), before.get("element"), detail))
        before = event
    yield from once(found, reports, events, rule.reported_ms)


def option_flippings(events: Sequence[Row], rule: OptionFlipping) -> Iterator[Told]:
    """Changes of mind about one product, or one page."""
    things: dict[tuple[str, bool], list[Row]] = {}
    for event in events:
        is_click = event["event_type"] == "click"
        if is_click and (event.get("element_role") not in rule.roles or event.get("element") is None):
            continue
        subject = subject_of(event)
        if subject is not None:
            things.setdefault((subject, is_click), []).append(event)
    told = [
        Told(event, float(took_ms), subject_of(event), f"set back and forth {rule.flips} times in {took_ms // 1_000} s")
        for theirs in things.values()
        for event, _, took_ms in back_and_forth(
            theirs, [str(set_to(event)) for event in theirs], rule.flips + 1, rule.within_s * 1_000
        )
    ]
    yield from in_order(told, events)


def subject_of(event: Row) -> str | None:
    """What is set."""
    product_id: str | None = event.get("product_id")
    return event.get("page") if product_id is None else product_id


def set_to(event: Row) -> object:
    """What it is set to."""
    if event["event_type"] == "click":
        return event["element"]
    return event["event_type"], event.get("quantity")
