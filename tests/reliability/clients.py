"""Clients over HTTP, and what they were told: which holds and settlements were acknowledged, and how they were refused.

A client that hears 503, or nothing, does not know what became of its call: it asks again with the same id.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp

CLIENTS = 64
ESTIMATE = 10
TTL_SECONDS = 3_600
"""Longer than any trial: no hold runs out in one."""

PAUSE_S = 0.1
"""Of a client that was refused. Retry-After says a second; clients that come too soon are the harder trial."""

REPEATS_MAX = 2_000

NOT_ANSWERED = 0


class Told(NamedTuple):
    status: int
    document: dict[str, Any]


class Clients:
    """Everything that they do and hear. `over` is the most that an answer showed above the limit."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._key = key
        self._milestones: list[tuple[int, asyncio.Event]] = []
        self._is_over = False
        self.calls = 0
        self.statuses: Counter[int] = Counter()
        self.wrong: list[Told] = []
        self.without_retry_after = 0
        self.refusals_s: list[float] = []
        """How long each 503 took."""
        self.over = 0
        self.open: dict[str, str] = {}
        """The company of each hold that was acknowledged and not settled."""
        self.settled: dict[str, tuple[str, int]] = {}
        """The company and the tokens of each settlement that was acknowledged."""

    async def run(self, client: Callable[[int], Awaitable[None]], *others: Awaitable[object]) -> None:
        """All clients at once, and what happens meanwhile."""
        self._is_over = False
        connector = aiohttp.TCPConnector(limit=CLIENTS)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(
            self._address, connector=connector, timeout=timeout, headers={"x-api-key": self._key}
        ) as self._session:
            await asyncio.gather(self._run_all(client), *others)

    async def _run_all(self, client: Callable[[int], Awaitable[None]]) -> None:
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        self._is_over = True
        for _, event in self._milestones:
            event.set()

    async def after(self, calls: int) -> None:
        """Wait until so many more calls were made, or there will be no more."""
        if self._is_over:
            return
        event = asyncio.Event()
        self._milestones.append((self.calls + calls, event))
        await event.wait()

    async def pause(self) -> None:
        """As a client that was refused."""
        await asyncio.sleep(PAUSE_S)

    async def reserve(self, company: str, hold_id: str, tokens: int = ESTIMATE) -> bool:
        """Whether they were set aside."""
        body = {"companyId": company, "holdId": hold_id, "tokens": tokens, "ttlSeconds": TTL_SECONDS}
        told = await self._until_known("/assistant/ai-chat/holds", body)
        if told.status == 200:
            self.open[hold_id] = company
        return self._is_as_expected(told, 200, 429)

    async def settle(self, company: str, hold_id: str, tokens: int) -> None:
        body = {"companyId": company, "tokensUsed": tokens}
        told = await self._until_known(f"/assistant/ai-chat/holds/{hold_id}/settle", body)
        if self._is_as_expected(told, 200):
            del self.open[hold_id]
            self.settled[hold_id] = (company, tokens)

    def _is_as_expected(self, told: Told, *expected: int) -> bool:
        if told.status not in expected:
            self.wrong.append(told)
        if told.status != 200:
            return False
        document = told.document
        self.over = max(self.over, document["tokensUsed"] + document["tokensHeld"] - document["tokenLimit"])
        return True

    async def _until_known(self, path: str, body: dict[str, Any]) -> Told:
        for _ in range(REPEATS_MAX):
            told = await self._once(path, body)
            if told.status not in (503, NOT_ANSWERED):
                return told
            await self.pause()
        raise AssertionError(f"{path} was not answered in {REPEATS_MAX} tries")

    async def _once(self, path: str, body: dict[str, Any]) -> Told:
        self._count()
        asked_s = time.monotonic()
        try:
            async with self._session.post(path, json=body) as reply:
                told = Told(reply.status, await reply.json())
                retry_after = reply.headers.get("retry-after")
        except (aiohttp.ClientConnectionError, ConnectionError):
            told, retry_after = Told(NOT_ANSWERED, {}), None
        self.statuses[told.status] += 1
        if told.status == 503:
            self.without_retry_after += retry_after is None
            self.refusals_s.append(time.monotonic() - asked_s)
        return told

    def _count(self) -> None:
        self.calls += 1
        for milestone in [each for each in self._milestones if self.calls >= each[0]]:
            self._milestones.remove(milestone)
            milestone[1].set()
