"""Attempts at a call that another process made, or one before a crash: what they were charged is taken back as well.

`Retries` knows what became of the attempts of its own process. Of all others the ledger knows their holds, and the id
of a hold carries a tag of the call that it is an attempt at: a digest under a key that all processes have and nobody
else. A repeated call whose answer was delivered, and that has not taken back as many lost attempts as it may, looks
there.

Lost is an attempt whose hold ran out (its process died: a call is settled before its reply ends), or that was settled
as `partial` (its reply was not whole). One whose hold is still open is waited for, in the background. What was settled
otherwise was delivered as far as the ledger knows: it stays charged, or answers could be had for nothing by asking one
process after the other.

Each is taken back once, whoever finds it: by the id of the correction. Nobody waits for any of this but `close`.
"""

import asyncio
import hmac
from collections.abc import Collection

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import HoldEnd, HoldState, Source
from kvot.core.store import TAG_DIGITS
from kvot.gateway.retries import KEPT_S, Attempt
from kvot.gateway.settling import Settler
from kvot.telemetry.tally import Tally

LOOKED_AT_MAX = 4_096
"""Holds of a company that are looked at: some milliseconds. Of a company that makes more within `KEPT_S` the last."""

WAIT_S = KEPT_S
"""For attempts that are still under way. A hold that nobody renews has run out by then."""

WAITING_MAX = 1_024
"""Calls that wait for earlier attempts. Those of one more stay charged."""

_PAUSE_LEAST_S = 0.25
"""Between two looks."""

_STORE_PAUSE_S = 1.0
"""After a store that did not answer."""


class Found:
    """What a call looks for. `left`: how many lost attempts it may still take back."""

    __slots__ = ("company_id", "known", "left", "tag", "tally")

    def __init__(self, company_id: str, tag: bytes, known: Collection[str], left: int, tally: Tally) -> None:
        """known: the ids of its own hold, and of those that were taken back already."""
        self.company_id = company_id
        self.tag = tag.hex()
        self.known = set(known)
        self.left = left
        self.tally = tally


class Elsewhere:
    """`key`: `derive_key(secret, ATTEMPTS)`, the same in all processes that serve one database."""

    def __init__(self, ledger: Ledger, settler: Settler, key: bytes) -> None:
        self._ledger = ledger
        self._settler = settler
        self._key = key
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = asyncio.Event()

    def tag(self, attempt: Attempt | None) -> bytes | None:
        """What the id of the attempt's hold ends in; None: of a call that nobody could know again."""
        if attempt is None:
            return None
        return hmac.digest(self._key, attempt.call, "sha256")[: TAG_DIGITS // 2]

    def take_back(self, company_id: str, attempt: Attempt, known: Collection[str], count: int, tally: Tally) -> None:
        """Take back, in the background, what at most `count` lost attempts were charged; `known` are none of them."""
        tag = self.tag(attempt)
        if tag is None or count <= 0 or len(self._tasks) >= WAITING_MAX:
            return
        task = asyncio.create_task(self._take_back(Found(company_id, tag, known, count, tally)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Return when nothing is written any more. Attempts that are still under way stay charged."""
        self._is_closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _take_back(self, sought: Found) -> None:
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + WAIT_S
        while True:
            try:
                open_ = await self._look(sought)
            except StoreUnavailable:
                pause_s = _STORE_PAUSE_S
            else:
                if not (sought.left and open_):
                    return
                pause_s = max(_PAUSE_LEAST_S, self._until_one_runs_out_s(open_))
            if loop.time() >= ends_at_s or await self._is_closed_within(pause_s):
                return

    def _until_one_runs_out_s(self, open_: list[HoldEnd]) -> float:
        """Unless it is renewed, as that of a process that lives is."""
        return (min(each.expires_at_ms for each in open_) - self._ledger.now_ms()) / 1000

    async def _look(self, sought: Found) -> list[HoldEnd]:
        """Take back what is lost by now. The attempts that are still under way."""
        found = await self._ledger.tagged_holds(
            sought.company_id, sought.tag, within_ms=round(KEPT_S * 1000), limit=LOOKED_AT_MAX
        )
        others = [each for each in found if each.hold_id not in sought.known]
        for each in others:
            if not sought.left:
                break
            if is_lost(each):
                is_ours = await self._settler.take_back_charge(
                    sought.company_id, each.hold_id, each.tokens, sought.tally
                )
                sought.known.add(each.hold_id)
                sought.left -= is_ours
        return [each for each in others if each.state is HoldState.OPEN]

    async def _is_closed_within(self, pause_s: float) -> bool:
        try:
            async with asyncio.timeout(pause_s):
                await self._is_closing.wait()
        except TimeoutError:
            return False
        return True


def is_lost(end: HoldEnd) -> bool:
    """Whether the answer to the hold's call did not arrive whole, for all that the ledger knows."""
    return end.state is HoldState.CHARGED or (end.state is HoldState.SETTLED and end.source is Source.PARTIAL)
