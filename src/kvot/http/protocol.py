"""uvicorn's HTTP/1.1 protocol with what it does not have by itself: bounds on the size of a head and on the time that a
request may take to arrive, replies in one piece, and word of a client that leaves.

Without the bounds one client could make us keep headers, and many clients connections, without end.
"""

import re
import sys
from asyncio import BaseTransport, TimerHandle
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from weakref import ref

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kvot.http.early import (
    ADDRESS_TOO_LONG,
    HEAD_TOO_LARGE,
    NO_HTTP,
    NO_OTHER_PROTOCOL,
    STOPPING,
    TRAILERS_TOO_LARGE,
    UNKNOWN_METHOD,
    Fault,
)
from kvot.http.limits import HEAD_BYTES_MAX
from kvot.http.reply_writer import CUT, REFUSED, WRITE, WRITE_CHUNK, Pair, cut, write, write_chunk

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


_UPGRADE = re.compile(rb"\nupgrade(?=[ \t]*(?::|\Z))", re.IGNORECASE)
_PASSED_OVER = b"trailer"
"""A header of the connection, as the other is, that nobody here looks at or passes on. It is as long, so that no byte
behind it ever comes to stand elsewhere."""

_HEAD_END = b"\r\n\r\n"
_TAIL_BYTES = 8
"""Of a head, kept for its next piece: as many as may be the begin of its end, or of the name."""


class Refused(Exception):
    """Ends the parsing of a connection; the parser wraps it, so it never leaves this module."""


class _Trailers(list[Pair]):
    """Where uvicorn adds the headers that come behind a body to those of the request, which nobody could then tell from
    what a proxy in front has written (RFC 9110, 6.5.1): none is kept."""

    def append(self, _trailer: Pair) -> None:
        pass


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
    _has_body_come = False
    _bytes_around_body = 0
    _head_tail = b""

    def connection_made(self, transport: BaseTransport) -> None:
        """A client that connects and says nothing waits no longer than one that has nothing more to say."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._on_gone: set[Callable[[], None]] = set()
        self._earlier_cycles: deque[Any] = deque()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._stop_timer()
        for cycle in self._earlier_cycles:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)
        for tell in list(self._on_gone):
            tell()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(data)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self._is_in_head or b"pgrade" in data:
            data = self._without_upgrade(data)
        self._piece = data
        self._has_ended = self._has_body_come = False
        self._parse(data)
        self._piece = b""
        self._head_tail = self._tail_with(data) if self._is_in_head else b""
        if self._is_refused:
            return
        if self._on_gone:
            self._hear_on(len(data))
        if self._is_arriving or self._arrival_timer is not None:
            self._time_arrival()
        if self._is_in_head:
            self._bound_head(data)
        elif self._is_arriving:
            self._bound_around_body(len(data))

    def _parse(self, data: bytes) -> None:
        """As uvicorn's own `data_received`, without its warning: the refusal has a line of its own in the log."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):  # the second for what ends in `on_headers_complete` before
            self._refuse_unread()

    def _without_upgrade(self, data: bytes) -> bytes:
        """An offer to go on in another protocol is passed over, as RFC 9110 (7.8) lets us: Java's client makes it with
        each request. The parser would take it, and read what follows as a request of its own, were it the body.

        No byte but those of the name is changed, and none behind the head's end."""
        if self._is_arriving and not self._is_in_head:
            return data
        begun = len(self._head_tail)
        head = bytearray(self._head_tail + data)
        first = 0 if begun else len(data) - len(data.lstrip(b"\r\n"))  # empty lines may stand before a request
        end = head.find(_HEAD_END, first)
        for match in _UPGRADE.finditer(bytes(head[: end if end >= 0 else len(head)])):
            name = match.start() + 1
            at = max(name, begun)  # what is before that the parser has
            if at < match.end():
                head[at : match.end()] = _PASSED_OVER[at - name :]
        return bytes(head[begun:])

    def _tail_with(self, data: bytes) -> bytes:
        head = (self._head_tail + data) if self._head_tail else data.lstrip(b"\r\n")
        return head[-_TAIL_BYTES:]

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

    def _bound_around_body(self, more_bytes: int) -> None:
        """Of pieces that bring nothing of a body that is still to end: trailers, or what chunks say of themselves."""
        self._bytes_around_body = 0 if self._has_body_come else self._bytes_around_body + more_bytes
        if self._bytes_around_body > HEAD_BYTES_MAX:
            self._refuse(TRAILERS_TOO_LARGE, self._verb(), self.url, self.scope["headers"], is_body=True)

    def on_message_begin(self) -> None:
        self._is_in_head = self._is_arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():  # in a head that came in pieces, or behind another request; or CONNECT
            fault = UNKNOWN_METHOD if self.parser.get_method() == b"CONNECT" else NO_OTHER_PROTOCOL
            self._refuse(fault, self._verb(), self.url, self.headers)
            raise Refused
        if len(self._piece) + self._earlier_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self._refuse_head()
            raise Refused
        self._earlier_bytes = 0
        self._remember_cycle()
        super().on_headers_complete()
        self._is_in_head = False
        self._has_body_come = True  # or may have, in this piece
        self.headers = _Trailers()
        # Weakly: its cycle holds the scope, and what holds itself only the garbage collector can free.
        cycle: Any = ref(self.cycle)
        extensions: dict[str, Any] = {
            WRITE: partial(write, cycle),
            WRITE_CHUNK: partial(write_chunk, cycle),
            CUT: partial(cut, cycle),
            ON_GONE: partial(_tell_when_gone, ref(self), cycle),
        }
        self.scope["extensions"] = extensions

    def _remember_cycle(self) -> None:
        """uvicorn tells only the last request that the client is gone, and an earlier one would be answered all the
        same: an error, and its reply a fault of ours."""
        while self._earlier_cycles and self._earlier_cycles[0].response_complete:
            self._earlier_cycles.popleft()
        cycle: Any = self.cycle  # None before the first request
        if cycle and not cycle.response_complete:
            self._earlier_cycles.append(cycle)

    def on_body(self, body: bytes) -> None:
        self._has_body_come = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_ended = True
        self._is_arriving = False
        super().on_message_complete()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_unread(self) -> None:
        """What the parser does not take; its error is being handled."""
        line = _REQUEST_LINE.match(self._piece)
        if line and isinstance(sys.exception(), HttpParserInvalidMethodError):
            self._refuse(UNKNOWN_METHOD, "", line[1])
        elif self._is_arriving:
            self._refuse(NO_HTTP, self._verb(), self.url, self.scope["headers"], is_body=not self._is_in_head)
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
        if self._owes_another(is_body=is_body):
            if not is_body:  # of one that was begun whoever carries it out has a line
                app.early.reply(fault, verb, url, headers)  # logged and counted, though nobody is told
            self.transport.close()
            return
        cycle: Any = self.cycle
        if is_body:
            self.scope["extensions"][REFUSED] = {}
            cycle.disconnected = True  # who waits for the body hears that there is no more to come
            cycle.message_event.set()
            self.flow.resume_reading()  # a full buffer has stopped it, and nobody will empty that
        self.transport.write(app.early.reply(fault, verb, url, headers, is_begun=is_body))
        self.transport.write_eof()
        self._stop_timer()
        self._arrival_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def _owes_another(self, *, is_body: bool) -> bool:
        """Whether a reply to an earlier request is still to come, or to end, before one to what arrives now."""
        cycle: Any = self.cycle  # None before the first request
        if is_body:
            return bool(self.pipeline) or cycle.response_started
        return cycle is not None and not cycle.response_complete

    def refuse_arriving(self) -> None:
        """Of a server that stops: wait no longer for the rest of a request. What came before it is answered first."""
        is_body = not self._is_in_head
        if self._is_arriving and not self._owes_another(is_body=is_body):
            headers = self.scope["headers"]
            self._refuse(STOPPING, self._verb(), self.url, headers, is_body=is_body)

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
