"""npm's official clients, given another base URL and a Kvot key, and nothing else."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.calls import TEXT
from tests.metadata import tools
from tests.provider import Fault, Script

SAID = json.dumps([{"role": "user", "content": TEXT}])
CHAT = f"client.chat.completions.create({{model: 'm', messages: {SAID}}})"
CHAT_STREAM = f"client.chat.completions.create({{model: 'm', messages: {SAID}, stream: true}})"
MESSAGE = f"client.messages.create({{model: 'm', max_tokens: 99, messages: {SAID}}})"
MESSAGE_STREAM = f"client.messages.stream({{model: 'm', max_tokens: 99, messages: {SAID}}})"
RESPONSE = f"client.responses.create({{model: 'm', input: '{TEXT}'}})"
ANSWER = Script().text * Script().chunks
TOKENS = 21
BASES = {"openai": "/openai/v1", "anthropic": "/anthropic"}


class Npm:
    """The clients' own process. It is handed one call after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, scene: Any, client: str, call: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        given = {"client": client, "url": scene.url + BASES[client], "key": scene.key, "call": call}
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


@pytest.fixture
async def npm(tmp_path):
    node, modules = tools.program("node"), tools.client_modules()
    if not (modules / "@anthropic-ai" / "sdk").exists():
        tools.missing("@anthropic-ai/sdk")
    shutil.copy(Path(__file__).parent / "call_npm.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node, "call_npm.mjs", cwd=tmp_path, stdin=pipe, stdout=pipe, limit=1 << 20
    )
    yield Npm(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def test_calls_are_answered_and_counted(scene, npm):
    chat = await npm(scene, "openai", CHAT)
    assert chat["returned"]["choices"][0]["message"]["content"] == ANSWER
    response = await npm(scene, "openai", RESPONSE)
    assert response["returned"]["output_text"] == ANSWER
    message = await npm(scene, "anthropic", MESSAGE)
    assert message["returned"]["content"][0]["text"] == ANSWER
    assert await scene.used() == 3 * TOKENS


async def test_streams_are_answered_and_counted(scene, npm):
    chunks = (await npm(scene, "openai", f"collect(await {CHAT_STREAM})"))["returned"]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == ANSWER
    final = (await npm(scene, "anthropic", f"{MESSAGE_STREAM}.finalMessage()"))["returned"]
    assert final["content"][0]["text"] == ANSWER
    assert await scene.used() == 2 * TOKENS


async def test_embeddings_models_and_counting(scene, npm):
    embedded = await npm(scene, "openai", "client.embeddings.create({model: 'm', input: ['a', 'b']})")
    assert [each["embedding"] for each in embedded["returned"]["data"]] == [[1.0, 0.5]] * 2
    assert (await npm(scene, "openai", "collect(client.models.list())"))["returned"][0]["id"] == "mock-1"
    counted = await npm(scene, "anthropic", f"client.messages.countTokens({{model: 'm', messages: {SAID}}})")
    assert (counted["returned"]["input_tokens"], await scene.used()) == (9, 9)


@pytest.mark.parametrize(
    ("client", "call"),
    [
        ("openai", CHAT),
        ("openai", f"collect(await {CHAT_STREAM})"),
        ("openai", RESPONSE),
        ("anthropic", MESSAGE),
        ("anthropic", f"{MESSAGE_STREAM}.finalMessage()"),
    ],
)
async def test_an_exhausted_budget_is_their_rate_limit_error_after_one_request(open_scene, npm, client, call):
    scene = await open_scene(limit=10)
    answer = await npm(scene, client, call)
    raised = answer["raised"]
    assert (raised["status"], answer["requests"], len(scene.provider.requests)) == (429, 1, 0)
    assert raised["name"] in {"RateLimitError", "EnforcedSpendLimitReachedError"}
    assert "budget does not hold this call" in raised["message"]
    assert raised["code"] == "project_spend_limit_exceeded" if client == "openai" else raised["error"]


@pytest.mark.parametrize(("client", "call"), [("openai", CHAT), ("anthropic", MESSAGE)])
async def test_a_retry_after_the_providers_error_is_charged_once(open_scene, npm, client, call):
    scene = await open_scene(Script(status=500, headers=(("retry-after-ms", "1"),)), Script())
    assert (await npm(scene, client, call))["requests"] == 2
    assert await scene.settled() == TOKENS


@pytest.mark.parametrize(
    ("client", "call"), [("openai", f"first(await {CHAT_STREAM})"), ("anthropic", f"first({MESSAGE_STREAM})")]
)
async def test_a_stream_that_is_left_ends_the_providers_too(open_scene, npm, client, call):
    scene = await open_scene(Script(fault=Fault.ENDLESS))
    assert (await npm(scene, client, call))["returned"]
    async with asyncio.timeout(1):
        await scene.provider.requests[0].closed.wait()
    assert await scene.settled() > 0
