"""The two paths that load balancers ask."""

import json

import pytest

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.http.health import Health
from tests.http.conftest import NOW_MS, FailingStore


def test_they_are_answered_without_a_credential(server):
    live, ready = (server.send("GET", path) for path in ("/livez", "/readyz"))
    assert (live.status, live.body) == (200, b"ok")
    assert (ready.status, ready.json, ready.headers["cache-control"]) == (200, {"ready": True}, "no-store")
    assert server.send("HEAD", "/livez").body == b""


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
    assert (status, "600000 ms" in why) == (503, True)


async def test_a_closed_store_is_not_ready(store):
    assert await reason(store) == (200, "")
    await store.close()
    status, why = await reason(store)
    assert (status, why != "") == (503, True)


async def test_why_a_jwks_could_not_be_fetched_is_told_and_takes_no_readiness_away(store):
    reply = await Health(Ledger(store, lambda: NOW_MS), lambda: 0, lambda: "the reply has status 500").ready()
    assert (reply.status, json.loads(reply.body)["ready"]) == (200, True)
    assert "could not be fetched (the reply has status 500)" in json.loads(reply.body)["problem"]
