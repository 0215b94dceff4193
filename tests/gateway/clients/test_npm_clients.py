"""npm's official clients, given another base URL and a Kvot key, and nothing else."""

import asyncio
import json
from typing import Any

import pytest

from tests.gateway.calls import TEXT
from tests.provider import Fault, Script
from tests.provider.answer import ARGUMENTS

SAID = json.dumps([{"role": "user", "content": TEXT}])
CHAT = f"client.chat.completions.create({{model: 'm', messages: {SAID}}})"
CHAT_HELPER = f"client.chat.completions.stream({{model: 'm', messages: {SAID}}})"
CHAT_STREAM = f"client.chat.completions.create({{model: 'm', messages: {SAID}, stream: true}})"
MESSAGE = f"client.messages.create({{model: 'm', max_tokens: 99, messages: {SAID}}})"
MESSAGE_STREAM = f"client.messages.stream({{model: 'm', max_tokens: 99, messages: {SAID}}})"
ANSWER = Script().text * Script().chunks
TOKENS = 21
BASES = {"openai": "/openai/v1", "anthropic": "/anthropic"}


TOOLS = json.dumps([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
RESPONSE_TOOLS = json.dumps([{"type": "function", "name": "weather", "parameters": {"type": "object"}}])
MESSAGE_TOOLS = json.dumps([{"name": "weather", "input_schema": {"type": "object"}}])


@pytest.fixture
def call_of(npm):
    async def call(scene: Any, client: str, call: str) -> Any:
        return await npm(client, scene.url + BASES[client], scene.key, call)

    return call


@pytest.mark.parametrize(
    ("client", "call", "read"),
    [
        ("openai", f"{CHAT_HELPER}.finalChatCompletion()", lambda reply: reply["choices"][0]["message"]["content"]),
        (
            "openai",
            f"client.responses.stream({{model: 'm', input: '{TEXT}'}}).finalResponse()",
            lambda reply: reply["output_text"],
        ),
        ("anthropic", f"{MESSAGE_STREAM}.finalMessage()", lambda reply: reply["content"][0]["text"]),
    ],
)
async def test_their_own_readers_of_streams_read_ours(scene, call_of, client, call, read):
    assert read((await call_of(scene, client, call))["returned"]) == ANSWER
    assert await scene.used() == TOKENS


@pytest.mark.parametrize(
    ("client", "call", "read"),
    [
        (
            "openai",
            f"client.chat.completions.stream({{model: 'm', messages: {SAID}, tools: {TOOLS}}}).finalChatCompletion()",
            lambda reply: json.loads(reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]),
        ),
        (
            "openai",
            f"client.responses.stream({{model: 'm', input: '{TEXT}', tools: {RESPONSE_TOOLS}}}).finalResponse()",
            lambda reply: json.loads(reply["output"][0]["arguments"]),
        ),
        (
            "anthropic",
            f"client.messages.stream({{model: 'm', max_tokens: 99, messages: {SAID}, tools: {MESSAGE_TOOLS}}})"
            ".finalMessage()",
            lambda reply: reply["content"][0]["input"],
        ),
    ],
)
async def test_their_own_readers_put_the_arguments_of_a_tool_together(open_scene, call_of, client, call, read):
    scene = await open_scene(Script(tool="weather"))
    assert read((await call_of(scene, client, call))["returned"]) == ARGUMENTS
    assert await scene.used() == TOKENS


async def test_embeddings_models_and_counting(scene, call_of):
    embedded = await call_of(scene, "openai", "client.embeddings.create({model: 'm', input: ['a', 'b']})")
    assert [each["embedding"] for each in embedded["returned"]["data"]] == [[1.0, 0.5]] * 2
    assert (await call_of(scene, "openai", "collect(client.models.list())"))["returned"][0]["id"] == "mock-1"
    counted = await call_of(scene, "anthropic", f"client.messages.countTokens({{model: 'm', messages: {SAID}}})")
    assert (counted["returned"]["input_tokens"], await scene.used()) == (9, 9)


@pytest.mark.parametrize(
    ("client", "call", "name", "code"),
    [
        ("openai", CHAT, "RateLimitError", "project_spend_limit_exceeded"),
        ("anthropic", MESSAGE, "EnforcedSpendLimitReachedError", None),
    ],
)
async def test_an_exhausted_budget_is_raised_as_their_own_limit_of_spending(
    open_scene, call_of, client, call, name, code
):
    scene = await open_scene(limit=10)
    answer = await call_of(scene, client, call)
    raised = answer["raised"]
    assert (raised["name"], raised.get("code"), answer["requests"]) == (name, code, 1)
    assert len(scene.provider.requests) == 0


@pytest.mark.parametrize(
    ("client", "call"), [("openai", f"first(await {CHAT_STREAM})"), ("anthropic", f"first({MESSAGE_STREAM})")]
)
async def test_a_stream_that_is_left_ends_the_providers_too(open_scene, call_of, client, call):
    scene = await open_scene(Script(fault=Fault.ENDLESS))
    assert (await call_of(scene, client, call))["returned"]
    async with asyncio.timeout(1):
        await scene.provider.requests[0].closed.wait()
    assert await scene.settled() > 0
