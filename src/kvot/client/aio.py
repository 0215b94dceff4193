"""The asynchronous shell: what `sync` does, for a program that waits for many things at once."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

import httpx2

from kvot.client.holds import FIGURES, OPTIONS, Figures, HoldLife, HoldOptions, check_names
from kvot.client.requests import from_http, operation_of, to_http
from kvot.client.sync import LOST, TIMEOUT_S, unreachable
from kvot.contract.describe import Request, Response
from kvot.contract.holds import AiChatHoldResponse
from kvot.core.errors import KvotError, StoreUnavailable

LET_GO_WITHIN_S = 2.0
"""How long whoever is cancelled waits until tokens that may be held for it are let go."""


class AsyncClient:
    """One server, one credential, one event loop; any number of its tasks."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {} if api_key is None else {"x-api-key": api_key}
        self._url = url
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, request: Request, *, idempotency_key: str | None = None) -> Response:
        """Raises KvotError: what the server refused, or StoreUnavailable when it cannot be reached."""
        operation = operation_of(request)
        sent = to_http(operation, request, idempotency_key=idempotency_key)
        try:
            reply = await self._http.request(sent.verb, sent.target, headers=dict(sent.headers), content=sent.body)
        except httpx2.HTTPError as error:
            raise unreachable(self._url, error) from error
        return from_http(operation, reply.status_code, reply.headers, reply.content)

    def hold(self, tokens: int, **options: Unpack[HoldOptions]) -> "AsyncHold":
        """Tokens to hold while a block runs. Entering it raises BudgetExceeded if they do not fit."""
        check_names("AsyncClient.hold", options, OPTIONS)
        return AsyncHold(self, HoldLife(tokens, **options))

    async def close(self) -> None:
        await self._http.aclose()


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

    async def settle(self, tokens_used: int, **figures: Unpack[Figures]) -> AiChatHoldResponse:
        """Replace the hold by what the call used. Counts once, however often it is said; also after the block."""
        check_names("AsyncHold.settle", figures, FIGURES)
        return await self._end(self._life.settling(tokens_used, figures))

    async def release(self) -> AiChatHoldResponse:
        """Drop the hold: its call used nothing, and that is certain."""
        return await self._end(self._life.releasing)

    async def __aenter__(self) -> Self:
        self._life.took(await self._reserve())
        self._renewing = asyncio.create_task(self._renew(), name=f"hold {self.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop_renewing()
        self._life.leave(error)

    async def _reserve(self) -> Response:
        """Where nobody knows whether tokens are held now, let go of them: the block, and its call, will not run."""
        try:
            return await self._ask(self._life.reserving)
        except (StoreUnavailable, asyncio.CancelledError):
            self._letting_go = asyncio.create_task(self._let_go(), name=f"hold {self.id}, let go")
            await asyncio.wait({self._letting_go}, timeout=LET_GO_WITHIN_S)
            raise

    async def _let_go(self) -> None:
        with suppress(KvotError):
            await self._client.call(self._life.releasing)

    async def _end(self, request: Request) -> AiChatHoldResponse:
        response = self._life.took(await self._ask(request))
        await self._stop_renewing()
        return response

    async def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})  # unlike awaiting it, raises only our own cancellation
            self._renewing = None

    async def _ask(self, request: Request) -> Response:
        """Ask once more if the reply was lost: everything about a hold counts once."""
        try:
            return await self._client.call(request)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, LOST):
                raise
            return await self._client.call(request)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._life.renew_every_s)
            try:
                await self._client.call(self._life.renewing)
            except StoreUnavailable:
                continue  # the next one may still come in time, and a hold that runs out is charged, not lost
            except KvotError:
                return  # it is closed: whoever settles it will hear why
