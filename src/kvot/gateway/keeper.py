"""Keeps a hold alive as long as its call runs and may run, and says when the call must end."""

import asyncio
from collections.abc import Callable

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import Status

RENEWALS_PER_TTL = 3
"""Two renewals may fail before a hold runs out."""

_TRIES_PER_INTERVAL = 8
_MARGIN = 0.05
"""Of the ttl. A call is cut so long before its hold ends, so that no byte passes behind it."""


class HoldKeeper:
    """Renews one hold at a third of its ttl; calls `on_cut` once when the hold is about to run out all the same, or
    when the call has taken as long as it may: with True then, since its hold could have been kept.

    Most calls are over before the first renewal: they cost one timer.
    """

    __slots__ = (
        "_company_id", "_deadline_s", "_ends_at_s", "_has_ended", "_hold_id", "_ledger", "_loop", "_on_cut", "_task",
        "_timer", "_ttl_s",
    )  # fmt: skip

    def __init__(
        self,
        ledger: Ledger,
        company_id: str,
        hold_id: str,
        ttl_ms: int,
        held_at_s: float,
        longest_s: float,
        on_cut: Callable[[bool], None],
    ) -> None:
        """held_at_s: the loop's time before the hold was asked for, so it lasts at least until `held_at_s + ttl`.
        longest_s: how long the call may take from there."""
        self._ledger = ledger
        self._company_id = company_id
        self._hold_id = hold_id
        self._ttl_s = ttl_ms / 1000
        self._on_cut = on_cut
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = held_at_s + longest_s
        self._has_ended = False
        self._deadline_s = self._deadline(held_at_s)
        self._task: asyncio.Task[None] | None = None
        self._timer = self._next(held_at_s + self._ttl_s / RENEWALS_PER_TTL)

    def let_go(self) -> None:
        """The hold has ended as it should, so none is left to keep: a client that still reads may take its time, as
        long as any call may take."""
        self._has_ended = True

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _deadline(self, renewed_at_s: float) -> float:
        return min(renewed_at_s + self._ttl_s * (1 - _MARGIN), self._ends_at_s)

    def _next(self, renew_at_s: float) -> asyncio.TimerHandle:
        """What comes first: the next renewal, or the end."""
        if renew_at_s < self._deadline_s:
            return self._loop.call_at(renew_at_s, self._begin)
        return self._loop.call_at(self._deadline_s, self._cut)

    def _cut(self) -> None:
        if self._has_ended and self._deadline_s < self._ends_at_s:
            self._wait_for_the_longest()
        else:
            self._on_cut(self._deadline_s >= self._ends_at_s)

    def _begin(self) -> None:
        if self._has_ended:
            self._wait_for_the_longest()
        else:
            self._task = self._loop.create_task(self._renew())

    def _wait_for_the_longest(self) -> None:
        self._deadline_s = self._ends_at_s
        self._timer = self._loop.call_at(self._ends_at_s, self._cut)

    async def _renew(self) -> None:
        """The call is cut at the deadline whatever becomes of this: also when it fails in a way that nobody foresaw."""
        self._timer = self._loop.call_at(self._deadline_s, self._cut)
        asked_at_s = self._loop.time()
        interval_s = self._ttl_s / RENEWALS_PER_TTL
        if await self._is_renewed():
            self._deadline_s = self._deadline(asked_at_s)
            next_s = asked_at_s + interval_s
        else:
            next_s = self._loop.time() + interval_s / _TRIES_PER_INTERVAL
        self._timer.cancel()
        self._timer = self._next(next_s)

    async def _is_renewed(self) -> bool:
        """No answer in time is no renewal, whatever becomes of it."""
        try:
            async with asyncio.timeout_at(self._deadline_s):
                change = await self._ledger.renew(self._company_id, self._hold_id, round(self._ttl_s * 1000))
        except (StoreUnavailable, TimeoutError):
            return False
        return change.status is Status.DONE
