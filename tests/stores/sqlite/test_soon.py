"""Settlements that are answered before they are durable: what is asked after them, and what becomes of them."""

import asyncio
from typing import Any

import pytest

from kvot.core.errors import StoreUnavailable
from kvot.core.model import CallDetail, HoldState, NewEvent, NewHold, Settlement, Source, Status
from kvot.stores.sqlite import SqliteStore, writer

from .conftest import COMPANY, OTHER, T0

HOUR = T0 // 3_600_000
SETTLEMENT = Settlement(60, Source.REPORTED, CallDetail(model="m"))


@pytest.fixture(autouse=True)
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who waits makes it durable."""
    monkeypatch.setattr(writer, "SHARE_WITHIN_S", 3_600.0)


async def settled_soon(store: SqliteStore) -> Any:
    await store.reserve(COMPANY, NewHold("h", 100, 60_000, dispatched=True), now_ms=T0)
    return store.settle_soon(COMPANY, "h", SETTLEMENT, now_ms=T0)


READS = {
    "usage": lambda store: store.usage(COMPANY, now_ms=T0),
    "usage of then": lambda store: store.usage(COMPANY, now_ms=T0, at_ms=T0),
    "series": lambda store: store.series(COMPANY, [T0 - 1, T0], now_ms=T0),
    "breakdown": lambda store: store.breakdown(COMPANY, "model", first_hour=HOUR, end_hour=HOUR + 1, now_ms=T0),
    "when it fits": lambda store: store.fits_at(COMPANY, 999_950, now_ms=T0),
    "the hold": lambda store: store.hold(COMPANY, "h", now_ms=T0),
    "the budget": lambda store: store.budget(COMPANY, now_ms=T0),
    "the proof": lambda store: store.verify(COMPANY, now_ms=T0),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_a_read_waits_for_it(store, read):
    durable = await settled_soon(store)
    seen = await read(store)
    assert durable.done()
    assert seen == await read(store)


async def test_a_read_of_another_company_does_not_wait(store):
    durable = await settled_soon(store)
    await store.usage(OTHER, now_ms=T0)
    assert not durable.done()


async def test_a_reader_who_leaves_does_not_undo_it(store):
    durable = await settled_soon(store)
    reader = asyncio.create_task(store.usage(COMPANY, now_ms=T0))
    await asyncio.sleep(0)
    reader.cancel()
    assert (await durable).status is Status.DONE


async def test_it_shares_the_commit_of_what_is_written_next(store):
    durable = await settled_soon(store)
    commits: list[str] = []

    def note_commit() -> bool:
        commits.append("commit")
        return False

    store._write_connection.set_commit_hook(note_commit)
    await store.record(OTHER, NewEvent("e", 1), now_ms=T0)
    assert (durable.done(), len(commits)) == (True, 1)


async def test_nothing_need_come_after_it(store, monkeypatch):
    monkeypatch.setattr(writer, "SHARE_WITHIN_S", 0.0)
    assert (await (await settled_soon(store))).hold.state is HoldState.SETTLED


async def test_one_whose_commit_fails_is_not_there(store):
    durable = await settled_soon(store)
    store._write_connection.set_commit_hook(lambda: True)
    usage = await store.usage(COMPANY, now_ms=T0)
    assert (usage.tokens_used, usage.tokens_held) == (0, 100)
    with pytest.raises(StoreUnavailable):
        await durable


async def test_a_store_that_is_closed_has_it(store, path):
    await settled_soon(store)
    await store.close()
    again = SqliteStore.open(path, store.rules)
    usage = await again.usage(COMPANY, now_ms=T0)
    await again.close()
    assert (usage.tokens_used, usage.tokens_held) == (60, 0)
