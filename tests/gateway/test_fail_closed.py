"""No call without a decision: whatever fails on the way to it, no provider is asked, and the client is told in its own
words."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import httpx2
import pytest

from kvot.core.errors import InvalidRequest, StoreUnavailable
from kvot.core.model import TEXT_LENGTH_MAX, Decision, Source, Status, Usage
from kvot.gateway import asking
from kvot.gateway.estimate import UNLEARNED_TOKENS_PER_SECOND
from tests.gateway.calls import CALLS, ask, headers_of, post, send_raw
from tests.gateway.conftest import Scene
from tests.gateway.test_receipts_kept import latest
from tests.provider import Fault, Script

ONE_OF_EACH = ["chat", "responses-stream", "messages", "gemini", "gemini-array-stream", "ollama-stream"]
SECRET = "what nobody may read"


def words(call: str, body: bytes) -> Any:
    """The message of an error in the dialect's own shape."""
    document: Any = json.loads(body)
    if call == "gemini-array-stream":
        (document,) = document
    if call.startswith("ollama"):
        return document["error"]
    if call.startswith("messages"):
        assert document["type"] == "error"
    if call.startswith("gemini"):
        assert document["error"]["code"] >= 400
        assert document["error"]["status"]
    return document["error"]["message"]


def message_of(body: bytes) -> str:
    """The same, whichever it is."""
    error = json.loads(body)["error"]
    message: str = error if isinstance(error, str) else error["message"]
    return message


async def request(scene: Scene, verb: str, path: str, headers: Any = None, **more: Any) -> Any:
    async with httpx2.AsyncClient(verify=False) as client:
        return await client.request(verb, scene.url + path, headers=headers, **more)


def faults() -> dict[str, tuple[str, Exception, int]]:
    """What fails, with what, and the status that it makes."""
    return {
        "the store is gone": ("kvot.core.ledger.Ledger.reserve", StoreUnavailable(SECRET), 503),
        "the store has a fault": ("kvot.core.ledger.Ledger.reserve", RuntimeError(SECRET), 500),
        "who is calling cannot be found out": (
            "kvot.http.auth.keys_and_tokens.KeysAndTokens.principal",
            RuntimeError(SECRET),
            500,
        ),
        "keys cannot be looked up": (
            "kvot.http.auth.keys_and_tokens.KeysAndTokens.principal",
            StoreUnavailable(SECRET),
            503,
        ),
        "the request cannot be read": ("kvot.gateway.gateway.Gateway.find", RuntimeError(SECRET), 500),
        "the estimate fails": ("kvot.gateway.estimate.Estimator.held_input_tokens", ZeroDivisionError(SECRET), 500),
        "the request cannot be built": ("kvot.gateway.gateway.request_headers", RuntimeError(SECRET), 500),
    }


@pytest.mark.parametrize("call", ONE_OF_EACH)
@pytest.mark.parametrize("what", faults())
async def test_a_failure_before_the_decision_is_no_call(scene, monkeypatch, what, call):
    where, error, status = faults()[what]

    def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(where, fails)
    seen = await ask(scene, call)
    monkeypatch.undo()
    assert (seen.status, len(scene.provider.requests)) == (status, 0)
    assert SECRET.encode() not in seen.body
    assert b"Traceback" not in seen.body
    assert words(call, seen.body)
    assert await scene.settled() == 0


LONGEST = "m" * TEXT_LENGTH_MAX
IN_DOUBT = Decision(Status.IN_DOUBT, Usage("", 1, 1, 0, 0, 0, in_doubt=True))
HELD_ALREADY = replace(IN_DOUBT, status=Status.REPLAYED)

# What is answered to a hold, or fails behind it; the model; the reply's status, and whether a hold is released.
RELEASES: dict[str, tuple[str, Any, str, int, bool]] = {
    "all is well": ("", None, LONGEST, 200, False),
    "the model is too long": ("", None, LONGEST + "m", 400, False),
    "the company is in doubt": ("kvot.core.ledger.Ledger.reserve", IN_DOUBT, "m", 503, False),
    "nobody knows": ("kvot.core.ledger.Ledger.reserve", StoreUnavailable(SECRET), "m", 503, True),
    "it is held already": ("kvot.core.ledger.Ledger.reserve", HELD_ALREADY, "m", 503, True),
    "the request cannot be built": ("kvot.gateway.gateway.request_headers", RuntimeError(SECRET), "m", 500, True),
    "the request is refused late": ("kvot.gateway.gateway.request_headers", InvalidRequest("late"), "m", 400, True),
}


@pytest.mark.parametrize("what", RELEASES)
@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/gemini/v1beta/models/{}:generateContent"])
async def test_a_hold_is_released_where_it_may_be_there_and_nowhere_else(scene, monkeypatch, path, what):
    """With PostgreSQL a row is left of each release of a hold that is not there."""
    where, outcome, model, status, is_released = RELEASES[what]
    release = AsyncMock()
    monkeypatch.setattr("kvot.core.ledger.Ledger.release", release)
    if where:
        is_async, effect = where.endswith("reserve"), {"side_effect": [outcome]}
        monkeypatch.setattr(where, AsyncMock(**effect) if is_async else Mock(**effect))
    said = [{"role": "user", "content": "x"}]
    body = {"contents": [{"parts": [{"text": "x"}]}]} if "{}" in path else {"model": model, "messages": said}
    assert (await post(scene, path.format(model), body)).status == status
    scene.stopper.stop()
    await scene.app._gateway._gateway.close(10.0)
    assert release.call_count == is_released


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_a_request_that_cannot_be_read_is_no_call(scene, call):
    path, _ = CALLS[call]
    headers = headers_of(path, scene.key)
    sent: dict[str, tuple[int, dict[str, Any]]] = {
        "no body": (400, {}),
        "no JSON": (400, {"content": b'{"model": '}),
        "no object": (400, {"content": b"[]"}),
        "half a character": (400, {"content": b'{"model":"\xc3"}'}),
        "compressed": (400, {"content": b"\x1f\x8b", "headers": headers | {"content-encoding": "gzip"}}),
        "deep": (400, {"content": b"[" * 100_000}),
    }
    for what, (status, given) in sent.items():
        reply = await request(scene, "POST", path, **({"headers": headers} | given))
        assert reply.status_code == status, what
        assert words(call, reply.content), what
    assert len(scene.provider.requests) == 0


@pytest.mark.parametrize("call", ONE_OF_EACH)
@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_over_the_bound_is_refused(scene, monkeypatch, call, is_declared):
    from kvot.http import gateway
    from kvot.http.limits import Limits

    monkeypatch.setattr(gateway, "LIMITS", Limits(max_body_bytes=1_000))

    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 100

    path, _ = CALLS[call]
    content = b" " * 2_000 if is_declared else pieces()
    reply = await request(scene, "POST", path, headers=headers_of(path, scene.key), content=content)
    assert (reply.status_code, len(scene.provider.requests)) == (413, 0)
    assert "1000 bytes" in words(call, reply.content)


LARGEST_BYTES = 20_971_520


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_the_bound_is_20_mb(scene, call):
    path, _ = CALLS[call]
    sent = headers_of(path, scene.key) | {"content-length": str(LARGEST_BYTES + 1), "connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    status, _, body = await send_raw(scene, f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode())
    assert (status, len(scene.provider.requests)) == (413, 0)
    assert f"{LARGEST_BYTES} bytes" in words(call, body)


async def test_a_body_of_20_mb_passes(scene):
    path, body = CALLS["chat"]
    content = json.dumps(body).encode().ljust(LARGEST_BYTES)
    reply = await request(scene, "POST", path, headers=headers_of(path, scene.key), content=content)
    assert (reply.status_code, len(scene.provider.requests[0].body)) == (200, LARGEST_BYTES)


PATHS = {
    "chat": "/openai/v1/files",
    "messages": "/anthropic/v1/messages/batches",
    "gemini": "/gemini/v1beta/models/m:tune",
    "ollama": "/ollama/api/pull",
}


@pytest.mark.parametrize("call", PATHS)
async def test_a_path_that_cannot_be_metered_is_not_passed(scene, call):
    seen = await post(scene, PATHS[call], {"model": "m"})
    assert (seen.status, len(scene.provider.requests)) == (404, 0)
    assert PATHS[call].removeprefix("/" + PATHS[call].split("/")[1]) in words(call, seen.body)
    assert b"base URL" not in seen.body


@pytest.mark.parametrize(
    ("path", "base_url"),
    [
        ("/anthropic/v1/v1/messages", "/anthropic"),
        ("/openai/v1/v1/chat/completions", "/openai/v1"),
        ("/gemini/v1beta/v1beta/models/m:generateContent", "/gemini"),
        ("/ollama/api/api/chat", "/ollama"),
        ("/anthropic/messages", "/anthropic/v1"),
        ("/gemini/models/m:generateContent", "/gemini/v1beta"),
        ("/ollama/chat", "/ollama/api"),
    ],
)
async def test_a_base_url_with_a_segment_too_many_or_too_few_is_told_so(scene, path, base_url):
    seen = await post(scene, path, {"model": "m"})
    assert (seen.status, len(scene.provider.requests)) == (404, 0)
    assert message_of(seen.body).endswith(f"that Kvot passes on. For one that is, the base URL would be …{base_url}.")


# What a client of one API asks for whose base URL leads to another, and is right besides or has a segment too many or
# too few; the API, and the base URL that would be right.
OF_ANOTHER_API = [
    ("/claude/v1/chat/completions", "openai", "/openai/v1"),
    ("/claude/v1/v1/chat/completions", "openai", "/openai/v1"),
    ("/claude/chat/completions", "openai", "/openai/v1"),
    ("/openai/v1/messages", "anthropic", "/claude"),
    ("/openai/v1/v1/messages", "anthropic", "/claude"),
    ("/openai/messages", "anthropic", "/claude/v1"),
    ("/ollama/v1beta/models/m:generateContent", "gemini", "/gemini"),
    ("/openai/v1/v1beta/models/m:generateContent", "gemini", "/gemini"),
    ("/openai/models/m:generateContent", "gemini", "/gemini/v1beta"),
    ("/ollama/v1/chat/completions", "openai", "/openai/v1"),
    ("/gemini/api/chat", "ollama", "/ollama"),
    ("/openai/v1/api/chat", "ollama", "/ollama"),
]


@pytest.mark.parametrize(("path", "speaker", "base_url"), OF_ANOTHER_API)
async def test_a_path_of_another_api_says_whose_it_is_and_which_provider_speaks_it(open_scene, path, speaker, base_url):
    claude = {"claude": {"dialect": "anthropic", "base_url": "http://127.0.0.1:9"}}
    scene = await open_scene(anthropic_base_url=None, anthropic_api_key=None, providers=claude)
    seen = await post(scene, path, {})
    assert (seen.status, len(scene.provider.requests)) == (404, 0)
    told = f"the API that {speaker} speaks: the base URL would be …{base_url}."
    if speaker == "openai":  # which many servers speak beside their own, and what is said to them is not for OpenAI
        name = path.split("/")[1]
        told += f" For that of {name} itself, name it once more in the settings file, with the dialect compatible."
    assert message_of(seen.body).endswith(told)


@pytest.mark.parametrize("path", ["/openai/v1/messages", "/openai/v1/v1/messages", "/openai/messages"])
async def test_where_no_provider_speaks_it_that_is_said(open_scene, path):
    scene = await open_scene(anthropic_base_url=None, anthropic_api_key=None)
    seen = await post(scene, path, {})
    told = "It is one of the API that anthropic speaks, as no provider here does."
    assert (seen.status, message_of(seen.body).endswith(told)) == (404, True)


FREE = {
    "chat": ("GET", "/openai/v1/models"),
    "messages": ("POST", "/anthropic/v1/messages/count_tokens"),
    "gemini": ("GET", "/gemini/v1beta/models"),
    "ollama": ("GET", "/ollama/api/tags"),
}


WRONG = "sk-proj-nobodys"


@pytest.mark.parametrize("headers", [{}, {"authorization": f"Bearer {WRONG}", "x-goog-api-key": WRONG}])
@pytest.mark.parametrize("call", [*FREE, *ONE_OF_EACH])
async def test_nobody_passes_without_a_credential(scene, call, headers):
    verb, path = FREE.get(call, ("POST", CALLS[call][0]))
    reply = await request(scene, verb, path, headers=headers)
    assert (reply.status_code, len(scene.provider.requests)) == (401, 0)
    told = words(call, reply.content)
    assert told.startswith("Not Authenticated: ")
    assert "(kvot_…)" in told
    assert "in the place of the provider's" in told
    assert ("x-api-key" in told, "none that Kvot takes" in told, WRONG in told) == (not headers, bool(headers), False)


KEY_HEADERS = {"authorization": "Bearer {}", "x-api-key": "{}", "api-key": "{}", "x-goog-api-key": "{}"}


@pytest.mark.parametrize("name", KEY_HEADERS)
@pytest.mark.parametrize("call", ["chat", "messages", "gemini", "ollama"])
async def test_every_path_takes_a_key_in_every_usual_header_and_gives_it_to_nobody(scene, call, name):
    path, body = CALLS[call]
    reply = await request(scene, "POST", path, {name: KEY_HEADERS[name].format(scene.key)}, json=body)
    assert reply.status_code == 200
    (received,) = scene.provider.requests
    assert scene.key.encode() not in received.head + received.body
    assert f"sk-{path.split('/')[1]}".encode() in received.head


@pytest.mark.parametrize("name", KEY_HEADERS)
async def test_a_key_that_comes_twice_is_refused(scene, name):
    path, body = CALLS["gemini-array-stream"]
    value = KEY_HEADERS[name].format(scene.key)
    reply = await request(scene, "POST", path, [(name, value), (name, value)], json=body)
    assert (reply.status_code, len(scene.provider.requests)) == (400, 0)
    assert words("gemini-array-stream", reply.content)


@pytest.mark.parametrize(
    ("verb", "status"), [("HEAD", 404), ("OPTIONS", 405), ("PUT", 404), ("DELETE", 404), ("PATCH", 404)]
)
async def test_other_verbs_are_not_passed(scene, verb, status):
    path = CALLS["chat"][0]
    reply = await request(scene, verb, path, headers=headers_of(path, scene.key))
    assert (reply.status_code, len(scene.provider.requests)) == (status, 0)


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_a_redirect_is_called_one_and_neither_followed_nor_passed_on(open_scene, capfd, call):
    scene = await open_scene(Script(fault=Fault.REDIRECT))
    seen = await ask(scene, call)
    assert (seen.status, len(scene.provider.requests), await scene.settled()) == (502, 1, 0)
    assert "redirects the call (status 307). Kvot follows no redirect." in words(call, seen.body)
    assert ("location" in seen.headers, seen.headers["x-should-retry"]) == (False, "false")
    assert b"elsewhere" not in seen.body
    assert "check its base URL" in "".join(capfd.readouterr())


async def test_a_free_path_that_is_redirected_says_so_too(open_scene):
    scene = await open_scene(Script(fault=Fault.REDIRECT))
    reply = await request(scene, "GET", "/openai/v1/models", headers_of("/openai", scene.key))
    assert (reply.status_code, "follows no redirect" in reply.text) == (502, True)
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_a_reply_in_an_encoding_that_nobody_asked_for_is_called_one(open_scene, call):
    scene = await open_scene(Script(headers=(("content-encoding", "br"),)))
    seen = await ask(scene, call)
    assert (seen.status, seen.headers["x-should-retry"]) == (502, "false")
    assert "compressed its reply with 'br' without being asked. Kvot cannot read it." in words(call, seen.body)


@pytest.mark.parametrize("call", ONE_OF_EACH)
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate", "gzip"])
async def test_an_answer_in_an_encoding_that_is_none_was_generated_and_is_charged_by_its_time(
    open_scene, monkeypatch, tmp_path, call, encoding
):
    now_s, pace = [1_000.0], asyncio.Semaphore(0)
    monkeypatch.setattr(asking, "perf_counter", lambda: now_s[0])
    scene = await open_scene(Script(headers=(("content-encoding", encoding),), pace=pace))
    client = asyncio.create_task(ask(scene, call))
    await scene.provider.arrival()
    now_s[0] += 0.5
    for _ in range(20):
        pace.release()
    assert (await client).status == 502
    charged = (await latest(scene, tmp_path)).detail
    assert charged.input_tokens
    assert charged.output_tokens == 0.5 * UNLEARNED_TOKENS_PER_SECOND
    assert {share.label for share in await scene.shares("source")} == {Source.PARTIAL}


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_a_refusal_in_such_a_one_is_free(open_scene, status, encoding):
    scene = await open_scene(Script(status=status, headers=(("content-encoding", encoding),)))
    assert (await ask(scene, "chat")).status == (502 if encoding == "br" else status)
    assert await scene.settled() == 0


async def test_a_provider_that_cannot_be_reached_may_be_asked_again(open_scene):
    scene = await open_scene(openai_base_url="http://127.0.0.1:1")
    seen = await ask(scene, "chat")
    assert (seen.status, "x-should-retry" in seen.headers) == (502, False)


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_another_companys_name_is_refused(scene, call):
    other = {"x-kvot-company-id": "c0000000-0000-4000-8000-000000000009"}
    seen = await ask(scene, call, other)
    assert (seen.status, len(scene.provider.requests)) == (403, 0)
    assert words(call, seen.body)
    assert (await ask(scene, call, {"x-kvot-company-id": "nonsense"})).status == 400


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_a_server_that_is_stopping_takes_no_calls(scene, call):
    scene.app.health.is_draining = True
    seen = await ask(scene, call)
    assert (seen.status, seen.headers["connection"], len(scene.provider.requests)) == (503, "close", 0)
    assert words(call, seen.body)
    assert b"The server is stopping." in seen.body
    assert int(seen.headers["retry-after"]) >= 1


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_an_exhausted_budget_is_402_where_the_operator_says_so(open_scene, call):
    scene = await open_scene(limit=10, exhausted_status="402")
    seen = await ask(scene, call)
    assert (seen.status, seen.headers["x-should-retry"], len(scene.provider.requests)) == (402, "false", 0)
    assert "budget does not hold" in words(call, seen.body)


async def test_a_call_above_the_limit_is_told_no_time_to_wait(open_scene):
    scene = await open_scene(limit=10)
    seen = await ask(scene, "chat")
    assert (seen.status, "retry-after" in seen.headers) == (429, False)
    assert seen.headers["ratelimit"] == '"budget";r=10'


async def test_a_client_that_leaves_while_its_tokens_are_held_is_charged_nothing(scene, monkeypatch):
    ledger_type = type(scene.house.services.ledger)
    reserve, is_held, may_go_on = ledger_type.reserve, asyncio.Event(), asyncio.Event()

    async def held_up(*arguments: Any, **others: Any) -> Any:
        decision = await reserve(*arguments, **others)
        is_held.set()
        await may_go_on.wait()
        return decision

    monkeypatch.setattr(ledger_type, "reserve", held_up)
    client = asyncio.create_task(ask(scene, "chat"))
    await is_held.wait()
    assert await scene.held() > 0
    client.cancel()
    assert (await scene.settled(), len(scene.provider.requests)) == (0, 0)
