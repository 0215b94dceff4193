"""A call that does not fit only because others are under way is told to come back soon, and not that its budget is used
up."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors

from kvot.core.errors import HOLDS_WAIT_MAX_MS, HOLDS_WAIT_MIN_MS, whole_seconds
from tests.gateway.calls import CALLS, TEXT, ask
from tests.provider import Fault, Script

SAID: Any = [{"role": "user", "content": TEXT}]
LIMIT = 300  # enough for the hold of one call, not for those of two
EACH = [call for call in CALLS if not call.endswith("-stream")]


@asynccontextmanager
async def under_way(open_scene: Any, call: str, **settings: Any):
    """A scene whose budget is held by a call that the provider does not answer."""
    scene = await open_scene(Script(fault=Fault.HANG), Script(), limit=LIMIT, clamp="off", **settings)
    first = asyncio.create_task(ask(scene, call))
    await scene.provider.arrival()
    yield scene
    first.cancel()
    await scene.settled()


@pytest.mark.parametrize("call", EACH)
async def test_it_is_told_to_ask_again_soon_and_then_it_fits(open_scene, call):
    async with under_way(open_scene, call) as scene:
        seen = await ask(scene, call)
        assert (seen.status, len(scene.provider.requests)) == (429, 1)
        assert "x-should-retry" not in seen.headers
        assert HOLDS_WAIT_MIN_MS <= int(seen.headers["retry-after-ms"]) <= HOLDS_WAIT_MAX_MS
        wait_s = str(whole_seconds(int(seen.headers["retry-after-ms"])))
        assert seen.headers["retry-after"] == wait_s
        assert f";t={wait_s}" in seen.headers["ratelimit"]
        assert json.loads(seen.body)["kvot"]["reserved"] > 0
    assert (await ask(scene, call)).status == 200


async def test_each_call_is_told_another_time(open_scene):
    async with under_way(open_scene, "chat") as scene:
        waits_ms = {(await ask(scene, "chat")).headers["retry-after-ms"] for _ in range(8)}
        assert len(waits_ms) > 4


@pytest.mark.parametrize("call", ["chat", "messages", "gemini"])
async def test_it_is_429_also_where_an_exhausted_budget_is_402(open_scene, call):
    async with under_way(open_scene, call, exhausted_status="402") as scene:
        assert (await ask(scene, call)).status == 429


async def test_openais_client_reads_a_limit_of_the_rate(open_scene):
    async with under_way(open_scene, "chat") as scene:
        async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key, max_retries=0) as client:
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(model="m", messages=SAID, max_completion_tokens=100)
        assert (refused.value.type, refused.value.code) == ("tokens", "rate_limit_exceeded")


async def test_anthropics_client_reads_no_spend_limit(open_scene):
    async with under_way(open_scene, "messages") as scene:
        async with anthropic.AsyncAnthropic(
            base_url=f"{scene.url}/anthropic", api_key=scene.key, max_retries=0
        ) as client:
            with pytest.raises(anthropic.RateLimitError) as refused:
                await client.messages.create(model="m", messages=SAID, max_tokens=100)
        assert type(refused.value) is anthropic.RateLimitError


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
async def test_geminis_client_reads_how_long_to_wait(open_scene):
    async with under_way(open_scene, "gemini") as scene:
        client = genai.Client(http_options={"base_url": f"{scene.url}/gemini"}, api_key=scene.key)
        config: Any = {"max_output_tokens": 100}
        with pytest.raises(errors.ClientError) as refused:
            await client.aio.models.generate_content(model="m", contents=TEXT, config=config)
        details = {each["@type"].rpartition(".")[2]: each for each in refused.value.details["error"]["details"]}
        assert details["RetryInfo"]["retryDelay"] in ("1s", "2s", "3s")
        await client.aio.aclose()
        client.close()
