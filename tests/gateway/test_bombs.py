"""Bodies that would grow beyond all measure when they are read, and honest ones that only look like them."""

import json
import tracemalloc

import httpx2
import pytest

from kvot.core.errors import InvalidRequest
from kvot.gateway.providers.members import LISTS_MAX, MEMBERS_MAX, NUMBERS_MAX, read_object
from tests.gateway.calls import headers_of
from tests.gateway.conftest import Scene

BODY_BYTES = 20_000_000
MEMORY_BYTES_MAX = 1_000_000


def filled(piece: bytes) -> bytes:
    return b'{"model":"m","messages":[%b1]}' % (piece * (BODY_BYTES // len(piece)))


BOMBS = {
    "lists of one list": filled(b"[" * 60 + b"]" * 60 + b","),
    "objects of one object": filled(b'{"a":' * 60 + b"1" + b"}" * 60 + b","),
    "empty objects": filled(b"{},"),
    "numbers": filled(b"1,"),
    "members of its own": b"{" + b"".join(b'"%07d":1,' % at for at in range(BODY_BYTES // 12)) + b'"model":"m"}',
    "objects beside text full of brackets": b'{"x":"%b","y":[%b1]}' % (b"[{," * 3_000_000, b"{}," * 3_000_000),
}


@pytest.mark.parametrize("lists_tokens", [False, True])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory(bomb: str, lists_tokens: bool):
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match=r"more than \d+ members"):
        read_object(BOMBS[bomb], lists_tokens=lists_tokens)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < MEMORY_BYTES_MAX


def test_what_is_no_json_is_told_so_however_many_marks_it_has():
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        read_object(filled(b'"\\",'))


def test_names_in_a_long_text_take_no_memory_when_they_are_told_from_members():
    body = json.dumps({"model": "m", "messages": [{"content": '"a":' * 100_000}]}).encode()
    tracemalloc.start()
    read_object(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * len(body)


CODE = 'rows = [{"a": [1, 2, {"b\\\\": "}"}]}, {}]  # \\" : [[[{{{,,,\n'


@pytest.mark.parametrize("lists_tokens", [False, True])
@pytest.mark.parametrize("space", ["", " "])
def test_text_with_any_number_of_brackets_and_commas_passes(space: str, lists_tokens: bool):
    request = {"model": "m", "messages": [{"role": "user", "content": CODE * 50_000}, {"content": json.dumps(CODE)}]}
    body = json.dumps(request, separators=(",", f"{space}:")).encode()
    assert read_object(body, lists_tokens=lists_tokens).members == request


def test_a_long_conversation_passes():
    parts = [{"type": "text", "text": "Go on."}]
    request = {"model": "m", "messages": [{"role": "user", "content": parts} for _ in range(16_000)]}
    assert read_object(json.dumps(request).encode()).members == request


@pytest.mark.parametrize("value", [list(range(300_000)), [[1] * 140] * 2_048, ["Some text, and more."] * 2_048])
def test_as_many_tokens_and_inputs_as_an_embedding_may_have_pass(value: object):
    request = {"model": "m", "input": value}
    assert read_object(json.dumps(request).encode(), lists_tokens=True).members == request


# A model, and a list that opens: two openings, two names and a comma are there before the first item.
@pytest.mark.parametrize(
    ("item", "fits", "lists_tokens"),
    [(b"1,", MEMBERS_MAX - 3, False), (b"1,", NUMBERS_MAX - 1, True), (b"[],", LISTS_MAX - 4, True)],
)
def test_the_bounds_are_exact(item: bytes, fits: int, lists_tokens: bool):
    text = b'"' + b"[{:," * MEMBERS_MAX + b'"'
    read_object(b'{"model":%b,"x":[%b1]}' % (text, item * fits), lists_tokens=lists_tokens)
    with pytest.raises(InvalidRequest, match="more than"):
        read_object(b'{"model":%b,"x":[%b1]}' % (text, item * (fits + 1)), lists_tokens=lists_tokens)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/openai/v1/chat/completions", "invalid_request_error"),
        ("/openai/v1/embeddings", "invalid_request_error"),
        ("/anthropic/v1/messages", "invalid_request_error"),
        ("/gemini/v1beta/models/m:generateContent", "INVALID_ARGUMENT"),
        ("/ollama/api/chat", "error"),
    ],
)
async def test_a_bomb_is_answered_in_the_words_of_the_dialect(scene: Scene, path: str, words: str):
    async with httpx2.AsyncClient(timeout=60) as client:
        headers = headers_of(path, scene.key)
        reply = await client.post(scene.url + path, content=BOMBS["lists of one list"], headers=headers)
    assert reply.status_code == 400
    assert words in reply.text
    assert "members" in reply.text
    assert not scene.provider.requests
