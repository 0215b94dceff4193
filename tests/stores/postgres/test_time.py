"""Whose clock decides: the database's, as far as it stays near the caller's own."""

import time
from collections.abc import AsyncIterator

import pytest

from kvot.core.budget import Budget, Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent, NewHold, Status
from kvot.stores.postgres import PostgresStore, Time
from tests.conformance.scene import COMPANY, T0

FIVE_MINUTES = 300_000
DAY = 86_400_000


def wall_ms() -> int:
    """Of this machine, which is the database's too."""
    return time.time_ns() // 1_000_000


@pytest.fixture
async def served(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore.open(url, Rules())
    yield store
    await store.close()


def test_in_service_the_database_decides():
    assert PostgresStore.open("postgresql://h/d", Rules())._drift_max_ms == Time.DATABASE.value == FIVE_MINUTES


async def test_the_databases_time_is_the_time(served: PostgresStore):
    before_ms = wall_ms()
    answer = await served.record(COMPANY, NewEvent("e", 1), now_ms=before_ms - 250_000)
    assert before_ms - 1 <= answer.usage.at_ms <= wall_ms() + 1


@pytest.mark.parametrize("apart_ms", [-DAY, DAY])
async def test_a_database_that_is_far_from_the_callers_clock_is_not_followed(served: PostgresStore, apart_ms: int):
    now_ms = wall_ms() + apart_ms
    towards_ms = -FIVE_MINUTES if apart_ms > 0 else FIVE_MINUTES
    assert (await served.record(COMPANY, NewEvent("e", 1), now_ms=now_ms)).usage.at_ms == now_ms + towards_ms
    assert (await served.usage(COMPANY, now_ms=now_ms)).at_ms == now_ms + towards_ms


@pytest.mark.parametrize("apart_ms", [-40 * DAY, -FIVE_MINUTES - 60_000, FIVE_MINUTES + 60_000, 40 * DAY])
async def test_a_process_that_begins_with_another_time_than_the_database_does_nothing(url: str, apart_ms: int):
    clock = [wall_ms() + apart_ms]
    store = PostgresStore.open(url, Rules(), now_ms=lambda: clock[0])
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="This machine's clock says"):
            await store.record(COMPANY, NewEvent("e", 1), now_ms=clock[0])
    with pytest.raises(StoreUnavailable, match="set the wrong one right"):
        await store.ready()
    clock[0] = wall_ms()
    assert (await store.record(COMPANY, NewEvent("e", 1), now_ms=clock[0])).status is Status.DONE
    await store.close()


async def test_one_that_began_with_the_same_time_may_leap_later(url: str):
    clock = [wall_ms()]
    store = PostgresStore.open(url, Rules(), now_ms=lambda: clock[0])
    await store.ready()
    clock[0] += DAY
    assert (await store.usage(COMPANY, now_ms=clock[0])).at_ms == clock[0] - FIVE_MINUTES
    await store.close()


async def test_instances_minutes_apart_share_one_time_and_never_overspend(url: str):
    stores = [PostgresStore.open(url, Rules()) for _ in range(3)]
    clocks = [wall_ms() + apart for apart in (-299_000, 0, 299_000)]
    await stores[0].set_budget(COMPANY, Budget(100, 30), actor="ann", reason=None, now_ms=clocks[0])
    answers = [
        await store.reserve(COMPANY, NewHold(f"h{turn}-{number}", 10, 600_000), now_ms=clock)
        for turn in range(6)
        for number, (store, clock) in enumerate(zip(stores, clocks, strict=True))
    ]
    assert sum(answer.status is Status.DONE for answer in answers) == 10
    times = [answer.usage.at_ms for answer in answers]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60_000
    for store in stores:
        await store.close()


async def test_a_wait_is_counted_from_the_time_that_decided(served: PostgresStore):
    now_ms = wall_ms() - 200_000
    await served.set_budget(COMPANY, Budget(10, 30), actor="ann", reason=None, now_ms=now_ms)
    hold = (await served.reserve(COMPANY, NewHold("h", 10, 60_000), now_ms=now_ms)).hold
    assert hold is not None
    refused = await served.reserve(COMPANY, NewHold("i", 10, 60_000), now_ms=now_ms)
    assert refused.retry_after_ms == hold.expires_at_ms - refused.usage.at_ms


async def test_with_the_callers_time_nothing_else_counts(store: PostgresStore):
    assert (await store.record(COMPANY, NewEvent("e", 1), now_ms=T0)).usage.at_ms == T0
