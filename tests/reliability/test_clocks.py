"""Clocks that leap, the database's and the servers' own: no more is spent, and no time is far from the true one."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from kvot.core.clock import LEAP_MAX_MS
from kvot.core.window import MS_PER_DAY
from kvot.stores.postgres.address import Address
from tests.postgres.server import PrivateServer
from tests.reliability.clients import CLIENTS, ESTIMATE
from tests.reliability.fleet import Fleet, now_ms
from tests.reliability.test_trouble import under_load
from tests.reliability.troubles import leap, set_database_clock

STEP_MS = LEAP_MAX_MS + 10_000
"""As far as a time may be from the true one, and what a loaded machine takes between a clock and a row."""

_TIMES = "SELECT min(created_at), max(created_at) FROM kvot.hold WHERE company_id = ANY ($1::uuid[])"


@pytest.fixture
async def leaping(pooled_fleet: Fleet) -> AsyncIterator[Fleet]:
    yield pooled_fleet
    pooled_fleet.leap(0)
    await set_database_clock(pooled_fleet, 0)


@pytest.mark.parametrize("rounds", [50, pytest.param(1_000, marks=pytest.mark.deep)])
async def test_not_a_token_over_while_clocks_leap(leaping: Fleet, server: PrivateServer, rounds: int):
    began_ms = now_ms()
    how = {"calls_between": CLIENTS // 2, "limit_a_round": ESTIMATE}
    clients, companies, proof = await under_load(leaping, server, leap, rounds, **how)
    assert (set(clients.statuses), clients.wrong) == ({200, 429}, [])
    assert proof.faults == (0, 0, 0, 0, 0)
    connection = await asyncpg.connect(Address.parse(leaping.url).dsn)
    first_ms, last_ms = await connection.fetchrow(_TIMES, companies)
    await connection.close()
    assert began_ms - STEP_MS <= first_ms <= last_ms <= now_ms() + STEP_MS


async def test_a_leap_of_the_servers_clock_is_an_alarm_and_no_stop(leaping: Fleet):
    (company,) = await leaping.companies(1, 100)
    async with aiohttp.ClientSession(leaping.address, headers={"x-api-key": leaping.key}) as session:

        async def ask(path: str, **body: Any) -> tuple[int, dict[str, Any]]:
            async with session.request("POST" if body else "GET", path, json=body or None) as reply:
                return reply.status, await reply.json()

        leaping.leap(MS_PER_DAY)
        status, told = await ask("/assistant/ai-chat/holds", companyId=company, holdId="h", tokens=10)
        assert (status, told["tokensHeld"]) == (200, 10)
        status, told = await ask("/readyz")
        assert (status, told["reason"].startswith("The clock leapt ahead by ")) == (503, True)
        leaping.leap(0)
        assert await ask("/readyz") == (200, {"ready": True})
