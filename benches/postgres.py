"""the engine on PostgreSQL against a bare client of the same server

The bare client does what any counter must: for each call one `UPDATE … RETURNING` of the company's row and one
`INSERT`, each prepared and durable. Ours keeps exact windows, holds and a rollup. The server is a private one, with
fsync, on the machine that runs the bench: both sides share its cores with it.

Two statements in transactions of their own are the fastest that a client with these two statements has: in one
transaction it waits for two more round trips.

Expected before measuring: on one hot company the bare client is bound to one flush a call, since each holds the row for
it, and ours shares a flush among the calls that wait, so it should win. Over many companies both share flushes, and the
server's time decides: some 300 µs a call of ours, against two statements of 50.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import uvloop

from benches.report import Ratio, in_turn, ratio_of
from kvot.core.budget import Budget, Rules
from kvot.core.model import EventColumns, NewEvent, NewHold, Settlement, Status
from kvot.stores.postgres import PostgresStore, Time, migrate
from tests.postgres.server import PrivateServer

CLIENTS = 16
CALLS = 4_000
ROUNDS = 3
NOW_MS = 1_790_000_000_000
WINDOW_MS = 30 * 86_400_000
READS = 1_000
BATCH = 10_000
RATE_PER_S = 1_000
RATED_S = 5
HOT = "00000000-0000-4000-8000-000000000001"
MANY = [f"00000000-0000-4000-8000-{number:012x}" for number in range(1_000)]
COUNTER = """CREATE TABLE counter(company_id uuid PRIMARY KEY, used bigint NOT NULL) WITH (fillfactor = 50);
    CREATE TABLE entry(company_id uuid NOT NULL, entry_id text NOT NULL, tokens bigint NOT NULL,
        PRIMARY KEY (company_id, entry_id))"""
UPDATE = "UPDATE counter SET used = used + $2 WHERE company_id = $1 RETURNING used"
INSERT = "INSERT INTO entry VALUES ($1, $2, $3)"

Call = Callable[[int], Awaitable[object]]


def measure() -> Iterator[Ratio]:
    """reserve and settle, and usage, on PostgreSQL"""
    server = PrivateServer.make()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the server has it
            run = runner.run
            for name in ("ours", "bare", "small", "large"):
                server.run(f"CREATE DATABASE {name}")
            ours = run(_open(server.url("ours")))
            bare = run(_open_bare(server.url("bare")))
            yield _calls("one hot company", "≥ 0.5", run, ours, bare, [HOT])
            yield _calls("1,000 companies", "≥ 0.8", run, ours, bare, MANY)
            yield _p99(run, ours)
            yield _usage(run, server)
            run(ours.close())
            run(bare.close())
    finally:
        server.remove()


async def _open(url: str) -> PostgresStore:
    await migrate(url)
    store = PostgresStore.open(url, Rules(Budget(2_000_000_000, 30)), time=Time.DATABASE)
    await store.ready()
    return store


async def _open_bare(url: str) -> asyncpg.Pool:
    pool = await asyncpg.create_pool(url, min_size=CLIENTS, max_size=CLIENTS)
    await pool.execute(COUNTER)
    await pool.executemany("INSERT INTO counter VALUES ($1, 0)", [(company,) for company in MANY])
    return pool


_numbers = itertools.count()


def _calls(
    what: str, bound: str, run: Callable[..., Any], ours: PostgresStore, bare: asyncpg.Pool, companies: list[str]
) -> Ratio:
    """Calls per second of each side; a call is a reserve or a settle."""

    async def reserve_and_settle(number: int) -> None:
        company, hold_id = companies[number % len(companies)], f"h{number}"
        now_ms = time.time_ns() // 1_000_000
        held = await ours.reserve(company, NewHold(hold_id, 10, 60_000), now_ms=now_ms)
        assert held.status is Status.DONE
        await ours.settle(company, hold_id, Settlement(7), now_ms=now_ms)

    async def count_twice(connection: asyncpg.Connection, number: int) -> None:
        company = companies[number % len(companies)]
        for half in ("r", "s"):
            await connection.fetchval(UPDATE, company, 10)
            await connection.execute(INSERT, company, f"{half}{number}", 10)

    async def ours_per_s() -> float:
        return await _per_s([reserve_and_settle] * CLIENTS)

    async def bare_per_s() -> float:
        connections = [await bare.acquire() for _ in range(CLIENTS)]
        try:
            return await _per_s([_with(count_twice, connection) for connection in connections])
        finally:
            for connection in connections:
                await bare.release(connection)

    mine, theirs = in_turn(ROUNDS, lambda: run(ours_per_s()), lambda: run(bare_per_s()))
    return Ratio(
        f"reserve and settle, {what}, {CLIENTS} clients / UPDATE and INSERT",
        ratio_of(mine, theirs),
        bound,
        f"{max(mine):,.0f} calls/s",
        f"{max(theirs):,.0f} calls/s",
    )


def _with(call: Callable[[asyncpg.Connection, int], Awaitable[None]], connection: asyncpg.Connection) -> Call:
    return lambda number: call(connection, number)


async def _per_s(clients: list[Call]) -> float:
    """So many clients at once, each of them two calls after two calls."""

    async def client(call: Call) -> None:
        for _ in range(CALLS // 2 // len(clients)):
            await call(next(_numbers))

    start_s = time.perf_counter()
    await asyncio.gather(*map(client, clients))
    return CALLS / (time.perf_counter() - start_s)


def _p99(run: Callable[..., Any], ours: PostgresStore) -> Ratio:
    took_ms = sorted(run(_rated(ours)))
    p99_ms = took_ms[len(took_ms) * 99 // 100]
    return Ratio(
        f"99 of 100 reserves in … ms, one hot company at {RATE_PER_S:,} calls/s",
        p99_ms,
        "≤ 15 (on an idle machine)",
        f"half in {took_ms[len(took_ms) // 2]:.1f} ms",
        f"the slowest {took_ms[-1]:.1f} ms",
    )


async def _rated(ours: PostgresStore) -> list[float]:
    """Calls that begin at their times, whether or not the ones before have ended."""
    took_ms: list[float] = []

    async def reserve(number: int, at_s: float) -> None:
        await ours.reserve(HOT, NewHold(f"p{number}", 1, 60_000), now_ms=time.time_ns() // 1_000_000)
        took_ms.append((time.perf_counter() - at_s) * 1_000)

    start_s = time.perf_counter()
    async with asyncio.TaskGroup() as calls:
        for number in range(RATE_PER_S * RATED_S):
            at_s = start_s + number / RATE_PER_S
            if (wait_s := at_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            calls.create_task(reserve(number, at_s))
    return took_ms


def _usage(run: Callable[..., Any], server: PrivateServer) -> Ratio:
    small, large = run(_filled(server.url("small"), 1_000)), run(_filled(server.url("large"), 1_000_000))
    many, few = in_turn(5, lambda: run(_read_us(large)), lambda: run(_read_us(small)))
    for store in (small, large):
        run(store.close())
    return Ratio(
        "usage now, 1,000,000 events / 1,000 events",
        ratio_of(many, few),
        "≤ 1.3",
        f"{min(many):.0f} µs at 1,000,000",
        f"{min(few):.0f} µs at 1,000",
    )


async def _filled(url: str, events: int) -> PostgresStore:
    """A ledger with so many events for one company, spread evenly over the window that ends at NOW_MS."""
    await migrate(url)
    store = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    step_ms = WINDOW_MS / events
    for first in range(0, events, BATCH):
        rows = [
            (HOT, NewEvent(f"event-{each}", 100, NOW_MS - WINDOW_MS + 1 + int(each * step_ms)))
            for each in range(first, min(first + BATCH, events))
        ]
        await store.record_many(EventColumns.of(rows), now_ms=NOW_MS)
    return store


async def _read_us(store: PostgresStore) -> float:
    start_s = time.perf_counter()
    for _ in range(READS):
        await store.usage(HOT, now_ms=NOW_MS)
    return (time.perf_counter() - start_s) / READS * 1e6
