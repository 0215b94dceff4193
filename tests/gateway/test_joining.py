"""Simultaneous attempts at one call: one is sent, all are answered, and it is charged once."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kvot.gateway.joining import WAITERS_MAX, Joining
from tests.gateway.calls import CALLS, Seen, ask, post
from tests.provider import Fault, Script

FIRST, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}
KEYED = {"idempotency-key": "turn-7"}
DIALECTS = ["chat", "chat-stream", "messages-stream", "gemini", "ollama-stream"]
TOKENS = 21
PIECES = 100  # more permits than any reply has pieces


@pytest.fixture
def waiting(monkeypatch):
    """Released once for each attempt that has begun to wait for another."""
    semaphore, wait = asyncio.Semaphore(0), Joining.wait

    async def noted(self: Joining, attempt: Any) -> bool:
        if attempt.call in self._running:
            semaphore.release()
        return await wait(self, attempt)

    monkeypatch.setattr(Joining, "wait", noted)
    return semaphore


@asynccontextmanager
async def held_up(open_scene: Any, call: str, headers: dict[str, str] = KEYED):
    """A scene, a first attempt that the provider has and does not answer, and what lets it answer."""
    pace = asyncio.Semaphore(0)
    scene = await open_scene(Script(pace=pace), Script())
    first = asyncio.create_task(ask(scene, call, headers))
    await scene.provider.arrival()

    def let_go() -> None:
        for _ in range(PIECES):
            pace.release()

    yield scene, first, let_go


@pytest.mark.parametrize("call", DIALECTS)
async def test_who_repeats_a_call_under_way_is_given_its_answer(open_scene, waiting, call):
    async with held_up(open_scene, call) as (scene, task, let_go):
        others = [asyncio.create_task(ask(scene, call, KEYED)) for _ in range(3)]
        for _ in others:
            await waiting.acquire()
        let_go()
        seen, *repeated = [await each for each in (task, *others)]
    assert [(each.status, each.body, each.is_whole) for each in repeated] == [(200, seen.body, True)] * 3
    assert ["x-kvot-repeated" in each.headers for each in (seen, *repeated)] == [False, True, True, True]
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)


@pytest.mark.parametrize("call", DIALECTS)
async def test_where_the_first_leaves_one_waiter_goes_on_and_the_call_is_charged_once(open_scene, waiting, call):
    async with held_up(open_scene, call) as (scene, task, _):
        others = [asyncio.create_task(ask(scene, call, KEYED)) for _ in range(3)]
        for _ in others:
            await waiting.acquire()
        task.cancel()
        seen = [await each for each in others]
    assert [each.status for each in seen] == [200] * 3
    assert sum("x-kvot-repeated" in each.headers for each in seen) == 2
    assert len(scene.provider.requests) == 2
    assert await scene.comes_to(TOKENS)


async def test_where_the_provider_fails_each_goes_on_in_turn(open_scene, waiting):
    failing = Script(fault=Fault.DROP_BEFORE_HEAD)
    pace = asyncio.Semaphore(0)
    scene = await open_scene(Script(status=500, pace=pace), failing, Script())
    tasks = [asyncio.create_task(ask(scene, "chat", KEYED))]
    await scene.provider.arrival()
    tasks += [asyncio.create_task(ask(scene, "chat", KEYED)) for _ in range(3)]
    for _ in range(3):
        await waiting.acquire()
    pace.release()
    assert sorted(seen.status or 0 for seen in await asyncio.gather(*tasks)) == [200, 200, 500, 502]
    assert (len(scene.provider.requests), await scene.settled()) == (3, TOKENS)


async def test_a_waiter_that_leaves_ends_nothing_but_its_waiting(open_scene, waiting):
    async with held_up(open_scene, "chat") as (scene, task, let_go):
        leaving, staying = (asyncio.create_task(ask(scene, "chat", KEYED)) for _ in range(2))
        for _ in range(2):
            await waiting.acquire()
        leaving.cancel()
        await asyncio.wait([leaving])
        let_go()
        assert [(await each).status for each in (task, staying)] == [200, 200]
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)


async def test_without_a_key_the_same_words_are_a_call_of_their_own(open_scene):
    async with held_up(open_scene, "chat", FIRST) as (scene, task, let_go):
        for headers in (FIRST, AGAIN, {}):
            assert "x-kvot-repeated" not in (await ask(scene, "chat", headers)).headers
        let_go()
        await task
    assert (len(scene.provider.requests), await scene.settled()) == (4, 4 * TOKENS)


async def test_without_a_key_what_is_lost_while_its_retry_is_under_way_is_taken_back(open_scene):
    pace = asyncio.Semaphore(0)
    scene = await open_scene(Script(fault=Fault.HANG), Script(pace=pace))
    first = asyncio.create_task(ask(scene, "chat", FIRST))
    given_up = await scene.provider.arrival(1)
    retry = asyncio.create_task(ask(scene, "chat", AGAIN))
    await scene.provider.arrival(2)
    first.cancel()
    await given_up.closed.wait()
    while await scene.used() == 0:
        await asyncio.sleep(0)
    pace.release()
    assert (await retry).status == 200
    assert await scene.comes_to(TOKENS)


# The dialects, and their words for a conflict.
CONFLICTS = {"chat": "invalid_request_error", "messages": "conflict_error", "gemini": "ABORTED", "ollama": None}


def is_conflict(call: str, seen: Seen) -> bool:
    error = json.loads(seen.body)["error"]
    message, word = (error, None) if call == "ollama" else (error["message"], error.get("status") or error.get("type"))
    is_final = seen.headers["x-should-retry"] == "false"  # official clients repeat a 409 otherwise
    return (seen.status, word, is_final) == (409, CONFLICTS[call], True) and "Idempotency-Key" in message


@pytest.mark.parametrize("call", CONFLICTS)
async def test_a_key_with_another_body_is_refused_during_the_call_and_after_it(open_scene, call):
    path, body = CALLS[call]
    async with held_up(open_scene, call) as (scene, task, let_go):
        assert is_conflict(call, await post(scene, path, body | {"user": "u"}, KEYED))
        let_go()
        assert (await task).status == 200
    assert is_conflict(call, await post(scene, path, body | {"user": "u"}, KEYED))
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)


@pytest.mark.parametrize("call", CONFLICTS)
async def test_a_key_of_a_call_that_came_to_nothing_is_free(open_scene, call):
    path, body = CALLS[call]
    scene = await open_scene(Script(status=400), Script())
    assert (await ask(scene, call, KEYED)).status == 400
    mended = body | ({"generationConfig": {"maxOutputTokens": 90}} if call == "gemini" else {"model": "n"})
    assert (await post(scene, path, mended, KEYED)).status == 200


async def test_more_than_so_many_do_not_wait(open_scene, waiting):
    async with held_up(open_scene, "chat") as (scene, task, let_go):
        others = [asyncio.create_task(ask(scene, "chat", KEYED)) for _ in range(WAITERS_MAX)]
        for _ in others:
            await waiting.acquire()
        refused = await ask(scene, "chat", KEYED)
        assert (refused.status, b"is under way" in refused.body) == (409, True)
        assert "x-should-retry" not in refused.headers
        let_go()
        assert {each.status for each in await asyncio.gather(task, *others)} == {200}
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)
