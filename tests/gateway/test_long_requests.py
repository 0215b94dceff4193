"""What a long request says is let go of once its tokens are held, and it goes on as if it were not."""

import gc
import json
import tracemalloc
from typing import Any

import pytest

from kvot.gateway.dialect import LONG_BYTES, Ask
from kvot.gateway.metering.metered import text_bytes
from kvot.gateway.providers import DIALECTS
from tests.gateway.calls import CALLS, post

TEXT = "a" * LONG_BYTES + "\U0001f642"
SAID = [{"role": "user", "content": TEXT}]
REQUESTS: list[tuple[str, str, dict[str, Any], bytes]] = [
    ("openai", "/v1/chat/completions", {"messages": SAID, "max_tokens": 90}, b'"max_tokens": 9'),
    ("openai", "/v1/responses", {"input": TEXT, "store": False}, b'"max_output_tokens":9'),
    ("openai", "/v1/completions", {"prompt": [TEXT], "max_tokens": 90}, b'"max_tokens": 9'),
    ("openai", "/v1/embeddings", {"input": [TEXT]}, b""),
    ("anthropic", "/v1/messages", {"messages": SAID, "max_tokens": 90}, b'"max_tokens": 9'),
    (
        "gemini",
        "/v1beta/models/m:generateContent",
        {"contents": [{"parts": [{"text": TEXT}]}], "generation_config": {"maxOutputTokens": 90, "x": 1}},
        b'"generation_config": {"maxOutputTokens": 9, "x": 1}',
    ),
    ("ollama", "/api/chat", {"messages": SAID, "options": {"num_predict": 90, "x": 1}}, b'{"num_predict": 9, "x": 1}'),
    ("ollama", "/api/generate", {"prompt": TEXT}, b'"options":{"num_predict":9}'),
]


def ask_of(dialect: str, path: str, members: dict[str, Any]) -> Ask:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    assert found.endpoint.read
    named = {} if dialect == "gemini" else {"model": "m"}
    return found.endpoint.read(json.dumps(named | members).encode(), found.variables)


@pytest.mark.parametrize(("dialect", "path", "members", "ceiling"), REQUESTS)
def test_a_long_request_is_changed_in_its_place_like_any_other(dialect, path, members, ceiling):
    short = json.loads(json.dumps(members).replace(json.dumps(TEXT), '"b"'))
    changed = ask_of(dialect, path, members).body(9)
    assert ceiling in changed
    assert changed == ask_of(dialect, path, short).body(9).replace(b'"b"', json.dumps(TEXT).encode())


@pytest.mark.parametrize(("dialect", "path", "members", "_ceiling"), REQUESTS)
def test_of_a_long_request_nothing_stays_but_its_bytes(dialect, path, members, _ceiling):
    members = json.loads(json.dumps(members).replace("a" * LONG_BYTES, "a" * 1_000_000))
    tracemalloc.start()
    try:
        ask = ask_of(dialect, path, members)
        ask.size = type(ask.size)(ask.size.text_bytes)  # as the gateway does once its tokens are held
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1_500_000, "the body, and not four bytes for each of its characters"


@pytest.mark.parametrize(
    "text", ["", "a", "ü", "\U0001f642" * 65_536, "a" * 65_535 + "ü\U0001f642" * 2, "漢" * 200_000]
)
def test_the_bytes_of_a_text_are_those_of_its_encoding_however_long_it_is(text: str):
    assert text_bytes(text) == text_bytes([{"a": text}]) == len(text.encode())


def test_to_measure_a_text_takes_no_copy_of_it():
    text = "a" * 4_000_000 + "\U0001f642"
    tracemalloc.start()
    try:
        assert text_bytes(text) == 4_000_004
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("call", ["chat", "responses", "messages"])
async def test_a_long_call_is_answered(scene, call):
    path, body = CALLS[call]
    name = "input" if call == "responses" else "messages"
    seen = await post(scene, path, body | {name: TEXT if call == "responses" else SAID})
    assert seen.status == 200
    assert TEXT in json.dumps(scene.provider.requests[0].json, ensure_ascii=False)
