"""The database in trouble while 64 clients ask: 503 with Retry-After, never 500; nothing lost, doubled or overspent."""

from collections.abc import Iterator, Set

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres import PostgresStore
from tests.postgres.server import PrivateServer
from tests.reliability.clients import CLIENTS, ESTIMATE, Clients
from tests.reliability.fleet import Fleet
from tests.reliability.proof import Proof, prove
from tests.reliability.troubles import Pair, Trial, Trouble, crash, execute, lock_all, restart, terminate

COMPANIES = 16
"""Many, so that the connections of a worker can run out: calls of one company share one."""

LIMIT_A_ROUND = 20 * ESTIMATE
"""Of each company: there is room in every round, and seldom much at the end."""

USED = 3
CALLS_BETWEEN = 150
ROUNDS, ROUNDS_DEEP = 5, 100
TROUBLES = [terminate, restart, crash, lock_all]


HEARD = {200, 429, 503}
"""Clients hear nothing else, and always something."""


async def under_load(
    fleet: Fleet,
    server: PrivateServer,
    trouble: Trouble,
    rounds: int,
    *,
    calls_between: int = CALLS_BETWEEN,
    limit_a_round: int = LIMIT_A_ROUND,
) -> tuple[Clients, list[str], Proof]:
    limit = rounds * limit_a_round
    companies = await fleet.companies(COMPANIES, limit)
    clients = Clients(fleet.address, fleet.key)
    is_over = False

    async def spend(number: int) -> None:
        company, turn = companies[number % COMPANIES], 0
        while not is_over:
            hold_id, turn = f"h-{number}-{turn}", turn + 1
            if not await clients.reserve(company, hold_id):
                await clients.pause()
            elif turn % 5:
                await clients.settle(company, hold_id, USED)

    async def make_trouble() -> None:
        nonlocal is_over
        try:
            for _ in range(rounds):
                await clients.after(calls_between)
                await trouble(Trial(fleet, server, clients))
            await clients.after(calls_between)
        finally:
            is_over = True

    await clients.run(spend, make_trouble())
    proof = await prove(fleet.url, clients, companies, limit)
    print(f"{rounds} × {trouble.__name__}: {clients.calls} calls {dict(clients.statuses)}; {proof}")
    print(f"slowest 503 {max(clients.refusals_s, default=0):.2f} s")
    return clients, companies, proof


async def prove_under_load(
    fleet: Fleet,
    server: PrivateServer,
    trouble: Trouble,
    rounds: int,
    heard: Set[int] = HEARD,
    *,
    limit_a_round: int = LIMIT_A_ROUND,
) -> None:
    clients, _, proof = await under_load(fleet, server, trouble, rounds, limit_a_round=limit_a_round)
    assert clients.wrong == []
    assert clients.without_retry_after == 0
    assert set(clients.statuses) <= heard
    assert proof.faults == (0, 0, 0, 0, 0)
    assert proof.admitted > CLIENTS
    if trouble is lock_all:
        assert clients.statuses[503] > 0
        in_order = sorted(clients.refusals_s)  # a machine that stands still for a moment makes some of them slow
        assert in_order[len(in_order) * 9 // 10] < 4, "refused by the pool, before the database's own time-out"


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_five_times(fleet: Fleet, server: PrivateServer, trouble: Trouble):
    await prove_under_load(fleet, server, trouble, ROUNDS)


@pytest.mark.deep
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_hundred_times(fleet: Fleet, server: PrivateServer, trouble: Trouble):
    await prove_under_load(fleet, server, trouble, ROUNDS_DEEP)


@pytest.fixture
def pair(server: PrivateServer) -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.remove()


@pytest.fixture
def pair_fleet(pair: Pair) -> Iterator[Fleet]:
    fleet = Fleet.begin(pair.url)
    yield fleet
    assert "Traceback" not in fleet.end()


@pytest.mark.parametrize("rounds", [1, pytest.param(ROUNDS_DEEP, marks=pytest.mark.deep)])
async def test_a_standby_that_is_promoted_has_all_that_was_acknowledged(
    pair: Pair, pair_fleet: Fleet, server: PrivateServer, rounds: int
):
    standby = PostgresStore.open(pair.standby.url("postgres"), Rules())
    with pytest.raises(StoreUnavailable, match=r"is read-only: a replica, most likely. Name the primary"):
        await standby.ready()
    await standby.close()
    await prove_under_load(pair_fleet, server, pair.fail_over, rounds)


async def test_harm_is_seen(fleet: Fleet, server: PrivateServer):
    """What these trials would be worth nothing without."""
    clients, companies, proof = await under_load(fleet, server, terminate, 1)
    assert proof.faults == (0, 0, 0, 0, 0)
    settled = f"event_id = 'hold→h-0-0' AND company_id = '{companies[0]}'"
    await execute(
        fleet,
        f"CREATE TEMP TABLE again AS SELECT * FROM kvot.event WHERE {settled};"
        "UPDATE again SET event_id = 'again'; INSERT INTO kvot.event SELECT * FROM again",
    )
    twice = await prove(fleet.url, clients, companies, LIMIT_A_ROUND)
    assert (twice.doubled, twice.lost) == (1, 0)
    await execute(fleet, f"DELETE FROM kvot.event WHERE {settled}")
    assert (await prove(fleet.url, clients, companies, LIMIT_A_ROUND)).lost == 1
    await execute(fleet, f"UPDATE kvot.hold SET amount = 10000 WHERE company_id = '{companies[0]}'")
    assert (await prove(fleet.url, clients, companies, LIMIT_A_ROUND)).over > 0
