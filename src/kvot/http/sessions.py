"""A browser's session: the credential itself, sealed in a cookie under a key that only this host has.

Nothing is kept on the server. The credential is proven anew with every request, so a key that is revoked or a token
that ends takes its sessions along; and no session outlives `LIFETIME_MS`.

A browser sends cookies by itself, also where another site made it ask. So a cookie counts for questions (GET, HEAD),
and for a POST only when the browser says that a page of ours sent it.
"""

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from kvot.http.limits import Headers

PURPOSE = "browser session"
NAME = "kvot-session"
LIFETIME_MS = 8 * 3_600_000
"""A working day."""

CREDENTIAL_LENGTH_MAX = 2_600
"""Sealed it is a third longer, and browsers drop cookies of more than 4,096 bytes."""

_SEALED_LENGTH_MAX = 4_000
_HEADER = {"alg": "dir", "enc": "A256GCM"}
_SAFE = frozenset({"GET", "HEAD"})


class Session(msgspec.Struct):
    """What is sealed. It ends at `good_until_ms`."""

    credential: str
    good_until_ms: int


class Sessions:
    """`secret`: the 32 bytes that `derive_key` gives for `PURPOSE`, so that they seal cookies and nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = OctKey.import_key(secret)
        self._registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"])
        self._begin = self.seal("", 0).partition(".")[0] + "."

    def seal(self, credential: str, now_ms: int) -> str:
        plain = msgspec.json.encode(Session(credential, now_ms + LIFETIME_MS))
        return jwe.encrypt_compact(_HEADER, plain, self._key, registry=self._registry)

    def open(self, sealed: str) -> Session | None:
        """The session, which may have ended; None for what we did not seal.

        We write one header alone. Any other is a stranger's, and is not even read: headers have many faults in them.
        """
        if len(sealed) > _SEALED_LENGTH_MAX or not sealed.startswith(self._begin):
            return None
        try:
            plain = jwe.decrypt_compact(sealed, self._key, registry=self._registry).plaintext
            return msgspec.json.decode(plain or b"", type=Session)
        except (JoseError, ValueError, msgspec.DecodeError):
            return None


def cookie_of(headers: Headers) -> str | None:
    """The session's cookie. Others are skipped, also the junk that clients make of dates."""
    for each in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = each.strip().partition("=")
        if name == NAME and value:
            return value
    return None


def set_cookie(value: str, *, is_secure: bool, max_age_s: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if is_secure else ""
    cookie = f"{NAME}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", cookie.encode("ascii")


def may_use_cookie(method: str, verb: str, headers: Headers) -> bool:
    """Both the method and the verb that overrides it must be harmless, or a page of ours must have asked."""
    if method in _SAFE and verb in _SAFE:
        return True
    return method == verb == "POST" and is_same_origin(headers) is True


def is_same_origin(headers: Headers) -> bool | None:
    """Whether a page of ours asked; None where the client does not say, as those that are no browsers do not."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin = headers.get(b"origin")
    if origin is None:
        return None
    host = headers.get(b"host", b"")
    return bool(host) and origin in (b"http://%b" % host, b"https://%b" % host)
