"""The life of one held call: send, pass the reply on as it comes, settle.

Whatever happens the hold ends in the ledger. The provider's figures settle it when they come; when the reply breaks
off, the client leaves, or the hold cannot be kept, the call is charged for what passed; when the provider refused, the
hold is released. If the process dies, the hold, marked as sent from its beginning, is charged when it expires.

The end of a reply is sent only after the settlement is durable: a client that has its whole answer finds the tokens
in its usage.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import CallDetail, NewHold, Settlement
from kvot.gateway.charge import End, Guess, Passed, charge
from kvot.gateway.dialect import Ask, Endpoint, Meter, Pair
from kvot.gateway.estimate import Estimator, Origin
from kvot.gateway.keeper import HoldKeeper
from kvot.gateway.settling import Beside, Settler
from kvot.gateway.upstream import Upstream, UpstreamFailed, UpstreamRedirected, UpstreamReply, UpstreamRequest
from kvot.telemetry.tally import Tallies

REFUSAL_BYTES_MAX = 1_048_576
"""Of a provider's own error; what is longer is cut there."""

FIRST_REFUSAL = 400
_FIRST_REDIRECT = 300

REPLY_BYTES_LEAST = 64 * 1024 * 1024
REPLY_BYTES_PER_TOKEN = 4_096
"""A reply longer than so much, and so much for each token that was held, has no end: it is cut. What takes most bytes
for a token are encoded images and lists of probabilities, at some two kilobytes."""

Remember = Callable[[str], Awaitable[None]]


class Client(Protocol):
    """Where a reply goes. Its methods wait while the client reads slowly."""

    async def begin(self, status: int, headers: tuple[Pair, ...], *, is_stream: bool = False) -> None:
        """The head of a reply; `headers` are the provider's, as they came. A stream's goes out at once."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def end(self) -> None:
        """The reply is whole. One that never ends has broken off, and its client sees that."""
        ...

    @property
    def has_sent(self) -> bool:
        """Some of the reply has gone out: it is too late for another."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """What calls are written to, and what is learned from them."""

    ledger: Ledger
    settler: Settler
    estimator: Estimator
    cached_weight_percent: int = 100
    tallies: Tallies = field(default_factory=Tallies)


class HeldCall:
    """One call whose tokens are held. Run once."""

    def __init__(
        self,
        books: Books,
        company_id: str,
        hold: NewHold,
        held_at_s: float,
        endpoint: Endpoint,
        ask: Ask,
        remember: Remember | None = None,
    ) -> None:
        """hold: as it was granted. held_at_s: the loop's time before it was asked for. remember: what is told the
        reply's id when the hold ends."""
        self._books = books
        self._company_id = company_id
        self._hold = hold
        self._held_at_s = held_at_s
        self._endpoint = endpoint
        self._ask = ask
        self._remember = remember
        self._meter: Meter | None = None
        self._has_come = False  # a byte of the reply's body
        self._was_delivered = False  # a byte of it, to the client
        self._charged: Settlement | None = None
        self._is_open = True
        self._is_lost = False
        self.upstream_s: float | None = None
        """From the request's going out until the head of the reply was here."""

    @property
    def charged_for_nothing(self) -> int:
        """Tokens that the call was charged although no byte of its reply went out: the client had left, or the
        provider broke off what was not yet passed on."""
        return 0 if self._was_delivered or self._charged is None else self._charged.tokens

    @property
    def has_failed(self) -> bool:
        """The reply holds an error in place of an answer, whatever its status."""
        return self._meter is not None and self._meter.has_failed

    @property
    def charged(self) -> Settlement | None:
        """What the call was charged in the end; None: nothing."""
        return self._charged

    async def run(self, upstream: Upstream, request: UpstreamRequest, client: Client) -> None:
        """Raises UpstreamFailed and StoreUnavailable: what has been passed on by then stays. To cancel it is to say
        that the client left."""
        task = asyncio.current_task()
        assert task is not None
        keeper = self._keeper(task)
        try:
            await self._send(upstream, request, client)
        except UpstreamFailed:
            await self._end(End.BROKEN)
            raise
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
            task.uncancel()
            raise StoreUnavailable("The hold of a call could not be kept, so the call was cut.") from None
        finally:
            keeper.stop()
            self._was_delivered = client.has_sent
            if self._is_open:
                self._end_later(End.CUT)

    def _keeper(self, task: "asyncio.Task[Any]") -> HoldKeeper:
        def lose() -> None:
            self._is_lost = True
            task.cancel()

        hold = self._hold
        return HoldKeeper(self._books.ledger, self._company_id, hold.hold_id, hold.ttl_ms, self._held_at_s, lose)

    async def _send(self, upstream: Upstream, request: UpstreamRequest, client: Client) -> None:
        sent_at_s = perf_counter()
        reply = await ask_upstream(upstream, request)
        self.upstream_s = perf_counter() - sent_at_s
        try:
            if reply.status >= FIRST_REFUSAL:
                await self._pass_refusal(reply, client)
            else:
                await self._pass_answer(reply, client)
        finally:
            await reply.close()

    async def _pass_refusal(self, reply: UpstreamReply, client: Client) -> None:
        """The provider said no before it generated anything: its words pass, the hold is dropped."""
        body = await _first_bytes(reply, REFUSAL_BYTES_MAX)
        self._is_open = False
        await self._books.settler.end(self._company_id, self._hold.hold_id, None)
        await client.begin(reply.status, reply.headers)
        await client.write(body)
        await client.end()

    async def _pass_answer(self, reply: UpstreamReply, client: Client) -> None:
        assert self._endpoint.meter is not None
        kind = content_type(reply.headers)
        is_stream = self._ask.is_stream or kind != "application/json"
        self._meter = meter = self._endpoint.meter(self._ask, kind)
        left_bytes = REPLY_BYTES_LEAST + REPLY_BYTES_PER_TOKEN * self._hold.amount
        async for chunk in reply.chunks():
            data = meter.feed(chunk)
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise UpstreamFailed("the provider's reply does not end", was_sent=True)
            if not self._has_come:
                self._has_come = True
                await client.begin(reply.status, reply.headers, is_stream=is_stream)
            if data:
                await client.write(data)
        tail = meter.finish()
        await self._end(End.WHOLE)
        if not self._has_come:
            await client.begin(reply.status, reply.headers)
        if tail:
            await client.write(tail)
        await client.end()

    # -- the end of the hold -------------------------------------------------------------------------------------

    async def _end(self, end: End) -> None:
        self._is_open = False
        await self._books.settler.end(self._company_id, self._hold.hold_id, self._settlement(end), self._beside())

    def _end_later(self, end: End) -> None:
        self._is_open = False
        self._books.settler.end_later(self._company_id, self._hold.hold_id, self._settlement(end), self._beside())

    def _beside(self) -> Beside | None:
        reply_id = None if self._meter is None else self._meter.request_id
        return None if self._remember is None or reply_id is None else partial(self._remember, reply_id)

    def _settlement(self, end: End) -> Settlement | None:
        meter, estimator = self._meter, self._books.estimator
        origin = Origin(self._company_id, self._hold.provider or "", self._hold.model or "")
        if meter is None:
            passed = Passed(end)
        else:
            passed = Passed(end, self._has_come, meter.has_failed, meter.reported, meter.output_bytes)
        if passed.reported is not None and passed.reported.is_final:
            estimator.learn(origin, self._ask.size, passed.reported.tokens.input)
        guess = Guess(
            estimator.input_tokens(origin, self._ask.size),
            lambda text_bytes: estimator.output_tokens(origin, text_bytes),
            self._hold.amount,
        )
        self._charged = charge(passed, guess, CallDetail(), self._books.cached_weight_percent)
        return self._charged


async def ask_upstream(upstream: Upstream, request: UpstreamRequest) -> UpstreamReply:
    """The provider's reply, if it is one. A redirect is none: its client would follow it past us. Raises
    UpstreamFailed."""
    reply = await upstream.send(request)
    if _FIRST_REDIRECT <= reply.status < FIRST_REFUSAL:
        await reply.close()
        raise UpstreamRedirected(reply.status)
    return reply


async def _first_bytes(reply: UpstreamReply, bytes_max: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in reply.chunks():
            body += chunk
            if len(body) > bytes_max:
                break
    except UpstreamFailed:
        pass  # the status is here, and that is what matters of a refusal
    return bytes(body[:bytes_max])


def content_type(headers: tuple[Pair, ...]) -> str:
    """Without its parameters, in lower case."""
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return value.partition(b";")[0].strip().lower().decode("latin-1")
