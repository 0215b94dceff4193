"""A path that uses no tokens: models, counting, what a provider has stored. Nothing is held for it.

It has the bounds of a call all the same: it keeps a connection at both ends, and whatever comes through it has room.
"""

import asyncio

from kvot.gateway.asking import FIRST_REFUSAL, REFUSAL_BYTES_MAX, ask_upstream, first_bytes
from kvot.gateway.call import REPLY_BYTES_LEAST, CallClient, content_type, took_too_long
from kvot.gateway.upstream.port import Upstream, UpstreamFailed, UpstreamReply, UpstreamRequest

_EVENTS = "text/event-stream"
"""A stored response may be asked for as the stream that it was, or while it is still being made."""


async def pass_unmetered(
    upstream: Upstream, request: UpstreamRequest, client: CallClient, provider: str, longest_s: int
) -> None:
    """Raises UpstreamFailed, ProviderFailed where it took longer than `longest_s`, and what the client raises of a
    refusal: what has been passed on by then stays."""
    try:
        async with asyncio.timeout(longest_s):
            reply = await ask_upstream(upstream, request)
            try:
                await _pass(reply, client)
            finally:
                await reply.close()
    except TimeoutError as error:
        raise took_too_long(provider, longest_s) from error


async def _pass(reply: UpstreamReply, client: CallClient) -> None:
    if reply.status >= FIRST_REFUSAL:
        await client.refused(reply.status, reply.headers, await first_bytes(reply, REFUSAL_BYTES_MAX))
        return
    await client.begin(reply.status, reply.headers, is_stream=content_type(reply.headers) == _EVENTS)
    left_bytes = REPLY_BYTES_LEAST
    async for chunk in reply.chunks():
        left_bytes -= len(chunk)
        if left_bytes < 0:
            raise UpstreamFailed("the provider's reply does not end", was_sent=True)
        await client.write(chunk)
    await client.end()
