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
    server.remove()


@pytest.fixture(scope="session")
def fleet(server: PrivateServer) -> Iterator[Fleet]:
    fleet = Fleet.begin(server.url("postgres", options="&connections=4"))
    yield fleet
    assert "Traceback" not in fleet.end()
