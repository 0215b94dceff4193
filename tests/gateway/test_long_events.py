"""Events, lines and elements too long to be kept, as images make them: their figures are read all the same."""

import json
import random
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kvot.gateway.dialect import Meter
from kvot.gateway.metering import metered
from kvot.gateway.metering.sse import EVENT_BYTES_MAX, Scanner
from kvot.gateway.providers import DIALECTS
from kvot.gateway.tokens import Reported
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut, passed

SAID = 'so "usage":{"input_tokens":999,"output_tokens":999}}} \\" and "usageMetadata":{"promptTokenCount":999}'
"""What a model may say, and nobody may take for figures."""


def sse(*events: Any) -> bytes:
    return b"".join(b"event: e\ndata: %b\n\n" % json.dumps(event).encode() for event in events)


def responses(image: str) -> bytes:
    begun: dict[str, Any] = {"id": "resp_1", "model": "m", "usage": None, "output": []}
    made = {"type": "image_generation_call", "result": image}
    text = {"type": "message", "content": [{"type": "output_text", "text": SAID + image, "logprobs": [{"a": [1]}] * 9}]}
    usage = {"input_tokens": 20, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 4}, "total_tokens": 27}
    tool_usage = {"image_gen": {"input_tokens": 50, "output_tokens": 272, "total_tokens": 322}}
    ended = begun | {"output": [text, made], "usage": usage, "tool_usage": tool_usage}
    return sse(
        {"type": "response.created", "response": begun}, {"type": "response.completed", "response": ended, "n": 9}
    )


def chat(image: str) -> bytes:
    pictures = [{"type": "image_url", "image_url": {"url": image}}]
    delta = {"content": SAID, "images": pictures}
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
    chunk = {
        "id": "c1",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}],
        "usage": usage,
    }
    return sse(chunk) + b"data: [DONE]\n\n"


def gemini(image: str) -> list[Any]:
    parts = [{"text": SAID}, {"inlineData": {"mimeType": "image/png", "data": image}}]
    usage = {"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27}
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    return [{"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"}]


def ollama(image: str) -> bytes:
    last = {"model": "m", "message": {"content": SAID + image}, "done": True, "prompt_eval_count": 20, "eval_count": 7}
    return json.dumps(last).encode() + b"\n"


def meter_of(dialect: str, path: str, content_type: str, **members: Any) -> Meter:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    assert found.endpoint.read
    assert found.endpoint.meter
    ask = found.endpoint.read(json.dumps(members).encode(), found.variables)
    return found.endpoint.meter(ask, content_type)


EVENTS, JSON, LINES = "text/event-stream", "application/json", "application/x-ndjson"
MODEL: dict[str, Any] = {"model": "m", "stream": True}
CONTENTS: dict[str, Any] = {"contents": []}
GEMINI_PATH = "/v1beta/models/m:streamGenerateContent"
ENTIRE: dict[str, tuple[Callable[[str], bytes], Callable[[], Meter], int]] = {
    "responses": (responses, lambda: meter_of("openai", "/responses", EVENTS, **MODEL), 27 + 322),
    "chat": (chat, lambda: meter_of("openai", "/chat/completions", EVENTS, **MODEL, messages=[]), 27),
    "gemini, events": (
        lambda image: sse(*gemini(image)),
        lambda: meter_of("gemini", GEMINI_PATH, EVENTS, **CONTENTS),
        27,
    ),
    "gemini, array": (
        lambda image: json.dumps(gemini(image)).encode(),
        lambda: meter_of("gemini", GEMINI_PATH, JSON, **CONTENTS),
        27,
    ),
    "ollama": (ollama, lambda: meter_of("ollama", "/api/chat", LINES, model="m", messages=[]), 27),
}
IMAGE = "iVBORw0KGgo" * (EVENT_BYTES_MAX // 8)


def is_exact(reported: Reported | None, total: int) -> bool:
    return reported is not None and reported.is_final and reported.tokens.total == total


@pytest.mark.parametrize("api", ENTIRE)
def test_the_figures_of_an_event_with_an_image_are_exact_however_it_is_cut(api: str):
    stream_of, new_meter, total = ENTIRE[api]
    stream, chance = stream_of(IMAGE), random.Random(api)
    assert len(stream) > EVENT_BYTES_MAX
    for places in ([], [len(stream) // 2], [chance.randrange(len(stream)) for _ in range(40)]):
        seen = passed(new_meter(), cut(stream, places))
        assert is_exact(seen.reported, total)
        assert (seen.sent, seen.has_failed, seen.model) == (stream, False, "m")


@pytest.fixture
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "Scanner", partial(Scanner, 1_200))


@pytest.mark.usefixtures("small_bound")
@pytest.mark.parametrize("api", ["responses", "chat", "gemini, events"])
def test_they_are_so_with_every_single_cut_and_every_byte_alone(api: str):
    stream_of, new_meter, total = ENTIRE[api]
    stream = stream_of("iVBO" * 400)
    whole = passed(new_meter(), [stream])
    assert is_exact(whole.reported, total)
    assert all(passed(new_meter(), pieces) == whole for pieces in every_single_cut(stream))
    assert passed(new_meter(), byte_by_byte(stream)) == whole


@pytest.mark.usefixtures("small_bound")
@pytest.mark.parametrize("api", ["responses", "chat", "gemini, events"])
def test_an_event_that_is_cut_before_its_figures_has_none_and_counts_by_its_bytes(api: str):
    stream_of, new_meter, _ = ENTIRE[api]
    stream = stream_of("iVBO" * 400)
    end = max(stream.rindex(b'"usage'), stream.rindex(b'"tool_usage') if b"tool_usage" in stream else 0)
    for pieces in ([stream[:end]], byte_by_byte(stream[:end])):
        seen = passed(new_meter(), pieces)
        assert (seen.sent, seen.reported) == (stream[:end], None)
        assert seen.output_bytes > 1_600


@pytest.mark.usefixtures("small_bound")
def test_a_text_that_looks_like_the_end_of_the_event_is_no_end():
    """Quoted, as it must be in a string; and with a line's end, which no string has."""
    for text in (
        SAID,
        SAID + '"}]}],"usage":{"input_tokens":999,"output_tokens":999}}}',
        "\n\ndata: {}\n\n",
        '\\"' * 99,
    ):
        seen = passed(ENTIRE["responses"][1](), byte_by_byte(responses(text * 20)))
        assert is_exact(seen.reported, 27 + 322)


@pytest.mark.usefixtures("small_bound")
def test_figures_that_cannot_be_true_count_no_more_in_a_long_event():
    stream = responses("iVBO" * 400).replace(b'"input_tokens": 20', b'"input_tokens": -20')
    assert passed(ENTIRE["responses"][1](), [stream]).reported is None


@pytest.mark.usefixtures("small_bound")
def test_a_long_event_that_only_we_asked_for_passes_all_the_same():
    """Its beginning has gone out before anybody knew what it is."""
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
    stream = sse({"id": "c1", "choices": [], "x": "y" * 2_000, "usage": usage})
    for pieces in ([stream], byte_by_byte(stream)):
        seen = passed(ENTIRE["chat"][1](), pieces)
        assert (seen.sent, seen.reported is not None) == (stream, True)


def test_a_stream_in_the_midst_of_a_long_event_keeps_next_to_nothing():
    meter, stream = ENTIRE["responses"][1](), responses(IMAGE * 2)
    tracemalloc.start()
    try:
        for start in range(0, len(stream) - 1_000, 65_536):
            meter.feed(stream[start : start + 65_536])
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 32_768
    assert peak_bytes < 4 * EVENT_BYTES_MAX
