"""A prune deletes in pieces: the sentences of `tests.stores.sweeping`."""

import asyncpg
import pytest

from kvot.core.budget import Rules
from kvot.stores.archives import open_source
from kvot.stores.postgres import PostgresStore
from tests.stores.sweeping import SENTENCES, Ledgers


@pytest.mark.parametrize("name", SENTENCES)
async def test_pieces(name: str, store: PostgresStore, url: str):
    connection = await asyncpg.connect(url, server_settings={"search_path": "kvot"})

    async def count(rows: str) -> int:
        counted: int = await connection.fetchval(f"SELECT count(*) FROM {rows}")
        return counted

    async def execute(sql: str) -> None:
        await connection.execute(sql)

    try:
        await SENTENCES[name](Ledgers(store, lambda: open_source(url, Rules()), count, execute))
    finally:
        await connection.close()
