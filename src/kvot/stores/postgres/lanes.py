"""Operations of one company, together: while a call for a company is on its way, those that come later wait and then go
as one call, under one lock and with one flush of the disk.

A lone operation never waits for company. Each has its own answer. Companies do not wait for one another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from kvot.core.errors import StoreUnavailable

CALL_OPERATIONS_MAX = 256
"""In one call: some tens of milliseconds, which is how long an answer may wait for its neighbours."""

WAITING_MAX = 10_000
"""Of one process: seconds' worth. Whoever comes later is refused at once."""

Send = Callable[[str, Sequence[str]], Awaitable[list[asyncpg.Record | Exception]]]
"""Do operations (JSON) of a company in their order: for each its row, or why there is none."""

Waiting = list[tuple[str, "asyncio.Future[asyncpg.Record]"]]


class Lanes:
    """One lane for each company that has a call on its way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lanes: dict[str, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    def submit(self, company_id: str, operation: str) -> "asyncio.Future[asyncpg.Record]":
        """Have an operation done, also for a caller who stops waiting. Raises StoreUnavailable when too many wait."""
        if self._count >= WAITING_MAX:
            raise StoreUnavailable(f"{WAITING_MAX} operations are waiting. Nothing was done; try again.")
        future: asyncio.Future[asyncpg.Record] = asyncio.get_running_loop().create_future()
        self._count += 1
        lane = self._lanes.get(company_id)
        if lane is None:
            self._lanes[company_id] = [(operation, future)]
            task = asyncio.ensure_future(self._drive(company_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            lane.append((operation, future))
        return future

    async def close(self) -> None:
        """Finish what waits."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _drive(self, company_id: str) -> None:
        while waiting := self._lanes[company_id]:
            call, self._lanes[company_id] = waiting[:CALL_OPERATIONS_MAX], waiting[CALL_OPERATIONS_MAX:]
            await self._call(company_id, call)
        del self._lanes[company_id]

    async def _call(self, company_id: str, call: Waiting) -> None:
        try:
            answers = await self._send(company_id, [operation for operation, _ in call])
        except Exception as error:  # the task's outermost edge: whoever waits must hear of a fault of ours, too
            answers = [error] * len(call)
        self._count -= len(call)
        for (_, future), answer in zip(call, answers, strict=True):
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
