"""Sees to it that a change of keys by any process is known in this one within a second.

The database counts the changes. Each is told at once to those who listen; whether one was missed is asked twice a
second. When no answer has come for a second the version changes with every look, so that no cached identity is believed
longer than that.

The database's count is only compared, never believed to grow: after a failover, or when a backup was put in its place,
it is a smaller one and comes by the same numbers a second time. What grows is our own count of what was noticed.
"""

import asyncio
from collections.abc import Callable

import asyncpg

from kvot.core.errors import KvotError
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.connection import connect
from kvot.stores.postgres.errors import DRIVER_ERRORS

POLL_S = 0.5
BELIEVED_S = 1.0
_VERSION = "SELECT version FROM kvot.keys_version"


class KeysWatch:
    """`version` changes when any key may have. Used on one event loop, from the first question on."""

    def __init__(self, address: Address, now_s: Callable[[], float] | None = None) -> None:
        self._address = address
        self._now_s = now_s
        self._seen: int | None = None
        self._changes = 0
        self._doubts = 0
        self._heard_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard_once = asyncio.Event()
        self._is_closed = False

    @property
    def version(self) -> int:
        if self._heard_s is None or self._clock() - self._heard_s > BELIEVED_S:
            self._doubts += 1
        return self._changes + self._doubts

    def _clock(self) -> float:
        return self._now_s() if self._now_s is not None else asyncio.get_running_loop().time()

    def changed_to(self, version: int) -> None:
        """A change was made, whichever number it has."""
        self._seen = version
        self._changes += 1

    async def start(self) -> None:
        """Begin to watch, if that is not done; return when the version is known or cannot be asked."""
        if self._task is None and not self._is_closed:
            self._task = asyncio.ensure_future(self._watch())
        await self._heard_once.wait()

    async def close(self) -> None:
        self._is_closed = True
        self._heard_once.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            try:
                connection, _ = await connect(self._address)
            except KvotError:
                self._heard_once.set()
                await asyncio.sleep(POLL_S)
                continue
            try:
                await self._listen(connection)
            except DRIVER_ERRORS:
                self._heard_once.set()
                await asyncio.sleep(POLL_S)
            finally:
                connection.terminate()

    async def _listen(self, connection: asyncpg.Connection) -> None:
        self._seen = None  # it may be another database than before, at the same number by chance
        if not self._address.behind_pooler:
            await connection.add_listener("kvot_keys", self._told)
        while True:
            self._heard(await self._ask(connection))
            await asyncio.sleep(POLL_S)

    async def _ask(self, connection: asyncpg.Connection) -> int:
        async with connection.transaction(readonly=True):
            version: int = await connection.fetchval(_VERSION, timeout=BELIEVED_S)
            return version

    def _told(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.changed_to(int(str(payload)))

    def _heard(self, version: int) -> None:
        if version != self._seen:
            self.changed_to(version)
        self._heard_s = self._clock()
        self._heard_once.set()
