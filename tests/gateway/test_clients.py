"""Official clients, given another base URL and a Kvot key, and nothing else."""

from typing import Any

import openai
import pytest

HELLO: Any = [{"role": "user", "content": "Say hello to everybody who reads this."}]


def openai_client(scene) -> Any:
    return openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key)


class TestOpenAI:
    async def test_a_chat_is_answered_and_counted_before_its_answer_is_whole(self, scene):
        async with openai_client(scene) as client:
            reply = await client.chat.completions.create(model="gpt-x", messages=HELLO)
        assert reply.choices[0].message.content
        assert await scene.used() == reply.usage.total_tokens == 21

    async def test_a_stream_is_counted_although_its_client_asked_for_no_usage(self, scene):
        async with openai_client(scene) as client:
            stream = await client.chat.completions.create(model="gpt-x", messages=HELLO, stream=True)
            chunks = [chunk async for chunk in stream]
        assert all(chunk.choices for chunk in chunks)
        assert await scene.used() == 21

    async def test_an_exhausted_budget_is_their_rate_limit_error_after_one_request(self, open_scene):
        scene = await open_scene(limit=10)
        async with openai_client(scene) as client:
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(model="gpt-x", messages=HELLO)
        assert refused.value.code
        assert len(scene.provider.requests) == 0
