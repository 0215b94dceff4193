"""A client that closes its half of a connection has left: docs/internals/decisions/half-closed.md."""

import socket

import pytest

from kvot.core.budget import Rules
from tests.http.conftest import FailingStore, Server, make_app


@pytest.fixture
def store():
    return FailingStore(Rules())


@pytest.fixture
def connection(store):
    server = Server(make_app(store=store)).start()
    with server.connect() as connection:
        yield connection
    server.call(store.let_go.set)
    server.stop()


def ask(connection, company):
    connection.sendall(f"GET /assistant/ai-chat/usage HTTP/1.1\r\nhost: h\r\nx-api-key: {company}\r\n\r\n".encode())


def rest(connection):
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_what_is_answered_by_then_arrives(connection, company):
    ask(connection, company)
    begun = connection.recv(65_536)
    connection.shutdown(socket.SHUT_WR)
    assert (begun + rest(connection)).startswith(b"HTTP/1.1 200 OK")


def test_what_is_not_answered_by_then_is_not_answered(connection, store):
    ask(connection, FailingStore.slow_company)
    assert store.waiting.wait(10)
    connection.shutdown(socket.SHUT_WR)
    assert rest(connection) == b""
