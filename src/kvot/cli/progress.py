"""How far a long command is, on standard error, while a person watches. Nothing at all otherwise."""

import sys
import time
from types import TracebackType
from typing import Any, Self

_PAUSE_S = 0.1
"""Between two looks at the bar: ten a second are as many as an eye can use, and cost nothing."""


class Progress:
    """A bar from 0 to `total` (bytes of a file, companies), with rows, rows per second and the time left."""

    def __init__(self, name: str, total: int) -> None:
        self._rows = 0
        self._started_s = self._shown_s = time.monotonic()
        self._bar: Any = _bar() if sys.stderr.isatty() else None
        self._task = self._bar.add_task(name, total=total, rows="", rate="") if self._bar else None
        self._place = 0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._show()
            self._bar.stop()

    def advance(self, rows: int) -> None:
        self._rows += rows

    def reach(self, place: int) -> None:
        self._place = place
        if self._bar and time.monotonic() - self._shown_s >= _PAUSE_S:
            self._show()

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        rate = self._rows / max(self._shown_s - self._started_s, 0.001)
        self._bar.update(self._task, completed=self._place, rows=f"{self._rows:,} rows", rate=f"{rate:,.0f}/s")


class Counter:
    """Events so far and events per second, where nobody knows how many there will be."""

    def __init__(self, name: str) -> None:
        self._events = 0
        self._started_s = time.monotonic()
        self._bar: Any = _counter() if sys.stderr.isatty() else None
        self._task = self._bar.add_task(name, total=None, rows="", rate="") if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, events: int) -> None:
        self._events += events
        if self._bar:
            rate = self._events / max(time.monotonic() - self._started_s, 0.001)
            self._bar.update(self._task, rows=f"{self._events:,} events", rate=f"{rate:,.0f}/s")


def _counter() -> Any:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=True,
    )


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=True,
    )
