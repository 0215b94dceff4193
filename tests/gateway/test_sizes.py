"""No request has more input tokens than are held: whatever JSON it has where a server may write it into the prompt."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kvot.gateway.counting import Counting
from kvot.gateway.dialect import Ask
from kvot.gateway.estimate import ADDED_TOKENS, Estimator, Origin
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.members import read_object
from kvot.gateway.providers.sizes import EXPONENT_CHARACTERS, FRAME_BYTES, Gathered
from kvot.gateway.vocabularies import open_vocabularies
from tests.gateway.sizes import bytes_of, framed

COUNTS = open_vocabularies()
COUNTING = Counting(COUNTS)
MODELS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}

STYLES: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "with Python's separators": {},
    "over lines": {"indent": 1},
    "over lines, with four spaces": {"indent": 4},
}

BITS = ['"', "\\", "\n", "\t", "\r\n", "\x01", "\x7f", " ", "  ", "'", "\u2028", "\u200b", "é", "中", "🙂", "the", "1"]
MARKS = ["[", "]", "{", "}", ":", ",", ".", "-", "_", "/", "#", "<", "=>", '"]', '",', "null", "true", "\\n", "\\u0041"]
TEXTS = st.lists(st.sampled_from(BITS + MARKS), max_size=12).map("".join) | st.text(max_size=8)
NUMBERS = st.integers() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from([[], {}, ""])
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
MANY = st.tuples(VALUES, st.sampled_from([1, 2, 100])).map(lambda each: [each[0]] * each[1])


def ask_of(dialect: str, path: str, members: Any) -> Ask:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found is not None
    assert found.endpoint.read is not None
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return found.endpoint.read(body, found.variables)


def held(dialect: str, path: str, members: Any) -> int:
    ask = ask_of(dialect, path, members)
    return Estimator().held_input_tokens(Origin("company", dialect, ask.model), ask.size)


def counted(vocabulary: str, gathered: Gathered) -> int:
    size = gathered.size
    tokens = asyncio.run(COUNTING.text_tokens("openai", MODELS[vocabulary], size))
    assert tokens is not None
    return tokens + size.frame_bytes


def schema_of(value: Any) -> Gathered:
    gathered = Gathered()
    gathered.schema(value)
    return gathered


# -- the law -----------------------------------------------------------------------------------------------------------


# As it is read it has fewer tokens than as it is written, by more than the marks that are added.
ESCAPED = (
    "\u200b\x7f\u200b\n\u200b\n"
    + "\u200b" * 4
    + "\x7f\x7f\u200b" * 2
    + "\x7f\n\u200b\u200b\u200b\x7f\n\x7f\u200b\x7f\x7f\n\u200b\u200b"
)


@pytest.mark.parametrize("style", STYLES)
@example(value=[ESCAPED] * 50)
@given(value=MANY)
def test_json_has_no_more_tokens_than_are_held_however_it_is_written(style: str, value: Any):
    written, gathered = json.dumps(value, ensure_ascii=False, **STYLES[style]), schema_of(value)
    for vocabulary, count in COUNTS.items():
        assert count(written) <= counted(vocabulary, gathered) <= bytes_of(gathered.size)


@given(value=MANY)
def test_json_on_one_line_has_no_more_bytes_than_are_held(value: Any):
    for style in ("compact", "with Python's separators"):
        written = json.dumps(value, ensure_ascii=False, **STYLES[style])
        assert len(written.encode()) <= bytes_of(schema_of(value).size)


@given(value=st.recursive(TEXTS | st.integers(-9, 9) | st.booleans() | st.none(), st.lists))
def test_each_value_and_name_counts_its_characters_and_a_frame(value: Any):
    assert bytes_of(schema_of({"a": value}).size) == framed({"a": value})


MESSAGES = st.fixed_dictionaries({"role": TEXTS, "content": TEXTS | st.lists(st.fixed_dictionaries({"text": TEXTS}))})


@given(messages=st.lists(MESSAGES, max_size=4))
def test_messages_that_are_written_as_json_have_no_more_tokens_than_are_held(messages: list[Any]):
    size = ask_of("compatible", "/v1/chat/completions", {"model": "m", "messages": messages}).size
    for count in COUNTS.values():
        assert count(json.dumps(messages, ensure_ascii=False)) <= bytes_of(size)


@given(arguments=VALUES)
def test_arguments_that_are_read_and_written_anew_have_no_more_bytes_than_are_held(arguments: Any):
    def held_for(written: str) -> int:
        messages = [{"role": "assistant", "tool_calls": [{"function": {"arguments": written}}]}]
        return bytes_of(ask_of("compatible", "/v1/chat/completions", {"model": "m", "messages": messages}).size)

    compact = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    assert len(json.dumps(arguments, ensure_ascii=False).encode()) <= held_for(compact) - held_for("")


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "characters"),
    [
        ("0", 1),
        ("-17", 3),
        ("0.7", 3),
        ("1e22", EXPONENT_CHARACTERS),  # by some servers 10000000000000000000000
        ("1E-7", EXPONENT_CHARACTERS),
        ("1.000000", 8),  # as the client wrote it
        ("1." + "0" * 5_000, 5_002),
        ("12345678901234567890123", 23),
    ],
)
def test_a_number_counts_what_it_may_be_written_as(written: str, characters: int):
    value = read_object(b'{"a":%b}' % written.encode()).members["a"]
    assert characters <= bytes_of(schema_of(value).size) - FRAME_BYTES <= characters + 2


@given(value=st.integers(-(10**4_299), 10**4_299))
def test_a_whole_number_counts_all_of_its_digits(value: int):
    assert bytes_of(schema_of(value).size) >= len(str(value)) + 2


@given(value=st.floats(1e-7, 1e21) | st.floats(-1e21, -1e-7))  # beyond, Go and JavaScript write an exponent, too
def test_a_number_is_held_for_without_its_exponent(value: float):
    assert len(f"{Decimal(repr(value)):f}, ") <= bytes_of(schema_of(value).size)


# -- every dialect -----------------------------------------------------------------------------------------------------

CHAT = {"model": "m", "messages": []}
CONTENT = {"parts": [{"text": "a"}]}
MESSAGE = {"role": "user", "content": "a"}
GEMINI = "/v1beta/models/m:"

# Where a member may stand: the dialect, the path, and the request with it.
PLACES: dict[str, Any] = {
    **{f"chat at {name}": (name, "/v1/chat/completions", lambda x: {**CHAT, **x}) for name in DIALECTS if name in (
        "openai", "azure", "compatible", "mistral", "xai", "perplexity")},
    "a tool": ("openai", "/v1/chat/completions", lambda x: {**CHAT, "tools": [x]}),
    "a message": ("openai", "/v1/chat/completions", lambda x: {**CHAT, "messages": [{**MESSAGE, **x}]}),
    "a part": ("openai", "/v1/chat/completions", lambda x: {
        **CHAT, "messages": [{"content": [{"type": "text", **x}]}]}),
    "beside an image": ("openai", "/v1/chat/completions", lambda x: {
        **CHAT, "messages": [{"content": [{"type": "image_url", "image_url": {"url": "https://x", **x}}]}]}),
    "beside a sound": ("openai", "/v1/chat/completions", lambda x: {
        **CHAT, "messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "", **x}}]}]}),
    "arguments": ("compatible", "/v1/chat/completions", lambda x: {
        **CHAT, "messages": [{"tool_calls": [{"function": {"arguments": {"type": "image_url", "image_url": x}}}]}]}),
    "old completions": ("openai", "/v1/completions", lambda x: {"model": "m", "prompt": "a", **x}),
    "a prompt": ("openai", "/v1/completions", lambda x: {"model": "m", "prompt": [1, x]}),
    "Responses": ("openai", "/v1/responses", lambda x: {"model": "m", "input": "a", **x}),
    "an item": ("openai", "/v1/responses", lambda x: {"model": "m", "input": [{**MESSAGE, **x}]}),
    "embeddings": ("openai", "/v1/embeddings", lambda x: {"model": "m", "input": "a", **x}),
    "Messages": ("anthropic", "/v1/messages", lambda x: {**CHAT, "max_tokens": 1, **x}),
    "Messages, a message": ("anthropic", "/v1/messages", lambda x: {
        "model": "m", "max_tokens": 1, "messages": [{**MESSAGE, **x}]}),
    **{f"Messages, a block of {kind}": ("anthropic", "/v1/messages", lambda x, kind=kind: {
        "model": "m", "max_tokens": 1, "messages": [{"content": [{"type": kind, **x}]}]})
        for kind in ("text", "image", "document", "tool_result", "tool_use")},
    "Messages, a source": ("anthropic", "/v1/messages", lambda x: {
        "model": "m", "max_tokens": 1, "messages": [{"content": [{"type": "image", "source": {"data": "", **x}}]}]}),
    "Gemini": ("gemini", GEMINI + "generateContent", lambda x: {"contents": [CONTENT], **x}),
    "Gemini, its configuration": ("gemini", GEMINI + "generateContent", lambda x: {
        "contents": [CONTENT], "generationConfig": x}),
    "Gemini, a content": ("gemini", GEMINI + "generateContent", lambda x: {"contents": [{**CONTENT, **x}]}),
    "Gemini, a part": ("gemini", GEMINI + "generateContent", lambda x: {"contents": [{"parts": [x]}]}),
    "Gemini, beside an image": ("gemini", GEMINI + "generateContent", lambda x: {
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "", **x}}]}]}),
    "Gemini, beside a file": ("gemini", GEMINI + "generateContent", lambda x: {
        "contents": [{"parts": [{"fileData": {"fileUri": "https://x", **x}}]}]}),
    "Gemini, a function's answer": ("gemini", GEMINI + "generateContent", lambda x: {
        "contents": [{"parts": [{"functionResponse": {"parts": [x]}}]}]}),
    "Gemini, an embedding": ("gemini", GEMINI + "embedContent", lambda x: {"content": CONTENT, **x}),
    "Gemini, embeddings": ("gemini", GEMINI + "batchEmbedContents", lambda x: {"requests": [], **x}),
    "Gemini, one of them": ("gemini", GEMINI + "batchEmbedContents", lambda x: {
        "requests": [{"content": CONTENT, **x}]}),
    "Ollama, chat": ("ollama", "/api/chat", lambda x: {**CHAT, **x}),
    "Ollama, a message": ("ollama", "/api/chat", lambda x: {"model": "m", "messages": [{**MESSAGE, **x}]}),
    "Ollama, its options": ("ollama", "/api/chat", lambda x: {**CHAT, "options": x}),
    "Ollama, a prompt": ("ollama", "/api/generate", lambda x: {"model": "m", "prompt": "a", **x}),
    "Ollama, a context": ("ollama", "/api/generate", lambda x: {"model": "m", "prompt": "a", "context": [1, x]}),
    "Ollama, embeddings": ("ollama", "/api/embed", lambda x: {"model": "m", "input": "a", **x}),
}  # fmt: skip

NULLS = 5_000
UNKNOWN = [
    {"x_unknown": "é" * 1_000},
    {"x_unknown": {"a": [None] * NULLS}},
    {"x_unknown": [7] * NULLS},
    {"x_" + "long" * 500: True},
]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=["text", "nulls", "numbers", "a long name"])
@pytest.mark.parametrize("place", PLACES)
def test_a_member_that_nobody_knows_is_held_for_as_it_is_written(place: str, unknown: dict[str, Any]):
    dialect, path, request = PLACES[place]
    more = held(dialect, path, request(unknown)) - held(dialect, path, request({}))
    assert framed(unknown) - FRAME_BYTES <= more <= framed(unknown) + FRAME_BYTES


@pytest.mark.parametrize(
    ("dialect", "path", "members", "bytes_each"),
    [
        # A template may write a message as JSON, where that is not known to be otherwise.
        ("compatible", "/v1/chat/completions", {"messages": [{"content": "\x01" * 1_000}]}, 6),
        ("openai", "/v1/chat/completions", {"messages": [{"content": "\x01" * 1_000}]}, 1),
        ("openai", "/v1/chat/completions", {"messages": [], "tools": ["\n" * 1_000]}, 2),
        ("ollama", "/api/chat", {"messages": [], "tools": ["<" * 1_000]}, 6),
        ("ollama", "/api/chat", {"messages": [{"content": "<" * 1_000}]}, 1),
    ],
)
def test_what_a_server_escapes_counts_as_it_is_escaped(
    dialect: str, path: str, members: dict[str, Any], bytes_each: int
):
    size = ask_of(dialect, path, {"model": "m", **members}).size
    assert 0 <= bytes_of(size) - 1_000 * bytes_each < 50


def test_no_dialect_is_left_out():
    assert {dialect for dialect, _, _ in PLACES.values()} == set(DIALECTS)


def test_nulls_in_a_tool_are_held_for():
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"enum": [None] * 50_000}}}]
    tokens = COUNTS["o200k_base"](json.dumps(tools))
    assert 100_000 < tokens <= held("openai", "/v1/chat/completions", {**CHAT, "tools": tools})


def test_a_long_text_in_a_member_that_nobody_knows_is_held_for():
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 2_000)))
    bodies = ({**CHAT, "x_context": text}, CHAT)
    more = held("compatible", "/v1/chat/completions", bodies[0]) - held("compatible", "/v1/chat/completions", bodies[1])
    assert COUNTS["o200k_base"](text) <= len(text.encode()) <= more


# -- no more than need be ----------------------------------------------------------------------------------------------


def test_a_plain_message_costs_its_text_and_three_frames():
    messages = [{"role": "user", "content": "Hello!"}]
    few, many = (held("openai", "/v1/chat/completions", {**CHAT, "messages": messages * n}) for n in (1, 11))
    assert many - few == 10 * (len("user") + len("Hello!") + 3 * FRAME_BYTES)


def test_a_setting_costs_a_few_tokens():
    bodies = ({**CHAT, "temperature": 0.7}, CHAT)
    one, none = (held("openai", "/v1/chat/completions", body) for body in bodies)
    assert one - none == len("temperature") + len("0.7") + 2 * FRAME_BYTES
    assert none < ADDED_TOKENS + 40


DATA = "A" * 100_000
PNG = {"mimeType": "image/png", "data": DATA}


@pytest.mark.parametrize(
    ("dialect", "path", "members"),
    [
        ("compatible", "/v1/chat/completions", {"messages": [{"content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + DATA, "detail": "high"}}]}]}),
        ("openai", "/v1/chat/completions", {"messages": [{"content": [
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}]}]}),
        ("openai", "/v1/responses", {"input": [{"content": [{"type": "input_image", "image_url": DATA}]}]}),
        ("openai", "/v1/responses", {"input": [{"type": "reasoning", "encrypted_content": DATA}]}),
        ("compatible", "/v1/chat/completions", {"messages": [{"reasoning_details": [
            {"type": "reasoning.encrypted", "data": DATA}]}]}),
        ("anthropic", "/v1/messages", {"max_tokens": 1, "messages": [{"content": [
            {"type": "redacted_thinking", "data": DATA}, {"type": "web_search_tool_result", "content": [
                {"type": "web_search_result", "encrypted_content": DATA}]}]}]}),
        ("openai", "/v1/responses", {"input": [{"type": "image_generation_call", "result": DATA}]}),
        ("anthropic", "/v1/messages", {"max_tokens": 1, "messages": [{"content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
            {"type": "thinking", "thinking": "a", "signature": DATA}]}]}),
        ("gemini", GEMINI + "generateContent", {"contents": [{"parts": [
            {"inlineData": PNG, "thoughtSignature": DATA}, {"functionResponse": {"parts": [{"inlineData": PNG}]}}]}]}),
        ("ollama", "/api/chat", {"messages": [{"images": [DATA]}]}),
        ("ollama", "/api/generate", {"prompt": "a", "images": [DATA], "context": [1] * 1_000}),
    ],
)  # fmt: skip
def test_what_counts_as_a_medium_does_not_count_as_text(dialect: str, path: str, members: dict[str, Any]):
    assert bytes_of(ask_of(dialect, path, {"model": "m", **members}).size) < 300


@pytest.mark.parametrize(
    ("dialect", "path", "members", "times"),
    [
        ("openai", "/v1/responses", {"input": [{"type": "reasoning", "encrypted_content": DATA}]}, 1),
        ("compatible", "/v1/chat/completions", {"messages": [{"reasoning_details": [
            {"type": "reasoning.encrypted", "data": DATA}]}]}, 1),
        ("anthropic", "/v1/messages", {"max_tokens": 1, "messages": [{"content": [
            {"type": "redacted_thinking", "data": DATA}, {"type": "web_search_tool_result", "content": [
                {"type": "web_search_result", "encrypted_content": DATA}]}]}]}, 2),
    ],
)  # fmt: skip
def test_what_is_encrypted_counts_as_the_text_that_it_may_be(dialect: str, path: str, members: Any, times: int):
    assert ask_of(dialect, path, {"model": "m", **members}).size.media_tokens == times * 18_750


def test_what_stands_around_a_text_is_never_charged_by_an_estimate():
    size = ask_of("openai", "/v1/chat/completions", {**CHAT, "messages": [MESSAGE], "user": "u" * 1_000}).size
    assert size.text_bytes == len("user" + "a") < size.frame_bytes
    assert Estimator().input_tokens(Origin("company", "openai", "m"), size) == 3
