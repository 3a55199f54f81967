"""The view of `ebbtide up`, in a thread of its own: reads the store as any dashboard would, and draws it.

It reads the tables and not the worker's memory, so what it shows is what there is to find.
"""

import logging
import re
import threading
import time
from collections import deque
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
from rich.console import Console, RenderableType
from rich.live import Live as Screen

from agents.folding import Folding
from agents.screen import OUTCOMES, Pulse, drawn
from agents.settings import Settings
from sinks.clickhouse import ClickHouse
from sinks.live import Live, look
from sinks.writer import Writer

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Pause between two looks at the store, at least."""
REST = 4
"""A look that took long is followed by so many times its own length of pause."""
RATE_OVER_S = 5.0
LINE_S = 5.0
"""How often a line is said where there is no terminal."""
WIDTH = 130
"""Of the picture, in characters."""
_FETCHED_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class LiveView:
    """What is going on, as a context: shown while the block runs."""

    def __init__(self, settings: Settings, folding: Folding, writer: Writer, *, speed: float, shows: bool) -> None:
        """Take what there is to look at; `shows` is false where nobody wants to see it."""
        self.note = ""
        """What is being waited for."""
        self._settings, self._folding, self._writer, self._speed, self._shows = settings, folding, writer, speed, shows
        self._journeys = settings.session_rules().journeys
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._counted: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._began = (time.monotonic(), 0)
        self._first: tuple[float, int] | None = None
        self._overall: float | None = None
        self._ending = threading.Event()
        self._again = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-view", daemon=True)
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        """Begin to look, and to show."""
        self._began = (time.monotonic(), self._folding.progress.events)
        self._thread.start()
        if self._shows and self._console.is_terminal:
            self._shown.enter_context(
                Screen(get_renderable=self.render, console=self._console, screen=True, refresh_per_second=4, redirect_stderr=False)
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the terminal back, with the last view on it."""
        self._ending.set()
        self._again.set()
        self._thread.join(10.0)
        self._shown.close()
        if self._shows and self._console.is_terminal and kind is None:
            self._console.print(self.render(whole=True))

    def render(self, *, whole: bool = False) -> RenderableType:
        """The view as it is now: as much of it as the terminal has room for, or the whole."""
        pulse = Pulse(
            self._events_per_s() if self._overall is None else self._overall,
            self._folding.progress.events,
            self._reached_at(),
            self._speed,
            self._writer.waiting_bytes,
            self.note,
        )
        size = self._console.size
        return drawn(self._live, pulse, self._journeys, None if whole else (size.width, size.height))

    def draw(self, path: Path) -> None:
        """Draw the last view into a file. Raises: OSError."""
        with Path("/dev/null").open("w") as nowhere:
            console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
            console.print(self.render(whole=True))
            drawing = console.export_svg(title="ebbtide up")
        # Fonts that would be fetched from elsewhere are left out: a picture is whole by itself.
        path.write_text(_FETCHED_FONTS.sub("", drawing), encoding="utf-8")

    def feed_ended(self) -> float:
        """Note that no more will come; records a second since the first one came, which is shown from now on."""
        since, n = self._first or self._began
        self._overall = (self._folding.progress.events - n) / max(time.monotonic() - since, 1e-9)
        return self._overall

    def look_once_more(self, patience_s: float = 10.0) -> None:
        """Look at the store now, and wait for it."""
        self.note = ""
        self._looked.clear()
        self._again.set()
        self._looked.wait(patience_s)

    def _events_per_s(self) -> float:
        now, n = time.monotonic(), self._folding.progress.events
        if self._first is None and n:
            self._first = (now, 0)
        self._counted.append((now, n))
        while len(self._counted) > 2 and self._counted[0][0] < now - RATE_OVER_S:
            self._counted.popleft()
        (begun, before), (ended, after) = self._counted[0], self._counted[-1]
        return (after - before) / max(ended - begun, 1e-9)

    def _reached_at(self) -> datetime | None:
        reached = self._folding.watermarks["watermark"].drop_nulls()
        return None if reached.is_empty() else reached.max()  # type: ignore[return-value]  # a column of times

    def _run(self) -> None:
        store = ClickHouse(self._settings.clickhouse.dsn, self._settings.clickhouse.database)
        said_at = time.monotonic()
        try:
            while not self._ending.is_set():
                self._again.clear()
                begun = time.monotonic()
                try:
                    self._live = look(store.query, self._settings.clickhouse.database)
                except Exception as error:  # noqa: BLE001 - a view that fails must not stop what it looks at
                    log.warning("the store could not be looked at: %s", error)
                ended = time.monotonic()
                self._looked.set()
                self._events_per_s()
                if self._shows and not self._console.is_terminal and ended - said_at >= LINE_S:
                    said_at = ended
                    self._say_line()
                self._again.wait(max(LOOK_S, REST * (ended - begun)))
        finally:
            store.close()

    def _say_line(self) -> None:
        statuses = self._live.statuses if self._live else {}
        told = ", ".join(f"{status} {n:,}" for status, n in sorted(statuses.items()))
        self._console.print(
            f"{self._folding.progress.events:,} events ({self._events_per_s():,.0f}/s); sessions: {told or 'none yet'}{self._lapses()}"
        )

    def _lapses(self) -> str:
        if self._live is None or self._live.lapses.is_empty():
            return ""
        counts = self._live.lapses.select(pl.col(name).sum() for name, _ in OUTCOMES).row(0, named=True)
        return f"; did not come: {', '.join(f'{name} {n:,}' for name, n in counts.items() if n)}"
