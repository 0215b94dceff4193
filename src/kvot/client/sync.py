"""The blocking shell: carries requests to a server and waits for the replies."""

import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread
from time import monotonic, sleep, time
from types import TracebackType
from typing import Self, Unpack

import httpx2

from kvot.client.asking import Asking
from kvot.client.holds import FIGURES, LET_GO_WITHIN_S, OPTIONS, Figures, HoldLife, HoldOptions, check_names
from kvot.client.replies import from_http
from kvot.client.requests import HttpRequest, call_for, lines_to_http, named_again, operation_of, to_http
from kvot.client.server import FAILURES, Server
from kvot.contract.describe import Operation, Request, Response
from kvot.contract.holds import AiChatHoldResponse
from kvot.core.errors import Conflict, KvotError, StoreUnavailable

TIMEOUT_S = 60.0
"""A batch of thousands of events commits within a second; proving a large ledger takes longer."""


class Client:
    """One server, one credential, any number of threads. Holds are renewed by threads of their own.

    timeout_s: how long one question may take in all. After a fork the child has connections of its own.
    Raises InvalidRequest for an address or a key that could not be used; to ask after `close()` is a RuntimeError.
    """

    def __init__(self, url: str, api_key: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._server = Server(url, api_key, timeout_s)
        self._is_closed = False
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, request: Request, *, idempotency_key: str | None = None) -> Response:
        """Raises KvotError: what the server refused, or StoreUnavailable when nobody knows what it did.

        What counts each time that it is asked is asked under a key, which is made where none is given, and asked again
        if its reply is lost; the error names the key, under which it can be repeated.
        """
        key, repeats = call_for(request, idempotency_key)
        asking = Asking(monotonic(), self._server.timeout_s, repeats)
        try:
            return self._ask(request, asking, key)
        except StoreUnavailable as error:
            raise named_again(error, key if asking.may_be_done else None) from error.__cause__

    def call_with_lines(self, operation: Operation, lines: Sequence[bytes], *, company_id: str | None) -> Response:
        sent = lines_to_http(operation, lines, company_id=company_id)
        return from_http(operation, *self._send(sent, self._server.timeout_s), now_ms=_now_ms())

    def hold(self, tokens: int, **options: Unpack[HoldOptions]) -> "Hold":
        """Tokens to hold while a block runs. Entering it raises BudgetExceeded if they do not fit."""
        check_names("Client.hold", options, OPTIONS)
        return Hold(self, HoldLife(tokens, self._server.timeout_s, **options))

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page that is no operation, such as /readyz."""
        status, _, body = self._send(HttpRequest("GET", path, {}, None), self._server.timeout_s)
        return status, body

    def close(self) -> None:
        self._is_closed = True
        self._pool.close()

    def _ask(self, request: Request, asking: Asking, key: str | None = None) -> Response:
        while True:
            try:
                return self._ask_once(request, asking.timeout_s(monotonic()), key)
            except KvotError as error:
                pause_s = asking.pause_s(error, monotonic())
                if pause_s is None:
                    raise
            sleep(pause_s)

    def _ask_once(self, request: Request, timeout_s: float, key: str | None = None) -> Response:
        operation = operation_of(request)
        reply = self._send(to_http(operation, request, idempotency_key=key), timeout_s)
        return from_http(operation, *reply, now_ms=_now_ms(), asked=request)

    def _send(self, sent: HttpRequest, timeout_s: float) -> tuple[int, httpx2.Headers, bytes]:
        if self._is_closed:
            raise RuntimeError("The client was closed.")
        if self._pid != os.getpid():
            self._connect()
        until_s, body = monotonic() + timeout_s, bytearray()
        verb, target, headers, content = sent
        try:
            with self._pool.stream(verb, target, headers=headers, content=content, timeout=timeout_s) as reply:
                for chunk in reply.iter_bytes():
                    if monotonic() >= until_s:
                        raise TimeoutError
                    body += chunk
        except FAILURES as error:
            raise self._server.unanswered(error, timeout_s) from error
        except BaseException:  # a signal's may have left the pool's lock taken: nobody is to wait for it
            self._connect()
            raise
        return reply.status_code, reply.headers, bytes(body)

    def _connect(self) -> None:
        """Connections that nobody used. Those of a parent are left to it: not closed, and never asked on."""
        self._pid, self._pool = os.getpid(), self._server.pool(httpx2.Client)


class Hold:
    """Tokens held while a block runs, and renewed by a thread as long as it does.

    A block that does not settle or release is charged at its tokens when the hold runs out, exception or not: see
    `kvot.client.holds`.
    """

    def __init__(self, client: Client, life: HoldLife) -> None:
        self._client = client
        self._life = life
        self._ended = Event()
        # The thread knows nothing of this object, so one that is forgotten, however it came about, ends it.
        self._renewing = Thread(target=_renew, args=(client, life, self._ended), name=f"hold {life.id}", daemon=True)
        weakref.finalize(self, self._ended.set)

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

    def settle(self, tokens_used: int, **figures: Unpack[Figures]) -> AiChatHoldResponse:
        """Replace the hold by what the call used. Counts once, however often it is said; also after the block."""
        check_names("Hold.settle", figures, FIGURES)
        return self._end(self._life.settling(tokens_used, figures))

    def release(self) -> AiChatHoldResponse:
        """Drop the hold: its call used nothing, and that is certain."""
        return self._end(self._life.releasing)

    def __enter__(self) -> Self:
        asking = self._life.enter(monotonic())
        try:
            self._reserve(asking)
            self._renewing.start()
            return self
        except BaseException:  # whatever a signal may raise here: the block will not run
            self._ended.set()
            if self._life.must_let_go(asking):
                self._let_go()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._renewing.is_alive():
            self._renewing.join(LET_GO_WITHIN_S)  # one that hangs ends by itself, and disturbs nobody
        self._life.leave(error)

    def _reserve(self, asking: Asking) -> None:
        try:
            response = self._client._ask(self._life.reserving, asking)
        except Conflict as error:
            raise self._life.not_reserved(error) from error.__cause__
        self._life.reserved(response, monotonic())

    def _let_go(self) -> None:
        with suppress(KvotError, RuntimeError):
            self._client._ask(self._life.releasing, self._life.let_go(monotonic()))

    def _end(self, request: Request) -> AiChatHoldResponse:
        asking = self._life.end(monotonic())
        response = self._life.ended(self._client._ask(request, asking))
        self._ended.set()
        return response


def _renew(client: Client, life: HoldLife, ended: Event) -> None:
    while not ended.wait(max(0.0, life.renew_at_s - monotonic())):
        asked_s = monotonic()
        try:
            life.renewed(client._ask_once(life.renew(asked_s), life.renew_within_s), asked_s)
        except KvotError as error:
            if life.not_renewed(error):
                return  # whoever settles it will hear why
        except RuntimeError:  # the client was closed
            return


def _now_ms() -> int:
    return int(time() * 1_000)
