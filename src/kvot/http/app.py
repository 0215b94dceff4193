"""The ASGI kernel: one request in, one reply out.

The order is fixed, and the contract's: find the operation, read the body within its bound, bind, find out who is
calling, perform, write. Every right is checked on the operation itself, never on a path.
Nothing here decides: rights and rules are those of `operations`, words and numbers those of `wire` and `errors`.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter, time_ns
from typing import Any

from kvot.contract import HOST, ROUTES, Host
from kvot.contract.describe import Operation, Request, Response
from kvot.contract.holds import AiChatHoldResponse, SettleAiChatHold
from kvot.core.errors import KvotError, NotAuthenticated, NotFound, StoreUnavailable, TooManyRequests
from kvot.core.principal import Principal
from kvot.http import batch, choice, errors, replies, signin
from kvot.http.authenticator import Authenticator
from kvot.http.cors import Cors
from kvot.http.early import STOPPING, Early
from kvot.http.gateway import GatewayEdge
from kvot.http.headers import accept_of, read_headers
from kvot.http.health import Health
from kvot.http.index import ApiIndex
from kvot.http.limits import ClientGone, Headers, Limits, Receive, has_body, idempotency_key, read_body
from kvot.http.overrides import with_overrides, with_reply_overrides
from kvot.http.replies import Reply
from kvot.http.reply_writer import REFUSED, WRITE
from kvot.http.requestlog import RequestLog
from kvot.http.signin import SignIn
from kvot.http.surface import Asked, Surface
from kvot.http.table import Endpoint, Match, Table, beside, no_such_operation, no_such_verb
from kvot.operations import Caller, Services, perform
from kvot.operations.perform import authorise
from kvot.telemetry.tally import Outcome, Requests
from kvot.wire.binding import NO_FIELDS, Fields, Sent, bind_api, bind_item, bind_route, read_batch, read_fields
from kvot.wire.formats import CSV, HTML, JSON, JSONP, Format
from kvot.wire.negotiate import asks_for_problem
from kvot.wire.style import Style

Scope = Any
Send = Callable[[Any], Awaitable[None]]

_UNAVAILABLE = "The ledger cannot answer now. If this was a write, repeat it with the same id: it counts once."

_NO_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Verbs whose body, if a client sends one, means nothing."""


class Call:
    """One request as far as it is known by now: for the reply, also when something fails, and for the log.

    item: the one of a batch that is being asked for or carried out. failing: the type whose ResponseStatus says what
    goes wrong from now on; None before the operation itself has begun.
    """

    __slots__ = (
        "endpoint",
        "extra_headers",
        "failing",
        "format",
        "headers",
        "item",
        "may_sign_in",
        "operation",
        "principal",
        "query",
        "reason",
        "receive",
        "scope",
        "style",
        "verb",
    )

    def __init__(self, scope: Scope, receive: Receive, style: Style) -> None:
        self.scope = scope
        self.receive = receive
        self.headers: Headers = {}
        self.verb: str = scope["method"]
        self.query: Fields = NO_FIELDS
        self.endpoint: Endpoint | None = None
        self.format: Format = JSON
        self.style = style
        self.operation: Operation | None = None
        self.item: int | None = None
        self.failing: type[Response] | None = None
        self.principal: Principal | None = None
        self.extra_headers: replies.Pairs = ()
        self.may_sign_in = False
        self.reason: str | None = None

    def asks_for_problem(self) -> bool:
        return self.format.key != JSONP.key and choice.is_problem(self.endpoint, self.query, self.headers)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What a host decides about its edge. `cors_origins` as browsers send them, `https://app.example.com`."""

    style: Style = Style()  # noqa: RUF009 (immutable)
    limits: Limits = Limits()  # noqa: RUF009 (immutable)
    host: Host = HOST
    allows_jsonp: bool = False
    cors_origins: frozenset[str] = frozenset()


def _wall_ms() -> int:
    return time_ns() // 1_000_000


class App:
    """The ASGI application. `log` hears of every request that it wants to hear of; `early` answers what was none.

    sign_in: without it no cookie counts and no browser is sent anywhere. clock: milliseconds since the epoch.
    surfaces: what is answered beside the operations; asked in order. gateway: what leads to providers.
    requests: where what becomes of each is counted.
    """

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        health: Health,
        *,
        settings: HttpSettings = HttpSettings(),
        log: RequestLog | None = None,
        routes: Iterable[Operation] = ROUTES,
        sign_in: SignIn | None = None,
        surfaces: Sequence[Surface] = (),
        gateway: GatewayEdge | None = None,
        requests: Requests | None = None,
        clock: Callable[[], int] = _wall_ms,
    ) -> None:
        routes = tuple(routes)
        self._gateway = gateway
        self._services = services
        self._authenticator = authenticator
        self._settings = settings
        self._style = settings.style
        self._limits = settings.limits
        self.log = log or RequestLog()
        self._table = Table(routes)
        self._pages = health.pages
        self._cors = Cors(settings.cors_origins)
        self._sign_in = sign_in
        self._surfaces: list[Surface] = [ApiIndex(routes), *([sign_in] if sign_in else []), *surfaces]
        self._clock = clock
        self._requests = requests or Requests()
        found = (gateway.provider, gateway.calls) if gateway else ()
        self.early = Early(self._table, settings.style, self.log, self._requests, *found)
        self.health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._gateway is not None and (provider := self._gateway.provider(scope["path"])) is not None:
            return await self._gateway.answer(provider, scope, receive, send)
        started_s = perf_counter()
        call = Call(scope, receive, self._style)
        try:
            reply = await self._reply(call)
        except ClientGone:
            return
        except CancelledError:  # the server stops, and waits no longer: nothing of a reply has gone out yet
            reply = self._draining(call)
        status, headers, body = reply
        pairs = [*headers, *replies.ALWAYS, *call.extra_headers, (b"content-length", b"%d" % len(body))]
        if write := scope.get("extensions", {}).get(WRITE):
            await write(status, pairs, body, call.reason)
        else:
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        if status >= self.log.least_status and REFUSED not in scope.get("extensions", ()):
            self.log.request(scope, call.operation, call.principal, status, perf_counter() - started_s)

    async def _reply(self, call: Call) -> Reply:
        try:
            if page := self._pages.get(call.scope["path"]):
                return await page(call.scope["query_string"])
            if self.health.is_draining:
                return self._draining(call)
            return await self._answer(call)
        except KvotError as error:
            if call.may_sign_in and isinstance(error, NotAuthenticated | TooManyRequests):  # of a cookie alone
                return signin.to_login(call.scope, call.headers)
            return self._failed(call, error)
        except ClientGone:
            raise
        except Exception as error:  # the outermost edge: nothing of it may reach the client
            request_id = self.log.unforeseen(call.scope, call.operation, error)
            self._count(call.operation, "failed")
            meta = batch.failed_item(call.item)
            if call.asks_for_problem():
                return replies.problem_of_unforeseen(request_id, meta)
            return self._finished(call, replies.of_unforeseen(request_id, call.format, call.style, meta, call.failing))

    def _failed(self, call: Call, error: KvotError) -> Reply:
        if isinstance(error, StoreUnavailable):  # why is for whoever runs the store, and may name its file
            self.log.unavailable(call.operation, error)
            error = StoreUnavailable(_UNAVAILABLE, retry_after_ms=error.retry_after_ms)
        if REFUSED not in call.scope.get("extensions", ()):
            self._count(call.operation, errors.outcome(error))
        call.reason = errors.reason(error)
        meta = batch.failed_item(call.item)
        if call.asks_for_problem():
            return _completed(call, replies.problem_of_error(error, meta))
        reply = self._finished(call, replies.of_error(error, call.format, call.style, meta, call.failing))
        # A script that failed to load tells the page nothing, so JSONP says it in a script that loads.
        return reply._replace(status=200) if call.format.key == JSONP.key else reply

    def _count(self, operation: Operation | None, outcome: Outcome) -> None:
        if operation is not None:
            self._requests.count(operation.name, outcome)

    def _count_done(self, operation: Operation, response: Response) -> None:
        self._requests.count(operation.name, "done")
        if operation.request is SettleAiChatHold and isinstance(response, AiChatHoldResponse):
            self._requests.settle(response.hold_tokens_used or 0, response.hold_tokens)

    @staticmethod
    def _finished(call: Call, reply: Reply) -> Reply:
        if call.format is CSV and call.operation is not None:
            reply = replies.with_headers(reply, replies.named_file(call.operation.name))
        return _completed(call, reply)

    async def _answer(self, call: Call) -> Reply:
        scope = call.scope
        headers = call.headers = read_headers(scope["headers"])
        if self._cors.is_open:
            call.extra_headers = self._cors.headers(headers)
            if scope["method"] == "OPTIONS":
                return self._cors.preflight(headers)
        if b"x-http-method-override" in headers:
            call.verb = headers[b"x-http-method-override"].decode("latin-1").strip().upper()
        match = self._table.find(scope["path"], scope["raw_path"])
        if scope["query_string"]:
            call.query = read_fields(scope["query_string"])
        call.query = with_reply_overrides(call.query, headers)
        if match is None or not match.endpoint.operations:
            return await self._beside(call, match)
        self._choose(call, match.endpoint)
        operation = call.operation = self._operation(match, call.verb)
        if operation is None:
            return _not_found(call)
        return await self._perform(call, match, operation)

    async def _perform(self, call: Call, match: Match, operation: Operation) -> Reply:
        headers, endpoint = call.headers, match.endpoint
        if call.format is HTML:
            call.format = choice.page_of(operation.name, call.query, call.verb, self._clock)
        call.item = 0 if endpoint.is_batch else None  # what fails before the first item fails with it
        body = None
        if (endpoint.is_batch or call.verb not in _NO_BODY) and has_body(headers):  # a batch is its body
            body = await read_body(call.receive, headers, self._limits)
        query = with_overrides(operation.request, call.query, headers)
        content_type = headers.get(b"content-type", b"").decode("latin-1") if body else ""
        sent = Sent(match.path_values, query, body, content_type)
        if endpoint.is_batch:
            return await self._batch(call, operation, endpoint, sent)
        request = _bound(operation, endpoint, sent)
        caller = await self._caller(call, operation)
        call.failing = operation.response
        response = await perform(self._services, caller._replace(is_told=not endpoint.is_oneway), operation, request)
        self._count_done(operation, response)
        if endpoint.is_oneway or operation.response is None:
            return replies.nothing(call.verb)
        return self._finished(call, replies.of_response(response, call.format, call.style))

    async def _batch(self, call: Call, operation: Operation, endpoint: Endpoint, sent: Sent) -> Reply:
        format_ = endpoint.body_format
        documents = read_batch(operation, sent, format_, batch.ITEMS_MAX)
        caller: Caller | None = None
        responses: list[Response] = []
        for index, document in enumerate(documents):
            call.item, call.failing = index, None
            request = bind_item(operation, document, sent.query, format_)
            caller = caller or await self._caller(call, operation)
            call.failing = operation.response
            responses.append(await perform(self._services, batch.caller_of_item(caller, index), operation, request))
            self._count_done(operation, responses[-1])
        if caller is None:
            await self._caller(call, operation)
        call.item = len(responses)
        if endpoint.is_oneway or operation.response is None:
            return self._finished(call, replies.nothing(call.verb))
        return self._finished(call, replies.of_response([*responses], call.format, call.style))

    async def _caller(self, call: Call, operation: Operation) -> Caller:
        """Who is calling, if they may ask for the operation at all."""
        call.principal = await self._authenticate(call)
        authorise(call.principal, operation)
        return Caller(call.principal, idempotency_key(call.headers))

    async def _beside(self, call: Call, match: Match | None) -> Reply:
        """What leads to no operation: a surface, or nothing."""
        answer = next((found for each in self._surfaces if (found := each.find(call.scope["path"]))), None)
        if answer is None and match is None:
            return _not_found(call)
        self._choose(call, match.endpoint if match else beside(call.scope["path"]))
        if answer is None:
            raise no_such_operation()
        principal = partial(self._authenticate, call)
        body = partial(read_body, call.receive, call.headers, self._limits)
        return await answer(Asked(call.scope, call.headers, call.query, call.format, call.style, principal, body))

    def _choose(self, call: Call, endpoint: Endpoint) -> None:
        """How the reply will be written. A wish that cannot be met is refused in what is written without it."""
        call.endpoint = endpoint
        call.format = choice.format_of(endpoint, NO_FIELDS, call.headers)
        if call.query:
            call.style = choice.restyled(call.query, self._style)
            call.format = choice.format_of(endpoint, call.query, call.headers)
            if self._settings.allows_jsonp:
                call.format = choice.jsonp_of(endpoint, call.query, call.format)
        if call.format is HTML and self._sign_in is not None and not endpoint.is_api:
            call.may_sign_in = choice.is_browser(call.headers) and not _CREDENTIALS & call.headers.keys()

    def _operation(self, match: Match, verb: str) -> Operation | None:
        """None: a path of ours, but no route of it takes the verb, which the contract answers like an unknown path.

        OPTIONS is no such verb: it asks about the path itself, and so there is one.
        """
        endpoint = match.endpoint
        operation = endpoint.operation(verb)
        if operation is None and (endpoint.is_api or verb == "OPTIONS"):
            raise no_such_verb(endpoint.name, verb, self._settings.host.service_name)
        return operation

    async def _authenticate(self, call: Call) -> Principal:
        headers, client = call.headers, call.scope["client"]
        authorization, api_key = headers.get(b"authorization"), headers.get(b"x-api-key")
        peer = client[0] if client else None
        if authorization is None and api_key is None and self._sign_in is not None and call.format.key != JSONP.key:
            principal = await self._sign_in.principal(call.scope["method"], call.verb, headers, peer)
        else:
            principal = await self._authenticator.principal(authorization, api_key, peer)
        if principal is None:
            raise NotAuthenticated
        return principal

    def _draining(self, call: Call) -> Reply:
        _, error = STOPPING
        is_problem = asks_for_problem(accept_of(call.scope["headers"]))
        reply = replies.problem_of_error(error) if is_problem else replies.of_error(error, JSON, self._style)
        return replies.with_headers(reply, replies.CLOSE)


_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})


def _not_found(call: Call) -> Reply:
    if call.asks_for_problem():
        return replies.problem_of_error(NotFound("There is nothing at this path."))
    return replies.NOT_FOUND


def _completed(call: Call, reply: Reply) -> Reply:
    """Of a batch: with how many items were done before the reply."""
    return reply if call.item is None else replies.with_headers(reply, batch.completed(call.item))


def _bound(operation: Operation, endpoint: Endpoint, sent: Sent) -> Request:
    if not (sent.body or sent.query or sent.path):
        return operation.request()
    if endpoint.is_api:
        return bind_api(operation, sent, endpoint.body_format)
    return bind_route(operation, sent)
