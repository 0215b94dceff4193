"""Calls of the Python client over real sockets: what gets lost, what counts once, and whose connection it is."""

import asyncio
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from uuid import uuid4

import pytest

from kvot.client import AsyncClient, Client, StoreUnavailable
from kvot.contract.usage import GetAiChatUsage, RecordAiChatUsage
from kvot.core.errors import InvalidRequest, KvotError

USAGE = b'{"companyId":"%s","tokensUsed":1,"tokenLimit":2,"tokensRemaining":1,"isWithinBudget":true,"windowDays":1}'
KINDS = pytest.mark.parametrize("kind", [Client, AsyncClient])


def call(client, request, **options):
    """One call of a client of either kind, which is closed then."""

    async def call_of_async():
        async with client:
            return await client.call(request, **options)

    if isinstance(client, AsyncClient):
        return asyncio.run(call_of_async())
    with client:
        return client.call(request, **options)


class Listener:
    """Takes connections; `replies` come one after the other on any of them, `served` says on the how-manieth."""

    def __init__(self, reply):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.reply, self.served = reply, []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        with suppress(OSError):
            for number in count():
                connection, _ = self.socket.accept()
                threading.Thread(target=self._serve, args=(number, connection), daemon=True).start()

    def _serve(self, number, connection):
        with connection, suppress(ConnectionError):
            while connection.recv(65_536):
                self.served.append(number)
                self.reply(connection)


def one_reply(connection):
    body = USAGE % str(uuid4()).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


@KINDS
def test_a_call_whose_reply_was_lost_is_made_again_under_one_key_and_counts_once(kind, lossy):
    company = str(uuid4())
    lossy.losses = 2
    assert call(kind(lossy.url, company), RecordAiChatUsage(tokens_used=5)).tokens_used == 5
    assert lossy.losses == 0


@KINDS
def test_the_error_of_one_that_may_have_counted_names_the_key_to_repeat_it_with(kind, lossy):
    company = str(uuid4())
    lossy.losses = 3
    with pytest.raises(StoreUnavailable, match="idempotency key") as caught:
        call(kind(lossy.url, company), RecordAiChatUsage(tokens_used=5))
    [key] = re.findall(r"'(\w+)'", str(caught.value))
    again = call(kind(lossy.url, company), RecordAiChatUsage(tokens_used=5), idempotency_key=key)
    assert again.tokens_used == 5


@KINDS
def test_one_that_never_reached_the_server_names_none(kind):
    with pytest.raises(StoreUnavailable) as caught:
        call(kind("http://127.0.0.1:1", "k"), RecordAiChatUsage(tokens_used=5))
    assert "key" not in str(caught.value)


@KINDS
@pytest.mark.parametrize("key", ["", "a b", "a\n", "é"])
def test_a_key_that_no_header_carries_is_refused(kind, key):
    with pytest.raises(InvalidRequest, match="idempotency key"):
        call(kind("http://127.0.0.1:1", "k"), RecordAiChatUsage(tokens_used=5), idempotency_key=key)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")  # says Python 3.12 of every fork beside threads
def test_a_child_asks_on_connections_of_its_own():
    with Listener(one_reply) as listener, Client(listener.url, "k") as client:
        client.call(GetAiChatUsage())
        child = os.fork()
        if child == 0:
            client.call(GetAiChatUsage())
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        client.call(GetAiChatUsage())
    assert listener.served == [0, 1, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_so_does_an_asynchronous_one():
    with Listener(one_reply) as listener, asyncio.Runner() as runner:
        client = AsyncClient(listener.url, "k")
        runner.run(client.call(GetAiChatUsage()))
        child = os.fork()
        if child == 0:
            asyncio.run(client.call(GetAiChatUsage()))
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        runner.run(client.call(GetAiChatUsage()))
        runner.run(client.close())
    assert listener.served == [0, 1, 0]


def without_end(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    while True:
        connection.sendall(b" " * 1_000)


@KINDS
def test_a_reply_that_never_ends_is_left_after_the_time_that_is_said(kind):
    with Listener(without_end) as listener, pytest.raises(StoreUnavailable, match="did not answer within"):
        call(kind(listener.url, "k", timeout_s=0.1), GetAiChatUsage())


@KINDS
def test_a_proxy_whose_name_nobody_can_look_up_is_told(kind, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://user:s3cret@a..b:3128")
    with pytest.raises(KvotError, match=r"^The server http://h \(by the proxy http://\*\*\*@a\.\.b:3128\) cannot be "):
        call(kind("http://h", "k", timeout_s=5), GetAiChatUsage())


def test_threads_share_a_client_and_each_gets_its_own_replies(server):
    company = str(uuid4())
    with Client(f"http://{server.host}:{server.port}", company) as client, ThreadPoolExecutor(8) as pool:

        def one(tokens):
            with client.hold(tokens) as hold:
                settled = hold.settle(tokens)
                return settled.hold_id == hold.id, settled.hold_tokens_used

        assert list(pool.map(one, range(1, 65))) == [(True, tokens) for tokens in range(1, 65)]
