"""Planted faults in time and the window."""

from kvot.stores.memory_company import Company


class ClosedOnTheLeft(Company):
    def used(self, at_ms: int, window_ms: int) -> int:
        return self._tokens_between(at_ms - window_ms, at_ms + 1)


class OpenOnTheRight(Company):
    def used(self, at_ms: int, window_ms: int) -> int:
        return self._tokens_between(at_ms - window_ms + 1, at_ms)


class ClockGoesBack(Company):
    def advance(self, now_ms: int) -> int:
        self.clock_ms = min(self.clock_ms, now_ms)
        return super().advance(now_ms)


class BackwardClockDeletes(Company):
    """What lies after the new time is taken for an error and dropped."""

    def advance(self, now_ms: int) -> int:
        if now_ms < self.clock_ms:
            self.events = {name: event for name, event in self.events.items() if event.at_ms <= now_ms}
        return super().advance(now_ms)


class SlidingDeletes(Company):
    """What has left the window is deleted, as a sweeper would, and is missing when somebody looks back."""

    def advance(self, now_ms: int) -> int:
        due = super().advance(now_ms)
        start_ms = self.clock_ms - self.budget(self.clock_ms).window_ms
        self.events = {name: event for name, event in self.events.items() if event.at_ms > start_ms}
        return due


class AheadIsFree(Company):
    def committed(self) -> int:
        window_ms = self.budget(self.clock_ms).window_ms
        return self.used(self.clock_ms, window_ms) + self.held(self.clock_ms)
