"""A provider's errors tell no client of the account behind the gateway's key; nothing else of a reply is changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.masked import HELD_BYTES_MAX, MaskedDocument, MaskedStream, without_account
from tests.gateway.calls import CALLS, ask, post, text_of
from tests.gateway.test_own_keys import KEY, change_key
from tests.provider import Fault, Script

UUID = "9d50ef40-6cc8-4ca6-9d35-1dc9cf26235c"
ORG = "org-vyUrKHsAbCdEfGhIjKlMnOpQ"


@pytest.mark.parametrize(
    ("told", "passes"),
    [
        (f"Rate limit reached for gpt-4.1 in organization {ORG} on tokens", "in organization org-*** on tokens"),
        ("in organization `org_01jabcdefghjkmnpqrstvwxyz0` service tier", "`org_***` service tier"),
        ("You have no access to proj_AbCd1234, wrkspc_01XyZ", "to proj_***, wrkspc_***"),
        (f"your organization ({UUID}) of 20,000", "your organization (***) of 20,000"),
        (f"(org: {UUID}, model: claude)", "(org: ***, model: claude)"),
        (f'"organization_id": "{UUID}"', '"organization_id": "***"'),
        (f"https://console.x.ai/team/{UUID}.", "/team/***."),
        (f"/subscriptions/{UUID.upper()}/resourceGroups", "/subscriptions/***/resourceGroups"),
        ("for consumer 'project_number:123456'.", "'project_number:***'."),
        ('"consumer": "projects/123"', '"consumer": "projects/***"'),
        (r"{\"projectNumber\": \"123\"}", r"{\"projectNumber\": \"***\"}"),
        ("overview?project=123456 then", "overview?project=*** then"),
        ("has not been used in project 123456 before", "in project *** before"),
        ('"user_id":"user_2wS3opoyh10074KWHFdTRcPkvos"}', '"user_id":"user_***"}'),
    ],
)
def test_an_error_does_not_tell_whose_account_it_is(told, passes):
    assert without_account(told.encode()).endswith(passes.encode())


@pytest.mark.parametrize(
    "told",
    [
        "org_not_found",
        "org-level",
        "proj_policy",
        "The model `cyborg-13B` does not exist",
        f"request {UUID}",
        f"organization limit of request {UUID}",
        "projects/my-model",
        "projects/123abc",
        "project 7",
        "project_number:",
        "the organization you asked for",
        "user_not_found_at_this_provider",
        "superuser_2wS3opoyh10074KWHFdTRcPkvos",
    ],
)
def test_what_is_no_id_of_an_account_stays(told):
    assert without_account(told.encode()) == told.encode()


MESSAGE = f"Rate limit reached in organization {ORG}"
ERROR = {"message": MESSAGE, "type": "tokens"}
SAID = f"I am {ORG} and an error"
CALLED = {"functionCall": {"args": {"error": SAID, "list": [{"error": SAID}]}}}
STREAMS: dict[str, list[tuple[str, str]]] = {
    "text/event-stream": [
        ("data: ", json.dumps({"choices": [{"delta": {"content": SAID}}], "error": None}) + "\n\n"),
        ("data: ", json.dumps({"type": "response.failed", "response": {"output": SAID, "error": ERROR}}) + "\r\n\r\n"),
        ("event: error\ndata: ", json.dumps({"type": "error", "message": MESSAGE}) + "\n\n"),
        ("data: ", json.dumps({"choices": [{"text": SAID}], "error": ERROR}) + "\r\r"),
        (": error ", f"{ORG}\n\n"),
        ("event:error\ndata: ", f"{MESSAGE}\n\n"),
        ("", json.dumps({"error": ERROR}, indent=2) + "\n\n"),
        ("data: ", json.dumps({"x_groq": {"error": MESSAGE}, "choices": []}) + "\n\n"),
        ("data: ", json.dumps({"choices": [{"delta": {"content": SAID}, "error": ERROR}, {"error": ERROR}]}) + "\n\n"),
        ("data: ", json.dumps({"choices": [{"delta": CALLED, "error": None}, "error"], "error": MESSAGE}) + "\n\n"),
        ("data: ", '{"error":\ndata: ' + json.dumps(ERROR) + "}"),
    ],
    "application/x-ndjson": [
        ("", json.dumps({"message": {"content": SAID}, "error": None}) + "\n"),
        ("", json.dumps({"error": MESSAGE}) + "\r\n"),
        ("", json.dumps({"response": SAID, "error": MESSAGE}) + "\n"),
        ("", json.dumps({"error": MESSAGE})),
    ],
    "application/json": [
        ("[", json.dumps({"candidates": [{"content": {"parts": [{"text": SAID}, CALLED]}}]}, indent=1)),
        (",\r\n", json.dumps({"error": ERROR}, indent=1)),
        ("\n", "]\n"),
    ],
}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    starts = [0, *sorted(places)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


@pytest.mark.parametrize("kind", STREAMS)
@given(data=st.data())
def test_of_a_stream_the_errors_are_masked_however_it_is_cut(kind, data):
    stream = "".join(prefix + rest for prefix, rest in STREAMS[kind]).encode()
    expected = stream.replace(MESSAGE.encode(), without_account(MESSAGE.encode()))
    assert expected.count(ORG.encode()) == stream.count(SAID.encode()) + stream.count(b": error ")
    masked = MaskedStream(kind, without_account)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    out = [masked.feed(piece) for piece in cut(stream, places)]
    assert b"".join(out) + masked.finish() == expected


@pytest.mark.parametrize(
    ("kind", "frame", "is_error"),
    [
        ("text/event-stream", 'event: error\ndata: {"message":"', True),
        ("text/event-stream", 'data: {"type":"error","message":"', True),
        ("application/x-ndjson", '{"error" : "', True),
        ("application/json", '[{},{"error":\n{"a":"', True),
        *((kind, '{"text":"\\"error\\":', False) for kind in STREAMS),
    ],
)
def test_a_frame_that_is_cut_passes_as_far_as_it_came(kind, frame, is_error):
    masked = MaskedStream(kind, without_account)
    passed = masked.feed((frame + ORG).encode()) + masked.finish()
    assert passed.decode() == frame + ("org-***" if is_error else ORG)


UNREAD = [
    '\ufeffdata: {"error":{"message":"%s"}}\n\n',
    'data: {"error":{"message":"%s \\ud83d"}}\n\n',
    'data: {"error":{"message":"%s"},"took":NaN}\n\n',
    'data: [{"error":{"message":"%s"}}]\n\n',
    'data: {"instructions":"' + "x" * HELD_BYTES_MAX + '","error":{"message":"%s"}}\n\n',
]


@pytest.mark.parametrize("event", UNREAD, ids=range(len(UNREAD)))
def test_an_error_that_cannot_be_read_is_masked_too(event):
    masked = MaskedStream("text/event-stream", without_account)
    passed = masked.feed((event % ORG).encode()) + masked.finish()
    assert passed.decode() == event % "org-***"


@pytest.mark.parametrize("kept_alive", [b"\n", b": ping\n", b"\r\n", b'data: {"n":1}\n'])
def test_no_line_without_an_error_waits_for_another(kept_alive):
    masked = MaskedStream("text/event-stream", without_account)
    assert [masked.feed(kept_alive) for _ in range(3)] == [kept_alive] * 3


@pytest.mark.parametrize("unread", ["NaN", '"\\ud83d"'])
def test_what_was_generated_passes_also_where_the_strict_reader_does_not_take_it(unread):
    frame = f'data: {{"took":{unread},"candidates":[{json.dumps(CALLED)}]}}\n\n'.encode()
    masked = MaskedStream("text/event-stream", without_account)
    assert masked.feed(frame) == frame
    assert document_through(frame[6:]) == frame[6:]


def test_what_a_model_says_in_the_words_of_an_error_passes():
    line = json.dumps({"response": MESSAGE, "error": MESSAGE}) + "\n"
    masked = MaskedStream("application/x-ndjson", without_account)
    start, _, end = line.rpartition(ORG)
    assert masked.feed(line.encode()).decode() == f"{start}org-***{end}"


def test_elements_that_are_alike_are_told_apart():
    masked = MaskedStream("application/json", without_account)
    pieces = [b'[{},{"a":{},', b'"error":{"message":"%b"}}]' % ORG.encode()]
    assert b"".join(map(masked.feed, pieces)) == b'[{},{"a":{},"error":{"message":"org-***"}}]'


@pytest.mark.parametrize("kind", [*STREAMS, "", "text/plain"])
def test_what_is_whole_is_not_held_back(kind):
    pieces = [b"[{}", b",{}", b"]"] if kind == "application/json" else [b"data: {}\n\n", b": error\n\n"]
    masked = MaskedStream(kind, without_account)
    assert [masked.feed(piece) for piece in pieces] == pieces


@pytest.mark.parametrize("kind", STREAMS)
def test_a_frame_that_is_longer_than_any_error_passes_as_it_comes(kind):
    masked = MaskedStream(kind, without_account)
    start = b'[{"a":"' + b"x" * HELD_BYTES_MAX
    assert masked.feed(start) == start
    assert masked.feed(b'"}]\n\n') + masked.finish() == b'"}]\n\n'


# -- replies that are one document -------------------------------------------------------------------------------------


def document_through(document: bytes, size: int = 7) -> bytes:
    masked = MaskedDocument(without_account)
    pieces = [masked.feed(document[at : at + size]) for at in range(0, len(document), size)]
    return b"".join(pieces) + masked.finish()


RAW_ERROR = {"code": 502, "metadata": {"raw": MESSAGE}}
ANSWER = {"message": {"content": SAID, "tool_calls": [CALLED]}}
DOCUMENTS: list[Any] = [
    {"error": ERROR, "id": ORG},
    {"error": MESSAGE},
    {
        "id": ORG,
        "choices": [ANSWER | {"error": ERROR}, ANSWER | {"error": {"code": 502, "metadata": {"raw": MESSAGE}}}],
    },
    {"status": "failed", "error": ERROR, "output": [{"content": SAID}, CALLED]},
    {"type": "error", "error": ERROR},
    [{"error": ERROR}],
    {"choices": [ANSWER | {"error": None}], "error": None},
    {"candidates": [CALLED]},
    {"content": [{"type": "tool_use", "input": {"error": {"message": SAID}}}]},
    {"choices": [ANSWER, {"delta": {"error": {"message": SAID}}}]},
    {"choices": {"error": {"message": SAID}}},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_of_a_document_the_errors_are_masked_and_no_other_byte(document, indent):
    sent = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    assert document_through(sent) == sent.replace(MESSAGE.encode(), without_account(MESSAGE.encode()))


@pytest.mark.parametrize("start", ['\ufeff{"a":1,', '{"took":NaN,', '{"text":"\\ud83d",', '{"choices":[{'])
def test_so_are_those_of_one_that_is_cut_or_cannot_be_read(start):
    sent = f'{start}"said":"{SAID}","error":{{"message":"%s"}}'
    assert document_through((sent % MESSAGE).encode()).decode() == sent % MESSAGE.replace(ORG, "org-***")


def test_whose_key_it_was_is_masked_beside_an_error_alone():
    sent = '{"error":%s,"user_id":"user_2wS3opoyh10074KWHFdTRcPkvos"}'
    assert document_through((sent % '{"code":402}').encode()).endswith(b'"user_id":"user_***"}')
    assert document_through((sent % "null").encode()) == (sent % "null").encode()


def test_blank_lines_before_a_document_keep_its_connection_open():
    masked = MaskedDocument(without_account)
    assert [masked.feed(piece) for piece in (b"\n", b"\r\n", b'\n{"a"', b":1}\n")] == [b"\n", b"\r\n", b"\n", b""]
    assert masked.finish() == b'{"a":1}\n'


def test_each_of_many_answers_has_an_error_of_its_own():
    choices = ",".join(f'{{"text":"org-abcd{at}","error":"org-abcd{at}"}}' for at in range(10_000))
    masked = document_through(f'{{"choices":[{choices}]}}'.encode(), 65_536).decode()
    assert masked.count('"error":"org-***"}') == 10_000
    assert masked.replace('"error":"org-***"', "").count("org-abcd") == 10_000


def test_a_document_that_is_longer_than_any_error_passes_as_it_comes():
    masked = MaskedDocument(without_account)
    start, end = b'{"data":"' + b"x" * HELD_BYTES_MAX, b'","error":"%b"}' % ORG.encode()
    assert [masked.feed(start), masked.feed(end), masked.finish()] == [start, end, b""]


# -- over a real port -------------------------------------------------------------------------------------------------

TELLS: Any = (("x-request-id", f"of {ORG}"), ("request-id", f"of {ORG}"), ("server-timing", f"of {ORG}"))
REFUSED = Script(status=429, error=json.dumps({"error": ERROR}).encode(), headers=TELLS)


@pytest.mark.parametrize("call", CALLS)
async def test_a_refusal_tells_no_client_whose_account_it_is(open_scene, call):
    seen = await ask(await open_scene(REFUSED), call)
    assert (seen.status, json.loads(seen.body)["error"]["message"]) == (429, MESSAGE.replace(ORG, "org-***"))
    assert int(seen.headers["content-length"]) == len(seen.body)
    assert ORG not in str(seen.headers)


async def test_nor_does_one_of_a_path_that_uses_no_tokens(open_scene):
    seen = await post(await open_scene(REFUSED), "/openai/v1/models", None, verb="GET")
    assert (seen.status, ORG.encode() in seen.body, b"org-***" in seen.body) == (429, False, True)


async def test_a_company_hears_of_its_own_account(open_scene):
    scene = await open_scene(REFUSED)
    await change_key(scene, "PUT", ApiKey=KEY)
    assert (await ask(scene, "chat")).body == REFUSED.error


FAILED = {
    "chat-stream": ({"error": ERROR}, "data: %s\n\n"),
    "responses-stream": (
        {"type": "response.failed", "response": {"id": "resp_1", "error": ERROR}},
        "event: response.failed\ndata: %s\n\n",
    ),
    "messages-stream": ({"type": "error", "error": ERROR}, "event: error\ndata: %s\n\n"),
    "gemini-stream": ({"error": ERROR}, "data: %s\r\n\r\n"),
    "gemini-array-stream": ([{"error": ERROR}], "%s"),
    "ollama-stream": ({"error": MESSAGE}, "%s\n"),
}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.BYTE_BY_BYTE])
@pytest.mark.parametrize("call", FAILED)
async def test_an_error_inside_a_stream_does_not_tell_it_either(open_scene, call, fault):
    document, framed = FAILED[call]
    event = framed % json.dumps(document)
    seen = await ask(await open_scene(Script(recorded=(event.encode(),), fault=fault)), call)
    assert (seen.status, seen.is_whole, seen.body.decode()) == (200, True, event.replace(ORG, "org-***"))


INSIDE: dict[str, Any] = {
    "chat": {"id": "gen-1", "choices": [ANSWER | {"finish_reason": "error", "error": ERROR}]},
    "responses": {"id": "resp_1", "status": "failed", "error": ERROR, "output": [{"content": SAID}]},
    "messages": {"type": "error", "error": ERROR},
    "gemini": {"error": ERROR},
    "ollama": {"message": {"content": SAID}, "error": MESSAGE},
}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.BYTE_BY_BYTE])
@pytest.mark.parametrize("call", INSIDE)
async def test_nor_does_one_inside_a_document_of_200(open_scene, call, fault):
    document = json.dumps(INSIDE[call])
    seen = await ask(await open_scene(Script(recorded=(document.encode(),), fault=fault)), call)
    assert (seen.status, seen.is_whole) == (200, True)
    assert seen.body.decode() == document.replace(MESSAGE, MESSAGE.replace(ORG, "org-***"))
    assert int(seen.headers["content-length"]) == len(seen.body)


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.BYTE_BY_BYTE])
@pytest.mark.parametrize("call", CALLS)
async def test_a_models_text_passes_whatever_it_looks_like(open_scene, call, fault):
    scene = await open_scene(Script(text=f'"error": {SAID} ', fault=fault))
    seen = await ask(scene, call)
    assert seen.body == text_of(call, scene.provider.requests[0])
    assert ORG.encode() in seen.body
