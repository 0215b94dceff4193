"""The reason beside a status: `401 Not Authenticated`. ASGI has no word for it, and official clients show it.

The protocol offers `REASON` among the extensions of a request; whoever answers may call it, before the head is sent.
"""

from typing import Any
from weakref import ref

REASON = "kvot.reason"
LENGTH_MAX = 128
"""Enough for a sentence. The whole message stands in the body."""

_CODE_END = len(b"HTTP/1.1 401 ")


def state_reason(cycle_of_request: ref[Any], reason: str) -> None:
    """`cycle` is uvicorn's own for one request and its response: the head it writes next gets the reason."""
    cycle = cycle_of_request()
    assert cycle is not None  # it is waiting for the reply that has this reason
    cycle.transport = _HeadTransport(cycle, harmless(reason))


def harmless(reason: str) -> bytes:
    """On one line and in ASCII, whatever a client made us say."""
    return "".join(each if " " <= each <= "~" else "?" for each in reason[:LENGTH_MAX]).encode("ascii")


class _HeadTransport:
    """Stands before a transport until one head has passed."""

    def __init__(self, cycle: Any, reason: bytes) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._reason = reason

    def write(self, head: bytes) -> None:
        self._cycle.transport = self._transport
        status_line, line_end, headers = head.partition(b"\r\n")
        self._transport.write(status_line[:_CODE_END] + self._reason + line_end + headers)

    def close(self) -> None:
        self._transport.close()
