"""The gateway's edge: ASGI on one side, `kvot.gateway` on the other. Errors go out in the provider's own words.

It watches for the client's leaving: that ends the call to the provider at once, and settles it for what passed.
"""

import asyncio
from time import perf_counter
from typing import Any

from kvot.core.errors import (
    Forbidden,
    InvalidRequest,
    KvotError,
    MethodNotAllowed,
    NotAuthenticated,
    ProviderFailed,
    StoreUnavailable,
)
from kvot.core.model import TEXT_LENGTH_MAX
from kvot.core.principal import Principal
from kvot.gateway.dialect import Endpoint, Found, Pair, Refusal
from kvot.gateway.exhausted import message_of
from kvot.gateway.gateway import Asked, Gateway, Whose, find
from kvot.gateway.headers import limit_headers
from kvot.gateway.holding import Exhausted
from kvot.gateway.provider import Provider
from kvot.http import problem
from kvot.http.authenticator import Authenticator
from kvot.http.cors import Cors
from kvot.http.errors import STATUSES, call_outcome, outcome_of_reply
from kvot.http.headers import accept_of, read_headers
from kvot.http.health import Health
from kvot.http.limits import ClientGone, Headers, Limits, Receive, has_body, read_body
from kvot.http.protocol import ON_GONE
from kvot.http.refused_call import REQUEST_ID, Query, new_request_id, read_query
from kvot.http.replies import CLOSE
from kvot.http.reply_writer import CUT, WRITE, WRITE_CHUNK
from kvot.http.requestlog import CallName, RequestLog
from kvot.operations.company import company_for
from kvot.telemetry.tally import CallOutcome, Calls
from kvot.wire.negotiate import asks_for_problem
from kvot.wire.scalars import guid

LIMITS = Limits(max_body_bytes=20 * 1_048_576)
"""A request may carry images and files."""

HELD_BACK_BYTES_MAX = 262_144
"""Of a reply with a length: until so much it waits, so that a common reply goes out in one piece."""

_COMPANY = b"x-kvot-company-id"
_USER = b"x-kvot-user-id"
_FEATURE = b"x-kvot-feature"
_NO_BODY = frozenset({"GET", "HEAD", "DELETE"})
_VARY = (b"vary", b"Accept")
"""Of refusals: they are problems for whoever asks for those."""
_NO_KEY = (
    "Not Authenticated: send a key of Kvot's (kvot_…) as 'Authorization: Bearer', x-api-key, api-key or "
    "x-goog-api-key, in the place of the provider's."
)
_WRONG_KEY = (
    "Not Authenticated: the key that came with the call is none that Kvot takes. A key of Kvot's (kvot_…) is wanted in "
    "the place of the provider's."
)
_NO_PAGES = "OPTIONS is not answered here: KVOT_CORS_ORIGINS names no origin whose pages may call providers."
_UNAVAILABLE = "The ledger cannot answer now. Repeat the call."


class GatewayEdge:
    """`exhausted_status`: what a call that does not fit is answered with, 429 or 402."""

    def __init__(
        self,
        gateway: Gateway,
        authenticator: Authenticator,
        health: Health,
        *,
        log: RequestLog | None = None,
        exhausted_status: int = 429,
        cors: Cors | None = None,
        calls: Calls | None = None,
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self._health = health
        self._log = log or RequestLog()
        self._exhausted_status = exhausted_status
        self._cors = cors or Cors(frozenset())
        self._calls = calls or Calls()

    def provider(self, path: str) -> Provider | None:
        return self._gateway.provider(path)

    async def answer(self, provider: Provider, scope: Any, receive: Receive, send: Any) -> None:
        """One request to a path of `provider`. Returns when all of it is over."""
        exchange = _Exchange(provider, scope, receive, send)
        self._calls.begin(provider.name)
        try:
            await self._answer(exchange)
        except (ClientGone, asyncio.CancelledError):  # cancelled: the server was told to stop at once
            exchange.outcome = "cut"
            exchange.cut()
            return
        finally:
            self._calls.end(provider.name, exchange.endpoint_name, exchange.outcome)
        if exchange.status >= self._log.least_status:
            took_s = perf_counter() - exchange.arrived_at_s
            self._log.request(scope, None, exchange.principal, exchange.status, took_s, exchange.name())

    async def _answer(self, exchange: "_Exchange") -> None:
        if self._cors.is_open:
            headers = dict(exchange.scope["headers"])
            exchange.extra_headers = self._cors.gateway_headers(headers)
            if exchange.scope["method"] == "OPTIONS":
                return await exchange.give(Refusal(*self._cors.gateway_preflight(headers)))
        try:
            await self._pass_on_or_refuse(exchange)
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception as error:  # the outermost edge: nothing of it may reach the client
            exchange.outcome = "failed"
            self._log.unforeseen(exchange.scope, None, error, exchange.name())
            await exchange.refuse(exchange.failed(KvotError("The request could not be carried out."), 500))

    async def _pass_on_or_refuse(self, exchange: "_Exchange") -> None:
        try:
            await self._pass_on(exchange)
        except KvotError as error:
            exchange.outcome = call_outcome(error)
            if isinstance(error, StoreUnavailable):
                self._log.unavailable(None, error, exchange.name())
                error = StoreUnavailable(_UNAVAILABLE, retry_after_ms=error.retry_after_ms)
            elif isinstance(error, ProviderFailed):
                self._log.provider_failed(error, exchange.name())
            stands = await self._limits_for(exchange, error)
            await exchange.refuse(exchange.failed(error, STATUSES[type(error)]), stands)

    async def _pass_on(self, exchange: "_Exchange") -> None:
        if self._health.is_draining:
            exchange.outcome = "unavailable"
            stopping = exchange.failed(StoreUnavailable("The server is stopping."), 503)
            return await exchange.refuse(stopping._replace(headers=(*stopping.headers, CLOSE)))
        scope, headers = exchange.scope, read_headers(exchange.scope["headers"])
        verb, path, query = exchange.asked()
        if verb == "OPTIONS":  # a page's question, which has no key: where pages are let in it was answered above
            raise MethodNotAllowed(_NO_PAGES)
        principal = exchange.principal = await self._principal(exchange, headers, query)
        exchange.company_id = principal.company_id
        found = exchange.found = find(exchange.provider, verb, path, query)
        whose = _whose(principal, headers, found)
        exchange.company_id = whose.company_id
        body = b""
        if verb not in _NO_BODY and has_body(headers):
            body = await read_body(exchange.receive, headers, LIMITS)
        asked = Asked(
            exchange.provider,
            found,
            principal.credential_id,
            verb,
            path,
            scope["query_string"],
            tuple(scope["headers"]),
            body,
            exchange.arrived_at_s,
        )
        exhausted = await exchange.watch(self._gateway.pass_on(asked, whose, exchange))
        if exhausted is not None:
            exchange.outcome = "refused"
            await exchange.refuse(exchange.exhausted(exhausted, self._exhausted_status))

    async def _limits_for(self, exchange: "_Exchange", error: KvotError) -> tuple[Pair, ...]:
        """How the company stands, once it is known whose call it was. It is asked for what a client may see alone."""
        if exchange.company_id is None or exchange.has_sent or isinstance(error, StoreUnavailable):
            return ()
        return await self._gateway.limit_headers(exchange.provider.dialect, exchange.company_id)

    async def _principal(self, exchange: "_Exchange", headers: Headers, query: Query) -> Principal:
        credential = exchange.provider.dialect.credential(headers, query)
        client = exchange.scope["client"]
        bearer = None if credential is None else b"Bearer " + credential.encode("latin-1", "replace")
        principal = await self._authenticator.principal(bearer, None, client[0] if client else None)
        if principal is None:
            raise NotAuthenticated(_NO_KEY if credential is None else _WRONG_KEY)
        return principal


class _Exchange:
    """One request and its reply; the `Client` of the gateway."""

    def __init__(self, provider: Provider, scope: Any, receive: Receive, send: Any) -> None:
        self.provider = provider
        self.scope = scope
        self.receive = receive
        self.principal: Principal | None = None
        self.company_id: str | None = None
        self.request_id = new_request_id()
        self.arrived_at_s = perf_counter()
        self.status = 0
        self.found: Found | None = None
        self.outcome: CallOutcome | None = None
        self.extra_headers: tuple[Pair, ...] = ()
        self._send = send
        self._extensions = scope.get("extensions", {})
        self._write_chunk = self._extensions.get(WRITE_CHUNK)
        self._head: tuple[Pair, ...] = ()
        self._kept = bytearray()
        self.has_sent = False  # the head

    def asked(self) -> tuple[str, str, Query]:
        """Verb, path behind the provider's prefix, and query. HEAD asks for what GET would say."""
        path = self.scope["path"][len(self.provider.name) + 1 :]
        query = read_query(self.scope["query_string"])
        verb = self.scope["method"]
        return "GET" if verb == "HEAD" else verb, path, query

    async def watch(self, work: Any) -> Exhausted | None:
        """The result of the gateway's work, which is cancelled when the client leaves."""
        on_gone = self._extensions.get(ON_GONE)
        own_task = asyncio.current_task()
        assert own_task is not None
        is_gone = False

        def leave() -> None:
            nonlocal is_gone
            is_gone = True
            own_task.cancel()

        take_back = None if on_gone is None else on_gone(leave)
        if take_back is None:
            return await self._watch_with_tasks(work)
        try:
            result: Exhausted | None = await work
            return result
        except asyncio.CancelledError:
            if not is_gone:
                raise
            own_task.uncancel()
            raise ClientGone from None
        finally:
            take_back()

    async def _watch_with_tasks(self, work: Any) -> Exhausted | None:
        """Where only `receive` tells that the client has left."""
        task: asyncio.Task[Exhausted | None] = asyncio.ensure_future(work)
        watcher = asyncio.ensure_future(self._cancel_when_gone(task))
        try:
            return await task
        except asyncio.CancelledError:
            if watcher.done():
                raise ClientGone from None
            task.cancel()
            await asyncio.wait([task])  # what it was charged must be on its way before the ledger is let go
            raise
        finally:
            watcher.cancel()

    async def _cancel_when_gone(self, task: "asyncio.Task[Any]") -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        task.cancel()

    # -- what the gateway sends ----------------------------------------------------------------------------------

    async def begin(self, status: int, headers: tuple[Pair, ...], *, is_stream: bool = False) -> None:
        self.status = status
        self.outcome = outcome_of_reply(status)
        self._head = (*headers, *self._id_where_none_is(headers), *self._ours())
        if is_stream:
            await self._send_head()

    async def write(self, data: bytes) -> None:
        if not self.has_sent:
            self._kept += data
            if len(self._kept) <= HELD_BACK_BYTES_MAX:
                return
            await self._send_head()
            data = bytes(self._kept)
            self._kept.clear()
        if self._write_chunk is None or not self._write_chunk(data):
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        if self.has_sent:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._reply(self.status, self._head, bytes(self._kept))

    async def refuse(self, refusal: Refusal, stands: tuple[Pair, ...] = ()) -> None:
        """A whole reply of our own; where the provider's has begun, its end, which is then missing. `stands`: how the
        company does, as headers."""
        if self.has_sent:
            return self.cut()
        await self.give(refusal, (*stands, _VARY))

    async def give(self, refusal: Refusal, stands: tuple[Pair, ...] = ()) -> None:
        self.status = refusal.status
        await self._reply(refusal.status, (*refusal.headers, *stands, *self._ours()), refusal.body)

    def cut(self) -> None:
        """Let the client see that there is no more to come. Why is in the log, where somebody must know."""
        if cut := self._extensions.get(CUT):
            cut()

    def exhausted(self, exhausted: Exhausted, status: int) -> Refusal:
        limits = exhausted.limits
        if limits.is_short_term:
            status = 429  # nothing is to be paid, whatever an exhausted budget is answered with
        dialect = self.provider.dialect
        message = message_of(exhausted)
        refusal = dialect.exhausted(limits, message, self.request_id, status)
        if self._asks_for_problem():
            body = problem.of_exhausted_call(limits, message, status, self.request_id)
            refusal = problem.in_place_of(refusal, body)
        else:
            refusal = self._framed(refusal)
        return refusal._replace(headers=(*refusal.headers, *limit_headers(dialect, limits, exhausted.usage)))

    def failed(self, error: KvotError, status: int) -> Refusal:
        refusal = self.provider.dialect.failed(error, status, self.request_id)
        if not self._asks_for_problem():
            return self._framed(refusal)
        return problem.in_place_of(refusal, problem.of_error(error, status, problem.request_meta(self.request_id)))

    def _asks_for_problem(self) -> bool:
        return asks_for_problem(accept_of(self.scope["headers"]))

    def _framed(self, refusal: Refusal) -> Refusal:
        endpoint = self._endpoint()
        return refusal if endpoint is None else endpoint.framed(refusal)

    def _id_where_none_is(self, headers: tuple[Pair, ...]) -> tuple[Pair, ...]:
        """Ours, by the name under which clients look for the provider's, for what it sends without one."""
        name = self.provider.dialect.request_id
        if name is None or any(each == name for each, _ in headers):
            return ()
        return ((name, self.request_id.encode()),)

    def _ours(self) -> tuple[Pair, ...]:
        return (REQUEST_ID, self.request_id.encode()), *self.extra_headers

    def _endpoint(self) -> Endpoint | None:
        """What the path means, also where something was refused before anybody had asked."""
        found = self.found or self.provider.dialect.find(*self.asked())
        return found.endpoint if found else None

    @property
    def endpoint_name(self) -> str:
        """Empty where the path is none."""
        endpoint = self._endpoint()
        return "" if endpoint is None else endpoint.name

    def name(self) -> CallName:
        return CallName(self.request_id, self.provider.name, self.endpoint_name or None)

    async def _send_head(self) -> None:
        self.has_sent = True
        await self._send({"type": "http.response.start", "status": self.status, "headers": self._head})

    async def _reply(self, status: int, headers: tuple[Pair, ...], body: bytes) -> None:
        self.has_sent = True
        pairs = [*headers, (b"content-length", b"%d" % len(body))]
        if write := self._extensions.get(WRITE):
            await write(status, pairs, body, None)
            return
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})
        await self._send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})


def _whose(principal: Principal, headers: Headers, found: Found) -> Whose:
    """A superadmin says whose call it is in a header; a company's own credential says it by itself."""
    named = _label(headers, _COMPANY)
    if found.endpoint.read is None and named is None:
        return Whose(principal.company_id or "", None, None)  # uses no tokens: any credential will do
    if named is None and principal.company_id is None:
        raise Forbidden("The credential speaks for no company: name one in the header X-Kvot-Company-Id.")
    user = principal.user_id or _label(headers, _USER)
    return Whose(company_for(principal, named and _guid(named)), user, _label(headers, _FEATURE))


def _guid(text: str) -> str:
    try:
        return guid(text)
    except ValueError:
        raise InvalidRequest("The header X-Kvot-Company-Id must be a GUID.") from None


def _label(headers: Headers, name: bytes) -> str | None:
    """In UTF-8, as clients write it that know no other; what cannot be UTF-8 is Latin-1, as HTTP once had it."""
    value = headers.get(name)
    if not value:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text[:TEXT_LENGTH_MAX]
