"""What a served Kvot makes of a dialect's promises, on a real port."""

from typing import Any

import anthropic
import httpx2
import pytest
from google import genai
from google.genai import errors

GEMINI_PATH = "/gemini/v1beta/models/gemini-x:streamGenerateContent"
CONTENTS = {"contents": [{"parts": [{"text": "Say hello to everybody who reads this."}]}]}


async def post(scene: Any, path: str, body: Any, **query: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.post(f"{scene.url}{path}", params={"key": scene.key, **query}, json=body)


@pytest.mark.parametrize(("query", "is_array"), [({}, True), ({"alt": "sse"}, False)])
async def test_geminis_array_stream_is_refused_in_an_array(open_scene, query: dict[str, str], is_array: bool):
    reply = await post(await open_scene(limit=10), GEMINI_PATH, CONTENTS, **query)
    assert reply.status_code == 429
    error = reply.json()[0] if is_array else reply.json()
    assert error["error"]["status"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("body", [{"contents": 5}, [], {"contents": [], "generationConfig": {"maxOutputTokens": -1}}])
async def test_a_bad_request_is_refused_in_it_too(scene, body: Any):
    reply = await post(scene, GEMINI_PATH, body)
    assert (reply.status_code, reply.json()[0]["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_an_exhausted_budget_is_anthropics_own_error_and_no_call(open_scene):
    scene = await open_scene(limit=10)
    async with anthropic.AsyncAnthropic(base_url=f"{scene.url}/anthropic", api_key=scene.key) as client:
        with pytest.raises(anthropic.RateLimitError) as refused:
            await client.messages.create(model="m", max_tokens=99, messages=[{"role": "user", "content": "Hello"}])
    assert type(refused.value).__name__ == "EnforcedSpendLimitReachedError"
    assert len(scene.provider.requests) == 0


# The client's own fault: it derives from a class of aiohttp's that is not meant for it.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_an_exhausted_budget_is_geminis_own_error_and_no_call(open_scene):
    scene = await open_scene(limit=10)
    client = genai.Client(http_options={"base_url": f"{scene.url}/gemini"}, api_key=scene.key)
    with pytest.raises(errors.ClientError) as refused:
        await client.aio.models.generate_content(model="gemini-x", contents="Hello to everybody who reads this")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert len(scene.provider.requests) == 0
    await client.aio.aclose()
    client.close()
