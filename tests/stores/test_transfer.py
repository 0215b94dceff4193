"""Copying from one database to another: company by company, on from where it stopped, never mixed."""

import asyncio

import pytest

from kvot.core.archive import LedgerEnd, Part
from kvot.core.budget import Budget, Rules
from kvot.core.errors import Conflict, InvalidRequest
from kvot.core.keys import ApiKey
from kvot.core.model import NewEvent
from kvot.stores import transfer
from kvot.stores.archives import open_sink, open_source, open_target
from kvot.stores.sqlite import SqliteStore

T0 = 1_790_000_000_000
COMPANIES = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(3)]
KEY = ApiKey("k1", b"h" * 32, None, frozenset(), None, T0, "ann")


async def fill(path, companies=COMPANIES):
    store = SqliteStore.open(path, Rules())
    for company_id in companies:
        await store.record(company_id, NewEvent("a", 5), now_ms=T0)
    await store.set_budget(companies[0], Budget(9, 9), actor="ann", reason=None, now_ms=T0)
    await store.add_key(KEY, actor="ann", now_ms=T0)
    await store.close()


async def change(path, operation):
    store = SqliteStore.open(path, Rules())
    await operation(store)
    await store.close()


@pytest.fixture
async def paths(tmp_path):
    await fill(tmp_path / "from.db")
    return tmp_path / "from.db", tmp_path / "to.db"


def nothing(part):
    pass


async def copy(paths, on_part=nothing):
    """What was there already, and what is there now."""
    source, sink = (
        await open_source(f"sqlite:///{paths[0]}", Rules()),
        await open_sink(f"sqlite:///{paths[1]}", Rules()),
    )
    target = await open_target(f"sqlite:///{paths[1]}", Rules())
    try:
        plan = await transfer.plan_copy(source, target, nothing)
        return len(plan.there), len(await transfer.copy(source, sink, plan, on_part))
    finally:
        for each in (target, sink, source):
            await each.close()


async def differences(paths):
    source, target = [await open_source(f"sqlite:///{path}", Rules()) for path in paths]
    try:
        ends = [await transfer.end_of(source, company_id) for company_id in await source.companies()]
        shared = await transfer.digest_of_shared(source)
        return [each async for each in transfer.differences(target, ends, shared)]
    finally:
        await source.close()
        await target.close()


async def test_a_copy_is_the_same_and_a_second_one_has_nothing_to_do(paths):
    assert await copy(paths) == (0, 3)
    assert await differences(paths) == []
    assert await copy(paths) == (3, 3)


async def test_a_copy_goes_on_where_the_first_stopped(paths):
    ended = []

    def stop_in_the_third(part):
        ended.extend([part] if isinstance(part, LedgerEnd) else [])
        if len(ended) == 2 and not isinstance(part, LedgerEnd):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy(paths, stop_in_the_third)
    assert await differences_in_number(paths) == 1, "two are there; the third and the keys are not"
    assert await copy(paths) == (2, 3)
    assert await differences(paths) == []


async def differences_in_number(paths):
    target = await open_target(f"sqlite:///{paths[1]}", Rules())
    try:
        return 3 - len(await target.companies())
    finally:
        await target.close()


async def record_more(store):
    await store.record(COMPANIES[1], NewEvent("b", 1), now_ms=T0)


async def add_company(store):
    await store.record("99999999-0000-4000-8000-000000000000", NewEvent("b", 1), now_ms=T0)


async def revoke(store):
    await store.revoke_key("k1", company_id=None, actor="ann", now_ms=T0)


async def set_budget(store):
    await store.set_budget(COMPANIES[0], Budget(9, 9), actor="ann", reason=None, now_ms=T0)


@pytest.mark.parametrize("operation", [record_more, add_company, revoke, set_budget])
async def test_a_target_with_anything_of_its_own_is_refused_and_left_alone(paths, operation):
    await copy(paths)
    await change(paths[1], operation)
    before = await whole(paths[1])
    with pytest.raises(Conflict):
        await copy(paths)
    assert await whole(paths[1]) == before


async def whole(path):
    source = await open_source(f"sqlite:///{path}", Rules())
    try:
        return [part async for part in transfer.whole(source)]
    finally:
        await source.close()


@pytest.mark.parametrize("operation", [record_more, revoke, set_budget])
async def test_whatever_is_not_as_it_was_is_found(paths, operation):
    await copy(paths)
    await change(paths[1], operation)
    assert await differences(paths) != []


async def test_parts_that_do_not_fit_together_are_not_moved(paths):
    parts = await whole(paths[0])
    for number, part in enumerate(parts[:6]):
        target = paths[1].with_name(f"to{number}.db")
        sink = await open_sink(f"sqlite:///{target}", Rules())
        with pytest.raises(InvalidRequest):
            await transfer.move(every(parts[:number] + parts[number + 1 :]), sink, nothing)
        await sink.close()
        assert not target.exists(), f"without its {type(part).__name__}"


async def every(parts):
    for part in parts:
        yield part


async def test_a_snapshot_says_the_same_while_others_write(paths):
    source = await open_source(f"sqlite:///{paths[0]}", Rules())
    before = [part async for part in transfer.whole(source)]
    await change(paths[0], record_more)
    assert [part async for part in transfer.whole(source)] == before
    await source.close()
    assert await whole(paths[0]) != before


async def test_a_copy_between_two_that_never_wait_can_be_cancelled_and_goes_on_later(paths):
    """Ctrl-C cancels, and a task is cancelled only where it gives way."""
    ends: list[Part] = []
    task = asyncio.create_task(copy(paths, ends.append))
    while not any(isinstance(part, LedgerEnd) for part in ends):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await copy(paths) == (1, 3)
