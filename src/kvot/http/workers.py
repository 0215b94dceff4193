"""Several processes behind one port: a parent that starts them, starts again what ended, and stops them together.

Every worker listens on a socket of its own at the same address (SO_REUSEPORT). The kernel spreads new connections over
them by a hash; with one socket between them whoever woke first would take a whole burst of connections, since an event
loop accepts all that wait at once. A worker that ends takes only its own connections with it: new ones go to others.

The parent opens nothing but the port, and no thread: it forks. Workers stand in groups of their own, so that Ctrl-C in
a terminal reaches the parent alone, which passes it on once. When the parent dies, however it does, a pipe that it
held is closed, and they stop.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from kvot.core.errors import KvotError, StoreUnavailable
from kvot.http.server import BACKLOG, CLOSE_S, DRAIN_S, resolve, url_of
from kvot.settings import SettingsError
from kvot.telemetry.logs import logger

PAUSE_S = 0.5
PAUSE_MAX_S = 15.0
"""Before a worker that ended starts again: twice as long each time, so that a lasting fault costs next to nothing."""

FAILURES_MAX = 8
"""In a row, which takes about a minute: then all stop and the exit code says so. What starts Kvot knows what to do."""

STEADY_S = 60.0
"""A worker that lived this long had started well: what ended it has nothing to do with what ended one before."""

KILL_S = DRAIN_S + CLOSE_S + 5
"""After which a worker that was told to stop is killed: it is to have let go of its requests by itself by then."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPED = (0, -signal.SIGTERM)
"""Exit codes of workers that were told to stop, and did: one that still starts has no ear for it, and just ends."""

_fork = multiprocessing.get_context("fork")


class Restarts:
    """When a worker may start again."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, lived_s: float) -> float | None:
        """Seconds until then; None: never."""
        self._failures = 1 if lived_s >= STEADY_S else self._failures + 1
        if self._failures > FAILURES_MAX:
            return None
        return min(PAUSE_MAX_S, PAUSE_S * 2.0 ** (self._failures - 1))


@dataclass(frozen=True)
class Place:
    """What a worker is given: where to listen, whom to tell that it does, and what ends when the parent does.

    `is_first`: nobody was told yet that the server answers, and a worker that cannot do its work ends the start.
    """

    host: str
    port: int
    lifeline: int
    told: Connection
    is_first: bool = True

    def say_ready(self) -> None:
        self.told.send(None)


Run = Callable[[Place], int]
"""What a worker does; its exit code. A KvotError or SettingsError that it raises before it was ready is told to the
parent."""


@dataclass
class _Seat:
    """One of so many workers; the process in it changes."""

    process: Any = None
    told: Connection | None = None
    started_s: float = 0.0
    starts_s: float | None = 0.0  # when it is to start; None: it runs
    restarts: Restarts = field(default_factory=Restarts)
    is_ready: bool = False


class Workers:
    """The parent's side. `run` is called once, on the main thread of a process without other threads."""

    def __init__(self, count: int, host: str, port: int, run: Run, on_started: Callable[[str], None]) -> None:
        self._run = run
        self._host = host
        self._on_started: Callable[[str], None] | None = on_started
        self._reserved = reserve(host, port)
        self._port: int = self._reserved.getsockname()[1]
        self._lifeline, self._held_end = os.pipe()
        self._seats = [_Seat() for _ in range(count)]
        self._exit_code = 0
        self._kill_s: float | None = None  # when workers that still run are killed; None: nobody is to stop

    def run(self) -> int:
        """Until told to stop; the exit code. Raises StoreUnavailable when the first workers cannot start."""
        try:
            with self._woken_by_signals() as woken:
                while self._kill_s is None or any(seat.process for seat in self._seats):
                    self._start_due()
                    self._look(wait(self._watched(woken), self._pause_s()), woken)
        finally:
            self._kill()
            self._reserved.close()
            os.close(self._held_end)
            os.close(self._lifeline)
        return self._exit_code

    # -- what happens --------------------------------------------------------------------------------------------

    def _watched(self, woken: socket.socket) -> list[Any]:
        processes = [seat.process.sentinel for seat in self._seats if seat.process]
        return [woken, *processes, *(seat.told for seat in self._seats if seat.told)]

    def _pause_s(self) -> float | None:
        times = [seat.starts_s for seat in self._seats if seat.starts_s is not None and self._kill_s is None]
        times += [self._kill_s] if self._kill_s is not None else []
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _look(self, happened: list[Any], woken: socket.socket) -> None:
        if woken in happened:
            for _ in woken.recv(64):  # one byte a signal
                self._stop()
        for seat in self._seats:
            if seat.told in happened:
                self._hear(seat)
            if seat.process and seat.process.sentinel in happened:
                self._bury(seat)
        if self._kill_s is not None and time.monotonic() >= self._kill_s:
            self._kill()

    def _hear(self, seat: _Seat) -> None:
        """A worker is ready, or says why it cannot be; or it ended without a word."""
        assert seat.told is not None
        reason = None
        try:
            reason = seat.told.recv()
            seat.is_ready = reason is None
        except EOFError:
            pass
        seat.told.close()
        seat.told = None
        if reason is not None:
            if self._on_started is not None:
                raise StoreUnavailable(reason)  # which whoever started us is shown
            logger("kvot.http").error("worker cannot start", reason=reason)
        elif self._on_started is not None and all(each.is_ready for each in self._seats):
            tell, self._on_started = self._on_started, None
            tell(url_of(self._host, self._port))

    def _bury(self, seat: _Seat) -> None:
        seat.process.join()
        code, lived_s = seat.process.exitcode, time.monotonic() - seat.started_s
        if seat.told is not None:
            self._hear(seat)
        seat.process = None
        if self._kill_s is not None:
            self._exit_code = self._exit_code or int(code not in _STOPPED)
            return
        if self._on_started is not None:
            raise StoreUnavailable(f"A worker ended before it was ready (exit code {code}).")
        pause_s = seat.restarts.after(lived_s)
        logger("kvot.http").error("worker ended", exit_code=code, lived_s=round(lived_s, 1), starts_in_s=pause_s)
        if pause_s is None:
            self._exit_code = 1
            self._stop()
        else:
            seat.starts_s, seat.is_ready = time.monotonic() + pause_s, False

    # -- starting and stopping -----------------------------------------------------------------------------------

    def _start_due(self) -> None:
        for seat in self._seats:
            if self._kill_s is None and seat.starts_s is not None and seat.starts_s <= time.monotonic():
                self._start(seat)

    def _start(self, seat: _Seat) -> None:
        seat.told, said = _fork.Pipe(duplex=False)
        place = Place(self._host, self._port, self._lifeline, said, is_first=self._on_started is not None)
        seat.process = _fork.Process(target=self._work, args=(place,))
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the worker has handlers of its own
        try:
            seat.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        said.close()
        seat.started_s, seat.starts_s = time.monotonic(), None

    def _work(self, place: Place) -> None:
        """In the worker."""
        os.setpgrp()
        os.close(self._held_end)
        signal.set_wakeup_fd(-1)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        try:
            code = self._run(place)
        except (KvotError, SettingsError) as error:
            with contextlib.suppress(OSError):  # the parent is gone
                place.told.send(str(error))
            code = 1
        raise SystemExit(code)

    def _stop(self) -> None:
        """Each time as a server is told: finish what is in flight, then do not wait for it."""
        if self._kill_s is None:
            self._kill_s = time.monotonic() + KILL_S
        for seat in self._seats:
            if seat.process:
                seat.process.terminate()

    def _kill(self) -> None:
        for seat in self._seats:
            if seat.process:
                seat.process.kill()

    @contextlib.contextmanager
    def _woken_by_signals(self) -> Iterator[socket.socket]:
        """A socket that has a byte to read for every signal."""
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        before = {each: signal.signal(each, _heard) for each in _SIGNALS}
        fd_before = signal.set_wakeup_fd(waker.fileno())
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(fd_before)
            for each, handler in before.items():
                signal.signal(each, handler)
            woken.close()
            waker.close()


def _heard(number: int, frame: object) -> None:
    """The byte that the socket gets is what counts."""


def reserve(host: str, port: int) -> socket.socket:
    """Hold an address without listening there, so that no worker's end frees it. Raises OSError.

    SO_REUSEPORT would let two servers of one user share a port without a word: the first try is made without it.
    """
    family, address = resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(address)
        address = (address[0], trial.getsockname()[1], *address[2:])
    return _bound(family, address)


def listen_shared(host: str, port: int) -> socket.socket:
    """A worker's socket, at the address that the parent holds. Raises OSError."""
    listener = _bound(*resolve(host, port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _bound(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
