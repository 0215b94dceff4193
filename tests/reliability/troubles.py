"""What may happen to a database while it is asked, one round of each."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg

from kvot.core.window import MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.lanes import CALLS_MAX
from tests.postgres.server import PrivateServer
from tests.reliability.clients import CLIENTS, Clients
from tests.reliability.fleet import WORKERS, Fleet


class Trial(NamedTuple):
    """What is in trouble, and who asks meanwhile."""

    fleet: Fleet
    server: PrivateServer
    clients: Clients


Trouble = Callable[[Trial], Awaitable[None]]

_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvot'"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'kvot'"


async def terminate(trial: Trial) -> None:
    await execute(trial.fleet, _TERMINATE)


async def restart(trial: Trial) -> None:
    await asyncio.to_thread(trial.server.stop)
    await asyncio.to_thread(trial.server.start)


async def crash(trial: Trial) -> None:
    await asyncio.to_thread(trial.server.stop, mode="immediate")
    await asyncio.to_thread(trial.server.start)


async def lock_all(trial: Trial) -> None:
    """Nobody gets at the ledger: every call that workers send at once waits, and whoever comes then is not sent."""
    connection = await asyncpg.connect(Address.parse(trial.fleet.url).dsn)
    try:
        await connection.execute("BEGIN; LOCK TABLE kvot.company IN ACCESS EXCLUSIVE MODE")
        while await connection.fetchval(_WAITING) < WORKERS * CALLS_MAX:
            await connection.execute("SELECT pg_sleep(0.01); SELECT pg_stat_clear_snapshot()")
        await connection.execute("SELECT pg_sleep(1.3)")  # longer than anyone waits to be sent
    finally:
        await connection.close()


DISK_FULL = "its disk is full. Make room"


async def fill_disk(trial: Trial) -> None:
    """Until Kvot's log says so. Of a server that has a disk of its own."""
    ballast = trial.server.folder / "ballast"
    await asyncio.to_thread(fill, ballast)
    try:
        said = trial.fleet.log().count(DISK_FULL)
        while trial.fleet.log().count(DISK_FULL) == said:
            await trial.clients.after(CLIENTS)
    finally:
        ballast.unlink()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError:
            return


# -- processes of Kvot itself ------------------------------------------------------------------------------------------


async def kill_worker(trial: Trial) -> None:
    os.kill(_chance.choice(trial.fleet.workers()), signal.SIGKILL)


async def kill_all(trial: Trial) -> None:
    """The parent alone is killed, and its workers end for it. Whatever runs Kvot starts it again."""
    await asyncio.to_thread(trial.fleet.signal, signal.SIGKILL)
    await asyncio.to_thread(trial.fleet.serve)


async def replace_all(trial: Trial) -> None:
    """As an upgrade does."""
    assert await asyncio.to_thread(trial.fleet.signal, signal.SIGTERM) == 0
    await asyncio.to_thread(trial.fleet.serve)


# -- clocks ------------------------------------------------------------------------------------------------------------

_chance = random.Random(11)
_LEAPS_MS = [sign * by for by in (MS_PER_SECOND, MS_PER_HOUR, MS_PER_DAY) for sign in (-1, 1)] + [0]
_PLANT_CLOCK = """CREATE TABLE public.leap AS SELECT 0::bigint AS apart_ms;
DO $$ DECLARE
  source text := pg_get_functiondef('kvot.time_of'::regproc);
  planted text := replace(source, 'clock_timestamp()',
    '(clock_timestamp() + (SELECT apart_ms FROM public.leap) * interval ''1 ms'')');
BEGIN
  ASSERT planted <> source;
  EXECUTE planted;
END $$"""


async def plant_database_clock(fleet: Fleet) -> None:
    """From now on `leap` can set it."""
    await execute(fleet, _PLANT_CLOCK)


async def leap(trial: Trial) -> None:
    """The wall clock of the servers and that of the database, each somewhere else."""
    trial.fleet.leap(_chance.choice(_LEAPS_MS))
    await set_database_clock(trial.fleet, _chance.choice(_LEAPS_MS))


async def set_database_clock(fleet: Fleet, apart_ms: int) -> None:
    await execute(fleet, f"UPDATE public.leap SET apart_ms = {apart_ms}")


# -- a standby ---------------------------------------------------------------------------------------------------------


class Pair:
    """A primary and the standby that each of its commits waits for. After a failover the old primary follows."""

    def __init__(self) -> None:
        self.primary = PrivateServer.make(durable=False)
        self.standby = self.primary.standby()
        hosts = f"{self.primary.folder},{self.standby.folder}"
        options = f"host={hosts}&port=5432,5432&target_session_attrs=read-write&connections=4"
        self.url = f"postgresql://postgres@/postgres?{options}"

    async def fail_over(self, _trial: Trial) -> None:
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
