"""The engines under test. To add an engine is to add a line to ENGINES; every check then runs on it too."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from kvot.core.archive import Sink
from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Rules
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_archive import MemorySink, MemorySource
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.archive import SqliteSource
from kvot.stores.sqlite.restore import SqliteSink
from tests.conformance.scene import Archive, Engine, FullStore, Scene

Opening = Callable[[], Awaitable[FullStore]]


async def open_memory(_folder: Path, rules: Rules) -> FullStore:
    return MemoryStore(rules)


async def open_sqlite(folder: Path, rules: Rules) -> FullStore:
    return SqliteStore.open(folder / "kvot.db", rules)


async def read_memory(store: FullStore, _folder: Path, _rules: Rules) -> ArchiveSource:
    assert isinstance(store, MemoryStore)
    return MemorySource(store)


async def make_memory(_folder: Path, rules: Rules) -> tuple[Sink, Opening]:
    store = MemoryStore(rules)

    async def opened() -> FullStore:
        return store

    return MemorySink(store), opened


async def read_sqlite(_store: FullStore, folder: Path, rules: Rules) -> ArchiveSource:
    return SqliteSource.open(folder / "kvot.db", rules)


async def make_sqlite(folder: Path, rules: Rules) -> tuple[Sink, Opening]:
    return SqliteSink.open(folder / "kvot.db", rules), partial(open_sqlite, folder, rules)


async def damage_sqlite(_store: FullStore, folder: Path, _company_id: str) -> None:
    """Another program writes to the file, which the lock of ours cannot forbid."""
    with closing(apsw.Connection(str(folder / "kvot.db"))) as connection:
        connection.execute("UPDATE point SET cum = cum + 1")


ENGINES = {
    "memory": Engine(open_memory, is_durable=False, archive=Archive(read_memory, make_memory)),
    "sqlite": Engine(open_sqlite, is_durable=True, damage=damage_sqlite, archive=Archive(read_sqlite, make_sqlite)),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.fixture
async def scene(engine: Engine, tmp_path: Path) -> AsyncIterator[Scene]:
    try:
        scene = await Scene.open(engine, tmp_path)
    except ConnectionError as error:  # of an engine that needs a server; an embedded one has no excuse
        if os.environ.get("CI"):
            raise  # a missing server never shrinks CI
        pytest.skip(str(error))
    yield scene
    await scene.close()
