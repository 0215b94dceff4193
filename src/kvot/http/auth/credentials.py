"""What a request shows of itself: header values in, a bearer token and an API key out. Proves nothing.

- `x-api-key: KEY` is a key;
- `Authorization: Bearer TOKEN` is a token where it has the shape of a JWT, otherwise a key;
- `Authorization: Basic base64(KEY:)` is a key: the user name, with an empty password;
- any other `Authorization` (a proxy's, say) is not a credential of ours: as if it had not been sent.
"""

import base64
import binascii
import re
from typing import NamedTuple

TOKEN_BYTES_MAX = 8_192
"""Real tokens have 1–3 KB. Longer ones only cost work."""

KEY_BYTES_MAX = 512
"""Room for any key that could have been made or taken over."""

_JWT = re.compile(rb"eyJ[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)
"""Three base64url parts of which the first begins like an encoded `{"`."""


class Credentials(NamedTuple):
    """`token` and `key` are unproven. `is_readable` False: something was shown that can be nobody's."""

    token: bytes | None = None
    key: str | None = None
    is_readable: bool = True


_UNREADABLE = Credentials(is_readable=False)


def read_credentials(authorization: bytes | None, api_key: bytes | None) -> Credentials:
    """Take both headers together. Two keys that differ are nobody's: there is no telling which one is meant."""
    shown = _read_authorization(authorization) if authorization is not None else Credentials()
    if api_key is None or not shown.is_readable:
        return shown
    key = _read_key(api_key)
    if key is None or shown.key not in (None, key):
        return _UNREADABLE
    return Credentials(shown.token, key)


def _read_authorization(value: bytes) -> Credentials:
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    match scheme.lower():
        case b"bearer" if _JWT.fullmatch(rest):
            return Credentials(token=rest) if len(rest) <= TOKEN_BYTES_MAX else _UNREADABLE
        case b"bearer":
            key = _read_key(rest)
            return _UNREADABLE if key is None else Credentials(key=key)
        case b"basic":
            return Credentials(key=_read_basic(rest))
    return Credentials()


def _read_basic(value: bytes) -> str | None:
    if len(value) > 2 * KEY_BYTES_MAX:
        return None
    try:
        name, colon, password = base64.b64decode(value, validate=True).partition(b":")
    except binascii.Error:
        return None
    return _read_key(name) if colon and not password else None


def _read_key(value: bytes) -> str | None:
    value = value.strip()
    if not 1 <= len(value) <= KEY_BYTES_MAX or not value.isascii():
        return None
    return value.decode()
