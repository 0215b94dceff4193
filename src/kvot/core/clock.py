"""The one clock of a process: wall time that cannot leap.

A wall clock that jumps forward would push events out of every window early and let companies overspend. So time
follows the wall only as far as a steady clock agrees, give or take `LEAP_MAX_MS`; a longer leap is refused, time
goes on at the steady clock's pace, and `refused_leap_ms` says by how much the wall is ahead (an alarm for the edges
to report). A wall clock that jumps backward freezes time, since each company's clock only ever advances.
After a restart there is nothing to compare with: the wall is believed.
"""

from collections.abc import Callable

LEAP_MAX_MS = 300_000
"""Five minutes: corrections of a healthy machine's clock are far smaller, and no window is shorter than a day."""


class SteadyClock:
    """Milliseconds since the epoch, from a wall clock and a steady one (both in ms; the steady one counts suspend)."""

    def __init__(self, wall_ms: Callable[[], int], steady_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms
        self._last_ms = wall_ms()
        self._last_steady_ms = steady_ms()
        self.refused_leap_ms = 0

    def __call__(self) -> int:
        wall, steady = self._wall_ms(), self._steady_ms()
        expected = self._last_ms + max(0, steady - self._last_steady_ms)
        leap = wall - expected
        if leap > LEAP_MAX_MS:
            self.refused_leap_ms = leap
            now = expected
        else:
            self.refused_leap_ms = 0
            now = max(self._last_ms, wall)
        self._last_ms, self._last_steady_ms = now, steady
        return now
