"""One real database in a folder of its own, and the few values that most checks need."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvot.core.budget import Rules
from kvot.stores.sqlite import SqliteStore

COMPANY = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
T0 = 1_790_000_000_000


@contextmanager
def counted_commits(store: SqliteStore) -> Iterator[list[None]]:
    """As long as the commits."""
    commits: list[None] = []

    def count() -> bool:
        commits.append(None)
        return False  # True would undo it

    store._write_connection.set_commit_hook(count)
    yield commits
    store._write_connection.set_commit_hook(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kvot.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(path, Rules())
    yield store
    await store.close()
