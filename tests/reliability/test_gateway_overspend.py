"""R2 through the gateway as it is run: 64 assistants, a budget for a hundredth of their tries, proved from rows."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from kvot.stores.postgres.address import Address
from tests.cli.support import start
from tests.postgres.server import PrivateServer
from tests.reliability.assistants import ASSISTANTS, INPUT, OUTPUT, Assistants, MockProvider
from tests.reliability.fleet import Fleet
from tests.reliability.proof import most_over

_HELD = "amount, '', created_at, coalesce(closed_at, expires_at), 0"
_HOLDS = f"SELECT '', company_id::text, {_HELD} FROM kvot.hold WHERE company_id = $1"
_EVENTS = "SELECT '', company_id::text, at, tokens FROM kvot.event WHERE company_id = $1"
_HOLDS_OF_SQLITE = f"SELECT '', '', {_HELD} FROM hold"  # there is no other company
_EVENTS_OF_SQLITE = "SELECT '', '', at, tokens FROM event"


@pytest.fixture(scope="module")
def provider() -> Iterator[MockProvider]:
    provider = MockProvider()
    yield provider
    provider.end()


@pytest.fixture
def gateway(request: pytest.FixtureRequest, provider: MockProvider, tmp_path: Path) -> Iterator[Fleet]:
    """`param`: how many workers; one of them is on the embedded engine."""
    workers: int = request.param
    if workers == 1:
        url = f"sqlite:///{tmp_path}/kvot.db"
    else:
        server: PrivateServer = request.getfixturevalue("server")
        name = f"gateway_{uuid4().hex}"
        server.run(f"CREATE DATABASE {name}")
        url = server.url(name)
    environment = {"KVOT_OPENAI_BASE_URL": f"{provider.url}/v1", "KVOT_OPENAI_API_KEY": "sk"}
    fleet = Fleet.begin(url, workers=workers, environment=environment)
    yield fleet
    assert "Traceback" not in fleet.end()


def budgeted(fleet: Fleet, limit: int) -> tuple[str, str]:
    """A company with a budget, and its key."""
    company = str(uuid4())
    of = ("--company", company, "--url", fleet.address)
    setting = start("budget", "set", *of, "--token-limit", limit, environment={"KVOT_API_KEY": fleet.key})
    _, err = setting.communicate()
    assert setting.returncode == 0, err
    making = start("keys", "create", *of, "--json", environment={"KVOT_API_KEY": fleet.key})
    out, err = making.communicate()
    assert making.returncode == 0, err
    return company, json.loads(out)["key"]


Rows = list[tuple[Any, ...]]


async def rows_of(url: str, company: str) -> tuple[Rows, Rows]:
    """The holds and the events, as `most_over` takes them."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            return database.execute(_HOLDS_OF_SQLITE).fetchall(), database.execute(_EVENTS_OF_SQLITE).fetchall()
    connection = await asyncpg.connect(Address.parse(url).dsn)
    try:
        holds, events = [await connection.fetch(query, company) for query in (_HOLDS, _EVENTS)]
    finally:
        await connection.close()
    return [tuple(row) for row in holds], [tuple(row) for row in events]


@pytest.mark.parametrize("gateway", [1, 2], indirect=True, ids=["embedded", "PostgreSQL, two workers"])
@pytest.mark.parametrize("tries", [1_280, pytest.param(200_000, marks=pytest.mark.deep)])
async def test_not_a_token_over_and_nine_tenths_of_the_budget_used(gateway: Fleet, tries: int):
    limit = tries // 100 * (INPUT + OUTPUT)
    company, key = budgeted(gateway, limit)
    assistants = Assistants(gateway.address, key)
    began_s = time.monotonic()
    await assistants.run(tries)
    took_s = time.monotonic() - began_s
    holds, events = await rows_of(gateway.url, company)
    instants, over = most_over(holds, events, limit)
    used = sum(tokens for *_, tokens in events)
    print(
        f"{tries} tries in {took_s:.0f} s: {dict(assistants.statuses)}; {instants} instants, {over} tokens over of "
        f"{limit}; utilisation {used / limit:.2%}"
    )
    assert set(assistants.statuses) == {200, 429}
    assert assistants.statuses.total() == tries // ASSISTANTS * ASSISTANTS
    assert assistants.whole == assistants.statuses[200] == len(events)
    assert (over, used >= 0.9 * limit) == (0, True)
