"""One private server for all trials, and two fleets. No trial cuts the power, so the server need not flush its disk."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.postgres.needed import needed
from tests.postgres.pooler import Pooler
from tests.postgres.server import PrivateServer
from tests.reliability.fleet import Fleet
from tests.reliability.troubles import plant_database_clock


@pytest.fixture(scope="session")
def server() -> Iterator[PrivateServer]:
    server = needed(lambda: PrivateServer.make(durable=False))
    yield server
    log = (server.folder / "log").read_text(errors="replace")
    server.remove()
    assert "deadlock detected" not in log, "a crash forgets its statistics; the log does not"


@pytest.fixture(scope="session")
def fleet(server: PrivateServer) -> Iterator[Fleet]:
    fleet = Fleet.begin(server.url("postgres", options="&connections=4"))
    yield fleet
    assert "Traceback" not in fleet.end()


@pytest.fixture(scope="session")
def pooled_fleet(server: PrivateServer) -> Iterator[Fleet]:
    """Two workers by way of PgBouncer; their clock and the database's can be set."""
    pooler = needed(lambda: Pooler.make(server))
    server.run("CREATE DATABASE pooled")
    url = server.url("pooled")
    fleet = Fleet.begin(url, way=pooler.before(url), workers=2, plants_clock=True)
    asyncio.run(plant_database_clock(fleet))
    yield fleet
    assert "Traceback" not in fleet.end()
    pooler.remove()
