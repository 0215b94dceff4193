"""A hold of a call that is under way, and others who know its id: nobody has an answer for nothing by it."""

import asyncio
from typing import Any

import httpx2
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import ask
from tests.gateway.conftest import COMPANY, OPERATOR, Scene
from tests.provider import Fault, Script

HOLDS = "/assistant/ai-chat/holds"
TOKENS = 21
CHUNKS_MAX = 100  # of a reply of the mock provider


async def over_http(scene: Scene, verb: str, path: str, key: str, body: dict[str, Any] | None = None) -> Any:
    async with httpx2.AsyncClient(base_url=scene.url) as client:
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        return await client.request(verb, path, json=body, params={"CompanyId": COMPANY}, headers=headers)


async def operators_key(scene: Scene) -> str:
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"]))
    assert made.key is not None
    return made.key


REACHES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "release": ("DELETE", "", None),
    "settle": ("POST", "/settle", {"TokensUsed": 1}),
    "renew": ("PUT", "", {"TtlSeconds": 3600}),
    "get": ("GET", "", None),
}


async def under_way(open_scene: Any, call: str) -> tuple[Scene, asyncio.Task[Any], asyncio.Semaphore, str]:
    """A call whose provider waits to answer, and the id of its hold."""
    pace = asyncio.Semaphore(0)
    scene = await open_scene(Script(pace=pace))
    task = asyncio.create_task(ask(scene, call))
    await scene.provider.arrival()
    (hold,) = await scene.house.services.ledger.open_holds(COMPANY, limit=2)
    return scene, task, pace, hold.hold_id


async def let_go(task: asyncio.Task[Any], pace: asyncio.Semaphore) -> Any:
    """The answer, all of it."""
    for _ in range(CHUNKS_MAX):
        pace.release()
    return await task


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize("reach", REACHES)
async def test_a_company_cannot_reach_the_hold_of_its_call(open_scene, call, reach):
    scene, task, pace, hold_id = await under_way(open_scene, call)
    verb, path, body = REACHES[reach]
    reply = await over_http(scene, verb, f"{HOLDS}/{hold_id}{path}", scene.key, body)
    assert (reply.status_code, reply.json()["responseStatus"]["errorCode"]) == (404, "NotFound")
    assert (await let_go(task, pace)).is_whole
    assert await scene.settled() == TOKENS


@pytest.mark.parametrize("call", ["chat", "chat-stream", "messages", "gemini-stream"])
async def test_a_call_whose_hold_the_operator_drops_is_charged_once_all_the_same(open_scene, call):
    scene, task, pace, hold_id = await under_way(open_scene, call)
    key = await operators_key(scene)
    (listed,) = (await over_http(scene, "GET", HOLDS, key)).json()["results"]
    assert (listed["id"], listed["isOfGateway"], listed["model"]) == (hold_id, True, "m")
    assert (await over_http(scene, "DELETE", f"{HOLDS}/{hold_id}", key)).json()["holdState"] == "released"
    assert (await scene.held(), await scene.used()) == (0, 0)
    assert (await let_go(task, pace)).is_whole
    assert await scene.comes_to(TOKENS)
    assert (await scene.house.services.ledger.verify(COMPANY)).differences == ()


async def test_a_dropped_hold_of_a_call_that_is_cut_and_repeated_leaves_one_charge(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    client = asyncio.create_task(ask(scene, "chat", {"x-stainless-retry-count": "0"}))
    received = await scene.provider.arrival()
    (hold,) = await scene.house.services.ledger.open_holds(COMPANY, limit=2)
    await scene.house.services.ledger.release(COMPANY, hold.hold_id)
    client.cancel()
    await received.closed.wait()
    assert (await ask(scene, "chat", {"x-stainless-retry-count": "1"})).is_whole
    assert await scene.comes_to(TOKENS)
