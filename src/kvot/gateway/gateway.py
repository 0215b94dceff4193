"""The gateway: a client's call to a provider, from the path that it asked for to the last byte of its reply.

It decides before the first byte: no call goes to a provider unless its tokens are held, durably. What fails on the way
to that decision fails the call.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import NamedTuple

from kvot.core.errors import InvalidRequest, KvotError, NotFound, ProviderFailed, StoreUnavailable
from kvot.core.model import NewHold
from kvot.gateway.call import Books, Client, Granted, HeldCall
from kvot.gateway.counting import Counting
from kvot.gateway.dialect import LONG_BYTES, Ask, Dialect, Found, Pair
from kvot.gateway.elsewhere import Elsewhere
from kvot.gateway.estimate import Origin
from kvot.gateway.headed import Headed, give, standing
from kvot.gateway.headers import limit_headers, query_of, request_headers
from kvot.gateway.holding import Ceilings, Exhausted, Held, InDoubt, hold
from kvot.gateway.joining import Joining
from kvot.gateway.known import Served
from kvot.gateway.own_keys import OwnKeys
from kvot.gateway.provider import Provider, base_path
from kvot.gateway.providers import DIALECTS
from kvot.gateway.retries import Attempt, Charged, Retries
from kvot.gateway.retries import attempt as attempt_of
from kvot.gateway.stored import StoredReplies
from kvot.gateway.unmetered import pass_unmetered
from kvot.gateway.untold import ask_of
from kvot.gateway.upstream.port import (
    Upstream,
    UpstreamFailed,
    UpstreamPacked,
    UpstreamRedirected,
    UpstreamRequest,
    UpstreamSilent,
)
from kvot.telemetry.tally import Tally

_VERSIONS = ("/v1beta", "/v1", "/api")
"""What official clients put in front of their paths by themselves, and some others leave to the base URL."""


class Asked(NamedTuple):
    """A client's request, as far as HTTP is concerned. `path` begins behind the provider's prefix. `arrived_at_s`: by
    `perf_counter`, when its head was here."""

    provider: Provider
    found: Found
    credential_id: str
    verb: str
    path: str
    query_string: bytes
    headers: tuple[Pair, ...]
    body: bytes
    arrived_at_s: float


class Whose(NamedTuple):
    """Whose ledger a call counts in, and by which labels its tokens are found again."""

    company_id: str
    user: str | None
    feature: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What whoever runs the gateway has decided."""

    ceilings: Ceilings
    hold_ttl_ms: int
    call_max_s: int
    counting: Counting | None = None  # of the text of calls; None: it is not counted


class Gateway:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        upstream: Upstream,
        books: Books,
        terms: Terms,
        new_id: Callable[[bytes | None], str],
        own_keys: OwnKeys,
        stored: StoredReplies,
        elsewhere: Elsewhere,
    ) -> None:
        self._providers = providers
        self._upstream = upstream
        self._books = books
        self._terms = terms
        self._new_id = new_id
        self._own_keys = own_keys
        self._stored = stored
        self._retries = Retries()
        self._joining = Joining()
        self._elsewhere = elsewhere

    def provider(self, path: str) -> Provider | None:
        """The provider that a path leads to, by its first segment."""
        return self._providers.get(path[1:].partition("/")[0])

    def find(self, provider: Provider, verb: str, path: str, query: Mapping[str, str]) -> Found:
        """What a path behind a provider's prefix means. Raises NotFound: what we do not know we cannot meter."""
        found = provider.dialect.find(verb, path, query)
        if found is None:
            message = f"{verb} {path or '/'} is not a path of {provider.name} that Kvot passes on."
            raise NotFound(message + _hint(self._providers.values(), provider, verb, path, query))
        return found

    async def pass_on(self, asked: Asked, whose: Whose, client: Client) -> Exhausted | None:
        """Carry out a call; Exhausted, and nothing was sent anywhere, when its tokens do not fit.

        Raises KvotError; where `client` has sent some of the reply by then, it has broken off. To cancel it is to say
        that the client left.
        """
        asked = asked._replace(provider=await self._own_keys.provider_for(whose.company_id, asked.provider))
        endpoint, variables = asked.found
        if endpoint.read is None:
            if endpoint.stored is not None:
                named = endpoint.stored(asked.body, variables)
                await self._stored.check(whose.company_id, asked.provider, named)
            await self._pass_unmetered(asked, whose, client)
            return None
        ask = endpoint.read(asked.body, variables)
        stored_tokens = await self._stored.check(whose.company_id, asked.provider, ask.stored)
        if stored_tokens is not None:
            ask.size = replace(ask.size, stored_tokens=stored_tokens)
        served = Served(asked.provider.name, whose.company_id, ask.model)
        ask = ask_of(self._books.lessons.untold, served, endpoint, ask, _now_s())
        attempt = attempt_of(_caller(asked, whose), _url(asked), dict(asked.headers), asked.body)
        if attempt is None or not attempt.has_key:
            return await self._carry_out(asked, whose, client, ask, served, attempt)
        if await self._is_given(attempt, asked.provider, whose, client):
            return None
        running = self._joining.begin(attempt)
        try:
            return await self._carry_out(asked, whose, client, ask, served, attempt)
        finally:
            self._joining.end(running)

    async def _is_given(self, attempt: Attempt, provider: Provider, whose: Whose, client: Client) -> bool:
        """Whether the client could be given the answer to an earlier attempt, or to one that was under way."""
        while True:
            kept = self._retries.reply(attempt, _now_s())
            if kept is not None:
                usage = await self._books.ledger.usage(whose.company_id)
                await give(kept, client, provider.dialect, usage, self._books.ledger.now_ms())
                return True
            if not await self._joining.wait(attempt):
                return False

    async def _carry_out(
        self, asked: Asked, whose: Whose, client: Client, ask: Ask, served: Served, attempt: Attempt | None
    ) -> Exhausted | None:
        endpoint = asked.found.endpoint
        held_at_s = _now_s()
        asked_hold = self._hold(asked, whose, ask, attempt)
        tally = self._books.tallies.of(asked.provider.name, endpoint.name)
        held = await self._held(asked, whose, ask, asked_hold, served)
        if isinstance(held, Exhausted):
            tally.refuse()
            return held
        try:
            request = _request(asked, whose, ask.body(held.output_max))
        except BaseException:
            self._books.settler.end_later(whose.company_id, asked_hold.hold_id, None)
            raise
        if ask.size.text_bytes >= LONG_BYTES:
            ask.size = replace(ask.size, texts=(), written=())  # they are counted, and the call may take minutes
        asked_hold = asked_hold._replace(amount=held.amount)
        output_tokens = held.amount - held.input_tokens
        longest_s = self._terms.call_max_s
        granted = Granted(whose.company_id, asked_hold, held_at_s, output_tokens, held.output_max, served, longest_s)
        remember = self._stored.to_remember(whose.company_id, asked.provider, endpoint, ask)
        call = HeldCall(self._books, granted, endpoint, ask, remember)
        headed = Headed(client, asked.provider, held, keeps=attempt is not None and attempt.has_key)
        tally.hold(held.amount, perf_counter() - asked.arrived_at_s, is_clamped=held.is_clamped)
        try:
            await call.run(self._upstream, request, headed)
        except KvotError:  # a cut of ours
            await headed.pass_rest()
            raise
        except UpstreamFailed as error:
            await headed.pass_rest()
            raise _failed(asked.provider, error) from error
        finally:
            tally.end(call.charged, call.upstream_s, held.amount, held.input_tokens, call.guessed_input)
            if attempt is not None:
                self._remember(attempt, call, headed, whose, asked_hold, tally)
        return None

    def _remember(
        self, attempt: Attempt, call: HeldCall, headed: Headed, whose: Whose, hold: NewHold, tally: Tally
    ) -> None:
        """For the client's next attempt at the same call. What was charged nothing is as if it had not been."""
        if call.charged is None:
            return
        charged = Charged(hold.hold_id, call.charged._replace(receipt=None))  # thousands may be remembered
        reply = None if call.has_failed else headed.whole_reply
        is_delivered = headed.is_delivered and not call.has_failed
        if is_delivered or reply is not None:
            lost = self._retries.succeed(attempt, reply, _now_s())
            lost = [each for each in lost if not self._elsewhere.has_taken_back(each.hold_id)]
            known = [hold.hold_id, *(earlier.hold_id for earlier in lost)]
            look = partial(self._elsewhere.take_back, whose.company_id, attempt, known, tally=tally)
            for each in lost:  # one that another process took back meanwhile is none of this answer's
                one_more = partial(look, count=1)
                self._books.settler.take_back(whose.company_id, each.hold_id, each.settlement, tally, one_more)
            look(count=attempt.earlier - len(lost))
        if not is_delivered:
            self._retries.lose(attempt, charged, _now_s())

    async def limit_headers(self, dialect: Dialect, company_id: str) -> tuple[Pair, ...]:
        """How a company stands, for a reply of our own that says nothing else of it."""
        stands = await self._standing(company_id)
        return () if stands is None else limit_headers(dialect, stands.limits, stands.usage)

    async def _standing(self, company_id: str) -> Held | None:
        """None where that is not known. Nothing is decided by it, so no reply fails for it."""
        if not company_id:
            return None
        ledger = self._books.ledger
        try:
            return standing(await ledger.usage(company_id), ledger.now_ms())
        except StoreUnavailable:
            return None

    async def close(self, within_s: float) -> None:
        """Return when every call's end is in the ledger, or so much later: those that are not are in the log then."""
        await self._books.settler.finish(within_s)  # first, as it may have something looked for
        await self._elsewhere.close()
        await self._upstream.close()

    def _hold(self, asked: Asked, whose: Whose, ask: Ask, attempt: Attempt | None) -> NewHold:
        """Marked as sent from the start: a mark of its own would cost a commit, and could be lost to a crash."""
        return NewHold(
            self._new_id(self._elsewhere.tag(attempt)),
            amount=1,
            ttl_ms=self._terms.hold_ttl_ms,
            dispatched=True,
            provider=asked.provider.name,
            model=ask.model,
            user=whose.user,
            feature=whose.feature,
        )

    async def _held(
        self, asked: Asked, whose: Whose, ask: Ask, asked_hold: NewHold, served: Served
    ) -> Held | Exhausted:
        origin = Origin(whose.company_id, asked.provider.name, ask.model)
        text_tokens, counting = None, self._terms.counting
        if counting is not None:
            text_tokens = await counting.text_tokens(asked.provider.dialect.name, ask.model, ask.size)
        input_tokens = self._books.estimator.held_input_tokens(origin, ask.size, text_tokens)
        ceilings = self._terms.ceilings
        known_max = self._books.lessons.ceilings.find(served, _now_s())
        if known_max is not None:
            ceilings = replace(ceilings, output_max=min(known_max, ceilings.output_max))
        is_alone = self._books.tallies.calls.is_alone
        try:
            return await hold(
                self._books.ledger, whose.company_id, asked_hold, ask, input_tokens, ceilings, is_alone=is_alone
            )
        except (InvalidRequest, InDoubt):  # nothing is held; to release it would leave a row of it on PostgreSQL
            raise
        except BaseException:
            # Cancelled as well: the hold may stand, and nothing was sent for which it could be charged.
            self._books.settler.end_later(whose.company_id, asked_hold.hold_id, None, is_sure=False)
            raise

    async def _pass_unmetered(self, asked: Asked, whose: Whose, client: Client) -> None:
        request, longest_s = _request(asked, whose, asked.body), self._terms.call_max_s
        headed = Headed(client, asked.provider, await self._standing(whose.company_id))
        try:
            await pass_unmetered(self._upstream, request, headed, asked.provider.name, longest_s)
        except KvotError:
            await headed.pass_rest()
            raise
        except UpstreamFailed as error:
            await headed.pass_rest()
            raise _failed(asked.provider, error) from error


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _hint(providers: Iterable[Provider], asked: Provider, verb: str, path: str, query: Mapping[str, str]) -> str:
    """Which base URL would make a path known: without a segment that clients add by themselves, with one that they
    leave to it, or that of a provider which speaks the API that was meant."""
    shorter = f"/{path[1:].partition('/')[2]}"
    meant = [("", path), ("", shorter), *((version, version + path) for version in _VERSIONS)]
    for version, each in meant:
        for provider in (asked, *providers):
            dialect = provider.dialect
            if dialect.find(verb, each, query):
                base_url = f"the base URL would be …{base_path(provider.name, dialect, version)}."
                if provider is asked:
                    return f" For one that is, {base_url}"
                return f"{_of_api(dialect)}: {base_url}{_of_both(asked, dialect)}"
    speakers = (dialect for _, each in meant for dialect in DIALECTS.values() if dialect.find(verb, each, query))
    speaker = next(speakers, None)
    return "" if speaker is None else f"{_of_api(speaker)}, as no provider here does."


def _of_api(dialect: Dialect) -> str:
    return f" It is one of the API that {dialect.name} speaks"


def _of_both(asked: Provider, dialect: Dialect) -> str:
    """Many servers speak OpenAI's API beside their own: a call that is meant for them must not be sent to OpenAI."""
    if dialect.name != "openai":
        return ""
    return f" For that of {asked.name} itself, name it once more in the settings file, with the dialect compatible."


def _request(asked: Asked, whose: Whose, body: bytes) -> UpstreamRequest:
    provider = asked.provider
    headers = request_headers(provider, asked.headers, _caller(asked, whose), has_body=bool(body))
    return UpstreamRequest(asked.verb, _url(asked), headers, body or None)


def _caller(asked: Asked, whose: Whose) -> tuple[str, str]:
    """Whose word an Idempotency-Key is, here and at the provider."""
    return asked.credential_id, whose.company_id


def _url(asked: Asked) -> str:
    return asked.provider.url(asked.path, query_of(asked.provider.dialect, asked.query_string))


def _failed(provider: Provider, error: UpstreamFailed) -> ProviderFailed:
    """Where the provider is and why it failed is for whoever runs the gateway: it is the cause, and stays there."""
    if isinstance(error, UpstreamRedirected):
        message = f"The provider {provider.name} redirects the call (status {error.status}). Kvot follows no redirect."
        return ProviderFailed(message, provider=provider.name, status=error.status, is_final=True)
    if isinstance(error, UpstreamPacked):
        message = f"The provider {provider.name} compressed its reply with {error.encoding} without being asked."
        return ProviderFailed(f"{message} Kvot cannot read it.", provider=provider.name, is_final=True)
    if isinstance(error, UpstreamSilent):
        message = f"The provider {provider.name} said nothing for {error.idle_s:g} seconds, and was left."
        return ProviderFailed(message, provider=provider.name)
    what = "broke off its reply" if error.was_sent else "cannot be reached"
    return ProviderFailed(f"The provider {provider.name} {what}.", provider=provider.name)
