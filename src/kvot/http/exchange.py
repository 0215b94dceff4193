"""One request to the gateway and its reply: what was asked, how it is told that the client left, and what goes out.

It is the `Client` of the gateway. A reply with a length is held back while it is short, so that it goes out in one
piece; of a stream nothing is.
"""

import asyncio
from time import perf_counter
from typing import Any

from kvot.core.errors import KvotError
from kvot.core.principal import Principal
from kvot.gateway.dialect import Endpoint, Found, Pair, Refusal
from kvot.gateway.exhausted import message_of
from kvot.gateway.headers import limit_headers
from kvot.gateway.holding import Exhausted
from kvot.gateway.provider import Provider
from kvot.http import problem
from kvot.http.errors import outcome_of_reply
from kvot.http.headers import accept_of
from kvot.http.limits import ClientGone, Receive
from kvot.http.protocol import ON_GONE
from kvot.http.refused_call import REQUEST_ID, Query, new_request_id, read_query
from kvot.http.replies import NO_STORE
from kvot.http.reply_writer import CUT, WRITE, WRITE_CHUNK
from kvot.http.requestlog import CallName
from kvot.telemetry.tally import CallOutcome
from kvot.wire.negotiate import asks_for_problem

HELD_BACK_BYTES_MAX = 262_144
"""Of a reply with a length: until so much it waits, so that a common reply goes out in one piece."""

_VARY = (b"vary", b"Accept")
"""Of refusals: they are problems for whoever asks for those."""


class Exchange:
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
        self.is_over = False  # all of it is sent: nobody leaves it
        self.is_answered = False  # all but the end, which clients need not wait for

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
            if self.is_over:
                return
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
        if not self.is_over:
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

    def answered(self) -> None:
        self.is_answered = True

    async def end(self) -> None:
        if self.has_sent:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._reply(self.status, self._head, bytes(self._kept))
        self.is_over = True

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
        """What every reply has, whoever gave it. Of what a provider says of caches nothing goes on: it means its own
        credentials, of which no cache here sees any."""
        return (REQUEST_ID, self.request_id.encode()), NO_STORE, *self.extra_headers

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
