"""A database that can no longer be used while a server runs on it: 503, and on again by itself.

Why, and what to do, is said to whoever runs Kvot: by /readyz and in the log.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent
from kvot.stores.postgres import PostgresStore, Time, migrate
from kvot.stores.postgres.address import Address
from tests.conformance.scene import COMPANY, T0
from tests.postgres.disk import small_disk
from tests.postgres.server import PrivateServer, scratch_folder
from tests.reliability.fleet import Fleet
from tests.reliability.test_trouble import prove_under_load
from tests.reliability.troubles import DISK_FULL, fill, fill_disk

REFUSAL = "The ledger cannot answer now. If this was a write, repeat it with the same id: it counts once."

LIMIT_S = 20
"""On a loaded machine. Open connections are looked at again after a second."""

_END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvot';"


class State(NamedTuple):
    begin: str
    end: str
    said: str
    records: int = 503
    """The status of what a call that is under way may still have to say."""


STATES = {
    "migrated by a later Kvot": State(
        "INSERT INTO kvot.schema_version VALUES (9999, '9999_later', 'x')",
        "DELETE FROM kvot.schema_version WHERE version = 9999",
        "was made by a newer Kvot (schema 9999_later). Upgrade Kvot",
        records=200,
    ),
    "not migrated": State(
        "ALTER SCHEMA kvot RENAME TO gone",
        "ALTER SCHEMA gone RENAME TO kvot",
        "has no ledger yet. Run: kvot migrate --database",
    ),
    "read-only": State(
        "ALTER DATABASE postgres SET default_transaction_read_only = on;" + _END_OTHERS,
        "SET default_transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only;"
        + _END_OTHERS,
        "is read-only: a replica, most likely. Name the primary",
    ),
    "closed to its user": State(
        "ALTER ROLE postgres NOLOGIN;" + _END_OTHERS,
        "ALTER ROLE postgres LOGIN",
        "refuses the user or the password of the URL",
    ),
    "forgetful": State(
        "ALTER DATABASE postgres SET synchronous_commit = off;" + _END_OTHERS,
        "ALTER DATABASE postgres RESET synchronous_commit;" + _END_OTHERS,
        "may lose what it has acknowledged. Set synchronous_commit to on",
    ),
}


class Client:
    """Each question on a connection of its own, which the kernel gives to whichever worker."""

    def __init__(self, session: aiohttp.ClientSession, company: str) -> None:
        self._session = session
        self._company = company

    async def record(self, event_id: str) -> tuple[int, int | None]:
        """The status, and the tokens used; None for a refusal that tells when to come again, and nothing of why."""
        body, headers = {"companyId": self._company, "tokensUsed": 7}, {"idempotency-key": event_id}
        async with self._session.post("/assistant/ai-chat/usage", json=body, headers=headers) as reply:
            told = await reply.json()
            if reply.status != 200:
                assert (reply.headers["retry-after"], told["responseStatus"]["message"]) == ("1", REFUSAL)
            return reply.status, told.get("tokensUsed")

    async def ready(self) -> tuple[int, str]:
        """The status, and what is wrong."""
        async with self._session.get("/readyz") as reply:
            told: dict[str, Any] = await reply.json()
            return reply.status, told.get("reason", "")


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[Client]:
    (company,) = await fleet.companies(1, 1_000)
    connector, headers = aiohttp.TCPConnector(force_close=True), {"x-api-key": fleet.key}
    async with aiohttp.ClientSession(fleet.address, connector=connector, headers=headers) as session:
        yield Client(session, company)


@pytest.mark.parametrize("state", STATES.values(), ids=list(STATES))
async def test_it_is_said_what_is_wrong_and_the_server_goes_on_by_itself(fleet: Fleet, client: Client, state: State):
    assert await client.record("before") == (200, 7)
    operator = await asyncpg.connect(Address.parse(fleet.url).dsn)
    try:
        await operator.execute(state.begin)
        try:
            await until_all(client, state.records, 503, state.said)
        finally:
            await operator.execute(state.end)
    finally:
        await operator.close()
    await until_all(client, 200, 200, "")
    assert [await client.record(event) for event in ("before", "during", "after")] == [(200, 14), (200, 14), (200, 21)]
    assert state.said in fleet.log()


async def until_all(client: Client, records: int, status: int, said: str) -> None:
    """Until whichever worker is asked says so, ten times in a row; meanwhile no answer but 200 and 503."""
    in_a_row = 0
    async with asyncio.timeout(LIMIT_S):
        while in_a_row < 10:
            recorded, (ready, reason) = await client.record("during"), await client.ready()
            assert {recorded[0], ready} <= {200, 503}
            in_a_row = in_a_row + 1 if (recorded[0], ready) == (records, status) and said in reason else 0


# -- a full disk -------------------------------------------------------------------------------------------------------

EVENTS_MAX = 10_000
"""Far more than fit into the pages that a table has when no other can be had."""


NO_CHECKPOINT = {"max_wal_size": "4GB", "checkpoint_timeout": "1h"}


@pytest.fixture(scope="module")
def small_server(server: PrivateServer) -> Iterator[PrivateServer]:
    """A server whose disk holds little more than an empty database.

    Its log of writes is elsewhere and nothing calls for a checkpoint: PostgreSQL ends where either has no room, and
    somebody must start it again. Here it has to refuse, and go on.
    """
    log_folder = scratch_folder()
    with small_disk(megabytes=160) as folder:
        small = PrivateServer.make(durable=False, folder=folder, settings=NO_CHECKPOINT, log_folder=log_folder)
        yield small
        small.stop(mode="immediate")
    shutil.rmtree(log_folder)


NO_LIMIT = 1_000_000
"""Where a budget is used up nothing more is written, and a disk that is full is not noticed."""


@pytest.fixture
def small_fleet(small_server: PrivateServer) -> Iterator[Fleet]:
    fleet = Fleet.begin(small_server.url("postgres"), workers=2)
    yield fleet
    assert "Traceback" not in fleet.end()


async def test_a_full_disk_loses_and_doubles_nothing(small_fleet: Fleet, small_server: PrivateServer):
    await prove_under_load(small_fleet, small_server, fill_disk, 2, limit_a_round=NO_LIMIT)


async def record_many(store: PostgresStore) -> None:
    for number in range(EVENTS_MAX):
        await store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0)


async def test_a_server_that_was_refused_for_a_full_disk_is_not_ready_until_there_is_room(small_server: PrivateServer):
    url, ballast = small_server.url("postgres"), small_server.folder / "ballast"
    await migrate(url)
    store = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    await store.record(COMPANY, NewEvent("first", 1), now_ms=T0)
    fill(ballast)
    with pytest.raises(StoreUnavailable, match=DISK_FULL):
        await record_many(store)
    with pytest.raises(StoreUnavailable, match=DISK_FULL):
        await store.ready()
    ballast.unlink()
    await store.ready()
    await store.record(COMPANY, NewEvent("last", 1), now_ms=T0)
    await store.close()
