"""Starting, stopping and what the exit code says of it."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import KvotError
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
