"""Companies' own keys to providers: set, removed, listed. What is kept is sealed, and a key is never shown again.

Whoever asks has been found a superadmin by `perform`, so may name any company.
"""

from kvot.contract.describe import Instant
from kvot.contract.provider_keys import (
    AiChatProviderKeyInfo,
    AiChatProviderKeyQuery,
    AiChatProviderKeyQueryResponse,
    AiChatProviderKeyResponse,
    RemoveAiChatProviderKey,
    UpdateAiChatProviderKey,
)
from kvot.core.errors import FieldError, InvalidRequest, KeyUnreadable, NotFound
from kvot.core.faults import fault, length_fault
from kvot.core.provider_keys import SealedKey
from kvot.operations.company import company_for
from kvot.operations.services import Caller, ProviderKeys, Services
from kvot.settings import is_key_text

KEY_LENGTH_MIN = 8
KEY_LENGTH_MAX = 4_096
"""Keys of today have 39 to 200 characters; signed tokens, which some proxies ask for, a few thousand."""

SHOWN_OF_LENGTH = 16
"""Of a shorter key not even the last characters are shown: they would be too much of it."""

_SHOWN = 4


async def set_provider_key(
    services: Services, caller: Caller, request: UpdateAiChatProviderKey
) -> AiChatProviderKeyResponse:
    keys, company_id = services.provider_keys, company_for(caller.principal, request.company_id)
    provider, api_key = request.provider or "", request.api_key or ""
    if provider not in keys.offered:
        there = f"There are: {', '.join(keys.offered)}." if keys.offered else "The settings name none."
        raise NotFound(f"No provider of this name is offered. {there}")
    if found := _fault(api_key):
        raise InvalidRequest.of_fields([found])
    assert keys.sealer is not None, "whoever sets keys opens the database with its secret"
    await services.need_right_secret()
    now_ms = services.ledger.now_ms()
    sealed = keys.sealer.seal(company_id, provider, api_key)
    key = SealedKey(company_id, provider, sealed, now_ms, caller.principal.credential_id)
    await keys.store.set_provider_key(key, now_ms=now_ms)
    return AiChatProviderKeyResponse(result=_info(keys, provider, key))


async def remove_provider_key(
    services: Services, caller: Caller, request: RemoveAiChatProviderKey
) -> AiChatProviderKeyResponse:
    """Also for a provider that is offered no more."""
    keys, company_id = services.provider_keys, company_for(caller.principal, request.company_id)
    provider, actor = request.provider or "", caller.principal.credential_id
    now_ms = services.ledger.now_ms()
    if not await keys.store.remove_provider_key(company_id, provider, actor=actor, now_ms=now_ms):
        raise NotFound("The company keeps no key to a provider of this name.")
    return AiChatProviderKeyResponse(result=_info(keys, provider, None))


async def query_provider_keys(
    services: Services, caller: Caller, request: AiChatProviderKeyQuery
) -> AiChatProviderKeyQueryResponse:
    keys, company_id = services.provider_keys, company_for(caller.principal, request.company_id)
    kept = {key.provider: key for key in await keys.store.list_provider_keys(company_id)}
    names = sorted({*keys.offered, *kept})
    return AiChatProviderKeyQueryResponse(results=[_info(keys, name, kept.get(name)) for name in names])


def _info(keys: ProviderKeys, provider: str, key: SealedKey | None) -> AiChatProviderKeyInfo:
    is_offered = provider in keys.offered
    if key is None:
        return AiChatProviderKeyInfo(provider=provider, is_offered=is_offered, has_key=False)
    api_key = _opened(keys, key)
    return AiChatProviderKeyInfo(
        provider=provider,
        is_offered=is_offered,
        has_key=True,
        is_readable=api_key is not None,
        last_characters=api_key[-_SHOWN:] if api_key and len(api_key) >= SHOWN_OF_LENGTH else None,
        set_at=Instant(key.set_at_ms),
        set_by=key.set_by,
    )


def _opened(keys: ProviderKeys, key: SealedKey) -> str | None:
    assert keys.sealer is not None, "whoever reads keys opens the database with its secret"
    try:
        return keys.sealer.open(key.company_id, key.provider, key.sealed)
    except KeyUnreadable:
        return None


def _fault(api_key: str) -> FieldError | None:
    """The message never holds what was sent: it may be a key with one character too many."""
    if not KEY_LENGTH_MIN <= len(api_key) <= KEY_LENGTH_MAX:
        return length_fault("ApiKey", "*" * len(api_key), KEY_LENGTH_MIN, KEY_LENGTH_MAX)
    if not is_key_text(api_key):
        return fault("ApiKey", "RegularExpression", None)
    return None
