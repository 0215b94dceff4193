"""A crowd of stores on one database, as several processes are: each has connections and lanes of its own."""

import asyncio
from itertools import cycle
from pathlib import Path
from typing import Any

import asyncpg

from kvot.core.budget import Rules
from kvot.core.model import NewEvent
from kvot.stores.postgres import PostgresStore, Time
from kvot.stores.postgres.batches import record_operation
from kvot.stores.postgres.encoding import to_call
from tests.conformance.conftest import ENGINES
from tests.conformance.scene import COMPANY, T0, Engine, FullStore, Scene
from tests.postgres.databases import DATABASES, shared_server

from .test_trouble import until_one_waits_for_a_lock

STORES = 4
NOBODY = "00000000-0000-4000-8000-000000000000"


class Crowd:
    """Every operation goes to the next store in turn, so that a company's lock is fought for in the database."""

    def __init__(self, url: str, rules: Rules) -> None:
        self._stores = [PostgresStore.open(f"{url}&connections=8", rules, time=Time.GIVEN) for _ in range(STORES)]
        self._turn = cycle(self._stores)

    @classmethod
    async def open(cls, url: str, rules: Rules) -> FullStore:
        """Each store has a connection and knows how calls go, so that those of a race meet from the first."""
        crowd = cls(url, rules)
        for store in crowd._stores:
            await store.record(NOBODY, NewEvent("first", 1), now_ms=T0)
        return crowd

    def __getattr__(self, operation: str) -> Any:
        return getattr(next(self._turn), operation)

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


async def wait_for_locks(url: str) -> None:
    """Have every call of a database wait for its company, as it is on Citus. Where calls take what is free they seldom
    meet at the lock."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP FUNCTION IF EXISTS kvot.write_free")
    finally:
        await connection.close()


async def open_waiting_crowd(folder: Path, rules: Rules) -> FullStore:
    await wait_for_locks(await DATABASES.url(folder))
    return await open_crowd(folder, rules)


async def open_crowd(folder: Path, rules: Rules) -> FullStore:
    return await Crowd.open(await DATABASES.url(folder), rules)


async def sees_what_another_writes_meanwhile(scene: Scene) -> None:
    """Lost writes, without a race: a transaction of somebody else is under way when the company is asked for."""
    await scene.record("first", 1)
    url = await DATABASES.url(scene.folder)
    other, observer = await asyncpg.connect(url), await asyncpg.connect(url)
    default = scene.rules.default_budget
    rules = [default.token_limit, default.window_days, scene.rules.retention_ms, scene.rules.future_max_ms]
    try:
        async with other.transaction():
            operations = to_call([record_operation(NewEvent("other", 10), T0)])
            await other.fetch("SELECT * FROM kvot.write($1, $2, 0, $3)", COMPANY, rules, operations)
            waits = asyncio.ensure_future(scene.record("e", 100))
            await until_one_waits_for_a_lock(observer)
        assert (await waits).usage.tokens_used == 111
    finally:
        await other.close()
        await observer.close()


ARCHIVE = ENGINES["postgres"].archive
CROWDS = {
    "that takes what is free": Engine(
        open_crowd, is_durable=True, discard=DATABASES.discard, need=shared_server, archive=ARCHIVE
    ),
    "that waits for locks": Engine(open_waiting_crowd, is_durable=True, need=shared_server, archive=ARCHIVE),
}
