"""API keys as the ledger's store keeps them: never the key itself, only a keyed hash of its secret."""

import hashlib
import hmac
from typing import NamedTuple, Protocol

from kvot.core.principal import Principal


class ApiKey(NamedTuple):
    """One credential. `networks` lists the CIDR ranges it may be used from; empty means any."""

    key_id: str
    secret_hash: bytes
    company_id: str | None
    roles: frozenset[str]
    name: str | None
    created_at_ms: int
    created_by: str
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    networks: tuple[str, ...] = ()

    def is_live(self, now_ms: int) -> bool:
        return self.revoked_at_ms is None and (self.expires_at_ms is None or now_ms < self.expires_at_ms)

    @property
    def principal(self) -> Principal:
        return Principal(self.company_id, None, self.roles, self.key_id)


def hash_secret(pepper: bytes, secret: str) -> bytes:
    """HMAC-SHA-256. A secret of 256 random bits needs no slow hash; the pepper lives outside the store."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


class KeyStore(Protocol):
    """Where keys are kept. Every change is durable when it returns and seen by the next `find_key`.

    Raises StoreUnavailable, and nothing else, when the engine cannot answer.
    """

    async def add_key(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        """False, and nothing changed, when the id is taken."""
        ...

    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        """False when no such key exists (in that company, if one is named). Revoking twice keeps the first time."""
        ...

    async def find_key(self, key_id: str) -> ApiKey | None: ...

    async def list_keys(self, *, company_id: str | None = None) -> list[ApiKey]:
        """Oldest first, revoked and expired ones included."""
        ...

    @property
    def keys_version(self) -> int:
        """Changes whenever any key may have changed: a cache of identities is good for one version."""
        ...
