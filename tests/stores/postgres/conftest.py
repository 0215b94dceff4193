"""A migrated database of its own for each test, on the run's private server, and stores on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kvot.core.budget import Rules
from kvot.stores.postgres import PostgresStore, Time
from tests.postgres.databases import DATABASES, shared_pooler, shared_server
from tests.postgres.needed import needed
from tests.postgres.pooler import Pooler
from tests.postgres.server import PrivateServer


@pytest.fixture(scope="session")
def server() -> PrivateServer:
    return needed(shared_server)


@pytest.fixture(scope="session")
def pooler(server: PrivateServer) -> Pooler:
    return needed(shared_pooler)


@pytest.fixture
async def url(server: PrivateServer, tmp_path: Path) -> AsyncIterator[str]:
    yield await DATABASES.url(tmp_path)
    DATABASES.discard(tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore.open(url, Rules(), time=Time.GIVEN)
    yield store
    await store.close()
