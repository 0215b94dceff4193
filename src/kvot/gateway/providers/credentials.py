"""Where clients put keys, whatever the provider."""

from collections.abc import Mapping

_SCHEME = "bearer "


CREDENTIAL_LENGTH_MAX = 8_192
"""A token of a company's identity provider may list many roles; no server takes longer headers."""


def key_at(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    """A header's value; None where it is absent, or nothing that a key could be."""
    return _key(headers.get(name, b"").decode("latin-1"))


def key_in(query: Mapping[str, str], name: str) -> str | None:
    return _key(query.get(name, ""))


def _key(value: str) -> str | None:
    value = value.strip()
    return value if 0 < len(value) <= CREDENTIAL_LENGTH_MAX and value.isascii() else None


def bearer(headers: Mapping[bytes, bytes]) -> str | None:
    """The token of `Authorization: Bearer …`; None where there is none, or another scheme."""
    value = key_at(headers, b"authorization")
    if value is None or value[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return value[len(_SCHEME) :].strip() or None
