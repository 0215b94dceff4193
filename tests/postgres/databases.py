"""Databases for tests, on one private server per run: each folder has its own, migrated, empty when first opened.

Before the server stands a pooler, for those who want to go through one.
"""

import atexit
from functools import cache
from pathlib import Path

import asyncpg

from kvot.stores.postgres import migrate
from tests.postgres.pooler import Pooler
from tests.postgres.server import PrivateServer

TEMPLATE = "migrated"
_TABLES = (
    "company",
    "budget",
    "point",
    "late",
    "label_set",
    "event",
    "hold",
    "rollup",
    "sweep",
    "secret_check",
    "unfinished_copy",
    "audit",
    "key_audit",
    "api_key",
    "provider_key",
    "stored_reply",
)
_EMPTY = "".join(
    [
        "SET session_replication_role = replica;",  # the guards of the audit log stand in the way
        *(f"DELETE FROM kvot.{table};" for table in _TABLES),  # a tenth of the time that TRUNCATE takes
        "UPDATE kvot.keys_version SET version = 0",
    ]
)


@cache
def shared_server() -> PrivateServer:
    """The server of this run. Not durable: no test on it pulls the plug. Raises ConnectionError if there is none."""
    # With a hundred small databases the vacuum would start ten workers a second and find nothing to do.
    server = PrivateServer.make(durable=False, settings={"autovacuum": "off"})
    atexit.register(server.remove)
    return server


@cache
def shared_pooler() -> Pooler:
    """Of this run, before its server. Raises ConnectionError if there is none."""
    pooler = Pooler.make(shared_server())
    atexit.register(pooler.remove)
    return pooler


class Databases:
    """Which folder has which database. One that is discarded is emptied and given to the next folder."""

    def __init__(self) -> None:
        self._of: dict[Path, str] = {}
        self._free: list[str] = []
        self._count = 0
        self._has_template = False

    async def url(self, folder: Path) -> str:
        if folder not in self._of:
            self._of[folder] = await self._empty()
        return shared_server().url(self._of[folder])

    def name(self, folder: Path) -> str:
        return self._of[folder]

    def discard(self, folder: Path) -> None:
        if folder in self._of:
            self._free.append(self._of.pop(folder))

    async def _empty(self) -> str:
        if self._free:
            name = self._free.pop()
            await run(name, _EMPTY)
            return name
        if not self._has_template:
            await run("postgres", f"CREATE DATABASE {TEMPLATE}")
            await migrate(shared_server().url(TEMPLATE))
            self._has_template = True
        self._count += 1
        name = f"test_{self._count}"
        await run("postgres", f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name


async def run(database: str, sql: str) -> None:
    connection = await asyncpg.connect(shared_server().url(database))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


DATABASES = Databases()
