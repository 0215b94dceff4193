"""One private server and one fleet for all trials. No trial cuts the power, so the server need not flush its disk."""

import os
from collections.abc import Iterator

import pytest

from tests.postgres.server import PrivateServer
from tests.reliability.fleet import Fleet


@pytest.fixture(scope="session")
def server() -> Iterator[PrivateServer]:
    try:
        server = PrivateServer.make(durable=False)
    except ConnectionError as error:
        if os.environ.get("CI"):
            raise  # a missing server never shrinks CI
        pytest.skip(str(error))
    yield server
    log = (server.folder / "log").read_text(errors="replace")
    server.remove()
    assert "deadlock detected" not in log, "a crash forgets its statistics; the log does not"


@pytest.fixture(scope="session")
def fleet(server: PrivateServer) -> Iterator[Fleet]:
    fleet = Fleet.begin(server.url("postgres", options="&connections=4"))
    yield fleet
    assert "Traceback" not in fleet.end()
