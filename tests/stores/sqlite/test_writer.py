"""Group commit: many operations to a commit, each on its own, none acknowledged before it."""

import asyncio
import threading

import apsw
import pytest

from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent, Status
from kvot.stores.sqlite import events, writer
from kvot.stores.sqlite.connection import Tx

from .conftest import COMPANY, T0, counted_commits

EVENTS = "SELECT count(*) FROM event"


def kept(path):
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(EVENTS).fetchall()[0][0]
    finally:
        connection.close()


async def test_what_is_acknowledged_is_committed(store, path):
    for number in range(1, 6):
        await store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0)
        assert kept(path) == number


async def test_operations_that_wait_together_share_a_commit(store):
    operations = [store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0) for number in range(200)]
    with counted_commits(store) as commits:
        answers = await asyncio.gather(*operations)
    assert all(answer.status is Status.DONE for answer in answers)
    assert 1 <= len(commits) < 100


async def test_where_there_was_little_to_do_nobody_waits_for_more(store):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    second = store._writer.submit(lambda _: "done")
    third = store._writer.submit(lambda _: "done")
    assert [len(store._writer._gathered), await second, await third] == [1, "done", "done"]


async def test_after_a_commit_of_many_one_waits_for_more(store):
    await asyncio.gather(*(store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0) for number in range(20)))
    with counted_commits(store) as commits:
        answers = [store._writer.submit(lambda _: "done") for _ in range(3)]
        assert [len(store._writer._gathered), *await asyncio.gather(*answers)] == [3, "done", "done", "done"]
    assert len(commits) == 1


async def test_who_is_alone_waits_for_no_thread(store, path):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    store._writer._last_commit_s = 0.0
    with counted_commits(store) as commits:
        before = store._writer.submit(events.record, COMPANY, NewEvent("e2", 1), T0, is_awaited=False)
        alone = store._writer.submit(events.record, COMPANY, NewEvent("e3", 1), T0, is_alone=True)
        assert (before.done(), alone.done(), len(commits), kept(path)) == (True, True, 1, 3)
    assert [(await each).status for each in (before, alone)] == [Status.DONE] * 2


async def test_after_a_slow_commit_the_thread_makes_the_next(store):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    in_place = []
    for last_commit_s in (writer.IN_PLACE_S, 0.0):
        store._writer._last_commit_s = last_commit_s
        future = store._writer.submit(lambda _: "done", is_alone=True)
        in_place.append(future.done())
        await future
    assert in_place == [False, True]


async def test_nor_does_the_event_loop_carry_out_what_others_gathered(store):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    store._writer._last_commit_s = 0.0
    large = store._writer.submit(lambda _: "done", weight=1_000, is_awaited=False)
    alone = store._writer.submit(lambda _: "done", is_alone=True)
    assert (alone.done(), await large, await alone) == (False, "done", "done")


async def test_nobody_is_alone_while_the_thread_has_work(store):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    gate = threading.Event()
    working = store._writer.submit(lambda _: gate.wait())
    alone = store._writer.submit(lambda _: "done", is_alone=True)
    assert not alone.done()
    gate.set()
    assert [await working, await alone] == [True, "done"]


async def test_who_is_alone_is_told_that_the_commit_failed(store, path):
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    store._writer._last_commit_s = 0.0
    store._write_connection.set_commit_hook(lambda: True)
    with pytest.raises(StoreUnavailable):
        await store._writer.submit(events.record, COMPANY, NewEvent("e2", 1), T0, is_alone=True)
    assert kept(path) == 1


async def test_no_answer_is_given_when_the_commit_fails(store, path):
    """The commit hook turns the commit of a whole batch into a rollback."""
    store._write_connection.set_commit_hook(lambda: True)
    operations = [store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0) for number in range(5)]
    answers = await asyncio.gather(*operations, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    assert kept(path) == 0


async def test_a_failed_commit_leaves_nothing_remembered(store):
    """Numbers that the writer remembers must not outlive the rows that gave them."""
    event = NewEvent("e1", 1)._replace(detail=NewEvent("e1", 1).detail._replace(model="m"))
    store._write_connection.set_commit_hook(lambda: True)
    with pytest.raises(StoreUnavailable):
        await store.record(COMPANY, event, now_ms=T0)
    store._write_connection.set_commit_hook(None)
    await store.record(COMPANY, event, now_ms=T0)
    hour = T0 // 3_600_000
    shares = await store.breakdown(COMPANY, "model", first_hour=hour, end_hour=hour + 1, now_ms=T0)
    assert [share.label for share in shares] == ["m"]


def fail_after_writing(tx: Tx) -> None:
    tx.execute("INSERT INTO budget VALUES (1, 1, 1, 1, 1, 'nobody', NULL)")
    raise ZeroDivisionError


async def test_an_operation_that_fails_undoes_itself_alone(store, path):
    before = store.record(COMPANY, NewEvent("before", 1), now_ms=T0)
    fault = store._write(fail_after_writing)
    after = store.record(COMPANY, NewEvent("after", 1), now_ms=T0)
    answers = await asyncio.gather(before, fault, after, return_exceptions=True)
    assert isinstance(answers[1], ZeroDivisionError)
    assert kept(path) == 2
    assert (await store.budget(COMPANY, now_ms=T0)).changes == ()


def violate_a_constraint(tx: Tx) -> None:
    tx.execute("INSERT INTO budget VALUES (NULL, 1, 1, 1, 1, 'nobody', NULL)")


async def test_no_error_of_sqlite_leaves_the_store(store):
    with pytest.raises(StoreUnavailable, match=r"kvot\.db could not be used"):
        await store._write(violate_a_constraint)


async def test_more_than_the_bound_may_not_wait(store, path, monkeypatch):
    monkeypatch.setattr(writer, "WAITING_MAX", 3)
    blocker = apsw.Connection(str(path))
    blocker.execute("BEGIN IMMEDIATE")  # the writer waits for its end, and all others for the writer
    operations = [
        asyncio.ensure_future(store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0)) for number in range(20)
    ]
    await asyncio.sleep(0)
    blocker.execute("ROLLBACK")
    blocker.close()
    answers = await asyncio.gather(*operations, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
    assert len(refused) >= 10
    assert all("is busy" in answer.message for answer in refused)
    assert kept(path) == 20 - len(refused)


async def test_a_fault_of_the_writer_itself_ends_in_refusal_not_in_silence(store):
    reasons: list[str] = []
    store.on_fatal(reasons.append)

    def fail() -> bool:
        raise ZeroDivisionError

    store._write_connection.set_commit_hook(fail)
    with pytest.raises(StoreUnavailable):
        await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    with pytest.raises(StoreUnavailable):
        await store.ready()
    assert len(reasons) == 1


async def test_an_answer_that_nobody_awaits_any_more_is_dropped(store, path):
    task = asyncio.ensure_future(store.record(COMPANY, NewEvent("e1", 1), now_ms=T0))
    await asyncio.sleep(0)
    task.cancel()
    await store.record(COMPANY, NewEvent("e2", 1), now_ms=T0)
    assert kept(path) == 2


async def test_closing_finishes_what_was_taken(store, path):
    operations = [
        asyncio.ensure_future(store.record(COMPANY, NewEvent(f"e{number}", 1), now_ms=T0)) for number in range(50)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert all(answer.status is Status.DONE for answer in await asyncio.gather(*operations))
    assert kept(path) == 50
    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.usage(COMPANY, now_ms=T0)
