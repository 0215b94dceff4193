"""Reads that take long: nobody else waits for them."""

import asyncio

from kvot.core.model import CallDetail, NewEvent
from kvot.stores.sqlite import SqliteStore

from .conftest import COMPANY, T0

HOUR = T0 // 3_600_000


async def test_the_loop_goes_on_while_a_breakdown_is_worked_out(store: SqliteStore) -> None:
    await store.record(COMPANY, NewEvent("e", 5, detail=CallDetail(user="ann")), now_ms=T0)
    asked = asyncio.create_task(store.breakdown(COMPANY, "user", first_hour=HOUR, end_hour=HOUR + 1, now_ms=T0))
    await asyncio.sleep(0)  # it has begun
    assert not asked.done()
    (share,) = await asked
    assert (share.label, share.tokens) == ("ann", 5)
