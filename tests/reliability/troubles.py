"""What may happen to a database while it is asked, one round of each."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from kvot.stores.postgres.address import Address
from tests.postgres.server import PrivateServer
from tests.reliability.fleet import Fleet

Trouble = Callable[[Fleet, PrivateServer], Awaitable[None]]

_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvot'"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'kvot'"


async def terminate(fleet: Fleet, _server: PrivateServer) -> None:
    await execute(fleet, _TERMINATE)


async def restart(_fleet: Fleet, server: PrivateServer) -> None:
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def crash(_fleet: Fleet, server: PrivateServer) -> None:
    await asyncio.to_thread(server.stop, mode="immediate")
    await asyncio.to_thread(server.start)


async def lock_all(fleet: Fleet, _server: PrivateServer) -> None:
    """Nobody gets at the ledger: every connection of every worker waits, and whoever comes then finds none free."""
    connection = await asyncpg.connect(Address.parse(fleet.url).dsn)
    try:
        await connection.execute("BEGIN; LOCK TABLE kvot.company IN ACCESS EXCLUSIVE MODE")
        while await connection.fetchval(_WAITING) < fleet.connections:
            await connection.execute("SELECT pg_sleep(0.01); SELECT pg_stat_clear_snapshot()")
        await connection.execute("SELECT pg_sleep(1.3)")  # longer than a caller waits for a connection
    finally:
        await connection.close()


class Pair:
    """A primary and the standby that each of its commits waits for. After a failover the old primary follows."""

    def __init__(self) -> None:
        self.primary = PrivateServer.make(durable=False)
        self.standby = self.primary.standby()
        hosts = f"{self.primary.folder},{self.standby.folder}"
        options = f"host={hosts}&port=5432,5432&target_session_attrs=read-write&connections=4"
        self.url = f"postgresql://postgres@/postgres?{options}"

    async def fail_over(self, _fleet: Fleet, _server: PrivateServer) -> None:
        await asyncio.to_thread(self.primary.stop, mode="immediate")
        await asyncio.to_thread(self.standby.promote)
        self.primary, self.standby = self.standby, self.primary
        await asyncio.to_thread(self.standby.follow, self.primary)

    def remove(self) -> None:
        self.standby.remove()
        self.primary.remove()


async def execute(fleet: Fleet, sql: str) -> None:
    connection = await asyncpg.connect(Address.parse(fleet.url).dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
