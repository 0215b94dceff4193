"""Pages of other origins that call providers through Kvot, with the SDKs' own headers."""

from typing import Any

import httpx2
import pytest

from tests.gateway.calls import CALLS, headers_of
from tests.gateway.test_fail_closed import words
from tests.provider import Fault, Script

ORIGIN = "https://app.example.com"
ASKED = "authorization,content-type,anthropic-dangerous-direct-browser-access,x-stainless-os"


async def ask(scene: Any, verb: str, path: str, origin: str = ORIGIN, body: Any = None, **headers: str) -> Any:
    sent = {"origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient() as client:
        return await client.request(verb, scene.url + path, headers=sent, json=body)


@pytest.fixture
async def scene(open_scene):
    return await open_scene(cors_origins=ORIGIN)


@pytest.mark.parametrize("call", ["chat", "messages", "gemini-array-stream", "ollama"])
async def test_a_preflight_of_a_listed_origin_may_bring_what_the_sdk_sends(scene, call):
    reply = await ask(scene, "OPTIONS", CALLS[call][0], access_control_request_headers=ASKED)
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-headers"] == ASKED
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in reply.headers
    assert not scene.provider.requests


@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", ""])
async def test_another_origin_is_allowed_nothing(scene, origin):
    reply = await ask(scene, "OPTIONS", CALLS["chat"][0], origin, access_control_request_headers=ASKED)
    assert (reply.status_code, reply.headers["vary"]) == (200, "Origin")
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/assistant/ai-chat/usage"])
@pytest.mark.parametrize("key", ["", "kvot_wrong"])
async def test_without_a_listed_origin_there_is_no_preflight_and_no_key_is_asked_for(open_scene, path, key):
    reply = await ask(await open_scene(), "OPTIONS", path, **({"x-api-key": key} if key else {}))
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("call", ["chat", "messages", "gemini", "ollama"])
async def test_that_is_said_in_the_words_of_the_api(open_scene, call):
    reply = await ask(await open_scene(), "OPTIONS", CALLS[call][0])
    assert "KVOT_CORS_ORIGINS names no origin" in words(call, reply.content)


@pytest.mark.parametrize("call", CALLS)
async def test_a_page_may_read_every_header_of_a_reply(scene, call):
    path, body = CALLS[call]
    reply = await ask(scene, "POST", path, body=body, **headers_of(path, scene.key))
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert reply.headers["access-control-expose-headers"] == "*"
    assert "Origin" in reply.headers["vary"]
    assert "ratelimit" in reply.headers


async def test_and_why_a_call_was_refused(open_scene):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_HEAD), cors_origins=ORIGIN)
    path, body = CALLS["chat"]
    for headers, status in (({}, 401), (headers_of(path, scene.key), 502)):
        reply = await ask(scene, "POST", path, body=body, **headers)
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, ORIGIN)
