"""Replies that are one document, and the figures in them: those that can be true, and those that cannot."""

import codecs
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.model import TOKENS_MAX
from kvot.gateway.dialect import Meter
from kvot.gateway.metering.metered import DOCUMENT_BYTES_MAX, figure
from kvot.gateway.providers import DIALECTS
from kvot.gateway.tokens import Reported, TokenCount
from tests.gateway.cuts import cut, passed

CHAT, OLD, RESPONSES, EMBEDDINGS = "/chat/completions", "/completions", "/responses", "/embeddings"


def meter_for(path: str, dialect: str = "openai", content_type: str = "application/json") -> Meter:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    assert found.endpoint.read
    assert found.endpoint.meter
    return found.endpoint.meter(found.endpoint.read(b'{"model":"m"}', {}), content_type)


def reported(usage: object, path: str = CHAT, dialect: str = "openai") -> Reported | None:
    return passed(meter_for(path, dialect), [json.dumps({"usage": usage}).encode()]).reported


def final(*parts: int, mismatch: int | None = None) -> Reported:
    return Reported(TokenCount(*parts), True, mismatch)


def chat(prompt: object, completion: object, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


@pytest.mark.parametrize(
    ("usage", "got"),
    [
        (chat(10, 5, total_tokens=15), final(10, 0, 0, 5)),
        (chat(10, 5), final(10, 0, 0, 5)),
        (chat(10.0, 5, total_tokens=15), final(10, 0, 0, 5)),
        (chat(10, 0), final(10)),
        (chat(TOKENS_MAX, 1), final(TOKENS_MAX, 0, 0, 1)),
        (chat(10, 5, total_tokens=99), final(10, 0, 0, 5, mismatch=99)),
        (chat(10, 5, total_tokens=0), final(10, 0, 0, 5, mismatch=0)),
        (chat(10, 5, total_tokens=-1), final(10, 0, 0, 5)),
        (chat(10, 5, prompt_tokens_details={"cached_tokens": 4}), final(6, 4, 0, 5)),
        (chat(10, 5, prompt_tokens_details={"cached_tokens": None}), final(10, 0, 0, 5)),
        (chat(10, 5, prompt_tokens_details=None, completion_tokens_details=None), final(10, 0, 0, 5)),
        (chat(10, 5, prompt_tokens_details=[], completion_tokens_details="x"), final(10, 0, 0, 5)),
        (chat(10, 5, prompt_tokens_details={"cached_tokens": 11}), final(10, 0, 0, 5)),
        (chat(10, 5, prompt_tokens_details={"cached_tokens": -1}), final(10, 0, 0, 5)),
        (chat(10, 5, completion_tokens_details={"reasoning_tokens": 3}), final(10, 0, 0, 2, 3)),
        (chat(10, 5, cache_read_input_tokens=4, cache_creation_input_tokens=3), final(3, 4, 3, 5)),
        (chat(10, 5, prompt_cache_hit_tokens=8, prompt_cache_miss_tokens=2), final(2, 8, 0, 5)),
        (chat(10, 5, cached_prompt_text_tokens=8), final(2, 8, 0, 5)),
        (chat(10, 5, reasoning_tokens=2), final(10, 0, 0, 3, 2)),
        # Reasoning outside the completion, as the total shows, or as it is the more of the two.
        (chat(10, 5, total_tokens=115, completion_tokens_details={"reasoning_tokens": 100}), final(10, 0, 0, 5, 100)),
        (chat(10, 5, completion_tokens_details={"reasoning_tokens": 100}), final(10, 0, 0, 5, 100)),
        (
            chat(10, 5, total_tokens=15, completion_tokens_details={"reasoning_tokens": 100}),
            final(10, 0, 0, 5, 100, mismatch=15),
        ),
        ({"input_tokens": 10, "output_tokens": 5}, final(10, 0, 0, 5)),
        # Absurd, missing, contradictory: no figure at all, and the estimate stands.
        (chat(0, 0, total_tokens=0), None),
        (chat(-1, 5), None),
        (chat(10, -5), None),
        (chat(TOKENS_MAX + 1, 5), None),
        (chat(10.5, 5), None),
        (chat(True, 5), None),
        (chat("10", 5), None),
        (chat([], {}), None),
        (chat(None, 5), None),
        ({"prompt_tokens": 10}, None),
        ({"total_tokens": 10}, None),
        ({}, None),
        ([], None),
        ("10", None),
        (None, None),
    ],
)
def test_a_usage_is_parts_that_do_not_overlap_or_nothing(usage: object, got: Reported | None):
    assert reported(usage) == got


@pytest.mark.parametrize(
    ("dialect", "path", "usage", "got"),
    [
        ("xai", CHAT, chat(10, 5, completion_tokens_details={"reasoning_tokens": 3}), final(10, 0, 0, 5, 3)),
        (
            "xai",
            CHAT,
            chat(10, 5, total_tokens=15, completion_tokens_details={"reasoning_tokens": 3}),
            final(10, 0, 0, 5, 3, mismatch=15),
        ),
        (
            "xai",
            RESPONSES,
            {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}},
            final(10, 0, 0, 2, 3),
        ),
        ("perplexity", CHAT, chat(10, 5, citation_tokens=7, reasoning_tokens=3), final(10, 0, 0, 12, 3)),
        (
            "perplexity",
            RESPONSES,
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cache_read_input_tokens": 4}},
            final(6, 4, 0, 5),
        ),
        ("openai", EMBEDDINGS, {"prompt_tokens": 10, "total_tokens": 10}, final(10)),
        ("compatible", EMBEDDINGS, {"total_tokens": 10}, final(10)),  # Voyage
        ("compatible", EMBEDDINGS, {"prompt_tokens": None, "total_tokens": 10}, final(10)),
        ("compatible", EMBEDDINGS, {"prompt_tokens": 7, "total_tokens": 10}, final(7, mismatch=10)),
        ("compatible", EMBEDDINGS, {"prompt_tokens": -1, "total_tokens": 10}, None),
        ("compatible", EMBEDDINGS, {"total_tokens": -1}, None),
        ("compatible", EMBEDDINGS, {"total_tokens": 0}, None),
        ("compatible", EMBEDDINGS, {}, None),
        ("openai", OLD, chat(10, 5, total_tokens=15), final(10, 0, 0, 5)),
    ],
)
def test_each_provider_and_api_counts_in_its_own_way(dialect: str, path: str, usage: object, got: Reported | None):
    assert reported(usage, path, dialect) == got


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(), st.lists))
def test_a_figure_is_a_whole_number_within_bounds_or_nothing(value: object):
    got = figure(value)
    assert got is None or (type(got) is int and 0 <= got <= TOKENS_MAX and got == value)


REPLY = {
    "id": "chatcmpl-1",
    "model": "gpt-x-1",
    "choices": [{"message": {"role": "assistant", "content": 'Grüß "usage":{"prompt_tokens":999}'}}],
    "usage": chat(10, 5, total_tokens=15),
    "service_tier": "default",
}


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_a_document_passes_as_it_comes_however_it_is_cut(places: list[int]):
    pieces = cut(json.dumps(REPLY).encode(), places)
    meter = meter_for(CHAT)
    assert [meter.feed(piece) for piece in pieces] == pieces
    assert meter.finish() == b""
    assert (meter.reported, meter.model, meter.request_id) == (final(10, 0, 0, 5), "gpt-x-1", "chatcmpl-1")
    assert meter.output_bytes == len('Grüß "usage":{"prompt_tokens":999}'.encode())


def test_a_byte_order_mark_hides_no_figures():
    document = codecs.BOM_UTF8 + json.dumps(REPLY).encode()
    got = passed(meter_for(CHAT), [document])
    assert (got.sent, got.reported) == (document, final(10, 0, 0, 5))


@pytest.mark.parametrize("document", [b"", b"not JSON", b"[]", b'{"usage":', b"[" * 200_000, b"\xff{}"])
def test_a_document_that_cannot_be_read_counts_by_its_bytes(document: bytes):
    got = passed(meter_for(CHAT), [document])
    assert (got.sent, got.reported, got.output_bytes) == (document, None, len(document))


def test_a_reply_is_what_it_says_that_it_is_whatever_was_asked_for():
    stream = b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}\n\n'
    assert passed(meter_for(CHAT, content_type="text/event-stream"), [stream]).reported == final(10, 0, 0, 5)
    assert passed(meter_for(CHAT, content_type="application/json"), [stream]).reported is None


RESPONSE_USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
IMAGE = {"input_tokens": 100, "output_tokens": 4_000, "total_tokens": 4_100}
TOOL_USAGES = [
    ({"image_gen": IMAGE, "web_search": {"num_requests": 2}}, final(110, 0, 0, 4_005)),
    ({"image_gen": {"output_tokens": 7.0}}, final(10, 0, 0, 12)),
    ({"image_gen": {"input_tokens": None, "output_tokens": 0}}, final(10, 0, 0, 5)),
    ({"image_gen": None, "web_search": []}, final(10, 0, 0, 5)),
    (None, final(10, 0, 0, 5)),
    ([IMAGE], final(10, 0, 0, 5)),
    ({"image_gen": {"input_tokens": 1, "output_tokens": -7}}, None),
    ({"image_gen": {"input_tokens": "1"}}, None),
]


@pytest.mark.parametrize(("tool_usage", "got"), TOOL_USAGES)
def test_what_the_tools_of_a_response_used_is_added_to_its_usage(tool_usage: object, got: Reported | None):
    response = {"id": "resp_1", "usage": RESPONSE_USAGE, "tool_usage": tool_usage}
    assert passed(meter_for(RESPONSES), [json.dumps(response).encode()]).reported == got
    event = json.dumps({"type": "response.completed", "response": response}).encode()
    stream = meter_for(RESPONSES, content_type="text/event-stream")
    assert passed(stream, [b"event: response.completed\ndata: %b\n\n" % event]).reported == got


@pytest.mark.parametrize("names", [("usage", "tool_usage"), ("tool_usage", "usage")])
def test_what_the_tools_used_is_found_behind_a_long_image_too(names: tuple[str, str]):
    figures = {"usage": RESPONSE_USAGE, "tool_usage": {"image_gen": IMAGE}}
    image = {"type": "image_generation_call", "result": "x" * DOCUMENT_BYTES_MAX}
    response = {"id": "resp_1", "output": [image]} | {name: figures[name] for name in names}
    assert passed(meter_for(RESPONSES), [json.dumps(response).encode()]).reported == final(110, 0, 0, 4_005)


@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS])
def test_an_error_in_a_reply_that_began_well_is_seen(path: str):
    assert passed(meter_for(path), [b'{"error":{"message":"No"}}']).has_failed
    assert not passed(meter_for(path), [b'{"error":null}']).has_failed


def embeddings(count: int, usage: str) -> bytes:
    rows = ",".join('{"embedding":[%s0.5]}' % ("0.123456789," * 100) for _ in range(count))
    return f'{{"object":"list","data":[{rows}],"model":"e","usage":{usage}}}'.encode()


def test_a_document_beyond_the_bound_is_read_from_its_tail():
    document = embeddings(2_000, '{"prompt_tokens":10,"total_tokens":10}')
    assert len(document) > DOCUMENT_BYTES_MAX
    got = passed(meter_for(EMBEDDINGS), [document[at : at + 10_000] for at in range(0, len(document), 10_000)])
    assert (got.sent, got.reported, got.output_bytes) == (document, final(10), 0)


@pytest.mark.parametrize(
    "end",
    [
        '"choices":[{"message":{"content":"\\"usage\\":{\\"prompt_tokens\\":1,\\"completion_tokens\\":1}"}}]}',
        '"choices":[{"message":{"content":"\\"usage"}}]}',
        '"x\\"usage":{"prompt_tokens":1,"completion_tokens":1}}',
        '"choices":[{"usage":{"prompt_tokens":1,"completion_tokens":1}}]}',
        '"x":{"usage":{"prompt_tokens":1,"completion_tokens":1}},"y":1}',
        '"usage":{"prompt_tokens":1,"completion_tokens":1}',
    ],
)
def test_usage_in_the_text_of_a_long_document_is_not_its_usage(end: str):
    document = ('{"long":"' + "x" * DOCUMENT_BYTES_MAX + '",' + end).encode()
    got = passed(meter_for(CHAT), [document])
    assert (got.reported, got.output_bytes) == (None, len(document))


@given(
    st.lists(st.sampled_from([b'data: {"usage":', b'{"choices":[', b"}", b"]", b"null", b'"error":', b"\n\n", b"1,"]))
)
def test_no_reply_is_an_error_for_the_client(pieces: list[bytes]):
    for content_type in ("application/json", "text/event-stream"):
        for path in (CHAT, RESPONSES, EMBEDDINGS):
            assert passed(meter_for(path, content_type=content_type), pieces).sent == b"".join(pieces)


FILL = "x" * DOCUMENT_BYTES_MAX
PROBABILITIES = [{str(token): {"logprob": -0.123456789, "decoded_token": "}],"} for token in range(20)}] * 3_000
LONG_ENDS = [FILL, PROBABILITIES, [0.5] * (DOCUMENT_BYTES_MAX // 4)]


@pytest.mark.parametrize("end", LONG_ENDS)
@pytest.mark.parametrize("content", ["x", 'a "\\', "x" * 1_000_000])
def test_figures_that_stand_before_something_long_are_read(content: str, end: object):
    """As where vLLM tells the probabilities of a prompt."""
    choice = {"index": 0, "message": {"content": content}, "finish_reason": "length", "logprobs": [[[[[{"top": []}]]]]]}
    reply = {"id": "c", "model": "m-1", "choices": [choice], "usage": chat(10, 5), "prompt_logprobs": end, "more": None}
    for document in (json.dumps(reply).encode(), json.dumps(reply, separators=(",", ":"), indent=1).encode()):
        for length in (60_000, len(document)):
            got = passed(meter_for(CHAT), cut(document, range(0, len(document), length)))
            assert (got.sent, got.reported, got.model, got.request_id) == (document, final(10, 0, 0, 5), "m-1", "c")


@pytest.mark.parametrize(
    "head",
    [
        {"x": '"usage":{"prompt_tokens":1,"completion_tokens":1},'},
        {"x": {"usage": chat(1, 1)}, "y": 1},
        {"x": [{"usage": chat(1, 1)}, 1], "y": 1},
        {"usage": chat(-1, 1), "y": 1},
        {"usage": chat(1, 1) | {"x": "x" * 10_000}, "y": 1},
    ],
)
def test_what_is_no_usage_of_the_reply_counts_nowhere(head: dict[str, object]):
    document = json.dumps(head | {"long": FILL}).encode()
    assert passed(meter_for(CHAT), [document]).reported is None


@pytest.mark.parametrize(
    "part", [b"[", b"{", b'{"a":', b'{"a":[1,{"b":"\\""}],', b'"', b"\\", b"[{},", b" ", b"[[[[[[[[[]"]
)
def test_no_head_takes_long(part: bytes):
    begun = time.process_time()
    passed(meter_for(CHAT), [b'{"a":1,"b":', part * (2 * DOCUMENT_BYTES_MAX // len(part))])
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("head", "reply_id"),
    [
        ('{"id":"resp_1",', "resp_1"),
        ('\n { "id" :\t"resp_1",', "resp_1"),
        ('{"object":"response","id":"resp_1",', "resp_1"),
        ('{"metadata":{"id":"resp_2"},"id":"resp_1",', "resp_1"),
        ('{"metadata":{"id":"resp_2"},"x":"\\",\\"id\\":\\"resp_3",', None),
        ('{"id":5,', None),
        ('{"id":"",', None),
        ('{"id":"resp_\\u0031",', "resp_1"),
        (f'{{"id":"{"x" * 257}",', None),
        ('[{"id":"resp_1"},', None),
    ],
)
def test_of_a_document_beyond_the_bound_the_id_is_read_where_it_stands_before_what_is_long(head, reply_id):
    document = f'{head}"output":"{FILL}","usage":{json.dumps({"input_tokens": 1, "output_tokens": 2})}}}'.encode()
    assert passed(meter_for(RESPONSES), [document]).request_id == reply_id
    assert passed(meter_for(RESPONSES), cut(document, [7, 2_000, DOCUMENT_BYTES_MAX])).request_id == reply_id
