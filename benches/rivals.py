"""The port to providers on two libraries, to be compared with ours: by the same tests, and by the clock.

What each fails is written in tests/gateway/test_upstream.py, and what it costs in docs/internals/dependencies.md.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import StreamRequest
from yarl import URL

from kvot.gateway.upstream.compressed import Unpacker
from kvot.gateway.upstream.port import Pair, UpstreamFailed, UpstreamReply, UpstreamRequest


class _Reply:
    """What both replies share: compressed bodies."""

    def __init__(self, status: int, headers: tuple[Pair, ...]) -> None:
        self.status = status
        encoding = dict(headers).get(b"content-encoding")
        self._unpacker = Unpacker(encoding) if encoding else None
        gone = (b"content-encoding", b"content-length") if encoding else ()
        self.headers = tuple(pair for pair in headers if pair[0] not in gone)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for data in self._raw():
            if self._unpacker is None:
                yield data
                continue
            for piece in self._unpacker.feed(data):
                yield piece
        if self._unpacker is not None:
            self._unpacker.finish()

    def _raw(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class AiohttpUpstream:
    def __init__(self, *, connect_timeout_ms: int = 10_000, idle_timeout_ms: int = 600_000) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_ms / 1_000, sock_read=idle_timeout_ms / 1_000
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=2_048, limit_per_host=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=self._timeout,
                read_bufsize=65_536,
                skip_auto_headers=("accept", "user-agent", "content-type"),
                trust_env=False,
            )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        try:
            response = await self._session.request(
                request.verb,
                URL(request.url, encoded=True),
                headers=[*headers, ("accept-encoding", "identity")],
                data=request.body,
                allow_redirects=False,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise UpstreamFailed(str(error), was_sent=False) from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UpstreamFailed(str(error), was_sent=True) from error
        try:
            return AiohttpReply(response)
        except UpstreamFailed:
            response.close()
            raise

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class AiohttpReply(_Reply):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.status, tuple((name.lower(), value) for name, value in response.raw_headers))
        self._response = response

    async def _raw(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._response.content.readany():
                yield data
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamFailed(str(error), was_sent=True) from error

    async def close(self) -> None:
        self._response.close()


class PyreqwestUpstream:
    def __init__(self, *, connect_timeout_ms: int = 10_000, idle_timeout_ms: int = 600_000) -> None:
        self._client: Client = (
            ClientBuilder()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .follow_redirects(False)
            .referer(False)
            .no_proxy()
            .http1_only()
            .connect_timeout(timedelta(milliseconds=connect_timeout_ms))
            .read_timeout(timedelta(milliseconds=idle_timeout_ms))
            .pool_idle_timeout(timedelta(seconds=30))
            .pool_max_idle_per_host(256)
            .build()
        )

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        try:
            asked = self._client.request(request.verb, request.url)
            asked = asked.headers([*headers, ("accept-encoding", "identity")])
            asked = asked.body_bytes(request.body) if request.body is not None else asked
            # Without it the head is kept back until so much of the body has come.
            sent = asked.streamed_read_buffer_limit(0).build_streamed()
            response = await sent.__aenter__()
        except (PyreqwestError, ValueError) as error:
            raise UpstreamFailed(str(error), was_sent="client error (Connect)" not in str(error)) from error
        try:
            return PyreqwestReply(sent, response)
        except UpstreamFailed:
            await sent.__aexit__(None, None, None)
            raise

    async def close(self) -> None:
        await self._client.close()


class PyreqwestReply(_Reply):
    def __init__(self, sent: StreamRequest, response: Any) -> None:
        items = response.headers.items()
        headers = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in items)
        super().__init__(response.status, headers)
        self._sent: StreamRequest | None = sent
        self._response = response

    async def _raw(self) -> AsyncIterator[bytes]:
        reader = self._response.body_reader
        try:
            while (data := await reader.read_chunk()) is not None:
                yield data.to_bytes()
        except PyreqwestError as error:
            raise UpstreamFailed(str(error), was_sent=True) from error

    async def close(self) -> None:
        sent, self._sent = self._sent, None
        if sent is not None:
            await sent.__aexit__(None, None, None)
