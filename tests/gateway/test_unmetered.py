"""Paths that use no tokens have the bounds of a call: a time, and a length."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.gateway.calls import Seen, headers_of, post
from tests.provider import Fault, Script

PATHS: dict[str, tuple[str, Any]] = {
    "/openai/v1/models": ("GET", None),
    "/openai/v1/responses/resp_1": ("GET", None),
    "/anthropic/v1/messages/count_tokens": ("POST", {"model": "m", "messages": []}),
    "/gemini/v1beta/models": ("GET", None),
}


async def ask(scene: Any, path: str) -> Seen:
    verb, body = PATHS[path]
    return await post(scene, path, body, verb=verb)


async def test_one_that_takes_longer_than_any_call_may_is_cut_and_said_to_be(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), call_max_s=1, stored_responses="shared")
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for seen in await asyncio.gather(*(ask(scene, path) for path in PATHS)):
        assert (seen.status, b"took longer than 1 seconds" in seen.body, seen.is_whole) == (502, True, True)
        assert seen.headers["x-should-retry"] == "false"
    assert 1 <= loop.time() - started_s < 10  # and not the minutes that a silent provider has
    assert [received.closed.is_set() for received in scene.provider.requests] == [True] * len(PATHS)


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.ENDLESS])
async def test_one_whose_reply_does_not_end_in_that_time_breaks_off(open_scene, fault):
    """Of a stalled reply nothing was sent yet: it is short, and would have gone out in one piece."""
    scene = await open_scene(Script(fault=fault), call_max_s=1)
    seen = await ask(scene, "/openai/v1/models")
    assert (seen.status, seen.is_whole) == ((502, True) if fault is Fault.STALL else (200, False))


async def test_one_whose_reply_is_longer_than_any_need_be_breaks_off(open_scene, monkeypatch):
    monkeypatch.setattr("kvot.gateway.unmetered.REPLY_BYTES_LEAST", 1_000_000)
    scene = await open_scene(Script(fault=Fault.ENDLESS))
    seen = await ask(scene, "/openai/v1/models")
    assert (seen.status, seen.is_whole, len(seen.body) <= 1_000_000) == (200, False, True)


async def test_a_stored_response_that_is_asked_for_as_a_stream_comes_as_one(open_scene):
    pace = asyncio.Semaphore(1)  # all but the first event wait
    scene = await open_scene(Script(pace=pace), stored_responses="shared")
    path = "/openai/v1/responses/resp_1?stream=true"
    body = b""
    headers = headers_of(path, scene.key)
    async with httpx2.AsyncClient() as client, client.stream("GET", scene.url + path, headers=headers) as reply:
        async for piece in reply.aiter_raw():
            body += piece
            pace.release()
    assert body == scene.provider.requests[0].reply
