"""How long a question waits for its answer, and when it is asked again. No clock: the shells pass the time in."""

from kvot.client.server import NOT_SENT
from kvot.core.errors import KvotError, NotFound, StoreUnavailable

_PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Before each repetition where nobody said how long to wait. The first is none: a connection that was idle is gone with
the first reply, and the next has a new one."""

AGAIN = 2
"""How often a question is asked again where its answer is waited for: an idle connection is gone, and the new one meets
a server that restarts."""

_OVERTAKEN_S = 0.5
"""When to release again what was not found: its reserving may still be on the way."""


class Asking:
    """One question that counts once, however often it is asked.

    within_s: for the answer, in all. repeats: how often at most it is asked again.
    """

    def __init__(self, now_s: float, within_s: float, repeats: int, *, also_not_found: bool = False) -> None:
        self._until_s = now_s + within_s
        self._repeats = repeats
        self._repeated = (StoreUnavailable, NotFound) if also_not_found else (StoreUnavailable,)
        self._asked = 0
        self._doubts = 0

    @property
    def may_be_done(self) -> bool:
        """Whether what was asked may have been carried out: of one ask at least nobody said that it was not."""
        return self._doubts > 0

    def timeout_s(self, now_s: float) -> float:
        """How long the ask that begins now may wait. One that hangs leaves time for another."""
        self._asked += 1
        self._doubts += 1
        left_s = max(self._until_s - now_s, 0.001)
        return left_s / 2 if self._asked <= self._repeats else left_s

    def pause_s(self, error: KvotError, now_s: float) -> float | None:
        """How long to wait before the same is asked again after an error; None: it is not, and the error stands."""
        if isinstance(error.__cause__, NOT_SENT) or not isinstance(error, StoreUnavailable):
            self._doubts -= 1
        if self._asked > self._repeats or not isinstance(error, self._repeated):
            return None
        pause_s = self._pause_s(error)
        return pause_s if now_s + pause_s < self._until_s else None

    def _pause_s(self, error: KvotError) -> float:
        if isinstance(error, NotFound):
            return _OVERTAKEN_S
        if error.__cause__ is None and error.retry_after_ms is not None:  # a reply that says so
            return error.retry_after_ms / 1_000
        return _PAUSES_S[min(self._asked, len(_PAUSES_S)) - 1]
