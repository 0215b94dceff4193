"""The bound on the head of a request, and clients that misbehave below HTTP."""

import re
from contextlib import suppress

import pytest

from kvot.http.protocol import BoundedProtocol
from kvot.telemetry.tally import Requests
from tests.http.conftest import Server, make_app

USAGE = b"GET /assistant/ai-chat/usage"
CLOSE = b"host: h\r\nconnection: close\r\n"


@pytest.mark.parametrize("header_bytes", [1_000, 30_000])
def test_a_head_within_the_bound_is_read(server, header_bytes):
    reply = server.send_raw(USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: " + b"y" * header_bytes + b"\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        (431, [USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: " + b"y" * 33_000 + b"\r\n\r\n"]),
        (431, [USAGE + b" HTTP/1.1\r\n" + CLOSE + b"x: y\r\n" * 20_000 + b"\r\n"]),
        (414, [USAGE + b"?a=" + b"b" * 33_000 + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"]),
        (431, [USAGE + b" HTTP/1.1\r\nx: "] + [b"y" * 10_000] * 12),
        (414, [USAGE + b"?"] + [b"y" * 10_000] * 12),
        (414, [USAGE + b"?a=" + b"b" * 1_000_000 + b" HTTP/1.1\r\n\r\n"]),
    ],
)
def test_a_head_beyond_the_bound_is_refused_and_its_sender_heard_out(server, status, pieces):
    head, _, body = server.send_raw(*pieces).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d RequestTooLarge\r\n" % status)
    assert b"content-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n" in head
    assert b"vary: Accept\r\nx-powered-by: Kvot\r\n" in head
    assert body.startswith(b'{"responseStatus":{"errorCode":"RequestTooLarge","message":"')


LONG = b"x: " + b"y" * 33_000 + b"\r\n\r\n"
WRONG_KEY_AND_BODY = b" HTTP/1.1\r\nhost: h\r\nx-api-key: wrong\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"


@pytest.mark.parametrize(
    ("start", "content_type"),
    [
        (USAGE + b".xml HTTP/1.1\r\n", b"application/xml"),
        (USAGE + b"?format=csv HTTP/1.1\r\n", b"text/csv"),
        (USAGE + b"?format=zzz HTTP/1.1\r\n", b"application/json"),
        (USAGE + b" HTTP/1.1\r\naccept: text/jsv\r\n", b"text/jsv"),
        (b"GET /api/GetAiChatUsage HTTP/1.1\r\naccept: text/jsv\r\n", b"application/json"),
        (b"GET /jsv/reply/Nothing HTTP/1.1\r\n", b"text/jsv"),
        (b"GET /%ff/%ff.xml HTTP/1.1\r\n", b"application/xml"),
    ],
)
def test_a_large_head_is_refused_in_the_format_that_it_names(server, start, content_type):
    reply = server.send_raw(start + LONG)
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b"content-type: " + content_type in reply


def test_a_large_head_is_never_answered_in_place_of_another_request(server):
    slow = b"x-api-key: 00000000-0000-0000-0000-00000000510e\r\nhost: h\r\n\r\n"
    store = server.app._services.ledger._store
    with server.connect() as connection:
        connection.sendall(USAGE + b" HTTP/1.1\r\n" + slow)
        assert store.waiting.wait(10)
        connection.sendall(USAGE + b" HTTP/1.1\r\n" + LONG)
        assert connection.recv(65_536) == b""
    server.call(store.let_go.set)


def send_without_end(server):
    with server.connect() as connection:
        connection.sendall(USAGE + b"?" + b"y" * 100_000)
        for _ in range(640):
            connection.sendall(b"y" * 100_000)


def test_who_goes_on_after_a_refusal_is_cut_off(server):
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        send_without_end(server)


@pytest.mark.parametrize(
    ("target", "start"),
    [
        (b"/api/GetAiChatUsage", b'{"responseStatus":{"errorCode":"NotImplementedException",'),
        (b"/assistant/ai-chat/usage.jsv", b"{ResponseStatus:{ErrorCode:NotImplementedException,"),
        (b"/assistant/ai-chat/usage?format=jsv", b"{ResponseStatus:{ErrorCode:NotImplementedException,"),
    ],
)
def test_a_method_that_nobody_knows_is_405(server, target, start):
    head, _, body = server.send_raw(b"FOO " + target + b" HTTP/1.1\r\nhost: h\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 NotImplementedException\r\n")
    assert body.startswith(start)


def test_a_large_body_is_not_taken_for_a_large_head(server, company):
    body = b'{"tokensUsed":7,"pad":"' + b"x" * 500_000 + b'"}'
    head = b"POST /api/RecordAiChatUsage HTTP/1.1\r\n" + CLOSE + b"x-api-key: " + company.encode()
    length = b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    assert server.send_raw(head + length + body).startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_is_read_and_bounded(server, company):
    target = "/api/RecordAiChatUsage"
    assert server.send("POST", target, iter([b'{"tokens', b'Used":7}']), x_api_key=company).json["tokensUsed"] == 7
    assert server.send("POST", target, iter([b" " * 65_536] * 17), x_api_key=company).status == 413


RECORD = b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost: h\r\nx-api-key: %s\r\ntransfer-encoding: chunked\r\n\r\n"
BROKEN = b"zz\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("begin", [b"", b"3\r\n{  \r\n"])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_chunk_whose_size_is_no_number_is_a_400(server, company, begin, in_pieces):
    request = RECORD % company.encode()
    pieces = [request, begin, BROKEN] if in_pieces else [request + begin + BROKEN]
    reply = server.send_raw(*filter(None, pieces))
    assert (reply.startswith(b"HTTP/1.1 400 InvalidRequest\r\n"), reply.count(b"content-length: ")) == (True, 1)
    assert reply.endswith(b'"message":"This is no HTTP/1.1 request.","errors":[]}}')
    assert b"connection: close\r\n" in reply


def test_a_broken_body_is_never_answered_in_place_of_another_request(server, company, caplog):
    slow = b"x-api-key: 00000000-0000-0000-0000-00000000510e\r\nhost: h\r\n\r\n"
    store = server.app._services.ledger._store
    store.waiting.clear()
    server.call(store.let_go.clear)
    with server.connect() as connection:
        connection.sendall(USAGE + b" HTTP/1.1\r\n" + slow)
        assert store.waiting.wait(10)
        connection.sendall(RECORD % company.encode() + BROKEN)
        assert connection.recv(65_536) == b""
    server.call(store.let_go.set)
    assert server.send("GET", "/livez").status == 200  # what is under way is over before
    assert not [record.message for record in caplog.records if record.levelname == "ERROR"]


def test_what_is_said_without_the_body_is_not_said_after_that(server):
    reply = server.send_raw(b"POST /nowhere HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + BROKEN)
    assert (reply.startswith(b"HTTP/1.1 400 "), reply.count(b"content-length: ")) == (True, 1)


def test_a_body_that_breaks_after_its_reply_gets_no_second_one(server):
    with server.connect() as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(BROKEN)
        assert connection.recv(65_536) == b""


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
    reply = server.send_raw(request_)
    assert reply.startswith(b"HTTP/1.1 400 InvalidRequest\r\n")
    assert reply.endswith(b'"message":"This is no HTTP/1.1 request.","errors":[]}}')


@pytest.mark.parametrize(
    ("request_", "method", "operation", "status"),
    [
        (USAGE + b" HTTP/1.1\r\n" + LONG, "GET", "GetAiChatUsage", 431),
        (b"GET /nowhere HTTP/1.1\r\n" + LONG, "GET", None, 431),
        (b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost\r\n\r\n", "POST", "RecordAiChatUsage", 400),
        (b"FOO /assistant/ai-chat/usage HTTP/1.1\r\n\r\n", None, None, 405),
        (b"nonsense\r\n\r\n", None, None, 400),
        (USAGE + WRONG_KEY_AND_BODY, "GET", "GetAiChatUsage", 400),
    ],
)
def test_what_is_refused_before_it_is_a_request_is_counted_and_has_one_line(
    request_, method, operation, status, caplog
):
    counted = Requests()
    server = Server(make_app(requests=counted)).start()
    server.send_raw(request_)
    assert server.stop() == 0
    event, fields = server.lines.next()
    assert (event, fields["method"], fields["operation"], fields["status"]) == ("request", method, operation, status)
    assert (server.lines.is_empty(), caplog.messages) == (True, []), "uvicorn has none of its own"
    assert [*counted.items()] == ([((operation, "rejected"), 1)] if operation else [])


def test_what_stands_behind_a_request_without_its_reply_yet_has_its_line_though_nobody_is_told():
    server = Server(make_app()).start()
    assert server.send_raw(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\nnonsense\r\n\r\n") == b""
    assert server.stop() == 0
    told = []
    while not server.lines.is_empty():
        told.append(server.lines.next()[1]["status"])
    assert sorted(told) == [200, 405]


RECORD_7 = b'{"tokensUsed":7}'
INNER = USAGE + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    b"upgrade: websocket\r\nconnection: close, upgrade\r\n",
    b"uPgrade: y\r\nUpgrade:z\r\nConnection: upgrade,close\r\n",
]


def statuses(replies: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+) ", replies)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize(("body", "status"), [(RECORD_7, b"200"), (INNER, b"400")])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_an_offer_of_another_protocol_makes_no_request_of_a_body(server, company, offer, body, status, in_pieces):
    head = b"POST /api/RecordAiChatUsage HTTP/1.1\r\nhost: h\r\nx-api-key: " + company.encode() + b"\r\n"
    head += offer + b"content-length: %d\r\n\r\n" % len(body)
    pieces = [head, body] if in_pieces else [head + body]
    assert statuses(server.send_raw(*pieces)) == [status]


UNSEEN = (
    b"POST /nowhere HTTP/1.1\r\nhost: h\r\nUPGRADE: H2C\r\nCONNECTION: UPGRADE\r\ncontent-length: 9\r\n\r\n" + INNER
)


def test_an_offer_that_only_the_parser_sees_ends_the_connection(server):
    reply = server.send_raw(UNSEEN)
    assert (statuses(reply), b"leave 'Upgrade' out" in reply) == ([b"400"], True)


@pytest.mark.parametrize("offer", [UNSEEN, UNSEEN.replace(b"UPGRADE: H2C\r\nCONNECTION: UPGRADE", OFFERS[0].strip())])
def test_an_offer_behind_another_request_is_never_taken(server, offer):
    reply = server.send_raw(USAGE + b" HTTP/1.1\r\nhost: h\r\n\r\n" + offer)
    assert statuses(reply) in ([], [b"401"], [b"401", b"400"])


@pytest.mark.parametrize("target", [b"h:80", b"/api/GetAiChatUsage"])
def test_nobody_is_connected_to_another_host(server, target):
    reply = server.send_raw(b"CONNECT " + target + b" HTTP/1.1\r\nhost: h\r\ncontent-length: 80\r\n\r\n", INNER)
    assert statuses(reply) == [b"405"]


def test_what_comes_behind_a_body_is_no_header(server, company):
    chunked = b"POST /api/RecordAiChatUsage HTTP/1.1\r\n" + CLOSE + b"transfer-encoding: chunked\r\n\r\n"
    body = b"10\r\n" + RECORD_7 + b"\r\n0\r\nx-api-key: " + company.encode() + b"\r\n\r\n"
    assert statuses(server.send_raw(chunked, body)) == [b"401"]


@pytest.mark.parametrize("endless", [b"a:\r\n" * 2_500, b"a" * 10_000])
def test_what_comes_behind_a_body_is_bounded(server, company, endless):
    begun = RECORD % company.encode() + b"10\r\n" + RECORD_7 + b"\r\n0\r\n"
    assert statuses(server.send_raw(begun, *[endless] * 12)) == [b"431"]
