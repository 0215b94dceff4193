"""The client of a call, given the provider's reply in our words, and what is kept of it for whoever asks again."""

from functools import partial

from kvot.core.model import Usage
from kvot.gateway.asking import FIRST_REFUSAL
from kvot.gateway.call import Client, content_type
from kvot.gateway.dialect import Dialect, Pair
from kvot.gateway.headers import reply_headers
from kvot.gateway.holding import Held, limits_of
from kvot.gateway.masked import MaskedDocument, MaskedStream, without_account
from kvot.gateway.provider import Provider
from kvot.gateway.refused_key import refused_key
from kvot.gateway.retries import REPLY_BYTES_MAX, Reply

REPEATED_HEADER = b"x-kvot-repeated"
"""On a reply that is given a second time, to a client that asked again with the same `Idempotency-Key`."""


class Headed:
    """`keeps`: the whole reply, if it is small. `is_delivered`: the client was handed all of its answer."""

    def __init__(self, client: Client, provider: Provider, held: Held | None, *, keeps: bool = False) -> None:
        self._client = client
        self._provider = provider
        self._held = held
        self._status = 0
        self._headers: tuple[Pair, ...] = ()
        self._body: bytearray | None = bytearray() if keeps else None
        self._masked: MaskedStream | MaskedDocument | None = None
        self._is_whole = False
        self.is_delivered = False

    @property
    def whole_reply(self) -> Reply | None:
        """The provider's reply as the client was sent it, once it has ended well."""
        if self._body is None or not self._is_whole or self._status >= FIRST_REFUSAL:
            return None
        output_max = None if self._held is None else self._held.output_max
        return Reply(self._status, self._headers, output_max, bytes(self._body))

    async def begin(self, status: int, headers: tuple[Pair, ...], *, is_stream: bool = False) -> None:
        mask = partial(_mask, self._provider)
        self._masked = MaskedStream(content_type(headers), mask) if is_stream else MaskedDocument(mask)
        await self._begin(status, headers, is_stream=is_stream)

    async def _begin(self, status: int, headers: tuple[Pair, ...], *, is_stream: bool = False) -> None:
        ours = reply_headers(self._provider.dialect, headers, self._held)
        self._status, self._headers = status, headers
        await self._client.begin(status, ours, is_stream=is_stream)

    async def write(self, data: bytes) -> None:
        if self._masked is not None:
            data = self._masked.feed(data)
        if data:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._body is not None:
            self._body += data
            if len(self._body) > REPLY_BYTES_MAX:
                self._body = None
        await self._client.write(data)

    def name_ceiling(self, output_max: int) -> None:
        assert self._held is not None  # only calls have ceilings
        self._held = self._held._replace(output_max=output_max)

    async def refused(self, status: int, headers: tuple[Pair, ...], body: bytes) -> None:
        """A refusal of the provider's, whole. Raises KvotError where it is of the key."""
        if (error := refused_key(self._provider, status, body)) is not None:
            raise error
        mask = partial(_mask, self._provider)
        await self._begin(status, tuple((name, mask(value)) for name, value in headers))
        await self.write(mask(body))
        await self.end()

    def answered(self) -> None:
        self._is_whole = self.is_delivered = True
        self._client.answered()

    async def pass_rest(self) -> None:
        """All of the reply has come that does, also where its provider broke it off."""
        if self._masked is not None and (rest := self._masked.finish()):
            await self._write(rest)

    async def end(self) -> None:
        await self.pass_rest()
        self._is_whole = True
        await self._client.end()
        self.is_delivered = True


def _mask(provider: Provider, error: bytes) -> bytes:
    """Without the key, which some quote, and the account behind it: neither is a client's to see. The account is where
    the key is its company's own."""
    if provider.api_key:
        error = error.replace(provider.api_key.encode(), b"***")
    return error if provider.has_own_key else without_account(error)


def standing(usage: Usage, now_ms: int, output_max: int | None = None) -> Held:
    """How a company stands beside a reply for which nothing is held now."""
    return Held(0, output_max, usage, limits_of(usage, now_ms), 0)


async def give(reply: Reply, client: Client, dialect: Dialect, usage: Usage, now_ms: int) -> None:
    """The same again; only how the company stands is said as it is now."""
    ours = reply_headers(dialect, reply.headers, standing(usage, now_ms, reply.output_max))
    await client.begin(reply.status, (*ours, (REPEATED_HEADER, b"true")))
    await client.write(reply.body)
    await client.end()
