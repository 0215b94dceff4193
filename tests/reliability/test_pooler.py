"""By way of PgBouncer in transaction mode: the same promises, over HTTP."""

import time
from collections import Counter

import aiohttp
import pytest

from tests.postgres.server import PrivateServer
from tests.reliability.fleet import Fleet
from tests.reliability.test_overspend import prove_race
from tests.reliability.troubles import Trouble, restart, terminate

ACME = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


@pytest.mark.parametrize(("trouble", "rounds"), [(terminate, 5), (restart, 1)])
async def test_not_a_token_over_while_the_database_is_in_trouble(
    pooled_fleet: Fleet, server: PrivateServer, trouble: Trouble, rounds: int
):
    await prove_race(pooled_fleet, server, 640, trouble, rounds)


async def test_a_revoked_key_is_refused_by_every_worker_within_a_second(pooled_fleet: Fleet):
    """No notice comes through a pooler that divides by transaction: the change is asked for."""
    live, other = [pooled_fleet.make_key("--company", ACME) for _ in range(2)]
    connector = aiohttp.TCPConnector(force_close=True)  # the kernel gives each connection to whichever worker
    async with aiohttp.ClientSession(pooled_fleet.address, connector=connector) as session:

        async def ask(key: dict[str, str]) -> int:
            async with session.get("/assistant/ai-chat/usage", headers={"x-api-key": key["key"]}) as reply:
                return reply.status

        assert {await ask(other) for _ in range(30)} == {200}, "both workers have seen it"
        pooled_fleet.run("keys", "revoke", other["id"], "--yes")
        revoked_s = time.monotonic()
        while time.monotonic() - revoked_s < 1:
            assert await ask(live) == 200
        # More failures than these would be refused for their number, by either worker.
        assert Counter([await ask(other) for _ in range(10)]) == {401: 10}
