"""Companies' own keys to providers in PostgreSQL: sealed bytes. A change is told as one of API keys is."""

import asyncpg

from kvot.core.provider_keys import SealedKey
from kvot.stores.postgres.encoding import from_text, to_text, to_uuid
from kvot.stores.postgres.keys import Keys
from kvot.stores.postgres.pool import Pool
from kvot.stores.texts import can_be_kept

COLUMNS = "company_id::text, provider, sealed, set_at, set_by"
_SET = """SELECT kvot.set_provider_key(ROW($1::uuid, $2::text, $3::bytea, $4::bigint, $5::text)::kvot.provider_key,
    $6, $7)"""
_REMOVE = "SELECT kvot.remove_provider_key($1, $2, $3, $4, $5)"
_LIST = f"SELECT {COLUMNS} FROM kvot.provider_key WHERE company_id = $1"
_FIND = f"{_LIST} AND provider = $2"


class ProviderKeys:
    """What `ProviderKeyStore` asks, on a pool."""

    def __init__(self, pool: Pool, keys: Keys, drift_max_ms: int) -> None:
        self._pool = pool
        self._keys = keys
        self._drift_max_ms = drift_max_ms

    async def set(self, key: SealedKey, *, now_ms: int) -> None:
        await self._keys.change(_SET, *to_row(key), now_ms, self._drift_max_ms)

    async def remove(self, company_id: str, provider: str, *, actor: str, now_ms: int) -> bool:
        if not can_be_kept(provider):
            return False
        which = (to_uuid(company_id), to_text(provider))
        return await self._keys.change(_REMOVE, *which, now_ms, self._drift_max_ms, to_text(actor))

    async def find(self, company_id: str, provider: str) -> SealedKey | None:
        await self._keys.watch()
        rows = await self._pool.run(_FIND, to_uuid(company_id), to_text(provider))
        return from_row(rows[0]) if rows else None

    async def list(self, company_id: str) -> list[SealedKey]:
        return [from_row(row) for row in await self._pool.run(f"{_LIST} ORDER BY provider", to_uuid(company_id))]


def to_row(key: SealedKey) -> tuple[object, ...]:
    return (to_uuid(key.company_id), to_text(key.provider), key.sealed, key.set_at_ms, to_text(key.set_by))


def from_row(row: asyncpg.Record) -> SealedKey:
    company_id, provider, sealed, set_at, set_by = row
    return SealedKey(company_id, from_text(provider), sealed, set_at, from_text(set_by))
