"""The server as people start it, over real sockets, and commands put to it."""

import http.client
import json
import os
import signal
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from kvot.cli import demo
from tests.cli.support import ACME, NOW_MS, OTHER, start

STARTED_WITHIN_S = 60


class Server:
    """A running server and the first lines that it printed."""

    def __init__(self, process):
        self.process = process
        self.url = process.stdout.readline().split()[-1]
        self.address = urlsplit(self.url).netloc

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@contextmanager
def serving(kvot, *arguments):
    process = start("serve", "--port", 0, "--database", kvot.database, *arguments)
    try:
        yield Server(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def make_key(kvot, *arguments):
    return kvot("keys", "create", *arguments, "--json").document["key"]


@pytest.fixture
def operator(kvot):
    return make_key(kvot, "--role", "superadmin")


def test_every_command_works_on_a_server_as_on_a_database(kvot, operator):
    with serving(kvot) as server:
        where = ("--url", server.url, "--api-key", operator, "--json")
        key = kvot.bare("keys", "create", "--company", ACME, "--role", "usage-writer", *where).document["key"]
        own = ("--url", server.url, "--api-key", key, "--json")
        assert kvot.bare("record", "--tokens", 5, "--id", "a", *own).document["tokensUsed"] == 5
        assert kvot.bare("record", "--tokens", 6, "--at", NOW_MS - 5, "--id", "b", *own).document["tokensUsed"] == 11
        assert kvot.bare("usage", *own).document["tokensUsed"] == 11
        assert kvot.bare("usage", "--at", NOW_MS - 5, *own).document["tokensUsed"] == 6
        budget = kvot.bare("budget", "set", "--company", ACME, "--token-limit", 9, "--reason", "x", *where).document
        assert (budget["tokenLimit"], budget["history"][0]["reason"]) == (9, "x")
        assert kvot.bare("budget", "show", *own).document["tokenLimit"] == 9
        assert len(kvot.bare("keys", "list", *where).document["results"]) == 2
        assert kvot.bare("verify", *where).document["differences"] == []
        assert kvot.bare("prune", "--yes", *where).document["events"] == 0
        assert kvot.bare("doctor", *where).code == 0
        key_id = kvot.bare("keys", "list", "--company", ACME, *where).document["results"][0]["id"]
        assert kvot.bare("keys", "revoke", key_id, *where).code == 0
        assert kvot.bare("usage", *own).code == 1


def test_a_file_is_imported_over_http_with_its_bad_lines_told_by_number(kvot):
    key = make_key(kvot, "--company", ACME, "--role", "usage-writer")
    rows = 20_000
    lines = [f"{NOW_MS - rows + n},3," for n in range(rows)]
    lines[7], lines[19_990], lines[19_991] = "nonsense,3,", f"{NOW_MS},0,", f"{NOW_MS},3,{OTHER}"
    file = kvot.file("great.csv", "at,tokens,company\n" + "\n".join(lines) + "\n")
    with serving(kvot) as server:
        where = ("--url", server.url, "--api-key", key, "--json")
        first = kvot.bare("import", file, *where)
        told = [json.loads(line) for line in first.out.splitlines()[:-1]]
        assert [(each["line"], each["errorCode"]) for each in told] == [
            (9, "InvalidDate"),
            (19_992, "InclusiveBetween"),
            (19_993, "Forbidden"),
        ]
        assert (first.code, first.last_line["accepted"]) == (1, rows - 3)
        assert kvot.bare("import", file, *where).last_line["duplicate"] == rows - 3
        assert kvot.bare("usage", *where).document["tokensUsed"] == 3 * (rows - 3)


def test_what_the_server_refuses_is_told_cleanly(kvot, operator):
    key = make_key(kvot, "--company", ACME)
    with serving(kvot) as server:
        for arguments, word in [
            (("usage", "--company", OTHER, "--api-key", key), "another company"),
            (("usage",), "Not Authenticated"),
            (("usage", "--api-key", operator), "names no company"),
            (("budget", "set", "--token-limit", 5, "--api-key", key), "superadmin"),
            (("record", "--tokens", 0, "--api-key", key), "greater than"),
        ]:
            ran = kvot.bare(*arguments, "--url", server.url)
            assert (ran.code, ran.out) == (1, ""), arguments
            assert "kvot: " in ran.err


def test_while_a_server_holds_the_database_commands_say_so_and_point_to_it(kvot, operator):
    with serving(kvot) as server:
        ran = kvot("usage", "--company", ACME)
        assert (ran.code, ran.out) == (1, "")
        assert f"--url {server.url}" in ran.err


def test_a_server_that_is_told_to_stop_ends_with_0(kvot):
    with serving(kvot) as server:
        code, _, err = server.stop()
    assert (code, err) == (0, "")


def test_the_demo_says_that_it_is_generated_and_its_key_and_curl_line_work(kvot):
    with serving(kvot, "--demo") as server:
        code, out, _ = server.stop()
    assert code == 0
    assert "generated" in out
    assert demo.COMPANY_ID in out
    usage = kvot("usage", "--company", demo.COMPANY_ID, "--json").document
    assert 0.6 < usage["tokensUsed"] / usage["tokenLimit"] < 0.8
    assert kvot("verify").code == 0


def test_each_start_of_the_demo_makes_a_new_key_and_revokes_the_old_one(kvot):
    used = set()
    for _ in range(2):
        with serving(kvot, "--demo") as server:
            lines = [server.process.stdout.readline() for _ in range(3)]
            key = lines[2].split()[2]
            where = ("--url", server.url, "--api-key", key, "--json")
            used.add(kvot.bare("usage", *where).document["tokensUsed"])
            server.stop()
    assert len(used) == 1, "filled once"
    keys = kvot("keys", "list", "--json").document["results"]
    assert ["revokedAt" in each for each in keys] == [True, False]


def test_the_demo_is_the_same_whenever_it_is_made_at_the_same_hour_of_the_week():
    week_ms = 7 * 86_400_000
    one, other = list(demo.history(NOW_MS)), list(demo.history(NOW_MS + week_ms))
    assert [each.input_tokens for each in one] == [each.input_tokens for each in other]
    assert {each.at.ms - before.at.ms for each, before in zip(other, one, strict=True)} == {week_ms}
    assert all(NOW_MS - 30 * 86_400_000 < each.at.ms <= NOW_MS for each in one)


def post(connection, key, event_id, tokens):
    """Record over one kept connection; the status, or None when the server is gone."""
    headers = {"x-api-key": key, "idempotency-key": event_id, "content-type": "application/json"}
    try:
        connection.request("POST", "/assistant/ai-chat/usage", json.dumps({"tokensUsed": tokens}), headers)
        reply = connection.getresponse()
        reply.read()
    except (OSError, http.client.HTTPException):
        return None
    return reply.status


def test_what_was_acknowledged_survives_kill_9_and_counts_once_when_it_is_sent_again(kvot):
    """The server dies between two calls of one client and in the middle of those of another."""
    key = make_key(kvot, "--company", ACME)
    acknowledged = []
    with serving(kvot) as server:
        connection = http.client.HTTPConnection(server.address, timeout=30)
        for number in range(300):
            assert post(connection, key, f"call-{number}", number + 1) == 200
            acknowledged.append(number)
        pid = os.fork()
        if pid == 0:  # somebody else records on, while the server is killed
            other = http.client.HTTPConnection(server.address, timeout=30)
            while post(other, key, f"other-{time.monotonic_ns()}", 1_000_000) is not None:
                pass
            os._exit(0)
        while post(connection, key, f"call-{len(acknowledged)}", len(acknowledged) + 1) == 200:
            acknowledged.append(len(acknowledged))
            if len(acknowledged) == 600:
                server.kill()
        os.waitpid(pid, 0)
    assert len(acknowledged) == 600
    calls = sum(number + 1 for number in acknowledged)
    with serving(kvot) as server:
        connection = http.client.HTTPConnection(server.address, timeout=30)
        where = ("--url", server.url, "--api-key", key, "--json")
        before = kvot.bare("usage", *where).document["tokensUsed"]
        assert before % 1_000_000 in (calls, calls + 601), "acknowledged, all of it; the one in flight, or not"
        for number in (*acknowledged, 600):
            assert post(connection, key, f"call-{number}", number + 1) == 200
        assert kvot.bare("usage", *where).document["tokensUsed"] % 1_000_000 == calls + 601
        server.stop()
    assert kvot("verify").code == 0
