"""Signals of forms and logins, in plain loops."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pipeline.signals.form_abandoned import FormAbandoned
from pipeline.signals.form_error_loop import FormErrorLoop
from pipeline.signals.form_restarted import FormRestarted
from pipeline.signals.login_failed_repeatedly import LoginFailedRepeatedly
from tests.signal_loops.rows import Row, Told, by, completed, cut, in_order, ms, said, since


def form_error_loops(events: Sequence[Row], rule: FormErrorLoop) -> Iterator[Told]:
    """The first completing attempt of every run, form by form, told in the order of the events."""
    forms = defaultdict(list)
    for event in events:
        if event.get("form") is not None:
            forms[event["form"]].append(event)
    told = [loop for theirs in forms.values() for loop in loops_of_form(theirs, rule)]
    yield from sorted(told, key=lambda loop: [event is loop.event for event in events].index(True))


def loops_of_form(events: Sequence[Row], rule: FormErrorLoop) -> Iterator[Told]:
    """Those of one form."""
    attempts: list[Row] = []
    before: Row | None = None  # the error before, whether it began an attempt or not
    completed: Row | None = None
    for place, event in enumerate(events):
        if event["event_type"] == "form_submit":
            following = events[place + 1] if place + 1 < len(events) else None
            if not is_refusal(event, following, rule):
                attempts, before, completed = [], None, None
            continue
        is_same_attempt = before is not None and is_joined(before, event, rule)
        before = event
        if is_same_attempt:
            continue
        attempts.append(event)
        last = attempts[-rule.errors :]
        took_ms = ms(event) - ms(last[0])
        if len(last) < rule.errors or took_ms > rule.within_s * 1_000:
            continue
        if completed is None or ms(event) - ms(completed) > rule.within_s * 1_000:
            yield Told(event, float(took_ms), event["form"], refused(event, took_ms, rule))
        completed = event


def is_refusal(submit: Row, following: Row | None, rule: FormErrorLoop) -> bool:
    """Whether the form answered a submit with an error at once."""
    if following is None or following["event_type"] != "form_error":
        return False
    return ms(following) - ms(submit) <= rule.refusal_ms


def is_joined(before: Row, error: Row, rule: FormErrorLoop) -> bool:
    """Whether an error is of the same attempt as the one before: at once, on another field."""
    if ms(error) - ms(before) > rule.attempt_ms:
        return False
    fields = (before.get("field"), error.get("field"))
    return None not in fields and fields[0] != fields[1]


def refused(error: Row, took_ms: int, rule: FormErrorLoop) -> str:
    """One line of evidence."""
    field = f"; {error['field']}" if error.get("field") is not None else ""
    message = f": {error['message'][:200]}" if error.get("message") is not None else ""
    return f"refused {rule.errors} times in {took_ms // 1_000} s{field}{message}"


def logins_failed(events: Sequence[Row], rule: LoginFailedRepeatedly) -> Iterator[Told]:
    """Failures until somebody got in."""
    for event, took_ms in completed(cut(events, ("login", "sign_up")), rule.failures, rule.within_s * 1_000):
        detail = f"refused {rule.failures} times in {took_ms // 1_000} s{said(event, 'reason', 'message')}"
        yield Told(event, float(took_ms), None, detail)


def forms_restarted(events: Sequence[Row], rule: FormRestarted) -> Iterator[Told]:
    """Beginnings of one form until it was sent."""
    chains = []
    for form, theirs in by(events, "form").items():
        if form is None:
            continue
        meant = [event for event in theirs if event.get("page_type") in rule.page_types or any(name in form for name in rule.forms)]
        chains += [apart(chain, rule.again_ms) for chain in cut(meant, ("form_submit",))]
    told = [
        Told(event, float(took_ms), event["form"], f"begun {rule.starts} times in {took_ms // 1_000} s")
        for event, took_ms in completed(chains, rule.starts, rule.within_s * 1_000)
    ]
    yield from in_order(told, events)


def apart(chain: Sequence[Row], again_ms: int) -> list[Row]:
    """The events without those that follow another at once."""
    return [event for place, event in enumerate(chain) if place == 0 or since(chain[place - 1], event) > again_ms]


def forms_abandoned(events: Iterable[Row], rule: FormAbandoned) -> Iterator[Told]:
    """Of a session that has closed: the last touch of each form that nothing ended."""
    open_forms: dict[str, Row] = {}
    for event in events:
        form = event.get("form")
        if event["event_type"] in ("form_start", "form_error"):
            if form and form not in rule.ignored_forms:
                open_forms[form] = event
        elif form and event["event_type"] in ("form_submit", "purchase", "login", "sign_up"):
            open_forms.pop(form, None)
        elif event["event_type"] in ("form_submit", "purchase", "login", "sign_up"):
            open_forms.clear()
    for form, event in open_forms.items():
        yield Told(event, None, form, "begun and not sent")
