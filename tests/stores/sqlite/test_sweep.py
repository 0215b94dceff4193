"""A prune deletes in pieces: other writes come between them, and what an end on the way leaves is moved nowhere."""

import asyncio
from contextlib import closing

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.core.model import EventColumns, NewEvent, NewHold, Settlement
from kvot.stores.archives import open_source
from kvot.stores.transfer import end_of

from .conftest import COMPANY, T0

DAY = 86_400_000
OLD, BEFORE = T0 - 100 * DAY, T0 - 50 * DAY
ROWS = 12_000
TABLES = {"event": "at", "point": "at", "late": "slot", "rollup": "hour * 3600000", "hold": "created_at", "sweep": "0"}


class Ended(Exception):
    pass


async def fill(store):
    """Many old events, some of them late, and old holds of every kind."""
    old = [(COMPANY, NewEvent(f"old{number}", 1, OLD + number * 60_000)) for number in range(ROWS)]
    for batch in (old[1_000:], old[:1_000]):
        await store.record_many(EventColumns.of(batch), now_ms=OLD + ROWS * 60_000)
    for name, sent in (("settled", True), ("released", False), ("run out", False), ("charged", True)):
        await store.reserve(COMPANY, NewHold(name, 5, 60_000, sent), now_ms=OLD + ROWS * 60_000)
    await store.settle(COMPANY, "settled", Settlement(3), now_ms=OLD + ROWS * 60_000)
    await store.release(COMPANY, "released", now_ms=OLD + ROWS * 60_000)
    await store.record(COMPANY, NewEvent("kept", 7), now_ms=T0)


def ending_after(events_max):
    told = []

    def on_events(events):
        told.append(events)
        if sum(told) > events_max:
            raise Ended

    return on_events


async def test_other_writes_of_the_company_are_taken_between_the_pieces(store):
    await fill(store)
    pruning = asyncio.create_task(store.prune(COMPANY, BEFORE, now_ms=T0))
    between = 0
    while not pruning.done():
        await store.record(COMPANY, NewEvent(f"w{between}", 1), now_ms=T0)
        between += 1
    assert between > 3
    assert (await pruning).events == ROWS + 2
    assert (await store.verify(COMPANY, now_ms=T0)).differences == ()


@pytest.mark.parametrize("events_max", [0, 2, 5_000, 10_000])
async def test_wherever_a_prune_ends_what_is_moved_and_proved_is_what_would_be_after_it(store, path, events_max):
    await fill(store)
    with pytest.raises(Ended):
        await store.prune(COMPANY, BEFORE, now_ms=T0, on_events=ending_after(events_max))
    on_the_way = await told_by_source(path)
    assert (await store.verify(COMPANY, now_ms=T0)).differences == ()
    await store.prune(COMPANY, BEFORE, now_ms=T0)
    assert await told_by_source(path) == on_the_way
    assert (await store.verify(COMPANY, now_ms=T0)).differences == ()


async def test_nothing_is_left_at_or_below_the_floor(store, path):
    await fill(store)
    floor_ms = (await store.prune(COMPANY, BEFORE, now_ms=T0)).floor_at_ms
    for table, at in TABLES.items():
        level = " AND level = 0" if table == "late" else ""
        assert await count(path, f"{table} WHERE {at} <= {floor_ms}{level}") == 0, table


async def test_a_row_below_the_floor_that_no_prune_left_is_still_a_difference(store, path):
    await fill(store)
    with pytest.raises(Ended):
        await store.prune(COMPANY, BEFORE, now_ms=T0, on_events=ending_after(5_000))
    await execute(path, "DELETE FROM sweep")
    (difference,) = (await store.verify(COMPANY, now_ms=T0)).differences
    assert difference.where == "event, at or below the floor"


async def told_by_source(path):
    source = await open_source(f"sqlite:///{path}", Rules())
    try:
        return await end_of(source, COMPANY)
    finally:
        await source.close()


async def count(path, rows):
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0]


async def execute(path, sql):
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(sql)
