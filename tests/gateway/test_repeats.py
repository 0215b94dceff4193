"""An official client that tries again is not charged twice, whatever became of its first attempt."""

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.errors import StoreUnavailable
from kvot.core.model import Status
from kvot.gateway.retries import ATTEMPTS_MAX, REPLY_BYTES_MAX
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import CALLS, TEXT, Seen, ask, post
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.provider import Fault, Script

PATIENCE_S = 1.0  # of an official client; then it asks again by itself
SAID: Any = [{"role": "user", "content": TEXT}]
FIRST, AGAIN, THIRD = ({"x-stainless-retry-count": f"{count}"} for count in range(3))
KEYED = {"idempotency-key": "turn-7"}
TOKENS = 21
OTHER_COMPANY = "c0000000-0000-4000-8000-000000000002"
SENT_TWICE = [(FIRST, AGAIN), (KEYED, KEYED)]

# Clients of dialects that count their retries, and one that gives a key.
DIALECTS = ["chat", "chat-stream", "messages", "messages-stream", "responses", "gemini"]


@pytest.mark.parametrize("call", DIALECTS)
async def test_an_answer_that_was_settled_and_lost_is_given_again_to_its_key(scene, call):
    lost, seen = await ask(scene, call, KEYED), await ask(scene, call, KEYED | AGAIN)
    assert (seen.status, seen.body, seen.is_whole) == (lost.status, lost.body, True)
    assert (seen.headers["x-kvot-repeated"], "x-kvot-repeated" in lost.headers) == ("true", False)
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)


@pytest.mark.parametrize("call", DIALECTS)
async def test_with_a_given_answer_stands_what_the_company_has_left_now(open_scene, call):
    scene = await open_scene(limit=10_000)
    kept, _ = await ask(scene, call, KEYED), await ask(scene, call)
    seen = await ask(scene, call, KEYED)
    left = f"r={10_000 - 2 * TOKENS}"
    assert (left in kept.headers["ratelimit"], left in seen.headers["ratelimit"]) == (False, True)
    assert seen.headers["content-type"] == kept.headers["content-type"]


@pytest.mark.parametrize("call", DIALECTS)
async def test_without_a_key_a_delivered_answer_is_nobody_elses(open_scene, call):
    busy = Script(status=429, headers=(("retry-after-ms", "20"),))
    scene = await open_scene(Script(text="former "), busy, Script(text="latter "))
    seen = [await ask(scene, call, headers) for headers in (FIRST, FIRST, AGAIN)]
    assert [each.status for each in seen] == [200, 429, 200]
    assert [b"former" in each.body for each in seen] == [True, False, False]
    assert (b"latter" in seen[2].body, "x-kvot-repeated" in seen[2].headers) == (True, False)
    assert (len(scene.provider.requests), await scene.settled()) == (3, 2 * TOKENS)


async def leave(scene: Any, call: str, headers: dict[str, str]) -> None:
    """Ask, and leave once the provider has been asked."""
    count = len(scene.provider.requests) + 1
    client = asyncio.create_task(ask(scene, call, headers))
    received = await scene.provider.arrival(count)
    client.cancel()
    await received.closed.wait()
    await scene.settled()


@pytest.mark.parametrize("call", DIALECTS)
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_an_attempt_given_up_before_its_reply_is_taken_back(open_scene, call, first, again):
    scene = await open_scene(Script(fault=Fault.HANG), Script(fault=Fault.HANG), Script())
    await leave(scene, call, first)
    suspected = await scene.used()
    await leave(scene, call, again)
    assert 0 < suspected < await scene.used()
    assert (await ask(scene, call, again | THIRD)).status == 200
    assert await scene.comes_to(TOKENS)


async def test_a_reply_that_its_provider_broke_off_is_taken_back_once_it_came_through(open_scene):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), Script())
    assert ((await ask(scene, "chat", FIRST)).status, await scene.settled() > 0) == (502, True)
    assert (await ask(scene, "chat", AGAIN)).status == 200
    assert await scene.comes_to(TOKENS)


@pytest.mark.parametrize("call", ["chat-stream", "messages-stream", "responses-stream", "gemini-stream"])
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE_USAGE, Fault.ERROR_INSIDE])
async def test_a_stream_that_broke_off_half_delivered_is_charged_once(open_scene, call, first, again, fault):
    scene = await open_scene(Script(fault=fault), Script())
    broken = await ask(scene, call, first)
    assert (broken.status, len(broken.body) > 0, await scene.settled() > 0) == (200, True, True)
    assert (await ask(scene, call, again)).is_whole
    assert await scene.comes_to(TOKENS)


@pytest.mark.parametrize("call", ["chat-stream", "messages-stream", "responses-stream", "gemini-stream"])
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_a_stream_whose_client_was_lost_in_its_middle_is_charged_once(open_scene, call, first, again):
    scene = await open_scene(Script(fault=Fault.STALL), Script())
    path, body = CALLS[call]
    seen = Seen()
    client = asyncio.create_task(post(scene, path, body, first, seen=seen))
    while not seen.body:
        await asyncio.sleep(0)
    client.cancel()
    assert await scene.settled() > 0
    assert (await ask(scene, call, again)).is_whole
    assert await scene.comes_to(TOKENS)


LONG = "x" * (REPLY_BYTES_MAX + 100_000)


@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_a_long_plain_answer_that_broke_off_is_charged_once(open_scene, first, again):
    fault = Script(text=LONG, fault=Fault.DROP_AFTER_BYTES, after_bytes=REPLY_BYTES_MAX + 50_000)
    scene = await open_scene(fault, Script())
    lost = await ask(scene, "chat", first)
    assert (lost.status, lost.is_whole, len(lost.body) > REPLY_BYTES_MAX) == (200, False, True)
    assert await scene.settled() > 0
    assert (await ask(scene, "chat", again)).is_whole
    assert await scene.comes_to(TOKENS)


@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_an_answer_that_was_delivered_and_is_too_long_to_be_kept_stays_charged(open_scene, first, again):
    scene = await open_scene(Script(text=LONG), Script())
    assert (await ask(scene, "chat", first)).is_whole
    assert (await ask(scene, "chat", again)).is_whole
    assert (len(scene.provider.requests), await scene.settled()) == (2, 2 * TOKENS)


@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_what_is_taken_back_for_one_call_has_a_bound(open_scene, first, again):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE))
    charged = []
    for headers in (first, again, again | THIRD, again | THIRD):
        before = await scene.settled()
        await ask(scene, "chat-stream", headers)
        charged.append(await scene.settled() - before)
    scene.provider.script = Script()
    assert (await ask(scene, "chat-stream", again | THIRD)).is_whole
    assert await scene.comes_to(sum(charged[:-ATTEMPTS_MAX]) + TOKENS)


async def test_a_client_that_left_while_its_answer_was_settled_is_charged_once(open_scene, monkeypatch):
    scene = await open_scene()
    settling, may_settle = asyncio.Event(), asyncio.Event()
    ledger_type = type(scene.house.services.ledger)
    settle = ledger_type.settle

    async def held_up(*arguments: Any) -> Any:
        settling.set()
        await may_settle.wait()
        return await settle(*arguments)

    monkeypatch.setattr(ledger_type, "settles_soon", False)
    monkeypatch.setattr(ledger_type, "settle", held_up)
    client = asyncio.create_task(ask(scene, "chat", FIRST))
    await settling.wait()
    client.cancel()
    await asyncio.wait([client])
    may_settle.set()
    assert await scene.settled() == TOKENS
    assert (await ask(scene, "chat", AGAIN)).status == 200
    assert await scene.comes_to(TOKENS)


async def test_an_error_in_place_of_an_answer_is_not_kept(open_scene):
    scene = await open_scene(Script(fault=Fault.ERROR_INSIDE), Script())
    failed, seen = await ask(scene, "chat", KEYED), await ask(scene, "chat", KEYED)
    assert failed.body != seen.body
    assert (len(scene.provider.requests), await scene.settled()) == (2, TOKENS)


@pytest.mark.parametrize("company", [COMPANY, OTHER_COMPANY])
async def test_nobody_else_is_given_the_answer(scene, company):
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(company_id=company, name="other"))
    await ask(scene, "chat", KEYED)
    seen = await ask(scene, "chat", KEYED | {"authorization": f"Bearer {made.key}"})
    assert ("x-kvot-repeated" in seen.headers, len(scene.provider.requests)) == (False, 2)
    other = await scene.house.services.ledger.usage(company)
    assert other.tokens_used == (2 * TOKENS if company == COMPANY else TOKENS)


async def test_other_words_are_another_call(scene):
    path, body = CALLS["chat"]
    await post(scene, path, body, FIRST)
    await post(scene, path, body | {"temperature": 1}, AGAIN)
    assert (len(scene.provider.requests), await scene.settled()) == (2, 2 * TOKENS)


async def test_an_operator_gets_no_companys_answer_for_another(scene):
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(name="all", roles=["superadmin"]))
    for company in (COMPANY, OTHER_COMPANY):
        named = {"authorization": f"Bearer {made.key}", "x-kvot-company-id": company}
        assert (await ask(scene, "chat", KEYED | named)).status == 200
        assert (await scene.house.services.ledger.usage(company)).tokens_used == TOKENS


async def ask_openai(scene: Any, **more: Any) -> Any:
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key, timeout=PATIENCE_S) as client:
        reply: Any = await client.chat.completions.create(model="m", messages=SAID, max_completion_tokens=100, **more)
        return reply.choices[0].message.content


async def ask_anthropic(scene: Any, **more: Any) -> Any:
    client_of = anthropic.AsyncAnthropic
    async with client_of(base_url=f"{scene.url}/anthropic", api_key=scene.key, timeout=PATIENCE_S) as client:
        reply: Any = await client.messages.create(model="m", messages=SAID, max_tokens=100, **more)
        return reply.content[0].text


@pytest.mark.parametrize("ask_once", [ask_openai, ask_anthropic])
@pytest.mark.parametrize("more", [{}, {"extra_headers": KEYED}])
async def test_an_official_client_that_loses_its_patience_is_charged_once(open_scene, ask_once, more):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    assert await ask_once(scene, **more) == Script().text * Script().chunks
    counts = [each.header("x-stainless-retry-count") for each in scene.provider.requests]
    assert counts[:2] == ["0", "1"]
    assert await scene.comes_to(TOKENS)


async def say(scene: Any, **more: Any) -> str:
    """A call of the official client, which waits a little before it repeats it."""
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key, **more) as client:
        reply: Any = await client.chat.completions.create(model="m", messages=SAID, max_completion_tokens=100)
        return str(reply.choices[0].message.content)


async def test_identical_calls_at_once_of_which_one_is_refused_get_an_answer_each(open_scene):
    busy = Script(status=429, headers=(("retry-after-ms", "20"),))
    scene = await open_scene(Script(text="1", chunks=1), busy, *(Script(text=text, chunks=1) for text in "23"))
    assert sorted(await asyncio.gather(*(say(scene) for _ in range(3)))) == ["1", "2", "3"]
    assert (len(scene.provider.requests), await scene.settled()) == (4, 3 * TOKENS)


async def test_identical_calls_of_which_the_budget_refuses_some_get_an_answer_each(open_scene):
    pace = asyncio.Semaphore(0)
    scripts = [Script(text=f"answer {number} ", pace=pace) for number in range(3)]
    scene = await open_scene(*scripts, limit=300, clamp="off")  # enough for the hold of one
    first = asyncio.create_task(ask(scene, "chat", FIRST))
    await scene.provider.arrival()
    assert [(await ask(scene, "chat", FIRST)).status for _ in range(2)] == [429, 429]
    for _ in scripts:
        pace.release()
    seen = [await first, await ask(scene, "chat", AGAIN), await ask(scene, "chat", AGAIN)]
    assert [f"answer {number} ".encode() in each.body for number, each in enumerate(seen)] == [True] * 3
    assert (len(scene.provider.requests), await scene.settled()) == (3, 3 * TOKENS)


async def test_what_is_to_be_taken_back_is_so_although_its_settlement_comes_late(open_scene, monkeypatch):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), Script())
    ledger_type = type(scene.house.services.ledger)
    settle, correct = ledger_type.settle_soon, ledger_type.correct
    faults, corrections = [StoreUnavailable("not now")], list[Any]()

    def fails_once(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return settle(*arguments)

    async def noted(*arguments: Any) -> Any:
        corrections.append(await correct(*arguments))
        return corrections[-1]

    monkeypatch.setattr(ledger_type, "settle_soon", fails_once)
    monkeypatch.setattr(ledger_type, "correct", noted)
    await ask(scene, "chat-stream", FIRST)
    assert (await ask(scene, "chat-stream", AGAIN)).is_whole
    assert await scene.comes_to(TOKENS)
    while not corrections:  # what is written can be read before its writer is told
        await asyncio.sleep(0)
    assert [each.status for each in corrections] == [Status.DONE]


async def test_a_settlement_that_the_store_cannot_take_now_is_made_up_for(scene, monkeypatch):
    ledger_type = type(scene.house.services.ledger)
    settle, faults = ledger_type.settle, [StoreUnavailable("not now")] * 2

    async def fails_twice(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return await settle(*arguments)

    monkeypatch.setattr(ledger_type, "settle", fails_twice)
    monkeypatch.setattr(ledger_type, "settle_soon", fails_twice)
    assert (await ask(scene, "chat")).is_whole
    assert (await scene.settled(), faults) == (TOKENS, [])


async def test_a_settlement_whose_commit_fails_after_the_reply_is_made_up_for(scene):
    are_lost = [True, True, False]  # the hold's own commit first
    scene.house.store._write_connection.set_commit_hook(lambda: are_lost.pop() if are_lost else False)
    assert (await ask(scene, "chat")).is_whole
    assert (await scene.settled(), are_lost) == (TOKENS, [])
