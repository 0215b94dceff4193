"""Under whose key a call goes out: the company's own where it keeps one, otherwise the service's.

What was found is remembered for as long as no key has changed, so that a call costs one look into a dictionary; a
change by any process is honoured within a second, as the engine's `keys_version` promises.
"""

from dataclasses import replace

from kvot.core.errors import Forbidden
from kvot.core.provider_keys import ProviderKeyStore
from kvot.gateway.provider import Provider
from kvot.operations.sealing import Sealer

REMEMBERED_MAX = 10_000
"""Companies times providers; then all is forgotten and looked up anew."""


class OwnKeys:
    def __init__(self, store: ProviderKeyStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._version: int | None = None
        self._remembered: dict[tuple[str, str], Provider] = {}

    async def provider_for(self, company_id: str, provider: Provider) -> Provider:
        """The provider with the key to use. `company_id` empty: a call for no company.

        Raises KeyUnreadable, Forbidden (there is no key at all where one is needed) and StoreUnavailable.
        """
        version = self._store.keys_version
        if version != self._version or len(self._remembered) >= REMEMBERED_MAX:
            self._version = version
            self._remembered = {}
        remembered = self._remembered
        found = remembered.get((company_id, provider.name))
        if found is None:  # what changes while we look makes this dictionary one that nobody asks any more
            found = remembered[company_id, provider.name] = await self._find(company_id, provider)
        return found

    async def _find(self, company_id: str, provider: Provider) -> Provider:
        kept = await self._store.find_provider_key(company_id, provider.name) if company_id else None
        if kept is not None:
            api_key = self._sealer.open(company_id, provider.name, kept.sealed)
            return replace(provider, api_key=api_key, has_own_key=True)
        if provider.needs_key and not provider.api_key:
            raise Forbidden(f"The company keeps no key of its own to {provider.name}, and the service has none.")
        return provider
