"""What the operations of one commit share: a company's row, its last point and the rollup's lines are written once."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from kvot.core.budget import Budget
from kvot.core.model import CallDetail, EventColumns, NewEvent, NewHold, Settlement, Source, Status
from kvot.stores.sqlite import SqliteStore, labels, writer
from kvot.stores.sqlite.company import load, save
from kvot.stores.sqlite.connection import Tx

from .conftest import COMPANY, OTHER, T0, counted_commits

LATER = T0 + 120_000


@pytest.fixture(autouse=True)
def all_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARE_WITHIN_S", 3_600.0)
    monkeypatch.setattr(writer, "FEW", 0)


def event(number: int, model: str = "m") -> NewEvent:
    return NewEvent(f"e{number}", number, detail=CallDetail(model=model))


async def in_one_commit(store: SqliteStore, *operations: Awaitable[Any]) -> list[Any]:
    with counted_commits(store) as commits:
        answers = await asyncio.gather(*operations, return_exceptions=True)
    assert len(commits) == 1
    return answers


async def is_proved(store: SqliteStore) -> bool:
    return not any([(await store.verify(each, now_ms=LATER)).differences for each in (COMPANY, OTHER)])


async def test_operations_of_one_commit_see_each_other(store):
    await store.set_budget(COMPANY, Budget(100, 30), actor="a", reason=None, now_ms=T0)
    holds = [store.reserve(COMPANY, NewHold(f"h{n}", 30, 60_000), now_ms=T0 + n % 3) for n in range(5)]
    decisions = await in_one_commit(store, *holds)
    assert [each.status for each in decisions] == [Status.DONE] * 3 + [Status.OVER_LIMIT] * 2
    assert [each.usage.tokens_held for each in decisions] == [30, 60, 90, 90, 90]


async def test_a_retry_in_the_same_commit_finds_the_first(store):
    asked = NewHold("h", 30, 60_000)
    first, again, other = (store.reserve(COMPANY, each, now_ms=T0) for each in (asked, asked, asked._replace(amount=1)))
    decisions = await in_one_commit(store, first, again, other)
    assert [each.status for each in decisions] == [Status.DONE, Status.REPLAYED, Status.CONFLICT]
    assert await is_proved(store)


async def test_events_of_many_instants_and_companies_are_all_counted(store):
    whose = [(n, COMPANY if n % 3 else OTHER) for n in range(1, 41)]
    await in_one_commit(store, *(store.record(each, event(n), now_ms=T0 + n // 4) for n, each in whose))
    used = [(await store.usage(each, now_ms=T0 + 10)).tokens_used for each in (COMPANY, OTHER)]
    assert used == [sum(n for n, each in whose if each == mine) for mine in (COMPANY, OTHER)]
    assert await is_proved(store)


@pytest.mark.parametrize("later_ms", [0, 1])
async def test_a_batch_goes_on_where_an_event_of_its_commit_has_ended(store, later_ms: int):
    batch = EventColumns.of([(COMPANY, event(n)) for n in (2, 3)])
    alone = store.record(COMPANY, event(1), now_ms=T0)
    await in_one_commit(store, alone, store.record_many(batch, now_ms=T0 + later_ms))
    used = [(await store.usage(COMPANY, now_ms=LATER, at_ms=T0 + each)).tokens_used for each in (0, later_ms)]
    assert used == ([1, 6] if later_ms else [6, 6])
    assert await is_proved(store)


def spoil(tx: Tx) -> None:
    company = load(tx, COMPANY, T0)
    company.held, company.head_cum = 1_000, 1_000
    save(tx, company)
    raise ZeroDivisionError


async def test_what_a_failed_operation_shared_is_undone(store):
    before, after = (store.record(COMPANY, event(n), now_ms=T0) for n in (1, 2))
    answers = await in_one_commit(store, before, store._write(spoil), after)
    assert isinstance(answers[1], ZeroDivisionError)
    usage = await store.usage(COMPANY, now_ms=T0)
    assert (usage.tokens_used, usage.tokens_held) == (3, 0)
    assert await is_proved(store)


async def test_a_memory_for_labels_that_is_full_forgets_nothing_else(store, monkeypatch):
    monkeypatch.setattr(labels, "REMEMBERED_MAX", 1)
    await in_one_commit(store, *(store.record(COMPANY, event(n, f"m{n}"), now_ms=T0) for n in range(1, 6)))
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 15
    assert await is_proved(store)


async def test_what_reads_the_tables_themselves_finds_what_is_shared(store):
    sent = NewHold("h", 30, 60_000, dispatched=True)
    operations = (
        store.reserve(COMPANY, sent, now_ms=T0),
        store.record(COMPANY, event(1), now_ms=T0),
        store.expire(now_ms=LATER),
        store.record(COMPANY, event(2), now_ms=LATER),
        store.prune(COMPANY, T0, now_ms=LATER),
    )
    answers = await asyncio.gather(*operations)
    assert answers[2] == 1
    assert (await store.usage(COMPANY, now_ms=LATER)).tokens_used == 33
    assert await is_proved(store)


async def test_a_settlement_and_its_hold_may_share_a_commit(store):
    settlement = Settlement(21, Source.REPORTED, CallDetail(input_tokens=9, output_tokens=12))
    reserve = store.reserve(COMPANY, NewHold("h", 100, 60_000), now_ms=T0)
    settle = store.settle(COMPANY, "h", settlement, now_ms=T0)
    _, change = await in_one_commit(store, reserve, settle)
    assert change.status is Status.DONE
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 21
    assert await is_proved(store)
