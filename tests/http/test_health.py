"""The two paths that load balancers ask."""

import json
from pathlib import Path

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.http.health import Health, in_words
from kvot.stores.postgres import PostgresStore
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.connection import unavailable
from kvot.stores.unfinished import unfinished_copy
from tests.http.conftest import NOW_MS, FailingStore, Lines


def test_they_are_answered_without_a_credential(server):
    live, ready = (server.send("GET", path) for path in ("/livez", "/readyz"))
    assert (live.status, live.body) == (200, b"ok")
    assert (ready.status, ready.json, ready.headers["cache-control"]) == (200, {"ready": True}, "no-store")
    assert server.send("HEAD", "/livez").body == b""


@pytest.mark.parametrize("path", ["/healthz", "/ping"])
def test_what_charts_and_clients_probe_by_other_names_is_answered_as_livez(server, path):
    found = server.send("GET", path)
    assert (found.status, found.body) == (200, b"ok")
    assert server.send("HEAD", path).status == 200


def test_verbose_lists_every_check(server):
    ready = server.send("GET", "/readyz?verbose")
    assert (ready.status, ready.json["ready"]) == (200, True)
    assert ready.json["checks"] == {"draining": "ok", "clock": "ok", "store": "ok", "token keys": "ok"}


@pytest.fixture
def store():
    return FailingStore(Rules())


class Troubled(FailingStore):
    """`fault`: what it says when it is asked whether it can be written; None: it can."""

    fault: StoreUnavailable | None = None

    async def ready(self) -> None:
        if self.fault:
            raise self.fault


async def reason(store, leap_ms=0, is_draining=False):
    health = Health(Ledger(store, lambda: NOW_MS), lambda: leap_ms)
    health.is_draining = is_draining
    reply = await health.ready()
    return reply.status, json.loads(reply.body).get("reason", "")


async def test_a_server_that_drains_is_not_ready(store):
    status, why = await reason(store, is_draining=True)
    assert (status, "draining" in why) == (503, True)


async def test_a_clock_that_leapt_is_an_alarm(store):
    status, why = await reason(store, leap_ms=600_000)
    assert (status, "by 10 minutes." in why) == (503, True)


@pytest.mark.parametrize(
    ("span_ms", "words"),
    [
        (3_456_003_078, "40 days"),
        (93_600_000, "1 day and 2 hours"),
        (3_661_000, "1 hour and 1 minute"),
        (61_999, "1 minute and 1 second"),
        (999, "999 ms"),
    ],
)
def test_a_span_is_told_in_words(span_ms, words):
    assert in_words(span_ms) == words


async def test_verbose_says_of_each_check_what_it_found_also_of_those_behind_the_first_that_failed(store):
    await store.close()
    health = Health(Ledger(store, lambda: NOW_MS), lambda: 600_000, lambda: "status 500")
    said = json.loads((await health.ready(b"x=1&verbose=1")).body)
    assert said["reason"] == said["checks"]["clock"]
    assert (said["checks"]["draining"], "status 500" in said["checks"]["token keys"]) == ("ok", True)
    assert said["checks"]["store"] not in ("ok", "")
    assert "checks" not in json.loads((await health.ready(b"x=verbose")).body)


async def test_a_closed_store_is_not_ready(store):
    assert await reason(store) == (200, "")
    await store.close()
    status, why = await reason(store)
    assert (status, why != "") == (503, True)


def of_postgres(_folder):
    return PostgresStore.open("postgresql://kvot:hunter2@127.0.0.1:1/ledger", Rules())


def of_sqlite(folder):
    return SqliteStore.open(folder / "kvot.db", Rules())


@pytest.mark.parametrize(
    ("open_store", "does_close", "told", "logged"),
    [
        (of_postgres, False, "cannot be reached: the connection was refused.", "postgresql://kvot@127.0.0.1:1/ledger "),
        (of_postgres, True, "is closed.", "postgresql://kvot@127.0.0.1:1/ledger "),
        (of_sqlite, True, "is closed.", "kvot.db "),
    ],
)
async def test_anybody_is_told_what_is_wrong_and_only_the_log_where(tmp_path, open_store, does_close, told, logged):
    store, lines = open_store(tmp_path), Lines()
    if does_close:
        await store.close()
    said = (await Health(Ledger(store, lambda: NOW_MS), log=lines).ready(b"verbose")).body.decode()
    await store.close()
    event, fields = lines.next()
    assert (event, f"{logged}{told}" in fields["reason"], "hunter2" in fields["reason"]) == ("not ready", True, False)
    assert json.loads(said)["reason"].startswith(f"The database {told}")
    assert not [word for word in ("127.0.0.1", "kvot", "ledger", "//", str(tmp_path), "hunter2") if word in said]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (StoreUnavailable.of("/srv/kvot.db", "cannot grow: the disk is full."), "The database cannot grow"),
        (unfinished_copy("/srv/kvot.db"), "The database holds a part of what was to be copied into it: kvot copy was"),
        (unavailable(Path("/srv/kvot.db"), apsw.IOError("x")), "The database could not be read or written: the disk"),
        (unavailable(Path("/srv/kvot.db"), apsw.SQLError("at /srv")), "The database cannot be used."),
        (StoreUnavailable("/srv/kvot.db is odd."), "The database cannot be used."),
    ],
)
async def test_what_helps_is_told_without_the_file(fault, told):
    store = Troubled(Rules())
    store.fault = fault
    status, why = await reason(store)
    assert (status, why.startswith(told), "/srv" in why) == (503, True, False)


async def test_another_secret_than_the_databases_is_no_readiness(store):
    checked = []

    async def check_secret():
        checked.append(True)
        if len(checked) > 1:
            raise StoreUnavailable("The secret (/srv/kvot.db.secret) is another one.", in_public="Another secret.")

    lines = Lines()
    health = Health(Ledger(store, lambda: NOW_MS), log=lines, check_secret=check_secret)
    replies = [await health.ready(b"verbose") for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 503]
    said = json.loads(replies[1].body)
    assert (said["reason"], said["checks"]["store"]) == ("Another secret.", "Another secret.")
    assert lines.next() == ("not ready", {"reason": "The secret (/srv/kvot.db.secret) is another one."})


async def test_what_is_wrong_is_logged_when_it_changes_and_not_with_every_probe():
    store, lines = Troubled(Rules()), Lines()
    health = Health(Ledger(store, lambda: NOW_MS), log=lines)
    for fault in (None, "a", "a", "b", "b", None, None, "b"):
        store.fault = StoreUnavailable(fault) if fault else None
        assert (await health.ready()).status == (503 if fault else 200)
    logged = [lines.next() for _ in range(4)]
    assert [event for event, _ in logged] == ["not ready", "not ready", "ready again", "not ready"]
    assert [fields.get("reason") for _, fields in logged] == ["a", "b", None, "b"]
    assert lines.is_empty()


async def test_why_a_jwks_could_not_be_fetched_is_told_and_takes_no_readiness_away(store):
    reply = await Health(Ledger(store, lambda: NOW_MS), lambda: 0, lambda: "the reply has status 500").ready()
    assert (reply.status, json.loads(reply.body)["ready"]) == (200, True)
    assert "could not be fetched (the reply has status 500)" in json.loads(reply.body)["problem"]
