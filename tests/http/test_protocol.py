"""The bound on the head of a request, and clients that misbehave below HTTP."""

from contextlib import suppress

import pytest

from kvot.http.protocol import BoundedProtocol

USAGE = b"GET /assistant/ai-chat/usage"
CLOSE = b"host: h\r\nconnection: close\r\n"


@pytest.mark.parametrize("header_bytes", [1_000, 30_000])
def test_a_head_within_the_bound_is_read(server, header_bytes):
    reply = server.send_raw(USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: " + b"y" * header_bytes + b"\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "pieces",
    [
        [USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: " + b"y" * 33_000 + b"\r\n\r\n"],
        [USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: y\r\n" * 20_000 + b"\r\n"],
        [USAGE + b"?a=" + b"b" * 33_000 + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"],
        [USAGE + b" HTTP/1.1\r\nx: "] + [b"y" * 10_000] * 12,
        [USAGE + b"?"] + [b"y" * 10_000] * 12,
    ],
)
def test_a_head_beyond_the_bound_is_refused(server, pieces):
    try:
        reply = server.send_raw(*pieces)
    except (BrokenPipeError, ConnectionResetError):
        return  # we closed before the client had sent it all
    assert reply.startswith(b"HTTP/1.1 431 ")


def test_a_large_body_is_not_taken_for_a_large_head(server, company):
    body = b'{"tokensUsed":7,"pad":"' + b"x" * 500_000 + b'"}'
    head = b"POST /api/RecordAiChatUsage HTTP/1.1\r\n" + CLOSE + b"x-api-key: " + company.encode()
    length = b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    assert server.send_raw(head + length + body).startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_is_read_and_bounded(server, company):
    target = "/api/RecordAiChatUsage"
    assert server.send("POST", target, iter([b'{"tokens', b'Used":7}']), x_api_key=company).json["tokensUsed"] == 7
    assert server.send("POST", target, iter([b" " * 65_536] * 17), x_api_key=company).status == 413


def test_a_client_that_leaves_in_the_middle_of_a_body_is_forgotten(server, company):
    head = b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost: h\r\nx-api-key: " + company.encode()
    server.lines.clear()
    with server.connect() as connection:
        connection.sendall(head + b"\r\ncontent-length: 100\r\n\r\n{")
    assert server.send("GET", "/assistant/ai-chat/usage", x_api_key=company).json["tokensUsed"] == 0
    event, fields = server.lines.next()  # the first line is that of the second request
    assert (event, fields["operation"]) == ("request", "GetAiChatUsage")


@pytest.mark.parametrize(
    "start",
    [
        USAGE + b" HTTP/1.1\r\nhost:",
        b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost: h\r\nx-api-key: c\r\ncontent-length: 9\r\n\r\n{",
    ],
)
def test_a_request_that_does_not_arrive_is_given_up(server, monkeypatch, start):
    monkeypatch.setattr(BoundedProtocol, "request_timeout_s", 0.01)
    with server.connect() as connection:
        connection.sendall(start)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_requests_may_follow_one_another_in_pieces_of_any_size(server, company):
    request = b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost: h\r\nx-api-key: %s\r\ncontent-length: 16\r\n\r\n"
    once = request % company.encode() + b'{"tokensUsed":7}'
    everything = once * 20 + once.replace(b"host: h", b"connection: close")
    for size in (1, 7, 64, len(everything)):
        pieces = [everything[at : at + size] for at in range(0, len(everything), size)]
        assert server.send_raw(*pieces).count(b"HTTP/1.1 200 ") == 21


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        USAGE + b" HTTP/1.1\r\nhost: h\r\ncontent-length: abc\r\n\r\n",
        USAGE + b" HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        USAGE + b" HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: h\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_400(server, request_):
    assert server.send_raw(request_).startswith(b"HTTP/1.1 400 ")
