"""What a provider keeps of one company's calls is out of every other company's reach."""

import json
from typing import Any

import httpx2
import openai
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.contract.provider_keys import UpdateAiChatProviderKey
from kvot.gateway.providers import DIALECTS
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.operations.provider_keys import set_provider_key
from tests.gateway.calls import CALLS, post
from tests.gateway.conftest import COMPANY, OPERATOR, Scene

PATHS = [
    ("GET", "/openai/v1/responses/resp_1"),
    ("DELETE", "/openai/v1/responses/resp_1"),
    ("POST", "/openai/responses/resp_1/cancel"),
]
NAMED = [
    ("/v1/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("/v1/responses", {"conversation": {"id": "conv_1"}}, "conversation"),
    ("/v1/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ("/v1/responses", {"input": [{"id": "msg_1"}]}, "input"),
    ("/v1/responses", {"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input"),
    ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools"),
    ("/v1/responses", {"tools": [{"type": "shell", "environment": {"container_id": "cntr_1"}}]}, "tools"),
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages"),
]
FREE = [
    ("/v1/responses", {"input": [{"id": "msg_1", "role": "assistant", "content": "said"}], "store": True}),
    ("/v1/responses", {"input": [5, None, "x"], "previous_response_id": None, "prompt": {"id": "pmpt_1"}}),
    ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "previous_response_id", "audio": None}]}),
]


def read(dialect: str, path: str, body: Any) -> Any:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found is not None
    assert found.endpoint.read is not None
    return found.endpoint.read(json.dumps({"model": "m"} | body).encode(), found.variables)


@pytest.mark.parametrize(("path", "body", "member"), NAMED)
def test_a_request_says_by_which_member_it_names_what_is_kept(path, body, member):
    assert read("openai", path, body).stored == member


@pytest.mark.parametrize(("path", "body"), FREE)
def test_what_the_client_says_itself_names_nothing(path, body):
    assert read("openai", path, body).stored is None


@pytest.mark.parametrize(
    ("container", "member"),
    [("container_1", "container"), ({"id": "container_1"}, "container"), ({"skills": []}, None), (None, None)],
)
def test_anthropics_containers_are_kept_too(container, member):
    body = {"max_tokens": 5, "messages": [], "container": container}
    assert read("anthropic", "/v1/messages", body).stored == member


async def send(scene: Scene, verb: str, path: str, body: Any = None) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.request(verb, scene.url + path, json=body, headers={"authorization": f"Bearer {scene.key}"})


@pytest.mark.parametrize(("verb", "path"), PATHS)
async def test_a_path_to_what_is_kept_is_not_found_and_nothing_is_asked(scene, verb, path):
    reply = await send(scene, verb, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert "KVOT_STORED_RESPONSES" in reply.json()["error"]["message"]
    assert not scene.provider.requests


@pytest.mark.parametrize("path", ["/openai/v1/responses", "/openai/v1/responses/input_tokens"])
async def test_a_request_that_names_what_is_kept_is_refused_and_nothing_is_asked(scene, path):
    reply = await send(scene, "POST", path, {"model": "m", "input": "x", "previous_response_id": "resp_1"})
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "previous_response_id")
    assert not scene.provider.requests
    assert await scene.settled() == 0


async def test_the_official_client_is_told_in_its_own_error(scene):
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key) as client:
        with pytest.raises(openai.NotFoundError, match="out of reach"):
            await client.responses.retrieve("resp_1")


async def test_a_company_with_a_key_of_its_own_reaches_what_is_its_own(scene):
    request = UpdateAiChatProviderKey(company_id=COMPANY, provider="openai", api_key="sk-the-company-s-own-0123")
    await set_provider_key(scene.house.services, Caller(OPERATOR), request)
    for verb, path in PATHS:
        await send(scene, verb, path)
    path, body = CALLS["responses"]
    assert (await post(scene, path, body | {"previous_response_id": "resp_1"})).status == 200
    assert len(scene.provider.requests) == len(PATHS) + 1


async def test_a_setting_lets_all_companies_share(open_scene):
    scene = await open_scene(stored_responses="shared")
    for verb, path in PATHS:
        await send(scene, verb, path)
    path, body = CALLS["responses"]
    assert (await post(scene, path, body | {"previous_response_id": "resp_1"})).status == 200
    assert len(scene.provider.requests) == len(PATHS) + 1


async def test_a_superadmin_is_no_exception(scene):
    """A key that may act for all companies would otherwise reach what each of them has stored."""
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"]))
    for named in ({}, {"x-kvot-company-id": COMPANY}):
        headers = {"authorization": f"Bearer {made.key}", **named}
        assert (await post(scene, "/openai/v1/responses/resp_1/cancel", {}, headers)).status == 404
    assert not scene.provider.requests
