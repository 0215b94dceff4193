"""Bearer tokens: JWTs whose signature is proven under one kind of key, before a word of them is believed.

The algorithms follow from the configured keys, never from the token: HS256 under a secret, or RS256 and ES256 under
public keys, never both. A token may choose among those keys by `kid` and bring nothing of its own: no key, no address
of a key, no extension. What cannot be proven is nobody's (None); see `kvot.http.auth.claims` for what comes after.
"""

import warnings
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from kvot.core.principal import Principal
from kvot.http.auth.claims import ClaimRules, check_parties, check_times, to_principal
from kvot.settings import SettingsError

VerificationKey = OctKey | RSAKey | ECKey

RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 8_192
"""Verifying under a longer key would cost milliseconds a token."""

_PEM_BYTES_MAX = 65_536

ALGORITHM_BY_KIND = {"RSA": "RS256", "EC": "ES256"}
"""The one algorithm for each kind of public key (`kty`)."""

_TYPES = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
"""Header `typ` of access tokens. Refresh tokens (`JWTR`), log-out tokens and others are signed under the same keys."""


class FoundKey(NamedTuple):
    """A key to verify with, and until when it is known to count; None: as long as the process runs."""

    key: VerificationKey
    good_until_ms: int | None = None


class KeySource(Protocol):
    @property
    def algorithms(self) -> frozenset[str]: ...

    @property
    def problem(self) -> str | None:
        """Why keys could not be fetched the last time; None where they could, or need not be."""
        ...

    async def find(self, algorithm: str, key_id: str | None, now_ms: int) -> FoundKey | None: ...

    async def close(self) -> None: ...


class FixedKey:
    """One key, from the settings. A token's `kid` does not matter: there is nothing to choose."""

    problem = None

    def __init__(self, algorithm: str, key: VerificationKey) -> None:
        self.algorithms = frozenset({algorithm})
        self._found = FoundKey(key)

    async def find(self, algorithm: str, key_id: str | None, now_ms: int) -> FoundKey | None:
        return self._found if algorithm in self.algorithms else None

    async def close(self) -> None:
        return None


def secret_key(secret: str) -> FixedKey:
    try:
        return FixedKey("HS256", OctKey.import_key(secret.encode()))
    except ValueError as error:  # joserfc knows a public key when it sees one, and that everybody else may too
        raise SettingsError("KVOT_JWT_SECRET holds a public key: see KVOT_JWT_PUBLIC_KEY_FILE.") from error


def public_key(path: Path) -> FixedKey:
    """The key of a PEM file. Raises SettingsError for anything but a public RSA or P-256 key of good size."""
    try:
        with path.open("rb") as file:
            pem = file.read(_PEM_BYTES_MAX)
    except OSError as error:
        raise SettingsError(f"KVOT_JWT_PUBLIC_KEY_FILE: {path} cannot be read: {error.strerror}.") from error
    key = _import_pem(pem)
    if b"ENCRYPTED" in pem or (key is not None and key.is_private):  # what needs a password is private, too
        raise SettingsError(f"KVOT_JWT_PUBLIC_KEY_FILE: {path} holds a private key: only its public half belongs here.")
    if key is None or not _is_strong(key):
        raise SettingsError(
            f"KVOT_JWT_PUBLIC_KEY_FILE: {path} must hold a public key in PEM: "
            f"RSA of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, or P-256."
        )
    return FixedKey(ALGORITHM_BY_KIND[key.key_type], key)


def _import_pem(pem: bytes) -> RSAKey | ECKey | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of short keys; they are refused by the caller
        for kind in (RSAKey, ECKey):
            try:
                return kind.import_key(pem)
            except (JoseError, ValueError, TypeError, UnsupportedAlgorithm):
                continue  # another kind of key, a password that is missing, a curve that is not known
    return None


def _is_strong(key: RSAKey | ECKey) -> bool:
    if isinstance(key, ECKey):
        return key.raw_value.curve.name == "secp256r1"  # joserfc has no names for curves that it does not use
    return RSA_BITS_MIN <= key.raw_value.key_size <= RSA_BITS_MAX


class TokenIdentity(NamedTuple):
    principal: Principal
    good_until_ms: int


class Header(msgspec.Struct):
    """A token's header. What stands after `typ` must not be there at all."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    b64: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    jwk: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    jku: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    x5u: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    x5c: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    zip: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_plain(self) -> bool:
        brought = (self.crit, self.b64, self.jwk, self.jku, self.x5u, self.x5c, self.zip)
        is_access_token = self.typ is None or self.typ.lower() in _TYPES
        return is_access_token and all(one is msgspec.UNSET for one in brought)


_read_header = msgspec.json.Decoder(Header).decode
_read_claims = msgspec.json.Decoder(dict[str, object]).decode


class TokenVerifier:
    def __init__(self, keys: KeySource, rules: ClaimRules) -> None:
        self._keys = keys
        self._rules = rules
        self._registries: Mapping[str, jws.JWSRegistry] = {
            name: jws.JWSRegistry(algorithms=[name], strict_check_header=False) for name in keys.algorithms
        }

    async def verify(self, token: bytes, now_ms: int) -> TokenIdentity | None:
        """Who the token says is calling; None where nobody we trust says so. Raises TokenRejected: said, not now."""
        header = _header_of(token)
        registry = self._registries.get(header.alg) if header else None
        if header is None or registry is None or not header.is_plain:
            return None
        found = await self._keys.find(header.alg, header.kid, now_ms)
        payload = _proven_payload(token, found.key, registry) if found else None
        if found is None or payload is None:
            return None
        try:
            claims = _read_claims(payload)
        except (msgspec.DecodeError, RecursionError):
            return None
        expires_at_ms = check_times(claims, now_ms)
        check_parties(claims, self._rules)
        good_until_ms = min(expires_at_ms, found.good_until_ms or expires_at_ms)
        return TokenIdentity(to_principal(claims, self._rules), good_until_ms)

    @property
    def problem(self) -> str | None:
        return self._keys.problem

    async def close(self) -> None:
        await self._keys.close()


def _header_of(token: bytes) -> Header | None:
    encoded = token.partition(b".")[0]
    try:
        return _read_header(urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None


def _proven_payload(token: bytes, key: VerificationKey, registry: jws.JWSRegistry) -> bytes | None:
    """What was signed, if it was signed under this key with the one algorithm that `registry` allows."""
    try:
        signed = jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError, RecursionError):  # it reads the header once more
        return None
    return signed.payload
