"""The connections of one process: opened when needed, bounded, replaced when lost, refused fast when all are busy.

One statement is one transaction. A caller who stops waiting leaves his statement to its end, so that no connection is
cut for it. Nothing here depends on a session: behind a pooler every statement brings its own transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.errors import DRIVER_ERRORS, is_connected_after, told
from kvot.stores.postgres.schema import CONNECT_TIMEOUT_S, check

STATEMENT_TIMEOUT_MS = 5_000
"""Operations take milliseconds. One that takes this long waits for a lock that somebody else does not give back."""

LONG_TIMEOUT_MS = 600_000
"""Proving or pruning a ledger of a hundred million events takes minutes."""

ANSWER_GRACE_S = 2.0
"""How much longer than the statement's own time-out we wait for its answer: the server should be first to give up."""

PATIENCE_S = 1.0
"""How long to wait for a connection to come free. Whoever has waited that long had better come again."""

WAITING_MAX = 1_000
"""So many callers may wait for a connection; the next one is refused at once."""

T = TypeVar("T")
Rows = list[asyncpg.Record]
Work = Callable[[asyncpg.Connection], Awaitable[T]]


class Pool:
    """Used on one event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._slots = asyncio.Semaphore(address.connections_max)
        self._waiting = 0
        self._idle: list[asyncpg.Connection] = []
        self._busy: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def run(self, query: str, *values: object, timeout_ms: int | None = None) -> Rows:
        """The rows of one statement, durable when they are here. Raises StoreUnavailable and InvalidRequest.

        The statement goes on to its end when the caller stops waiting.
        """
        return await self._finish(self.run_to_end(query, *values, timeout_ms=timeout_ms))

    async def run_to_end(self, query: str, *values: object, timeout_ms: int | None = None) -> Rows:
        """The same for a caller who is never cancelled."""
        return await self._work(lambda connection: self._fetch(connection, timeout_ms, query, *values))

    async def transact(self, work: Work[T], *, timeout_ms: int) -> T:
        """Several statements in one transaction; `work` is given its connection."""

        async def transaction(connection: asyncpg.Connection) -> T:
            async with _Transaction(connection, timeout_ms):
                return await work(connection)

        return await self._finish(self._work(transaction))

    async def close(self) -> None:
        self._is_closed = True
        if self._busy:
            await asyncio.wait(self._busy)
        while self._idle:
            await _close(self._idle.pop())

    def need_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable(f"{self.address.shown} is closed.")

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._busy.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to hear of it

    async def _work(self, work: Work[T]) -> T:
        self.need_open()
        await self._take_slot()
        try:
            connection = await self._connection()
            try:
                return await work(connection)
            except DRIVER_ERRORS as error:
                if not is_connected_after(error):
                    connection.terminate()
                raise told(self.address.shown, error) from error
            finally:
                await self._give_back(connection)
        finally:
            self._slots.release()

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        if self._waiting >= WAITING_MAX:
            raise self._all_busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._slots.acquire()
        except TimeoutError:
            raise self._all_busy() from None
        finally:
            self._waiting -= 1

    def _all_busy(self) -> StoreUnavailable:
        count = self.address.connections_max
        return StoreUnavailable(
            f"{self.address.shown} is busy: all {count} connections are. Nothing was done; try again."
        )

    async def _connection(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self.address)

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        """A connection that is still in a transaction, or in the middle of an answer, is not used again."""
        if connection.is_closed():
            return
        if self._is_closed or connection.is_in_transaction():
            await _close(connection)
        else:
            self._idle.append(connection)

    async def _fetch(self, connection: asyncpg.Connection, timeout_ms: int | None, query: str, *values: object) -> Rows:
        """In a transaction of its own only where the time-out is not the connection's."""
        rows: Rows
        if timeout_ms is None and not self.address.behind_pooler:
            rows = await connection.fetch(query, *values)
            return rows
        timeout_ms = timeout_ms or STATEMENT_TIMEOUT_MS
        async with _Transaction(connection, timeout_ms):
            rows = await connection.fetch(query, *values, timeout=_grace_s(timeout_ms))
        return rows


def _grace_s(timeout_ms: int) -> float:
    return timeout_ms / 1000 + ANSWER_GRACE_S


class _Transaction:
    """A transaction with a time-out of its own, begun in one round trip."""

    def __init__(self, connection: asyncpg.Connection, timeout_ms: int) -> None:
        self._connection = connection
        self._begin = f"BEGIN; SET LOCAL statement_timeout = {timeout_ms}"

    async def __aenter__(self) -> None:
        await self._connection.execute(self._begin)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._connection.execute("COMMIT")
        elif not self._connection.is_closed():
            await self._connection.execute("ROLLBACK")


async def connect(address: Address) -> asyncpg.Connection:
    """A connection to a primary that has our schema. Raises StoreUnavailable."""
    settings = {"application_name": "kvot"}
    if not address.behind_pooler:
        settings["statement_timeout"] = str(STATEMENT_TIMEOUT_MS)
    try:
        connection = await asyncpg.connect(
            address.dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_MS / 1000 + ANSWER_GRACE_S,
            statement_cache_size=0 if address.behind_pooler else 100,
            max_cached_statement_lifetime=0,
            server_settings=settings,
        )
    except (*DRIVER_ERRORS, ValueError) as error:
        raise told(address.shown, error) from error
    try:
        if address.behind_pooler:
            async with connection.transaction():
                await check(connection, address.shown)
        else:
            await check(connection, address.shown)
    except DRIVER_ERRORS as error:
        await _close(connection)
        raise told(address.shown, error) from error
    except StoreUnavailable:
        await _close(connection)
        raise
    return connection


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1.0)
    except DRIVER_ERRORS:
        connection.terminate()
