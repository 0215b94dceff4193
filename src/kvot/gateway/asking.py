"""Asking the provider: one request, and once more without what we had added to it and the provider refuses.

What is added on our account (to be told a stream's usage, a ceiling where the client names none) must not be why a call
fails. It is taken away or lowered, once each, and what is then taken is remembered: the next calls are sent so at once.
A request is never sent without a ceiling because it was refused with one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from kvot.gateway.dialect import Ask, Endpoint
from kvot.gateway.known import UNACCEPTED, Known, Served
from kvot.gateway.lower import lower_ceiling
from kvot.gateway.metering.in_errors import generated_in_refusal
from kvot.gateway.untold import refuses_usage, without_usage
from kvot.gateway.upstream.port import (
    Upstream,
    UpstreamFailed,
    UpstreamPacked,
    UpstreamRedirected,
    UpstreamReply,
    UpstreamRequest,
)

REFUSAL_BYTES_MAX = 1_048_576
"""Of a provider's own error; what is longer is cut there."""

FIRST_REFUSAL = 400
_FIRST_REDIRECT = 300

_IDEMPOTENCY_KEY = b"idempotency-key"
"""Of one body alone: what is sent once more is another."""

Lesson = Callable[[float], None]
"""Remembers, at a time, what a provider was found to refuse."""


class Lessons:
    """What providers were found to refuse of what we add."""

    def __init__(self) -> None:
        self.untold: Known[bool] = Known()
        """Who refuses to be asked for the usage of a stream."""
        self.ceilings: Known[int] = Known()
        """The most that a model may be asked to answer with."""


class Asking:
    """What one call asks its provider for. `ask` and `output_max` are as it was sent last.

    output_max: the ceiling that the request names in place of its client's; None: it is its client's.
    """

    def __init__(self, lessons: Lessons, served: Served, endpoint: Endpoint, ask: Ask, output_max: int | None) -> None:
        self._lessons = lessons
        self._served = served
        self._endpoint = endpoint
        self._named = output_max
        self._sent_at_s: float | None = None
        self.ask = ask
        self.output_max = output_max
        self.is_refused = False
        """The provider said no."""
        self.generated_bytes = 0
        """In its refusal: it could make no answer of what it had generated."""
        self.upstream_s: float | None = None
        """From the request's going out until the head of the reply was here."""

    @property
    def is_lowered(self) -> bool:
        """The ceiling is not the one that was given."""
        return self.output_max != self._named

    @property
    def was_sent(self) -> bool:
        return self._sent_at_s is not None

    @property
    def taken_s(self) -> float:
        """Since the request went out."""
        return 0.0 if self._sent_at_s is None else perf_counter() - self._sent_at_s

    async def answer(self, upstream: Upstream, request: UpstreamRequest) -> tuple[UpstreamReply, bytes | None]:
        """The reply; and all of it, where it is a refusal. Raises UpstreamFailed."""
        reply, refusal = await self._send(upstream, request)
        if refusal is None:
            return reply, None
        return await self._amended(upstream, request, reply, refusal)

    async def _send(self, upstream: Upstream, request: UpstreamRequest) -> tuple[UpstreamReply, bytes | None]:
        self.is_refused, self.generated_bytes, self._sent_at_s = False, 0, None  # of an earlier request
        try:
            reply = await ask_upstream(upstream, request, self._note_sent)
        except UpstreamPacked as failure:
            self.is_refused = failure.status is not None and failure.status >= _FIRST_REDIRECT
            raise
        self.upstream_s = self.taken_s
        self.is_refused = reply.status >= FIRST_REFUSAL
        if not self.is_refused:
            return reply, None
        try:
            refusal = await first_bytes(reply, REFUSAL_BYTES_MAX)
        finally:
            await reply.close()
        self.generated_bytes = generated_in_refusal(refusal)
        return reply, refusal

    def _note_sent(self) -> None:
        self._sent_at_s = perf_counter()

    async def _amended(
        self, upstream: Upstream, request: UpstreamRequest, reply: UpstreamReply, refusal: bytes | None
    ) -> tuple[UpstreamReply, bytes | None]:
        """The same once more, as long as what is refused is what we had added."""
        request = request._replace(headers=tuple(pair for pair in request.headers if pair[0] != _IDEMPOTENCY_KEY))
        learned: list[Lesson] = []
        while refusal is not None and (lesson := self._amend(reply.status, refusal)) is not None:
            learned.append(lesson)
            reply, refusal = await self._send(upstream, request._replace(body=self.ask.body(self.output_max)))
        if refusal is None:
            for each in learned:
                each(asyncio.get_running_loop().time())
        return reply, refusal

    def _amend(self, status: int, refusal: bytes) -> Lesson | None:
        """Change what was refused and is ours, once each; None: nothing of it is ours. Where something was generated
        nothing was refused, and it is to be charged."""
        if self.generated_bytes or status not in UNACCEPTED:
            return None
        plain = without_usage(self._endpoint, self.ask)
        if plain is not None and refuses_usage(self._endpoint, refusal, plain.body()):
            assert self._endpoint.usage_option is not None
            self.ask = plain
            if not self._endpoint.usage_option.is_of_model:
                return _forget
            return partial(self._lessons.untold.remember, self._served, True)
        if self._named is None or self.is_lowered or self.ask.output_max is not None:
            return None
        request = (plain or self.ask).body()
        lower = lower_ceiling(refusal, self._named, self.ask.output_min, request)
        if lower is None:
            return None
        self.output_max = lower.output_max
        if not lower.is_of_model:
            return _forget
        return partial(self._lessons.ceilings.remember, self._served, lower.output_max)


def _forget(_now_s: float) -> None:
    """What was taken says nothing of other calls."""


async def ask_upstream(
    upstream: Upstream, request: UpstreamRequest, on_sent: Callable[[], None] | None = None
) -> UpstreamReply:
    """The provider's reply, if it is one. A redirect is none: its client would follow it past us. Raises
    UpstreamFailed."""
    reply = await upstream.send(request, on_sent)
    if _FIRST_REDIRECT <= reply.status < FIRST_REFUSAL:
        await reply.close()
        raise UpstreamRedirected(reply.status)
    return reply


async def first_bytes(reply: UpstreamReply, bytes_max: int) -> bytes:
    """Of a refusal, as much of it as comes."""
    body = bytearray()
    try:
        async for chunk in reply.chunks():
            body += chunk
            if len(body) > bytes_max:
                break
    except UpstreamFailed:
        pass  # the status is here, and that is what matters of a refusal
    return bytes(body[:bytes_max])
