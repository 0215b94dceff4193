"""Races: many tasks at once, one unit left, one winner; and clients that vanish in the middle.

Tasks share one event loop, as they do in a server. An engine that checks in one step and acts in another loses here.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

from kvot.core.model import EventColumns, NewEvent, Status
from tests.conformance.scene import COMPANY, MINUTE, OTHER, T0, Scene

TASKS = 64


async def statuses(calls: Iterable[Coroutine[Any, Any, Any]]) -> Counter[Status]:
    """Start all calls at once; how often each status was the answer."""
    return Counter(answer.status for answer in await asyncio.gather(*calls))


async def cut_off(call: Coroutine[Any, Any, Any], steps: int) -> None:
    """Start a call and let its client die after so many turns of the event loop."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_of_many_who_want_the_last_unit_one_gets_it(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 99)
    answers = await statuses(scene.reserve(f"h{number}", 1) for number in range(TASKS))
    assert answers == {Status.DONE: 1, Status.OVER_LIMIT: TASKS - 1}
    assert await scene.held() == 1


async def test_as_many_are_admitted_as_fit_and_never_one_more(scene: Scene):
    await scene.set_budget(1000)
    answers = await statuses(
        scene.reserve(f"h{task}-{turn}", 70, now_ms=T0 + turn) for turn in range(10) for task in range(TASKS)
    )
    assert answers[Status.DONE] == 1000 // 70
    for turn in range(10):
        assert await scene.held(T0 + turn) <= 1000


async def test_used_and_held_never_exceed_the_limit_while_holds_come_and_go(scene: Scene):
    await scene.set_budget(1000)

    async def client(number: int) -> None:
        for turn in range(8):
            now_ms = T0 + 10 * turn + number % 7
            hold_id = f"h{number}-{turn}"
            if (await scene.reserve(hold_id, 90, now_ms=now_ms)).status is Status.DONE:
                if number % 2:
                    await scene.settle(hold_id, 15, now_ms=now_ms + 3)
                else:
                    await scene.release(hold_id, now_ms=now_ms + 3)

    await asyncio.gather(*(client(number) for number in range(TASKS)))
    for at_ms in range(T0, T0 + 90):
        usage = await scene.usage(at_ms, now_ms=T0 + 90)
        assert usage.tokens_used + usage.tokens_held <= 1000


async def test_one_id_sent_by_many_counts_once(scene: Scene):
    answers = await statuses(scene.record("e", 10) for _ in range(TASKS))
    assert answers == {Status.DONE: 1, Status.REPLAYED: TASKS - 1}
    answers = await statuses(scene.reserve("h", 10) for _ in range(TASKS))
    assert answers == {Status.DONE: 1, Status.REPLAYED: TASKS - 1}
    answers = await statuses(scene.settle("h", 10) for _ in range(TASKS))
    assert answers == {Status.DONE: 1, Status.REPLAYED: TASKS - 1}
    assert (await scene.used(), await scene.held()) == (20, 0)


async def test_one_id_with_many_contents_is_taken_once(scene: Scene):
    answers = await statuses(scene.record("e", 1 + number) for number in range(TASKS))
    assert answers == {Status.DONE: 1, Status.CONFLICT: TASKS - 1}
    await scene.reserve("h", 10)
    answers = await statuses(scene.settle("h", number) for number in range(TASKS))
    assert answers == {Status.DONE: 1, Status.CONFLICT: TASKS - 1}


async def test_corrections_that_race_leave_their_target_at_or_above_zero(scene: Scene):
    await scene.record("e", 100)
    answers = await statuses(scene.correct(f"c{number}", "e", -30) for number in range(TASKS))
    assert answers == {Status.DONE: 3, Status.BELOW_ZERO: TASKS - 3}
    assert await scene.used() == 10


async def test_settle_and_release_race_and_one_of_them_wins(scene: Scene):
    for number in range(TASKS // 2):
        await scene.reserve(f"h{number}", 10)
    for number in range(TASKS // 2):
        settled, released = await asyncio.gather(scene.settle(f"h{number}", 7), scene.release(f"h{number}"))
        assert {settled.status, released.status} == {Status.DONE, Status.CONFLICT}
    proof = await scene.store.verify(COMPANY, now_ms=T0)
    assert (await scene.used(), await scene.held()) == (proof.tokens, 0)


async def test_settling_races_with_running_out_and_every_call_counts_once(scene: Scene):
    for number in range(TASKS):
        await scene.reserve(f"h{number}", 10, dispatched=number % 2 == 0)
    settles = [scene.settle(f"h{number}", 7, now_ms=T0 + MINUTE - number % 2) for number in range(TASKS)]
    expires = [scene.store.expire(now_ms=T0 + MINUTE) for _ in range(8)]
    await asyncio.gather(*settles[:20], *expires[:4], *settles[20:], *expires[4:])
    assert (await scene.used(now_ms=T0 + MINUTE), await scene.held(now_ms=T0 + MINUTE)) == (7 * TASKS, 0)


async def test_running_out_races_with_itself_and_charges_once(scene: Scene):
    for number in range(TASKS):
        await scene.reserve(f"h{number}", 10, dispatched=True)
    closed = await asyncio.gather(*(scene.store.expire(now_ms=T0 + MINUTE) for _ in range(8)))
    assert sum(closed) == TASKS
    assert await scene.used(now_ms=T0 + MINUTE) == 10 * TASKS


async def test_companies_race_without_touching_each_other(scene: Scene):
    await scene.set_budget(100)
    calls = [scene.record(f"e{number}", 3, company=(COMPANY, OTHER)[number % 2]) for number in range(TASKS)]
    holds = [scene.reserve(f"h{number}", 3, company=OTHER) for number in range(TASKS)]
    await asyncio.gather(*calls, *holds)
    assert (await scene.used(), await scene.held()) == (3 * TASKS // 2, 0)
    assert (await scene.used(company=OTHER), await scene.held(company=OTHER)) == (3 * TASKS // 2, 3 * TASKS)


async def test_batches_race_and_every_event_counts_once(scene: Scene):
    batch = [(COMPANY, NewEvent(f"e{number}", 1)) for number in range(50)]
    answers = await asyncio.gather(*(scene.store.record_many(EventColumns.of(batch), now_ms=T0) for _ in range(8)))
    assert Counter(status for answer in answers for status in answer) == {
        Status.DONE: 50,
        Status.REPLAYED: 350,
    }
    assert await scene.used() == 50


async def test_a_client_that_dies_while_reserving_may_ask_again(scene: Scene):
    for steps in range(5):
        await cut_off(scene.reserve(f"h{steps}", 10), steps)
        assert (await scene.reserve(f"h{steps}", 10)).status in (Status.DONE, Status.REPLAYED)
    assert await scene.held() == 50


async def test_a_client_that_dies_while_settling_may_settle_again(scene: Scene):
    for steps in range(5):
        await scene.reserve(f"h{steps}", 10)
        await cut_off(scene.settle(f"h{steps}", 7), steps)
        assert (await scene.settle(f"h{steps}", 7)).status in (Status.DONE, Status.REPLAYED)
    assert (await scene.used(), await scene.held()) == (35, 0)


async def test_a_client_that_dies_while_recording_may_record_again(scene: Scene):
    for steps in range(5):
        await cut_off(scene.record(f"e{steps}", 10), steps)
        assert (await scene.record(f"e{steps}", 10)).status in (Status.DONE, Status.REPLAYED)
        batch = [(COMPANY, NewEvent(f"b{steps}-{number}", 1)) for number in range(10)]
        await cut_off(scene.store.record_many(EventColumns.of(batch), now_ms=T0), steps)
        assert set(await scene.store.record_many(EventColumns.of(batch), now_ms=T0)) <= {Status.DONE, Status.REPLAYED}
    assert await scene.used() == 100


async def test_a_client_that_dies_between_reserve_and_settle_is_charged_once_or_not_at_all(scene: Scene):
    waiting = asyncio.Semaphore(0)

    async def client(hold_id: str, *, sends: bool) -> None:
        await scene.reserve(hold_id, 10)
        if sends:
            await scene.dispatch(hold_id)
        waiting.release()
        await asyncio.Event().wait()  # the provider never answers

    clients = [asyncio.ensure_future(client(f"h{number}", sends=number < 3)) for number in range(8)]
    for _ in clients:
        await waiting.acquire()
    for task in clients:
        task.cancel()
    await asyncio.wait(clients)
    assert (await scene.used(now_ms=T0 + MINUTE), await scene.held(now_ms=T0 + MINUTE)) == (30, 0)


async def test_clients_that_die_take_none_of_the_limit_with_them(scene: Scene):
    await scene.set_budget(100)
    await asyncio.gather(*(cut_off(scene.reserve(f"h{number}", 10), number % 4) for number in range(TASKS)))
    assert await scene.held() <= 100
    answers = await statuses(scene.reserve(f"next{number}", 10, now_ms=T0 + MINUTE) for number in range(TASKS))
    assert answers[Status.DONE] == 10
