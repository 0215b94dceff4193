"""Calls of the functions that write: `kvot.write` for operations of one company, `kvot.write_free` for several's.

Each operation has an answer. Distributed over workers (Citus) a ledger lacks `kvot.write_free`: each company's
operations are then a call of their own. What is unknown is never sent again from here: it may yet be done.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import asyncpg

from kvot.core.errors import KvotError, StoreUnavailable
from kvot.core.model import Status
from kvot.stores.postgres.batches import Batch
from kvot.stores.postgres.encoding import STATUSES, to_call, to_uuid
from kvot.stores.postgres.errors import undid_itself
from kvot.stores.postgres.lanes import Answers
from kvot.stores.postgres.pool import LONG_TIMEOUT_MS, Pool, Rows

_WRITE = "SELECT * FROM kvot.write($1, $2, $3, $4)"
_WRITE_FREE = "SELECT * FROM kvot.write_free($1, $2, $3, $4)"
_BUSY = "busy"
_RECORD_NEW = "SELECT kvot.record_new($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"


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
        """What one lane is given. One operation that the server refuses must not take its neighbours with it."""
        try:
            return list(await self._pool.run_to_end(_WRITE, *self._values(company_id, operations)))
        except StoreUnavailable as error:
            if len(operations) == 1 or not undid_itself(error.__cause__):
                return [error] * len(operations)
        return [await self._one(company_id, operation) for operation in operations]

    async def _one(self, company_id: str, operation: str) -> asyncpg.Record | Exception:
        try:
            rows = await self._pool.run_to_end(_WRITE, *self._values(company_id, [operation]))
        except KvotError as error:
            return error
        return rows[0]

    async def together(self, batches: dict[str, Batch]) -> dict[str, list[Status]]:
        """The events of several companies in one transaction. The companies come in the order of their ids, in which
        every transaction locks them, so that none waits for one that waits for it."""

        async def record_all(connection: asyncpg.Connection) -> dict[str, list[Status]]:
            return {company_id: await self._batch(connection, company_id, batches[company_id]) for company_id in order}

        order = sorted(batches)
        return await self._pool.transact(record_all, timeout_ms=LONG_TIMEOUT_MS)

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
