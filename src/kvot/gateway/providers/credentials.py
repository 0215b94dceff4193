"""Where clients put keys, whatever the provider.

Every path of the gateway takes a key in each of the usual headers: a client is configured for one API and sent to
another more often than one thinks. Where there are several, that of the path's own API counts. None of these headers
goes on to a provider: a dialect names what does.
"""

from collections.abc import Mapping

_SCHEME = "bearer "


CREDENTIAL_LENGTH_MAX = 8_192
"""A token of a company's identity provider may list many roles; no server takes longer headers."""


KEY_HEADERS = (b"api-key", b"x-api-key", b"x-goog-api-key")
"""Beside `Authorization`: OpenAI's on Azure, Anthropic's, Google's."""


def key_anywhere(headers: Mapping[bytes, bytes]) -> str | None:
    """A bearer token, or the key in the first of the other headers that has one."""
    return bearer(headers) or next(filter(None, (key_at(headers, name) for name in KEY_HEADERS)), None)


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
