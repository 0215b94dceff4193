"""uvicorn's HTTP/1.1 protocol with what it does not have by itself: bounds on the size of a head and on the time that a
request may take to arrive, and replies in one piece.

Without the bounds one client could make us keep headers, and many clients connections, without end.
"""

from asyncio import BaseTransport, TimerHandle
from functools import partial
from typing import Any
from weakref import ref

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kvot.http.limits import HEAD_BYTES_MAX
from kvot.http.reply_writer import WRITE, write

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 3\r\n"
    b"connection: close\r\n"
    b"\r\n"
    b"431"
)


class HeadTooLarge(Exception):
    """Ends the parsing of a connection; the parser wraps it, so it never leaves this module."""


class BoundedProtocol(HttpToolsProtocol):
    """What arrives in one piece is measured once its head is whole; a head in many pieces as they come.

    So the common request, whose only piece is smaller than the bound, costs a few comparisons.
    """

    request_timeout_s = 60.0
    """For a request to arrive as a whole: 1 MB at 17 kB/s."""

    _arrival_timer: TimerHandle | None = None
    _is_arriving = False
    _is_in_head = False
    _has_ended = False
    _is_too_large = False
    _piece_bytes = 0
    _earlier_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """A client that connects and says nothing waits no longer than one that has nothing more to say."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._has_ended = False
        super().data_received(data)
        if self._is_arriving or self._arrival_timer is not None:
            self._time_arrival()
        if self._is_in_head:
            self._bound_head(data)

    def _time_arrival(self) -> None:
        """The time runs from the first piece of a request that did not come in one."""
        if self._has_ended or not self._is_arriving:
            self._stop_timer()
        if self._is_arriving and self._arrival_timer is None:
            self._arrival_timer = self.loop.call_later(self.request_timeout_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._arrival_timer is not None:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _bound_head(self, data: bytes) -> None:
        if self._has_ended:
            # Behind the end of another request we cannot tell where this head began: count from the next piece on.
            self._earlier_bytes = 0
            return
        self._earlier_bytes += len(data)
        if self._earlier_bytes > HEAD_BYTES_MAX:
            self._is_too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        self._is_in_head = self._is_arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._piece_bytes + self._earlier_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self._is_too_large = True
            raise HeadTooLarge
        self._earlier_bytes = 0
        super().on_headers_complete()
        # Weakly: its cycle holds the scope, and what holds itself only the garbage collector can free.
        extensions: dict[str, Any] = {WRITE: partial(write, ref(self.cycle))}
        self.scope["extensions"] = extensions

    def on_message_complete(self) -> None:
        self._has_ended = True
        self._is_arriving = False
        super().on_message_complete()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:
        if not self._is_too_large:
            super().send_400_response(msg)
        elif not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
