"""What passes to the provider and back is what was sent; what may not pass does not, in either direction."""

import json
from typing import Any

import httpx2
import pytest

from tests.gateway.calls import CALLS, TEXT, ask, headers_of, post
from tests.provider import Script

PROVIDER_KEYS = {"openai": "Bearer sk-openai", "anthropic": "sk-anthropic", "gemini": "sk-gemini"}
PROVIDER_KEYS["ollama"] = "Bearer sk-ollama"

MUST_NOT_PASS = {
    "cookie": "ss-id=1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "h",
    "x-real-ip": "10.0.0.1",
    "forwarded": "for=1",
    "via": "1.1 v",
    "origin": "https://a.example",
    "referer": "https://a.example/",
    "openai-organization": "org-client",
    "openai-project": "proj-client",
    "anthropic-workspace-id": "w",
    "x-goog-user-project": "p",
    "x-kvot-user-id": "ada",
    "x-kvot-feature": "search",
    "x-api-key-2": "k",
    "proxy-authorization": "Basic eA==",
    "accept-encoding": "gzip",
    "x-anything": "else",
}
MUST_NOT_RETURN = {
    "set-cookie": "session=1",
    "openai-organization": "org-ours",
    "openai-project": "proj-ours",
    "anthropic-organization-id": "org-ours",
    "anthropic-workspace-id": "w-ours",
    "x-goog-user-project": "ours",
    "server": "theirs",
    "alt-svc": "h3",
    "access-control-allow-origin": "*",
}


def sent_as_it_is(call: str) -> bytes:
    """A body as no serializer of ours would write it."""
    _, body = CALLS[call]
    return b" " + json.dumps(body | {"unknown": "h\u00e9j"}, indent=3).encode() + b"\n"


async def send(scene: Any, path: str, content: bytes, headers: dict[str, str]) -> httpx2.Response:
    async with httpx2.AsyncClient(verify=False) as client:
        return await client.post(scene.url + path, content=content, headers=headers_of(path, scene.key) | headers)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "chat-stream"])
async def test_the_provider_is_sent_the_clients_own_bytes(scene, call):
    body = sent_as_it_is(call)
    await send(scene, CALLS[call][0], body, {"content-type": "application/json"})
    assert scene.provider.requests[0].body == body


async def test_where_the_usage_is_asked_for_nothing_else_is_changed(scene):
    body = sent_as_it_is("chat-stream")
    await send(scene, CALLS["chat-stream"][0], body, {"content-type": "application/json"})
    sent = scene.provider.requests[0]
    assert sent.json == json.loads(body) | {"stream_options": {"include_usage": True}}
    assert sent.body.replace(b'"stream_options":{"include_usage":true},', b"") == body


CEILINGS = {
    "chat": "max_completion_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
    "gemini": "generationConfig.maxOutputTokens",
    "ollama": "options.num_predict",
}


def put(body: Any, path: str, value: Any) -> Any:
    name, _, rest = path.partition(".")
    return body | {name: put(body[name], rest, value) if rest else value}


@pytest.mark.parametrize("call", CEILINGS)
async def test_a_ceiling_is_lowered_to_what_is_left_and_nothing_else_is(open_scene, call):
    scene = await open_scene(limit=120)
    seen = await ask(scene, call)
    lowered = int(seen.headers["x-kvot-output-tokens-max"])
    assert 16 <= lowered < 100
    assert scene.provider.requests[0].json == put(CALLS[call][1], CEILINGS[call], lowered)
    assert await scene.settled() <= 120


@pytest.mark.parametrize("call", CALLS)
async def test_no_credential_and_no_trace_of_the_client_reaches_the_provider(scene, call):
    path, body = CALLS[call]
    path += ("&" if "?" in path else "?") + f"key={scene.key}&x=1"
    assert (await post(scene, path, body, MUST_NOT_PASS)).status == 200
    received = scene.provider.requests[0]
    assert scene.key.encode() not in received.head + received.body
    assert not MUST_NOT_PASS.keys() - {"accept-encoding"} & {name for name, _ in received.headers}
    assert received.header("accept-encoding") == "identity"
    provider = path.split("/")[1]
    keys = [value for _, value in received.headers if "sk-" in value]
    assert keys == [PROVIDER_KEYS[provider]]
    assert received.query == ("alt=sse" if "alt=sse" in path else "")


@pytest.mark.parametrize("call", CALLS)
async def test_no_organisation_cookie_or_key_of_the_providers_reaches_the_client(open_scene, call):
    scene = await open_scene(Script(headers=tuple(MUST_NOT_RETURN.items())))
    seen = await ask(scene, call)
    assert seen.status == 200
    assert not MUST_NOT_RETURN.keys() & seen.headers.keys()
    assert "sk-" not in str(seen.headers)


@pytest.mark.parametrize("path", ["/openai/v1/models", "/anthropic/v1/models/m", "/gemini/v1beta/models"])
async def test_head_is_what_get_says_without_its_body(scene, path):
    async with httpx2.AsyncClient(headers=headers_of(path, scene.key)) as client:
        get, head = await client.get(scene.url + path), await client.head(scene.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(get.content) > 0
    assert head.headers.keys() == get.headers.keys()
    assert [received.verb for received in scene.provider.requests] == ["GET", "GET"]


async def test_head_has_no_body_however_long_that_of_get_is(open_scene):
    scene = await open_scene(Script(text="x" * 300_000), stored_responses="shared")
    path = "/openai/v1/responses/resp_1"
    async with httpx2.AsyncClient(headers=headers_of(path, scene.key)) as client:
        replies = [await client.request(verb, scene.url + path) for verb in ("HEAD", "GET", "HEAD")]
    assert [(each.status_code, len(each.content) > 300_000) for each in replies] == [
        (200, False),
        (200, True),
        (200, False),
    ]
    assert replies[2].content == b""


@pytest.mark.parametrize(("call", "header"), [("chat", "x-request-id"), ("messages", "request-id")])
async def test_the_providers_request_id_and_our_own_reach_the_client(open_scene, call, header):
    scene = await open_scene(Script(headers=((header, "req_theirs"),)))
    seen = await ask(scene, call)
    assert seen.headers[header] == "req_theirs"
    assert seen.headers["x-kvot-request-id"].startswith("req_")


async def test_the_budget_is_told_in_the_dialects_headers_where_it_is_the_tighter_one(open_scene):
    looser = (("x-ratelimit-remaining-tokens", "9999999999"),)
    scene = await open_scene(Script(headers=looser), Script(headers=(("x-ratelimit-remaining-tokens", "5"),)))
    ours, theirs = await ask(scene, "chat"), await ask(scene, "chat")
    assert int(ours.headers["x-ratelimit-remaining-tokens"]) < 1_000_000
    assert ours.headers["x-upstream-x-ratelimit-remaining-tokens"] == "9999999999"
    assert theirs.headers["x-ratelimit-remaining-tokens"] == "5"
    assert "ratelimit" in theirs.headers


async def test_a_prompt_of_every_character_passes(scene):
    text = TEXT + "".join(map(chr, range(1, 0x3000)))
    path, body = CALLS["chat"]
    await post(scene, path, body | {"messages": [{"role": "user", "content": text}]})
    assert scene.provider.requests[0].json["messages"][0]["content"] == text


@pytest.mark.parametrize("path", ["chat/completions", "responses/input_tokens"])
async def test_a_provider_that_quotes_our_key_is_not_quoted(open_scene, path):
    scene = await open_scene(Script(status=429), openai_api_key="mock")
    reply = await send(scene, f"/openai/v1/{path}", b'{"model":"m","messages":[]}', {})
    assert (reply.status_code, reply.json()["error"]["message"]) == (429, "The *** was told so.")
