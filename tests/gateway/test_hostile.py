"""Documents with the members that readers look for, and anything in them: at most InvalidRequest comes of it."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import InvalidRequest
from kvot.gateway.dialect import Endpoint
from kvot.gateway.providers import DIALECTS
from tests.gateway.cuts import passed

# What requests and replies of each dialect are made of.
WORDS = {
    "anthropic": """model stream max_tokens messages system tools thinking budget_tokens content type text image
        document source data tool_result title iterations compaction usage input_tokens output_tokens id error delta
        output_tokens_details thinking_tokens message message_start message_delta content_block_delta stop_reason
        content_block content_block_start cache_read_input_tokens""",
    "gemini": """model contents content parts text inlineData inline_data mimeType data fileData functionResponse
        functionCall generationConfig generation_config maxOutputTokens max_output_tokens candidateCount requests
        systemInstruction tools cachedContent candidates finishReason index usageMetadata promptTokenCount
        candidatesTokenCount thoughtsTokenCount cachedContentTokenCount promptFeedback blockReason error modelVersion
        responseId image/png""",
    "ollama": """model stream options num_predict messages content images tools prompt system context input message
        response thinking tool_calls done done_reason load prompt_eval_count prompt_eval_cached_count eval_count
        error Options""",
}
RIGHT: dict[str, dict[str, object]] = {
    "anthropic": {"model": "m", "max_tokens": 9, "messages": []},
    "gemini": {"contents": [], "requests": []},
    "ollama": {"model": "m"},
}
PATHS = {
    "anthropic": ["/v1/messages"],
    "gemini": ["/v1/models/m:generateContent", "/v1/models/m:streamGenerateContent", "/v1/models/m:batchEmbedContents"],
    "ollama": ["/api/chat", "/api/generate", "/api/embed"],
}
CALLS = [(dialect, path) for dialect, paths in PATHS.items() for path in paths]
TYPES = ["text/event-stream", "application/json", "application/x-ndjson", ""]


def endpoint_of(dialect: str, path: str) -> Endpoint:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    return found.endpoint


def objects_of(dialect: str) -> st.SearchStrategy[dict[str, object]]:
    words = st.sampled_from(WORDS[dialect].split())
    scalars = st.none() | st.booleans() | st.integers(-2, 2_000) | st.sampled_from([0.5, 7.0, 1e300]) | words
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(words, values, max_size=4)


OBJECTS = {dialect: objects_of(dialect) for dialect in PATHS}


@pytest.mark.parametrize(("dialect", "path"), CALLS)
@given(data=st.data())
def test_any_request_is_read_or_refused(dialect: str, path: str, data: st.DataObject):
    read = endpoint_of(dialect, path).read
    assert read
    request = RIGHT[dialect] | data.draw(OBJECTS[dialect])
    with suppress(InvalidRequest):
        ask = read(json.dumps(request).encode(), {"model": "m"})
        assert min(ask.size.text_bytes, ask.size.media_tokens) >= 0
        assert ask.output_max is None or 0 <= ask.output_min <= max(1, ask.output_max)
        json.loads(ask.body(max(1, ask.output_min)))


@pytest.mark.parametrize(("dialect", "path"), CALLS)
@given(data=st.data(), content_type=st.sampled_from(TYPES))
def test_any_reply_passes_and_its_figures_can_be_true(dialect: str, path: str, data: st.DataObject, content_type: str):
    endpoint = endpoint_of(dialect, path)
    assert endpoint.read
    assert endpoint.meter
    replies = [json.dumps(each) for each in data.draw(st.lists(OBJECTS[dialect], max_size=3))]
    body = "".join(f"data: {each}\n\n" if "event" in content_type else f"{each}\n" for each in replies).encode()
    ask = endpoint.read(json.dumps(RIGHT[dialect]).encode(), {"model": "m"})
    got = passed(endpoint.meter(ask, content_type), [body])
    assert got.sent == body
    assert got.output_bytes >= 0
    assert got.reported is None or min(got.reported.tokens) >= 0
