"""The mock is what the official clients take for their provider, plain and streamed: texts, tools, figures, errors."""

import anthropic
import openai
import pytest
from google import genai

from tests.provider import Provider, Script

SCRIPT = Script(input_tokens=20, cached_tokens=5, output_tokens=7, reasoning_tokens=3, chunks=4, text="Hej å😀 ")
TEXT = SCRIPT.text * SCRIPT.chunks
ASKED = [{"role": "user", "content": "Hej"}]


@pytest.fixture
async def provider():
    async with Provider(SCRIPT) as made:
        yield made


class TestOpenai:
    @pytest.fixture
    async def client(self, provider):
        async with openai.AsyncOpenAI(base_url=provider.url + "/v1", api_key="k", max_retries=0) as made:
            yield made

    async def test_chat(self, client):
        reply = await client.chat.completions.create(model="m", messages=ASKED)
        assert reply.choices[0].message.content == TEXT
        assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (20, 7, 27)

    async def test_chat_streamed(self, client):
        options = {"include_usage": True}
        stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True, stream_options=options)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
        assert chunks[-1].usage.total_tokens == 27

    async def test_chat_streamed_has_no_usage_unless_asked(self, client):
        stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
        assert [chunk.usage async for chunk in stream] == [None] * (SCRIPT.chunks + 1)

    async def test_a_tool(self, client, provider):
        provider.script = Script(tool="weather")
        reply = await client.chat.completions.create(model="m", messages=ASKED)
        assert reply.choices[0].message.tool_calls[0].function.name == "weather"

    async def test_the_ceiling_is_obeyed(self, client):
        reply = await client.chat.completions.create(model="m", messages=ASKED, max_completion_tokens=4)
        assert reply.usage.completion_tokens == 4

    async def test_responses(self, client):
        reply = await client.responses.create(model="m", input="Hej")
        assert (reply.output_text, reply.usage.total_tokens) == (TEXT, 27)

    async def test_responses_streamed(self, client):
        events = [event async for event in await client.responses.create(model="m", input="Hej", stream=True)]
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
        assert events[-1].response.usage.output_tokens_details.reasoning_tokens == 3

    async def test_embeddings_and_models(self, client):
        reply = await client.embeddings.create(model="m", input=["a", "b"])
        assert ([each.embedding for each in reply.data], reply.usage.prompt_tokens) == ([[1.0, 0.5]] * 2, 20)
        assert [model.id async for model in client.models.list()] == ["mock-1"]

    async def test_an_error(self, client, provider):
        provider.script = Script(status=429)
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=ASKED)


class TestAnthropic:
    @pytest.fixture
    async def client(self, provider):
        async with anthropic.AsyncAnthropic(base_url=provider.url, api_key="k", max_retries=0) as made:
            yield made

    async def test_messages(self, client):
        reply = await client.messages.create(model="m", max_tokens=50, messages=ASKED)
        assert reply.content[0].text == TEXT
        usage = reply.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (15, 5, 7)

    @pytest.mark.parametrize("tool", [None, "weather"])
    async def test_messages_streamed(self, client, provider, tool):
        provider.script = Script(tool=tool)
        async with client.messages.stream(model="m", max_tokens=50, messages=ASKED) as stream:
            reply = await stream.get_final_message()
        assert reply.usage.output_tokens == 12
        assert reply.content[0].type == ("tool_use" if tool else "text")

    async def test_count_tokens(self, client):
        assert (await client.messages.count_tokens(model="m", messages=ASKED)).input_tokens == 20

    async def test_an_error(self, client, provider):
        provider.script = Script(status=529)
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            await client.messages.create(model="m", max_tokens=50, messages=ASKED)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # google-genai's own
class TestGemini:
    @pytest.fixture
    async def client(self, provider):
        made = genai.Client(http_options={"base_url": provider.url}, api_key="k")
        yield made.aio
        await made.aio.aclose()
        made.close()

    async def test_generate(self, client):
        reply = await client.models.generate_content(model="m", contents="Hej")
        assert reply.text == TEXT
        assert (reply.usage_metadata.candidates_token_count, reply.usage_metadata.thoughts_token_count) == (4, 3)

    async def test_generate_streamed(self, client):
        replies = [each async for each in await client.models.generate_content_stream(model="m", contents="Hej")]
        assert "".join(each.text for each in replies) == TEXT
        assert replies[-1].usage_metadata.total_token_count == 27

    async def test_count_and_embed(self, client):
        assert (await client.models.count_tokens(model="m", contents="Hej")).total_tokens == 20
        assert (await client.models.embed_content(model="m", contents="Hej")).embeddings[0].values == [1.0, 0.5]
