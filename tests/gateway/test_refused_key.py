"""A provider that refuses the key of a call: the client hears whose key that is, and never that its own is wrong."""

import json
from typing import Any

import anthropic
import openai
import pytest

from kvot.core.errors import ProviderFailed, ProviderKeyRefused
from kvot.gateway.provider import Provider
from kvot.gateway.providers import DIALECTS
from kvot.gateway.refused_key import refused_key
from tests.gateway.calls import CALLS, TEXT, ask, headers_of, is_stream
from tests.gateway.test_fail_closed import FREE, request, words
from tests.gateway.test_own_keys import KEY, change_key
from tests.provider import Script

SAID: Any = [{"role": "user", "content": TEXT}]
OPENAIS = (
    b'{"error":{"message":"Incorrect API key: sk-o***ai","type":"invalid_request_error","code":"invalid_api_key"}}'
)
XAIS = b'{"code":"Client specified an invalid argument","error":"Incorrect API key provided: sk***ai."}'
GOOGLES = (
    b'{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",'
    b'"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}'
)


def refused(dialect: str, status: int, body: bytes = b"{}", api_key: str = "sk-ours", *, is_own: bool = False) -> Any:
    provider = Provider(dialect, DIALECTS[dialect], "https://provider.example", api_key, has_own_key=is_own)
    return refused_key(provider, status, body)


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        *((dialect, 401, b"{}") for dialect in DIALECTS),
        *((dialect, 403, b"{}") for dialect in ("openai", "azure", "perplexity", "anthropic", "gemini", "ollama")),
        ("gemini", 400, GOOGLES),
        ("xai", 400, XAIS),
    ],
)
def test_a_refusal_of_our_key_is_our_failure(dialect, status, body):
    error = refused(dialect, status, body)
    assert (type(error), error.status, error.is_final) == (ProviderFailed, status, True)
    assert f"{dialect} refuses the call because of the gateway's own key to it (status {status}" in error.message


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        *((dialect, status, OPENAIS) for dialect in DIALECTS for status in (400, 402, 404, 422, 429, 500, 503)),
        *((dialect, 403, b"{}") for dialect in ("compatible", "mistral", "xai")),  # may be of the content
        ("gemini", 400, json.dumps({"error": {"message": 'You said "API_KEY_INVALID".'}}).encode()),
        ("xai", 400, json.dumps({"error": 'You said "Incorrect API key provided".'}).encode()),
    ],
)
def test_any_other_refusal_is_told_in_the_providers_words(dialect, status, body):
    assert refused(dialect, status, body) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (OPENAIS, "(status 401, invalid_api_key)"),
        (
            b'{"type":"error","error":{"type":"authentication_error","message":"no"}}',
            "(status 401, authentication_error)",
        ),
        (b'[{"error":{"code":401,"status":"UNAUTHENTICATED"}}]', "(status 401, UNAUTHENTICATED)"),
        (b'{"error":{"code":"sk-4711-ours"}}', "(status 401)"),
        (b'{"error":{"code":"model not found"}}', "(status 401)"),
        (b'{"error":"unauthorized"}', "(status 401)"),
        (b"[]", "(status 401)"),
        (b"null", "(status 401)"),
        (b"<html>", "(status 401)"),
        (b'{"error":"\xc3', "(status 401)"),
        (b"[" * 100_000, "(status 401)"),
        (b"", "(status 401)"),
    ],
)
def test_of_the_providers_words_the_one_for_machines_is_told(body, told):
    assert told in refused("openai", 401, body).message


def test_a_provider_that_asks_for_a_key_where_there_is_none_is_said_to():
    assert "as the gateway has no key to it (status 401)" in refused("ollama", 401, api_key="").message


def test_a_companys_own_key_is_the_companys_affair():
    assert isinstance(refused("openai", 401, is_own=True), ProviderKeyRefused)
    assert isinstance(refused("gemini", 400, GOOGLES, is_own=True), ProviderKeyRefused)
    assert refused("openai", 403, is_own=True) is None


# -- over a real port -------------------------------------------------------------------------------------------------


class Log:
    """What whoever runs the gateway reads: the reason in each line of one kind."""

    def __init__(self, scene: Any) -> None:
        self.reasons: list[str] = []
        scene.app._gateway._log.sink = self

    def warning(self, _event: str, *, reason: str, **_: Any) -> None:
        self.reasons.append(reason)

    def info(self, *_: Any, **__: Any) -> None:
        """A request."""


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", CALLS)
async def test_our_refused_key_is_a_502_that_no_client_repeats_and_the_log_tells(open_scene, call, status):
    scene = await open_scene(Script(status=status))
    log = Log(scene)
    seen = await ask(scene, call)
    assert (seen.status, seen.headers["x-should-retry"], await scene.settled()) == (502, "false", 0)
    assert "The key that you sent is not at fault" in words(call, seen.body)
    assert b"The mock was told" not in seen.body
    (reason,) = log.reasons
    assert f"refuses the call because of the gateway's own key to it (status {status}" in reason
    assert is_stream(call) or seen.headers["content-type"] == "application/json"


@pytest.mark.parametrize("call", ["chat", "messages", "gemini"])
async def test_a_path_that_uses_no_tokens_tells_the_same(open_scene, call):
    scene = await open_scene(Script(status=401))
    verb, path = FREE[call]
    body: Any = {} if verb == "POST" else None
    reply = await request(scene, verb, path, headers_of(path, scene.key), json=body)
    assert (reply.status_code, reply.headers["x-should-retry"]) == (502, "false")
    assert "gateway's own key" in words(call, reply.content)


async def test_the_official_clients_ask_once_and_do_not_blame_their_key(open_scene):
    scene = await open_scene(Script(status=401))
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key) as client:
        with pytest.raises(openai.InternalServerError, match="The key that you sent is not at fault"):
            await client.chat.completions.create(model="m", messages=SAID)
    async with anthropic.AsyncAnthropic(base_url=f"{scene.url}/anthropic", api_key=scene.key) as client:
        with pytest.raises(anthropic.InternalServerError, match="The key that you sent is not at fault"):
            await client.messages.create(model="m", messages=SAID, max_tokens=10)
    assert len(scene.provider.requests) == 2


async def test_a_company_hears_that_its_own_key_is_refused(open_scene):
    scene = await open_scene(Script(status=401))
    log = Log(scene)
    await change_key(scene, "PUT", ApiKey=KEY)
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key) as client:
        with pytest.raises(openai.AuthenticationError, match="does not accept the company's own key to it") as failed:
            await client.chat.completions.create(model="m", messages=SAID)
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert failed.value.response.json()["responseStatus"]["errorCode"] == "ProviderKeyRefused"
    assert (log.reasons, await scene.settled()) == ([], 0)


async def test_what_a_companys_own_account_may_not_is_told_in_the_providers_words(open_scene):
    scene = await open_scene(Script(status=403))
    await change_key(scene, "PUT", ApiKey=KEY)
    seen = await ask(scene, "chat")
    assert (seen.status, b"The mock was told so" in seen.body) == (403, True)
