"""What came of a trial, from the rows of the database and from nothing that Kvot sums up itself."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import asyncpg

from kvot.core.budget import Rules
from kvot.stores.postgres import PostgresStore
from kvot.stores.postgres.address import Address
from tests.reliability.clients import Clients
from tests.reliability.fleet import now_ms

_HOLDS = """SELECT hold_id, company_id::text, amount, state::text, created_at, coalesce(closed_at, expires_at), actual
    FROM kvot.hold WHERE company_id = ANY ($1::uuid[])"""
_EVENTS = "SELECT event_id, company_id::text, at, tokens FROM kvot.event WHERE company_id = ANY ($1::uuid[])"
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Proof(NamedTuple):
    """All but `admitted` and `instants` are to be 0.

    `over`: the most tokens above the limit, at any instant of which a row speaks and in any answer.
    `lost`: acknowledged and not there. `doubled`: there and not acknowledged, since every call was repeated until it
    was. `differences`: of what is kept from what is recomputed.
    """

    admitted: int
    instants: int
    over: int
    lost: int
    doubled: int
    differences: int
    deadlocks: int

    @property
    def faults(self) -> tuple[int, ...]:
        return self[2:]


async def prove(url: str, clients: Clients, companies: list[str], limit: int) -> Proof:
    """For companies that all have one limit and were nobody else's."""
    connection = await asyncpg.connect(Address.parse(url).dsn)
    try:
        holds = [tuple(row) for row in await connection.fetch(_HOLDS, companies)]
        events = [tuple(row) for row in await connection.fetch(_EVENTS, companies)]
        deadlocks: int = await connection.fetchval(_DEADLOCKS)
    finally:
        await connection.close()
    instants, over = most_over(holds, events, limit)
    there = [(id_, company, None) for id_, company, _, state, *_ in holds if state == "open"]
    there += [(id_.removeprefix("hold→"), company, tokens) for id_, company, _, tokens in events]
    told: list[tuple[object, ...]] = [(id_, company, None) for id_, company in clients.open.items()]
    told += [(id_, *settled) for id_, settled in clients.settled.items()]
    lost, doubled = len(set(told) - set(there)), len(there) - len(set(there) & set(told))
    differences = await count_differences(url, companies)
    return Proof(len(holds), instants, max(over, clients.over), lost, doubled, differences, deadlocks)


def most_over(holds: Iterable[tuple], events: Iterable[tuple], limit: int) -> tuple[int, int]:  # type: ignore[type-arg]
    """How many instants there are, and the most tokens used and held above the limit at the end of any."""
    changes = [(company, at, tokens) for _, company, at, tokens in events]
    for _, company, amount, _, from_, until, _ in holds:
        changes += [(company, from_, amount), (company, until, -amount)]
    instants, over, total, of_company = 0, 0, 0, ""
    for (company, _), same in groupby(sorted(changes), key=lambda change: change[:2]):
        total = (total if company == of_company else 0) + sum(tokens for _, _, tokens in same)
        instants, over, of_company = instants + 1, max(over, total - limit), company
    return instants, over


async def count_differences(url: str, companies: list[str]) -> int:
    store = PostgresStore.open(url, Rules())
    try:
        return sum([len((await store.verify(each, now_ms=now_ms())).differences) for each in companies])
    finally:
        await store.close()
