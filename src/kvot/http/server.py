"""The server: uvicorn, with our own start, stop and exit code.

It stops when asked by a signal or by `stop`: it takes no new connections, answers new requests on kept connections
with 503, and after two seconds those that are still arriving; it finishes what it has, lets the store go, and ends with
0. A second signal ends it at once.
"""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from kvot.core.errors import KvotError
from kvot.http.app import App
from kvot.http.forwarded import Forwarded
from kvot.http.protocol import BoundedProtocol
from kvot.telemetry.logs import in_background, logger

KEEP_ALIVE_S = 75
"""Longer than the idle time of common load balancers (60 s), so that they, not we, close a connection first."""

DRAIN_S = 20
"""How long a stop waits for requests in flight: shorter than the half minute after which orchestrators kill."""

ARRIVE_S = 2
"""How long of that requests are waited for that are still arriving: whoever sends one can send it to another server."""

CLOSE_S = 4
"""For what is still to be written when nothing is carried out any more, and as long as was not needed for that."""

BACKLOG = 2048
_LOOK_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """Asks a server to stop. `fail` makes its exit code 1: for a store that can no longer keep what it is given."""

    def __init__(self) -> None:
        self.exit_code = 0
        self._is_asked = False
        self._server: _Server | None = None

    def stop(self) -> None:
        self._is_asked = True
        if self._server is not None:
            self._server.stop()

    def fail(self) -> None:
        self.exit_code = 1
        self.stop()

    def bind(self, server: "_Server") -> None:
        self._server = server
        if self._is_asked:
            server.stop()


async def serve(
    app: App | Forwarded,
    host: str,
    port: int,
    *,
    on_started: Callable[[str], None],
    close: Callable[[float], Awaitable[None]],
    stopper: Stopper | None = None,
    listen: Callable[[str, int], socket.socket] | None = None,
) -> int:
    """Serve until told to stop; the exit code. Port 0 takes a free one: `on_started` is given the real address.

    listen: makes the socket, where it is not to be this server's alone; it raises OSError.
    close: lets go of the store; it is called once, after the last request was answered, with the seconds it may take.

    Raises KvotError "CannotListen": whoever starts a server reads it there and then, and no log.
    """
    stopper = stopper or Stopper()
    try:
        listener = await asyncio.to_thread(listen or listen_alone, host, port)
    except OSError as error:
        await close(CLOSE_S)
        raise cannot_listen(host, port, error) from error
    server = _Server(app, lambda: on_started(url_of(host, listener.getsockname()[1])))
    stopper.bind(server)
    asyncio.get_running_loop().set_exception_handler(in_background)
    try:
        with _signals(server):
            await server.serve(sockets=[listener])
    finally:
        listener.close()
        await server.ended()
        await close(CLOSE_S + server.left_to_drain_s)
    return stopper.exit_code


class _Server(uvicorn.Server):
    def __init__(self, app: App | Forwarded, on_started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                backlog=BACKLOG,
            )
        )
        self._health = app.health
        self._on_started = on_started
        self._stopped_s: float | None = None

    def stop(self) -> None:
        """The first time finish what is in flight; the second time do not wait for it."""
        if self.should_exit:
            self.force_exit = True
            self._cut()
        self._health.is_draining = True
        self.should_exit = True
        self._stopped_s = self._stopped_s or time.monotonic()

    @property
    def left_to_drain_s(self) -> float:
        """Of DRAIN_S, which began with the first word to stop; none of it where nobody waits any more."""
        if self._stopped_s is None or self.force_exit:
            return 0.0
        return max(0.0, self._stopped_s + DRAIN_S - time.monotonic())

    async def _wait_tasks_to_complete(self) -> None:
        """Not uvicorn's: it waits as long for requests that are still arriving as for those that are carried out, and
        calls it an error where it waits no longer."""
        while (self.server_state.connections or self.server_state.tasks) and self.left_to_drain_s:
            if self.left_to_drain_s <= DRAIN_S - ARRIVE_S:
                self._refuse_arriving()
            await asyncio.sleep(_LOOK_S)
        if not self.force_exit:
            self._cut()

    def _refuse_arriving(self) -> None:
        for connection in self._connections():
            connection.refuse_arriving()

    def _cut(self) -> None:
        """Nobody is waited for any more. Who does not read is left first: what waits for that then ends by itself."""
        for connection in self._connections():
            if connection.flow.write_paused or self.force_exit:
                connection.transport.abort()
        asyncio.get_running_loop().call_later(_LOOK_S, self._cancel)

    def _cancel(self) -> None:
        tasks = list(self.server_state.tasks)
        if tasks and not self.force_exit:
            logger("kvot.http").warning("requests cut by the stop", requests=len(tasks), waited_s=DRAIN_S)
        for task in tasks:
            task.cancel()

    def _connections(self) -> list[BoundedProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, BoundedProtocol)]

    async def ended(self) -> None:
        """Return when no request is carried out any more. Those that took too long were cancelled, and not waited for:
        what they write as they end must come before the store is let go."""
        while tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _rest_collector()
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not uvicorn's: it raises the signal again after a clean stop, and the exit code would not be 0."""
        yield


def _rest_collector() -> None:
    """Modules, routes and caches live as long as the process: look at them no more, and less often at the rest.

    A request leaves no cycles behind, so what the collector finds is little; at its defaults it took a tenth of a GET.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextlib.contextmanager
def _signals(server: _Server) -> Iterator[None]:
    """Hear signals for as long as the server runs. In a thread that is not the main one there are none to hear."""
    loop = asyncio.get_running_loop()
    try:
        for each in _SIGNALS:
            loop.add_signal_handler(each, server.stop)
    except (RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


def listen_alone(host: str, port: int) -> socket.socket:
    """A listening socket. It resolves the host, which may take a while: not for the event loop. Raises OSError."""
    family, address = resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def cannot_listen(host: str, port: int, error: OSError) -> KvotError:
    """Why nothing listens there, and what to do. The system says it in its own words."""
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0, "Check --host (KVOT_HOST) and --port (KVOT_PORT).")
    return KvotError(f"Cannot listen at {host} port {port}: {reason}. {advice}", code="CannotListen")


_ADVICE = {
    errno.EADDRINUSE: "Choose another port with --port (0 takes any that is free), or end what listens there.",
    errno.EACCES: "Choose a port from 1024 on with --port, or let this user bind lower ones.",
    errno.EADDRNOTAVAIL: "Name an address of this machine with --host; 0.0.0.0 is all of them.",
}


def resolve(host: str, port: int) -> tuple[int, Any]:
    """The family of an address and the address. Raises OSError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except UnicodeError:  # an empty label, or one that is too long, which nobody is asked for
        raise OSError("No host can have that name") from None
    return family, address


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
