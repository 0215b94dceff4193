"""API keys as the ledger's store keeps them: never the key itself, only a keyed hash of its secret.

A key made here reads `kvot_<id>_<secret>`; the id is found in the store and may be logged, the secret is 256 random
bits. A key taken over from elsewhere is all secret: its id is a keyed hash of it and tells nothing.
"""

import hashlib
import hmac
import re
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


KEY_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_ID_LENGTH = 12
KEY_SECRET_LENGTH = 43
"""62 ** 43 is just over 2 ** 256; 62 ** 12 ids are enough never to meet one twice."""

TAKEN_OVER_LENGTH_MIN = 16
TAKEN_OVER_LENGTH_MAX = 255
"""A key from elsewhere: a GUID has 32 or 36 characters; under 16 a key could be guessed."""

API_KEY_PEPPER = "api key pepper"
"""The purpose of the key under which secrets of API keys are hashed."""

ATTEMPTS = "attempts at calls"
"""The purpose of the key by which a process knows the holds of attempts that another one made."""

SECRET_CHECK = "check of the secret"
"""The purpose of the key that a store keeps to tell the secret from another. It opens and proves nothing."""

_TAKEN_OVER_ID = "id of an api key taken over"
_MADE_HERE = re.compile(rf"kvot_([0-9A-Za-z]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{KEY_SECRET_LENGTH}}})")


class Presented(NamedTuple):
    """A key as somebody shows it, taken apart: where to look it up, and what must match."""

    key_id: str
    secret: str


def format_key(key_id: str, secret: str) -> str:
    return f"kvot_{key_id}_{secret}"


def parse_key(pepper: bytes, text: str) -> Presented:
    """Take any key apart: one made here by its form, any other by its hash. `text` may be anything."""
    if made_here := _MADE_HERE.fullmatch(text):
        return Presented(made_here[1], made_here[2])
    digest = hmac.digest(derive_key(pepper, _TAKEN_OVER_ID), text.encode(), hashlib.sha256)
    return Presented(f"i{digest.hex()[:24]}", text)


def derive_key(secret: bytes, purpose: str) -> bytes:
    """The key for one purpose: 32 bytes. Knowing one tells nothing of the secret or of another."""
    return hmac.digest(secret, b"kvot 1 " + purpose.encode(), hashlib.sha256)


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

    async def bind_secret(self, check: bytes, *, replaced_by: str | None = None, now_ms: int = 0) -> bool:
        """Whether keys are made under the secret that `check` tells from others. Where none is known yet, they are from
        now on. `replaced_by`: whoever takes this one, whichever it was before. That leaves a line in the audit log."""
        ...

    @property
    def keys_version(self) -> int:
        """Changes whenever any key may have changed: a cache of identities is good for one version."""
        ...
