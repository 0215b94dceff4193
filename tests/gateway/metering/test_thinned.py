"""What is left of a document too long to be kept. The oracle prunes the document that a parser has read."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.metering.thinned import DEPTH_MAX, KEPT_BYTES_MAX, STRING_BYTES_MAX, Thinned
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut


def left_of(*pieces: bytes) -> bytes:
    thinned = Thinned()
    for piece in pieces:
        thinned.feed(piece)
    return thinned.take()


def pruned(value: Any, depth: int = 1, *, ascii_only: bool = True) -> Any:
    if isinstance(value, str):
        return value if len(json.dumps(value, ensure_ascii=ascii_only).encode()) - 1 <= STRING_BYTES_MAX else ""
    if isinstance(value, list):
        return [pruned(each, depth + 1) for each in value] if depth <= DEPTH_MAX else []
    if isinstance(value, dict):
        members = {pruned(name): pruned(each, depth + 1) for name, each in value.items()}
        return members if depth <= DEPTH_MAX else {}
    return value


USAGE = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 5}
RESPONSE = {
    "type": "response.completed",
    "response": {
        "id": "resp_1",
        "output": [
            {"type": "image_generation_call", "result": "iVBO" * 2_000},
            {
                "type": "message",
                "content": [{"text": 'so "usage": {"input_tokens": 999}} ]\\', "logprobs": [[[1]]] * 99}],
            },
        ],
        "usage": USAGE,
        "tool_usage": {"image_gen": {"input_tokens": 1, "output_tokens": 6_240}},
    },
}
DOCUMENT = json.dumps(RESPONSE).encode()


def test_the_frame_is_left_with_every_figure_in_its_place():
    left = left_of(DOCUMENT)
    assert json.loads(left) == pruned(RESPONSE)
    assert json.loads(left)["response"]["usage"] == USAGE
    assert len(left) < 1_000 < len(DOCUMENT)


def test_however_a_document_is_cut_the_same_is_left():
    whole = left_of(DOCUMENT)
    assert left_of(*byte_by_byte(DOCUMENT)) == whole
    assert all(left_of(*pieces) == whole for pieces in every_single_cut(DOCUMENT))


TEXTS = ['"', "\\", '\\"usage":{', "a" * 1_022, "a" * 1_023, "a" * 1_024, "é" * 999]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(JSON_VALUES, st.lists(st.integers(0, 100_000), max_size=8))
def test_of_any_document_the_pruned_one_is_left(value: Any, places: list[int]):
    document = json.dumps(value).encode()
    assert json.loads(left_of(*cut(document, places))) == pruned(value)


@given(st.binary(max_size=300) | st.text('[]{}"\\,a\n\r', max_size=300).map(str.encode), st.lists(st.integers(0, 300)))
def test_of_any_bytes_the_same_is_left_however_they_are_cut(data: bytes, places: list[int]):
    assert left_of(*cut(data, places)) == left_of(data) == left_of(*byte_by_byte(data))


HOSTILE = {
    "text with a quoted usage": 'x"},"usage":{"input_tokens":1}}',
    "escaped backslashes before a quote": '\\\\"},"usage":{"input_tokens":1}}',
    "a backslash at the end": "\\",
    "a line's end": '\n\n"usage":{"input_tokens":1}',
    "what no ascii has": "\u2028\U0001f642\x00",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("filler", [0, STRING_BYTES_MAX])
def test_no_text_becomes_a_member(text: str, filler: int):
    text = "y" * filler + text
    value = {"text": text, text: [text], "deep": [[[[[[[{"usage": 1, text: text}]]]]]]], "usage": {"input_tokens": 2}}
    for ascii_only in (True, False):
        document = json.dumps(value, ensure_ascii=ascii_only).encode()
        left = left_of(document)
        assert json.loads(left)["usage"] == {"input_tokens": 2}
        assert left.count(b'"usage":') == 1 or not filler
        assert left_of(*byte_by_byte(document)) == left


def test_a_line_that_is_no_json_does_not_reach_into_the_next():
    event = b'event: a"b\r\n: it"s\rdata: {"usage": {"a": "%s"}}\n\n' % (b"x" * STRING_BYTES_MAX)
    assert left_of(event) == b'event: a"b\r\n: it"s\rdata: {"usage": {"a": ""}}\n\n'


def test_nothing_is_left_of_what_is_all_frame():
    thinned = Thinned()
    for _ in range(20):
        thinned.feed(b"1," * 5_000)
    assert thinned.take() == b""
    assert left_of(b"1" * KEPT_BYTES_MAX) == b"1" * KEPT_BYTES_MAX
    assert left_of(b"1" * KEPT_BYTES_MAX, b"1") == b""


@pytest.mark.parametrize("unit", [b"[", b'"', b'"a",', b"\\", b'"\\', b"{}", b"x", b'["', b'{"a":[{"b":[{"c":[{"d":['])
def test_no_more_is_kept_than_the_bound(unit: bytes):
    piece = unit * (1_400 // len(unit))
    thinned = Thinned()
    tracemalloc.start()
    try:
        for _ in range(400):
            thinned.feed(piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2 * KEPT_BYTES_MAX
    assert len(thinned.take()) <= KEPT_BYTES_MAX
