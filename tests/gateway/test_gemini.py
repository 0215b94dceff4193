"""Gemini's dialect: paths, requests, plain replies, refusals, headers."""

import json

import pytest

from kvot.core.errors import FieldError, InvalidRequest, NotFound, StoreUnavailable
from kvot.gateway.dialect import Found, Limits, Size
from kvot.gateway.providers.gemini.asks import (
    CACHED_TOKENS,
    GeminiAsk,
    read_embed,
    read_embeds,
    read_generate,
    read_stream,
)
from kvot.gateway.providers.gemini.dialect import Gemini
from kvot.gateway.providers.gemini.media import FETCHED_TOKENS, IMAGE_TOKENS, REFERENCE_TOKENS
from tests.gateway.cuts import passed
from tests.gateway.recorded import final, meter_for, part
from tests.gateway.sizes import unframed

DIALECT = Gemini()
MODEL = {"model": "gemini-x"}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Grüß dich"}]}]}
LIMITS = Limits(1_000, 100, 60, 30, 86_400_000, 36_001)


def ask(**members: object) -> GeminiAsk:
    return read_generate(json.dumps({**CONTENTS, **members}).encode(), MODEL)


def find(verb: str, path: str, **query: str) -> Found | None:
    return DIALECT.find(verb, path, query)


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize(
    ("verb", "rest", "name", "is_free"),
    [
        ("POST", "/gemini-x:generateContent", "generate_content", False),
        ("POST", "/gemini-x:streamGenerateContent", "stream_generate_content", False),
        ("POST", "/gemini-x:embedContent", "embed_content", False),
        ("POST", "/gemini-x:batchEmbedContents", "batch_embed_contents", False),
        ("POST", "/gemini-x:countTokens", "count_tokens", True),
        ("GET", "", "models", True),
        ("GET", "/gemini-2.5-flash", "models", True),
    ],
)
def test_paths_that_are_passed_on(version: str, verb: str, rest: str, name: str, is_free: bool):
    found = find(verb, f"/{version}/models{rest}")
    assert found
    assert (found.endpoint.name, found.endpoint.read is None) == (name, is_free)


def test_the_path_names_the_model():
    found = find("POST", "/v1beta/models/gemini-2.5-flash:generateContent")
    assert found
    assert found.variables == {"model": "gemini-2.5-flash"}


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/models/gemini-x:generateContent"),
        ("POST", "/v1/models/gemini-x"),
        ("POST", "/v1/models/gemini-x:batchGenerateContent"),
        ("POST", "/v1/models/gemini-x:predict"),
        ("POST", "/v1/models/..:generateContent"),
        ("POST", "/v1/models/a/b:generateContent"),
        ("POST", "/v1/models/a%2Fb:generateContent"),
        ("POST", "/v1/models/:generateContent"),
        ("POST", "/v1/tunedModels/a:generateContent"),
        ("POST", "/v2/models/gemini-x:generateContent"),
        ("POST", "/v1beta/cachedContents"),
        ("DELETE", "/v1/models/gemini-x"),
        ("POST", "/v1/models/gemini-x:generateContent\n"),
    ],
)
def test_other_paths_are_not(verb: str, path: str):
    assert find(verb, path) is None


def test_a_reply_in_a_form_that_cannot_be_metered_is_not_asked_for():
    assert find("POST", "/v1/models/gemini-x:generateContent", alt="proto") is None


@pytest.mark.parametrize(("alt", "has_array"), [("sse", False), ("json", True), ("", True)])
def test_a_stream_without_events_is_an_array_and_so_are_its_errors(alt: str, has_array: bool):
    found = find("POST", "/v1/models/gemini-x:streamGenerateContent", alt=alt)
    assert found
    refusal = DIALECT.failed(NotFound("No."), 404, "req_1")
    assert isinstance(json.loads(found.endpoint.framed(refusal).body), list) == has_array


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "output_max", "answers"),
    [
        (None, None, 1),
        ({}, None, 1),
        ({"maxOutputTokens": 100}, 100, 1),
        ({"max_output_tokens": 100, "candidate_count": 3}, 100, 3),
        ({"maxOutputTokens": "100", "candidateCount": 2.0}, 100, 2),
        ({"maxOutputTokens": 1e2}, 100, 1),
        ({"maxOutputTokens": 0, "candidateCount": 0}, None, 1),
        ({"maxOutputTokens": None}, None, 1),
    ],
)
@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_the_ceiling_is_read_however_it_is_written(name: str, config: object, output_max: int | None, answers: int):
    read = ask(**{name: config})
    assert (read.model, read.output_max, read.answers) == ("gemini-x", output_max, answers)


def test_a_stream_is_one_by_its_path():
    assert read_stream(json.dumps(CONTENTS).encode(), MODEL).is_stream
    assert not ask().is_stream


@pytest.mark.parametrize(
    ("body", "lowered"),
    [
        (
            b'{"contents":[], "generationConfig" : {"topK":1e0, "maxOutputTokens" : 100 } }',
            b'{"contents":[], "generationConfig" : {"topK":1e0, "maxOutputTokens" : 64 } }',
        ),
        (
            b'{"generation_config":{"max_output_tokens":"100"},"contents":[{"maxOutputTokens":100}]}',
            b'{"generation_config":{"max_output_tokens":64},"contents":[{"maxOutputTokens":100}]}',
        ),
        (
            b'{"contents":[],"generation_config":{"topK":1}}',
            b'{"contents":[],"generation_config":{"maxOutputTokens":64,"topK":1}}',
        ),
        (b'{"contents":[],"generationConfig":null}', b'{"contents":[],"generationConfig":{"maxOutputTokens":64}}'),
        (b'{ "contents":[] }', b'{"generationConfig":{"maxOutputTokens":64}, "contents":[] }'),
    ],
)
def test_a_lowered_ceiling_changes_its_own_bytes_alone(body: bytes, lowered: bytes):
    read = read_generate(body, MODEL)
    assert (read.body(), read.body(64)) == (body, lowered)


def test_a_ceiling_is_never_raised():
    read = ask(generationConfig={"maxOutputTokens": 7})
    assert read.body(8) == read.body()


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        ({"text": "abcde"}, Size(len("textabcde"))),
        ({"inlineData": {"mimeType": "image/png", "data": "A" * 999}}, Size(0, IMAGE_TOKENS)),
        ({"inline_data": {"mime_type": "IMAGE/png", "data": "A" * 999}}, Size(0, IMAGE_TOKENS)),
        ({"inlineData": {"mimeType": "audio/wav", "data": "A" * 4_000}}, Size(0, 4)),
        ({"inlineData": {"mimeType": "audio/mp3", "data": "A" * 4_000}}, Size(0, 13)),
        ({"inlineData": {"mimeType": "video/mp4", "data": "A" * 4_000}}, Size(0, 8)),
        ({"inlineData": {"mimeType": "application/pdf", "data": "A" * 4_000}}, Size(0, 24)),
        ({"inlineData": {"mimeType": "text/csv", "data": "A" * 4_000}}, Size(3_000)),
        ({"fileData": {"fileUri": "https://x"}}, Size(0, REFERENCE_TOKENS)),
        ({"functionResponse": {"name": "a", "parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}},
         Size(len("namea"), IMAGE_TOKENS)),
        ({"thoughtSignature": "A" * 999, "text": "a"}, Size(len("texta"))),
        # What a function was asked is text, whatever it looks like.
        ({"functionCall": {"args": {"inlineData": {"mimeType": "image/png", "data": "abc"}}}}, Size(38 + 3)),
    ],
)  # fmt: skip
def test_how_much_a_part_is(piece: object, size: Size):
    nothing = ask(contents=[{"parts": []}]).size
    assert unframed(nothing) == Size(0, 0)
    got = ask(contents=[{"parts": [piece]}]).size
    assert got.media_tokens == size.media_tokens
    if size.text_bytes:
        assert got.text_bytes >= size.text_bytes - 12
    else:
        assert got.text_bytes == 0


def test_an_image_is_held_at_the_most_that_any_model_and_resolution_makes_of_it():
    """Google, "Media resolution": 2,240 at the highest of Gemini 3; 256 and some 2,048 for its parts of Gemini 2.5."""
    size = ask(contents=[{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}]).size
    assert size.media_tokens + size.spare_tokens == 256 + 2_048 >= 2_240


VIDEO = {"inlineData": {"mimeType": "video/mp4", "data": "A" * 4_000}}
FILE = {"fileData": {"fileUri": "https://x"}}


@pytest.mark.parametrize(
    ("piece", "media_tokens"),
    [
        (VIDEO | {"videoMetadata": {"fps": 24}}, 8 * 24),
        (VIDEO | {"video_metadata": {"fps": "2.5"}}, 8 * 2.5),
        (VIDEO | {"videoMetadata": {"fps": 0.1}}, 8),
        (VIDEO | {"videoMetadata": {"fps": 1_000}}, 8 * 24),  # it would not be taken
        (VIDEO | {"videoMetadata": {"fps": "NaN"}}, 8 * 24),
        (VIDEO | {"videoMetadata": {"fps": None}}, 8),
        (VIDEO | {"videoMetadata": 5}, 8),
        (FILE | {"videoMetadata": {"fps": 2}}, 2 * REFERENCE_TOKENS),
    ],
)
def test_a_video_counts_as_many_frames_of_a_second_as_are_asked_for(piece: object, media_tokens: int):
    assert ask(contents=[{"parts": [piece]}]).size.media_tokens == media_tokens


@pytest.mark.parametrize(
    ("tools", "spare_tokens"),
    [
        ([{"urlContext": {}}], FETCHED_TOKENS),
        ([{"googleSearch": {}}, {"url_context": {}}], FETCHED_TOKENS),
        ({"urlContext": {}}, FETCHED_TOKENS),
        ([{"googleSearch": {}}], 0),
        ([5, {"urlContext": None}], 0),
    ],
)
def test_for_what_a_tool_reads_from_the_web_a_page_is_held(tools: object, spare_tokens: int):
    assert ask(contents=[], tools=tools).size.spare_tokens == spare_tokens


def test_each_turn_counts_its_role():
    turns = [{"role": "user", "parts": [{"text": "a"}]}] * 3
    assert ask(contents=turns).size.text_bytes == 3 * len("usera")


def test_one_content_and_one_part_need_no_list():
    assert ask(contents={"parts": {"text": "abc"}}).size == ask(contents=[{"parts": [{"text": "abc"}]}]).size


def test_instructions_tools_and_cached_contents_are_read_too():
    size = ask(
        contents=[],
        system_instruction={"parts": [{"text": "abc"}]},
        tools=[{"functionDeclarations": [{"name": "weather"}]}],
        cachedContent="cachedContents/1",
    ).size
    assert unframed(size) == Size(len("abcfunctionDeclarationsnameweather"), CACHED_TOKENS)


@pytest.mark.parametrize(
    "name",
    [
        "responseSchema",
        "response_schema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "_response_json_schema",
        "responseFormat",
        "response_format",
    ],
)
def test_the_form_of_an_answer_is_read_too(name: str):
    assert unframed(ask(contents=[], generationConfig={name: {"type": "object"}}).size) == Size(len("typeobject"))


def test_the_title_of_what_is_embedded_is_text():
    request: dict[str, object] = {"content": {"parts": [{"text": "abc"}]}}
    titled = request | {"title": "Grüß dich"}
    one, longer = (read_embed(json.dumps(each).encode(), MODEL).size for each in (request, titled))
    assert longer.text_bytes - one.text_bytes == len("Grüß dich".encode())
    assert read_embeds(json.dumps({"requests": [titled]}).encode(), MODEL).size == longer


def test_embeddings_have_no_output():
    one = read_embed(b'{"content":{"parts":[{"text":"abc"}]}}', MODEL)
    many = read_embeds(b'{"requests":[{"model":"models/gemini-x","content":{"parts":[{"text":"abc"}]}}]}', MODEL)
    assert one.size == many.size
    assert one.size.text_bytes > 0
    assert [(each.output_max, each.output_min, each.is_stream) for each in (one, many)] == [(0, 0, False)] * 2


WRONG: list[dict[str, object]] = [
    {"contents": None},
    {"contents": "text"},
    {"contents": 5},
    {"contents": [], "model": "gemini-y"},
    {"contents": [], "model": 5},
    {"contents": [], "model": {}},
    {"contents": [], "generationConfig": 5},
    {"contents": [], "generationConfig": []},
    {"contents": [], "generationConfig": {}, "generation_config": {}},
    {"contents": [], "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
    {"contents": [], "generationConfig": {"maxOutputTokens": -1}},
    {"contents": [], "generationConfig": {"maxOutputTokens": "-1"}},
    {"contents": [], "generationConfig": {"maxOutputTokens": 1.5}},
    {"contents": [], "generationConfig": {"maxOutputTokens": "many"}},
    {"contents": [], "generationConfig": {"maxOutputTokens": "٣"}},
    {"contents": [], "generationConfig": {"maxOutputTokens": True}},
    {"contents": [], "generationConfig": {"maxOutputTokens": [9]}},
    {"contents": [], "generationConfig": {"maxOutputTokens": 10**30}},
    {"contents": [], "generationConfig": {"candidateCount": -1}},
    {"contents": [], "generationConfig": {"candidateCount": 1_000}},
    {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "mime_type": "text/plain", "data": "A"}}]}]},
]
BAD = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff",
    b'{"contents":[]} {}',
    b'{"contents":[],"contents":[]}',
    b'{"contents":[],"generationConfig":{},"generation\\u0043onfig":{"maxOutputTokens":9}}',
    b'{"contents":[],"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}}',
    b'{"contents":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    *(json.dumps(wrong).encode() for wrong in WRONG),
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_cannot_be_understood_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_generate(body, MODEL)


@pytest.mark.parametrize("body", [b"{}", b'{"content":5}', b'{"content":"text"}', b"[]", b'{"content":{},"model":"y"}'])
def test_a_bad_embedding_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_embed(body, MODEL)


@pytest.mark.parametrize("body", [b"{}", b'{"requests":{}}', b'{"requests":[5]}', b'{"requests":[{"model":"y"}]}'])
def test_bad_embeddings_are_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_embeds(body, MODEL)


# -- plain replies -----------------------------------------------------------------------------------------------------


def meter(action: str = "generateContent"):
    request: dict[str, object] = {"contents": [], "content": {}}
    return meter_for("gemini", f"/v1/models/gemini-x:{action}", request, "application/json; charset=utf-8")


def test_a_plain_reply_is_metered():
    usage = {
        "promptTokenCount": 1_200,
        "cachedContentTokenCount": 1_000,
        "candidatesTokenCount": 80,
        "thoughtsTokenCount": 150,
        "toolUsePromptTokenCount": 40,
        "totalTokenCount": 1_470,
    }
    candidate = {"content": {"parts": [{"text": "Grüß dich"}]}, "finishReason": "STOP", "index": 0}
    reply = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r1"}
    body = json.dumps(reply).encode()
    got = passed(meter(), [body[:99], body[99:]])
    assert got[:6] == (body, final(240, 1_000, 0, 80, 150), len("Grüß dich".encode()), False, "gemini-x", "r1")


def test_a_generated_image_beyond_the_bound_is_metered_by_its_end():
    candidate = {"content": {"parts": [{"inlineData": {"data": "A" * 3_000_000}}]}}
    reply = {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1_290}}
    body = json.dumps(reply).encode()
    pieces = [body[n : n + 60_000] for n in range(0, len(body), 60_000)]
    assert passed(meter(), pieces).reported == final(5, 0, 0, 1_290)


def test_a_stream_cut_after_some_answers_is_not_final():
    candidate = {"content": {"parts": [{"text": "Ja"}]}, "finishReason": "STOP"}
    body = json.dumps([{"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5}}]).encode()
    request = {"contents": [], "generationConfig": {"candidateCount": 2}}
    stream = meter_for("gemini", "/v1/models/gemini-x:streamGenerateContent", request, "application/json")
    assert passed(stream, [body]).reported == part(5)


@pytest.mark.parametrize(
    ("usage", "reported"),
    [
        (None, None),
        (5, None),
        ([], None),
        ({}, None),
        ({"promptTokenCount": 0}, None),
        ({"promptTokenCount": -5}, None),
        ({"promptTokenCount": "5"}, None),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 10**20}, None),
        ({"promptTokenCount": 5}, final(5)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 9}, final(5)),
        ({"promptTokenCount": 5, "totalTokenCount": 9}, final(5, mismatch=9)),
    ],
)
def test_which_figures_count(usage: object, reported: object):
    body = json.dumps({"candidates": [], "usageMetadata": usage}).encode()
    assert passed(meter(), [body]).reported == reported


@pytest.mark.parametrize("body", [b"", b"5", b"[]", b"[5]", b"{", b"\xff", b"[" * 9_999, b'{"candidates":[5]}'])
def test_any_reply_passes(body: bytes):
    assert passed(meter(), [body]).sent == body


def test_embeddings_without_usage_have_none():
    got = passed(meter("embedContent"), [b'{"embedding":{"values":[0.1,0.2]}}'])
    assert (got.reported, got.output_bytes) == (None, 0)


@pytest.mark.parametrize("body", [b'{"error":{"code":503}}', b'[{"error":{"code":503}}]'])
def test_an_error_is_one_also_in_an_array(body: bytes):
    assert passed(meter(), [body]).has_failed


# -- credentials and headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "query", "credential"),
    [
        ({}, {}, None),
        ({b"x-goog-api-key": b"kvot_1"}, {}, "kvot_1"),
        ({}, {"key": "kvot_1"}, "kvot_1"),
        ({b"x-goog-api-key": b"kvot_1"}, {"key": "kvot_2"}, "kvot_1"),
        ({}, {"key": ""}, None),
        ({}, {"key": "ключ"}, None),
        ({}, {"key": "\udcff"}, None),
    ],
)
def test_where_the_credential_is(headers: dict[bytes, bytes], query: dict[str, str], credential: str | None):
    assert DIALECT.credential(headers, query) == credential


def test_the_provider_takes_its_key_in_a_header():
    assert DIALECT.authorization("AIza") == ((b"x-goog-api-key", b"AIza"),)
    assert DIALECT.authorization("") == ()


def test_the_credential_never_goes_on():
    assert not DIALECT.passes_query("key")
    assert not DIALECT.passes_query("access_token")
    assert not any(map(DIALECT.passes_request_header, [b"x-goog-api-key", b"authorization", b"x-goog-user-project"]))


def test_what_would_hide_the_usage_does_not_go_on():
    assert not any(map(DIALECT.passes_query, ["fields", "$fields", "$alt"]))
    assert not any(map(DIALECT.passes_request_header, [b"x-goog-fieldmask", b"x-http-method-override"]))


def test_what_the_api_knows_goes_on_and_comes_back():
    assert DIALECT.passes_query("alt")
    assert DIALECT.passes_request_header(b"x-goog-api-client")
    assert DIALECT.passes_reply_header(b"content-type")
    assert not DIALECT.passes_reply_header(b"set-cookie")


# -- our own replies ---------------------------------------------------------------------------------------------------


def details_of(body: bytes) -> dict[str, dict[str, object]]:
    return {each["@type"].rpartition(".")[2]: each for each in json.loads(body)["error"]["details"]}


def test_an_exhausted_budget_says_so_and_how_long_to_wait():
    refusal = DIALECT.exhausted(LIMITS, "The budget is used up.", "req_1", 429)
    error, details = json.loads(refusal.body)["error"], details_of(refusal.body)
    assert (error["code"], error["status"], error["message"]) == (429, "RESOURCE_EXHAUSTED", "The budget is used up.")
    assert details["QuotaFailure"]["violations"] == [{"subject": "kvot", "description": "The budget is used up."}]
    assert details["RetryInfo"]["retryDelay"] == "37s"
    assert dict(refusal.headers)[b"retry-after"] == b"37"
    assert dict(refusal.headers)[b"x-should-retry"] == b"false"


def test_no_wait_is_named_where_waiting_cannot_help():
    refusal = DIALECT.exhausted(LIMITS._replace(fits_after_ms=None), "Too much.", "req_1", 429)
    assert "RetryInfo" not in details_of(refusal.body)
    assert b"retry-after" not in dict(refusal.headers)


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (InvalidRequest("No."), 400, "INVALID_ARGUMENT"),
        (NotFound("No."), 404, "NOT_FOUND"),
        (StoreUnavailable("No."), 503, "UNAVAILABLE"),
    ],
)
def test_other_errors_have_the_words_that_the_client_knows(error, status: int, word: str):
    assert json.loads(DIALECT.failed(error, status, "req_1").body)["error"]["status"] == word


def test_a_bad_field_is_named():
    error = InvalidRequest.of_fields([FieldError("contents", "InvalidRequest", "No.")])
    details = details_of(DIALECT.failed(error, 400, "req_1").body)
    assert details["BadRequest"]["fieldViolations"] == [{"field": "contents", "description": "No."}]


def test_there_is_no_family_of_headers():
    assert DIALECT.limit_headers(LIMITS) == ()


@pytest.mark.parametrize("name", ["max_outputTokens", "maxoutputtokens", "Max_Output_Tokens"])
def test_a_name_that_no_protocol_buffer_has_bounds_nothing(name: str):
    assert ask(generationConfig={name: 5}).output_max is None
