"""Several processes behind one port, over real sockets: a parent in a process of its own, its workers below it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException

import pytest

from kvot.http.workers import FAILURES_MAX, PAUSE_MAX_S, PAUSE_S, STEADY_S, Restarts, reserve

USAGE = "/assistant/ai-chat/usage"
COMPANY = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
SLOW = "00000000-0000-0000-0000-00000000510e"

PARENT = """
import asyncio, json, os, sys
from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.http import workers
from kvot.http.server import Stopper, serve
from kvot.telemetry.logs import configure
from tests.http.conftest import FailingStore, make_app

class Store(FailingStore):
    async def usage(self, company_id, **when):
        os.write(2, json.dumps({"answers": os.getpid()}).encode() + b"\\n")  # one write a line: several processes speak
        return await super().usage(company_id, **when)

async def work(place):
    loop, stopper, store = asyncio.get_running_loop(), Stopper(), Store(Rules())
    loop.add_reader(place.lifeline, lambda: (loop.remove_reader(place.lifeline), stopper.stop()))
    if "ENDLESS" not in os.environ:
        loop.call_later(0.3, store.let_go.set)
    async def close(within_s): pass
    return await serve(make_app(store=store), "127.0.0.1", place.port, on_started=lambda url: place.say_ready(),
                       close=close, stopper=stopper, listen=workers.listen_shared)

def run(place):
    os.write(2, json.dumps({"is_first": place.is_first}).encode() + b"\\n")
    fault = os.environ.get("FAULT")
    if fault == "refused":
        raise StoreUnavailable("The database is not there.")
    if fault == "slow":
        os.write(1, b"starting\\n")
        os.read(place.lifeline, 1)  # until the parent is gone
    if fault:
        os._exit(int(fault))
    return asyncio.run(work(place))

configure()
workers.PAUSE_S = 0.05
try:
    parent = workers.Workers(int(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), run, lambda url: print(url, flush=True))
    sys.exit(parent.run())
except StoreUnavailable as error:
    print(error.message, flush=True)
    sys.exit(3)
"""


class Parent:
    """The parent, and what its workers and it say on standard error, line by line."""

    def __init__(self, count, port=0, **environment):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        command = [sys.executable, "-c", PARENT, str(count), str(port)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, text=True, stdout=pipe, stderr=pipe)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().strip()
        self.port = int(self.first_line.rpartition(":")[2]) if self.first_line.startswith("http") else None

    def ask(self, company=COMPANY):
        """The process that answered."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", USAGE, headers={"x-api-key": company})
            assert connection.getresponse().status == 200
        return self.said("answers")["answers"]

    def said(self, word):
        """The next line with such a word in it."""
        for line in self.process.stderr or ():
            document = json.loads(line)
            if word in document or word in document.get("event", ""):
                return document
        raise AssertionError(f"the parent ended and never said {word}")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(15)


@pytest.fixture
def start():
    parents = []

    def start(count, **environment):
        parents.append(Parent(count, **environment))
        return parents[-1]

    yield start
    for parent in parents:
        if parent.process.poll() is None:
            parent.process.kill()
        parent.process.communicate()


def test_it_says_where_it_listens_once_when_all_do_and_all_answer(start):
    parent = start(3)
    answered = Counter(parent.ask() for _ in range(90))
    assert len(answered) == 3
    assert min(answered.values()) >= 10, "the kernel spreads connections evenly enough"
    assert parent.stop() == 0
    assert parent.process.stdout.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_in_flight(start, number):
    parent = start(2)
    with contextlib.closing(HTTPConnection("127.0.0.1", parent.port, timeout=30)) as connection:
        connection.request("GET", USAGE, headers={"x-api-key": SLOW})
        parent.said("answers")
        parent.process.send_signal(number)
        assert connection.getresponse().status == 200
    assert parent.process.wait(30) == 0


def test_a_worker_that_was_killed_is_started_again_and_the_others_go_on(start):
    parent = start(2)
    killed = parent.ask()
    os.kill(killed, signal.SIGKILL)
    ended = parent.said("worker ended")
    assert (ended["exit_code"], ended["starts_in_s"]) == (-signal.SIGKILL, 0.05)
    seen = {parent.ask() for _ in range(40)}
    assert killed not in seen
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        seen.add(parent.ask())
    assert len(seen) == 2
    assert parent.stop() == 0


def test_only_those_who_start_before_the_server_answers_are_told_to_be_first(start):
    parent = start(1)
    assert parent.said("is_first")["is_first"]
    os.kill(parent.ask(), signal.SIGKILL)
    assert not parent.said("is_first")["is_first"]


def test_no_request_fails_while_a_worker_is_away_but_those_it_had(start):
    parent = start(2)
    failed, done = [], threading.Event()

    def ask_on():
        while not done.is_set():
            try:
                with contextlib.closing(HTTPConnection("127.0.0.1", parent.port, timeout=30)) as connection:
                    connection.request("GET", USAGE, headers={"x-api-key": COMPANY})
                    connection.getresponse().read()
            except (OSError, HTTPException) as error:
                failed.append(error)

    thread = threading.Thread(target=ask_on)
    thread.start()
    os.kill(parent.said("answers")["answers"], signal.SIGKILL)
    for _ in range(200):
        parent.said("answers")
    done.set()
    thread.join()
    assert len(failed) <= 2, "one that it had accepted, one that waited to be"


def test_workers_stop_when_their_parent_is_killed(start):
    parent = start(2)
    parent.process.kill()
    parent.process.communicate(timeout=30)  # its output ends when the last worker has ended
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", parent.port))


def test_a_second_stop_waits_for_nobody(start):
    parent = start(1, ENDLESS="1")
    with contextlib.closing(HTTPConnection("127.0.0.1", parent.port, timeout=30)) as connection:
        connection.request("GET", USAGE, headers={"x-api-key": SLOW})
        parent.said("answers")
        parent.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            parent.process.wait(1)
        assert parent.stop() == 0
        with pytest.raises((OSError, HTTPException)):
            connection.getresponse()


def test_what_keeps_the_first_workers_from_starting_is_told(start):
    parent = start(2, FAULT="refused")
    assert parent.first_line == "The database is not there."
    assert parent.process.wait(30) == 3


def test_workers_that_end_without_a_word_end_the_start(start):
    parent = start(2, FAULT="7")
    assert "exit code 7" in parent.first_line
    assert parent.process.wait(30) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_start_is_no_failure(start, number):
    parent = start(2, FAULT="slow")
    assert parent.first_line == "starting"
    assert parent.stop(number) == 0


def test_the_pause_before_a_restart_doubles_up_to_a_bound_and_ends():
    restarts = Restarts()
    pauses = [restarts.after(0.0) for _ in range(FAILURES_MAX + 1)]
    assert pauses[:3] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S]
    assert max(each for each in pauses if each is not None) == PAUSE_MAX_S
    assert pauses.index(None) == FAILURES_MAX


def test_a_worker_that_lived_long_begins_anew():
    restarts = Restarts()
    for _ in range(5):
        restarts.after(0.0)
    assert restarts.after(STEADY_S) == PAUSE_S


def test_a_port_that_another_server_has_is_not_shared():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            reserve("127.0.0.1", other.getsockname()[1])
