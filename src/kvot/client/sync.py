"""The blocking shell: carries requests to a server and waits for the replies."""

from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self, Unpack

import httpx2

from kvot.client.holds import FIGURES, OPTIONS, Figures, HoldLife, HoldOptions, check_names
from kvot.client.requests import HttpRequest, from_http, lines_to_http, operation_of, to_http
from kvot.contract.describe import Operation, Request, Response
from kvot.contract.holds import AiChatHoldResponse
from kvot.core.errors import KvotError, StoreUnavailable

TIMEOUT_S = 60.0
"""A batch of thousands of events commits within a second; proving a large ledger takes longer."""

LOST = (httpx2.NetworkError, httpx2.RemoteProtocolError)
"""The connection is gone, and with it the reply: as when it was idle for as long as a provider took to answer."""


class Client:
    """One server, one credential. Holds are renewed by threads of their own; beside them, one thread at a time."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {} if api_key is None else {"x-api-key": api_key}
        self._url = url
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, request: Request, *, idempotency_key: str | None = None) -> Response:
        """Raises KvotError: what the server refused, or StoreUnavailable when it cannot be reached."""
        operation = operation_of(request)
        return self._send(operation, to_http(operation, request, idempotency_key=idempotency_key))

    def call_with_lines(self, operation: Operation, lines: Sequence[bytes], *, company_id: str | None) -> Response:
        return self._send(operation, lines_to_http(operation, lines, company_id=company_id))

    def hold(self, tokens: int, **options: Unpack[HoldOptions]) -> "Hold":
        """Tokens to hold while a block runs. Entering it raises BudgetExceeded if they do not fit."""
        check_names("Client.hold", options, OPTIONS)
        return Hold(self, HoldLife(tokens, **options))

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page that is no operation, such as /readyz."""
        try:
            reply = self._http.get(path)
        except httpx2.HTTPError as error:
            raise unreachable(self._url, error) from error
        return reply.status_code, reply.content

    def close(self) -> None:
        self._http.close()

    def _send(self, operation: Operation, sent: HttpRequest) -> Response:
        try:
            reply = self._http.request(sent.verb, sent.target, headers=dict(sent.headers), content=sent.body)
        except httpx2.HTTPError as error:
            raise unreachable(self._url, error) from error
        return from_http(operation, reply.status_code, reply.headers, reply.content)


class Hold:
    """Tokens held while a block runs, and renewed by a thread as long as it does.

    A block that does not settle or release is charged at its tokens when the hold runs out, exception or not: see
    `kvot.client.holds`.
    """

    def __init__(self, client: Client, life: HoldLife) -> None:
        self._client = client
        self._life = life
        self._ended = Event()
        self._renewing = Thread(target=self._renew, name=f"hold {life.id}", daemon=True)

    @property
    def id(self) -> str:
        return self._life.id

    @property
    def response(self) -> AiChatHoldResponse | None:
        """The hold and the usage as the server told them last."""
        return self._life.response

    def settle(self, tokens_used: int, **figures: Unpack[Figures]) -> AiChatHoldResponse:
        """Replace the hold by what the call used. Counts once, however often it is said; also after the block."""
        check_names("Hold.settle", figures, FIGURES)
        return self._end(self._life.settling(tokens_used, figures))

    def release(self) -> AiChatHoldResponse:
        """Drop the hold: its call used nothing, and that is certain."""
        return self._end(self._life.releasing)

    def __enter__(self) -> Self:
        self._life.took(self._reserve())
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewing.join()
        self._life.leave(error)

    def _reserve(self) -> Response:
        """Where nobody knows whether tokens are held now, let go of them: the block, and its call, will not run."""
        try:
            return self._ask(self._life.reserving)
        except (StoreUnavailable, KeyboardInterrupt):
            with suppress(KvotError):
                self._client.call(self._life.releasing)
            raise

    def _end(self, request: Request) -> AiChatHoldResponse:
        response = self._life.took(self._ask(request))
        self._ended.set()
        return response

    def _ask(self, request: Request) -> Response:
        """Ask once more if the reply was lost: everything about a hold counts once."""
        try:
            return self._client.call(request)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, LOST):
                raise
            return self._client.call(request)

    def _renew(self) -> None:
        while not self._ended.wait(self._life.renew_every_s):
            try:
                self._client.call(self._life.renewing)
            except StoreUnavailable:
                continue  # the next one may still come in time, and a hold that runs out is charged, not lost
            except KvotError:
                return  # it is closed: whoever settles it will hear why


def unreachable(url: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"The server {url} cannot be reached: {error}.")
