"""Four server processes, 64 clients, one company near its limit: not a token over, however they come and go."""

import pytest

from kvot.stores.postgres.address import Address
from tests.postgres.server import PrivateServer
from tests.reliability.clients import CLIENTS, ESTIMATE, Clients
from tests.reliability.fleet import Fleet
from tests.reliability.proof import Proof, prove
from tests.reliability.troubles import Trial, Trouble, restart, terminate
from tests.stores.postgres.test_faults import FAULTS, plant

USED = 3
"""Tokens that each settled call really used of its estimate, so that room comes back again and again."""

SETTLED_FIRST = 5
"""Calls of each client that are made and settled, before all try for what is left."""

HELD_IS_FREE = next(fault for fault in FAULTS if fault.name == "held tokens do not count")


async def race(
    fleet: Fleet, server: PrivateServer, tries: int, trouble: Trouble | None = None, rounds: int = 0
) -> tuple[Proof, Clients, int]:
    """A budget for a hundredth of the tries; the proof, what clients heard, and how many holds there was room for."""
    limit = tries // 100 * ESTIMATE + CLIENTS * SETTLED_FIRST * USED + ESTIMATE // 2
    (company,) = companies = await fleet.companies(1, limit)
    clients = Clients(fleet.address, fleet.key)

    async def spend(number: int) -> None:
        for turn in range(SETTLED_FIRST):
            hold_id = f"first-{number}-{turn}"
            if await clients.reserve(company, hold_id):
                await clients.settle(company, hold_id, USED)

    async def try_for_the_rest(number: int) -> None:
        for turn in range(tries // CLIENTS):
            await clients.reserve(company, f"h-{number}-{turn}")

    async def make_trouble() -> None:
        for _ in range(rounds):
            await clients.after(tries // (2 * rounds + 2))
            if trouble is not None:
                await trouble(Trial(fleet, server, clients))

    await clients.run(spend)
    await clients.run(try_for_the_rest, make_trouble())
    room = (limit - sum(tokens for _, tokens in clients.settled.values())) // ESTIMATE
    proof = await prove(fleet.url, clients, companies, limit)
    print(f"{clients.calls} calls {dict(clients.statuses)}; {proof}; room for {room}")
    return proof, clients, room


async def prove_race(
    fleet: Fleet, server: PrivateServer, tries: int, trouble: Trouble | None = None, rounds: int = 0
) -> None:
    proof, clients, room = await race(fleet, server, tries, trouble, rounds)
    assert clients.wrong == []
    assert set(clients.statuses) <= ({200, 429} if trouble is None else {200, 429, 503})
    assert clients.without_retry_after == 0
    assert proof.faults == (0, 0, 0, 0, 0)
    assert len(clients.open) == room


async def test_not_a_token_over_and_as_many_holds_as_fit(fleet: Fleet, server: PrivateServer):
    await prove_race(fleet, server, 6_400)


@pytest.mark.parametrize(("trouble", "rounds"), [(terminate, 5), (restart, 1)])
async def test_nor_while_the_database_is_in_trouble(fleet: Fleet, server: PrivateServer, trouble: Trouble, rounds: int):
    await prove_race(fleet, server, 1_280, trouble, rounds)


@pytest.mark.deep
@pytest.mark.parametrize(("trouble", "rounds"), [(None, 0), (terminate, 1_000), (restart, 20)])
async def test_not_a_token_over_in_a_million_tries(
    fleet: Fleet, server: PrivateServer, trouble: Trouble | None, rounds: int
):
    await prove_race(fleet, server, 1_000_000, trouble, rounds)


async def test_a_database_that_overspends_is_found_out(fleet: Fleet, server: PrivateServer):
    dsn = Address.parse(fleet.url).dsn
    await plant(dsn, HELD_IS_FREE)
    try:
        proof, _, _ = await race(fleet, server, 640)
    finally:
        await plant(dsn, HELD_IS_FREE._replace(right=HELD_IS_FREE.wrong, wrong=HELD_IS_FREE.right))
    assert proof.over > 0
