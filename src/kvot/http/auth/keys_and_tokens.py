"""From credentials to a principal. The company comes from what is proven here, and from nowhere else.

When a token and a key come together the token says who is calling, with which roles, and the key must be valid too,
for the token's company or for none. A bearer token that cannot be proven is not made good by a key: the caller said
to be somebody, and acting as somebody else instead would surprise. Whatever is not proven is nobody (None), and how
it failed is not told.

Proven identities are remembered by a hash of everything that was shown. An identity counts for one version of the key
store, until whatever proved it ends, and from the networks of its key. Only proven ones are remembered, so strangers
cannot push them out.
"""

import hashlib
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from kvot.core.errors import Forbidden, TooManyRequests
from kvot.core.keys import ApiKey, KeyStore
from kvot.core.networks import allows
from kvot.core.principal import Principal
from kvot.http.auth.attempts import Attempts, peer_name
from kvot.http.auth.claims import ClaimRules
from kvot.http.auth.credentials import Credentials, read_credentials
from kvot.http.auth.jwks import Jwks, file_fetch, https_fetch
from kvot.http.auth.keys import KeyVerifier
from kvot.http.auth.tokens import KeySource, TokenIdentity, TokenVerifier, public_key, secret_key
from kvot.settings import Settings

IDENTITIES_MAX = 10_000
"""About 5 MB; as much again for each 500 bytes that tokens say of people, and a token has 8 kB at most. Beyond it the
one that was not seen longest is proven anew."""


class Identity(NamedTuple):
    """Who was proven, and how long that holds. `good_until_ms` None: as long as `keys_version` does."""

    principal: Principal
    keys_version: int
    good_until_ms: int | None
    networks: tuple[str, ...]


class KeysAndTokens:
    """`clock` gives milliseconds since the epoch. Without `tokens` no bearer token is anybody's."""

    def __init__(
        self, keys: KeyStore, pepper: bytes, clock: Callable[[], int], tokens: TokenVerifier | None = None
    ) -> None:
        self._store = keys
        self._keys = KeyVerifier(keys, pepper)
        self._tokens = tokens
        self._clock = clock
        self._identities: OrderedDict[bytes, Identity] = OrderedDict()
        self._hashing = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=32)
        self._peer_attempts = Attempts(secrets.token_bytes(32))
        self._key_attempts = Attempts(secrets.token_bytes(32))

    async def principal(self, authorization: bytes | None, api_key: bytes | None, peer: str | None) -> Principal | None:
        """Who is calling; None for nobody. `peer` is the address of the other end of the connection.

        Raises TokenRejected (a token of ours that does not count now), Forbidden (token and key of two companies),
        TooManyRequests (failed too often), StoreUnavailable.
        """
        if authorization is None and api_key is None:
            return None
        digest = self._digest(authorization, api_key)
        identity = self._identities.get(digest)
        if identity is None or not self._still_holds(identity, peer):
            return await self._prove(read_credentials(authorization, api_key), peer, digest)
        self._identities.move_to_end(digest)
        return identity.principal

    @property
    def problem(self) -> str | None:
        """Why the keys of bearer tokens could not be fetched the last time; None where they could, or need not be."""
        return self._tokens.problem if self._tokens is not None else None

    async def close(self) -> None:
        if self._tokens is not None:
            await self._tokens.close()

    def _digest(self, authorization: bytes | None, api_key: bytes | None) -> bytes:
        """One value for each pair of headers; the length keeps what ends one from beginning the other."""
        hashing = self._hashing.copy()  # the key is absorbed already: half the cost of starting anew
        if authorization is not None:
            hashing.update(b"%d %b" % (len(authorization), authorization))
        if api_key is not None:
            hashing.update(b"k%b" % api_key)
        return hashing.digest()

    def _still_holds(self, identity: Identity, peer: str | None) -> bool:
        return (
            identity.keys_version == self._store.keys_version
            and (identity.good_until_ms is None or self._clock() < identity.good_until_ms)
            and (not identity.networks or allows(identity.networks, peer))
        )

    async def _prove(self, shown: Credentials, peer: str | None, digest: bytes) -> Principal | None:
        if shown == Credentials():
            return None
        now_ms = self._clock()
        keys_version = self._store.keys_version  # before looking: what changes meanwhile makes this identity stale
        token, key = await self._proofs(shown, peer, now_ms)
        if token is None and key is None:
            self._count_failure(shown, peer, now_ms)
            return None
        identity = _combine(token, key, keys_version)
        self._remember(digest, identity)
        return identity.principal

    async def _proofs(
        self, shown: Credentials, peer: str | None, now_ms: int
    ) -> tuple[TokenIdentity | None, ApiKey | None]:
        """What proves right of all that was shown: all of it, or nothing."""
        if not shown.is_readable:
            return None, None
        token = key = None
        if shown.token is not None:
            token = await self._tokens.verify(shown.token, now_ms) if self._tokens else None
            if token is None:
                return None, None
        if shown.key is not None:
            key = await self._keys.verify(shown.key, peer, now_ms)
            if key is None:
                return None, None
        return token, key

    def _count_failure(self, shown: Credentials, peer: str | None, now_ms: int) -> None:
        over_ms = self._peer_attempts.fail(peer_name(peer), now_ms)
        if shown.key is not None:
            over_ms = max(over_ms, self._key_attempts.fail(self._keys.key_id(shown.key), now_ms))
        if over_ms:
            raise TooManyRequests("Too many failed attempts to authenticate.", retry_after_ms=over_ms)

    def _remember(self, digest: bytes, identity: Identity) -> None:
        self._identities[digest] = identity
        self._identities.move_to_end(digest)
        if len(self._identities) > IDENTITIES_MAX:
            self._identities.popitem(last=False)


def _combine(token: TokenIdentity | None, key: ApiKey | None, keys_version: int) -> Identity:
    if key is None:
        assert token is not None
        return Identity(token.principal, keys_version, token.good_until_ms, ())
    if token is None:
        return Identity(key.principal, keys_version, key.expires_at_ms, key.networks)
    if key.company_id not in (None, token.principal.company_id):
        raise Forbidden("The API key belongs to another company than the token.")
    good_until_ms = token.good_until_ms if key.expires_at_ms is None else min(token.good_until_ms, key.expires_at_ms)
    return Identity(token.principal, keys_version, good_until_ms, key.networks)


def make_authenticator(
    settings: Settings,
    keys: KeyStore,
    pepper: bytes,
    clock: Callable[[], int],
    *,
    ssl_context: ssl.SSLContext | None = None,
) -> KeysAndTokens:
    """The authenticator that the settings ask for. `ssl_context` is for fetching a JWKS. Raises SettingsError."""
    source = _key_source(settings, ssl_context)
    rules = ClaimRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_company_claim, settings.jwt_roles_claim)
    return KeysAndTokens(keys, pepper, clock, TokenVerifier(source, rules) if source else None)


def _key_source(settings: Settings, ssl_context: ssl.SSLContext | None) -> KeySource | None:
    if settings.jwt_secret is not None:
        return secret_key(settings.jwt_secret)
    if settings.jwt_public_key_file is not None:
        return public_key(settings.jwt_public_key_file)
    if settings.jwt_jwks_url is None:
        return None
    if settings.jwt_jwks_url.startswith("file:"):
        return Jwks(file_fetch(Path(unquote(urlsplit(settings.jwt_jwks_url).path))))
    return Jwks(https_fetch(settings.jwt_jwks_url, ssl_context))
