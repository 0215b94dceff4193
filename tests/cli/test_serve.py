"""The server as people start it, over real sockets, and commands put to it."""

import http.client
import json
import shlex
import signal
import socket
import threading
import urllib.request
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from kvot.cli import demo
from tests.cli.support import ACME, NOW_MS, OTHER, start
from tests.metadata.published import lines_of, published_lines


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
def serving(kvot, *arguments, **options):
    process = start("serve", "--port", 0, "--database", kvot.database, *arguments, **options)
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
        assert kvot.bare("keys", "revoke", key_id, "--yes", *where).code == 0
        assert kvot.bare("usage", *own).code == 1


@pytest.mark.parametrize(
    ("made_for", "grade", "detail", "advice"),
    [
        (("--company", ACME), "ok", "accepted", None),
        (("--role", "superadmin"), "ok", "accepted, and of no company", None),
        ("kvot_wrong", "fail", "not accepted", "is not one of this server"),
        (None, "fail", "none was given", "Give an API key"),
    ],
)
def test_doctor_says_what_a_server_makes_of_the_key_and_nothing_of_its_own_settings(
    kvot, made_for, grade, detail, advice
):
    key = make_key(kvot, *made_for) if isinstance(made_for, tuple) else made_for
    with serving(kvot) as server:
        given = ("--url", server.url, *(("--api-key", key) if key else ()))
        ran, text = kvot.bare("doctor", *given, "--json"), kvot.bare("doctor", *given).out
    found = {each["name"]: each for each in ran.document["findings"]}
    assert (found["key"]["grade"], ran.code) == (grade, grade == "fail")
    assert found["key"]["detail"].startswith(detail)
    assert advice is None if found["key"]["advice"] is None else advice in found["key"]["advice"]
    assert (ran.document["settings"], "retention_days" in text) == (None, False)


def test_behind_a_trusted_proxy_a_key_is_bound_to_the_network_of_its_client(kvot):
    key = make_key(kvot, "--company", ACME, "--network", "192.0.2.0/24")
    environment = {"FORWARDED_ALLOW_IPS": "127.0.0.1", "LOG_LEVEL": "debug"}
    with serving(kvot, environment=environment) as server:
        statuses = [status_of(server, key, client) for client in ("192.0.2.1", "6.6.6.6, 192.0.2.1", "6.6.6.6", None)]
        code, _, err = server.stop()
    assert (code, statuses) == (0, [200, 200, 401, 401])
    assert [json.loads(line)["status"] for line in err.splitlines()] == statuses, "each request is logged at debug"


def test_where_no_proxy_is_trusted_nobody_s_word_counts_and_less_is_logged(kvot):
    key = make_key(kvot, "--company", ACME, "--network", "127.0.0.1/32")
    with serving(kvot, environment={"LOG_LEVEL": "ERROR"}) as server:
        statuses = [status_of(server, each, "192.0.2.1") for each in (key, "wrong")]
        assert server.stop()[2] == ""
    assert statuses == [200, 401]


def status_of(server, key, client):
    headers = {"x-api-key": key} | ({"x-forwarded-for": client} if client else {})
    connection = http.client.HTTPConnection(server.address, timeout=10)
    connection.request("GET", "/assistant/ai-chat/usage", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


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


@pytest.mark.parametrize("how", [("--workers", 2), {"KVOT_WORKERS": "2"}, {"WEB_CONCURRENCY": "2"}])
def test_an_embedded_database_is_served_by_one_process_alone_and_the_reason_is_told(kvot, monkeypatch, how):
    for name, value in how.items() if isinstance(how, dict) else ():
        monkeypatch.setenv(name, value)
    ran = kvot("serve", "--port", 0, *(how if isinstance(how, tuple) else ()))
    assert (ran.code, ran.out) == (2, "")
    assert "--workers (KVOT_WORKERS, WEB_CONCURRENCY) is 2: an embedded database is written by one process" in ran.err
    assert not kvot.database.exists(), "refused before anything is opened"


def test_what_the_server_refuses_is_told_cleanly(kvot, operator):
    key = make_key(kvot, "--company", ACME)
    with serving(kvot) as server:
        for arguments, word in [
            (("usage", "--company", OTHER, "--api-key", key), "another company"),
            (("usage",), "Give an API key: --api-key or KVOT_API_KEY"),
            (("usage", "--api-key", "wrong"), "is not one of this server, or was revoked"),
            (("usage", "--api-key", operator), "speaks for no company: name one with --company"),
            (("budget", "set", "--token-limit", 5, "--api-key", key), "superadmin"),
            (("record", "--tokens", 0, "--api-key", key), "greater than"),
        ]:
            ran = kvot.bare(*arguments, "--url", server.url)
            assert (ran.code, ran.out) == (1, ""), arguments
            assert word in ran.err


def test_while_a_server_holds_the_database_commands_say_so_and_point_to_it(kvot, operator):
    with serving(kvot) as server:
        ran = kvot("usage", "--company", ACME)
        assert (ran.code, ran.out) == (1, "")
        assert f"--url {server.url}" in ran.err


def test_with_json_the_start_is_one_document(kvot):
    process = start("serve", "--port", 0, "--database", kvot.database, "--demo", "--json")
    assert process.stdout is not None
    started = json.loads(process.stdout.readline())
    where = ("--url", started["url"], "--api-key", started["apiKey"], "--json")
    assert kvot.bare("usage", *where).document["companyId"] == started["companyId"] == demo.COMPANY_ID
    process.terminate()
    assert process.communicate(timeout=30) == ("", "")


def test_with_default_settings_the_published_page_comes_line_by_line(kvot):
    with serving(kvot) as server:
        address = f"{server.url}/jsv/metadata?op=GetAiChatUsage&lang=python"
        request = urllib.request.Request(address, headers={"Host": "api.bookmore.com"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert lines_of(reply.read().decode()) == published_lines()


def test_a_start_where_something_listens_already_is_one_line_that_says_what_to_do(kvot):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("serve", "--port", port, "--database", kvot.database)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"kvot: Cannot listen at 127.0.0.1 port {port}: Address already in use. Choose another port")


def test_a_server_that_is_told_to_stop_ends_with_0(kvot):
    with serving(kvot) as server:
        code, _, err = server.stop()
    assert (code, err) == (0, "")


def test_the_demo_says_that_it_is_generated_and_its_curl_line_works(kvot):
    with serving(kvot, "--demo") as server:
        lines = [server.process.stdout.readline() for _ in range(6)]
        _, _, header, url = shlex.split(lines[5].removeprefix("Try it"))
        request = urllib.request.Request(url, headers=dict([header.split(": ")]))
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)["companyId"] == demo.COMPANY_ID
    assert "generated" in lines[2]
    usage = kvot("usage", "--company", demo.COMPANY_ID, "--json").document
    assert 0.6 < usage["tokensUsed"] / usage["tokenLimit"] < 0.8
    for days in (1, 10, 20, 29):
        then = kvot("usage", "--company", demo.COMPANY_ID, "--at", NOW_MS - days * 86_400_000, "--json").document
        assert (then["tokenLimit"], then["isWithinBudget"]) == (demo.TOKEN_LIMIT, True), days
    assert kvot("verify").code == 0


def test_a_start_says_how_its_first_key_is_made_and_where_to_look(kvot):
    with serving(kvot) as server:
        lines = [server.process.stdout.readline().strip() for _ in range(6)]
        server.stop()
    assert lines[-1] == f"Look around:  {server.url}/metadata"
    (words,) = (shlex.split(line)[1:] for line in lines if line.startswith("kvot keys create"))
    assert kvot.bare(*words).code == 0
    with serving(kvot) as server:
        lines = [server.process.stdout.readline().strip() for _ in range(5)]
        server.stop()
    assert lines[-1] == f"Look around:  {server.url}/metadata", "no first key is to be made once there is one"
    assert not any("The first" in line for line in lines)


def test_each_start_of_the_demo_makes_a_new_key_and_revokes_the_old_one(kvot):
    used = set()
    for _ in range(2):
        with serving(kvot, "--demo") as server:
            lines = [server.process.stdout.readline() for _ in range(4)]
            key = lines[3].split()[2]
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
    times = [[each.at.ms for each in made if each.at] for made in (one, other)]
    assert [at_ms + week_ms for at_ms in times[0]] == times[1]
    assert all(NOW_MS - 30 * 86_400_000 < at_ms <= NOW_MS for at_ms in times[0])


class Client:
    """Records over one kept connection, one call after the other, and remembers what was acknowledged."""

    def __init__(self, address, key, name, tokens):
        self.connection = http.client.HTTPConnection(address, timeout=30)
        self.key, self.name, self.tokens = key, name, tokens
        self.acknowledged = 0

    def record(self, number):
        """True when it was acknowledged, False when the server is gone."""
        headers = {"x-api-key": self.key, "idempotency-key": f"{self.name}-{number}"}
        body = json.dumps({"tokensUsed": self.tokens})
        try:
            self.connection.request("POST", "/assistant/ai-chat/usage", body, headers)
            reply = self.connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            return False
        assert reply.status == 200
        return True

    def record_until_gone(self):
        while self.record(self.acknowledged):
            self.acknowledged += 1
        self.connection.close()


def test_what_was_acknowledged_survives_kill_9_and_counts_once_when_it_is_sent_again(kvot):
    """Three clients record as fast as they can; each has at most one call in flight when the server dies."""
    key, digits = make_key(kvot, "--company", ACME), 100_000
    with serving(kvot) as server:
        clients = [Client(server.address, key, f"client{n}", digits**n) for n in range(3)]
        threads = [threading.Thread(target=client.record_until_gone) for client in clients]
        for thread in threads:
            thread.start()
        while min(client.acknowledged for client in clients) < 100:
            assert server.process.poll() is None
        server.kill()
        for thread in threads:
            thread.join()
    used = kvot("usage", "--company", ACME, "--json").document["tokensUsed"]
    for n, client in enumerate(clients):
        counted = used // digits**n % digits
        assert counted in (client.acknowledged, client.acknowledged + 1), "acknowledged, or in flight"
    with serving(kvot) as server:
        for client in clients:
            again = Client(server.address, key, client.name, client.tokens)
            assert all(again.record(number) for number in range(client.acknowledged + 1))
            again.connection.close()
        server.stop()
    used = kvot("usage", "--company", ACME, "--json").document["tokensUsed"]
    assert used == sum((client.acknowledged + 1) * client.tokens for client in clients)
    assert kvot("verify").code == 0
