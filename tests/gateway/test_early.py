"""What never became a request to a provider's path is told in that API's words as well: its clients look there."""

import asyncio
import json
import socket
from io import StringIO

import pytest

from tests.gateway.calls import CALLS, REPLIES_WITHIN_S, connect, send_raw
from tests.gateway.test_fail_closed import ONE_OF_EACH, words
from tests.logs import logging_to

HOST = b" HTTP/1.1\r\nhost: h\r\n"
# What of a head cannot be taken, behind its verb and path, and the status that it makes.
HEADS = {
    "too large a head": (431, HOST + b"x: " + b"y" * 33_000 + b"\r\n\r\n"),
    "no length": (400, HOST + b"content-length: abc\r\n\r\n"),
    "no header": (400, HOST + b"no header\r\n\r\n"),
    "a broken chunk": (400, HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("call", ONE_OF_EACH)
@pytest.mark.parametrize("what", HEADS)
async def test_a_head_or_body_that_cannot_be_read_is_refused_in_the_apis_words(scene, call, what):
    status, rest = HEADS[what]
    told, headers, body = await send_raw(scene, b"POST " + CALLS[call][0].encode() + rest)
    assert (told, headers["content-type"], len(scene.provider.requests)) == (status, "application/json", 0)
    assert words(call, body)
    assert headers["x-kvot-request-id"].startswith("req_")
    assert (headers["connection"], int(headers["content-length"])) == ("close", len(body))


@pytest.mark.parametrize(
    ("method", "rest", "status", "endpoint"),
    [
        ("POST", HEADS["too large a head"][1], 431, "chat"),
        ("POST", HEADS["no length"][1], 400, "chat"),
        ("POST", HEADS["a broken chunk"][1], 400, "chat"),  # its key fails, too, which nobody is told
        (None, HOST + b"\r\n", 405, None),
    ],
)
async def test_each_is_counted_and_logged_under_the_id_that_its_client_is_told(scene, method, rest, status, endpoint):
    written = StringIO()
    with logging_to(written):
        _, headers, _ = await send_raw(scene, (method or "FOO").encode() + b" " + CALLS["chat"][0].encode() + rest)
    (line,) = [json.loads(each) for each in written.getvalue().splitlines()]
    told = headers["x-kvot-request-id"]
    assert (line["event"], line["status"], line["method"], line["request_id"]) == ("request", status, method, told)
    assert (line["provider"], line["endpoint"]) == ("openai", endpoint)
    calls = scene.app._gateway.calls
    assert [*calls.items()] == [(("openai", endpoint or "", "rejected"), 1)]
    assert calls.under_way == {"openai": 0}


async def test_a_call_that_breaks_off_in_its_body_is_counted_once(scene):
    key = b"authorization: Bearer " + scene.key.encode() + b"\r\n"
    request = b"POST " + CALLS["chat"][0].encode() + HOST + key + b"transfer-encoding: chunked\r\n\r\nzz\r\n"
    assert (await send_raw(scene, request))[0] == 400
    calls = scene.app._gateway.calls
    async with asyncio.timeout(REPLIES_WITHIN_S):
        while calls.under_way != {"openai": 0}:
            await asyncio.sleep(0)
    assert [count for _, count in calls.items()] == [1]


@pytest.mark.parametrize("call", ["chat", "messages", "gemini", "ollama-stream"])
async def test_so_is_an_address_that_is_too_long_and_a_method_that_nobody_knows(scene, call):
    path = CALLS[call][0].encode()
    for status, request in ((414, b"POST " + path + b"?a=" + b"b" * 33_000 + HOST), (405, b"FOO " + path + HOST)):
        told, headers, body = await send_raw(scene, request + b"\r\n")
        assert (told, "x-kvot-request-id" in headers) == (status, True)
        assert words(call, body)


@pytest.mark.parametrize("what", HEADS)
@pytest.mark.parametrize(("verb", "is_array"), [(b"POST", True), (b"GET", False), (b"PUT", False)])
async def test_only_who_asks_for_an_array_is_refused_in_one(scene, what, verb, is_array):
    status, rest = HEADS[what]
    told, _, body = await send_raw(scene, verb + b" " + CALLS["gemini-array-stream"][0].encode() + rest)
    assert (told, isinstance(json.loads(body), list)) == (status, is_array)


async def test_a_method_that_nobody_knows_asks_for_none(scene):
    told, _, body = await send_raw(scene, b"FOO " + CALLS["gemini-array-stream"][0].encode() + HOST + b"\r\n")
    assert (told, words("gemini", body)) == (405, "The method of the request is not known.")


PIECE, PIECES = b"y" * 65_536, 40  # more than a connection buffers, and less than a client is heard out for
LONG_CHUNK = b"19000\r\n" + b"y" * 0x19000 + b"\r\n"  # so much that no more is read until somebody asks for it


@pytest.mark.parametrize("call", ["chat", "messages"])
@pytest.mark.parametrize("begin", [b"", LONG_CHUNK])
async def test_who_sends_on_after_a_broken_chunk_is_heard_out(scene, call, begin):
    """Or else what it still sends would take the reply back."""
    reader, writer = await connect(scene)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(PIECE))
    key = b"authorization: Bearer " + scene.key.encode() + b"\r\n"
    head = b"POST " + CALLS[call][0].encode() + HOST + key + b"transfer-encoding: chunked\r\n\r\n"
    writer.write(head + begin + b"zz\r\n")
    async with asyncio.timeout(REPLIES_WITHIN_S):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        for _ in range(PIECES):
            writer.write(PIECE)  # raises nothing itself
            await asyncio.sleep(0)
            await writer.drain()
    assert not writer.is_closing()
    writer.close()


@pytest.mark.parametrize("path", [b"/assistant/ai-chat/usage", b"/openaix/v1/chat/completions", b"*", b"/%ff"])
async def test_elsewhere_the_words_stay_kvots_own(scene, path):
    told, headers, body = await send_raw(scene, b"POST " + path + HEADS["no length"][1])
    assert (told, "x-kvot-request-id" in headers) == (400, False)
    assert json.loads(body)["responseStatus"]["errorCode"] == "InvalidRequest"
