"""The gateway's edge: ASGI on one side, `kvot.gateway` on the other. Errors go out in the provider's own words.

Who calls, for whom and for what is found out here; an `Exchange` is told what comes of it.
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
from kvot.gateway.dialect import Found, Pair, Refusal
from kvot.gateway.gateway import Asked, Gateway, Whose
from kvot.gateway.provider import Provider
from kvot.http.authenticator import Authenticator, principal_by
from kvot.http.cors import Cors
from kvot.http.errors import STATUSES, call_outcome
from kvot.http.exchange import Exchange
from kvot.http.headers import read_headers
from kvot.http.health import Health
from kvot.http.limits import ClientGone, Headers, Limits, Receive, has_body, read_body
from kvot.http.refused_call import Query
from kvot.http.replies import CLOSE
from kvot.http.reply_writer import REFUSED
from kvot.http.requestlog import RequestLog
from kvot.operations.company import company_for
from kvot.telemetry.tally import Calls
from kvot.wire.scalars import guid

LIMITS = Limits(max_body_bytes=20 * 1_048_576)
"""A request may carry images and files."""

_COMPANY = b"x-kvot-company-id"
_USER = b"x-kvot-user-id"
_FEATURE = b"x-kvot-feature"
_NO_BODY = frozenset({"GET", "HEAD", "DELETE"})
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
        self.calls = calls or Calls()

    def provider(self, path: str) -> Provider | None:
        return self._gateway.provider(path)

    async def answer(self, provider: Provider, scope: Any, receive: Receive, send: Any) -> None:
        """One request to a path of `provider`. Returns when all of it is over."""
        exchange = Exchange(provider, scope, receive, send)
        self.calls.begin(provider.name)
        try:
            await self._answer(exchange)
        except (ClientGone, asyncio.CancelledError):  # cancelled: the server was told to stop at once
            if not exchange.is_over:
                if not exchange.is_answered:
                    exchange.outcome = "cut"
                exchange.cut()
                return
        finally:
            self.calls.end(provider.name, exchange.endpoint_name, exchange.outcome)
        if exchange.status >= self._log.least_status and REFUSED not in scope.get("extensions", ()):
            took_s = perf_counter() - exchange.arrived_at_s
            self._log.request(scope, None, exchange.principal, exchange.status, took_s, exchange.name())

    async def _answer(self, exchange: Exchange) -> None:
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

    async def _pass_on_or_refuse(self, exchange: Exchange) -> None:
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

    async def _pass_on(self, exchange: Exchange) -> None:
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
        found = exchange.found = self._gateway.find(exchange.provider, verb, path, query)
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

    async def _limits_for(self, exchange: Exchange, error: KvotError) -> tuple[Pair, ...]:
        """How the company stands, once it is known whose call it was. It is asked for what a client may see alone."""
        if exchange.company_id is None or exchange.has_sent or isinstance(error, StoreUnavailable):
            return ()
        return await self._gateway.limit_headers(exchange.provider.dialect, exchange.company_id)

    async def _principal(self, exchange: Exchange, headers: Headers, query: Query) -> Principal:
        credential = exchange.provider.dialect.credential(headers, query)
        principal = await principal_by(self._authenticator, credential, exchange.scope)
        if principal is None:
            raise NotAuthenticated(_NO_KEY if credential is None else _WRONG_KEY)
        return principal


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
