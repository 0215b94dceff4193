"""Histories: clients who ask one company's ledger at once, by a seed; every call and answer is written down.

Now and then a client stops waiting. What became of its call it cannot know, so it asks again under the same id.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

from kvot.core.errors import StoreUnavailable
from kvot.core.model import Status
from tests.conformance.linearizable import Answer, Call, Operation
from tests.conformance.scene import Scene

CLIENTS = 8
LIMIT = 400
CUT_OFF_PERCENT = 10
TURNS_MAX = 6
"""Of the event loop, after which a client that will not wait any longer has gone."""

TROUBLE_EACH = 20
"""Calls. Much more often, and hardly a call would be answered."""

Trouble = Callable[[], Awaitable[None]]


class Recorder:
    """Plays one history on a scene. Clients share a pool of ids, so that they meet on holds as well as on tokens."""

    def __init__(self, scene: Scene, seed: int, operations: int, trouble: Trouble | None = None) -> None:
        """Each seed has a company of its own, so that many histories are recorded on one scene."""
        self._scene = scene
        self._company = f"{seed:08x}-1111-4111-8111-111111111111"
        self._trouble = trouble
        self._chance = random.Random(seed)
        self._left = operations
        self._ids = max(4, operations // 4)
        self._instants = count()
        self.calls: list[Call] = []

    async def play(self) -> list[Call]:
        await self._scene.set_budget(LIMIT, company=self._company)
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))
        return self.calls

    async def _client(self) -> None:
        while self._left > 0:
            operation = self._draw()
            while not await self._call(operation):
                pass

    def _draw(self) -> Operation:
        name = self._chance.choices(("reserve", "settle", "release", "record", "usage"), (45, 25, 8, 7, 15))[0]
        number, other = self._chance.randrange(self._ids), self._chance.random() < 0.1
        if name == "record":
            return Operation(name, f"e{number}", 1 + number % 5 + other)
        if name == "reserve":
            return Operation(name, f"h{number}", 10 + number % 30 + other)
        return Operation(name, f"h{number}", 1 + number % 4 + other if name == "settle" else 0)

    async def _call(self, operation: Operation) -> bool:
        """Ask once; whether there was an answer."""
        self._left -= 1
        if self._trouble is not None and self._left % TROUBLE_EACH == 0:
            await self._trouble()
        turns = self._chance.randrange(TURNS_MAX) if self._chance.random() * 100 < CUT_OFF_PERCENT else None
        called = next(self._instants)
        answer = await answer_or_none(self._ask(operation), turns)
        returned = None if answer is None else next(self._instants)
        self.calls.append(Call(operation, called, returned, answer))
        return answer is not None

    async def _ask(self, operation: Operation) -> Answer:
        name, id_, tokens = operation
        if name == "usage":
            usage = await self._scene.usage(company=self._company)
            return Answer(Status.DONE, usage.tokens_used, usage.tokens_held)
        given = (id_,) if name == "release" else (id_, tokens)
        done = await getattr(self._scene, name)(*given, company=self._company)
        return Answer(done.status, done.usage.tokens_used, done.usage.tokens_held)


async def answer_or_none(call: Coroutine[Any, Any, Answer], turns: int | None) -> Answer | None:
    """The answer, unless it takes more turns of the event loop than the client waits, or the store cannot say."""
    task = asyncio.ensure_future(call)
    if turns is not None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return None
    try:
        return task.result()
    except StoreUnavailable:
        return None
