"""Azure's own client, which names the model in the path and the date of the API in the query."""

from typing import Any

import openai
import pytest

from kvot.gateway.providers import DIALECTS
from tests.gateway.calls import TEXT
from tests.provider import Provider, Script

SAID: Any = [{"role": "user", "content": TEXT}]
VERSION = "2026-01-01"
TOKENS = 21

Azure = openai.AsyncAzureOpenAI


@pytest.fixture
async def provider():
    async with Provider(Script()) as provider:
        yield provider


@pytest.fixture(params=["", "/openai", "/openai/v1"])
async def scene(request, open_scene, provider):
    """Azure under its name, by each of the addresses that a resource has."""
    table = {"dialect": "azure", "base_url": provider.url + request.param, "api_key": "sk-azure"}
    return await open_scene(providers={"azure": table})


def client_of(scene: Any, **more: Any) -> Azure:
    return Azure(**({"azure_endpoint": f"{scene.url}/azure"} | more), api_key=scene.key, api_version=VERSION)


async def paths_of(client: Azure, provider: Provider) -> list[str]:
    """What the provider is asked for by a chat, a stream, embeddings and a response."""
    async with client:
        await client.chat.completions.create(model="gpt-x", messages=SAID)
        stream = await client.chat.completions.create(model="gpt-x", messages=SAID, stream=True)
        assert all([chunk.choices async for chunk in stream])
        await client.embeddings.create(model="gpt-x", input=["a"])
        await client.responses.create(model="gpt-x", input=TEXT)
    assert {received.header("api-key") for received in provider.requests} == {"sk-azure"}
    assert {received.query for received in provider.requests} == {f"api-version={VERSION}"}
    return [received.path for received in provider.requests]


def paths(deployment: str) -> list[str]:
    deployed = f"/openai/deployments/{deployment}"
    return [*[f"{deployed}/chat/completions"] * 2, f"{deployed}/embeddings", "/openai/responses"]


async def test_the_model_names_the_deployment(scene, provider):
    assert await paths_of(client_of(scene), provider) == paths("gpt-x")
    assert await scene.comes_to(3 * TOKENS + 9)
    assert {share.label for share in await scene.shares("model")} == {"gpt-x"}


async def test_a_deployment_that_the_client_was_given_is_what_is_called_and_counted(scene, provider):
    assert await paths_of(client_of(scene, azure_deployment="d.1"), provider) == paths("d.1")
    assert await scene.settled() == 3 * TOKENS + 9
    assert {share.label: share.tokens for share in await scene.shares("model")} == {
        "d.1": 2 * TOKENS + 9,
        "gpt-x": TOKENS,
    }


async def test_a_base_address_without_openai_in_it_does_as_well(scene, provider):
    async with Azure(base_url=f"{scene.url}/azure", api_key=scene.key, api_version=VERSION) as client:
        await client.chat.completions.create(model="gpt-x", messages=SAID)
    assert provider.requests[0].path == paths("gpt-x")[0]


AZURE, OPENAI = DIALECTS["azure"], DIALECTS["openai"]
CHAT = "/deployments/d/chat/completions"


@pytest.mark.parametrize(
    ("dialect", "verb", "path"),
    [
        (OPENAI, "POST", CHAT),
        (OPENAI, "POST", f"/openai{CHAT}"),
        (AZURE, "GET", CHAT),
        (AZURE, "POST", f"/openai/openai{CHAT}"),
        (AZURE, "POST", "/deployments/d/responses"),
        (AZURE, "POST", "/deployments/d/images/generations"),
        (AZURE, "POST", "/deployments/d"),
        (AZURE, "POST", "/deployments/../chat/completions"),
        (AZURE, "POST", "/deployments/a/b/chat/completions"),
        (AZURE, "POST", f"/deployments/{'d' * 65}/chat/completions"),
        (AZURE, "POST", "/deployments//chat/completions"),
    ],
)
def test_what_is_no_such_path_does_not_pass(dialect: Any, verb: str, path: str):
    assert dialect.find(verb, path, {}) is None


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings"])
def test_a_body_needs_no_model_where_the_path_names_it(path: str):
    found = AZURE.find("POST", f"/openai/deployments/d/{path}", {})
    assert found
    assert found.endpoint.read
    assert found.endpoint.read(b"{}", found.variables).model == "d"
    assert found.endpoint.read(b'{"model":"gpt-x"}', found.variables).model == "d"
