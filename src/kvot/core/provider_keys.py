"""Keys to providers that companies bring themselves, as the store keeps them: sealed, never readable in the store.

What seals and opens them is `kvot.operations.sealing`; here a key is bytes that mean nothing.
"""

from typing import NamedTuple, Protocol


class SealedKey(NamedTuple):
    """A company's own key to one provider. `sealed` opens only for this company and this provider."""

    company_id: str
    provider: str
    sealed: bytes
    set_at_ms: int
    set_by: str


class ProviderKeyStore(Protocol):
    """Where they are kept, one for each company and provider. Every change is durable when it returns, and leaves a
    line in the audit log that does not hold the key.

    Raises StoreUnavailable, and nothing else, when the engine cannot answer.
    """

    async def set_provider_key(self, key: SealedKey, *, now_ms: int) -> None:
        """Keep the key in place of the one that was there. Who set it is who stands in the audit log."""
        ...

    async def remove_provider_key(self, company_id: str, provider: str, *, actor: str, now_ms: int) -> bool:
        """False, and nothing changed, when there is none."""
        ...

    async def find_provider_key(self, company_id: str, provider: str) -> SealedKey | None: ...

    async def list_provider_keys(self, company_id: str) -> list[SealedKey]:
        """The company's own, by the provider's name."""
        ...

    @property
    def keys_version(self) -> int:
        """As `KeyStore` has it: changes with these keys too, so that what was opened is good for one version."""
        ...
