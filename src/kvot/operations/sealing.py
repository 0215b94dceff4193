"""Seals the keys that companies bring, so that the database, its backups and its copies hold nothing readable.

AES-256-GCM under a key of its own, derived from the server's secret. Company and provider are bound in: a sealed key
that somebody moves to another row does not open there.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kvot.core.errors import KeyUnreadable

PURPOSE = "provider keys"
"""The purpose of the key that seals."""

_VERSION = b"\x01"
"""First byte of what is sealed: another way of sealing gets another one."""

_NONCE_BYTES = 12
"""Random. One key may seal 2 ** 32 times before a nonce is likely to come twice; keys are set by hand."""


class Sealer:
    """`key` is 32 bytes: `derive_key(secret, PURPOSE)`."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, company_id: str, provider: str, api_key: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, api_key.encode(), _bound_to(company_id, provider))

    def open(self, company_id: str, provider: str, sealed: bytes) -> str:
        """Raises KeyUnreadable for whatever was not sealed under this secret for this company and provider."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
            raise KeyUnreadable(provider)
        try:
            return self._cipher.decrypt(nonce, text, _bound_to(company_id, provider)).decode()
        except InvalidTag:
            raise KeyUnreadable(provider) from None


def _bound_to(company_id: str, provider: str) -> bytes:
    """A GUID has always the same length, so no two pairs read alike."""
    return _VERSION + company_id.encode() + provider.encode()
