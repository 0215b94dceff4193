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
    **dict.fromkeys(
        [
            *("x-org-id", "groq-org", "x-ratelimit-limit-project-tokens", "anthropic-organization", "x-gemini-org"),
            *("azureml-model-session", "x-ms-region", "x-ms-deployment-name", "x-envoy-upstream-service-time"),
            *("cf-ray", "via", "x-amzn-requestid", "x-groq-region", "x-upstream-host", "x-served-by"),
            *("x-accel-redirect", "x-sendfile", "content-location", "link", "refresh", "clear-site-data"),
            *("sourcemap", "service-worker-allowed", "strict-transport-security", "nel", "report-to"),
            *("age", "expires", "vary", "www-authenticate", "trailer", "x-kvot-output-tokens-max"),
        ],
        "theirs",
    ),
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
    scene = await open_scene(limit=150)
    seen = await ask(scene, call)
    lowered = int(seen.headers["x-kvot-output-tokens-max"])
    assert 16 <= lowered < 100
    assert scene.provider.requests[0].json == put(CALLS[call][1], CEILINGS[call], lowered)
    assert await scene.settled() <= 150


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


@pytest.mark.parametrize("query", ["alt=proto&alt=sse", "alt=sse&alt=sse", "%61lt=proto&alt=json"])
async def test_a_parameter_that_says_what_is_asked_for_is_not_taken_twice(scene, query):
    """The provider may take the one that we did not."""
    path, body = CALLS["gemini-stream"]
    seen = await post(scene, f"{path.partition('?')[0]}?{query}", body)
    assert (seen.status, len(scene.provider.requests)) == (400, 0)
    assert b"'alt' twice" in seen.body


@pytest.mark.parametrize("call", CALLS)
async def test_no_organisation_cookie_or_key_of_the_providers_reaches_the_client(open_scene, call):
    scene = await open_scene(Script(headers=tuple(MUST_NOT_RETURN.items())))
    seen = await ask(scene, call)
    assert seen.status == 200
    assert not MUST_NOT_RETURN.keys() & seen.headers.keys()
    assert "sk-" not in str(seen.headers)


@pytest.mark.parametrize("call", ["chat", "messages", "gemini", "ollama"])
async def test_of_the_drafts_limits_a_reply_tells_ours_alone(open_scene, call):
    names = ("ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining")
    scene = await open_scene(Script(headers=tuple((name, '"theirs";r=1') for name in names)))
    headers = (await ask(scene, call)).headers
    assert [len(headers.get_list(name)) for name in names] == [1, 1, 0, 0]
    assert "theirs" not in str(headers)


@pytest.mark.parametrize(("verb", "length"), [("POST", "0"), ("GET", None), ("DELETE", None)])
async def test_a_request_without_a_body_says_so_where_one_would_be_expected(open_scene, verb, length):
    scene = await open_scene(stored_responses="shared")
    path = "/openai/v1/responses/resp_1" + ("/cancel" if verb == "POST" else "")
    async with httpx2.AsyncClient(headers=headers_of(path, scene.key)) as client:
        assert (await client.request(verb, scene.url + path)).status_code == 200
    assert scene.provider.requests[0].header("content-length") == length


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("kind", "is_page"), [("text/html", True), ("image/svg+xml", True), ("Application/JSON; charset=utf-8", False)]
)
async def test_what_a_browser_would_show_runs_nothing_in_our_name(open_scene, kind, is_page, status):
    scene = await open_scene(Script(status=status, headers=(("content-type", kind),)))
    async with httpx2.AsyncClient() as client:
        headers = (await client.get(f"{scene.url}/gemini/v1beta/models?key={scene.key}")).headers
    assert kind in headers.get_list("content-type")
    policies = [headers.get(name) for name in ("content-security-policy", "x-content-type-options")]
    assert policies == (["default-src 'none'; sandbox", "nosniff"] if is_page else [None, None])


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
    assert seen.headers.get_list(header) == ["req_theirs"]
    assert seen.headers["x-kvot-request-id"].startswith("req_")


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("call", [*CALLS])
async def test_our_request_id_stands_in_where_the_provider_sends_none(open_scene, call, status):
    seen = await ask(await open_scene(Script(status=status)), call)
    names = {"anthropic": ["request-id"], "gemini": []}.get(CALLS[call][0].split("/")[1], ["x-request-id"])
    assert [name for name in ("request-id", "x-request-id") if name in seen.headers] == names
    assert all(seen.headers[name] == seen.headers["x-kvot-request-id"] for name in names)


@pytest.mark.parametrize(
    ("call", "name"),
    [("chat", "x-ratelimit-remaining-tokens"), ("messages", "anthropic-ratelimit-tokens-remaining")],
)
async def test_the_budget_is_told_in_the_dialects_headers_where_it_is_the_tighter_one(open_scene, call, name):
    scene = await open_scene(Script(headers=((name, "9999999999"),)), Script(headers=((name, "5"),)))
    ours, theirs = await ask(scene, call), await ask(scene, call)
    assert 0 < int(ours.headers[name]) < 1_000_000
    assert ours.headers[f"x-upstream-{name}"] == "9999999999"
    assert theirs.headers[name] == "5"
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
