"""The engines under test. To add an engine is to add a line to ENGINES; every check then runs on it too."""

import os
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.stores.memory import MemoryStore
from kvot.stores.postgres import PostgresStore, Time
from kvot.stores.sqlite import SqliteStore
from tests.conformance.scene import Engine, FullStore, Scene
from tests.postgres.databases import DATABASES, run, shared_server


async def open_memory(_folder: Path, rules: Rules) -> FullStore:
    return MemoryStore(rules)


async def open_sqlite(folder: Path, rules: Rules) -> FullStore:
    return SqliteStore.open(folder / "kvot.db", rules)


async def damage_sqlite(_store: FullStore, folder: Path, _company_id: str) -> None:
    """Another program writes to the file, which the lock of ours cannot forbid."""
    with closing(apsw.Connection(str(folder / "kvot.db"))) as connection:
        connection.execute("UPDATE point SET cum = cum + 1")


async def open_postgres(folder: Path, rules: Rules) -> FullStore:
    return PostgresStore.open(await DATABASES.url(folder), rules, time=Time.GIVEN)


async def damage_postgres(_store: FullStore, folder: Path, _company_id: str) -> None:
    await run(DATABASES.name(folder), "UPDATE kvot.point SET cum = cum + 1")


ENGINES = {
    "memory": Engine(open_memory, is_durable=False),
    "sqlite": Engine(open_sqlite, is_durable=True, damage=damage_sqlite),
    "postgres": Engine(
        open_postgres, is_durable=True, damage=damage_postgres, discard=DATABASES.discard, need=shared_server
    ),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param]
    if engine.need is not None:
        try:
            engine.need()
        except ConnectionError as error:
            if os.environ.get("CI"):
                raise  # a missing server never shrinks CI
            pytest.skip(str(error))
    return engine


@pytest.fixture
async def scene(engine: Engine, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = await Scene.open(engine, tmp_path)
    yield scene
    await scene.close()
