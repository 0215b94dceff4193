"""A whole reply in one piece, with a reason beside its status: `401 Not Authenticated`.

ASGI writes a head and a body, which here become two packets, and has no word for the reason, which official clients
show. So the protocol offers `WRITE` among the extensions of a request, and whoever has the whole reply may call it in
place of `send`. Its work is that of uvicorn's own `send` for a reply whose length is known; without the extension
`send` does.
"""

from collections.abc import Iterable
from typing import Any
from weakref import ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

WRITE = "kvot.write"
WRITE_CHUNK = "kvot.write_chunk"
"""Likewise for a piece of a reply in chunks: where it says that it has not, `send` does."""

CUT = "kvot.cut"
"""Ends the connection of a reply that cannot be finished. uvicorn does so by itself where an application just returns,
but takes it for a fault of the application's and logs an error."""

REFUSED = "kvot.refused"
"""Among the extensions of a request: it broke off in its body, and its client was told so. Who carries it out neither
logs nor counts a refusal of its own, which nobody hears."""

LENGTH_MAX = 128
"""Of a reason: enough for a sentence. The whole message stands in the body."""

_CODE_END = len(b"HTTP/1.1 401 ")
_CLOSE = (b"connection", b"close")

Pair = tuple[bytes, bytes]


async def write(
    cycle_of_request: ref[Any], status: int, headers: Iterable[Pair], body: bytes, reason: str | None
) -> None:
    """Write and finish a reply. `headers` have the content length; `body` is left out where the request was a HEAD.

    The cycle is uvicorn's own for one request and its response.
    """
    cycle = cycle_of_request()
    if cycle is None:
        return
    if cycle.flow.write_paused and not cycle.disconnected:  # the client reads slowly
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    closes = _CLOSE in headers
    if closes:
        cycle.keep_alive = False
    pairs = [*cycle.default_headers, *headers]
    if not (cycle.keep_alive or closes):
        pairs.append(_CLOSE)
    data = head(status, reason, pairs) + (b"" if cycle.scope["method"] == "HEAD" else body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(data)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def write_chunk(cycle_of_request: ref[Any], data: bytes) -> bool:
    """Write a piece of a reply that has begun; False, and nothing written, where that takes more than to write it."""
    cycle = cycle_of_request()
    if cycle is None or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
        return False
    if cycle.flow.write_paused or not data:  # the client reads slowly; or the piece would be the end
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
    return True


def cut(cycle_of_request: ref[Any]) -> None:
    """What was written still goes out; the client sees that the end is missing. Whom nothing more is to reach is left
    alone: it is gone, or was told why its body is refused and is heard out."""
    cycle = cycle_of_request()
    if cycle is None or cycle.response_complete or cycle.disconnected:
        return
    cycle.disconnected = True
    cycle.transport.close()


def head(status: int, reason: str | None, pairs: list[Pair]) -> bytes:
    """The lines before the body. A line break inside a header would begin another: that is a fault of ours."""
    status_line = STATUS_LINE[status]
    if reason is not None:
        status_line = status_line[:_CODE_END] + harmless(reason) + b"\r\n"
    lines = b"\r\n".join([b"%b: %b" % pair for pair in pairs])
    if lines.count(b"\n") != len(pairs) - 1 or lines.count(b"\r") != len(pairs) - 1:
        raise RuntimeError("A header has a line break in it.")
    return b"%b%b\r\n\r\n" % (status_line, lines)


def harmless(reason: str) -> bytes:
    """On one line and in ASCII, whatever a client made us say."""
    return "".join(each if " " <= each <= "~" else "?" for each in reason[:LENGTH_MAX]).encode("ascii")
