"""Times and spans of time as people read them."""

from datetime import datetime, timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(length: timedelta) -> str:
    """`2 d 3 h`, `4 h 10 min`, `8 s`: its two greatest units."""
    seconds = abs(round(length.total_seconds()))
    for place, (size, unit) in enumerate(_UNITS):
        if seconds >= size:
            n, rest = divmod(seconds, size)
            less, name = _UNITS[min(place + 1, len(_UNITS) - 1)]
            return f"{n} {unit}" + (f" {rest // less} {name}" if rest >= less else "")
    return "0 s"


def spelt(at: datetime) -> str:
    """To the minute, UTC."""
    return f"{at:%Y-%m-%d %H:%M}"
