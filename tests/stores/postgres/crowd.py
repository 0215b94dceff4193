"""A crowd of stores on one database, as several processes are: each has connections and lanes of its own."""

from itertools import cycle
from pathlib import Path
from typing import Any

from kvot.core.budget import Rules
from kvot.stores.postgres import PostgresStore, Time
from tests.conformance.scene import Engine, FullStore
from tests.postgres.databases import DATABASES, shared_server

STORES = 4


class Crowd:
    """Every operation goes to the next store in turn, so that a company's lock is fought for in the database."""

    def __init__(self, url: str, rules: Rules) -> None:
        self._stores = [PostgresStore.open(f"{url}&connections=8", rules, time=Time.GIVEN) for _ in range(STORES)]
        self._turn = cycle(self._stores)

    @classmethod
    async def open(cls, url: str, rules: Rules) -> FullStore:
        """With a connection for each store, so that the first calls meet."""
        crowd = cls(url, rules)
        for store in crowd._stores:
            await store.ready()
        return crowd

    def __getattr__(self, operation: str) -> Any:
        return getattr(next(self._turn), operation)

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


async def open_crowd(folder: Path, rules: Rules) -> FullStore:
    return await Crowd.open(await DATABASES.url(folder), rules)


CROWD = Engine(open_crowd, is_durable=True, discard=DATABASES.discard, need=shared_server)
