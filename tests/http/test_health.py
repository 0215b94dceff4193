"""The two paths that load balancers ask."""

import json

import pytest

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.http.health import Health, in_words
from tests.http.conftest import NOW_MS, FailingStore


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


async def test_why_a_jwks_could_not_be_fetched_is_told_and_takes_no_readiness_away(store):
    reply = await Health(Ledger(store, lambda: NOW_MS), lambda: 0, lambda: "the reply has status 500").ready()
    assert (reply.status, json.loads(reply.body)["ready"]) == (200, True)
    assert "could not be fetched (the reply has status 500)" in json.loads(reply.body)["problem"]
