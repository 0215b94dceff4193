"""What the replies of each provider tell beside their tokens, as it stands in the receipts of their calls."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kvot.gateway.dialect import Meter
from kvot.gateway.receipt import EVENT_BYTES_MAX, MEMBERS_MAX, TOO_LARGE, receipt_text
from tests.gateway import test_openai_streams as openai_streams
from tests.gateway.cuts import byte_by_byte
from tests.gateway.recorded import meter_for, recorded

DOCUMENT, EVENTS = "application/json", "text/event-stream"
_ASKED: dict[str, Any] = {"model": "m", "messages": []}


def plain(dialect: str, path: str, **members: Any) -> Callable[[], Meter]:
    return lambda: meter_for(dialect, path, _ASKED | members, DOCUMENT)


CHAT = plain("openai", "/chat/completions")
RESPONSES = plain("openai", "/responses", input="")
EMBEDDINGS = plain("openai", "/embeddings", input="")
PERPLEXITY = plain("perplexity", "/chat/completions")
MESSAGES = plain("anthropic", "/v1/messages", max_tokens=9)
GEMINI = plain("gemini", "/v1/models/m:generateContent", contents=[])
OLLAMA = plain("ollama", "/api/chat", stream=False)


def anthropic() -> Meter:
    return meter_for("anthropic", "/v1/messages", _ASKED | {"max_tokens": 9}, EVENTS)


def gemini() -> Meter:
    return meter_for("gemini", "/v1/models/m:streamGenerateContent", {"contents": []}, EVENTS, alt="sse")


def ollama() -> Meter:
    return meter_for("ollama", "/api/chat", _ASKED, "application/x-ndjson")


def openai(name: str) -> Callable[[], Meter]:
    return lambda: openai_streams.meter_for(openai_streams.CASES[name])


Stream = tuple[Callable[[], Meter], bytes]
STREAMS: dict[str, Stream] = {f"openai {name}": (openai(name), data) for name, data in openai_streams.STREAMS.items()}
for meter, ending in ((anthropic, "sse"), (gemini, "sse"), (ollama, "ndjson")):
    dialect = meter.__name__
    STREAMS |= {f"{dialect} {name}": (meter, data) for name, data in recorded(dialect, ending).items()}


def receipt_of(meter: Meter, *pieces: bytes) -> dict[str, Any]:
    for piece in pieces:
        meter.feed(piece)
    meter.finish()
    text = receipt_text("chat", meter.told, meter.reported, meter.model, meter.request_id)
    found: dict[str, Any] = json.loads(text)
    assert found.pop("endpoint") == "chat"
    return found


def of_document(meter: Callable[[], Meter], reply: Any) -> dict[str, Any]:
    return receipt_of(meter(), json.dumps(reply).encode())


SPEECH_USAGE = {
    **{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    "prompt_tokens_details": {
        **{"cached_tokens": 40, "text_tokens": 30, "audio_tokens": 70},
        "cached_tokens_details": {"audio_tokens": 40, "text_tokens": 0},
    },
    "completion_tokens_details": {"audio_tokens": 45, "text_tokens": 5},
}
SPEECH = {"text_in": 30, "audio_in": 70, "audio_cached": 40, "text_out": 5, "audio_out": 45}
SEARCHED = {"web_search": {"num_requests": 2}, "image_gen": {"input_tokens": 0, "output_tokens": 0}}
MESSAGE_USAGE = {
    **{"input_tokens": 50, "cache_creation_input_tokens": 1_000, "output_tokens": 300},
    "cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 400},
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    **{"service_tier": "standard", "inference_geo": "eu"},
}
GEMINI_USAGE = {
    **{"promptTokenCount": 300, "candidatesTokenCount": 80, "totalTokenCount": 380, "trafficType": "ON_DEMAND"},
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 80}],
}
SMALL = {"prompt_tokens": 5, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("meter", "reply", "receipt"),
    [
        (
            CHAT,
            {
                "id": "c1",
                "model": "g",
                "service_tier": "flex",
                "choices": [{"finish_reason": "length"}],
                "usage": SMALL,
            },
            {"model_served": "g", "provider_request_id": "c1", "service_tier": "flex", "finish": "length"}
            | {"raw_usage": SMALL},
        ),
        (CHAT, {"usage": SPEECH_USAGE}, {"modality": SPEECH, "raw_usage": SPEECH_USAGE}),
        (CHAT, {"usage": SMALL | {"cost": 0.01}}, {"extra": {"cost": 0.01}, "raw_usage": SMALL | {"cost": 0.01}}),
        (
            CHAT,
            {"usage": SMALL | {"total_tokens": 99}},
            {"total_mismatch": 99, "raw_usage": SMALL | {"total_tokens": 99}},
        ),
        (CHAT, {"usage": {"prompt_tokens": -1}}, {"raw_usage": {"prompt_tokens": -1}}),
        (
            PERPLEXITY,
            {"usage": SMALL | {"num_search_queries": 3, "cost": {"total_cost": 0.02}}},
            {"extra": {"web_searches": 3, "cost": 0.02}}
            | {"raw_usage": SMALL | {"num_search_queries": 3, "cost": {"total_cost": 0.02}}},
        ),
        (
            RESPONSES,
            {"id": "r1", "status": "completed", "usage": SMALL, "tool_usage": SEARCHED},
            {"provider_request_id": "r1", "finish": "completed", "extra": {"web_searches": 2}}
            | {"raw_usage": SMALL | {"tool_usage": SEARCHED}},
        ),
        (
            RESPONSES,
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "service_tier": "priority"},
            {"service_tier": "priority", "finish": "max_output_tokens"},
        ),
        (EMBEDDINGS, {"model": "e", "usage": SMALL}, {"model_served": "e", "raw_usage": SMALL}),
        (
            MESSAGES,
            {"id": "msg_1", "model": "claude-x", "stop_reason": "end_turn", "usage": MESSAGE_USAGE},
            {"model_served": "claude-x", "provider_request_id": "msg_1", "service_tier": "standard"}
            | {"finish": "end_turn", "cache_write": 1_000, "cache_write_5m": 600, "cache_write_1h": 400}
            | {"extra": {"web_searches": 1}, "raw_usage": MESSAGE_USAGE},
        ),
        (
            GEMINI,
            {"candidates": [{"finishReason": "STOP"}], "usageMetadata": GEMINI_USAGE, "responseId": "r1"},
            {"provider_request_id": "r1", "service_tier": "ON_DEMAND", "finish": "STOP"}
            | {"modality": {"text_in": 42, "image_in": 258, "text_out": 80}, "raw_usage": GEMINI_USAGE},
        ),
        (
            OLLAMA,
            {"model": "m", "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 0, "context": [1, 2]},
            {"model_served": "m", "finish": "stop", "raw_usage": {"prompt_eval_count": 11, "eval_count": 0}},
        ),
    ],
)
def test_a_document(meter, reply, receipt):
    assert of_document(meter, reply) == receipt


ODD: list[Any] = [None, 7, "x y", [], [7], {}, {"a": None}, True, [{"modality": 7, "tokenCount": "x"}]]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("meter", [CHAT, RESPONSES, EMBEDDINGS, MESSAGES, GEMINI, OLLAMA])
def test_a_document_with_anything_in_any_place_is_still_read(meter, odd):
    inner = [
        *("prompt_tokens_details", "output_tokens_details", "cache_creation", "server_tool_use", "cost"),
        *("promptTokensDetails", "cacheTokensDetails", "cached_tokens_details", "serviceTier"),
    ]
    usage = dict.fromkeys(inner, odd) | {"prompt_tokens": 1, "completion_tokens": 1, "promptTokenCount": 1}
    names = ("service_tier", "status", "incomplete_details", "tool_usage", "stop_reason", "done_reason", "choices")
    for told in (odd, usage):
        members = dict.fromkeys(names, odd) | {
            "usage": told,
            "usageMetadata": told,
            "candidates": [{"finishReason": odd}],
        }
        assert "x y" not in str(of_document(meter, members))


HUGE = {"x" * 64: [1] * EVENT_BYTES_MAX}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("openai chat", {"choices": [], "usage": SMALL | HUGE}),
        ("openai response", {"type": "response.completed", "response": {"usage": SMALL | HUGE}}),
        ("anthropic message", {"type": "message_start", "message": {"usage": HUGE}}),
        ("anthropic message", {"type": "message_delta", "usage": {"output_tokens": 3} | HUGE}),
        ("gemini text", {"usageMetadata": GEMINI_USAGE | HUGE}),
    ],
)
def test_a_usage_that_is_far_too_large_is_not_kept_while_its_stream_goes_on(name, event):
    meter = STREAMS[name][0]()
    meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert meter.told.usage is TOO_LARGE
    assert receipt_of(meter)["raw_usage_left_out"] == "size"


def test_nor_is_one_that_grows_with_every_event():
    meter = anthropic()
    for number in range(MEMBERS_MAX + 1):
        assert meter.told.usage is not TOO_LARGE
        event = {"type": "message_delta", "usage": {f"member{number}": 1}}
        meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert meter.told.usage is TOO_LARGE


def test_a_small_usage_beside_a_large_image_is_kept():
    meter = gemini()
    parts = [{"inlineData": {"data": "x" * 2 * EVENT_BYTES_MAX}}]
    event = {"candidates": [{"content": {"parts": parts}}], "usageMetadata": GEMINI_USAGE}
    meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert receipt_of(meter)["raw_usage"] == GEMINI_USAGE


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_tells_the_same_however_it_is_cut(name):
    meter, data = STREAMS[name]
    assert receipt_of(meter(), *byte_by_byte(data)) == receipt_of(meter(), data)


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("openai chat", {"service_tier": "default", "finish": "stop", "cache_write": 128}),
        ("openai openrouter", {"finish": "stop", "extra": {"cost": 0.0001}}),
        ("openai response", {"finish": "completed", "cache_write": 128}),
        ("openai response_incomplete", {"finish": "max_output_tokens"}),
        ("openai response_cut", {"model_served": "gpt-x-2026-05-01", "provider_request_id": "resp_1"}),
        ("anthropic message", {"finish": "end_turn", "cache_write": 1_000, "cache_write_5m": 1_000}),
        ("anthropic cut", {"provider_request_id": "msg_1"}),
        ("gemini total_mismatch", {"total_mismatch": 70, "finish": "STOP"}),
        ("gemini blocked", {"finish": "SAFETY"}),
        ("ollama chat", {"finish": "stop", "model_served": "m"}),
    ],
)
def test_a_stream(name, receipt):
    meter, data = STREAMS[name]
    assert receipt.items() <= receipt_of(meter(), data).items()


def test_what_anthropic_tells_later_takes_the_place_of_what_it_told_before():
    meter, data = STREAMS["anthropic message"]
    assert receipt_of(meter(), data)["raw_usage"] == {
        **{"input_tokens": 50, "cache_creation_input_tokens": 1_000, "cache_read_input_tokens": 4_000},
        **{"output_tokens": 42},
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 0},
    }
