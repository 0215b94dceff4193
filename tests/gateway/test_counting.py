"""A count of a request's text is a bound on what the model reads, and takes no longer than the text deserves."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.counting import (
    COUNTED_CHARACTERS_MAX,
    PIECE_CHARACTERS,
    TURN_CHARACTERS,
    UNBROKEN_CHARACTERS_MAX,
    Counting,
    pieces,
    vocabulary_of,
)
from kvot.gateway.dialect import Size
from kvot.gateway.estimate import Estimator, Origin
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.sizes import FRAME_BYTES
from kvot.gateway.vocabularies import NAMES, open_vocabularies

COUNTS = open_vocabularies()
COUNTING = Counting(COUNTS)
MODELS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}

LATIN = ["a", "the", "it's", "IT'S", "'s", "'LL", "x'", "'x", "é", "ñ", "aA", "Aa", "HTTPServer", "a_b", "_", "ǅ", "ʰ"]
OTHERS = ["漢字", "。", "，", "한국", "かな", "Ж", "שלום", "مرحبا", "ไทย", "नमस्ते", "🙂", "👩‍👩‍👧", "\u0301", "²", "Ⅷ"]
MARKS = ["1", "23", "4567", "1e5", "/", "//", "!", "...", '{"a":1}', "[0.5]", "<|endoftext|>", "<|im_start|>"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u3000", "\u00a0", "\u2028", "\x1f"]
WORDS = st.sampled_from(LATIN + OTHERS + MARKS + SPACES)
TEXTS = st.lists(WORDS, max_size=60).map("".join) | st.text(max_size=60)


def size_of(*texts: str) -> Size:
    return Size(sum(len(text.encode()) for text in texts), 0, texts, frame_bytes=FRAME_BYTES * len(texts))


def counted(model: str, *texts: str) -> int:
    """With what stands around them."""
    size = size_of(*texts)
    tokens = asyncio.run(COUNTING.text_tokens("openai", model, size))
    assert tokens is not None
    return tokens + size.frame_bytes


@pytest.mark.parametrize("vocabulary", NAMES)
@given(texts=st.lists(TEXTS, max_size=4), times=st.integers(1, 3) | st.integers(200, 600))
def test_what_is_counted_is_never_less_than_the_tokens_of_the_whole(vocabulary: str, texts: list[str], times: int):
    texts = [text * times for text in texts]
    whole = "".join(texts)
    assert COUNTS[vocabulary](whole) <= counted(MODELS[vocabulary], *texts)
    assert counted(MODELS[vocabulary], *texts) <= len(whole.encode()) + FRAME_BYTES * len(texts)


@pytest.mark.parametrize("vocabulary", NAMES)
@given(text=st.lists(WORDS, min_size=1, max_size=60).map("".join))
def test_a_text_in_pieces_has_the_tokens_of_the_whole(vocabulary: str, text: str):
    text *= 1 + 3 * PIECE_CHARACTERS // len(text)
    parts = list(pieces(text))
    assert "".join(piece for piece, _ in parts) == text
    if all(is_whole for _, is_whole in parts):
        assert sum(COUNTS[vocabulary](piece) for piece, _ in parts) == COUNTS[vocabulary](text)


@pytest.mark.parametrize("unbroken", ["a", " ", "\n", "🙂", "!", "a\u0301", "漢", "7"])
def test_a_long_text_without_a_break_is_held_by_its_bytes(unbroken: str):
    text = unbroken * 100_000
    begun = f"First some words. {text} And last some words."
    assert counted("gpt-4o", text) == len(text.encode()) + FRAME_BYTES
    assert len(text.encode()) < counted("gpt-4o", begun) <= len(begun.encode()) + FRAME_BYTES
    assert [is_whole for _, is_whole in pieces(begun + " word" * PIECE_CHARACTERS)][-1]


def test_a_break_ends_what_is_held_by_its_bytes():
    text = "word " * 10_000
    long = "-" * (2 * UNBROKEN_CHARACTERS_MAX)
    assert counted("gpt-4o", text + long + text) < len(long) + PIECE_CHARACTERS + UNBROKEN_CHARACTERS_MAX + 20_010


def lengths_of_pieces(text: str) -> list[int]:
    """The lengths of all that the tokenizer is given for a text."""
    lengths: list[int] = []

    def count(piece: str) -> int:
        lengths.append(len(piece))
        return 1

    asyncio.run(Counting({"o200k_base": count}).text_tokens("openai", "gpt-4o", size_of(text)))
    return lengths


@pytest.mark.parametrize("text", ["word " * 4_000_000, "a" * 20_000_000, "a 1 !\n" * 3_000_000])
def test_the_tokenizer_is_given_short_pieces_and_not_without_end(text: str):
    lengths = lengths_of_pieces(text)
    assert max(lengths, default=0) <= UNBROKEN_CHARACTERS_MAX
    assert sum(lengths) <= COUNTED_CHARACTERS_MAX + UNBROKEN_CHARACTERS_MAX


@pytest.mark.parametrize("texts", [["word " * 200_000], ["a" * 1_000_000], ["word"] * 20_000, [""] * 200_000])
async def test_others_get_their_turns_while_a_long_request_is_counted(texts: list[str]):
    counting = asyncio.create_task(COUNTING.text_tokens("openai", "gpt-4o", size_of(*texts)))
    turns = 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 1_000_000 // (TURN_CHARACTERS + UNBROKEN_CHARACTERS_MAX)


def test_a_control_token_in_a_text_is_text():
    assert counted("gpt-4o", "<|endoftext|>") == 7 + FRAME_BYTES


@pytest.mark.parametrize(
    ("dialect", "model", "vocabulary"),
    [
        ("openai", "gpt-5", "o200k_base"),
        ("openai", "gpt-5.1-codex-mini", "o200k_base"),
        ("openai", "gpt-4.1-nano-2025-04-14", "o200k_base"),
        ("openai", "gpt-4o-mini", "o200k_base"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::a1", "o200k_base"),
        ("openai", "o3", "o200k_base"),
        ("openai", "gpt-4", "cl100k_base"),
        ("openai", "gpt-4-turbo", "cl100k_base"),
        ("openai", "ft:gpt-3.5-turbo:acme::a1", "cl100k_base"),
        ("openai", "text-embedding-3-large", "cl100k_base"),
        # What is not known for certain is not counted.
        ("openai", "gpt-4.7", None),
        ("openai", "gpt-6", None),
        ("openai", "o1x", None),
        ("openai", "gpt-oss-120b", None),
        ("openai", "whatever", None),
        ("azure", "gpt-4o", None),
        ("compatible", "gpt-4o", None),
        ("anthropic", "claude-x", None),
    ],
)
def test_the_vocabulary_is_known_by_the_models_name(dialect: str, model: str, vocabulary: str | None):
    assert vocabulary_of(dialect, model) == vocabulary
    assert (asyncio.run(COUNTING.text_tokens(dialect, model, Size(3, 0, ["abc"]))) is None) == (vocabulary is None)


def held(path: str, **members: Any) -> int:
    found = DIALECTS["openai"].find("POST", path, {})
    assert found is not None
    assert found.endpoint.read is not None
    ask = found.endpoint.read(json.dumps(members).encode(), {})
    text_tokens = asyncio.run(COUNTING.text_tokens("openai", ask.model, ask.size))
    assert text_tokens is not None
    return Estimator().held_input_tokens(Origin("company", "openai", ask.model), ask.size, text_tokens)


def test_a_hold_covers_what_openai_has_billed():
    """Of requests that are no longer than those of its reference: 19 for two messages, 82 and 291 with one function."""
    city, unit = {"type": "string", "description": "A city and its state"}, {"enum": ["celsius", "fahrenheit"]}
    parameters = {"type": "object", "properties": {"location": city, "unit": unit}, "required": ["location"]}
    function = {"name": "get_current_weather", "description": "The weather in a place", "parameters": parameters}
    said = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "Hello!"}]
    asked = {"model": "gpt-4.1", "input": "What is the weather in Boston?", "tools": [{"type": "function", **function}]}
    tools = [{"type": "function", "function": function}]
    assert held("/chat/completions", model="gpt-4o", messages=said) >= 19
    assert held("/chat/completions", model="gpt-4o", messages=said, tools=tools) >= 82
    assert held("/responses", **asked) >= 291


def test_tokens_that_a_client_sends_count_by_their_number():
    few, many = ([list(range(length))] for length in (10, 1_010))
    assert held("/embeddings", model="text-embedding-3-small", input=many) == (
        held("/embeddings", model="text-embedding-3-small", input=few) + 1_000
    )


def test_of_bytes_that_are_no_text_of_the_request_each_is_held():
    assert asyncio.run(COUNTING.text_tokens("openai", "gpt-4o", Size(1_000))) == 1_000
