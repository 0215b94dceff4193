"""Official clients, given another base URL and a Kvot key, and nothing else."""

import asyncio
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors

from kvot.http.gateway import GatewayEdge
from tests.gateway.calls import TEXT
from tests.provider import Fault, Script

SAID: Any = [{"role": "user", "content": TEXT}]
TOOL: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
ANSWER = Script().text * Script().chunks
MESSAGE: Any = {"model": "m", "max_tokens": 99, "messages": SAID}
CONTENTS: Any = {"model": "gemini-x", "contents": TEXT}
TOKENS = 21
SOON = (("retry-after-ms", "1"),)
"""A provider's wish that its client come back at once."""

# The client's own fault: it derives from a class of aiohttp's that is not meant for it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


@pytest.fixture
def asked(monkeypatch):
    """The paths that Kvot's gateway was asked for, as they come."""
    paths: list[str] = []
    answer = GatewayEdge.answer

    async def noted(self: Any, provider: Any, scope: Any, *rest: Any) -> None:
        paths.append(scope["path"])
        await answer(self, provider, scope, *rest)

    monkeypatch.setattr(GatewayEdge, "answer", noted)
    return paths


async def outcome(kind: type, method: Any, **call: Any) -> Any:
    """What a method of a client returns, of the kind that waits or of the other."""
    if kind.__name__.startswith("Async"):
        return await method(**call)
    return await asyncio.to_thread(method, **call)


class TestOpenai:
    @pytest.fixture
    def of(self):
        return lambda scene, kind=openai.AsyncOpenAI, **more: kind(
            base_url=f"{scene.url}/openai/v1", api_key=scene.key, **more
        )

    async def test_a_chat_is_answered_and_counted_before_its_answer_is_whole(self, scene, of):
        async with of(scene) as client:
            reply = await client.chat.completions.create(model="gpt-x", messages=SAID)
        assert reply.choices[0].message.content == ANSWER
        assert await scene.used() == reply.usage.total_tokens == TOKENS

    async def test_a_stream_is_counted_although_its_client_asked_for_no_usage(self, scene, of):
        async with of(scene) as client:
            stream = await client.chat.completions.create(model="gpt-x", messages=SAID, stream=True)
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
        assert await scene.used() == TOKENS

    async def test_who_asks_for_the_usage_is_given_it(self, scene, of):
        options = {"include_usage": True}
        async with of(scene) as client:
            stream = await client.chat.completions.create(
                model="gpt-x", messages=SAID, stream=True, stream_options=options
            )
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage.total_tokens == await scene.used() == TOKENS

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_tool_is_called(self, open_scene, of, stream):
        scene = await open_scene(Script(tool="weather"))
        tools = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
        async with of(scene) as client:
            reply = await client.chat.completions.create(model="m", messages=SAID, tools=tools, stream=stream)
            first = (await anext(reply)).choices[0].delta if stream else reply.choices[0].message
            if stream:
                assert [each async for each in reply]
        assert first.tool_calls[0].function.name == "weather"
        assert await scene.used() == TOKENS

    async def test_responses_plain_and_streamed(self, scene, of):
        async with of(scene) as client:
            reply = await client.responses.create(model="m", input=TEXT)
            events = [event async for event in await client.responses.create(model="m", input=TEXT, stream=True)]
        assert (reply.output_text, events[-1].response.output_text) == (ANSWER, ANSWER)
        assert await scene.used() == 2 * TOKENS

    async def test_embeddings_count_and_models_do_not(self, scene, of):
        async with of(scene) as client:
            reply = await client.embeddings.create(model="m", input=["a", "b"])
            assert [each.embedding for each in reply.data] == [[1.0, 0.5]] * 2
            assert await scene.used() == 9
            assert [model.id async for model in client.models.list()] == ["mock-1"]
            assert (await client.models.retrieve("m")).id == "m"
        assert await scene.used() == 9

    async def test_the_client_that_waits_does_the_same(self, scene, of):
        def work() -> list[Any]:
            with of(scene, openai.OpenAI) as client:
                reply = client.chat.completions.create(model="m", messages=SAID)
                return [reply, *client.chat.completions.create(model="m", messages=SAID, stream=True)]

        assert len(await asyncio.to_thread(work)) == 1 + Script().chunks + 1
        assert await scene.used() == 2 * TOKENS

    @pytest.mark.parametrize(
        ("status", "error", "requests"),
        [
            (400, openai.BadRequestError, 1),
            (429, openai.RateLimitError, 3),
            (500, openai.InternalServerError, 3),
        ],
    )
    async def test_the_providers_errors_are_its_own(self, open_scene, of, status, error, requests):
        scene = await open_scene(Script(status=status, headers=SOON))
        async with of(scene) as client:
            with pytest.raises(error, match="The mock was told so"):
                await client.chat.completions.create(model="m", messages=SAID)
        assert (len(scene.provider.requests), await scene.settled()) == (requests, 0)

    async def test_what_cannot_go_well_is_asked_once(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.REDIRECT))
        async with of(scene) as client:
            with pytest.raises(openai.InternalServerError, match="follows no redirect"):
                await client.chat.completions.create(model="m", messages=SAID)
        assert len(scene.provider.requests) == 1

    async def test_a_retry_after_the_providers_error_is_charged_once(self, open_scene, of):
        scene = await open_scene(Script(status=500, headers=SOON), Script(fault=Fault.DROP_BEFORE_HEAD), Script())
        async with of(scene) as client:
            await client.chat.completions.create(model="m", messages=SAID)
        assert (len(scene.provider.requests), await scene.settled()) == (3, TOKENS)

    @pytest.mark.parametrize("kind", [openai.AsyncOpenAI, openai.OpenAI])
    @pytest.mark.parametrize("stream", [False, True])
    async def test_an_exhausted_budget_is_their_rate_limit_error_after_one_request(
        self, open_scene, of, asked, kind, stream
    ):
        scene = await open_scene(limit=10)
        client = of(scene, kind)
        with pytest.raises(openai.RateLimitError, match="budget does not hold this call") as refused:
            await outcome(kind, client.chat.completions.create, model="m", messages=SAID, stream=stream)
        assert (refused.value.code, refused.value.type) == ("project_spend_limit_exceeded", "insufficient_quota")
        assert (len(asked), len(scene.provider.requests)) == (1, 0)
        client.close() if kind is openai.OpenAI else await client.close()

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

    async def test_messages_plain_and_streamed(self, scene, of):
        async with of(scene) as client:
            reply = await client.messages.create(**MESSAGE)
            async with client.messages.stream(**MESSAGE) as stream:
                text = "".join([piece async for piece in stream.text_stream])
                final = await stream.get_final_message()
        assert (reply.content[0].text, text, final.usage.output_tokens) == (ANSWER, ANSWER, 12)
        assert await scene.used() == 2 * TOKENS

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_tool_is_called(self, open_scene, of, stream):
        scene = await open_scene(Script(tool="weather"))
        call = MESSAGE | {"tools": [{"name": "weather", "input_schema": TOOL}]}
        async with of(scene) as client:
            if stream:
                async with client.messages.stream(**call) as events:
                    reply = await events.get_final_message()
            else:
                reply = await client.messages.create(**call)
        assert (reply.content[0].type, reply.content[0].name) == ("tool_use", "weather")
        assert await scene.used() == TOKENS

    async def test_counting_costs_nothing(self, scene, of):
        async with of(scene) as client:
            assert (await client.messages.count_tokens(model="m", messages=SAID)).input_tokens == 9
        assert await scene.used() == 0

    async def test_the_client_that_waits_does_the_same(self, scene, of):
        def work() -> None:
            with of(scene, anthropic.Anthropic) as client:
                client.messages.create(**MESSAGE)
                with client.messages.stream(**MESSAGE) as stream:
                    assert "".join(stream.text_stream) == ANSWER

        await asyncio.to_thread(work)
        assert await scene.used() == 2 * TOKENS

    @pytest.mark.parametrize(
        ("status", "error", "requests"),
        [(400, anthropic.BadRequestError, 1), (429, anthropic.RateLimitError, 3), (529, anthropic.APIStatusError, 3)],
    )
    async def test_the_providers_errors_are_its_own(self, open_scene, of, status, error, requests):
        scene = await open_scene(Script(status=status, headers=SOON))
        async with of(scene) as client:
            with pytest.raises(error, match="The mock was told so"):
                await client.messages.create(**MESSAGE)
        assert (len(scene.provider.requests), await scene.settled()) == (requests, 0)

    @pytest.mark.parametrize("kind", [anthropic.AsyncAnthropic, anthropic.Anthropic])
    async def test_an_exhausted_budget_is_their_rate_limit_error_after_one_request(self, open_scene, of, asked, kind):
        scene = await open_scene(limit=10)
        client = of(scene, kind)
        with pytest.raises(anthropic.RateLimitError, match="budget does not hold this call") as refused:
            await outcome(kind, client.messages.create, **MESSAGE)
        assert type(refused.value).__name__ == "EnforcedSpendLimitReachedError"
        body: Any = refused.value.body
        assert body["error"]["type"] == "rate_limit_error"
        assert (len(asked), len(scene.provider.requests)) == (1, 0)
        client.close() if kind is anthropic.Anthropic else await client.close()

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

    async def test_generate_plain_and_streamed(self, scene, of):
        models = of(scene).aio.models
        reply = await models.generate_content(**CONTENTS)
        replies = [each async for each in await models.generate_content_stream(**CONTENTS)]
        assert (reply.text, "".join(each.text for each in replies)) == (ANSWER, ANSWER)
        assert await scene.used() == 2 * TOKENS

    async def test_a_tool_is_called(self, open_scene, of):
        scene = await open_scene(Script(tool="weather"))
        declared = {"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
        config = {"tools": [{"function_declarations": [declared]}]}
        reply = await of(scene).aio.models.generate_content(**CONTENTS, config=config)
        assert reply.function_calls[0].name == "weather"

    async def test_counting_costs_nothing_and_embedding_its_estimate(self, scene, of):
        models = of(scene).aio.models
        assert (await models.count_tokens(**CONTENTS)).total_tokens == 9
        assert await scene.used() == 0
        assert (await models.embed_content(**CONTENTS)).embeddings[0].values == [1.0, 0.5]
        assert await scene.used() == -(-len(TEXT) // 2)

    async def test_the_client_that_waits_does_the_same(self, scene, of):
        def work() -> None:
            models = of(scene).models
            models.generate_content(**CONTENTS)
            assert "".join(each.text for each in models.generate_content_stream(**CONTENTS)) == ANSWER

        await asyncio.to_thread(work)
        assert await scene.used() == 2 * TOKENS

    @pytest.mark.parametrize(
        ("status", "error"), [(400, errors.ClientError), (429, errors.ClientError), (500, errors.ServerError)]
    )
    async def test_the_providers_errors_are_its_own(self, open_scene, of, status, error):
        scene = await open_scene(Script(status=status))
        with pytest.raises(error, match="The mock was told so"):
            await of(scene).aio.models.generate_content(**CONTENTS)
        assert await scene.settled() == 0

    @pytest.mark.parametrize("waits", [False, True])
    @pytest.mark.parametrize("call", ["generate_content", "generate_content_stream"])
    async def test_an_exhausted_budget_is_their_client_error_after_one_request(
        self, open_scene, of, asked, waits, call
    ):
        scene = await open_scene(limit=10)
        client = of(scene)

        async def ask() -> None:
            if waits:
                await asyncio.to_thread(lambda: list(getattr(client.models, call)(**CONTENTS)))
            else:
                await anext(await getattr(client.aio.models, call)(**CONTENTS))

        with pytest.raises(errors.ClientError, match="budget does not hold this call") as refused:
            await ask()
        assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
        assert (len(asked), len(scene.provider.requests)) == (1, 0)

    async def test_a_stream_that_is_left_ends_the_providers_too(self, open_scene, of):
        scene = await open_scene(Script(fault=Fault.ENDLESS))
        client = of(scene)
        async for _reply in await client.aio.models.generate_content_stream(**CONTENTS):
            break
        await client.aio.aclose()  # closing the stream alone leaves the connection to the garbage collector
        async with asyncio.timeout(1):
            await scene.provider.requests[0].closed.wait()
        assert await scene.settled() > 9
