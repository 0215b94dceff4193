"""Calls of the functions that write: `kvot.write` for operations of one company, `kvot.write_free` for several's.

Each operation has an answer. Distributed over workers (Citus) a ledger lacks `kvot.write_free`: each company's
operations are then a call of their own. What is unknown is never sent again from here: it may yet be done.

A write closes the holds of its company that are due. Where they are too many for one transaction it is refused; they
are closed in pieces, and it is sent again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import asyncpg
import msgspec

from kvot.core.errors import KvotError, StoreUnavailable
from kvot.core.model import Status
from kvot.stores.postgres.batches import Batch
from kvot.stores.postgres.encoding import STATUSES, to_call, to_uuid
from kvot.stores.postgres.errors import NewerSchema, behind, undid_itself
from kvot.stores.postgres.lanes import Answers
from kvot.stores.postgres.pool import LONG_TIMEOUT_MS, Pool, Rows

_WRITE = "SELECT * FROM kvot.write($1, $2, $3, $4)"
_WRITE_FREE = "SELECT * FROM kvot.write_free($1, $2, $3, $4)"
_BUSY = "busy"
_CLOSE_PIECE = "SELECT closed, is_done FROM kvot.close_piece($1, $2, $3, $4)"
_ENDS_CALLS = tuple(
    f'{{"do":"{do}",' for do in ("settle", "release", "renew", "dispatch", "record", "correct", "remember")
)
"""How the operations begin that a call needs which is under way. Steps of the schema leave them as they are, so that a
server whose database a later Kvot has migrated may finish what it has."""

_RECORD_NEW = "SELECT kvot.record_new($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"

BACKLOG_S = 5.0
"""So long a write goes on to close due holds, some hundred thousand of them, before it is refused. They stay closed."""

T = TypeVar("T")


class Writes:
    def __init__(self, pool: Pool, rules: list[int], drift_max_ms: int) -> None:
        self._pool = pool
        self._rules = rules
        self._drift_max_ms = drift_max_ms
        self._sends_alone = False  # until the database is found to lack the function

    async def send_shared(self, calls: Mapping[str, Sequence[str]]) -> dict[str, Answers]:
        """What several lanes are given in one transaction. A company that is not free is left out; all are where the
        server refuses an operation of one, since that undoes the transaction."""
        if self._sends_alone:
            return {}
        companies = [to_uuid(company_id) for company_id in calls]
        operations = [to_call(each) for each in calls.values()]
        try:
            rows = await self._pool.run_to_end(_WRITE_FREE, companies, self._rules, self._drift_max_ms, operations)
        except StoreUnavailable as error:
            if not undid_itself(error.__cause__):
                raise
            self._sends_alone = isinstance(error.__cause__, asyncpg.UndefinedFunctionError)
            return {}
        return dict(_by_company(calls, rows))

    async def send(self, company_id: str, operations: Sequence[str]) -> Answers:
        """What one lane is given. One operation that the server refuses must not take its neighbours with it, nor must
        one that begins a call where a later Kvot has migrated the database."""
        try:
            return list(await self._write(company_id, operations))
        except StoreUnavailable as error:
            is_newer = isinstance(error.__cause__, NewerSchema)
            is_one = len(operations) == 1 and not is_newer
            if is_one or behind(error) or not undid_itself(error.__cause__):
                return [error] * len(operations)
        return [await self._one(company_id, operation) for operation in operations]

    async def _one(self, company_id: str, operation: str) -> asyncpg.Record | Exception:
        try:
            rows = await self._write(company_id, [operation], ends_calls=operation.startswith(_ENDS_CALLS))
        except KvotError as error:
            return error
        return rows[0]

    async def _write(self, company_id: str, operations: Sequence[str], *, ends_calls: bool = False) -> Rows:
        def write() -> Awaitable[Rows]:
            return self._pool.run_to_end(_WRITE, *self._values(company_id, operations), ends_calls=ends_calls)

        return await self._behind_none(write, lambda: int(msgspec.json.decode(operations[-1])["now_ms"]))

    async def together(self, batches: dict[str, Batch]) -> dict[str, list[Status]]:
        """The events of several companies in one transaction. The companies come in the order of their ids, in which
        every transaction locks them, so that none waits for one that waits for it."""

        async def record_all(connection: asyncpg.Connection) -> dict[str, list[Status]]:
            return {company_id: await self._batch(connection, company_id, batches[company_id]) for company_id in order}

        def write() -> Awaitable[dict[str, list[Status]]]:
            return self._pool.transact(record_all, timeout_ms=LONG_TIMEOUT_MS)

        order = sorted(batches)
        return await self._behind_none(write, lambda: batches[order[0]].now_ms)

    async def close_due(self, company_id: str, now_ms: int, *, until_s: float = math.inf) -> int:
        """Close a company's due holds, piece by piece, each a transaction of its own. How many."""
        values = (to_uuid(company_id), self._rules, now_ms, self._drift_max_ms)
        total, is_done = 0, False
        while not is_done and _now_s() < until_s:
            ((closed, is_done),) = await self._pool.run(_CLOSE_PIECE, *values, ends_calls=True)
            total += closed
        return total

    async def _behind_none(self, write: Callable[[], Awaitable[T]], now_ms: Callable[[], int]) -> T:
        """Write when no company has more due holds than a write closes. Refused where to close them takes too long."""
        until_s = _now_s() + BACKLOG_S
        while True:
            try:
                return await write()
            except StoreUnavailable as error:
                company_id = behind(error)
                if company_id is None or _now_s() >= until_s:
                    raise
                await self.close_due(company_id, now_ms(), until_s=until_s)

    async def _batch(self, connection: asyncpg.Connection, company_id: str, batch: Batch) -> list[Status]:
        """All are taken for new at first; only if some are not are they looked at one by one."""
        timeout_s = LONG_TIMEOUT_MS / 1000
        head = (to_uuid(company_id), self._rules, batch.now_ms, self._drift_max_ms)
        if await connection.fetchval(_RECORD_NEW, *head, *batch.columns(), timeout=timeout_s):
            return [Status.DONE] * len(batch)
        rows = await connection.fetch(_WRITE, *self._values(company_id, batch.operations()), timeout=timeout_s)
        return [STATUSES[row["status"]] for row in rows]

    def _values(self, company_id: str, operations: Sequence[str]) -> tuple[object, ...]:
        return to_uuid(company_id), self._rules, self._drift_max_ms, to_call(operations)


def _by_company(calls: Mapping[str, Sequence[str]], rows: Rows) -> Iterator[tuple[str, Answers]]:
    """The rows of `kvot.write_free`: for each company one for each operation, or a single one that says it is busy."""
    rest = iter(rows)
    for company_id, operations in calls.items():
        first = next(rest)
        if first["status"] != _BUSY:
            yield company_id, [first, *islice(rest, len(operations) - 1)]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
