"""Starting, stopping and what the exit code says of it."""

import asyncio
import errno
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import KvotError
from kvot.http import server as server_module
from kvot.http.server import cannot_listen, serve
from tests.http.conftest import FailingStore, Server, make_app

SLOW = FailingStore.slow_company
USAGE = "/assistant/ai-chat/usage"


@pytest.fixture
def store():
    return FailingStore(Rules())


@pytest.fixture
def own_server(store):
    return Server(make_app(store=store)).start()


def all_of(connection):
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def statuses(replies):
    return re.findall(rb"HTTP/1\.1 (\d+) ", replies)


def ask(connection, company):
    connection.sendall(f"GET {USAGE} HTTP/1.1\r\nhost: h\r\nx-api-key: {company}\r\n\r\n".encode())


def test_it_says_where_it_listens_and_ends_with_0(own_server, company):
    assert own_server.port > 0
    assert own_server.send("GET", USAGE, x_api_key=company).status == 200
    assert own_server.stop() == 0
    assert own_server.closed == 1


def test_what_is_in_flight_is_finished(own_server, store):
    with own_server.connect() as connection:
        ask(connection, SLOW)
        assert store.waiting.wait(10)
        own_server.call(own_server.stopper.stop)
        own_server.call(store.let_go.set)
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.endswith(b"}")
    assert own_server.join() == 0
    assert own_server.closed == 1


def test_a_second_stop_waits_for_nobody(own_server, store, caplog):
    with own_server.connect() as connection:
        ask(connection, SLOW)
        assert store.waiting.wait(10)
        own_server.call(own_server.stopper.stop)
        own_server.call(own_server.stopper.stop)
        assert own_server.join() == 0
    assert own_server.closed == 1
    assert caplog.messages == []


def test_what_a_stop_waits_for_no_longer_is_told_so(own_server, store, caplog, monkeypatch):
    monkeypatch.setattr(server_module, "DRAIN_S", 0)
    with own_server.connect() as connection:
        ask(connection, SLOW)
        assert store.waiting.wait(10)
        own_server.call(own_server.stopper.stop)
        reply = all_of(connection)
    assert (statuses(reply), b"connection: close" in reply) == ([b"503"], True)
    assert b'"message":"The server is stopping."' in reply
    assert (own_server.join(), own_server.closed, caplog.messages) == (0, 1, [])


POST = b"POST %b HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 50\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"  # said once somebody waits for the body


@pytest.mark.parametrize("path", [b"/api/RecordAiChatUsage", b"/assistant/ai-chat/usage.xml"])
def test_who_sends_half_a_body_holds_no_stop(own_server, caplog, monkeypatch, path):
    monkeypatch.setattr(server_module, "ARRIVE_S", 0)
    with own_server.connect() as connection:
        connection.sendall(POST % path)
        assert connection.recv(65_536) == GO_ON
        connection.sendall(b"x")
        own_server.call(own_server.stopper.stop)
        reply = all_of(connection)
    assert (statuses(reply), b"connection: close" in reply) == ([b"503"], True)
    assert b"The server is stopping." in reply
    assert (own_server.join(), caplog.messages) == (0, [])
    assert own_server.lines.next()[1]["status"] == 503


def test_what_came_before_half_a_request_is_answered_first(own_server, store, monkeypatch):
    monkeypatch.setattr(server_module, "ARRIVE_S", 0)
    with own_server.connect() as connection:
        ask(connection, SLOW)
        assert store.waiting.wait(10)
        connection.sendall(POST % b"/api/RecordAiChatUsage" + b"x")
        own_server.call(own_server.stopper.stop)
        own_server.call(lambda: asyncio.get_running_loop().call_later(0.3, store.let_go.set))
        reply = all_of(connection)
    assert statuses(reply.replace(GO_ON, b"")) in ([b"200"], [b"200", b"503"])
    assert own_server.join() == 0


def test_who_reads_nothing_is_left_at_the_end_of_a_stop(own_server, caplog, monkeypatch):
    monkeypatch.setattr(server_module, "DRAIN_S", 0)
    with own_server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(b"GET /assistant/ai-chat/usage.html HTTP/1.1\r\nhost: h\r\n\r\n" * 3_000)
        connections = own_server.stopper._server.server_state.connections
        while not any(each.flow.write_paused for each in connections.copy()):
            pass
        own_server.call(own_server.stopper.stop)
        assert (own_server.join(), own_server.closed, caplog.messages) == (0, 1, [])


def test_a_draining_server_takes_no_new_request(own_server, company):
    own_server.app.health.is_draining = True
    reply = own_server.send("GET", USAGE, x_api_key=company)
    assert (reply.status, reply.headers["connection"], reply.headers["retry-after"]) == (503, "close", "1")
    assert own_server.send("GET", "/livez").status == 200
    assert own_server.send("GET", "/readyz").status == 503
    own_server.stop()


def test_a_store_that_gives_up_ends_the_server_with_1(own_server):
    own_server.call(own_server.stopper.fail)
    assert own_server.join() == 1
    assert own_server.closed == 1


def test_a_store_that_gave_up_before_the_start_ends_it_too():
    server = Server(make_app())
    server.stopper.fail()
    server.start()
    assert server.join() == 1


async def test_a_port_in_use_is_an_error_that_says_what_to_do_and_the_store_is_let_go(server):
    closed: list[str] = []

    async def close(_within_s: float):
        closed.append("closed")

    with pytest.raises(KvotError, match=f"port {server.port}: Address already in use.*--port") as caught:
        await serve(make_app(), "127.0.0.1", server.port, on_started=closed.append, close=close)
    assert (caught.value.code, closed) == ("CannotListen", ["closed"])


@pytest.mark.parametrize("host", ["my..host", "a" * 70])
async def test_so_is_a_host_that_nobody_can_look_up(host):
    async def close(_within_s: float):
        return None

    with pytest.raises(KvotError, match=rf"Cannot listen at {host} port 0: No host can have that name. Check --host"):
        await serve(make_app(), host, 0, on_started=print, close=close)


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EACCES, "1024"), (errno.EADDRNOTAVAIL, "--host"), (errno.EIO, "KVOT_PORT")]
)
def test_each_reason_not_to_listen_has_its_advice(number, advice):
    message = cannot_listen("192.0.2.1", 80, OSError(number, os.strerror(number))).message
    assert message.startswith(f"Cannot listen at 192.0.2.1 port 80: {os.strerror(number)}. ")
    assert advice in message


CHILD = """
import asyncio, sys
from kvot.http.server import serve
from tests.http.conftest import make_app

async def close(within_s):
    print("closed", flush=True)

async def main():
    return await serve(make_app(), "127.0.0.1", 0, on_started=lambda url: print(url, flush=True), close=close)

sys.exit(asyncio.run(main()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_with_0(number):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"http://127.0.0.1:")
        child.send_signal(number)
        assert child.wait(10) == 0
        assert child.stdout.read() == b"closed\n"
