"""Ends holds: settles or releases each exactly once, and goes on trying when the store cannot take it.

A hold that somebody else released while its call ran cannot be settled, but what its call used was used: it is counted
all the same, in an event of its own (`Ledger.record_unheld`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import Correction, HoldChange, HoldState, Settlement, Status
from kvot.core.store import settlement_event_id, unheld_event_id
from kvot.telemetry.logs import logger
from kvot.telemetry.tally import Tally

PAUSE_MIN_S = 0.25
PAUSE_MAX_S = 15.0
"""Between two tries to write an end: twice as long each time. None is given up while the process runs: a hold that ran
out meanwhile was charged whole, and takes what its call used whenever that comes. What waits is bounded by the calls
that were under way, as no new one is let through meanwhile, and by UNSURE_MAX."""

UNSURE_MAX = 1_000
"""Ends that wait, beyond which none is added of a hold that nobody knows to be there. Each call that finds its store
away leaves one; the first ones, whose answers were lost as it went, are those that may have a hold."""

ACTOR = "gateway"
"""Who stands beside its corrections in the history."""

UNANSWERED_MAX = 10_000
"""Corrections that are remembered as asked for and not answered, some hundred bytes each. One beyond them counts as
somebody else's if its repetition finds it done."""

Beside = Callable[[], Awaitable[None]]


class _Ended(NamedTuple):
    """What is written of which hold, for the log should it be given up: the charge is then not what it should be, and
    somebody may mend it by these figures. tokens: those of the call; 0 of a release."""

    write: str
    company: str
    hold: str
    tokens: int

    def give_up(self) -> None:
        logger("kvot.gateway").error("write given up", **self._asdict())


class Settler:
    """Every operation of a hold's end has the hold's id, so that repeating it is safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks: dict[asyncio.Future[Any], _Ended] = {}
        self._unanswered: set[str] = set()  # corrections, by their ids

    async def end(
        self, company_id: str, hold_id: str, settlement: Settlement | None, beside: Beside | None = None
    ) -> None:
        """Return when whoever asks finds the end in the ledger, or when it is handed to the background. `settlement`
        None: release.

        beside: another write, given to the store in the same turn, so that both share a commit. It may be repeated.

        Cancelled, it leaves the rest to the background too: whether the write was on its way does not matter.
        """
        try:
            if settlement is None or beside is not None or not self.settles_soon:
                await self._write(company_id, hold_id, settlement, beside)
            else:
                self.settle_soon(company_id, hold_id, settlement)
        except StoreUnavailable:
            self.end_later(company_id, hold_id, settlement, beside, pause_s=PAUSE_MIN_S)
        except asyncio.CancelledError:
            self.end_later(company_id, hold_id, settlement, beside)
            raise

    def end_later(
        self,
        company_id: str,
        hold_id: str,
        settlement: Settlement | None,
        beside: Beside | None = None,
        *,
        pause_s: float = 0.0,
        is_sure: bool = True,
    ) -> None:
        """The same in the background, where nobody waits for it. is_sure: there is such a hold, or was."""
        ended = _ended(company_id, hold_id, settlement)
        if not is_sure and len(self._tasks) >= UNSURE_MAX:
            ended.give_up()
            return
        end = partial(self._write, company_id, hold_id, settlement, beside)
        self._in_background(end, ended, pause_s)

    @property
    def settles_soon(self) -> bool:
        return self._ledger.settles_soon

    def settle_soon(self, company_id: str, hold_id: str, settlement: Settlement) -> None:
        """Where `settles_soon`: whatever is asked after this is answered as after it."""
        try:
            durable = self._ledger.settle_soon(company_id, hold_id, settlement)
        except StoreUnavailable:
            self.end_later(company_id, hold_id, settlement, pause_s=PAUSE_MIN_S)
        else:
            self._see_through(durable, company_id, hold_id, settlement)

    def _see_through(
        self, durable: Awaitable[HoldChange], company_id: str, hold_id: str, settlement: Settlement
    ) -> None:
        """In the background: an end that does not become durable, or is refused, is written again."""
        future = asyncio.ensure_future(durable)

        def look(done: asyncio.Future[HoldChange]) -> None:
            del self._tasks[done]
            if done.cancelled():  # given up
                return
            try:
                is_refused = _is_dropped(done.result())
            except StoreUnavailable:
                self.end_later(company_id, hold_id, settlement, pause_s=PAUSE_MIN_S)
            else:
                if is_refused:
                    self.end_later(company_id, hold_id, settlement)

        self._tasks[future] = _ended(company_id, hold_id, settlement)
        future.add_done_callback(look)

    def take_back(
        self, company_id: str, hold_id: str, settlement: Settlement, tally: Tally, otherwise: Callable[[], None]
    ) -> None:
        """Correct, in the background, the charge of an attempt whose answer did not arrive, and that was repeated with
        success. `tally` is told of it once it is in the ledger, unless another process put it there. `otherwise` is
        called where this took nothing back, as somebody else had: the answer may take back another attempt.

        The attempt is settled first, once more for most: where its settlement is still on its way, or was given up and
        the hold ran out and was charged at its amount, this makes the charge what is then taken back. The hold's id is
        ours and random, so that nobody's own id is that of the correction.
        """

        async def settle_and_correct() -> None:
            counted_in = await self._settle(company_id, hold_id, settlement)
            if not await self._correct(company_id, _taken_back(hold_id, counted_in, settlement.tokens), tally):
                otherwise()

        self._in_background(settle_and_correct, _Ended("correction", company_id, hold_id, settlement.tokens))

    async def take_back_charge(self, company_id: str, hold_id: str, tokens: int, tally: Tally) -> bool:
        """The same at once, of an attempt that the ledger knows the end of. Whether it was done by this: an attempt is
        taken back once, also where two processes find it. Raises StoreUnavailable."""
        return await self._correct(company_id, _taken_back(hold_id, settlement_event_id(hold_id), tokens), tally)

    async def _correct(self, company_id: str, correction: Correction, tally: Tally) -> bool:
        """Whether this process took it back, so that of all who may only one counts it. What is found done was somebody
        else's, unless this process asked for it before and got no answer."""
        try:
            status = (await self._ledger.correct(company_id, correction)).status
        except StoreUnavailable:
            if len(self._unanswered) < UNANSWERED_MAX:
                self._unanswered.add(correction.event_id)
            raise
        is_asked_again = correction.event_id in self._unanswered
        self._unanswered.discard(correction.event_id)
        is_ours = status is Status.DONE or (status is Status.REPLAYED and is_asked_again)
        if is_ours:
            tally.take_back(-correction.tokens)
        return is_ours

    async def finish(self, within_s: float) -> None:
        """Return when nothing is left in the background; what is not written within so long is given up."""
        ends_s = asyncio.get_running_loop().time() + within_s
        while self._tasks and (left_s := ends_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        left = dict(self._tasks)
        for task, ended in left.items():
            ended.give_up()
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _write(self, company_id: str, hold_id: str, settlement: Settlement | None, beside: Beside | None) -> None:
        if beside is None:
            await self._write_end(company_id, hold_id, settlement)
        else:
            await asyncio.gather(self._write_end(company_id, hold_id, settlement), beside())

    async def _write_end(self, company_id: str, hold_id: str, settlement: Settlement | None) -> None:
        if settlement is None:
            await self._ledger.release(company_id, hold_id)
        else:
            await self._settle(company_id, hold_id, settlement)

    async def _settle(self, company_id: str, hold_id: str, settlement: Settlement) -> str:
        """The id of the event that the settlement is counted in."""
        change = await self._ledger.settle(company_id, hold_id, settlement)
        return await self._counted(company_id, hold_id, settlement, change)

    async def _counted(self, company_id: str, hold_id: str, settlement: Settlement, change: HoldChange) -> str:
        """The same, of a settlement that was answered with `change`. No other refusal changes anything here: a hold
        that was settled, or ran out, has its charge."""
        if not _is_dropped(change):
            return settlement_event_id(hold_id)
        await self._ledger.record_unheld(company_id, hold_id, change.hold, settlement)
        logger("kvot.gateway").warning("hold of a running call dropped", company=company_id, hold=hold_id)
        return unheld_event_id(hold_id)

    def _in_background(self, write: Callable[[], Awaitable[object]], ended: _Ended, pause_s: float = 0.0) -> None:
        task = asyncio.create_task(_keep_writing(write, pause_s))
        self._tasks[task] = ended
        task.add_done_callback(self._tasks.pop)


def _is_dropped(change: HoldChange) -> bool:
    """Whether there is no hold that could be settled, so that nothing of it is counted."""
    return change.hold is None or change.hold.state is HoldState.RELEASED


def _taken_back(hold_id: str, counted_in: str, tokens: int) -> Correction:
    """Whoever takes the same back makes the same of it, so that it is done once."""
    return Correction(
        event_id=f"retried-{hold_id}",
        target_id=counted_in,
        tokens=-tokens,
        actor=ACTOR,
        reason="The answer of this attempt did not arrive whole, and the call was repeated.",
    )


def _ended(company_id: str, hold_id: str, settlement: Settlement | None) -> _Ended:
    if settlement is None:
        return _Ended("release", company_id, hold_id, 0)
    return _Ended("settlement", company_id, hold_id, settlement.tokens)


async def _keep_writing(write: Callable[[], Awaitable[object]], pause_s: float) -> None:
    while True:
        await asyncio.sleep(pause_s)
        try:
            await write()
            return
        except StoreUnavailable:
            pause_s = min(PAUSE_MAX_S, max(PAUSE_MIN_S, 2 * pause_s))
