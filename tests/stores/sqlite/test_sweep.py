"""A prune deletes in pieces: the sentences of `tests.stores.sweeping`."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.stores.archives import open_source
from kvot.stores.sqlite import SqliteStore
from tests.stores.sweeping import SENTENCES, Ledgers


@pytest.mark.parametrize("name", SENTENCES)
async def test_pieces(name: str, store: SqliteStore, path: Path):
    async def count(rows: str) -> int:
        with closing(apsw.Connection(str(path))) as connection:
            return int(str(connection.execute(f"SELECT count(*) FROM {rows}").get))

    async def execute(sql: str) -> None:
        with closing(apsw.Connection(str(path))) as connection:
            connection.execute(sql)

    await SENTENCES[name](Ledgers(store, lambda: open_source(f"sqlite:///{path}", Rules()), count, execute))
