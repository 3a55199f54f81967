"""Signals of pages and of looking for something, in plain loops."""

from collections.abc import Iterator, Sequence
from math import floor, isfinite

from pipeline.signals.filter_dead_end import FilterDeadEnd
from pipeline.signals.page_error import PageError
from pipeline.signals.page_thrashing import PageThrashing
from pipeline.signals.search_dead_end import SearchDeadEnd
from pipeline.signals.slow_page import SlowPage
from pipeline.signals.step_ping_pong import StepPingPong
from tests.signal_loops.rows import Row, Told, back_and_forth, cut, first_of_runs, said, same, since


def slow_pages(vitals: Sequence[Row], rule: SlowPage) -> Iterator[Told]:
    """Every vital that is poor for its device."""
    everywhere = {"LCP": rule.lcp_ms, "INP": rule.inp_ms, "CLS": rule.cls}
    mobile = {"LCP": rule.mobile_lcp_ms, "INP": rule.mobile_inp_ms, "CLS": rule.mobile_cls}
    for vital in vitals:
        metric, value = vital.get("metric"), vital.get("value")
        if value is None or not isfinite(value) or metric not in everywhere:
            continue
        border = mobile[metric] if vital.get("device") in rule.mobile_devices else None
        if value <= (everywhere[metric] if border is None else border):
            continue
        if metric == "CLS":
            thousandths = floor(min(min(value, 1e15) * 1_000, 1e15))
            yield Told(vital, value, metric, f"CLS {thousandths // 1_000}.{thousandths % 1_000:03}")
        else:
            yield Told(vital, value, metric, f"{metric} {floor(min(value, 1e15))} ms")


def page_errors(events: Sequence[Row], rule: PageError) -> Iterator[Told]:
    """Every error that counts, on its own element or the one that was clicked just before."""
    click: Row | None = None
    for event in events:
        if event["event_type"] == "click":
            click = event if event.get("element") is not None else click
            continue
        status = event.get("status") if event["event_type"] == "api_error" else None
        if event["event_type"] == "api_error":
            counted = rule.without_status if status is None else status >= rule.lowest_status
            if not counted:
                continue
        number = f" {status}" if status is not None else ""
        element = event.get("element")
        if element is None and click is not None and same(click, event, "page") and since(click, event) <= rule.led_within_ms:
            element = click["element"]
        value = None if status is None else float(status)
        yield Told(event, value, element, f"{event['event_type']}{number}{said(event, 'message')}")


def page_thrashings(views: Sequence[Row], rule: PageThrashing) -> Iterator[Told]:
    """Back and forth between two pages."""
    seen = [view for view in views if view.get("page") is not None and view.get("page_type") not in rule.ignored_page_types]
    for view, other, took_ms in back_and_forth(seen, [view["page"] for view in seen], rule.views, rule.within_s * 1_000):
        yield Told(view, float(took_ms), other, f"{rule.views} times by turns here and at {other} in {took_ms // 1_000} s")


def step_ping_pongs(events: Sequence[Row], rule: StepPingPong) -> Iterator[Told]:
    """Back and forth between two steps."""
    steps = [event for event in events if event["event_type"] != "page_view" or event.get("page_type") in rule.page_types]
    steps = [event for event in steps if place_of(event) is not None]
    for event, other, took_ms in back_and_forth(
        steps, [str(place_of(event)) for event in steps], rule.stays, rule.within_s * 1_000
    ):
        detail = f"{rule.stays} times by turns at {place_of(event)} and {other} in {took_ms // 1_000} s"
        yield Told(event, float(took_ms), place_of(event), detail)


def place_of(event: Row) -> str | None:
    """The step, else the page."""
    step: str | None = event.get("step")
    return event.get("page") if step is None else step


def search_dead_ends(events: Sequence[Row], rule: SearchDeadEnd) -> Iterator[Told]:
    """Searches until something was opened or put in the cart."""
    within_ms = rule.within_s * 1_000
    for chain in cut(events, ("view_item", "add_to_cart")):
        new: list[Row] = []
        before: Row | None = None
        completed: Row | None = None
        for search in chain:
            is_same = before is not None and before.get("query") == search.get("query") and since(before, search) <= within_ms
            before = search
            is_new = search.get("query") is not None and not is_same
            if is_new:
                new.append(search)
            n_results = search.get("n_results")
            nothing = n_results is not None and n_results <= rule.most_results
            last = new[-rule.queries :]
            in_vain = is_new and len(last) == rule.queries and since(last[0], search) <= within_ms
            if not nothing and not in_vain:
                continue
            if completed is None or since(completed, search) > within_ms:
                took_s = since(last[0], search) // 1_000 if last else 0
                detail = "nothing found" if nothing else f"{rule.queries} queries in {took_s} s, and nothing opened"
                yield Told(search, None if n_results is None else float(n_results), search.get("query"), detail)
            completed = search


def filter_dead_ends(lists: Sequence[Row], rule: FilterDeadEnd) -> Iterator[Told]:
    """Lists of nothing."""
    empty = [each for each in lists if each.get("n_results") is not None and each["n_results"] <= rule.most_results]
    for each in first_of_runs(empty, ("page",), rule.again_s * 1_000):
        yield Told(each, float(each["n_results"]), each.get("element"), "nothing is left of the list")
