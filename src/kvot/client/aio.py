"""The asynchronous shell: what `sync` does, for a program that waits for many things at once."""

import asyncio
import os
from contextlib import suppress
from time import monotonic, time
from types import TracebackType
from typing import Self, Unpack

import httpx2

from kvot.client.asking import Asking
from kvot.client.holds import FIGURES, LET_GO_WITHIN_S, OPTIONS, Figures, HoldLife, HoldOptions, check_names
from kvot.client.replies import from_http
from kvot.client.requests import HttpRequest, call_for, named_again, operation_of, to_http
from kvot.client.server import FAILURES, Server
from kvot.client.sync import TIMEOUT_S
from kvot.contract.describe import Request, Response
from kvot.contract.holds import AiChatHoldResponse
from kvot.core.errors import Conflict, KvotError, StoreUnavailable


class AsyncClient:
    """One server, one credential, one event loop; any number of its tasks.

    timeout_s: how long one question may take in all. After a fork the child has connections, and a loop, of its own.
    Raises InvalidRequest for an address or a key that could not be used; to ask after `close()`, or in another event
    loop, is a RuntimeError.
    """

    def __init__(self, url: str, api_key: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._server = Server(url, api_key, timeout_s)
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, request: Request, *, idempotency_key: str | None = None) -> Response:
        """Raises KvotError: what the server refused, or StoreUnavailable when nobody knows what it did.

        What counts each time that it is asked is asked under a key, which is made where none is given, and asked again
        if its reply is lost; the error names the key, under which it can be repeated.
        """
        key, repeats = call_for(request, idempotency_key)
        asking = Asking(monotonic(), self._server.timeout_s, repeats)
        try:
            return await self._ask(request, asking, key)
        except StoreUnavailable as error:
            raise named_again(error, key if asking.may_be_done else None) from error.__cause__

    def hold(self, tokens: int, **options: Unpack[HoldOptions]) -> "AsyncHold":
        """Tokens to hold while a block runs. Entering it raises BudgetExceeded if they do not fit."""
        check_names("AsyncClient.hold", options, OPTIONS)
        return AsyncHold(self, HoldLife(tokens, self._server.timeout_s, **options))

    async def close(self) -> None:
        self._is_closed = True
        await self._pool.aclose()

    async def _ask(self, request: Request, asking: Asking, key: str | None = None) -> Response:
        while True:
            try:
                return await self._ask_once(request, asking.timeout_s(monotonic()), key)
            except KvotError as error:
                pause_s = asking.pause_s(error, monotonic())
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)

    async def _ask_once(self, request: Request, timeout_s: float, key: str | None = None) -> Response:
        operation = operation_of(request)
        reply = await self._send(to_http(operation, request, idempotency_key=key), timeout_s)
        return from_http(operation, *reply, now_ms=int(time() * 1_000), asked=request)

    async def _send(self, sent: HttpRequest, timeout_s: float) -> tuple[int, httpx2.Headers, bytes]:
        if self._is_closed:
            raise RuntimeError("The client was closed.")
        if self._pid != os.getpid():
            self._connect()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("This AsyncClient belongs to another event loop: make one for each.")
        verb, target, headers, content = sent
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._pool.request(verb, target, headers=headers, content=content, timeout=timeout_s)
        except FAILURES as error:
            raise self._server.unanswered(error, timeout_s) from error
        return reply.status_code, reply.headers, reply.content

    def _connect(self) -> None:
        """Connections that nobody used. Those of a parent are left to it: not closed, and never asked on."""
        self._pid, self._pool = os.getpid(), self._server.pool(httpx2.AsyncClient)
        self._loop = None


class AsyncHold:
    """Tokens held while a block runs, and renewed by a task as long as it does.

    A block that does not settle or release is charged at its tokens when the hold runs out, exception, cancellation or
    not: see `kvot.client.holds`.
    """

    def __init__(self, client: AsyncClient, life: HoldLife) -> None:
        self._client = client
        self._life = life
        self._renewing: asyncio.Task[None] | None = None
        self._letting_go: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self._life.id

    @property
    def response(self) -> AiChatHoldResponse | None:
        """The hold and the usage as the server told them last."""
        return self._life.response

    @property
    def is_open(self) -> bool:
        """Whether the tokens are still held, as far as is known here: not ended, not run out, not ended by others."""
        return self._life.is_open(monotonic())

    async def settle(self, tokens_used: int, **figures: Unpack[Figures]) -> AiChatHoldResponse:
        """Replace the hold by what the call used. Counts once, however often it is said; also after the block."""
        check_names("AsyncHold.settle", figures, FIGURES)
        return await self._end(self._life.settling(tokens_used, figures))

    async def release(self) -> AiChatHoldResponse:
        """Drop the hold: its call used nothing, and that is certain."""
        return await self._end(self._life.releasing)

    async def __aenter__(self) -> Self:
        asking = self._life.enter(monotonic())
        try:
            await self._reserve(asking)
        except (Exception, asyncio.CancelledError):  # whatever it is: the block will not run
            if self._life.must_let_go(asking):
                self._letting_go = asyncio.create_task(self._let_go(), name=f"hold {self.id}, let go")
                await asyncio.wait({self._letting_go}, timeout=LET_GO_WITHIN_S)
            raise
        self._renewing = asyncio.create_task(self._renew(), name=f"hold {self.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop_renewing()
        self._life.leave(error)

    async def _reserve(self, asking: Asking) -> None:
        try:
            response = await self._client._ask(self._life.reserving, asking)
        except Conflict as error:
            raise self._life.not_reserved(error) from error.__cause__
        self._life.reserved(response, monotonic())

    async def _let_go(self) -> None:
        with suppress(KvotError, RuntimeError):
            await self._client._ask(self._life.releasing, self._life.let_go(monotonic()))

    async def _end(self, request: Request) -> AiChatHoldResponse:
        asking = self._life.end(monotonic())
        response = self._life.ended(await self._client._ask(request, asking))
        await self._stop_renewing()
        return response

    async def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})  # unlike awaiting it, raises only our own cancellation
            self._renewing = None

    async def _renew(self) -> None:
        client, life = self._client, self._life
        while True:
            await asyncio.sleep(max(0.0, life.renew_at_s - monotonic()))
            asked_s = monotonic()
            try:
                reply = await client._ask_once(life.renew(asked_s), life.renew_within_s)
                life.renewed(reply, asked_s)
            except KvotError as error:
                if life.not_renewed(error):
                    return  # whoever settles it will hear why
            except RuntimeError:  # the client was closed
                return
