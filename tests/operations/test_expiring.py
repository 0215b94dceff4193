import asyncio

from kvot.core.budget import Rules
from kvot.core.errors import InvalidRequest, StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import NewHold
from kvot.operations.expiring import expire_now_and_then
from kvot.stores.memory import MemoryStore
from tests.operations.support import ACME, NOW_MS


class AwayAtFirst(MemoryStore):
    def __init__(self):
        super().__init__(Rules())
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self.faults: list[Exception] = [StoreUnavailable("The store is away."), InvalidRequest("Nobody asked.")]

    async def expire(self, company_id=None, *, now_ms):
        if self.faults:
            raise self.faults.pop(0)
        closed = await super().expire(company_id, now_ms=now_ms)
        await self.closed.put(closed)
        return closed


async def test_holds_that_run_out_are_closed_again_and_again_also_after_a_failure():
    store, times = AwayAtFirst(), iter([NOW_MS, NOW_MS, *[NOW_MS + 5] * 3, *[NOW_MS + 9] * 1_000])
    ledger = Ledger(store, lambda: next(times))
    await ledger.reserve(ACME, NewHold("h", 7, 5))
    await ledger.reserve(ACME, NewHold("later", 7, 9))
    task = asyncio.create_task(expire_now_and_then(ledger, every_s=0))
    assert [await store.closed.get() for _ in range(3)] == [1, 1, 0]
    task.cancel()
    await asyncio.wait([task])
