"""The claims of a token whose signature holds: when it counts, for whom it was made, and who it says is calling.

Whatever is wrong here is told to the caller (TokenRejected, 401), since the token did come from a signer of ours.
Texts are those of the contract: docs/reference/errors.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.errors import TokenRejected
from kvot.core.principal import ROLES, Principal, Profile
from kvot.wire.scalars import guid

LEEWAY_MS = 30_000
"""How far the signer's clock and ours may differ. The rule allows a minute; machines with NTP need a second."""

_SECONDS_MAX = 253_402_300_799
"""The end of the year 9999."""

_SUBJECT_LENGTH_MAX = 251
"""With `jwt:` in front it still fits the 255 characters of an actor."""

_SHOWN_LENGTH_MAX = 100

_NAME_LENGTH_MAX = 255
_ADDRESS_LENGTH_MAX = 2_048
_NAMES_MAX = 200
"""Roles that are shown, and permissions. A token of 8 kB has room for some hundred."""

_KEYCLOAK_ROLES = "realm_access.roles"

_GUID_EMPTY = "00000000-0000-0000-0000-000000000000"

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What tokens must say, and where. `issuer` and `audience` None: anything."""

    issuer: str | None = None
    audience: str | None = None
    company_claim: str = "company_id"
    roles_claim: str = "roles"


def check_times(claims: Claims, now_ms: int) -> int:
    """The instant from which the token no longer counts, leeway included."""
    expires_at_ms = _instant_ms(claims, "exp")
    if expires_at_ms is None:
        raise TokenRejected("Token has no expiry")
    if now_ms >= expires_at_ms + LEEWAY_MS:
        raise TokenRejected("Token has expired")
    for name in ("nbf", "iat"):
        begins_at_ms = _instant_ms(claims, name)
        if begins_at_ms is not None and now_ms < begins_at_ms - LEEWAY_MS:
            raise TokenRejected("Token not valid yet")
    return expires_at_ms + LEEWAY_MS


def check_parties(claims: Claims, rules: ClaimRules) -> None:
    issuer, audience = claims.get("iss"), claims.get("aud")
    if rules.issuer is not None and issuer != rules.issuer:
        raise TokenRejected(f"Invalid Issuer: {_shown(issuer)}")
    audiences = audience if isinstance(audience, list) else [audience]
    if rules.audience is not None and rules.audience not in audiences:
        raise TokenRejected(f"Invalid Audience: {_shown(audience)}")


def to_principal(claims: Claims, rules: ClaimRules) -> Principal:
    subject = claims.get("sub")
    if subject is not None and not _is_subject(subject):
        raise TokenRejected("Invalid Subject")
    roles = _names(*(_look_up(claims, path) for path in (rules.roles_claim, _KEYCLOAK_ROLES)))
    return Principal(
        company_id=_company(claims, rules),
        user_id=subject,
        roles=ROLES.intersection(roles),
        credential_id=f"jwt:{subject or ''}",
        profile=_profile(claims, roles),
    )


def _profile(claims: Claims, roles: tuple[str, ...]) -> Profile:
    """What the token says of who shows it. A claim that is no text, or too long to be a name, says nothing."""
    parts = (_text(claims, "given_name"), _text(claims, "family_name"))
    return Profile(
        user_name=_text(claims, "preferred_username") or _text(claims, "email"),
        display_name=_text(claims, "name") or " ".join(filter(None, parts)) or None,
        picture_url=_text(claims, "picture", _ADDRESS_LENGTH_MAX),
        roles=roles[:_NAMES_MAX],
        permissions=_names(claims.get("perms"))[:_NAMES_MAX],
    )


def _text(claims: Claims, name: str, length_max: int = _NAME_LENGTH_MAX) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and 1 <= len(value) <= length_max and value.isprintable() else None


def _names(*values: object) -> tuple[str, ...]:
    """The names in claims that are lists of them, or one; each once, in order."""
    named = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def _is_subject(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _SUBJECT_LENGTH_MAX and value.isprintable()


def _company(claims: Claims, rules: ClaimRules) -> str | None:
    """None where the claim is absent. A claim that is there and names no company is no reason to guess one."""
    value = _look_up(claims, rules.company_claim)
    if value is None:
        return None
    try:
        company_id = guid(value) if isinstance(value, str) and value == value.strip() else _GUID_EMPTY
    except ValueError:
        company_id = _GUID_EMPTY
    if company_id == _GUID_EMPTY:
        raise TokenRejected("Invalid Company")
    return company_id


def _look_up(claims: Claims, path: str) -> Any:
    """The claim of that very name, as names with dots in them exist (`https://example.com/company`), or by path."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _instant_ms(claims: Claims, name: str) -> int | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if type(seconds) not in (int, float) or not 0 <= seconds <= _SECONDS_MAX:
        raise TokenRejected(f"Invalid {name}")
    return int(seconds * 1_000)


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return text[:_SHOWN_LENGTH_MAX]
