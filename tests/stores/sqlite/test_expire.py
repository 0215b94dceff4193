"""Nobody waits while all the holds are closed that ran out: each piece of them goes into a transaction of its own."""

import asyncio

from kvot.core.model import NewHold
from kvot.stores.sqlite import SqliteStore, keeping
from kvot.stores.sqlite.keeping import CLOSED_MAX
from tests.stores.sqlite.conftest import COMPANY, OTHER, T0, counted_commits

TTL_MS = 60_000
LATER = T0 + TTL_MS


async def fill(store: SqliteStore) -> None:
    """Two pieces of due holds and one more, of which every other call was sent; one that is open; one of OTHER."""
    due = [NewHold(f"h{number}", 2, TTL_MS, dispatched=number % 2 == 0) for number in range(2 * CLOSED_MAX + 1)]
    await asyncio.gather(*(store.reserve(COMPANY, hold, now_ms=T0) for hold in due))
    await store.reserve(COMPANY, NewHold("open", 5, 2 * TTL_MS), now_ms=T0)
    await store.reserve(OTHER, NewHold("due", 7, TTL_MS, dispatched=True), now_ms=T0)


async def answers(store: SqliteStore) -> list[object]:
    usage = await store.usage(COMPANY, now_ms=LATER)
    before = await store.usage(COMPANY, now_ms=LATER, at_ms=LATER - 1)
    shares = await store.breakdown(COMPANY, "source", first_hour=0, end_hour=10**6, now_ms=LATER)
    holds = [await store.hold(COMPANY, f"h{number}", now_ms=LATER) for number in (0, 1, 2 * CLOSED_MAX)]
    return [usage, before, shares, holds]


async def test_what_is_read_is_the_same_before_after_and_between(store: SqliteStore):
    await fill(store)
    before = await answers(store)
    assert await store._write(keeping.expire, None, LATER) == CLOSED_MAX
    assert await answers(store) == before
    assert not (await store.verify(COMPANY, now_ms=LATER)).differences
    assert await store.expire(now_ms=LATER) == CLOSED_MAX + 2
    assert await answers(store) == before
    assert not (await store.verify(COMPANY, now_ms=LATER)).differences


async def test_every_piece_is_a_commit_of_its_own(store: SqliteStore):
    await fill(store)
    with counted_commits(store) as commits:
        assert await store.expire(now_ms=LATER) == 2 * CLOSED_MAX + 2
    assert len(commits) == 3
