"""Simultaneous attempts at one call: one of them is sent, and the others wait for what becomes of it.

A client that gave up waiting may repeat its call before we learn that it left; others send a call twice to be sure.
Who says so, by an `Idempotency-Key`, is given the answer of the attempt under way once it is whole. If that fails, one
of those who wait goes on itself. A waiter that leaves ends nothing but its own waiting.

Without a key nobody waits, whatever count of retries a client sends: the attempt under way may be that of another
caller, whose answer is for it alone. The retry is sent at once; if the other's answer is then lost before that of the
retry is delivered, its charge is taken back.

One process knows its own calls alone: attempts that reach two servers behind one balancer are both sent, and each that
is answered is charged.
"""

import asyncio

from kvot.core.errors import Conflict
from kvot.gateway.retries import Attempt, check_words

WAITERS_MAX = 16
"""For one call. Clients repeat one two or three times; so many at once are a fault, and each keeps a connection."""


class Running:
    """An attempt that was sent. Nobody waits for most of them, so that one costs next to nothing."""

    __slots__ = ("attempt", "waiters")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.waiters: list[asyncio.Future[None]] = []


class Joining:
    """The calls under way that have a key. Used on one event loop; as many as there are calls."""

    def __init__(self) -> None:
        self._running: dict[bytes, Running] = {}

    async def wait(self, attempt: Attempt) -> bool:
        """Whether another attempt was under way, and is over now. Raises Conflict where too many wait, or it has
        another body."""
        running = self._running.get(attempt.call)
        if running is None:
            return False
        check_words(attempt, running.attempt.words)
        if len(running.waiters) >= WAITERS_MAX:
            raise Conflict(f"The call is under way, and {WAITERS_MAX} repetitions of it wait for its answer already.")
        waiter = asyncio.get_running_loop().create_future()
        running.waiters.append(waiter)
        try:
            await waiter
        finally:
            running.waiters.remove(waiter)
        return True

    def begin(self, attempt: Attempt) -> Running:
        """It is sent now; no other of its key is under way."""
        running = self._running[attempt.call] = Running(attempt)
        return running

    def end(self, running: Running) -> None:
        """What became of it is known: whoever waits looks for it."""
        del self._running[running.attempt.call]
        for waiter in running.waiters:
            if not waiter.done():
                waiter.set_result(None)
