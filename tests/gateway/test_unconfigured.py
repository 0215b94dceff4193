"""A path of a provider that is not there says what is missing, and nothing to strangers that they need not know."""

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai

from tests.gateway.calls import CALLS

NONE = {
    f"{name}_{what}": None for name in ("openai", "anthropic", "gemini", "ollama") for what in ("api_key", "base_url")
}
CHAT = "/v1/chat/completions"


async def ask(scene: Any, path: str, verb: str = "POST", **headers: str) -> Any:
    async with httpx2.AsyncClient() as client:
        return await client.request(verb, scene.url + path, headers=headers)


@pytest.fixture
async def bare(open_scene):
    return await open_scene(**NONE)


@pytest.mark.parametrize(
    ("path", "setting", "member"),
    [
        (f"/openai{CHAT}", "KVOT_OPENAI_API_KEY", "error"),
        ("/openai", "KVOT_OPENAI_API_KEY", "error"),
        ("/openai/no/such/path", "KVOT_OPENAI_API_KEY", "error"),
        ("/anthropic/v1/messages", "KVOT_ANTHROPIC_API_KEY", "error"),
        ("/gemini/v1beta/models/m:generateContent", "KVOT_GEMINI_API_KEY", "error"),
        ("/ollama/api/chat", "KVOT_OLLAMA_BASE_URL", "error"),
        (f"/mistral{CHAT}", "[providers.mistral]", "error"),
    ],
)
async def test_a_dialects_own_prefix_is_answered_in_its_words_with_the_setting_to_make(bare, path, setting, member):
    reply = await ask(bare, path)
    error = reply.json()[member]
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/json")
    assert setting in (error if isinstance(error, str) else error["message"])
    assert reply.headers["x-kvot-request-id"].startswith("req_")


async def test_geminis_array_clients_are_answered_in_an_array(bare):
    (document,) = (await ask(bare, CALLS["gemini-array-stream"][0])).json()
    assert document["error"]["status"] == "NOT_FOUND"


async def test_the_official_client_raises_its_own_error(bare):
    async with openai.AsyncOpenAI(base_url=f"{bare.url}/openai/v1", api_key=bare.key) as client:
        with pytest.raises(openai.NotFoundError, match="KVOT_OPENAI_API_KEY"):
            await client.models.list()


async def test_an_unknown_name_is_a_404_of_the_api_that_names_the_others_only_to_whom_it_knows(open_scene):
    scene = await open_scene(anthropic_base_url=None, anthropic_api_key=None)
    path = f"/nosuch{CHAT}"
    stranger, wrong, known = [await ask(scene, path, **each) for each in ({}, bearer("wrong"), bearer(scene.key))]
    assert [each.status_code for each in (stranger, wrong, known)] == [404, 404, 404]
    assert [json.loads(each.content)["error"]["message"] for each in (stranger, wrong, known)] == [
        "No provider has this name here.",
        "No provider has this name here.",
        "No provider has this name here. Providers here: openai, gemini, ollama.",
    ]


ANTHROPICS, GOOGLES = {"anthropic-version": "2026-10-21"}, {"x-goog-api-key": "kvot_x"}
# A path without the name of a provider, what its client sends along, and the base URL that would be right.
NAMELESS: list[tuple[str, str, dict[str, str], str]] = [
    ("POST", "/v1/messages", ANTHROPICS, "/anthropic"),
    ("POST", "/v1/messages", {}, "/anthropic"),
    ("POST", "/v1/messages/count_tokens", {}, "/anthropic"),
    ("POST", "/v1beta/models/m:generateContent", GOOGLES, "/gemini"),
    ("POST", CHAT, {}, "/openai/v1"),
    ("POST", "/chat/completions", {}, "/openai/v1"),
    ("POST", "/v1/responses", {}, "/openai/v1"),
    ("GET", "/v1/models", {}, "/openai/v1"),
    ("GET", "/v1/models", ANTHROPICS, "/anthropic"),
    ("GET", "/v1/models", GOOGLES, "/gemini"),
    ("POST", "/v1/v1/messages", ANTHROPICS, "/anthropic"),
    ("POST", "/v1beta/v1beta/models/m:generateContent", GOOGLES, "/gemini"),
]


@pytest.mark.parametrize(("verb", "path", "headers", "base_url"), NAMELESS)
async def test_a_path_that_lacks_the_providers_name_says_which_base_url_has_it(scene, verb, path, headers, base_url):
    stranger = await ask(scene, path, verb, **headers)
    known = await ask(
        scene, path, verb, **(bearer(scene.key) | headers | dict.fromkeys(headers & GOOGLES.keys(), scene.key))
    )
    told = f"The path lacks the name of a provider in front: set the base URL of the client to …{base_url}."
    there = " Providers here: openai, anthropic, gemini, ollama."
    assert [(each.status_code, each.json()["error"]["message"]) for each in (stranger, known)] == [
        (404, told),
        (404, told + there),
    ]
    assert stranger.headers["x-kvot-request-id"].startswith("req_")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
async def test_whoever_has_a_key_is_told_which_providers_there_are_wherever_it_stands(scene, header):
    key = f"Bearer {scene.key}" if header == "authorization" else scene.key
    for path in ("/v1beta/models/m:generateContent", CHAT):
        assert "Providers here: openai, anthropic" in (await ask(scene, path, **{header: key})).text


@pytest.mark.parametrize("base_url", ["", "/v1", "/nosuch/v1"])
async def test_the_official_clients_raise_their_own_error_and_say_it(scene, base_url):
    async with openai.AsyncOpenAI(base_url=scene.url + base_url, api_key=scene.key) as client:
        with pytest.raises(openai.NotFoundError, match="Providers here: openai, anthropic") as raised:
            await client.chat.completions.create(model="m", messages=[])
    assert (raised.value.code, raised.value.request_id is not None) == ("not_found", True)


async def test_so_does_anthropics(scene):
    async with anthropic.AsyncAnthropic(base_url=scene.url, api_key=scene.key) as client:
        with pytest.raises(anthropic.NotFoundError, match="/anthropic"):
            await client.messages.create(model="m", messages=[], max_tokens=1)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_so_does_geminis(scene):
    client = genai.Client(http_options={"base_url": scene.url}, api_key=scene.key)
    with pytest.raises(genai.errors.ClientError, match="/gemini"):
        await client.aio.models.generate_content(model="m", contents="x")


async def test_what_the_contract_says_below_api_is_not_said_in_other_words(scene):
    reply = await ask(scene, "/api/chat")
    assert (reply.status_code, "The operation does not exist" in reply.text) == (405, True)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_where_there_is_no_provider_that_is_said(bare):
    assert "No provider is configured here." in (await ask(bare, "/nosuch/api/chat", **bearer(bare.key))).text


@pytest.mark.parametrize(
    ("accept", "begins"),
    [
        ("application/xml", "<ErrorResponse"),
        ("text/jsv", "{ResponseStatus:{ErrorCode:NotFound"),
        ("text/csv", "ErrorCode"),
    ],
)
async def test_it_is_told_in_the_format_that_was_asked_for(scene, accept, begins):
    reply = await ask(scene, f"/nosuch{CHAT}", accept=accept)
    assert (reply.status_code, begins in reply.text) == (404, True)
    assert reply.headers["content-type"].startswith(accept)


@pytest.mark.parametrize("path", ["/nosuch", "/nosuch/v1/files", "/v1/chat/completions/x", "/openaix/y"])
async def test_what_is_no_call_to_a_model_stays_an_unknown_path(scene, path):
    reply = await ask(scene, path)
    assert (reply.status_code, reply.text) == (404, "404")


async def test_a_browser_is_not_sent_to_sign_in_for_it(scene):
    reply = await ask(scene, f"/nosuch{CHAT}", "GET", accept="text/html")
    assert (reply.status_code, reply.headers.get("location")) == (404, None)
