"""A real server on a free port, over the real ledger and the plain store, and a client that sends what it is told."""

import asyncio
import http.client
import json
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import uvloop

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable, TokenRejected, TooManyRequests
from kvot.core.ledger import Ledger
from kvot.core.principal import SUPERADMIN, USAGE_WRITER, Principal
from kvot.http.app import App, HttpSettings
from kvot.http.health import Health
from kvot.http.requestlog import RequestLog
from kvot.http.server import Stopper, serve
from kvot.http.surface import Surface
from kvot.operations import Services
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.memory import MemoryStore
from kvot.telemetry.tally import Requests

if TYPE_CHECKING:
    from tests.http.asgi import Asgi

NOW_MS = 1_800_000_000_000


class TableAuthenticator:
    """`x-api-key: {company}` speaks for that company; `super`, `writer {company}` and a few others are in the table."""

    async def principal(self, authorization: bytes | None, api_key: bytes | None, peer: str | None) -> Principal | None:
        if authorization == b"Bearer expired":
            raise TokenRejected("Token has expired")
        if api_key == b"often":
            raise TooManyRequests("Too many failures.", retry_after_ms=1_500)
        if api_key is None or api_key == b"wrong":
            return None
        if api_key == b"super":
            return Principal(None, None, frozenset({SUPERADMIN}), "key-super")
        role, _, company_id = api_key.decode().rpartition(" ")
        return Principal(company_id, None, frozenset({USAGE_WRITER} if role else ()), "key-company")


class FailingStore(MemoryStore):
    """A store with three companies of its own: one it cannot answer for, one that trips over a fault, one that waits.

    `waiting` is set once somebody asked for the last; the answer comes when the loop's `let_go` is.
    """

    unavailable_company = "00000000-0000-0000-0000-00000000dead"
    broken_company = "00000000-0000-0000-0000-00000000beef"
    slow_company = "00000000-0000-0000-0000-00000000510e"

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.waiting = threading.Event()
        self.let_go = asyncio.Event()

    async def usage(self, company_id: str, **when: Any) -> Any:
        if company_id == self.slow_company:
            self.waiting.set()
            await self.let_go.wait()
        if company_id == self.unavailable_company:
            raise StoreUnavailable("The store is busy.", retry_after_ms=1_001)
        if company_id == self.broken_company:
            raise ValueError("SELECT secret FROM everything")
        return await super().usage(company_id, **when)


class Lines:
    """What the server logs, line by line. `next` waits for a line: it is written after the reply was sent."""

    def __init__(self) -> None:
        self._lines: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()

    def info(self, event: str, **fields: Any) -> None:
        self._lines.put((event, fields))

    error = info

    def next(self) -> tuple[str, dict[str, Any]]:
        return self._lines.get(timeout=10)

    def is_empty(self) -> bool:
        return self._lines.empty()

    def clear(self) -> None:
        while not self._lines.empty():
            self._lines.get()


def make_app(
    settings: HttpSettings | None = None,
    store: FailingStore | None = None,
    surfaces: Sequence[Surface] = (),
    requests: Requests | None = None,
) -> App:
    store = store or FailingStore(Rules())
    ledger = Ledger(store, lambda: NOW_MS)
    services = Services(ledger, store, b"pepper", lambda: uuid4().hex, ProviderKeys(store, Sealer(bytes(32))))
    log = RequestLog(least_status=0, log=Lines())
    settings = settings or HttpSettings()
    return App(
        services,
        TableAuthenticator(),
        Health(ledger, log=log.sink),
        settings=settings,
        log=log,
        surfaces=surfaces,
        requests=requests,
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        status = self.json["responseStatus"]
        return status["errorCode"], status["message"]

    @property
    def fields(self) -> list[tuple[str, str]]:
        return [(each["fieldName"], each["errorCode"]) for each in self.json["responseStatus"]["errors"]]


class Server:
    """A server in a thread of its own. `send` opens a connection per request. `lines` is what it logs."""

    def __init__(self, app: App, port: int = 0) -> None:
        self.app = app
        self.port = port
        self.closed = 0
        self.lines: Lines = app.log.sink
        self.stopper = Stopper()
        self.exit_code: int | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            self.exit_code = runner.run(self._serve())

    def _serve(self) -> Coroutine[Any, Any, int]:
        return serve(
            self.app, "127.0.0.1", self.port, on_started=self._on_started, close=self._close, stopper=self.stopper
        )

    async def _close(self, _within_s: float) -> None:
        self.closed += 1

    def _on_started(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)
        self._started.set()

    def start(self) -> "Server":
        self._thread.start()
        assert self._started.wait(10)
        return self

    def call(self, function: Callable[[], object]) -> None:
        """Run a function on the server's loop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function)

    def join(self) -> int | None:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.exit_code

    def stop(self) -> int | None:
        self.call(self.stopper.stop)
        return self.join()

    def send(
        self, method: str, target: str, body: bytes | str | Iterator[bytes] | None = None, **headers: str
    ) -> Answer:
        """Headers by name with underscores: `content_type="text/jsv"`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body.encode() if isinstance(body, str) else body, named)
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=10)

    def send_raw(self, *pieces: bytes) -> bytes:
        """All that comes back until the server closes, which the request should ask for."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server(make_app()).start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def company() -> str:
    """A company that no other test has touched."""
    return str(uuid4())


@pytest.fixture(scope="session")
def asgi() -> Iterator["Asgi"]:
    from tests.http.asgi import Asgi

    asgi = Asgi(make_app())
    yield asgi
    asgi.close()
