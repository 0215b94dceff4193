"""A call of which nobody can say what it has come to: its client hears so, repeats it, and it counts once."""

import asyncio
from typing import Any

import aiohttp
import asyncpg
import pytest

from kvot.stores.postgres.address import Address
from tests.reliability.fleet import Fleet

SAID = "If this was a write, repeat it with the same id: it counts once."
_WAITS = """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'kvot'"""


async def terminate_who_waits(blocker: asyncpg.Connection) -> None:
    while (pid := await blocker.fetchval(_WAITS)) is None:
        await blocker.execute("SELECT pg_sleep(0.01); SELECT pg_stat_clear_snapshot()")
    await blocker.execute(f"SELECT pg_terminate_backend({pid})")


async def leave_it_waiting(blocker: asyncpg.Connection) -> None:
    """The statement's own time-out stops it."""


@pytest.mark.parametrize("end", [terminate_who_waits, leave_it_waiting])
async def test_a_call_that_was_cut_off_is_unknown_and_counts_once_when_repeated(fleet: Fleet, end: Any):
    (company,) = await fleet.companies(1, 100)
    body = {"companyId": company, "holdId": "h", "tokens": 10}
    blocker = await asyncpg.connect(Address.parse(fleet.url).dsn)
    async with aiohttp.ClientSession(fleet.address, headers={"x-api-key": fleet.key}) as session:

        async def reserve() -> tuple[int, dict[str, Any], str | None]:
            async with session.post("/assistant/ai-chat/holds", json=body) as reply:
                return reply.status, await reply.json(), reply.headers.get("retry-after")

        await blocker.execute(f"BEGIN; SELECT FROM kvot.company WHERE company_id = '{company}' FOR UPDATE")
        cut_off = asyncio.ensure_future(reserve())
        await end(blocker)
        status, document, retry_after = await cut_off
        assert (status, document["responseStatus"]["errorCode"], retry_after) == (503, "StoreUnavailable", "1")
        assert SAID in document["responseStatus"]["message"]
        await blocker.close()
        answers = [await reserve() for _ in range(3)]
    assert [(status, told["tokensHeld"]) for status, told, _ in answers] == [(200, 10)] * 3
