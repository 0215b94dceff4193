"""The engines under test. To add an engine is to add a line to ENGINES; every check then runs on it too."""

from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from kvot.core.archive import Sink
from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Rules
from kvot.stores.memory import MemoryStore
from kvot.stores.postgres import PostgresStore, Time
from kvot.stores.postgres.archive import PostgresSource
from kvot.stores.postgres.restore import PostgresSink
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.archive import SqliteSource
from kvot.stores.sqlite.restore import SqliteSink
from tests.conformance.faults.base import make_memory, read_memory
from tests.conformance.scene import Archive, Engine, FullStore, Opening, Scene
from tests.postgres.databases import DATABASES, run, shared_server
from tests.postgres.needed import needed


async def open_memory(_folder: Path, rules: Rules) -> FullStore:
    return MemoryStore(rules)


async def open_sqlite(folder: Path, rules: Rules) -> FullStore:
    return SqliteStore.open(folder / "kvot.db", rules)


async def read_sqlite(_store: FullStore, folder: Path, rules: Rules) -> ArchiveSource:
    return SqliteSource.open(folder / "kvot.db", rules)


async def make_sqlite(folder: Path, rules: Rules) -> tuple[Sink, Opening]:
    return SqliteSink.open(folder / "kvot.db", rules), partial(open_sqlite, folder, rules)


async def damage_sqlite(_store: FullStore, folder: Path, _company_id: str) -> None:
    """Another program writes to the file, which the lock of ours cannot forbid."""
    with closing(apsw.Connection(str(folder / "kvot.db"))) as connection:
        connection.execute("UPDATE point SET cum = cum + 1")


async def open_postgres(folder: Path, rules: Rules) -> FullStore:
    return PostgresStore.open(await DATABASES.url(folder), rules, time=Time.GIVEN)


async def read_postgres(_store: FullStore, folder: Path, rules: Rules) -> ArchiveSource:
    return await PostgresSource.open(await DATABASES.url(folder), rules, time=Time.GIVEN)


async def make_postgres(folder: Path, rules: Rules) -> tuple[Sink, Opening]:
    return await PostgresSink.open(await DATABASES.url(folder), rules), partial(open_postgres, folder, rules)


async def damage_postgres(_store: FullStore, folder: Path, _company_id: str) -> None:
    await run(DATABASES.name(folder), "UPDATE kvot.point SET cum = cum + 1")


ENGINES = {
    "memory": Engine(open_memory, is_durable=False, archive=Archive(read_memory, make_memory, keeps_audit=False)),
    "sqlite": Engine(open_sqlite, is_durable=True, damage=damage_sqlite, archive=Archive(read_sqlite, make_sqlite)),
    "postgres": Engine(
        open_postgres,
        is_durable=True,
        damage=damage_postgres,
        discard=DATABASES.discard,
        need=shared_server,
        archive=Archive(read_postgres, make_postgres),
    ),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param]
    need(engine)
    return engine


def need(engine: Engine) -> None:
    """Skip where what the engine stands on is not there."""
    if engine.need is not None:
        needed(engine.need)


@pytest.fixture
async def scene(engine: Engine, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = await Scene.open(engine, tmp_path)
    yield scene
    await scene.close()
