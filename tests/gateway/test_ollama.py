"""Ollama's dialect: paths, requests, plain replies, refusals, headers."""

import json

import pytest

from kvot.core.errors import InvalidRequest, StoreUnavailable
from kvot.gateway.dialect import Limits, Size
from kvot.gateway.metering.metered import DOCUMENT_BYTES_MAX
from kvot.gateway.providers.ollama.asks import IMAGE_TOKENS, OllamaAsk, read_chat, read_embed, read_generate
from kvot.gateway.providers.ollama.dialect import Ollama
from tests.gateway.cuts import passed
from tests.gateway.recorded import final, meter_for, part
from tests.gateway.sizes import unframed

DIALECT = Ollama()
LIMITS = Limits(1_000, 100, 60, 30, 86_400_000, 36_001)


def chat(**members: object) -> OllamaAsk:
    return read_chat(json.dumps({"model": "m", **members}).encode(), {})


def generate(**members: object) -> OllamaAsk:
    return read_generate(json.dumps({"model": "m", **members}).encode(), {})


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "name", "is_free"),
    [
        ("POST", "/api/chat", "chat", False),
        ("POST", "/api/generate", "generate", False),
        ("POST", "/api/embed", "embed", False),
        ("POST", "/api/embeddings", "embeddings", False),
        ("GET", "/api/tags", "tags", True),
        ("GET", "/api/version", "version", True),
        ("POST", "/api/show", "show", True),
    ],
)
def test_paths_that_are_passed_on(verb: str, path: str, name: str, is_free: bool):
    found = DIALECT.find(verb, path, {})
    assert found
    assert (found.endpoint.name, found.endpoint.read is None) == (name, is_free)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("GET", "/api/chat"),
        ("POST", "/api/chat/"),
        ("POST", "/api/../api/chat"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_other_paths_are_not(verb: str, path: str):
    assert DIALECT.find(verb, path, {}) is None


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "is_stream"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_a_reply_is_a_stream_unless_asked_otherwise(members: dict[str, object], is_stream: bool):
    assert (chat(**members).is_stream, generate(**members).is_stream) == (is_stream, is_stream)


@pytest.mark.parametrize(
    ("options", "output_max"),
    [
        (None, None),
        ({}, None),
        ({"num_predict": 100}, 100),
        ({"num_predict": 100.0}, 100),
        ({"num_predict": -1}, None),
        ({"num_predict": -2}, None),
        ({"num_predict": 0}, None),
        ({"num_predict": None}, None),
        ({"max_tokens": None, "n": 1, "Temperature": 0}, None),
    ],
)
def test_the_ceiling(options: object, output_max: int | None):
    assert chat(options=options).output_max == output_max


@pytest.mark.parametrize(
    ("body", "lowered"),
    [
        (
            b'{"model":"m" , "options" : {"seed":1 ,"num_predict" : -1} }',
            b'{"model":"m" , "options" : {"seed":1 ,"num_predict" : 64} }',
        ),
        (b'{"model":"m","options":{"seed":1}}', b'{"model":"m","options":{"num_predict":64,"seed":1}}'),
        (b'{"model":"m","options":{ }}', b'{"model":"m","options":{"num_predict":64 }}'),
        (b'{"model":"m","options":null}', b'{"model":"m","options":{"num_predict":64}}'),
        (b'{ "model":"m"}', b'{"options":{"num_predict":64}, "model":"m"}'),
    ],
)
def test_a_lowered_ceiling_changes_its_own_bytes_alone(body: bytes, lowered: bytes):
    read = read_generate(body, {})
    assert (read.body(), read.body(64)) == (body, lowered)


def test_a_ceiling_is_never_raised():
    read = chat(options={"num_predict": 7})
    assert read.body(8) == read.body()


def test_how_much_a_chat_is():
    messages = [{"role": "user", "content": "Grüß dich", "images": ["A" * 999, "B"]}]
    tools = [{"function": {"name": "weather"}}]
    text = "userGrüß dichfunctionnameweather"
    assert unframed(chat(messages=messages, tools=tools).size) == Size(len(text.encode()), 2 * IMAGE_TOKENS)


def test_each_mark_of_an_image_in_a_text_is_an_image_where_there_are_any():
    marks, images = "[img-0]" * 100, ["A"]
    messages = [{"role": "user", "content": marks, "images": images}]
    assert chat(messages=messages).size.media_tokens == 101 * IMAGE_TOKENS
    assert chat(messages=messages, tools=[marks]).size.media_tokens == 201 * IMAGE_TOKENS
    assert generate(prompt=marks, system="[img-1]", images=images).size.media_tokens == 102 * IMAGE_TOKENS
    assert generate(prompt=marks, images=[]).size.media_tokens == 0


def test_how_much_a_prompt_is():
    read = generate(prompt="abc", system="de", template="", suffix="g", images=["A" * 999], context=[1, 2, 3])
    assert unframed(read.size) == Size(6, IMAGE_TOKENS + 3)


@pytest.mark.parametrize("template", ['{{printf "%400000d" 1}}', "{{.Prompt}}{{.Prompt}}", " ", 5, ["{{.Prompt}}"]])
def test_a_template_that_could_write_without_end_is_refused(template: object):
    with pytest.raises(InvalidRequest, match="'template' is not possible here"):
        generate(prompt="a", template=template)


@pytest.mark.parametrize("template", [None, ""])
def test_the_models_own_template_is_not(template: object):
    assert generate(prompt="a", template=template).model == "m"


@pytest.mark.parametrize("members", [{"input": "abc"}, {"input": ["ab", "c"]}, {"prompt": "abc"}])
def test_embeddings_have_no_output(members: dict[str, object]):
    read = read_embed(json.dumps({"model": "m", **members}).encode(), {})
    assert (unframed(read.size), read.output_max, read.output_min, read.is_stream) == (Size(3), 0, 0, False)


WRONG: list[dict[str, object]] = [
    {"model": None},
    {"model": ""},
    {"model": 5},
    {"stream": "yes"},
    {"stream": 0},
    {"options": 5},
    {"options": []},
    {"options": {"num_predict": -3}},
    {"options": {"num_predict": 1.5}},
    {"options": {"num_predict": "9"}},
    {"options": {"num_predict": True}},
    {"options": {"num_predict": 10**30}},
    {"options": {"num_predict": 10, "Num_Predict": 100_000}},
    {"options": {"num_predict": 10, "n": 64}},
    {"n": 64},
    {"fallbacks": [{"model": "k", "max_tokens": 100_000}]},
    {"Options": {"num_predict": 10}},
    {"MODEL": "other"},
    {"option\u017f": {"num_predict": 10}},  # a letter that Ollama takes for an s
]
BAD = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"\xff",
    b'{"model":"m"} {}',
    b'{"model":"m","model":"n"}',
    b'{"model":"m","options":{},"options":{"num_predict":9}}',
    b'{"model":"m","options":{"num_predict":1,"num_predict":9}}',
    b'{"model":"m","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b"{}",
    *(json.dumps({"model": "m", **wrong}).encode() for wrong in WRONG),
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("read", [read_chat, read_generate])
def test_what_cannot_be_understood_is_refused(read, body: bytes):
    with pytest.raises(InvalidRequest):
        read(body, {})


@pytest.mark.parametrize("read", [chat, generate])
@pytest.mark.parametrize("name", ["max_tokens", "n_predict", "Max_Tokens", "max_length"])
def test_a_ceiling_in_the_words_of_another_server_is_refused_with_the_one_that_is_read(read, name: str):
    own = {"num_predict": 10}
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here.* use 'options.num_predict'"):
        read(options=own, **{name: 100_000})
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here.* use 'num_predict'"):
        read(options=own | {name: 100_000})
    assert read(options=own | {name: None}, **{name: None}).output_max == 10


@pytest.mark.parametrize("messages", [5, {}, "text", ["text"]])
def test_messages_are_objects(messages: object):
    with pytest.raises(InvalidRequest):
        chat(messages=messages)


@pytest.mark.parametrize("name", ["Images", "IMAGES", "image\u017f"])
def test_nor_are_images_of_a_message_text_in_another_case(name: str):
    with pytest.raises(InvalidRequest, match="must be written 'images'"):
        chat(messages=[{"role": "user", "content": "a", name: ["iVBORw0KGgo="]}])


@pytest.mark.parametrize("body", [b"", b"{}", b'{"model":5}', b'{"model":"m","Model":"n"}'])
def test_a_bad_embedding_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read_embed(body, {})


# -- plain replies -----------------------------------------------------------------------------------------------------


def meter(path: str = "/api/chat"):
    return meter_for("ollama", path, {"model": "m", "stream": False}, "application/json; charset=utf-8")


def test_a_plain_reply_is_metered():
    message = {"role": "assistant", "content": "Grüß dich"}
    figures = {"prompt_eval_count": 11, "prompt_eval_cached_count": 8, "eval_count": 18}
    body = json.dumps({"model": "m", "message": message, "done": True, **figures}).encode()
    got = passed(meter(), [body[:30], body[30:]])
    assert got[:6] == (body, final(3, 8, 0, 18), len("Grüß dich".encode()), False, "m", None)


@pytest.mark.parametrize(
    ("figures", "reported"),
    [
        ({}, None),
        ({"prompt_eval_count": 0, "eval_count": 0}, None),
        ({"prompt_eval_count": -1, "eval_count": 5}, None),
        ({"prompt_eval_count": "1", "eval_count": 5}, None),
        ({"prompt_eval_count": 1, "eval_count": 10**20}, None),
        ({"prompt_eval_count": 1, "prompt_eval_cached_count": 9, "eval_count": 5}, final(1, 0, 0, 5)),
        ({"prompt_eval_count": 1}, final(1)),
        ({"eval_count": 5}, part(0, 0, 0, 5)),  # the input's is not known, and not 0
        ({"done_reason": "load"}, final()),
        ({"done_reason": "unload"}, final()),
        ({"done_reason": "load", "eval_count": 5}, part(0, 0, 0, 5)),
        ({"done_reason": ["load"]}, None),
    ],
)
def test_which_figures_count(figures: dict[str, object], reported: object):
    body = json.dumps({"model": "m", "response": "", "done": True, **figures}).encode()
    assert passed(meter("/api/generate"), [body]).reported == reported


def test_an_embedding_is_metered():
    body = b'{"model":"m","embeddings":[[0.1,0.2]],"total_duration":1,"prompt_eval_count":8}'
    got = passed(meter("/api/embed"), [body])
    assert (got.reported, got.output_bytes) == (final(8), 0)


def test_embeddings_beyond_the_bound_are_metered_by_their_end():
    body = b'{"model":"m","embeddings":[[%s0]],"total_duration":1,"prompt_eval_count":8}' % (b"0.123456789," * 200_000)
    pieces = [body[n : n + 60_000] for n in range(0, len(body), 60_000)]
    got = passed(meter("/api/embed"), pieces)
    assert (got.reported, got.output_bytes) == (final(8), 0)


def test_probabilities_behind_the_figures_hide_none():
    token = {"token": " word", "logprob": -0.5, "top_logprobs": [{"token": "}]", "bytes": [1]}] * 40}
    figures = {"prompt_eval_count": 8, "eval_count": 5}
    reply = {"model": "m", "response": "x", "done": True, **figures, "logprobs": [token] * 3_000}
    body = json.dumps(reply).encode()
    got = passed(meter("/api/generate"), [body[n : n + 60_000] for n in range(0, len(body), 60_000)])
    assert (len(body) > DOCUMENT_BYTES_MAX, got.reported) == (True, final(8, 0, 0, 5))


def test_the_older_embedding_has_no_figures():
    got = passed(meter("/api/embeddings"), [b'{"embedding":[0.1,0.2]}'])
    assert (got.reported, got.output_bytes) == (None, 0)


@pytest.mark.parametrize("body", [b"", b"5", b"[]", b"{", b"\xff", b"[" * 9_999, b'{"message":5,"done":true}'])
def test_any_reply_passes(body: bytes):
    assert passed(meter(), [body]).sent == body


# -- credentials, headers, our own replies -----------------------------------------------------------------------------


def test_the_credential_is_a_bearer_token():
    assert DIALECT.credential({b"authorization": b"Bearer kvot_1"}, {}) == "kvot_1"
    assert DIALECT.credential({}, {"key": "kvot_1"}) is None


def test_the_provider_takes_a_bearer_token_or_nothing():
    assert DIALECT.authorization("key") == ((b"authorization", b"Bearer key"),)
    assert DIALECT.authorization("") == ()


def test_which_headers_go_on_and_come_back():
    assert DIALECT.passes_request_header(b"content-type")
    assert not any(map(DIALECT.passes_request_header, [b"authorization", b"cookie", b"x-forwarded-for"]))
    assert DIALECT.passes_reply_header(b"content-type")
    assert not DIALECT.passes_reply_header(b"set-cookie")
    assert not DIALECT.passes_query("anything")
    assert DIALECT.limit_headers(LIMITS) == ()


def test_an_exhausted_budget_is_one_sentence():
    refusal = DIALECT.exhausted(LIMITS, "The budget is used up.", "req_1", 429)
    headers = dict(refusal.headers)
    assert (refusal.status, json.loads(refusal.body)["error"]) == (429, "The budget is used up.")
    assert (headers[b"x-should-retry"], headers[b"retry-after"]) == (b"false", b"37")


def test_other_errors_too():
    refusal = DIALECT.failed(StoreUnavailable("Not now."), 503, "req_1")
    assert (refusal.status, json.loads(refusal.body)["error"]) == (503, "Not now.")
    assert dict(refusal.headers)[b"retry-after"] == b"1"
