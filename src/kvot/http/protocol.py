"""uvicorn's HTTP/1.1 protocol with what it does not have by itself: a bound on the head of a request, and a reason
beside the status of a reply.

Without the bound one connection could make us keep headers without end.
"""

from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kvot.http.limits import HEAD_BYTES_MAX
from kvot.http.reasons import REASON, state_reason

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

    So the common request, whose only piece is smaller than the bound, costs two comparisons.
    """

    _is_in_head = False
    _piece_bytes = 0
    _pieces_bytes = 0
    _is_too_large = False

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        self._piece_bytes = len(data)
        super().data_received(data)
        if not self._is_in_head:
            self._pieces_bytes = 0
        elif was_in_head:
            self._pieces_bytes += len(data)
            if self._pieces_bytes > HEAD_BYTES_MAX:
                self._is_too_large = True
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._piece_bytes + self._pieces_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self._is_too_large = True
            raise HeadTooLarge
        super().on_headers_complete()
        extensions: dict[str, Any] = {REASON: partial(state_reason, self.cycle)}
        self.scope["extensions"] = extensions

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:
        if not self._is_too_large:
            super().send_400_response(msg)
        elif not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
