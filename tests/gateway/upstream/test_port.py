"""What every implementation of the port to providers must do, whatever the provider does: ours, and its two rivals.

Rivals are not ours to mend, and are asked in the deep run alone. What one fails at is written down in FAILURES with its
reason; if a new version of it mends one, its test says so.
"""

import asyncio
import contextlib
import socket
import threading

import pytest

from benches.rivals import AiohttpUpstream, PyreqwestUpstream
from kvot.gateway.upstream.forward import ForwardUpstream
from kvot.gateway.upstream.port import UpstreamFailed, UpstreamRequest
from tests.provider import Fault, Provider, Script

UPSTREAMS = {"ours": ForwardUpstream, "aiohttp": AiohttpUpstream, "pyreqwest": PyreqwestUpstream}

UTF8 = "takes a header's value for UTF-8"
STALE = "writes to a connection that the provider has closed, and cannot tell that nothing was sent"
DEAF = "goes on waiting for a reply that nobody wants any more; even closing the client does not end it"
FAILURES = {
    "test_it_goes_out_as_it_is[aiohttp]": UTF8,
    "test_it_goes_out_as_it_is[pyreqwest]": UTF8,
    "test_a_body_of_20_mb_arrives[aiohttp]": "warns that sending bytes at once may hold up the loop",
    "test_one_closed_while_the_loop_was_busy_loses_no_call[aiohttp]": STALE,
    "test_nothing_is_read_past_a_short_length[aiohttp-plain]": "takes what is left over for the next call's reply",
    "test_a_body_that_is_none_fails[aiohttp-stream-broken-frames]": "hangs where a chunk's size is no number",
    "test_a_host_that_takes_no_connection_was_sent_nothing[pyreqwest]": "has one error for every time-out",
    "test_before_the_head_closes_the_connection[pyreqwest-plain]": DEAF,
    "test_before_the_head_closes_the_connection[pyreqwest-stream]": DEAF,
    "test_closing_everything_closes_what_is_under_way[pyreqwest-plain]": DEAF,
    "test_closing_everything_closes_what_is_under_way[pyreqwest-stream]": DEAF,
}
# Of a rival, won or lost by chance: run all the same, so that a hang or a crash is seen.
RACES = {
    "test_one_that_the_provider_has_closed_loses_no_call[aiohttp]": STALE,
    "test_one_that_the_provider_has_closed_loses_no_call[pyreqwest]": STALE,
    "test_one_closed_while_the_loop_was_busy_loses_no_call[pyreqwest]": STALE,
}

KINDS = {"plain": b'{"model":"m"}', "stream": b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'}
CLOSE_S = 1
PATIENCE_S = 10


@pytest.fixture(params=["ours", *(pytest.param(name, marks=pytest.mark.deep) for name in ("aiohttp", "pyreqwest"))])
def kind_of_upstream(request):
    if reason := FAILURES.get(request.node.name):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    elif reason := RACES.get(request.node.name):
        request.applymarker(pytest.mark.xfail(strict=False, raises=UpstreamFailed, reason=reason))
    return UPSTREAMS[request.param]


@pytest.fixture
async def upstream(kind_of_upstream):
    made = kind_of_upstream()
    yield made
    await made.close()


@pytest.fixture
async def impatient(kind_of_upstream):
    """One that bears a tenth of a second of silence."""
    made = kind_of_upstream(connect_timeout_ms=100, idle_timeout_ms=100)
    yield made
    await made.close()


@pytest.fixture(params=KINDS)
def body(request):
    return KINDS[request.param]


@pytest.fixture
async def provider():
    async with Provider() as made:
        yield made


def call(provider, body=KINDS["plain"], *headers):
    every = ((b"content-type", b"application/json"), (b"authorization", b"Bearer provider-key"), *headers)
    return UpstreamRequest("POST", provider.url + "/v1/chat/completions?x=1", every, body)


async def read(reply):
    return b"".join([data async for data in reply.chunks()])


async def exchange(upstream, request):
    """One call from beginning to end: the reply and its body."""
    reply = await upstream.send(request)
    try:
        return reply, await read(reply)
    finally:
        await reply.close()


async def failure(upstream, request):
    """What a call that must fail raises, and how much of its body came before."""
    data = []

    async def attempt():
        reply = await upstream.send(request)
        try:
            async for piece in reply.chunks():
                data.append(piece)
        finally:
            await reply.close()

    with pytest.raises(UpstreamFailed) as raised:
        await asyncio.wait_for(attempt(), PATIENCE_S)
    return raised.value, b"".join(data)


async def is_closed(received):
    """The provider sees its connection closed within the promised second."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(received.closed.wait(), CLOSE_S)
    return received.closed.is_set()


class TestReply:
    async def test_it_comes_as_it_is(self, upstream, provider, body):
        reply, data = await exchange(upstream, call(provider, body))
        assert reply.status == 200
        assert dict(reply.headers)[b"content-type"] in {b"application/json", b"text/event-stream"}
        assert data == provider.requests[0].reply

    @pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
    async def test_an_error_is_a_reply(self, upstream, provider, body, status):
        provider.script = Script(status=status, headers=(("Retry-After", "7"),))
        reply, data = await exchange(upstream, call(provider, body))
        assert (reply.status, data) == (status, provider.requests[0].reply)
        assert (b"retry-after", b"7") in reply.headers

    async def test_headers_that_come_twice_stay_two_in_their_order(self, upstream, provider):
        provider.script = Script(headers=(("x-a", "1"), ("x-b", "2"), ("X-A", "3")))
        reply, _ = await exchange(upstream, call(provider))
        assert [pair for pair in reply.headers if pair[0] == b"x-a"] == [(b"x-a", b"1"), (b"x-a", b"3")]

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.CR,
            Fault.CRLF,
            Fault.SPLIT_UTF8,
            Fault.BYTE_BY_BYTE,
            Fault.MALFORMED,
            Fault.ERROR_INSIDE,
            Fault.USAGE_HUGE,
            Fault.UNTIL_CLOSE,
            Fault.INTERIM,
        ],
    )
    async def test_odd_bytes_pass_untouched(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault)
        reply, data = await exchange(upstream, call(provider, body))
        assert (reply.status, data) == (200, provider.requests[0].reply)

    async def test_a_piece_comes_before_the_next_is_sent(self, upstream, provider):
        pace = asyncio.Semaphore(0)
        provider.script = Script(pace=pace)
        reply = await upstream.send(call(provider, KINDS["stream"]))
        chunks = reply.chunks()
        for _ in range(3):
            pace.release()
            assert (await anext(chunks)).endswith(b"\n\n")
        await reply.close()

    async def test_a_redirect_is_not_followed(self, upstream, provider, body):
        provider.script = Script(fault=Fault.REDIRECT)
        reply, _ = await exchange(upstream, call(provider, body))
        assert reply.status == 307
        assert len(provider.requests) == 1

    @pytest.mark.parametrize("fault", [Fault.GZIP, Fault.DEFLATE])
    async def test_what_is_compressed_unasked_is_unpacked(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault)
        reply, data = await exchange(upstream, call(provider, body))
        assert data == provider.requests[0].reply
        assert not {b"content-encoding", b"content-length"} & dict(reply.headers).keys()


class TestRequest:
    async def test_it_goes_out_as_it_is(self, upstream, provider):
        await exchange(
            upstream, call(provider, b'{"model":"m", "a":1}', (b"x-a", b"1"), (b"x-a", "å".encode("latin-1")))
        )
        received = provider.requests[0]
        assert (received.verb, received.target) == ("POST", "/v1/chat/completions?x=1")
        assert received.body == b'{"model":"m", "a":1}'
        assert [value for name, value in received.headers if name == "x-a"] == ["1", "å"]
        assert received.header("accept-encoding") == "identity"
        assert received.header("host") == f"127.0.0.1:{provider.port}"

    async def test_a_path_is_not_rewritten(self, upstream, provider):
        path = "/v1beta/models/a%2Fb:generateContent?alt=sse&a=%20+"
        await exchange(upstream, UpstreamRequest("GET", provider.url + path, (), None))
        assert provider.requests[0].target == path
        assert provider.requests[0].verb == "GET"

    async def test_a_body_of_20_mb_arrives(self, upstream, provider):
        body = b'{"model":"' + b"m" * 20_000_000 + b'"}'
        await exchange(upstream, call(provider, body))
        assert provider.requests[0].body == body

    async def test_no_cookie_is_kept(self, upstream, provider):
        provider.script = Script(headers=(("set-cookie", "a=1; Path=/"),))
        for _ in range(2):
            await exchange(upstream, call(provider))
        assert provider.requests[1].header("cookie") is None

    @pytest.mark.parametrize("header", [(b"x-a", b"1\r\nx-b: 2"), (b"x-a: 1\r\nx-b", b"2"), (b"x-a", b"\n")])
    async def test_a_line_break_in_a_header_is_refused(self, upstream, provider, header):
        failed, _ = await failure(upstream, call(provider, KINDS["plain"], header))
        assert not any(name == "x-b" for received in provider.requests for name, _ in received.headers)
        assert failed.was_sent in {False, True}


class TestConnections:
    async def test_calls_in_turn_share_one(self, upstream, provider, body):
        for _ in range(3):
            await exchange(upstream, call(provider, body))
        assert {received.connection for received in provider.requests} == {1}

    async def test_calls_at_once_have_one_each(self, upstream, provider):
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(exchange(upstream, call(provider)))
        assert len(provider.requests) == 20

    async def test_one_that_the_provider_has_closed_loses_no_call(self, upstream, provider):
        for _ in range(20):
            reply, _ = await exchange(upstream, call(provider))
            assert reply.status == 200
            await provider.close_idle()

    async def test_one_closed_while_the_loop_was_busy_loses_no_call(self, upstream):
        with closing_server() as server:
            for _ in range(5):
                _, data = await exchange(upstream, call(server))
                assert data == b"{}"
                server.closed.acquire()  # without a turn of the loop

    async def test_nothing_is_read_past_a_short_length(self, upstream, provider, body):
        provider.script = Script(fault=Fault.LENGTH_SHORT)
        for _ in range(3):
            _, data = await exchange(upstream, call(provider, body))
            assert data == provider.requests[-1].reply[:-5]


class closing_server:
    """Answers one request on each connection and closes it, from a thread of its own; `closed` counts."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.closed = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not connection.recv(65_536):
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            self.closed.release()

    def __exit__(self, *_):
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()


class TestFailure:
    @pytest.mark.parametrize("fault", [Fault.DROP_AFTER_BYTES, Fault.LENGTH_LONG, Fault.DROP_BEFORE_USAGE])
    async def test_a_body_that_breaks_off_is_told_after_its_bytes(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault, after_bytes=100)
        failed, data = await failure(upstream, call(provider, body))
        assert failed.was_sent
        assert data == provider.requests[0].reply

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.BROKEN_FRAMES])
    async def test_a_body_that_is_none_fails(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault, after_bytes=100)
        failed, _ = await failure(upstream, call(provider, body))
        assert failed.was_sent

    @pytest.mark.parametrize("fault", [Fault.DROP_BEFORE_HEAD, Fault.MANY_HEADERS, Fault.HUGE_HEADER])
    async def test_without_a_head_the_call_may_have_been_served(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault)
        failed, _ = await failure(upstream, call(provider, body))
        assert failed.was_sent
        assert len(provider.requests) == 1  # nothing is sent twice

    async def test_a_drop_on_a_connection_used_before_is_not_repeated(self, upstream, provider):
        await exchange(upstream, call(provider))
        provider.script = Script(fault=Fault.DROP_BEFORE_HEAD)
        failed, _ = await failure(upstream, call(provider))
        assert failed.was_sent
        assert len(provider.requests) == 2

    async def test_a_closed_port_was_sent_nothing(self, upstream):
        async with Provider() as provider:
            pass
        failed, _ = await failure(upstream, call(provider))
        assert not failed.was_sent

    async def test_an_unknown_host_was_sent_nothing(self, upstream):
        failed, _ = await failure(upstream, UpstreamRequest("GET", "http://nowhere.invalid/", (), None))
        assert not failed.was_sent

    async def test_a_host_that_takes_no_connection_was_sent_nothing(self, impatient):
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            with socket.create_connection(full.getsockname()):
                url = f"http://127.0.0.1:{full.getsockname()[1]}/"
                failed, _ = await failure(impatient, UpstreamRequest("GET", url, (), None))
        assert not failed.was_sent

    @pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
    async def test_silence_ends_after_its_time(self, impatient, provider, body, fault):
        provider.script = Script(fault=fault)
        failed, data = await failure(impatient, call(provider, body))
        assert failed.was_sent
        assert data == provider.requests[0].reply
        assert await is_closed(provider.requests[0])

    async def test_a_bomb_is_refused(self, upstream, provider, body):
        provider.script = Script(fault=Fault.BOMB)
        failed, data = await failure(upstream, call(provider, body))
        assert failed.was_sent
        assert len(data) < 25_000_000

    async def test_what_cannot_be_unpacked_is_refused(self, upstream, provider, body):
        provider.script = Script(headers=(("content-encoding", "br"),))
        failed, data = await failure(upstream, call(provider, body))
        assert (failed.was_sent, data) == (True, b"")


class TestLeaving:
    async def test_before_the_head_closes_the_connection(self, upstream, provider, body):
        provider.script = Script(fault=Fault.HANG)
        task = asyncio.create_task(upstream.send(call(provider, body)))
        received = await provider.arrival()
        task.cancel()
        assert await is_closed(received)
        assert task.cancelled()

    @pytest.mark.parametrize("fault", [Fault.STALL, Fault.ENDLESS])
    async def test_in_the_body_closes_the_connection(self, upstream, provider, body, fault):
        provider.script = Script(fault=fault)
        reply = await upstream.send(call(provider, body))
        await anext(reply.chunks())
        await reply.close()
        assert await is_closed(provider.requests[0])

    async def test_a_reader_that_is_cancelled_can_close(self, upstream, provider, body):
        provider.script = Script(fault=Fault.STALL)
        reply = await upstream.send(call(provider, body))
        task = asyncio.create_task(read(reply))
        await provider.arrival()
        task.cancel()
        await asyncio.wait([task])
        await reply.close()
        assert await is_closed(provider.requests[0])

    async def test_closing_everything_closes_what_is_under_way(self, upstream, provider, body):
        provider.script = Script(fault=Fault.STALL)
        reply = await upstream.send(call(provider, body))
        await upstream.close()
        assert await is_closed(provider.requests[0])
        await reply.close()

    async def test_a_slow_reader_stops_the_provider(self, upstream, provider, body):
        """What is under way is what kernels keep for a socket: some megabytes on loopback, and no more."""
        provider.script = Script(fault=Fault.ENDLESS, text="x" * 10_000)
        reply = await upstream.send(call(provider, body))
        received = provider.requests[0]
        await asyncio.wait_for(received.blocked.wait(), PATIENCE_S)
        assert received.sent_bytes < 20_000_000
        await anext(reply.chunks())
        await reply.close()
        assert await is_closed(received)
