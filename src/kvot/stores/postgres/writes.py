"""Calls of `kvot.write`, the one function that writes: operations of one company, one answer each."""

from collections.abc import Sequence

import asyncpg

from kvot.core.errors import KvotError, StoreUnavailable
from kvot.stores.postgres.encoding import to_call, to_uuid
from kvot.stores.postgres.errors import undid_itself
from kvot.stores.postgres.pool import LONG_TIMEOUT_MS, Pool, Rows

_WRITE = "SELECT * FROM kvot.write($1, $2, $3, $4)"


class Writes:
    def __init__(self, pool: Pool, rules: list[int], drift_max_ms: int) -> None:
        self._pool = pool
        self._rules = rules
        self._drift_max_ms = drift_max_ms

    async def send(self, company_id: str, operations: Sequence[str]) -> list[asyncpg.Record | Exception]:
        """What a lane is given. One operation that the server refuses must not take its neighbours with it."""
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

    async def alone(self, company_id: str, operation: str, *, timeout_ms: int) -> asyncpg.Record:
        """One operation that takes longer than others would like to wait."""
        rows = await self._pool.run(_WRITE, *self._values(company_id, [operation]), timeout_ms=timeout_ms)
        return rows[0]

    async def together(self, calls: Sequence[tuple[str, Sequence[str]]]) -> list[Rows]:
        """The operations of several companies in one transaction. The companies come in the order of their ids, in
        which every transaction locks them, so that none waits for one that waits for it."""
        ordered = sorted(calls)
        answers = await self._pool.several(
            _WRITE, [self._values(*call) for call in ordered], timeout_ms=LONG_TIMEOUT_MS
        )
        by_company = {call[0]: rows for call, rows in zip(ordered, answers, strict=True)}
        return [by_company[company_id] for company_id, _ in calls]

    def _values(self, company_id: str, operations: Sequence[str]) -> tuple[object, ...]:
        return to_uuid(company_id), self._rules, self._drift_max_ms, to_call(operations)
