"""The ASGI kernel: one request in, one reply out.

The order is fixed: find the operation, find out who is calling, read the body, bind, perform, write. So nobody
anonymous makes us read a body, and every right is checked on the operation itself, never on a path.
Nothing here decides: rights and rules are those of `operations`, words and numbers those of `wire` and `errors`.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from kvot.contract import HOST, ROUTES, Host
from kvot.contract.describe import Operation
from kvot.core.errors import KvotError, NotAuthenticated, StoreUnavailable
from kvot.core.principal import Principal
from kvot.http import replies
from kvot.http.authenticator import Authenticator
from kvot.http.headers import read_headers
from kvot.http.health import Health
from kvot.http.limits import ClientGone, Headers, Limits, Receive, has_body, idempotency_key, read_body
from kvot.http.replies import Reply
from kvot.http.requestlog import RequestLog
from kvot.http.table import Match, Table, no_such_verb
from kvot.operations import Caller, Services, perform
from kvot.wire.binding import NO_FIELDS, Fields, Sent, bind_api, bind_route, read_fields
from kvot.wire.formats import JSON, Format
from kvot.wire.negotiate import accepted, named
from kvot.wire.style import Style

Scope = Any
Send = Callable[[Any], Awaitable[None]]

_UNAVAILABLE = "The ledger cannot answer now. If this was a write, repeat it with the same id: it counts once."

_NO_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Verbs whose body, if a client sends one, means nothing."""


class Call:
    """One request as far as it is known by now; what the log says of it when it is over."""

    __slots__ = ("format", "operation", "principal")

    def __init__(self) -> None:
        self.format: Format = JSON
        self.operation: Operation | None = None
        self.principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What a host decides about its edge."""

    style: Style = Style()  # noqa: RUF009 (immutable)
    limits: Limits = Limits()  # noqa: RUF009 (immutable)
    host: Host = HOST


class App:
    """The ASGI application. `log` hears of every request that it wants to hear of."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        health: Health,
        *,
        settings: HttpSettings = HttpSettings(),
        log: RequestLog | None = None,
        routes: Iterable[Operation] = ROUTES,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._settings = settings
        self._style = settings.style
        self._limits = settings.limits
        self.log = log or RequestLog()
        self._table = Table(routes)
        self._pages = {"/livez": health.live, "/readyz": health.ready}
        self.health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started_s = perf_counter()
        call = Call()
        try:
            reply = await self._reply(scope, receive, call)
        except (ClientGone, CancelledError):  # cancelled: the server was told to stop at once
            return
        status, headers, body = reply
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})
        if status >= self.log.least_status:
            self.log.request(scope, call.operation, call.principal, status, perf_counter() - started_s)

    async def _reply(self, scope: Scope, receive: Receive, call: Call) -> Reply:
        try:
            if page := self._pages.get(scope["path"]):
                return await page()
            if self.health.is_draining:
                return self._draining()
            return await self._answer(scope, receive, call)
        except StoreUnavailable as error:  # why is for whoever runs the store, and may name its file
            self.log.unavailable(call.operation, error)
            told = StoreUnavailable(_UNAVAILABLE, retry_after_ms=error.retry_after_ms)
            return replies.of_error(told, call.format, self._style)
        except KvotError as error:
            return replies.of_error(error, call.format, self._style)
        except ClientGone:
            raise
        except Exception as error:  # the outermost edge: nothing of it may reach the client
            request_id = self.log.unforeseen(scope, call.operation, error)
            return replies.of_unforeseen(request_id, call.format, self._style)

    async def _answer(self, scope: Scope, receive: Receive, call: Call) -> Reply:
        headers = read_headers(scope["headers"])
        match = self._table.find(scope["path"], scope["raw_path"])
        if match is None:
            return replies.NOT_FOUND
        query = read_fields(scope["query_string"]) if scope["query_string"] else NO_FIELDS
        call.format = format_ = _format(match, query, headers)
        verb = _verb(scope["method"], headers)
        operation = call.operation = self._operation(match, verb)
        if operation is None:
            return replies.NOT_FOUND
        call.principal = principal = await self._authenticate(scope, headers)
        caller = Caller(principal, idempotency_key(headers))
        body = None
        if verb not in _NO_BODY and has_body(headers):
            body = await read_body(receive, headers, self._limits)
        if body or query or match.path_values:
            sent = Sent(match.path_values, query, body, headers.get(b"content-type", b"").decode("latin-1"))
            bind = bind_api if match.endpoint.is_api else bind_route
            request = bind(operation, sent)
        else:
            request = operation.request()
        response = await perform(self._services, caller, operation, request)
        return replies.of_response(response, format_, self._style)

    def _operation(self, match: Match, verb: str) -> Operation | None:
        """None: a path of ours, but no route of it takes the verb, which the contract answers like an unknown path."""
        operation = match.endpoint.operation(verb)
        if operation is None and (name := match.endpoint.api_operation):
            raise no_such_verb(name, verb, self._settings.host.service_name)
        return operation

    async def _authenticate(self, scope: Scope, headers: Headers) -> Principal:
        peer = scope["client"]
        principal = await self._authenticator.principal(
            headers.get(b"authorization"), headers.get(b"x-api-key"), peer[0] if peer else None
        )
        if principal is None:
            raise NotAuthenticated
        return principal

    def _draining(self) -> Reply:
        reply = replies.of_error(StoreUnavailable("The server is stopping."), JSON, self._style)
        return reply._replace(headers=(*reply.headers, replies.CLOSE))


def _format(match: Match, query: Fields, headers: Headers) -> Format:
    """Extension, then `?format=`, then `Accept`, which `/api` ignores."""
    endpoint = match.endpoint
    if endpoint.format is not None:
        return endpoint.format
    if key := query.get("format"):
        return named(key)
    return JSON if endpoint.is_api else accepted(headers.get(b"accept"))


def _verb(method: str, headers: Headers) -> str:
    override = headers.get(b"x-http-method-override")
    return override.decode("latin-1").strip().upper() if override else method
