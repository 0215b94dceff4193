"""API keys: made, listed, revoked. A key is in the reply that makes it and nowhere else.

Whoever asks has been found a superadmin by `perform`, so may name any company.
"""

import secrets
from dataclasses import replace
from unicodedata import category

from kvot.contract.describe import Instant
from kvot.contract.keys import (
    ApiKeyInfo,
    ApiKeyQuery,
    ApiKeyQueryResponse,
    CreateApiKey,
    CreateApiKeyResponse,
    RevokeApiKey,
    RevokeApiKeyResponse,
)
from kvot.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from kvot.core.faults import fault, length_fault
from kvot.core.keys import (
    KEY_ALPHABET,
    KEY_ID_LENGTH,
    KEY_SECRET_LENGTH,
    TAKEN_OVER_LENGTH_MAX,
    TAKEN_OVER_LENGTH_MIN,
    ApiKey,
    format_key,
    hash_secret,
    parse_key,
)
from kvot.core.model import TEXT_LENGTH_MAX
from kvot.core.networks import parse_network
from kvot.core.principal import ROLES, SUPERADMIN, Principal
from kvot.core.window import INSTANT_MAX
from kvot.operations.company import GUID_EMPTY, no_company
from kvot.operations.services import Caller, Services
from kvot.wire.scalars import shortest_date

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of characters, and what ends a line or a paragraph."""

NETWORKS_MAX = 32
"""Ranges in one key: each is looked at in every call of its holder."""


async def create_key(services: Services, caller: Caller, request: CreateApiKey) -> CreateApiKeyResponse:
    assert services.pepper is not None, "whoever makes keys opens the database with its secret"
    now_ms = services.ledger.now_ms()
    company_id = request.company_id or caller.principal.company_id
    if faults := _faults(caller.principal, request, company_id, now_ms):
        raise InvalidRequest.of_fields(faults)
    await services.need_right_secret()
    text = request.key or format_key(_random(KEY_ID_LENGTH), _random(KEY_SECRET_LENGTH))
    shown = parse_key(services.pepper, text)
    key = ApiKey(
        key_id=shown.key_id,
        secret_hash=hash_secret(services.pepper, shown.secret),
        company_id=company_id,
        roles=frozenset(request.roles or ()),
        name=request.name,
        created_at_ms=now_ms,
        created_by=caller.principal.credential_id,
        expires_at_ms=None if request.expires_at is None else request.expires_at.ms,
        networks=tuple(request.networks or ()),
    )
    if not await services.keys.add_key(key, actor=caller.principal.credential_id, now_ms=now_ms):
        raise Conflict("This key is here already, live or revoked. Nothing changed.")
    return CreateApiKeyResponse(result=to_info(key), key=None if request.key else text)


async def query_keys(services: Services, caller: Caller, request: ApiKeyQuery) -> ApiKeyQueryResponse:
    """All keys, or those of the company that is named."""
    keys = await services.keys.list_keys(company_id=request.company_id)
    return ApiKeyQueryResponse(results=[to_info(key) for key in keys])


async def revoke_key(services: Services, caller: Caller, request: RevokeApiKey) -> RevokeApiKeyResponse:
    assert request.id is not None
    actor = caller.principal.credential_id
    now_ms = services.ledger.now_ms()
    if not await services.keys.revoke_key(request.id, company_id=None, actor=actor, now_ms=now_ms):
        raise NotFound("No API key has this id.")
    return RevokeApiKeyResponse(id=request.id)


def to_info(key: ApiKey) -> ApiKeyInfo:
    """What may be shown of a key: everything but its hash."""
    return ApiKeyInfo(
        id=key.key_id,
        company_id=key.company_id,
        name=key.name,
        roles=sorted(key.roles),
        networks=list(key.networks),
        created_at=Instant(key.created_at_ms),
        expires_at=None if key.expires_at_ms is None else Instant(key.expires_at_ms),
        revoked_at=None if key.revoked_at_ms is None else Instant(key.revoked_at_ms),
    )


def _random(length: int) -> str:
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(length))


def _faults(maker: Principal, request: CreateApiKey, company_id: str | None, now_ms: int) -> list[FieldError]:
    """All that is wrong with a key to be made, in the order of the contract."""
    roles = request.roles or []
    faults = []
    # What a role that is not understood was to be, and so whether the key needs a company, nobody knows.
    if company_id is None and SUPERADMIN not in roles and ROLES.issuperset(roles):
        faults.append(fault("CompanyId", "NotEmpty", None, "A key without the role superadmin needs a company."))
    if company_id == GUID_EMPTY:
        faults.append(no_company())
    if request.name is not None and (found := _name_fault(request.name)):
        faults.append(found)
    faults += [found for role in dict.fromkeys(roles) if (found := _role_fault(maker, role))]
    if request.expires_at is not None and (found := _expiry_fault(request.expires_at.ms, now_ms)):
        faults.append(found)
    faults += _network_faults(request.networks or [])
    if request.key is not None and (found := _taken_over_fault(request.key)):
        faults.append(found)
    return faults


def _name_fault(name: str) -> FieldError | None:
    """A name stands in lists on terminals, where a control character would be obeyed."""
    if len(name) > TEXT_LENGTH_MAX:
        return length_fault("Name", name, 0, TEXT_LENGTH_MAX)
    if any(category(character) in _CONTROLS for character in name):
        return fault("Name", "RegularExpression", None)
    return None


def _role_fault(maker: Principal, role: str) -> FieldError | None:
    if role not in ROLES:
        found = fault("Roles", "Enum", role)
        return replace(found, message=f"{found.message} There are: {', '.join(sorted(ROLES))}.")
    if role not in maker.roles and not maker.is_superadmin:
        return fault("Roles", "Forbidden", role, f"Only who has the role '{role}' may give it.")
    return None


def _expiry_fault(expires_at_ms: int, now_ms: int) -> FieldError | None:
    """The value is shown in milliseconds since the epoch: no calendar has a date for each that may come."""
    if expires_at_ms <= now_ms:
        return fault("ExpiresAt", "GreaterThan", expires_at_ms, ComparisonValue=shortest_date(now_ms))
    if expires_at_ms > INSTANT_MAX:
        return fault("ExpiresAt", "LessThanOrEqual", expires_at_ms, ComparisonValue=shortest_date(INSTANT_MAX))
    return None


def _network_faults(networks: list[str]) -> list[FieldError]:
    if len(networks) > NETWORKS_MAX:
        return [fault("Networks", "InclusiveBetween", len(networks), From=0, To=NETWORKS_MAX)]
    return [
        fault("Networks", "Cidr", text, f"'{text[:80]}' is not a CIDR range such as 192.0.2.0/24 or 2001:db8::/32.")
        for text in networks
        if parse_network(text) is None
    ]


def _taken_over_fault(key: str) -> FieldError | None:
    """The key itself is repeated in no error."""
    if not TAKEN_OVER_LENGTH_MIN <= len(key) <= TAKEN_OVER_LENGTH_MAX:
        return length_fault("Key", "*" * len(key), TAKEN_OVER_LENGTH_MIN, TAKEN_OVER_LENGTH_MAX)
    if not (key.isascii() and key.isprintable() and " " not in key):
        return fault("Key", "RegularExpression", None)
    return None
