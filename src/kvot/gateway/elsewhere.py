"""Attempts at a call that another process made, or one before a crash: what they were charged is taken back as well.

`Retries` knows what became of the attempts of its own process. Of all others the ledger knows their holds, and the id
of a hold carries a tag of the call that it is an attempt at, and of its words: a digest under a key that all processes
have and nobody else. A repeated call whose answer was delivered, and that has not taken back as many lost attempts as
it may, looks there.

Lost is an attempt whose hold ran out (its process died: a call is settled before its reply ends), or that was settled
as `partial` (its reply was not whole). One whose hold is still open is waited for, in the background. What was settled
otherwise was delivered as far as the ledger knows: it stays charged, or answers could be had for nothing by asking one
process after the other.

Each is taken back once, whoever finds it: by the id of the correction. Nobody waits for any of this but `close`.

Whoever repeats the same words a thousand times looks for the same attempts: they look as one, and no attempt is asked
for twice. So what a look costs is bounded by the holds that it finds, however many calls look.
"""

import asyncio
import hmac
from collections.abc import Collection

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import HoldEnd, HoldState, Source
from kvot.core.store import TAG_DIGITS
from kvot.core.window import MS_PER_SECOND
from kvot.gateway.retries import KEPT_S, Attempt
from kvot.gateway.settling import Settler
from kvot.operations.ids import TAG_BYTES
from kvot.telemetry.tally import Tally

LOOKED_AT_MAX = 4_096
"""Holds of a company that are looked at, of those that were made last and of the open ones: some milliseconds."""

WAIT_S = KEPT_S
"""For attempts that are still under way. A hold that nobody renews has run out by then, unless it should last more."""

WAITING_MAX, WAITING_OF_COMPANY_MAX = 1_024, 256
"""Tags that are looked for, of all companies and of one: what one company repeats leaves room for the others. The lost
attempts of one more stay charged."""

KNOWN_MAX = 4 * LOOKED_AT_MAX
"""Holds of which it is remembered that nothing is left to be done, by their ids."""

GATHER_S = 0.5
"""The calls of a company that come within it share one look, so that looking costs the same however many come. Where an
attempt is under way the next look comes after as long, and each later one after twice as long as the last: a client
that gave up has mostly been gone for a moment, and its attempt ends as soon as that is known there."""


class Sought:
    """What calls of one tag look for. `left`: how many lost attempts they may still take back."""

    __slots__ = ("ends_at_s", "left", "look_at_s", "pause_s", "tag", "tally")

    def __init__(self, tag: bytes, left: int, tally: Tally, ends_at_s: float) -> None:
        self.tag = tag.hex()
        self.left = left
        self.tally = tally
        self.look_at_s = 0.0
        self.pause_s = GATHER_S
        self.ends_at_s = ends_at_s

    def wait(self, now_s: float, longest_s: float) -> None:
        """Until the next look."""
        self.look_at_s = now_s + min(self.pause_s, longest_s)
        self.pause_s *= 2

    def join(self, other: "Sought") -> None:
        """One more call that looks for the same attempts: of the same words, so with the same tally."""
        self.left += other.left
        self.look_at_s = 0.0
        self.pause_s = GATHER_S
        self.ends_at_s = max(self.ends_at_s, other.ends_at_s)


class Elsewhere:
    """`key`: `derive_key(secret, ATTEMPTS)`, the same in all processes that serve one database. `call_max_s`: how long
    a call may take."""

    def __init__(self, ledger: Ledger, settler: Settler, key: bytes, call_max_s: int) -> None:
        self._ledger = ledger
        self._settler = settler
        self._key = key
        self._within_ms = round((call_max_s + KEPT_S) * MS_PER_SECOND)
        self._sought: dict[str, dict[str, Sought]] = {}  # by company, and by tag
        self._known: dict[str, bool] = {}  # holds, the oldest first; False: of an attempt that is none of those lost
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = asyncio.Event()

    def tag(self, attempt: Attempt | None) -> bytes | None:
        """What the id of the attempt's hold ends in; None: of a call that nobody could know again.

        It says the words as well: no process sees that a key goes to other words at another one, and a short answer
        must not take back what a long one was charged.
        """
        if attempt is None:
            return None
        return hmac.digest(self._key, attempt.call + attempt.words, "sha256")[:TAG_BYTES]

    def take_back(self, company_id: str, attempt: Attempt, known: Collection[str], count: int, tally: Tally) -> None:
        """Take back, in the background, what at most `count` lost attempts were charged. `known`: the holds of the
        attempt itself, and of those that were taken back already."""
        tag = self.tag(attempt)
        if tag is None or count <= 0 or sum(map(len, self._sought.values())) >= WAITING_MAX:
            return
        for hold_id in known:
            self._know(hold_id, is_done=self.has_taken_back(hold_id))
        sought = Sought(tag, count, tally, asyncio.get_running_loop().time() + WAIT_S)
        of_company = self._sought.get(company_id)
        if of_company is not None:
            self._add(of_company, sought)
            return
        self._sought[company_id] = {sought.tag: sought}
        task = asyncio.create_task(self._look_for(company_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _add(of_company: dict[str, Sought], sought: Sought) -> None:
        if sought.tag in of_company:
            of_company[sought.tag].join(sought)
        elif len(of_company) < WAITING_OF_COMPANY_MAX:
            of_company[sought.tag] = sought

    def has_taken_back(self, hold_id: str) -> bool:
        """Whether an attempt that the process may remember as lost is none any more, as far as this knows."""
        return self._known.get(hold_id, False)

    async def close(self) -> None:
        """Return when nothing is written any more. Attempts that are still under way stay charged."""
        self._is_closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _look_for(self, company_id: str) -> None:
        """As long as a call of the company looks for something. A server that stops looks once more."""
        loop, is_last = asyncio.get_running_loop(), False
        try:
            while self._sought[company_id] and not is_last:
                is_last = await self._is_closed_within(GATHER_S)
                now_s = loop.time()
                of_company = self._sought[company_id]
                tags = [each.tag for each in of_company.values() if is_last or each.look_at_s <= now_s]
                due = [of_company.pop(tag) for tag in tags]  # whoever comes meanwhile looks for itself
                if due:
                    await self._look(company_id, due, now_s)
                for each in due:
                    if each.left and each.ends_at_s > now_s:
                        self._add(of_company, each)
        finally:
            del self._sought[company_id]

    async def _look(self, company_id: str, due: list[Sought], now_s: float) -> None:
        """Take back what is lost by now, and say when to look again. A store that does not answer is asked again."""
        tags = sorted(each.tag for each in due)
        try:
            found = await self._ledger.tagged_holds(company_id, tags, within_ms=self._within_ms, limit=LOOKED_AT_MAX)
            by_tag: dict[str, list[HoldEnd]] = {tag: [] for tag in tags}
            for each in found:
                by_tag[each.hold_id[-TAG_DIGITS:]].append(each)
            for sought in due:
                ends = [each for each in by_tag[sought.tag] if each.hold_id not in self._known]
                await self._take_back(company_id, sought, ends)
                open_ = [each.expires_at_ms for each in ends if each.state is HoldState.OPEN]
                if open_:
                    sought.wait(now_s, (min(open_) - self._ledger.now_ms()) / MS_PER_SECOND)
                else:
                    sought.left = 0
        except StoreUnavailable:
            return

    async def _take_back(self, company_id: str, sought: Sought, ends: list[HoldEnd]) -> None:
        since_ms = self._ledger.now_ms() - round(KEPT_S * MS_PER_SECOND)
        for each in ends:
            if not sought.left:
                return
            if is_lost(each, since_ms):
                tally = sought.tally
                is_ours = await self._settler.take_back_charge(company_id, each.hold_id, each.tokens, tally)
                self._know(each.hold_id, is_done=True)
                sought.left -= is_ours

    def _know(self, hold_id: str, *, is_done: bool) -> None:
        self._known[hold_id] = is_done
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]

    async def _is_closed_within(self, pause_s: float) -> bool:
        try:
            async with asyncio.timeout(pause_s):
                await self._is_closing.wait()
        except TimeoutError:
            return False
        return True


def is_lost(end: HoldEnd, since_ms: int) -> bool:
    """Whether the answer to the hold's call did not arrive whole, for all that the ledger knows, and that was no longer
    ago than clients go on retrying."""
    if end.closed_at_ms is None or end.closed_at_ms < since_ms:
        return False
    return end.state is HoldState.CHARGED or (end.state is HoldState.SETTLED and end.source is Source.PARTIAL)
