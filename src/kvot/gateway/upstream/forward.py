"""Sends calls to providers: the port of port.py over HTTP/1.1, on connections that are kept and used again.

It goes to the address that it is given and nowhere else: it follows no redirect, reads no proxy from the environment,
keeps no cookie and repeats nothing. TLS is checked against the trust store of the operating system.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from kvot.gateway.upstream.compressed import Unpacker, can_unpack
from kvot.gateway.upstream.connection import READ_BYTES, Connection, Exchange
from kvot.gateway.upstream.port import Pair, UpstreamFailed, UpstreamPacked, UpstreamReply, UpstreamRequest

CONNECT_TIMEOUT_MS = 10_000
IDLE_TIMEOUT_MS = 600_000
"""The longest that a provider may say nothing. A plain answer of a model that reasons takes minutes; ten is what the
official clients wait."""
CALLS_MAX = 2_048
"""Under way at once. Each is a descriptor and, with a slow reader, 32 KB; one more waits as for a connection."""
KEPT_MAX = 256
"""Idle connections per address; more are closed."""
KEEP_MS = 30_000
"""A connection idle for longer is not used again: many providers close theirs after a minute."""

# The connection's own affair, or ours: a caller's are not sent.
_OURS = frozenset(
    b"host content-length transfer-encoding connection keep-alive proxy-connection te trailer upgrade expect "
    b"accept-encoding".split()
)
_VERBS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Servers expect a body of theirs: without a length, also where there is none, some answer 411 (RFC 9110, 8.6)."""

_NO_ADDRESS = "the address is not one that a call can be sent to"
# Not true any more of a body that we have decompressed.
_OF_PACKED = frozenset((b"content-encoding", b"content-length"))


class Address(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    is_tls: bool


class ForwardReply:
    """See UpstreamReply."""

    def __init__(self, upstream: "ForwardUpstream", address: Address, connection: Connection, exchange: Exchange):
        self._upstream = upstream
        self._address = address
        self._connection: Connection | None = connection
        self._exchange = exchange
        self.status = exchange.status
        self.headers = tuple(exchange.headers)
        self._unpacker = None
        if encoding := _encoding(self.headers):
            if not can_unpack(encoding):
                raise UpstreamPacked(encoding, self.status)
            self._unpacker = Unpacker(encoding)
            self.headers = tuple(pair for pair in self.headers if pair[0] not in _OF_PACKED)

    async def chunks(self) -> AsyncIterator[bytes]:
        idle_s = self._upstream.idle_timeout_ms / 1_000
        while data := await self._exchange.read(idle_s):
            if self._unpacker is None:
                yield data
                continue
            for piece in self._unpacker.feed(data):
                yield piece
        if self._unpacker is not None:
            self._unpacker.finish()
        self._let_go()

    async def close(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._upstream.take_back(self._address, connection)


class ForwardUpstream:
    """See Upstream. One per event loop; `trust` replaces the operating system's store, for tests and private CAs."""

    def __init__(
        self,
        *,
        connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
        idle_timeout_ms: int = IDLE_TIMEOUT_MS,
        calls_max: int = CALLS_MAX,
        kept_max: int = KEPT_MAX,
        keep_ms: int = KEEP_MS,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.idle_timeout_ms = idle_timeout_ms
        self._connect_timeout_ms = connect_timeout_ms
        self._kept_max = kept_max
        self._keep_ms = keep_ms
        self._trust = trust
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._free = asyncio.Semaphore(calls_max)
        self._kept: dict[Address, deque[Connection]] = {}
        self._busy: set[Connection] = set()

    async def send(self, request: UpstreamRequest, on_sent: Callable[[], None] | None = None) -> UpstreamReply:
        address, host, target = _split(request.url)
        head = _head(request, host, target)
        await self._take_turn()
        connection: Connection | None = None
        try:
            connection = self._idle(address) or await self._connect(address)
            self._busy.add(connection)
            exchange = connection.start(head, request.body)
            if on_sent is not None:
                on_sent()
            await exchange.head(self.idle_timeout_ms / 1_000)
            return ForwardReply(self, address, connection, exchange)
        except BaseException:
            # Cancelled as well: nobody else knows of the connection, and the provider must hear that we have gone.
            self._drop(connection)
            raise

    async def close(self) -> None:
        """Close every connection, those in use too."""
        every = [*self._busy, *(each for kept in self._kept.values() for each in kept)]
        self._kept.clear()
        for connection in every:
            connection.abort()
        for connection in every:
            await connection.closed.wait()

    def take_back(self, address: Address, connection: Connection) -> None:
        """A reply is done with its connection: keep it if it can serve again."""
        kept = self._kept.setdefault(address, deque())
        if len(kept) >= self._kept_max or not connection.finish():
            self._drop(connection)
            return
        self._busy.discard(connection)
        self._free.release()
        connection.idle_since = asyncio.get_running_loop().time()
        kept.append(connection)

    def _drop(self, connection: Connection | None) -> None:
        self._free.release()
        if connection is not None:
            self._busy.discard(connection)
            connection.abort()

    async def _take_turn(self) -> None:
        if not self._free.locked():  # a timer costs more than the turn
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1_000):
                await self._free.acquire()
        except TimeoutError:
            raise UpstreamFailed("too many calls are under way to providers", was_sent=False) from None

    def _idle(self, address: Address) -> Connection | None:
        """The connection that was used last, so that those of a busy hour grow old and go."""
        kept = self._kept.get(address)
        if not kept:
            return None
        oldest = asyncio.get_running_loop().time() - self._keep_ms / 1_000
        while kept and kept[0].idle_since < oldest:
            kept.popleft().abort()
        while kept:
            connection = kept.pop()
            if not connection.is_stale():
                return connection
            connection.abort()
        return None

    async def _connect(self, address: Address) -> Connection:
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1_000):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._buffer),
                    address.host,
                    address.port,
                    ssl=self._context() if address.is_tls else None,
                    server_hostname=address.host if address.is_tls else None,
                )
        except TimeoutError:
            raise UpstreamFailed(f"cannot connect to {address.host}: timed out", was_sent=False) from None
        except (OSError, UnicodeError) as error:  # refused, unreachable, unknown, distrusted, no name of a host
            message = f"cannot connect to {address.host}: {error}"
            raise UpstreamFailed(message, was_sent=False) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = ssl.create_default_context()
            self._trust.set_alpn_protocols(["http/1.1"])
        return self._trust


@lru_cache(maxsize=1_024)
def _split(url: str) -> tuple[Address, bytes, bytes]:
    """Where a call goes: the address, the Host header, and the path with its query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UpstreamFailed(_NO_ADDRESS, was_sent=False) from None
    is_clean = url.isascii() and url.isprintable() and " " not in url
    if not is_clean or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise UpstreamFailed(_NO_ADDRESS, was_sent=False)
    is_tls = parts.scheme == "https"
    address = Address(parts.hostname, port or (443 if is_tls else 80), is_tls)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return address, parts.netloc.encode(), target.encode()


def _head(request: UpstreamRequest, host: bytes, target: bytes) -> bytes:
    """The request's head. A line break in a header would begin another request, and is refused."""
    lines = [b"%b %b HTTP/1.1" % (request.verb.encode(), target), b"host: " + host, b"accept-encoding: identity"]
    lines += [b"%b: %b" % pair for pair in request.headers if pair[0].lower() not in _OURS]
    if request.body is not None or request.verb in _VERBS_WITH_BODY:
        lines.append(b"content-length: %d" % len(request.body or b""))
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1 or b"\0" in head:
        raise UpstreamFailed("a header of the request holds a line break", was_sent=False)
    return head


def _encoding(headers: tuple[Pair, ...]) -> bytes | None:
    """How the body is compressed, by its own account or for the way to us alone; None: it is not."""
    values = [value for name, value in headers if name == b"content-encoding"]
    values += [value for name, value in headers if name == b"transfer-encoding"]
    codings = [coding.strip().lower() for value in values for coding in value.split(b",")]
    return b", ".join(coding for coding in codings if coding not in _PLAIN) or None


_PLAIN = frozenset((b"", b"identity", b"chunked"))
