"""The embedded engine: a ledger in one SQLite file, written by one thread, read on the event loop.

Reads are synchronous inside: two seeks cost less than a hop to another thread. They run on a connection of their own
and each in one snapshot. Writes go through the one writer and return once they are durable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self, TypeVar, TypeVarTuple

import apsw

from kvot.core.budget import Budget, PartialBudget, Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import ApiKey
from kvot.core.model import (
    CompanyBudget,
    Correction,
    Decision,
    EventColumns,
    Hold,
    HoldChange,
    HoldEnd,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Series,
    Settlement,
    Share,
    SharedVerification,
    Status,
    Usage,
    Verification,
)
from kvot.core.provider_keys import SealedKey
from kvot.core.store import OnEvents, ignore
from kvot.core.stored_replies import StoredReply
from kvot.core.window import MS_PER_DAY
from kvot.stores.sqlite import (
    batch,
    budgets,
    events,
    holds,
    keeping,
    keys,
    provider_keys,
    reports,
    stored_replies,
    sweep,
    unfinished,
    verify,
    verify_shared,
)
from kvot.stores.sqlite.connection import (
    READER_PATIENCE_MS,
    WRITER_PATIENCE_MS,
    Tx,
    check_version,
    connect,
    unavailable,
)
from kvot.stores.sqlite.encoding import to_guid
from kvot.stores.sqlite.lock import DatabaseLock
from kvot.stores.sqlite.schema import known_steps, migrate
from kvot.stores.sqlite.writer import Writer
from kvot.stores.unfinished import unfinished_copy

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_USAGE_NOW = """SELECT now_at, window_ms, head_cum - coalesce(
        (SELECT cum FROM point WHERE point.company_no = c.company_no AND point.at <= now_at - window_ms
         ORDER BY point.at DESC LIMIT 1), floor_cum), held, token_limit, in_doubt
FROM (SELECT *, max(clock, ?2) AS now_at, coalesce(window_days * 86400000, ?3) AS window_ms
      FROM company WHERE company_id = ?1) AS c
WHERE late_events = 0 AND (due_at IS NULL OR due_at > now_at) AND (floor_at = 0 OR now_at - window_ms >= floor_at)"""
"""Usage of now in one statement, for a company that has no more to say: nothing late, no hold due, a whole window.
For all others no row, and `reports.usage` says."""


class SqliteStore:
    """An `Engine` in one file. Made by `open`, inside or outside an event loop; used on one event loop."""

    def __init__(self, path: Path, rules: Rules, lock: DatabaseLock, write: apsw.Connection, read: apsw.Connection):
        self._path = path
        self._rules = rules
        self._lock = lock
        self._write_connection = write
        self._reader = Tx(read, rules)
        self._writer = Writer(Tx(write, rules), path)
        self._under_way: dict[bytes, asyncio.Future[HoldChange]] = {}
        """The last settlement of each company that was answered before it is durable."""
        self._keys_version = 0
        self._is_closed = False

    @classmethod
    def open(cls, path: Path, rules: Rules) -> Self:
        """Open or make the database. Raises StoreUnavailable, saying what to do, if it cannot be used."""
        check_version(apsw.sqlite_lib_version())
        if not path.parent.is_dir():
            raise StoreUnavailable(f"{path} cannot be made: there is no folder {path.parent}. Make the folder first.")
        path = only_name(path)
        lock = DatabaseLock(path)
        try:
            return cls(path, rules, lock, *_connect_both(path))
        except BaseException:
            lock.release()
            raise

    @property
    def rules(self) -> Rules:
        return self._rules

    def set_url(self, url: str) -> None:
        """Tell other processes that find the database in use where it can be asked."""
        self._lock.write(url=url)

    def on_fatal(self, tell: Callable[[str], None]) -> None:
        """Call `tell` on the event loop, with the reason, when the disk has failed and nothing is written any more."""
        self._writer.on_fatal = tell

    # -- usage ---------------------------------------------------------------------------------------------------

    async def record(self, company_id: str, event: NewEvent, *, now_ms: int) -> Recorded:
        return await self._write(events.record, company_id, event, now_ms)

    async def record_many(self, events_: EventColumns, *, now_ms: int) -> list[Status]:
        statuses: list[Status] = await self._writer.submit(batch.record_many, events_, now_ms, weight=len(events_))
        return statuses

    async def correct(self, company_id: str, correction: Correction, *, now_ms: int) -> Recorded:
        return await self._write(events.correct, company_id, correction, now_ms)

    async def usage(
        self, company_id: str, *, now_ms: int, at_ms: int | None = None, window_ms: int | None = None
    ) -> Usage:
        await self._catch_up(company_id)
        if at_ms is None and window_ms is None:
            usage = self._usage_now(company_id, now_ms)
            if usage is not None:
                return usage
        return self._read(reports.usage, company_id, at_ms, window_ms, now_ms)

    def _usage_now(self, company_id: str, now_ms: int) -> Usage | None:
        self._writer.check()
        default = self._rules.default_budget
        values = (to_guid(company_id), now_ms, default.window_days * MS_PER_DAY)
        try:
            rows = self._reader.execute(_USAGE_NOW, values).fetchall()
        except apsw.Error as error:
            raise unavailable(self._path, error) from error
        if not rows:
            return None
        at_ms, window_ms, used, held, token_limit, in_doubt = rows[0]
        limit = default.token_limit if token_limit is None else token_limit
        return Usage(company_id, at_ms, window_ms, used, held, limit, bool(in_doubt))

    async def series(
        self, company_id: str, edges_ms: Sequence[int], *, now_ms: int, window_ms: int | None = None
    ) -> Series:
        await self._catch_up(company_id)
        return self._read(reports.series, company_id, edges_ms, window_ms, now_ms)

    async def breakdown(self, company_id: str, by: str, *, first_hour: int, end_hour: int, now_ms: int) -> list[Share]:
        """Takes a second for a hundred thousand labels, which callers choose; nobody else waits for it."""
        await self._catch_up(company_id)
        operation = partial(reports.breakdown, first_hour=first_hour, end_hour=end_hour)
        return await self._read_aside(operation, company_id, by, now_ms)

    async def fits_at(self, company_id: str, tokens: int, *, now_ms: int) -> int | None:
        await self._catch_up(company_id)
        return self._read(reports.fits_at, company_id, tokens, now_ms)

    # -- holds ---------------------------------------------------------------------------------------------------

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        decision: Decision = await self._writer.submit(holds.reserve, company_id, hold, now_ms, is_alone=is_alone)
        return decision

    async def dispatch(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        return await self._write(holds.dispatch, company_id, hold_id, now_ms)

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int, *, now_ms: int) -> HoldChange:
        return await self._write(holds.renew, company_id, hold_id, ttl_ms, now_ms)

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int) -> HoldChange:
        return await self._write(holds.settle, company_id, hold_id, settlement, now_ms)

    @property
    def settles_soon(self) -> bool:
        return True

    def settle_soon(
        self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int
    ) -> Awaitable[HoldChange]:
        """It shares the commit of what is written next. Writes come after it anyway, and reads wait for it."""
        values = (company_id, hold_id, settlement, now_ms)
        future = self._writer.submit(holds.settle, *values, is_awaited=False)
        self._under_way[to_guid(company_id)] = future
        future.add_done_callback(partial(self._forget, to_guid(company_id)))
        return future

    def _forget(self, guid: bytes, future: "asyncio.Future[HoldChange]") -> None:
        if self._under_way.get(guid) is future:
            del self._under_way[guid]

    async def release(self, company_id: str, hold_id: str, *, actor: str | None = None, now_ms: int) -> HoldChange:
        return await self._write(holds.release, company_id, hold_id, actor, now_ms)

    async def hold(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        await self._catch_up(company_id)
        return self._read(reports.hold, company_id, hold_id, now_ms)

    async def open_holds(self, company_id: str, *, limit: int, now_ms: int) -> list[Hold]:
        await self._catch_up(company_id)
        return self._read(reports.open_holds, company_id, limit, now_ms)

    async def tagged_holds(
        self, company_id: str, tags: Sequence[str], *, within_ms: int, limit: int, now_ms: int
    ) -> list[HoldEnd]:
        await self._catch_up(company_id)
        return self._read(reports.tagged_holds, company_id, tags, within_ms, limit, now_ms)

    async def expire(self, company_id: str | None = None, *, now_ms: int) -> int:
        """In pieces, each in a transaction of its own, so that other writes come between."""
        closed = piece = await self._write(keeping.expire, company_id, now_ms)
        while piece == keeping.CLOSED_MAX:
            piece = await self._write(keeping.expire, company_id, now_ms)
            closed += piece
        return closed

    # -- budgets -------------------------------------------------------------------------------------------------

    async def set_budget(
        self, company_id: str, budget: Budget | PartialBudget, *, actor: str, reason: str | None, now_ms: int
    ) -> CompanyBudget:
        operation = partial(budgets.set_budget, actor=actor, reason=reason)
        return await self._write(operation, company_id, budget, now_ms)

    async def budget(self, company_id: str, *, now_ms: int, at_ms: int | None = None) -> CompanyBudget:
        await self._catch_up(company_id)
        return self._read(budgets.budget, company_id, at_ms, now_ms)

    # -- keeping -------------------------------------------------------------------------------------------------

    async def companies(self) -> list[str]:
        return self._read(keeping.companies)

    async def prune(self, company_id: str, before_ms: int, *, now_ms: int, on_events: OnEvents = ignore) -> Pruned:
        floor_ms, place = await self._write(keeping.raise_floor, company_id, before_ms, now_ms)
        events = 0
        while place is not None:
            swept = await self._write(sweep.sweep, company_id, place)
            events, place = events + swept.events, swept.next
            on_events(swept.events)
        return Pruned(floor_ms, events)

    async def verify(self, company_id: str, *, now_ms: int) -> Verification:
        """Takes seconds for a million events; nobody waits for it."""
        await self._catch_up(company_id)
        found, was_in_doubt = await self._read_aside(verify.verify, company_id, now_ms)
        in_doubt = bool(found.differences)
        if in_doubt != was_in_doubt:
            await self._write(verify.set_in_doubt, company_id, in_doubt, now_ms)
        return found

    async def verify_shared(self, company_id: str | None = None, *, now_ms: int) -> SharedVerification:
        return await self._read_aside(verify_shared.verify_shared, company_id, now_ms)

    async def ready(self) -> None:
        """A write that changes nothing, since only a commit shows that commits are possible."""
        await self._write(_touch)
        if self._read(unfinished.is_marked):
            raise unfinished_copy(str(self._path))

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await self._writer.close()
        self._reader.connection.close()
        self._write_connection.close()
        self._lock.release()

    # -- stored replies ------------------------------------------------------------------------------------------

    async def remember_reply(
        self, company_id: str, provider: str, reply_id: str, *, tokens: int | None = None, now_ms: int
    ) -> None:
        await self._write(stored_replies.remember, company_id, provider, reply_id, tokens, now_ms)

    async def find_reply(self, company_id: str, provider: str, reply_id: str, *, now_ms: int) -> StoredReply | None:
        return self._read(stored_replies.find_reply, company_id, provider, reply_id, now_ms)

    # -- keys ----------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        return await self._write_keys(keys.add_key, key, actor, now_ms)

    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        return await self._write_keys(keys.revoke_key, key_id, company_id, actor, now_ms)

    async def bind_secret(self, check: bytes, *, replaced_by: str | None = None, now_ms: int = 0) -> bool:
        if replaced_by is None:
            return await self._write(keys.bind_secret, check)
        return await self._write_keys(keys.replace_secret, check, replaced_by, now_ms)

    async def find_key(self, key_id: str) -> ApiKey | None:
        return self._read(keys.find_key, key_id)

    async def list_keys(self, *, company_id: str | None = None) -> list[ApiKey]:
        return self._read(keys.list_keys, company_id)

    @property
    def keys_version(self) -> int:
        """Only this process writes, so its own count of changes is enough."""
        return self._keys_version

    async def _write_keys(self, operation: Callable[[Tx, *Ts], bool], *values: *Ts) -> bool:
        """The version changes when the change is made, also for a caller who has stopped waiting for it."""
        future = self._writer.submit(operation, *values)
        future.add_done_callback(self._keys_changed)
        return bool(await asyncio.shield(future))

    def _keys_changed(self, _: "asyncio.Future[bool]") -> None:
        self._keys_version += 1

    # -- keys to providers ---------------------------------------------------------------------------------------

    async def set_provider_key(self, key: SealedKey, *, now_ms: int) -> None:
        await self._write_keys(provider_keys.set_provider_key, key, now_ms)

    async def remove_provider_key(self, company_id: str, provider: str, *, actor: str, now_ms: int) -> bool:
        return await self._write_keys(provider_keys.remove_provider_key, company_id, provider, actor, now_ms)

    async def find_provider_key(self, company_id: str, provider: str) -> SealedKey | None:
        return self._read(provider_keys.find_provider_key, company_id, provider)

    async def list_provider_keys(self, company_id: str) -> list[SealedKey]:
        return self._read(provider_keys.list_provider_keys, company_id)

    # -- one way to write, one way to read -----------------------------------------------------------------------

    async def _write(self, operation: Callable[[Tx, *Ts], T], *values: *Ts) -> T:
        answer: T = await self._writer.submit(operation, *values)
        return answer

    async def _catch_up(self, company_id: str) -> None:
        """Wait for the company's settlements that were answered before they were durable. What fails is not there."""
        if self._under_way and (last := self._under_way.get(to_guid(company_id))) is not None:
            self._writer.hurry()
            await asyncio.wait([last])

    def _read(self, operation: Callable[[Tx, *Ts], T], *values: *Ts) -> T:
        self._writer.check()
        return self._in_snapshot(self._reader, operation, *values)

    async def _read_aside(self, operation: Callable[[Tx, *Ts], T], *values: *Ts) -> T:
        """What takes seconds, on a thread and a connection of its own."""
        self._writer.check()
        return await asyncio.to_thread(lambda: self._on_new_connection(operation, *values))

    def _on_new_connection(self, operation: Callable[[Tx, *Ts], T], *values: *Ts) -> T:
        connection = connect(self._path, patience_ms=WRITER_PATIENCE_MS)
        try:
            return self._in_snapshot(Tx(connection, self._rules), operation, *values)
        finally:
            connection.close()

    def _in_snapshot(self, tx: Tx, operation: Callable[[Tx, *Ts], T], *values: *Ts) -> T:
        try:
            tx.execute("BEGIN")
            try:
                return operation(tx, *values)
            finally:
                tx.execute("COMMIT")
        except apsw.Error as error:
            raise unavailable(self._path, error) from error


def only_name(path: Path) -> Path:
    """The name that the lock and SQLite's log go by. Under two names of one file both would be two, and writes lost."""
    path = path.resolve() if path.is_symlink() else path
    if path.is_file() and path.stat().st_nlink > 1:
        raise StoreUnavailable(f"{path} has a second name, a hard link. Remove one of them, or copy the file instead.")
    return path


def _connect_both(path: Path) -> tuple[apsw.Connection, apsw.Connection]:
    """The writer's connection, with the schema brought up to date, and the reader's."""
    write = connect(path, patience_ms=WRITER_PATIENCE_MS)
    try:
        migrate(write, path, known_steps())
        return write, connect(path, patience_ms=READER_PATIENCE_MS)
    except apsw.Error as error:
        write.close()
        raise unavailable(path, error) from error
    except StoreUnavailable:
        write.close()
        raise


def _touch(tx: Tx) -> None:
    tx.execute(f"PRAGMA user_version = {len(known_steps())}")
