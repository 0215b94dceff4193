"""What one official client has that the others have not; what all are promised is in clients/test_every_client.py."""

import asyncio
from math import ceil
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors
from google.genai.types import GenerateContentConfig, HttpOptions, HttpRetryOptions

from tests.gateway.calls import TEXT
from tests.provider import Fault, Script

SAID: Any = [{"role": "user", "content": TEXT}]
ANSWER = Script().text * Script().chunks
MESSAGE: Any = {"model": "m", "max_tokens": 99, "messages": SAID}
CONTENTS: Any = {"model": "gemini-x", "contents": TEXT}
TOKENS = 21

# The client's own fault: it derives from a class of aiohttp's that is not meant for it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


class TestOpenai:
    @pytest.fixture
    def of(self):
        return lambda scene, kind=openai.AsyncOpenAI, **more: kind(
            base_url=f"{scene.url}/openai/v1", api_key=scene.key, **more
        )

    async def test_who_asks_for_the_usage_is_given_it(self, scene, of):
        options = {"include_usage": True}
        async with of(scene) as client:
            stream = await client.chat.completions.create(
                model="gpt-x", messages=SAID, stream=True, stream_options=options
            )
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage.total_tokens == await scene.used() == TOKENS

    async def test_embeddings_count_and_models_do_not(self, scene, of):
        async with of(scene) as client:
            reply = await client.embeddings.create(model="m", input=["a", "b"])
            assert [each.embedding for each in reply.data] == [[1.0, 0.5]] * 2
            assert await scene.used() == 9
            assert [model.id async for model in client.models.list()] == ["mock-1"]
            assert (await client.models.retrieve("m")).id == "m"
        assert await scene.used() == 9

    async def test_the_client_that_waits_embeds_and_lists_too(self, scene, of):
        def work() -> Any:
            with of(scene, openai.OpenAI) as client:
                reply = client.embeddings.create(model="m", input=["a", "b"])
                return [each.embedding for each in reply.data], [model.id for model in client.models.list()]

        assert await asyncio.to_thread(work) == ([[1.0, 0.5]] * 2, ["mock-1"])
        assert await scene.used() == 9

    async def test_what_cannot_go_well_is_asked_once(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.REDIRECT))
        async with of(scene) as client:
            with pytest.raises(openai.InternalServerError, match="follows no redirect"):
                await client.chat.completions.create(model="m", messages=SAID)
        assert len(scene.provider.requests) == 1

    async def test_an_exhausted_budget_is_a_limit_of_spending(self, open_scene, of):
        async with of(await open_scene(limit=10)) as client:
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(model="m", messages=SAID)
        assert (refused.value.code, refused.value.type) == ("project_spend_limit_exceeded", "insufficient_quota")

    async def test_a_stream_that_is_closed_ends_the_providers_too(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.ENDLESS))
        async with of(scene) as client:
            async with await client.chat.completions.create(model="m", messages=SAID, stream=True) as stream:
                async for _chunk in stream:
                    break
            async with asyncio.timeout(1):
                await scene.provider.requests[0].closed.wait()
        assert await scene.settled() > 0


class TestAnthropic:
    @pytest.fixture
    def of(self):
        return lambda scene, kind=anthropic.AsyncAnthropic: kind(base_url=f"{scene.url}/anthropic", api_key=scene.key)

    async def test_their_own_reader_of_streams_reads_ours(self, scene, of):
        async with of(scene) as client, client.messages.stream(**MESSAGE) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            final = await stream.get_final_message()
        assert (text, final.usage.output_tokens) == (ANSWER, 12)
        assert await scene.used() == TOKENS

    async def test_counting_costs_nothing(self, scene, of):
        async with of(scene) as client:
            assert (await client.messages.count_tokens(model="m", messages=SAID)).input_tokens == 9
        assert await scene.used() == 0

    async def test_the_client_that_waits_does_the_same(self, scene, of):
        def work() -> None:
            with of(scene, anthropic.Anthropic) as client:
                assert client.messages.count_tokens(model="m", messages=SAID).input_tokens == 9
                with client.messages.stream(**MESSAGE) as stream:
                    assert "".join(stream.text_stream) == ANSWER

        await asyncio.to_thread(work)
        assert await scene.used() == TOKENS

    async def test_an_exhausted_budget_is_a_limit_of_spending(self, open_scene, of):
        async with of(await open_scene(limit=10)) as client:
            with pytest.raises(anthropic.RateLimitError) as refused:
                await client.messages.create(**MESSAGE)
        assert type(refused.value).__name__ == "EnforcedSpendLimitReachedError"
        body: Any = refused.value.body
        assert body["error"]["type"] == "rate_limit_error"

    async def test_a_stream_that_is_left_ends_the_providers_too(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.ENDLESS))
        async with of(scene) as client:
            async with client.messages.stream(**MESSAGE) as stream:
                async for _text in stream.text_stream:
                    break
            async with asyncio.timeout(1):
                await scene.provider.requests[0].closed.wait()
        assert await scene.settled() > 9


class TestGemini:
    @pytest.fixture
    async def of(self):
        made: list[Any] = []

        def client_of(scene: Any) -> Any:
            made.append(genai.Client(http_options={"base_url": f"{scene.url}/gemini"}, api_key=scene.key))
            return made[-1]

        yield client_of
        for client in made:
            await client.aio.aclose()
            client.close()

    async def test_counting_costs_nothing_and_embedding_its_estimate(self, scene, of):
        models = of(scene).aio.models
        assert (await models.count_tokens(**CONTENTS)).total_tokens == 9
        assert await scene.used() == 0
        assert (await models.embed_content(**CONTENTS)).embeddings[0].values == [1.0, 0.5]
        assert await scene.used() == ceil(len("user" + TEXT) / 2)

    async def test_the_client_that_waits_counts_and_embeds_too(self, scene, of):
        models = of(scene).models
        assert (await asyncio.to_thread(models.count_tokens, **CONTENTS)).total_tokens == 9
        embedded = await asyncio.to_thread(models.embed_content, **CONTENTS)
        assert embedded.embeddings[0].values == [1.0, 0.5]
        assert await scene.used() == ceil(len("user" + TEXT) / 2)

    async def test_an_exhausted_budget_has_the_status_of_a_resource(self, open_scene, of):
        scene = await open_scene(limit=10)
        with pytest.raises(errors.ClientError) as refused:
            await of(scene).aio.models.generate_content(**CONTENTS)
        assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")

    async def test_who_is_told_to_retry_is_charged_once_for_what_was_refused_first(self, open_scene, of):
        scene = await open_scene(Script(status=503), Script())
        again = HttpRetryOptions(attempts=2, initial_delay=0.01)
        config = GenerateContentConfig(http_options=HttpOptions(retry_options=again))
        assert (await of(scene).aio.models.generate_content(**CONTENTS, config=config)).text == ANSWER
        assert (len(scene.provider.requests), await scene.settled()) == (2, TOKENS)

    async def test_a_stream_that_is_left_ends_the_providers_too(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.ENDLESS))
        client = of(scene)
        async for _reply in await client.aio.models.generate_content_stream(**CONTENTS):
            break
        await client.aio.aclose()  # closing the stream alone leaves the connection to the garbage collector
        async with asyncio.timeout(1):
            await scene.provider.requests[0].closed.wait()
        assert await scene.settled() > 9
