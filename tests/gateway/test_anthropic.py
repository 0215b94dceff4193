"""Anthropic's dialect: paths, requests, plain replies, refusals, headers."""

import json

import pytest

from kvot.core.errors import Conflict, InvalidRequest, NotAuthenticated, StoreUnavailable
from kvot.gateway.dialect import Limits, Size
from kvot.gateway.providers.anthropic.asks import MessagesAsk, read_messages
from kvot.gateway.providers.anthropic.dialect import Anthropic
from kvot.gateway.providers.anthropic.media import (
    FETCHED_TOKENS,
    IMAGE_TOKENS,
    OWN_TOOL_TOKENS,
    PAGE_BYTES,
    PAGE_TOKENS,
    REFERENCE_PAGES,
    TOOLS_TOKENS,
)
from tests.gateway.cuts import passed
from tests.gateway.recorded import final, meter_for
from tests.gateway.sizes import unframed

DIALECT = Anthropic()
ASKED = {"model": "claude-x", "max_tokens": 1_000, "messages": [{"role": "user", "content": "Grüß dich"}]}
LIMITS = Limits(1_000, 100, 60, 30, 86_400_000, 41_212_001)


def ask(**members: object) -> MessagesAsk:
    return read_messages(json.dumps({**ASKED, **members}).encode(), {})


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "name", "is_free"),
    [
        ("POST", "/v1/messages", "messages", False),
        ("POST", "/v1/messages/count_tokens", "count_tokens", True),
        ("GET", "/v1/models", "models", True),
        ("GET", "/v1/models/claude-x-20261001", "models", True),
    ],
)
def test_paths_that_are_passed_on(verb: str, path: str, name: str, is_free: bool):
    found = DIALECT.find(verb, path, {})
    assert found
    assert found.endpoint.name == name
    assert (found.endpoint.read is None) == is_free


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/complete"),
        ("DELETE", "/v1/models/claude-x"),
        ("GET", "/v1/models/../files"),
        ("GET", "/v1/models/.."),
        ("GET", "/v1/models/a/b"),
        ("GET", "/v1/models/a\n"),
        ("POST", ""),
    ],
)
def test_other_paths_are_not(verb: str, path: str):
    assert DIALECT.find(verb, path, {}) is None


# -- requests ----------------------------------------------------------------------------------------------------------


def test_a_request_is_read():
    read = ask(stream=True)
    assert (read.model, read.is_stream, read.output_max, read.answers) == ("claude-x", True, 1_000, 1)
    assert unframed(read.size) == Size(len("userGrüß dich".encode()), 0)


def test_an_unchanged_request_goes_on_byte_by_byte():
    body = b' {"max_tokens" : 7 ,\r\n"messages":[], "model":"\\u0063laude", "unknown":1e9 } \n'
    read = read_messages(body, {})
    assert read.model == "claude"
    assert [read.body(), read.body(7), read.body(8)] == [body, body, body]


def test_a_lowered_ceiling_changes_its_own_bytes_alone():
    body = b'{"max_tokens" : 700 ,\r\n"messages":[{"max_tokens": 700}], "model":"m" }'
    lowered = b'{"max_tokens" : 64 ,\r\n"messages":[{"max_tokens": 700}], "model":"m" }'
    assert read_messages(body, {}).body(64) == lowered


def test_a_ceiling_of_zero_fills_the_cache():
    assert (ask(max_tokens=0).output_max, ask(max_tokens=0).output_min) == (0, 0)


@pytest.mark.parametrize(
    ("thinking", "output_min"),
    [
        (None, 1),
        ({"type": "adaptive"}, 1),
        ({"type": "enabled", "budget_tokens": 600}, 601),
        ({"type": "enabled", "budget_tokens": 4_000}, 1_000),  # a beta allows it: the ceiling stays as it is
    ],
)
def test_a_ceiling_is_not_lowered_into_the_thinking_budget(thinking: object, output_min: int):
    read = ask(thinking=thinking)
    assert read.output_min == output_min
    assert json.loads(read.body(output_min))["max_tokens"] == output_min
    with pytest.raises(InvalidRequest):
        read.body(output_min - 1)


@pytest.mark.parametrize("members", [{"Max_Tokens": 100_000}, {"n_predict": 100_000}, {"n": 64}, {"Messages": []}])
def test_what_another_server_of_this_api_reads_is_refused(members: dict[str, object]):
    with pytest.raises(InvalidRequest):
        ask(**members)


def test_a_fallback_has_no_ceiling_of_its_own():
    with pytest.raises(InvalidRequest, match="Leave it out: the request's own counts"):
        ask(fallbacks=[{"model": "a"}, {"model": "b", "max_tokens": 64_000}])


@pytest.mark.parametrize("fallbacks", [None, "default", [], [{"model": "a"}, {"model": "b", "max_tokens": None}]])
def test_a_fallback_without_one_has_the_requests(fallbacks: object):
    assert ask(fallbacks=fallbacks).output_max == 1_000


BLOCKS = [
    ({"type": "text", "text": "abcde"}, Size(9)),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 999}},
        Size(0, IMAGE_TOKENS),
    ),
    ({"type": "image", "source": {"type": "url", "url": "https://x"}}, Size(0, IMAGE_TOKENS)),
    ({"type": "document", "source": {"type": "text", "data": "abcde"}}, Size(5)),
    ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}}, Size(5)),
    (
        {"type": "document", "source": {"type": "content", "data": "x", "content": [{"type": "text", "text": "a"}]}},
        Size(6),
    ),
    ({"type": "document", "source": {"type": "base64", "data": "A" * 40}, "title": "abc"}, Size(3, PAGE_TOKENS)),
    ({"type": "document", "source": {"type": "base64", "data": "A" * (PAGE_BYTES * 2)}}, Size(0, 2 * PAGE_TOKENS)),
    ({"type": "document", "source": {"type": "file", "file_id": "f"}}, Size(0, REFERENCE_PAGES * PAGE_TOKENS)),
    ({"type": "tool_result", "content": [{"type": "image", "source": {}}, "ab"]}, Size(13, IMAGE_TOKENS)),
    ({"type": "thinking", "thinking": "abcde", "signature": "A" * 999}, Size(13)),
    # What a tool was asked is text, whatever it looks like.
    ({"type": "tool_use", "input": {"type": "image", "source": {"data": "abcde"}}}, Size(18 + 14)),
    # Of its arguments the model reads names, numbers, truth values and nulls too.
    ({"type": "tool_use", "input": {"ab": [12, True], "cd": None}}, Size(8 + 2 + 2 + 4 + 2 + 4)),
]


@pytest.mark.parametrize(("block", "size"), BLOCKS)
def test_how_much_a_block_is(block: object, size: Size):
    assert unframed(ask(model="claude-sonnet-4-6", messages=[{"content": [block]}]).size) == size


# Anthropic, "Images and vision": an image is made so small that it has so many patches of 28 pixels, at most.
@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-haiku-20240307", 1_568),
        ("claude-sonnet-4-20250514", 1_568),
        ("claude-opus-4-1@20250805", 1_568),
        ("claude-haiku-4-5-20251001", 1_568),
        ("claude-opus-4-6", 1_568),
        ("claude-opus-4-7", 4_784),
        ("claude-opus-4-8", 4_784),
        ("claude-sonnet-5", 4_784),
        ("claude-opus-4-10", 4_784),
        ("claude-30", 4_784),
        ("whatever", 4_784),
    ],
)
def test_an_image_is_held_at_the_most_that_it_has_at_the_model(model: str, most: int):
    size = ask(model=model, messages=[{"content": [{"type": "image", "source": {}}]}]).size
    assert most <= size.media_tokens + size.spare_tokens <= max(most, IMAGE_TOKENS)
    document = ask(model=model, messages=[{"content": [{"type": "document", "source": {"file_id": "f"}}]}]).size
    assert document.media_tokens + document.spare_tokens >= REFERENCE_PAGES * (3_000 + most)


@pytest.mark.parametrize(
    ("tool", "spare_tokens"),
    [
        ({"name": "f", "input_schema": {}}, 0),
        ({"type": "custom", "name": "f"}, 0),
        ({"type": "bash_20250124", "name": "bash"}, OWN_TOOL_TOKENS),
        ({"type": "web_fetch_20250910", "name": "web_fetch"}, OWN_TOOL_TOKENS + FETCHED_TOKENS),
        ({"type": "web_fetch_20250910", "max_content_tokens": 9_000}, OWN_TOOL_TOKENS + 9_000),
        ({"type": "web_fetch_20250910", "max_content_tokens": -9_000}, OWN_TOOL_TOKENS + FETCHED_TOKENS),
        ({"type": 5}, 0),
        ("x", 0),
    ],
)
def test_of_anthropics_own_tools_what_the_request_does_not_show_is_held(tool: object, spare_tokens: int):
    assert ask(messages=[], tools=[tool]).size.spare_tokens == spare_tokens


def test_system_tools_and_schemas_are_read_too():
    tools = [{"name": "ab", "input_schema": {"properties": {"city": {}}}}]
    size = ask(messages=[], system=[{"type": "text", "text": "abc"}], tools=tools).size
    assert unframed(size) == Size(len("textabc" + "nameabinput_schemapropertiescity"), TOOLS_TOKENS)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"compaction": {"type": "summarize", "instructions": "abc"}}, "typesummarizeinstructionsabc"),
        (
            {"context_management": {"edits": [{"type": "compact_20260112", "instructions": "abc"}]}},
            "editstypecompact_20260112instructionsabc",
        ),
        (
            {"fallbacks": [{"model": "m", "output_config": {"format": {"schema": {"a": 5}}}}]},
            "modelmoutput_configformatschemaa5",
        ),
        ({"compaction": None, "context_management": None, "fallbacks": "default"}, "default"),
    ],
)
def test_instructions_beside_the_conversation_are_read_too(members: dict[str, object], text: str):
    assert unframed(ask(messages=[], **members).size) == Size(len(text))


WRONG: list[dict[str, object]] = [
    {"model": None},
    {"model": ""},
    {"model": 5},
    {"model": "m" * 10_000},
    {"model": "a\nb"},
    {"max_tokens": None},
    {"max_tokens": -1},
    {"max_tokens": 1.5},
    {"max_tokens": "7"},
    {"max_tokens": True},
    {"max_tokens": 10**30},
    {"stream": "yes"},
    {"stream": 1},
    {"messages": None},
    {"messages": {}},
    {"messages": ["text"]},
    {"thinking": 5},
    {"thinking": {"budget_tokens": -1}},
    {"thinking": {"budget_tokens": "9"}},
]
BAD = [
    b"",
    b"[]",
    b"null",
    b'"text"',
    b"{",
    b"\xff",
    b'{"model":"m","max_tokens":1,"messages":[]} {}',
    b'{"model":"m","max_tokens":1,"messages":[],"max_tokens":9}',
    b'{"model":"m","max_tokens":1,"messages":[],"max\\u005ftokens":9}',
    b'{"model":"m","max_tokens":1,"messages":[],"thinking":{"budget_tokens":1,"budget_tokens":2}}',
    b'{"model":"m","max_tokens":1,"messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"model":"m","max_tokens":1,"messages":[],"x":"\xff"}',
    *(json.dumps({**ASKED, **wrong}).encode() for wrong in WRONG),
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_cannot_be_understood_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_messages(body, {})


# -- plain replies -----------------------------------------------------------------------------------------------------


def meter():
    return meter_for("anthropic", "/v1/messages", ASKED, "application/json")


def test_a_plain_reply_is_metered():
    usage = {
        "input_tokens": 50,
        "cache_creation_input_tokens": 1_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000},
        "cache_read_input_tokens": 4_000,
        "output_tokens": 300,
        "output_tokens_details": {"thinking_tokens": 120},
    }
    content = [{"type": "text", "text": '{"usage":{"output_tokens":999}}'}, {"type": "tool_use", "input": {"a": "b"}}]
    reply = {"id": "msg_1", "type": "message", "model": "claude-x", "content": content, "usage": usage}
    body = json.dumps(reply).encode()
    got = passed(meter(), [body[:40], body[40:]])
    assert got[:6] == (body, final(50, 4_000, 1_000, 180, 120), 32, False, "claude-x", "msg_1")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        5,
        {},
        {"input_tokens": 5},
        {"output_tokens": 5},
        {"input_tokens": -5, "output_tokens": 5},
        {"input_tokens": "5", "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 10**20},
        {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": 0.5},
        {"input_tokens": 5, "output_tokens": 5, "iterations": [{"type": "compaction", "input_tokens": -9}]},
        {"input_tokens": 0, "output_tokens": 0},
    ],
)
def test_figures_that_cannot_be_true_are_none(usage: object):
    body = json.dumps({"id": "msg_1", "type": "message", "content": [], "usage": usage}).encode()
    assert passed(meter(), [body]).reported is None


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 9_999, b'{"content":5,"usage":5,"model":{}}'])
def test_any_reply_passes(body: bytes):
    assert passed(meter(), [body]).sent == body


def test_an_error_is_one():
    assert passed(meter(), [b'{"type":"error","error":{"type":"overloaded_error","message":""}}']).has_failed


# -- credentials and headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({}, None),
        ({b"authorization": b"Bearer kvot_1"}, "kvot_1"),
        ({b"authorization": b"bearer  kvot_1 "}, "kvot_1"),
        ({b"authorization": b"Basic kvot_1"}, None),
        ({b"authorization": b"Bearer "}, None),
        ({b"x-api-key": b"kvot_1"}, "kvot_1"),
        ({b"x-api-key": b"kvot_1", b"authorization": b"Bearer kvot_2"}, "kvot_1"),
        ({b"x-api-key": b"", b"authorization": b"Bearer kvot_2"}, "kvot_2"),
        ({b"x-api-key": b"\xff\xfe"}, None),
        ({b"x-api-key": b"k" * 9_000}, None),
    ],
)
def test_where_the_credential_is(headers: dict[bytes, bytes], credential: str | None):
    assert DIALECT.credential(headers, {}) == credential


def test_the_provider_takes_its_key_in_its_own_header():
    assert DIALECT.authorization("sk-ant") == ((b"x-api-key", b"sk-ant"),)
    assert DIALECT.authorization("") == ()


def test_which_headers_go_on():
    passing = [b"anthropic-version", b"anthropic-beta", b"content-type", b"x-stainless-retry-count"]
    kept_back = [b"authorization", b"x-api-key", b"cookie", b"x-forwarded-for", b"anthropic-workspace-id", b"host"]
    assert all(map(DIALECT.passes_request_header, passing))
    assert not any(map(DIALECT.passes_request_header, kept_back))


def test_which_headers_come_back():
    passing = [b"request-id", b"retry-after", b"anthropic-ratelimit-tokens-reset", b"content-type"]
    kept_back = [b"anthropic-organization-id", b"anthropic-workspace-id", b"set-cookie", b"server"]
    assert all(map(DIALECT.passes_reply_header, passing))
    assert not any(map(DIALECT.passes_reply_header, kept_back))


def test_which_parameters_go_on():
    assert DIALECT.passes_query("beta")
    assert not DIALECT.passes_query("key")


# -- our own replies ---------------------------------------------------------------------------------------------------


def test_an_exhausted_budget_says_so_and_asks_not_to_retry():
    refusal = DIALECT.exhausted(LIMITS, "The budget is used up.", "req_1", 429)
    body, headers = json.loads(refusal.body), dict(refusal.headers)
    assert body["kvot"]["resetsAt"] == "1970-01-01T11:26:53.001Z"
    assert body["error"]["type"] == "rate_limit_error"
    assert body["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert (body["type"], body["request_id"], headers[b"request-id"]) == ("error", "req_1", b"req_1")
    assert headers[b"x-should-retry"] == b"false"
    assert headers[b"retry-after"] == b"41213"


def test_no_wait_is_named_where_waiting_cannot_help():
    refusal = DIALECT.exhausted(LIMITS._replace(fits_after_ms=None), "Too much.", "req_1", 402)
    assert b"retry-after" not in dict(refusal.headers)
    assert (refusal.status, json.loads(refusal.body)["error"]["type"]) == (402, "billing_error")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("No."), 400, "invalid_request_error"),
        (NotAuthenticated(), 401, "authentication_error"),
        (Conflict("No."), 409, "conflict_error"),
        (StoreUnavailable("No."), 503, "overloaded_error"),
    ],
)
def test_other_errors_have_the_words_that_the_client_knows(error, status: int, kind: str):
    refusal = DIALECT.failed(error, status, "req_1")
    assert json.loads(refusal.body)["error"] == {"type": kind, "message": error.message}
    assert dict(refusal.headers).get(b"retry-after") == (b"1" if status == 503 else None)


def test_the_limits_are_told_in_the_familys_headers():
    assert DIALECT.limit_headers(LIMITS) == (
        (b"anthropic-ratelimit-tokens-limit", b"100"),
        (b"anthropic-ratelimit-tokens-remaining", b"10"),
        (b"anthropic-ratelimit-tokens-reset", b"1970-01-02T00:00:01Z"),
    )
