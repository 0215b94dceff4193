"""An official client that tries again is not charged twice, whatever became of its first attempt."""

import asyncio
from typing import Any

import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.errors import StoreUnavailable
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import CALLS, ask, post
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.provider import Fault, Script

FIRST, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}
KEYED = {"idempotency-key": "turn-7"}
TOKENS = 21
OTHER_COMPANY = "c0000000-0000-4000-8000-000000000002"
SENT_TWICE = [(FIRST, AGAIN), (KEYED, KEYED)]

# Clients of dialects that count their retries, and one that gives a key.
DIALECTS = ["chat", "chat-stream", "messages", "messages-stream", "responses", "gemini"]


@pytest.mark.parametrize("call", DIALECTS)
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_an_answer_that_was_settled_and_lost_is_given_again(scene, call, first, again):
    lost, seen = await ask(scene, call, first), await ask(scene, call, again)
    assert (seen.status, seen.body, seen.is_whole) == (lost.status, lost.body, True)
    assert (seen.headers["x-kvot-repeated"], "x-kvot-repeated" in lost.headers) == ("true", False)
    assert (len(scene.provider.requests), await scene.settled()) == (1, TOKENS)


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
    assert (await ask(scene, call, again)).status == 200
    assert await scene.comes_to(TOKENS)


async def test_a_reply_that_its_provider_broke_off_is_taken_back_once_it_came_through(open_scene):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), Script())
    assert ((await ask(scene, "chat", FIRST)).status, await scene.settled() > 0) == (502, True)
    assert (await ask(scene, "chat", AGAIN)).status == 200
    assert await scene.comes_to(TOKENS)


async def test_a_client_that_left_while_its_answer_was_settled_is_charged_once(open_scene, monkeypatch):
    scene = await open_scene()
    settling, may_settle = asyncio.Event(), asyncio.Event()
    ledger_type = type(scene.house.services.ledger)
    settle = ledger_type.settle_soon

    async def held_up(*arguments: Any) -> Any:
        settling.set()
        await may_settle.wait()
        return await settle(*arguments)

    monkeypatch.setattr(ledger_type, "settle_soon", held_up)
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
    await post(scene, path, body, KEYED)
    await post(scene, path, body | {"temperature": 1}, KEYED)
    assert (len(scene.provider.requests), await scene.settled()) == (2, 2 * TOKENS)


async def test_an_operator_gets_no_companys_answer_for_another(scene):
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(name="all", roles=["superadmin"]))
    for company in (COMPANY, OTHER_COMPANY):
        named = {"authorization": f"Bearer {made.key}", "x-kvot-company-id": company}
        assert (await ask(scene, "chat", KEYED | named)).status == 200
        assert (await scene.house.services.ledger.usage(company)).tokens_used == TOKENS


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
