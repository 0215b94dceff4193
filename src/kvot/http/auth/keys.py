"""API keys: proven against the store.

Every way to fail looks the same from outside and costs the same: an unknown id is compared too, with a hash that
nothing has. The hash is keyed, so what the store keeps is of no use without the pepper.
"""

import hmac
import secrets

from kvot.core.keys import ApiKey, KeyStore, hash_secret, parse_key
from kvot.core.networks import allows


class KeyVerifier:
    def __init__(self, store: KeyStore, pepper: bytes) -> None:
        self._store = store
        self._pepper = pepper
        self._nobodys_hash = secrets.token_bytes(32)

    def key_id(self, text: str) -> str:
        return parse_key(self._pepper, text).key_id

    async def verify(self, text: str, peer: str | None, now_ms: int) -> ApiKey | None:
        """The key, if it is one, is live, and may be used from `peer`; None otherwise. Raises StoreUnavailable."""
        shown = parse_key(self._pepper, text)
        key = await self._store.find_key(shown.key_id)
        expected = self._nobodys_hash if key is None else key.secret_hash
        is_proven = hmac.compare_digest(hash_secret(self._pepper, shown.secret), expected)
        if key is None or not is_proven or not key.is_live(now_ms) or not allows(key.networks, peer):
            return None
        return key
