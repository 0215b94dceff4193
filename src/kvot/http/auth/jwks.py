"""The public keys of a signer, as it publishes them (a JWKS, RFC 7517), kept fresh.

Never more than one fetch at a time, nor more than one a minute, however many unknown key ids come. While tokens come,
keys are fetched anew after five minutes, with nobody waiting; ten minutes after they were last seen they no longer
count, so a key that was taken away is refused by then, and nothing is accepted while the signer cannot be asked.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from kvot.http.auth.tokens import ALGORITHM_BY_KIND, RSA_BITS_MAX, RSA_BITS_MIN, FoundKey

FRESH_MS = 300_000
GOOD_MS = 600_000
PAUSE_MS = 60_000
"""Between the starts of two fetches."""

FETCH_SECONDS_MAX = 5.0
"""For the whole of one fetch: callers with a new key wait for it."""

BODY_BYTES_MAX = 1_048_576
KEYS_MAX = 100
"""Signers publish two or three keys; a set of hundreds is not what we think it is."""

Fetch = Callable[[], Awaitable[bytes]]
Key = RSAKey | ECKey


class JwksUnusable(Exception):
    """What the address gave is no set of keys."""


class Jwks:
    """A source of keys for `TokenVerifier`. `problem` says why the last fetch failed, for /readyz, which anybody may
    ask."""

    algorithms = frozenset(ALGORITHM_BY_KIND.values())

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._keys: list[tuple[str | None, str, Key]] = []
        self._fetched_at_ms: int | None = None
        self._may_start_at_ms = 0
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    async def find(self, algorithm: str, key_id: str | None, now_ms: int) -> FoundKey | None:
        """The key that a token names; without a name, the only key for its algorithm. Waits for a fetch if it must."""
        found = self._find(algorithm, key_id, now_ms)
        if found is None:
            if (task := self._start(now_ms)) is not None:
                await asyncio.shield(task)  # the fetch is everybody's: one caller who leaves does not end it
            return self._find(algorithm, key_id, now_ms)
        if now_ms - self._age_from_ms() >= FRESH_MS:
            self._start(now_ms)
        return found

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _age_from_ms(self) -> int:
        return -GOOD_MS if self._fetched_at_ms is None else self._fetched_at_ms

    def _find(self, algorithm: str, key_id: str | None, now_ms: int) -> FoundKey | None:
        good_until_ms = self._age_from_ms() + GOOD_MS
        if now_ms >= good_until_ms:
            return None
        keys = [key for name, kind, key in self._keys if kind == algorithm and key_id in (None, name)]
        return FoundKey(keys[0], good_until_ms) if len(keys) == 1 else None

    def _start(self, now_ms: int) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one if one may start."""
        if self._task is not None and not self._task.done():
            return self._task
        if now_ms < self._may_start_at_ms:
            return None
        self._may_start_at_ms = now_ms + PAUSE_MS
        self._task = asyncio.create_task(self._refresh(now_ms))
        return self._task

    async def _refresh(self, now_ms: int) -> None:
        """Keys count from the start of their fetch: what the signer does meanwhile is not in them."""
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                keys = read_jwks(await self._fetch())
        except (OSError, JwksUnusable) as error:  # OSError: the time-out too
            self.problem = _said(error)
            return
        self._keys, self._fetched_at_ms, self.problem = keys, now_ms, None


def _said(error: OSError | JwksUnusable) -> str:
    """Why a fetch failed, without addresses, which may hold a password, and without the names of files."""
    if isinstance(error, TimeoutError) and not error.args:  # ours: the system's own says what it waited for
        return f"TimeoutError: no answer within {FETCH_SECONDS_MAX:g} s"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return _ADDRESS.sub("its address", str(error))


_ADDRESS = re.compile(r"[a-z]+://[^\s'\"]*", re.IGNORECASE)


def https_fetch(url: str, ssl_context: ssl.SSLContext | None) -> Fetch:
    """Fetch from an https address. Its certificate is verified, under the system's authorities if none are given."""
    import httpx2

    context = ssl_context or ssl.create_default_context()
    headers = {"accept": "application/json", "accept-encoding": "identity"}

    async def fetch() -> bytes:
        client = httpx2.AsyncClient(verify=context, follow_redirects=False, trust_env=False, headers=headers)
        try:
            async with client, client.stream("GET", url) as reply:
                if reply.status_code != httpx2.codes.OK or "content-encoding" in reply.headers:
                    raise JwksUnusable(f"the reply has status {reply.status_code} or is compressed")
                return await _bounded(reply.aiter_raw())
        except httpx2.InvalidURL as error:  # whose text names the host
            raise JwksUnusable("nothing can be asked at its address") from error
        except httpx2.HTTPError as error:
            raise JwksUnusable(f"{type(error).__name__}: {error}") from error

    return fetch


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        _check_size(len(body))
    return bytes(body)


def file_fetch(path: Path) -> Fetch:
    def read() -> bytes:
        with path.open("rb") as file:
            body = file.read(BODY_BYTES_MAX + 1)
        _check_size(len(body))
        return body

    async def fetch() -> bytes:
        return await asyncio.to_thread(read)

    return fetch


def _check_size(size_bytes: int) -> None:
    if size_bytes > BODY_BYTES_MAX:
        raise JwksUnusable(f"the reply has more than {BODY_BYTES_MAX} bytes")


def read_jwks(body: bytes) -> list[tuple[str | None, str, Key]]:
    """The keys to verify signatures with, as (id, algorithm, key); others, and broken ones, are left out.

    None of them may be left: the signer has then taken all away. Raises JwksUnusable for what is no set of keys.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise JwksUnusable("the reply is not JSON") from error
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise JwksUnusable(f"the reply has no list of at most {KEYS_MAX} keys")
    return [read for one in listed if (read := _read_key(one)) is not None]


def _read_key(jwk: Any) -> tuple[str | None, str, Key] | None:
    """Public members alone are read: a private key published by mistake serves as its public half."""
    try:
        key_id, algorithm = jwk.get("kid"), ALGORITHM_BY_KIND[jwk["kty"]]
        may_verify = jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])
        if not may_verify or jwk.get("alg", algorithm) != algorithm or not isinstance(key_id, str | None):
            return None
        key = _import_rsa(jwk) if algorithm == "RS256" else _import_ec(jwk)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):  # whatever shape it has, it is not ours
        return None
    return (key_id, algorithm, key) if key is not None else None


def _import_rsa(jwk: dict[str, Any]) -> RSAKey | None:
    modulus = base64.urlsafe_b64decode(jwk["n"] + "=" * (-len(jwk["n"]) % 4))
    if not RSA_BITS_MIN <= int.from_bytes(modulus).bit_length() <= RSA_BITS_MAX or len(jwk["e"]) > _EXPONENT_LENGTH_MAX:
        return None
    return RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})


_EXPONENT_LENGTH_MAX = 8
"""48 bits; the usual exponent has 17, and verifying costs more with every bit."""


def _import_ec(jwk: dict[str, Any]) -> ECKey | None:
    if jwk.get("crv") != "P-256":
        return None
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]})
