"""The way of the writes to the database: operations of one company in one lane, and lanes that wait in one call.

An operation goes at once while fewer than CALLS_MAX calls are on their way; those that come later wait and then go
together, as one transaction with one flush of the disk. Such a call takes the companies that are free and waits for no
lock. A company that was not free goes on in calls of its own, which wait for it and for which nobody else waits.

A lone operation never waits for company. Each has its own answer. A company has one call on its way at a time. Nobody
waits to be sent for longer than LOOKS_MAX, and nothing was done for whoever is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import asyncpg

from kvot.core.errors import StoreUnavailable

CALLS_MAX = 2
"""Shared calls on their way: one that works while the other flushes. With more, each carries fewer operations, and what
a transaction and a flush cost is spent more often (docs/internals/benches.md)."""

SHARED_OPERATIONS_MAX = 64
"""In one shared call: some ten milliseconds, which is how long it keeps companies locked and neighbours waiting."""

CALL_OPERATIONS_MAX = 256
"""In one call of a company's own: some tens of milliseconds."""

WAITING_MAX = 10_000
"""Of one process: seconds' worth. Whoever comes later is refused at once."""

LOOK_EVERY_S = 0.25
"""How often those who have waited too long are looked for. One timer for all costs less than one for each."""

LOOKS_MAX = 5
"""So many looks an operation waits to be sent, a second and a quarter at the most. Whoever has waited that long had
better come again, as with connections. Looks are counted and not seconds: a process that stood still refuses nobody for
having done so."""

Answers = list[asyncpg.Record | Exception]
"""For each operation, in order, its row, or why there is none."""

Send = Callable[[str, Sequence[str]], Awaitable[Answers]]
"""Do operations (JSON) of a company, once it is free."""

SendShared = Callable[[Mapping[str, Sequence[str]]], Awaitable[Mapping[str, Answers]]]
"""Do operations of those companies that are free; nothing is done of a company that has no answers."""


class Waiter(NamedTuple):
    operation: str
    future: "asyncio.Future[asyncpg.Record]"
    until_look: int
    """The look at which it has waited too long to be sent."""


Waiting = list[Waiter]


class Lanes:
    """One lane for each company that has operations on their way or waiting."""

    def __init__(self, send: Send, send_shared: SendShared) -> None:
        self._send = send
        self._send_shared = send_shared
        self._lanes: dict[str, Waiting] = {}
        self._ready: dict[str, None] = {}  # companies with operations that wait and no call on its way, in order
        self._calls = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._looks = 0
        self._next_look: asyncio.TimerHandle | None = None

    def submit(self, company_id: str, operation: str) -> "asyncio.Future[asyncpg.Record]":
        """Have an operation done, also for a caller who stops waiting. Raises StoreUnavailable when too many wait."""
        if self._count >= WAITING_MAX:
            message = f"{WAITING_MAX} operations are waiting. Nothing was done; try again."
            raise StoreUnavailable(message, did_nothing=True)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[asyncpg.Record] = loop.create_future()
        self._count += 1
        lane = self._lanes.get(company_id)
        if lane is None:
            lane = self._lanes[company_id] = []
            self._ready[company_id] = None
        lane.append(Waiter(operation, future, self._looks + LOOKS_MAX))
        if self._next_look is None:
            self._next_look = loop.call_later(LOOK_EVERY_S, self._refuse_late)
        if self._ready and self._calls < CALLS_MAX:
            self._calls += 1
            self._begin(self._drive_shared())
        return future

    async def close(self) -> None:
        """Finish what waits."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _refuse_late(self) -> None:
        """Refuse whoever has waited too long, and look again later if anything is left."""
        self._looks += 1
        for company_id, lane in list(self._lanes.items()):
            late = sum(1 for _ in takewhile(lambda waiter: waiter.until_look <= self._looks, lane))
            if late:
                self._answer(self._take(company_id, late), [_waited_too_long()] * late)
                self._leave(company_id)
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(LOOK_EVERY_S, self._refuse_late) if self._lanes else None

    def _leave(self, company_id: str) -> None:
        """Take a lane away of which nothing is left. That of a call on its way is taken away when it returns."""
        if company_id in self._ready and not self._lanes[company_id]:
            del self._ready[company_id], self._lanes[company_id]

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive_shared(self) -> None:
        while self._ready:
            await self._call_shared(self._take_ready())
            await asyncio.sleep(0)  # whoever was answered and asks again at once goes along
        self._calls -= 1

    def _take_ready(self) -> dict[str, Waiting]:
        """Of the lanes that wait, this call's share of all operations there are. A lane is not cut for that, since what
        is left of it would wait for this call. The busiest company comes last, so that it is locked for the shortest
        time."""
        taken: dict[str, Waiting] = {}
        share = min(-(-self._count // CALLS_MAX), SHARED_OPERATIONS_MAX)
        count = 0
        while self._ready and count < share:
            company_id = next(iter(self._ready))
            del self._ready[company_id]
            taken[company_id] = self._take(company_id, SHARED_OPERATIONS_MAX - count)
            count += len(taken[company_id])
        return dict(sorted(taken.items(), key=lambda each: len(each[1])))

    def _take(self, company_id: str, room: int) -> Waiting:
        lane = self._lanes[company_id]
        self._lanes[company_id] = lane[room:]
        return lane[:room]

    async def _call_shared(self, call: dict[str, Waiting]) -> None:
        answers: Mapping[str, Answers]
        try:
            answers = await self._send_shared({company_id: _operations(each) for company_id, each in call.items()})
        except Exception as error:  # the task's outermost edge: whoever waits must hear of a fault of ours, too
            answers = {company_id: [error] * len(waiting) for company_id, waiting in call.items()}
        for company_id, waiting in call.items():
            if company_id in answers:
                self._answer(waiting, answers[company_id])
                self._finish(company_id)
            else:
                self._begin(self._drive_alone(company_id, waiting))

    def _finish(self, company_id: str) -> None:
        if self._lanes[company_id]:
            self._ready[company_id] = None
        else:
            del self._lanes[company_id]

    async def _drive_alone(self, company_id: str, waiting: Waiting) -> None:
        while waiting:
            await self._call_alone(company_id, waiting)
            waiting = self._take(company_id, CALL_OPERATIONS_MAX)
        del self._lanes[company_id]

    async def _call_alone(self, company_id: str, waiting: Waiting) -> None:
        answers: Answers
        try:
            answers = await self._send(company_id, _operations(waiting))
        except Exception as error:  # the task's outermost edge, as above
            answers = [error] * len(waiting)
        self._answer(waiting, answers)

    def _answer(self, waiting: Waiting, answers: Answers) -> None:
        self._count -= len(waiting)
        for waiter, answer in zip(waiting, answers, strict=True):
            future = waiter.future
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _operations(waiting: Waiting) -> list[str]:
    return [waiter.operation for waiter in waiting]


def _waited_too_long() -> StoreUnavailable:
    message = "The database is busy: other operations are still on their way. Nothing was done; try again."
    return StoreUnavailable(message, did_nothing=True)
