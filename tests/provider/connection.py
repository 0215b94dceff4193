"""A connection to the mock provider: HTTP/1.1 by hand, since the mock must cost a bench little and a fault must lie."""

import asyncio
from typing import TYPE_CHECKING, cast

from tests.provider.plan import End, Plan
from tests.provider.received import Received

if TYPE_CHECKING:
    from tests.provider.server import Provider


class Connection(asyncio.Protocol):
    """One request at a time; what a client pipelines waits in the buffer."""

    def __init__(self, provider: "Provider", number: int) -> None:
        self._provider = provider
        self._number = number
        self._buffer = b""
        self._received: Received | None = None
        self._sending: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        self._can_write = asyncio.Event()
        self._can_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._provider.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._provider.connections.discard(self)
        self.closed.set()
        if self._sending:
            self._sending.cancel()
        if self._received:
            self._received.sent_bytes -= self._transport.get_write_buffer_size()
            self._received.closed.set()

    def eof_received(self) -> None:
        # A client that has closed gets nothing more; what waits in the buffer is dropped with the connection.
        self._transport.abort()

    def pause_writing(self) -> None:
        self._can_write.clear()
        if self._received:
            self._received.blocked.set()

    def resume_writing(self) -> None:
        self._can_write.set()

    @property
    def is_idle(self) -> bool:
        return self._sending is None

    def close(self) -> None:
        """After what it was given to send."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._sending is None:
            self._read_next()

    def _read_next(self) -> None:
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            whole = end + 4 + _length(head)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._received = Received(head, body, self._number)
            self._answer(self._received)
            if self._sending:
                return

    def _answer(self, received: Received) -> None:
        script = self._provider.next_script()
        plan = self._provider.plan(received, script)
        received.reply = plan.body
        self._provider.note(received)
        if (
            plan.end is End.KEEP
            and script.pace is None
            and not script.delay_ms
            and len(plan.pieces) == 1
            and not plan.repeats
        ):
            self._write(received, plan.head + plan.pieces[0])
            received.is_answered = True
            return
        self._sending = asyncio.get_running_loop().create_task(self._send(received, plan, script.pace, script.delay_ms))

    def _write(self, received: Received, data: bytes) -> None:
        received.sent_bytes += len(data)
        self._transport.write(data)

    async def _send(self, received: Received, plan: Plan, pace: asyncio.Semaphore | None, delay_ms: int) -> None:
        if plan.head:
            self._write(received, plan.head)
        for piece in plan.pieces:
            if pace:
                await pace.acquire()
            # Even without a pace the client's loop gets its turn, so that pieces arrive as pieces.
            await asyncio.sleep(delay_ms / 1_000)
            await self._can_write.wait()
            self._write(received, piece)
        while plan.repeats:
            if pace:
                await pace.acquire()
            await asyncio.sleep(delay_ms / 1_000)
            await self._can_write.wait()
            self._write(received, plan.repeats)
        received.is_answered = True
        self._end(plan.end)

    def _end(self, end: End) -> None:
        match end:
            case End.CLOSE:
                self._transport.close()
            case End.RESET:
                self._transport.abort()
            case End.KEEP:
                self._sending = None
                self._read_next()


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    return int(lower[start + 17 : lower.find(b"\r\n", start + 17)]) if start >= 0 else 0
