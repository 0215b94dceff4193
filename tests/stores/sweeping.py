"""What a prune in pieces promises, of any engine: other writes come between the pieces, and what an end on the way
leaves is moved nowhere."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from kvot.core.archive import Source
from kvot.core.model import Correction, EventColumns, NewEvent, NewHold, Settlement, Status
from kvot.stores.transfer import end_of
from tests.conformance.scene import COMPANY, T0, FullStore

DAY = 86_400_000
OLD, BEFORE = T0 - 100 * DAY, T0 - 50 * DAY
ROWS = 12_000
ENDS = (0, 2, 5_000, 10_000)
TABLES = {"event": "at", "point": "at", "late": "slot", "rollup": "hour * 3600000", "hold": "created_at", "sweep": "0"}


@dataclass(frozen=True)
class Ledgers:
    """An engine's ledgers, and a way to their tables behind its back."""

    store: FullStore
    source: Callable[[], Awaitable[Source]]
    count: Callable[[str], Awaitable[int]]
    execute: Callable[[str], Awaitable[None]]


class Ended(Exception):
    pass


async def fill(store: FullStore) -> None:
    """Many old events, some of them late, and old holds of every kind."""
    old = [(COMPANY, NewEvent(f"old{number}", 1, OLD + number * 60_000)) for number in range(ROWS)]
    for batch in (old[1_000:], old[:1_000]):
        await store.record_many(EventColumns.of(batch), now_ms=OLD + ROWS * 60_000)
    for name, sent in (("settled", True), ("released", False), ("run out", False), ("charged", True)):
        await store.reserve(COMPANY, NewHold(name, 5, 60_000, sent), now_ms=OLD + ROWS * 60_000)
    await store.settle(COMPANY, "settled", Settlement(3), now_ms=OLD + ROWS * 60_000)
    await store.release(COMPANY, "released", now_ms=OLD + ROWS * 60_000)
    await store.record(COMPANY, NewEvent("kept", 7), now_ms=T0)


def ending_after(events_max: int) -> Callable[[int], None]:
    told: list[int] = []

    def on_events(events: int) -> None:
        told.append(events)
        if sum(told) > events_max:
            raise Ended

    return on_events


async def other_writes_of_the_company_are_taken_between_the_pieces(ledgers: Ledgers) -> None:
    await fill(ledgers.store)
    pruning = asyncio.create_task(ledgers.store.prune(COMPANY, BEFORE, now_ms=T0))
    between = 0
    while not pruning.done():
        await ledgers.store.record(COMPANY, NewEvent(f"w{between}", 1), now_ms=T0)
        between += 1
    assert between > 3
    assert (await pruning).events == ROWS + 2
    assert (await ledgers.store.verify(COMPANY, now_ms=T0)).differences == ()


async def wherever_a_prune_ends_its_ledger_is_as_after_it(ledgers: Ledgers, events_max: int) -> None:
    await fill(ledgers.store)
    with pytest.raises(Ended):
        await ledgers.store.prune(COMPANY, BEFORE, now_ms=T0, on_events=ending_after(events_max))
    on_the_way = await told_by(ledgers)
    assert (await ledgers.store.verify(COMPANY, now_ms=T0)).differences == ()
    await ledgers.store.prune(COMPANY, BEFORE, now_ms=T0)
    assert await told_by(ledgers) == on_the_way
    assert (await ledgers.store.verify(COMPANY, now_ms=T0)).differences == ()


async def nothing_is_left_at_or_below_the_floor(ledgers: Ledgers) -> None:
    await fill(ledgers.store)
    floor_ms = (await ledgers.store.prune(COMPANY, BEFORE, now_ms=T0)).floor_at_ms
    for table, at in TABLES.items():
        level = " AND level = 0" if table == "late" else ""
        assert await ledgers.count(f"{table} WHERE {at} <= {floor_ms}{level}") == 0, table


async def a_row_below_the_floor_that_no_prune_left_is_still_a_difference(ledgers: Ledgers) -> None:
    await fill(ledgers.store)
    with pytest.raises(Ended):
        await ledgers.store.prune(COMPANY, BEFORE, now_ms=T0, on_events=ending_after(5_000))
    await ledgers.execute("DELETE FROM sweep")
    (difference,) = (await ledgers.store.verify(COMPANY, now_ms=T0)).differences
    assert difference.where == "event, at or below the floor"


async def a_correction_counts_none_of_an_event_that_was_forgotten(ledgers: Ledgers) -> None:
    """An id may be taken again once its event is deleted, while a correction of that one is still to be."""
    store, old = ledgers.store, [(COMPANY, NewEvent(f"m{number}", 1, OLD)) for number in range(ROWS // 2)]
    await store.record_many(EventColumns.of([(COMPANY, NewEvent("a", 100, OLD)), *old]), now_ms=OLD)
    await store.correct(COMPANY, Correction("z", "a", 40, "ann"), now_ms=OLD)
    with pytest.raises(Ended):
        await store.prune(COMPANY, BEFORE, now_ms=T0, on_events=ending_after(0))
    assert (await store.record(COMPANY, NewEvent("a", 10), now_ms=T0)).status is Status.DONE
    corrected = await store.correct(COMPANY, Correction("y", "a", -50, "ann"), now_ms=T0)
    assert (corrected.status, corrected.usage.tokens_used) == (Status.BELOW_ZERO, 10)


async def told_by(ledgers: Ledgers) -> object:
    """Of all, and of the last events, which are read by another way."""
    source = await ledgers.source()
    try:
        latest = await source.latest(COMPANY, since_ms=1, until_ms=T0, events_max=ROWS + 2, now_ms=T0)
        return await end_of(source, COMPANY), latest
    finally:
        await source.close()


SENTENCES: dict[str, Callable[[Ledgers], Awaitable[None]]] = {
    "other writes come between": other_writes_of_the_company_are_taken_between_the_pieces,
    "nothing is left": nothing_is_left_at_or_below_the_floor,
    "an id that was taken again": a_correction_counts_none_of_an_event_that_was_forgotten,
    "a row that no prune left is told": a_row_below_the_floor_that_no_prune_left_is_still_a_difference,
    **{
        f"ended after {most} events": partial(wherever_a_prune_ends_its_ledger_is_as_after_it, events_max=most)
        for most in ENDS
    },
}
