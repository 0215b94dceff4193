"""One HTTP/1.1 connection to a provider, and the exchange (a request and its reply) that it carries at the moment.

The parser is llhttp, strict. Nothing is read from the socket while HIGH_BYTES wait for their reader, so a slow client
slows the provider down and costs no memory. Whatever the provider sends is bounded: its head, and all that is no body.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable
from functools import partial
from typing import cast

import httptools

from kvot.gateway.upstream.port import Pair, UpstreamFailed, UpstreamSilent

READ_BYTES = 16_384
"""Taken from a socket at once: as much as a TLS record holds."""
HIGH_BYTES = 16_384
"""Of a body, read but not yet asked for: the socket is read again when they have gone. One read may overshoot it, so a
client that does not read costs 32 KB here, and as much again as its server's own buffer."""
HEAD_BYTES_MAX = 65_536
"""Of a reply's head, and of anything else that is no body (interim replies, extensions of chunks, trailers) in a row.
The largest heads of providers have some 4 KB."""
HEADERS_MAX = 512

_INTERIM, _OK, _BEYOND = 100, 200, 600
"""Statuses end before 600 (RFC 9110, 15): another is none that could be passed on."""
_TOO_LARGE = "the provider's head is too large"


class Exchange:
    """A request under way and what has come of its reply. Its callbacks are the parser's."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._failure: Callable[[], UpstreamFailed] | None = None  # as an exception it would know us
        self._waiter: asyncio.Future[None] | None = None
        self._overhead_bytes = 0
        self._is_head_complete = False
        self.status = 0
        self.headers: list[Pair] = []
        self.is_complete = False
        self.is_reusable = False

    # What the reader asks for.

    async def head(self, idle_s: float) -> None:
        """Wait for the reply's head. Raises UpstreamFailed."""
        while not self._is_head_complete:
            if self._failure:
                raise self._failure()
            await self._wait(idle_s)

    async def read(self, idle_s: float) -> bytes:
        """All of the body that has come since the last read; empty at its end. Raises UpstreamFailed."""
        while not self._pieces:
            if self._failure:
                raise self._failure()
            if self.is_complete:
                return b""
            await self._wait(idle_s)
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._waiting_bytes = 0
        self._connection.resume()
        return data

    async def _wait(self, idle_s: float) -> None:
        self._waiter = self._loop.create_future()
        self._connection.expect(idle_s)
        try:
            await self._waiter
        finally:
            self._waiter = None

    @property
    def is_waiting(self) -> bool:
        return self._waiter is not None

    # What the connection tells.

    def feed(self, data: memoryview) -> None:
        """Take what came from the socket. A reply that is no HTTP fails the exchange."""
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(f"the provider's reply is not HTTP/1.1: {error}")
            self.is_reusable = False
        if self._overhead_bytes > HEAD_BYTES_MAX:
            self.fail(_TOO_LARGE)
        if self._failure:
            self._connection.abort()
        elif self._waiting_bytes >= HIGH_BYTES and not self.is_complete:
            self._connection.pause()
        self._wake()

    def end(self, error: Exception | None) -> None:
        """The connection is gone. A body without a declared end ends well with it."""
        if self._is_head_complete and error is None and not self._is_framed():
            self.is_complete = True
        self.fail("the provider closed the connection " + ("in its reply" if self.status else "without an answer"))
        self._wake()

    def give_up(self, idle_s: float) -> None:
        """Nothing has come in time."""
        self._fail_with(partial(UpstreamSilent, idle_s))
        self._wake()
        self._connection.abort()

    def fail(self, message: str) -> None:
        """What has come before is still read; then UpstreamFailed is raised. The first failure counts."""
        self._fail_with(partial(UpstreamFailed, message, was_sent=True))

    def _fail_with(self, failure: Callable[[], UpstreamFailed]) -> None:
        if not self.is_complete and self._failure is None:
            self._failure = failure

    def _is_framed(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _wake(self) -> None:
        is_news = self._pieces or self._is_head_complete or self._failure
        if is_news and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def let_go(self) -> None:
        """Nothing more will be told. The parser knows the exchange: that circle would be left to the collector."""
        del self._parser

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self.is_complete:  # a reply to nothing
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_head_complete:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._is_head_complete:
            return
        status = self._parser.get_status_code()
        if _INTERIM <= status < _OK:
            self.headers.clear()
            return
        if not _OK <= status < _BEYOND:
            self.fail(f"the provider's status {status} is none")
            return
        head_bytes = sum(len(name) + len(value) for name, value in self.headers)
        if head_bytes > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX:
            self.fail(_TOO_LARGE)
            return
        self.status = status
        self._is_head_complete = True

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._overhead_bytes = 0
            self._pieces.append(data)
            self._waiting_bytes += len(data)

    def on_message_complete(self) -> None:
        if self._is_head_complete and not self.is_complete:
            self.is_complete = True
            self.is_reusable = self._parser.should_keep_alive()


class Connection(asyncio.BufferedProtocol):
    """Carries one exchange at a time. `idle_since` is the loop's time when the last one ended.

    buffer: what sockets are read into, READ_BYTES; all connections of an event loop may share one, since what is in it
    is parsed before the next read.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._exchange: Exchange | None = None
        self._is_paused = False
        self._poll: select.poll | None = None
        self._loop = asyncio.get_running_loop()
        self._idle_s = 0.0
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self.closed = asyncio.Event()

    def start(self, head: bytes, body: bytes | None) -> Exchange:
        """Send a request. The connection must be free. Raises UpstreamFailed if it has been closed meanwhile."""
        assert self._exchange is None
        if self._transport.is_closing():
            raise UpstreamFailed("the provider closed the connection before the request", was_sent=False)
        self._exchange = Exchange(self)
        self._transport.writelines((head, body) if body else (head,))
        return self._exchange

    def finish(self) -> bool:
        """Let go of the exchange. False: the connection serves no other, and is closed."""
        exchange, self._exchange = self._exchange, None
        is_free = exchange is not None and exchange.is_complete and exchange.is_reusable
        if exchange is not None:
            exchange.let_go()
        if not is_free or self._transport.is_closing() or self._transport.get_write_buffer_size():
            self.abort()
            return False
        self.resume()
        return True

    def is_stale(self) -> bool:
        """The provider has closed the idle connection, or said something unasked: it must not carry a request.

        The socket itself is asked, since the loop may not have come to tell yet.
        """
        if self._transport.is_closing():
            return True
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def expect(self, idle_s: float) -> None:
        """Something must come within `idle_s`, the same for all waits. They share a timer: to set one for each and
        cancel it again would cost more than to read what comes."""
        self._idle_s = idle_s
        self._deadline_s = self._loop.time() + idle_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline_s, self._look)

    def _look(self) -> None:
        """The time of an earlier wait is over; that of the one under way may not be."""
        self._timer = None
        if self._exchange is None or not self._exchange.is_waiting:
            return
        if self._loop.time() < self._deadline_s:
            self._timer = self._loop.call_at(self._deadline_s, self._look)
        else:
            self._exchange.give_up(self._idle_s)

    def abort(self) -> None:
        """Close the socket at once; what has been read stays readable."""
        self._transport.abort()

    def pause(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            with contextlib.suppress(RuntimeError):  # closed in between
                self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._exchange is None:
            self.abort()
        else:
            self._exchange.feed(self._buffer[:nbytes])

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._exchange is not None:
            self._exchange.end(error)
