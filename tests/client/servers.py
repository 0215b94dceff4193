"""A real server whose clock a test moves, and a path to it on which replies get lost."""

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.http.app import App
from kvot.http.health import Health
from kvot.http.requestlog import RequestLog
from kvot.operations import Services
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.memory import MemoryStore
from tests.http.conftest import Lines, Server, TableAuthenticator

HANGS = b"nothing"


def raw_reply(status: int, body: bytes = b"<html>", headers: bytes = b"retry-after: 0\r\n") -> bytes:
    return b"HTTP/1.1 %d Words\r\ncontent-length: %d\r\nconnection: close\r\n%s\r\n%s" % (
        status,
        len(body),
        headers,
        body,
    )


NOW_MS = 1_800_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


def make_server(clock: Clock) -> Server:
    store = MemoryStore(Rules())
    ledger = Ledger(store, clock)
    services = Services(ledger, store, b"pepper", lambda: uuid4().hex, ProviderKeys(store, Sealer(bytes(32))))
    log = RequestLog(least_status=0, log=Lines())
    return Server(App(services, TableAuthenticator(), Health(ledger), log=log))


class Lossy(ThreadingHTTPServer):
    """Hands requests on to a server, and drops as many of its replies as `losses` says.

    `instead`: by verb, what is sent in place of the server's replies, one after the other; HANGS: nothing, and the
    connection stays.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server_behind = server
        self.losses = 0
        self.instead: dict[str, list[bytes]] = {}
        self.is_over = threading.Event()
        self.is_asked = threading.Event()
        """Set once a request has been handed on and answered."""
        self.may_answer = threading.Event()
        """Until it is set no reply goes back."""
        self.may_answer.set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Lossy

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        behind = self.server.server_behind
        connection = http.client.HTTPConnection(behind.host, behind.port, timeout=10)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        self.server.is_asked.set()
        self.server.may_answer.wait()
        if instead := self.server.instead.get(self.command):
            return self._reply(instead.pop(0))
        if self.server.losses:
            self.server.losses -= 1
            return
        with suppress(ConnectionError):  # whoever asked may be gone
            self.send_response(reply.status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def _reply(self, raw: bytes) -> None:
        self.close_connection = True
        if raw is HANGS:
            self.server.is_over.wait()
        with suppress(ConnectionError):
            self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _hand_on

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""
