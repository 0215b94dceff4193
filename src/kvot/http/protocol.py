"""uvicorn's HTTP/1.1 protocol with what it does not have by itself: bounds on the size of a head and on the time that a
request may take to arrive, replies in one piece, and word of a client that leaves.

Without the bounds one client could make us keep headers, and many clients connections, without end.
"""

import re
import sys
from asyncio import BaseTransport, TimerHandle
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from weakref import ref

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kvot.http.early import ADDRESS_TOO_LONG, HEAD_TOO_LARGE, NO_HTTP, UNKNOWN_METHOD, Fault
from kvot.http.limits import HEAD_BYTES_MAX
from kvot.http.reply_writer import CUT, WRITE, WRITE_CHUNK, Pair, cut, write, write_chunk

ON_GONE = "kvot.on_gone"
"""Among the extensions of a request: a function that takes what to call when the client leaves, and gives what takes
that back. None, where only `receive` can tell; to ask that takes a task."""

LINGER_S = 2.0
LINGER_BYTES_MAX = 4_194_304
"""How long, and for how much more, a client is heard out whose request was refused before it was sent. Who closes at
once takes back the reply: the client's system drops what it has not read by then."""

PIPELINED_BYTES_MAX = 65_536
"""How much of further requests is read while one is answered whose client may leave; it is kept until then."""

_REQUEST_LINE = re.compile(rb"[!-~]{1,32} ([!-~]{1,8192}) HTTP/1\.[01]\r?\n")


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
    _is_refused = False
    _piece = b""
    _earlier_bytes = 0
    _discarded_bytes = 0
    _pipelined_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """A client that connects and says nothing waits no longer than one that has nothing more to say."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._on_gone: set[Callable[[], None]] = set()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._stop_timer()
        super().connection_lost(exc)
        for tell in list(self._on_gone):
            tell()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(data)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        self._piece = data
        self._has_ended = False
        super().data_received(data)
        self._piece = b""
        if self._is_refused:
            return
        if self._on_gone:
            self._hear_on(len(data))
        if self._is_arriving or self._arrival_timer is not None:
            self._time_arrival()
        if self._is_in_head:
            self._bound_head(data)

    def _hear_on(self, more_bytes: int) -> None:
        """A request behind the one that is answered stops the reading, which alone notices a leaving."""
        self._pipelined_bytes += more_bytes
        if self._pipelined_bytes <= PIPELINED_BYTES_MAX:
            self.flow.resume_reading()

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
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._is_in_head = self._is_arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if len(self._piece) + self._earlier_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self._refuse_head()
            raise HeadTooLarge
        self._earlier_bytes = 0
        super().on_headers_complete()
        # Weakly: its cycle holds the scope, and what holds itself only the garbage collector can free.
        cycle: Any = ref(self.cycle)
        extensions: dict[str, Any] = {
            WRITE: partial(write, cycle),
            WRITE_CHUNK: partial(write_chunk, cycle),
            CUT: partial(cut, cycle),
            ON_GONE: partial(_tell_when_gone, ref(self), cycle),
        }
        self.scope["extensions"] = extensions

    def on_message_complete(self) -> None:
        self._has_ended = True
        self._is_arriving = False
        super().on_message_complete()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's hook for what its parser refuses; the parser's error is being handled."""
        line = _REQUEST_LINE.match(self._piece)
        if line and isinstance(sys.exception(), HttpParserInvalidMethodError):
            self._refuse(UNKNOWN_METHOD, "", line[1])
        elif self._is_arriving:
            self._refuse(NO_HTTP, self._verb(), self.url, self.headers, is_body=not self._is_in_head)
        else:
            self._refuse(NO_HTTP)

    def _refuse_head(self) -> None:
        fault = ADDRESS_TOO_LONG if len(self.url) > HEAD_BYTES_MAX else HEAD_TOO_LARGE
        self._refuse(fault, self._verb(), self.url, self.headers)

    def _verb(self) -> str:
        """Before there is an address the parser may not have read it, and names that of another request."""
        return self.parser.get_method().decode() if self.url else ""

    def _refuse(
        self, fault: Fault, verb: str = "", url: bytes = b"", headers: Iterable[Pair] = (), *, is_body: bool = False
    ) -> None:
        """Say why, and hear the client out. In front of a reply that is still to come it would be taken for that.

        is_body: the body is at fault of the last request that was begun, so this is the reply to that.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        app: Any = self.app  # the server was given ours
        cycle: Any = self.cycle  # None before the first request
        owes_another = self.pipeline or cycle.response_started if is_body else cycle and not cycle.response_complete
        if owes_another:
            self.transport.close()
            return
        if is_body:
            cycle.disconnected = True  # who waits for the body hears that there is no more to come
            cycle.message_event.set()
            self.flow.resume_reading()  # a full buffer has stopped it, and nobody will empty that
        self.transport.write(app.early.reply(fault, verb, url, headers))
        self.transport.write_eof()
        self._stop_timer()
        self._arrival_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > LINGER_BYTES_MAX:
            self.transport.abort()


def _tell_when_gone(
    protocol_of_client: ref[BoundedProtocol], cycle_of_request: ref[Any], tell: Callable[[], None]
) -> Callable[[], None] | None:
    """See ON_GONE. What is left of a body would fill its buffer and stop the reading, which alone notices a leaving."""
    protocol, cycle = protocol_of_client(), cycle_of_request()
    if protocol is None or cycle is None or cycle.disconnected or cycle.more_body or cycle.body:
        return None
    protocol.flow.resume_reading()
    protocol._pipelined_bytes = 0
    protocol._on_gone.add(tell)
    return partial(protocol._on_gone.discard, tell)
