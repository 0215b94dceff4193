"""Tokens for tests: signers of every kind, made once, and the claims of an ordinary token."""

import json
from base64 import urlsafe_b64encode
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

NOW_MS = 1_790_000_000_000
NOW = NOW_MS // 1_000
COMPANY = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"
OTHER_COMPANY = "7d3e0a11-52a4-4c1b-8f60-0123456789ab"
SECRET = "a secret of at least thirty-two bytes"

HMAC = OctKey.import_key(SECRET.encode())
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
RSA_NEXT = RSAKey.generate_key(2048, {"kid": "rsa-2"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})


def claims(**changes: Any) -> dict[str, Any]:
    """An ordinary token's claims; a change to None leaves one out."""
    ordinary = {"sub": "user-1", "company_id": COMPANY, "iat": NOW - 10, "exp": NOW + 600, **changes}
    return {name: value for name, value in ordinary.items() if value is not None}


def sign(payload: object, key: OctKey | RSAKey | ECKey = HMAC, **header: Any) -> bytes:
    """A compact JWS over `payload` as JSON (bytes as they are), with any header at all."""
    algorithm = {"oct": "HS256", "RSA": "RS256", "EC": "ES256"}[key.key_type]
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    head = encode(json.dumps({"typ": "JWT", "alg": algorithm, **header}).encode())
    signing_input = head + b"." + encode(body)
    return signing_input + b"." + encode(jws.JWSRegistry.algorithms[algorithm].sign(signing_input, key))


def encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
