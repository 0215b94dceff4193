"""The life of one held call: send, pass the reply on as it comes, settle.

Whatever happens the hold ends in the ledger. The provider's figures settle it when they come; when the reply breaks
off, the client leaves, or the hold cannot be kept, the call is charged for what passed; when the provider refused, the
hold is released. If the process dies, the hold, marked as sent from its beginning, is charged when it expires.

A client that has its whole answer, up to the API's last word or the end of the reply, finds the tokens in its usage.
Where the ledger answers in order (`settles_soon`) that end goes out first, and the settlement has its place before
whatever is asked after it. Elsewhere the end waits for it, and everywhere where the reply's id is remembered, or an
error is in it, for which nothing may be charged.
If the process dies before it is durable, the call is charged what was held for it, as any that a crash cuts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from kvot.core.errors import KvotError, ProviderFailed, StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import CallDetail, NewHold, Settlement
from kvot.gateway.asking import Asking, Lessons
from kvot.gateway.charge import End, Guess, Passed, charge
from kvot.gateway.dialect import Ask, Endpoint, Meter, Pair
from kvot.gateway.estimate import Estimator, Origin
from kvot.gateway.keeper import HoldKeeper
from kvot.gateway.known import Served
from kvot.gateway.mismatch import flag_excess, flag_mismatch
from kvot.gateway.receipt import receipt_text
from kvot.gateway.settling import Beside, Settler
from kvot.gateway.tokens import Reported
from kvot.gateway.upstream.port import (
    Upstream,
    UpstreamFailed,
    UpstreamPacked,
    UpstreamReply,
    UpstreamRequest,
    UpstreamSilent,
)
from kvot.telemetry.tally import Tallies

REPLY_BYTES_LEAST = 64 * 1024 * 1024
REPLY_BYTES_PER_TOKEN = 4_096
"""A reply longer than so much, and so much for each token that was held, has no end: it is cut. What takes most bytes
for a token are encoded images and lists of probabilities, at some two kilobytes."""

Remember = Callable[[str, int | None], Awaitable[None]]


class Client(Protocol):
    """Where a reply goes. Its methods wait while the client reads slowly."""

    async def begin(self, status: int, headers: tuple[Pair, ...], *, is_stream: bool = False) -> None:
        """The head of a reply; `headers` are the provider's, as they came. A stream's goes out at once."""
        ...

    async def write(self, data: bytes) -> None: ...

    def answered(self) -> None:
        """The API's last word is written: the client has its whole answer, whatever becomes of the reply's end."""
        ...

    async def end(self) -> None:
        """The reply is whole. One that never ends has broken off, and its client sees that."""
        ...


class CallClient(Client, Protocol):
    """The client of a call: a provider's refusal goes to it whole, as its words need not be for the client."""

    async def refused(self, status: int, headers: tuple[Pair, ...], body: bytes) -> None:
        """Raises KvotError for what is said in place of the provider's words."""
        ...

    def name_ceiling(self, output_max: int) -> None:
        """The reply is to a request with another ceiling than the one that was held."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """What calls are written to, and what is learned from them."""

    ledger: Ledger
    settler: Settler
    estimator: Estimator
    cached_weight_percent: int = 100
    keeps_receipts: bool = True
    tallies: Tallies = field(default_factory=Tallies)
    lessons: Lessons = field(default_factory=Lessons)


class Granted(NamedTuple):
    """The hold of a call, as it was granted."""

    company_id: str
    hold: NewHold
    held_at_s: float  # the loop's time before it was asked for
    output_tokens: int  # of the amount, those for the output
    output_max: int | None  # the ceiling that the request names in place of its client's
    served: Served
    longest_s: int  # how long the call may take


class HeldCall:
    """One call whose tokens are held. Run once."""

    def __init__(
        self, books: Books, granted: Granted, endpoint: Endpoint, ask: Ask, remember: Remember | None = None
    ) -> None:
        """remember: what is told the reply's id and tokens when the hold ends."""
        self._books = books
        self._granted = granted
        self._company_id = granted.company_id
        self._hold = granted.hold
        self._endpoint = endpoint
        self._asking = Asking(books.lessons, granted.served, endpoint, ask, granted.output_max)
        self._remember = remember
        self._meter: Meter | None = None
        self._keeper: HoldKeeper | None = None
        self._has_come = False  # a byte of the reply's body
        self._is_stream = False  # and not a document
        self._unseen_s: float | None = None  # until the first of a stream's content was here
        self._charged: Settlement | None = None
        self._is_open = True
        self._is_due = False  # its end is known, and on its way to the ledger
        self._cut_for: KvotError | None = None  # why we ended it
        self.guessed_input: int | None = None
        """What the input would have been charged as without the provider's figures."""

    @property
    def has_failed(self) -> bool:
        """The reply holds an error in place of an answer, whatever its status."""
        return self._asking.is_refused or (self._meter is not None and self._meter.has_failed)

    @property
    def upstream_s(self) -> float | None:
        """From the request's going out until the head of the reply was here."""
        return self._asking.upstream_s

    @property
    def charged(self) -> Settlement | None:
        """What the call was charged in the end; None: nothing."""
        return self._charged

    async def run(self, upstream: Upstream, request: UpstreamRequest, client: CallClient) -> None:
        """Raises UpstreamFailed, what the client raises of a refusal, and where it was cut StoreUnavailable or
        ProviderFailed: what has been passed on by then stays. To cancel it is to say that the client left."""
        task = asyncio.current_task()
        assert task is not None
        self._keeper = self._keep(task)
        try:
            await self._send_or_end(upstream, request, client)
        except asyncio.CancelledError:
            if self._cut_for is None:
                raise
            task.uncancel()
            raise self._cut_for from None
        finally:
            self._stop_keeping()
            self._settle_due()
            if self._is_open:
                self._end_later(End.CUT)

    def _keep(self, task: "asyncio.Task[Any]") -> HoldKeeper:
        hold, longest_s = self._hold, self._granted.longest_s

        def cut(is_over: bool) -> None:
            if is_over:
                self._cut_for = took_too_long(hold.provider or "", longest_s)
            else:
                self._cut_for = StoreUnavailable("The hold of a call could not be kept, so the call was cut.")
            task.cancel()

        held_at_s = self._granted.held_at_s
        return HoldKeeper(self._books.ledger, self._company_id, hold.hold_id, hold.ttl_ms, held_at_s, longest_s, cut)

    async def _send_or_end(self, upstream: Upstream, request: UpstreamRequest, client: CallClient) -> None:
        """A provider that broke off has failed; one that we gave up on goes on, as where a client leaves, and so has
        one that answered in a way that we cannot read."""
        try:
            await self._send(upstream, request, client)
        except UpstreamFailed as failure:
            if self._is_open:
                await self._end(End.CUT if isinstance(failure, UpstreamSilent | UpstreamPacked) else End.BROKEN)
            raise

    async def _send(self, upstream: Upstream, request: UpstreamRequest, client: CallClient) -> None:
        asking = self._asking
        reply, refusal = await asking.answer(upstream, request)
        if asking.output_max is not None and asking.is_lowered:
            client.name_ceiling(asking.output_max)
        if refusal is not None:
            await self._pass_refusal(reply, refusal, client)
            return
        try:
            await self._pass_answer(reply, client)
        finally:
            await reply.close()

    async def _pass_refusal(self, reply: UpstreamReply, body: bytes, client: CallClient) -> None:
        """The provider said no: its words pass. Mostly it has generated nothing, and the hold is dropped."""
        await self._end(End.WHOLE)
        await client.refused(reply.status, reply.headers, body)

    async def _pass_answer(self, reply: UpstreamReply, client: Client) -> None:
        assert self._endpoint.meter is not None
        kind = content_type(reply.headers)
        self._is_stream = is_stream = self._asking.ask.is_stream or kind != "application/json"
        self._meter = meter = self._endpoint.meter(self._asking.ask, kind)
        left_bytes = REPLY_BYTES_LEAST + REPLY_BYTES_PER_TOKEN * self._hold.amount
        async for chunk in reply.chunks():
            data = meter.feed(chunk)
            if is_stream and self._unseen_s is None and meter.output_bytes:
                self._unseen_s = self._asking.taken_s
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise UpstreamFailed("the provider's reply does not end", was_sent=True)
            if not self._has_come:
                self._has_come = True
                await client.begin(reply.status, reply.headers, is_stream=is_stream)
            if meter.is_over and self._is_open:
                await self._end_whole()
            if data:
                await client.write(data)
            if meter.is_over:
                client.answered()
        tail = meter.finish()
        if self._is_open:
            await self._end_whole()
        if not self._has_come:
            await client.begin(reply.status, reply.headers)
        if tail:
            await client.write(tail)
        await client.end()
        self._stop_keeping()  # nothing cuts a call whose reply is out
        if self._is_due:
            await asyncio.sleep(0)  # what was written goes out between the turns of the event loop

    # -- the end of the hold -------------------------------------------------------------------------------------

    async def _end_whole(self) -> None:
        """Before the API's last word is passed on, or where there is none that is known before the end of the reply: a
        client may take either for the end, and ask."""
        if self._books.settler.settles_soon and self._remember is None and not self.has_failed:
            self._is_open, self._is_due = False, True
            self._let_go()
            asyncio.get_running_loop().call_soon(self._settle_in_turn)
        else:
            await self._end(End.WHOLE)

    def _settle_in_turn(self) -> None:
        """In the turn that was asked for before the reply's end was written, so before that of whatever is asked after
        it; and at once, whatever time the client takes to read it. A fault is left to `run`, which meets it again and
        raises it: the event loop would log its text."""
        with suppress(Exception):
            self._settle_due()

    def _settle_due(self) -> None:
        if self._is_due:
            settlement = self._settlement(End.WHOLE)
            assert settlement is not None  # an answer is charged at least one token
            self._books.settler.settle_soon(self._company_id, self._hold.hold_id, settlement)
            self._is_due = False

    async def _end(self, end: End) -> None:
        self._is_open = False
        await self._books.settler.end(self._company_id, self._hold.hold_id, self._settlement(end), self._beside())
        self._let_go()

    def _stop_keeping(self) -> None:
        """More than once does no harm."""
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None  # it knows this call: that circle would be left to the garbage collector

    def _let_go(self) -> None:
        assert self._keeper is not None
        self._keeper.let_go()

    def _end_later(self, end: End) -> None:
        self._is_open = False
        self._books.settler.end_later(self._company_id, self._hold.hold_id, self._settlement(end), self._beside())

    def _beside(self) -> Beside | None:
        meter = self._meter
        if self._remember is None or meter is None or meter.request_id is None:
            return None
        reported = meter.reported
        tokens = reported.tokens.total if reported is not None and reported.is_final else None
        return partial(self._remember, meter.request_id, tokens)

    def _settlement(self, end: End) -> Settlement | None:
        estimator, size = self._books.estimator, self._asking.ask.size
        origin = Origin(self._company_id, self._hold.provider or "", self._hold.model or "")
        passed = self._passed(end)
        self.guessed_input = guessed_input = estimator.input_tokens(origin, size)  # before it is learned from
        if passed.reported is not None:
            self._learn(origin, passed.reported)
        self._learn_speed(origin, passed)
        guess = Guess(
            guessed_input,
            lambda text_bytes: estimator.output_tokens(origin, text_bytes),
            self._hold.amount,
            self._unseen_tokens(origin) if self._may_be_unseen(end) else 0,
        )
        charged = charge(passed, guess, CallDetail(), self._books.cached_weight_percent)
        self._charged = None if charged is None else charged._replace(receipt=self._receipt())
        return self._charged

    def _passed(self, end: End) -> Passed:
        meter, asking = self._meter, self._asking
        if meter is None:
            return Passed(end, False, asking.is_refused, None, asking.generated_bytes, asking.was_sent)
        if end is not End.WHOLE:
            meter.finish()  # what the reply was cut in came as well
        return Passed(end, self._has_come, meter.has_failed, meter.reported, meter.output_bytes)

    def _learn(self, origin: Origin, reported: Reported) -> None:
        estimator, size = self._books.estimator, self._asking.ask.size
        if reported.is_final:
            estimator.learn(origin, size, reported.tokens.input)
        where = self._company_id, self._hold, self._endpoint.name, reported
        if reported.total_mismatch is not None:
            flag_mismatch(self._books.tallies, *where)
        # A tool of the provider's that is a model makes output too.
        flag_excess(*where, self._granted.output_tokens + size.spare_tokens)

    def _learn_speed(self, origin: Origin, passed: Passed) -> None:
        estimator, taken_s = self._books.estimator, self._asking.taken_s
        if passed.reported is not None and passed.reported.is_final:
            estimator.learn_speed(origin, passed.reported.tokens.output, taken_s)
        elif passed.end is End.WHOLE and self._unseen_s is not None:
            estimator.learn_speed_seen(origin, passed.output_bytes, taken_s - self._unseen_s)

    def _may_be_unseen(self, end: End) -> bool:
        """Whether more may have been generated than what passed. A plain answer that is whole has all of it, or says
        how much it was; a stream may lack its figures because it was not to tell them."""
        return end is End.CUT or (end is End.WHOLE and self._is_stream and not self.has_failed)

    def _unseen_tokens(self, origin: Origin) -> int:
        """Of an answer that its client left, before anything of it was to be seen: a plain one comes when all of it is
        there, and a model may think for minutes, and be billed for that, before its text begins."""
        unseen_s = self._asking.taken_s if self._unseen_s is None else self._unseen_s
        return min(self._books.estimator.output_tokens_in(origin, unseen_s), self._granted.output_tokens)

    def _receipt(self) -> str | None:
        if not self._books.keeps_receipts:
            return None
        meter, endpoint = self._meter, self._endpoint.name
        if meter is None:
            return receipt_text(endpoint)
        return receipt_text(endpoint, meter.told, meter.reported, meter.model, meter.request_id)


def took_too_long(provider: str, longest_s: int) -> ProviderFailed:
    message = f"The call took longer than {longest_s} seconds, and was cut."
    return ProviderFailed(message, provider=provider, is_final=True)


def content_type(headers: tuple[Pair, ...]) -> str:
    """Without its parameters, in lower case."""
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return value.partition(b";")[0].strip().lower().decode("latin-1")
