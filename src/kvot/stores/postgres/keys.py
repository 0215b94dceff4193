"""API keys in PostgreSQL: only the keyed hash of a secret is there."""

import asyncpg

from kvot.core.keys import ApiKey
from kvot.stores.postgres.encoding import from_optional_text, from_text, to_optional_text, to_text, to_uuid
from kvot.stores.postgres.pool import Pool
from kvot.stores.postgres.watch import KeysWatch
from kvot.stores.texts import can_be_kept

COLUMNS = """key_id, secret_hash, company_id::text, roles, name, created_at, created_by, expires_at, revoked_at,
    networks"""
_ADD = """SELECT kvot.add_key(ROW($1::text, $2::bytea, $3::uuid, $4::text[], $5::text, $6::bigint, $7::text, $8::bigint,
    $9::bigint, $10::text[])::kvot.api_key, $11, $12, $13)"""
_REVOKE = "SELECT kvot.revoke_key($1, $2, $3, $4, $5)"
_BIND_SECRET = "SELECT kvot.bind_secret($1)"
_REPLACE_SECRET = "SELECT kvot.replace_secret($1, $2, $3, $4)"
_FIND = f"SELECT {COLUMNS} FROM kvot.api_key WHERE key_id = $1"
_LIST = f"""SELECT {COLUMNS} FROM kvot.api_key WHERE $1::uuid IS NULL OR company_id = $1
    ORDER BY created_at, key_id"""


class Keys:
    """What `KeyStore` asks, on a pool; every change is told to the watch."""

    def __init__(self, pool: Pool, watch: KeysWatch, drift_max_ms: int) -> None:
        self._pool = pool
        self._watch = watch
        self._drift_max_ms = drift_max_ms

    async def add(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        return await self.change(_ADD, *to_row(key), now_ms, self._drift_max_ms, to_text(actor))

    async def revoke(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        if not can_be_kept(key_id):
            return False
        company = None if company_id is None else to_uuid(company_id)
        return await self.change(_REVOKE, to_text(key_id), company, now_ms, self._drift_max_ms, to_text(actor))

    async def bind_secret(self, check: bytes, *, replaced_by: str | None, now_ms: int) -> bool:
        if replaced_by is not None:
            return await self.change(_REPLACE_SECRET, check, now_ms, self._drift_max_ms, to_text(replaced_by))
        return bool((await self._pool.run(_BIND_SECRET, check))[0][0])

    async def find(self, key_id: str) -> ApiKey | None:
        await self.watch()
        rows = await self._pool.run(_FIND, to_text(key_id), ends_calls=True)
        return from_row(rows[0]) if rows else None

    async def list(self, company_id: str | None) -> list[ApiKey]:
        company = None if company_id is None else to_uuid(company_id)
        return [from_row(row) for row in await self._pool.run(_LIST, company)]

    async def watch(self) -> None:
        """Begin to watch for changes, if that is not done."""
        await self._watch.start()

    async def change(self, query: str, *values: object) -> bool:
        """A change is told to other processes by the database, and to this one here, so that the next look knows it."""
        await self.watch()
        rows = await self._pool.run(query, *values)
        version: int | None = rows[0][0]
        if version is None:
            return False
        self._watch.changed_to(version)
        return True


def to_row(key: ApiKey) -> tuple[object, ...]:
    company = None if key.company_id is None else to_uuid(key.company_id)
    who = (to_text(key.key_id), key.secret_hash, company, sorted(key.roles), to_optional_text(key.name))
    made = (key.created_at_ms, to_text(key.created_by), key.expires_at_ms, key.revoked_at_ms)
    return (*who, *made, list(key.networks))


def from_row(row: asyncpg.Record) -> ApiKey:
    key_id, secret_hash, company_id, roles, name, created_at, created_by, expires_at, revoked_at, networks = row
    who = (from_text(key_id), secret_hash, company_id, frozenset(roles), from_optional_text(name))
    return ApiKey(*who, created_at, from_text(created_by), expires_at, revoked_at, tuple(networks))
