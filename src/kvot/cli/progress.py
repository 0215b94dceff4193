"""How far a long command is, on standard error, while a person watches. Nothing at all otherwise."""

import sys
import time
from types import TracebackType
from typing import Any, Self

_PAUSE_S = 0.1
"""Between two looks at the bar: ten a second are as many as an eye can use, and cost nothing."""


class _Line:
    """What is counted so far and how many a second, on a line that is drawn while a person watches."""

    def __init__(self, name: str, unit: str, total: int | None) -> None:
        self._unit = unit
        self._counted = 0
        self._started_s = time.monotonic()
        self._line: Any = _drawn(has_end=total is not None) if sys.stderr.isatty() else None
        self._task = self._line.add_task(name, total=total, counted="", rate="") if self._line else None

    def __enter__(self) -> Self:
        if self._line:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line:
            self._line.stop()

    def _show(self, **fields: int) -> None:
        rate = self._counted / max(time.monotonic() - self._started_s, 0.001)
        counted = f"{self._counted:,} {self._unit}"
        self._line.update(self._task, counted=counted, rate=f"{rate:,.0f}/s", **fields)


class Progress(_Line):
    """A bar from 0 to `total` (bytes of a file, companies), with rows, rows per second and the time left."""

    def __init__(self, name: str, total: int) -> None:
        super().__init__(name, "rows", total)
        self._shown_s = self._started_s
        self._place = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line:
            self._show()  # what came since the last look
        super().__exit__(kind, error, trace)

    def advance(self, rows: int) -> None:
        self._counted += rows

    def reach(self, place: int) -> None:
        self._place = place
        if self._line and time.monotonic() - self._shown_s >= _PAUSE_S:
            self._show()

    def _show(self, **fields: int) -> None:
        self._shown_s = time.monotonic()
        super()._show(completed=self._place, **fields)


class Counter(_Line):
    """Events so far and events per second, where nobody knows how many there will be."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "events", None)

    def advance(self, events: int) -> None:
        self._counted += events
        if self._line:
            self._show()


def _drawn(*, has_end: bool) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Line

    name = TextColumn("{task.description}")
    counted = (TextColumn("{task.fields[counted]}"), TextColumn("{task.fields[rate]}"))
    begins = (name, BarColumn(), TaskProgressColumn()) if has_end else (SpinnerColumn(), name)
    ends = TimeRemainingColumn() if has_end else TimeElapsedColumn()
    return Line(*begins, *counted, ends, console=Console(stderr=True), auto_refresh=True)
