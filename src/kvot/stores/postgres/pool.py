"""The connections of one process: opened when needed, bounded, replaced when lost, refused fast when all are busy.

One statement is one transaction. A caller who stops waiting leaves his statement to its end, so that no connection is
cut for it. Nothing here depends on a session: behind a pooler every statement brings its own transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import asyncpg

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.connection import (
    ANSWER_GRACE_S,
    STATEMENT_TIMEOUT_MS,
    check_again,
    close,
    connect,
    need_same_time,
)
from kvot.stores.postgres.errors import (
    DRIVER_ERRORS,
    NewerSchema,
    is_connected_after,
    is_crowded,
    is_full,
    told,
    undid_itself,
)

LONG_TIMEOUT_MS = 600_000
CLOSE_PATIENCE_S = 3.0
"""Proving or pruning a ledger of a hundred million events takes minutes."""

PATIENCE_S = 1.0
"""How long to wait for a connection to come free. Whoever has waited that long had better come again."""

WAITING_MAX = 1_000
"""So many callers may wait for a connection; the next one is refused at once."""

BELIEVED_S = 1.0
"""A connection whose last check is older is checked again before it is used: a later Kvot may have migrated the
database meanwhile, or somebody made it read-only. That is one in hundreds of calls where there are many."""

CHECK_TIMEOUT_S = 1.0
"""A check takes a millisecond. What does not answer by then is taken for lost: a firewall or a machine that is gone
lets nobody know, and whoever renews a hold of some seconds cannot wait as long as for a statement."""

IDLE_MAX_S = 180.0
"""Not used for longer than this, a connection is not tried, but replaced: on the way to the database there may be what
forgets a connection after four minutes without a word, and to replace it costs milliseconds."""

_TAKE_ROOM = "CREATE TEMPORARY TABLE kvot_room ON COMMIT DROP AS SELECT generate_series(1, 30000)"
"""A megabyte for as long as the statement takes. Tried only after something did not fit."""

T = TypeVar("T")
Rows = list[asyncpg.Record]
Work = Callable[[asyncpg.Connection], Awaitable[T]]


class _Checked(NamedTuple):
    """A connection, and when its database was last seen to be one that can be used.

    newer: a later Kvot has migrated the database. Calls that are under way are brought to their ends.
    """

    connection: asyncpg.Connection
    at_s: float
    newer: NewerSchema | None = None


class Pool:
    """Used on one event loop."""

    def __init__(self, address: Address, now_ms: Callable[[], int] | None = None) -> None:
        """now_ms: the caller's clock, which must agree with the database's before anything is done; None: whatever it
        says, it is not asked."""
        self.address = address
        self._now_ms = now_ms
        self._slots = asyncio.Semaphore(address.connections_max)
        self._waiting = 0
        self._working = 0
        self._came_free = asyncio.Event()
        self._idle: list[_Checked] = []
        self._busy: set[asyncio.Task[Any]] = set()
        self._was_full = False
        self._was_ours = False
        self._is_closed = False

    async def run(self, query: str, *values: object, timeout_ms: int | None = None, ends_calls: bool = False) -> Rows:
        """The rows of one statement, durable when they are here. Raises StoreUnavailable and InvalidRequest.

        The statement goes on to its end when the caller stops waiting. ends_calls: it is needed by a call that is
        under way, so it is asked of a database, too, that a later Kvot has migrated.
        """
        return await self._finish(self.run_to_end(query, *values, timeout_ms=timeout_ms, ends_calls=ends_calls))

    async def run_to_end(
        self, query: str, *values: object, timeout_ms: int | None = None, ends_calls: bool = False
    ) -> Rows:
        """The same for a caller who is never cancelled."""
        return await self._work(lambda connection: self._fetch(connection, timeout_ms, query, *values), ends_calls)

    async def transact(self, work: Work[T], *, timeout_ms: int) -> T:
        """Several statements in one transaction; `work` is given its connection."""

        async def transaction(connection: asyncpg.Connection) -> T:
            async with _Transaction(connection, timeout_ms):
                return await work(connection)

        return await self._finish(self._work(transaction))

    async def need_room(self) -> None:
        """Raise StoreUnavailable when something could not be written for a full disk, and there still is no room.

        On a full disk many writes go through: those that need no more pages than there are. So that one of them did is
        no sign of room, and what is tried here is to take some. Where the server says no to that for any other reason,
        as it does to a role without the right to TEMPORARY tables, it would say so for ever: then room is believed in
        until the next write that does not fit.

        The disk counts as full until the answer is here, for whoever asks meanwhile and after one who stops waiting.
        """
        if not self._was_full:
            return
        try:
            await self.run(_TAKE_ROOM)
        except StoreUnavailable as error:
            if not undid_itself(error.__cause__):
                raise
        self._was_full = False

    async def close(self) -> None:
        """What still runs after CLOSE_PATIENCE_S is left to the server, which ends it with its connection."""
        self._is_closed = True
        if self._busy:
            _, running = await asyncio.wait(self._busy, timeout=CLOSE_PATIENCE_S)
            for task in running:
                task.cancel()
        while self._idle:
            await close(self._idle.pop().connection)

    def need_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable.of(self.address.shown, "is closed.")

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._busy.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to hear of it

    async def _work(self, work: Work[T], ends_calls: bool = False) -> T:
        self.need_open()
        await self._take_slot()
        self._working += 1
        try:
            checked = await self._checked()
            try:
                if checked.newer is None:
                    self._was_ours = True
                elif not (ends_calls and self._was_ours):  # else there is nothing under way
                    raise checked.newer.refusal(self.address.shown)
                return await work(checked.connection)
            except DRIVER_ERRORS as error:
                self._was_full = self._was_full or is_full(error)
                if not is_connected_after(error):
                    checked.connection.terminate()
                raise told(self.address.shown, error) from error
            finally:
                await self._give_back(checked)
        finally:
            self._working -= 1
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
        what = f"is busy: all {count} connections are. Nothing was done; try again."
        return StoreUnavailable.of(self.address.shown, what, did_nothing=True)

    async def _checked(self) -> _Checked:
        checked = await self._idle_one()
        if checked is not None:
            return checked
        try:
            return await self._new()
        except StoreUnavailable as error:
            is_alone = self._working == 1 and not self._idle
            if is_alone or not is_crowded(error.__cause__):
                raise
            return await self._next_idle(error)

    async def _next_idle(self, crowded: StoreUnavailable) -> _Checked:
        """Where others have all connections that the server gives, one of our own that comes free does as well."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not self._idle:
                    self._came_free.clear()
                    await self._came_free.wait()
        except TimeoutError:
            raise crowded from crowded.__cause__
        checked = await self._idle_one()
        if checked is None:
            raise crowded
        return checked

    async def _idle_one(self) -> _Checked | None:
        """None where none is left that can be used."""
        while self._idle:
            checked = self._idle.pop()
            if checked.connection.is_closed():
                continue
            age_s = _now_s() - checked.at_s
            if age_s <= BELIEVED_S:
                return checked
            if age_s > IDLE_MAX_S:
                checked.connection.terminate()
                self._give_up_idle()  # they have been idle for longer
                break
            if (still_good := await self._check_again(checked.connection)) is not None:
                return still_good
        return None

    async def _new(self) -> _Checked:
        connection, newer = await connect(self.address)
        if self._now_ms is not None:
            try:
                await need_same_time(connection, self.address, self._now_ms)
            except BaseException:
                connection.terminate()
                raise
            self._now_ms = None  # from here on each of the two bounds the other's leaps
        return _Checked(connection, _now_s(), newer)

    async def _check_again(self, connection: asyncpg.Connection) -> _Checked | None:
        """None when it is lost. Raises StoreUnavailable when the database cannot be used.

        With one that is lost all idle ones are given up: most likely they are lost, too, and where nothing answers, to
        find it out of each would take a time-out.
        """
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                newer = await check_again(connection, self.address)
        except DRIVER_ERRORS:
            connection.terminate()
            self._give_up_idle()
            return None
        except StoreUnavailable:
            await close(connection)
            raise
        return _Checked(connection, _now_s(), newer)

    def _give_up_idle(self) -> None:
        while self._idle:
            self._idle.pop().connection.terminate()

    async def _give_back(self, checked: _Checked) -> None:
        """A connection that is still in a transaction, or in the middle of an answer, is not used again."""
        connection = checked.connection
        if connection.is_closed():
            return
        if self._is_closed or connection.is_in_transaction():
            await close(connection)
        else:
            self._idle.append(checked)
            self._came_free.set()

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
        self._begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {timeout_ms}"

    async def __aenter__(self) -> None:
        await self._connection.execute(self._begin)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._connection.execute("COMMIT")
        elif not self._connection.is_closed():
            await self._connection.execute("ROLLBACK")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
