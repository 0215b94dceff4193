"""Plain replies with one thing in them that the strict reader refuses: the rest of them counts all the same."""

import pytest

from kvot.gateway.metering.mended import MENDED_BYTES_MAX
from tests.gateway.cuts import Passed, passed
from tests.gateway.recorded import final, meter_for

SAID = [{"role": "user", "content": "x"}]
CONTENTS = [{"parts": [{"text": "x"}]}]
# Dialect, path, request; then a reply of five bytes with an input of 5 tokens and an output of whatever.
DOCUMENTS = [
    (
        ("openai", "/v1/chat/completions", {"model": "m", "messages": SAID}),
        '{"choices":[{"message":{"content":"Hello"}}],"usage":{"prompt_tokens":5,"completion_tokens":OUTPUT}}',
    ),
    (
        ("anthropic", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": SAID}),
        '{"content":[{"type":"text","text":"Hello"}],"usage":{"input_tokens":5,"output_tokens":OUTPUT}}',
    ),
    (
        ("gemini", "/v1/models/m:generateContent", {"contents": CONTENTS}),
        '{"candidates":[{"content":{"parts":[{"text":"Hello"}]}}],'
        '"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":OUTPUT}}',
    ),
    (
        ("ollama", "/api/chat", {"model": "m", "stream": False, "messages": SAID}),
        '{"message":{"content":"Hello"},"done":true,"prompt_eval_count":5,"eval_count":OUTPUT}',
    ),
]


def read(request: tuple[str, str, object], body: bytes) -> Passed:
    return passed(meter_for(*request, "application/json"), [body])


@pytest.mark.parametrize(("request_", "document"), DOCUMENTS)
@pytest.mark.parametrize("output", ["1e999", "-1e999", "NaN", "Infinity", "9" * 5_000, "-1", '"2"', "[]", "2.5"])
def test_a_usage_that_cannot_be_true_is_nothing_and_the_content_counts(request_, document, output):
    body = document.replace("OUTPUT", output).encode()
    got = read(request_, body)
    assert (got.sent, got.reported, got.output_bytes) == (body, None, len("Hello"))


@pytest.mark.parametrize(("request_", "document"), DOCUMENTS)
@pytest.mark.parametrize("broken", [b"\\ud83d", b"\xf0\x9f", b"\xff"])
def test_half_a_character_in_the_answer_does_not_lose_its_usage(request_, document, broken):
    body = document.replace("OUTPUT", "2").encode().replace(b"Hello", b"Hello" + broken)
    got = read(request_, body)
    assert (got.sent, got.reported) == (body, final(5, 0, 0, 2))


@pytest.mark.parametrize(("request_", "document"), DOCUMENTS)
@pytest.mark.parametrize(
    "tail", ["", '}{"x":1', "[" * 2_000 + "]" * 2_000, '1e999,"x":"' + "x" * MENDED_BYTES_MAX + '"']
)
def test_what_is_no_json_or_too_long_or_too_deep_counts_whole(request_, document, tail):
    body = document.replace("OUTPUT", tail).encode()
    got = read(request_, body)
    assert (got.sent, got.reported, got.output_bytes) == (body, None, len(body))
