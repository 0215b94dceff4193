"""Signatures: what is proven, and a thousand ways to pretend."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from kvot.core.errors import TokenRejected
from kvot.http.auth.claims import ClaimRules
from kvot.http.auth.tokens import FixedKey, TokenVerifier, public_key, secret_key
from kvot.settings import SettingsError
from tests.http.auth.signing import (
    COMPANY,
    EC,
    HMAC,
    NOW,
    NOW_MS,
    OTHER_COMPANY,
    RSA,
    RSA_NEXT,
    SECRET,
    claims,
    encode,
    sign,
)

OF_UNKNOWN_CURVE = b"""-----BEGIN PUBLIC KEY-----
MFIwEAYHKoZIzj0CAQYFK4EEABsDPgAEAPgTtSNhCT4Y/SHZpBfUAghc6DkFld32
9OtaAFgXATR7kaZnHonY96pHWb1zC7B3NT4kGPsyW0Ho8nrS
-----END PUBLIC KEY-----
"""
OF_UNNAMED_CURVE = b"""-----BEGIN PUBLIC KEY-----
MFowFAYHKoZIzj0CAQYJKyQDAwIIAQEHA0IABEIgAmUmEpYKR1MwIRWTKpBSOZF1
+bAKI45zUx+Xbv47mBGGjyL9xexgUb13PO5+DEwYUPo73tnzdcrVGH9W1FA=
-----END PUBLIC KEY-----
"""

RULES = ClaimRules(issuer="https://id", audience="kvot")
PARTIES = {"iss": "https://id", "aud": "kvot"}


def public_half(key: RSAKey | ECKey) -> RSAKey | ECKey:
    return type(key).import_key(key.as_pem(private=False))


VERIFIERS = {
    "HS256": TokenVerifier(secret_key(SECRET), RULES),
    "RS256": TokenVerifier(FixedKey("RS256", public_half(RSA)), RULES),
    "ES256": TokenVerifier(FixedKey("ES256", public_half(EC)), RULES),
}
SIGNERS: dict[str, OctKey | RSAKey | ECKey] = {"HS256": HMAC, "RS256": RSA, "ES256": EC}


async def accepted(algorithm: str, token: bytes) -> bool:
    try:
        return await VERIFIERS[algorithm].verify(token, NOW_MS) is not None
    except TokenRejected:
        return False


@pytest.fixture(params=["HS256", "RS256", "ES256"])
def algorithm(request):
    return request.param


async def test_a_token_says_who_is_calling_and_for_how_long(algorithm):
    identity = await VERIFIERS[algorithm].verify(sign(claims(**PARTIES), SIGNERS[algorithm]), NOW_MS)
    assert identity is not None
    assert (identity.principal.company_id, identity.principal.user_id) == (COMPANY, "user-1")
    assert identity.good_until_ms == (NOW + 600) * 1_000 + 30_000


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_access_tokens_have_several_names(typ):
    assert await accepted("HS256", sign(claims(**PARTIES), typ=typ))


async def test_headers_that_mean_nothing_here_are_passed_over():
    assert await accepted("HS256", sign(claims(**PARTIES), kid="any", x5t="abc", cat="custom"))


FORBIDDEN_HEADERS: list[dict[str, Any]] = [
    {"typ": "JWTR"}, {"typ": "logout+jwt"}, {"typ": ""}, {"typ": 1},
    {"crit": ["exp"]}, {"crit": []}, {"crit": None}, {"b64": False, "crit": ["b64"]}, {"b64": True},
    {"jku": "https://evil/jwks"}, {"x5u": "https://evil/x"}, {"x5c": ["MIIB"]}, {"jwk": {"kty": "oct", "k": "YQ"}},
    {"jwk": None}, {"zip": "DEF"}, {"kid": 1}, {"alg": "none"}, {"alg": "HS512"}, {"alg": "hs256"}, {"alg": None},
    {"alg": ["HS256"]},
]  # fmt: skip


@pytest.mark.parametrize("header", FORBIDDEN_HEADERS, ids=str)
async def test_a_genuine_signature_does_not_make_up_for_the_header(algorithm, header):
    assert not await accepted(algorithm, sign(claims(**PARTIES), SIGNERS[algorithm], **header))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exp": NOW - 60}, "Token has expired"),
        ({"nbf": NOW + 60}, "Token not valid yet"),
        ({"aud": "other"}, "Invalid Audience: other"),
        ({"iss": "other"}, "Invalid Issuer: other"),
        ({"company_id": "x"}, "Invalid Company"),
    ],
)
async def test_a_token_of_ours_that_does_not_count_is_told_why(changes, message):
    with pytest.raises(TokenRejected, match=message) as caught:
        await VERIFIERS["HS256"].verify(sign(claims(**{**PARTIES, **changes})), NOW_MS)
    assert caught.value.code == "TokenException"


@pytest.mark.parametrize("payload", [b"", b"x", b"[]", b"1", b'"a"', b"null", b"[" * 5_000, b"\xff{}", b'{"exp":NaN}'])
async def test_a_genuine_signature_over_anything_but_claims_proves_nobody(payload):
    assert not await accepted("HS256", sign(payload))


@pytest.mark.parametrize(
    "token",
    [b"", b".", b"..", b"a.b.c", b"eyJ..", b"eyJ9.e30.", encode(b"[1]") + b".e30.x", encode(b'["alg"]') + b"..",
     encode(b'"alg"') + b".e30.AA", b"\xff.\xff.\xff", encode(b"{" * 3_000) + b".e30.AA"],
)  # fmt: skip
async def test_garbage_proves_nobody(algorithm, token):
    assert not await accepted(algorithm, token)


# -- pretending ------------------------------------------------------------------------------------------------------


def pretend_header(algorithm: str, **header: Any) -> bytes:
    """Another header over a genuine payload and signature."""
    _, payload, signature = sign(claims(**PARTIES), SIGNERS[algorithm]).split(b".")
    return b".".join((encode(json.dumps({"alg": algorithm, **header}).encode()), payload, signature))


def pretend_claims(algorithm: str, **changes: object) -> bytes:
    """Other claims under a genuine header and signature."""
    head, _, signature = sign(claims(**PARTIES), SIGNERS[algorithm]).split(b".")
    return b".".join((head, encode(json.dumps(claims(**{**PARTIES, **changes})).encode()), signature))


def sign_with(secret: bytes, algorithm: str = "HS256") -> bytes:
    """Signed with a secret that everybody knows: key confusion."""
    return sign(claims(**PARTIES), OctKey(secret, secret), alg=algorithm)


def known_secrets(key: RSAKey | ECKey) -> list[bytes]:
    pem, der = key.as_pem(private=False), key.as_der(private=False)
    jwk = json.dumps(key.as_dict(private=False)).encode()
    return [pem, pem.strip(), pem.replace(b"\n", b"\r\n"), der, jwk, b"\0", b"secret", b"null", SECRET[::-1].encode()]


def forgeries(algorithm: str) -> list[bytes]:
    """Tokens that a stranger can make out of a genuine one and everything that is public."""
    genuine = sign(claims(**PARTIES), SIGNERS[algorithm])
    head, payload, signature = genuine.split(b".")
    bare = encode(b'{"alg":"none"}') + b"." + payload + b"."
    public = SIGNERS["RS256" if algorithm == "HS256" else algorithm]
    assert not isinstance(public, OctKey)
    return [
        *(pretend_header(algorithm, **header) for header in FORBIDDEN_HEADERS),
        *(pretend_header(algorithm, alg=name)
          for name in ("none", "None", "NONE", "HS256 ", "HS384", "PS256", "EdDSA")),
        *(pretend_claims(algorithm, **changes) for changes in (
            {"sub": "user-2"}, {"company_id": OTHER_COMPANY}, {"exp": NOW + 6_000}, {"roles": ["superadmin"]},
            {"iss": "https://id2"}, {"aud": ["kvot", "x"]},
        )),
        *(sign_with(secret) for secret in known_secrets(public)),
        *(sign_with(secret, algorithm) for secret in known_secrets(public)),
        *(sign(claims(**PARTIES), SIGNERS[other], **changes)
          for other in SIGNERS if other != algorithm for changes in ({}, {"alg": algorithm})),
        sign(claims(**PARTIES), RSA_NEXT, jwk=RSA_NEXT.as_dict(private=False)),
        sign(claims(**PARTIES), RSA_NEXT, kid="rsa-1"),
        *(sign(claims(**{**PARTIES, **changes}), SIGNERS[algorithm]) for changes in (
            {"iss": "other"}, {"iss": None}, {"aud": "other"}, {"aud": None}, {"exp": NOW - 60}, {"exp": None},
            {"exp": "never"}, {"nbf": NOW + 60}, {"iat": NOW + 60},
        )),
        head + b"." + payload + b".", head + b"." + payload, b"." + payload + b"." + signature,
        genuine + b".", genuine + b"=", genuine + b"A", b"." + genuine, genuine.swapcase(), genuine[::-1],
        head + b".." + signature, signature + b"." + payload + b"." + head, genuine.replace(b".", b".."),
        bare, bare + signature, bare + b"AA",
        head + b"." + payload + b"." + encode(b"\0" * 64), head + b"." + payload + b"." + encode(b"\0" * 256),
        head + b"." + payload + b"." + encode(b""), head + b"." + payload + b"." + encode(b"\0" * 32),
    ]  # fmt: skip


def damaged(genuine: bytes, seed: int, count: int) -> list[bytes]:
    """The token with one to three of its bits flipped, or a piece of it cut out, doubled or overwritten."""
    dice = random.Random(seed)
    tokens: list[bytes] = []
    while len(tokens) < count:
        token = bytearray(genuine)
        at, until = sorted(dice.sample(range(len(token)), 2))
        match dice.randrange(4):
            case 0:
                for place in dice.sample(range(len(token)), dice.randint(1, 3)):
                    token[place] ^= 1 << dice.randrange(8)
            case 1:
                del token[at:until]
            case 2:
                token[at:at] = token[at:until]
            case _:
                token[at] = dice.choice(b"ABCxyz019-_.=+/ ")
        if token != genuine:
            tokens.append(bytes(token))
    return tokens


@pytest.mark.parametrize("depth", [1_500, 5_900])
@pytest.mark.parametrize("name", ["crit", "unknown"])
async def test_a_header_deeper_than_can_be_read_proves_nobody(algorithm, name, depth):
    header = encode(b'{"alg":"%b","%b":' % (algorithm.encode(), name.encode()) + b"[" * depth)
    assert not await accepted(algorithm, header + b".e30.AAAA")


@pytest.mark.parametrize("depth", range(300, 1_100, 100))
async def test_however_deep_a_header_is_who_made_it_up_is_nobody(algorithm, depth):
    header = b'{"alg":"%b","unknown":' % algorithm.encode() + b"[" * depth + b"]" * depth + b"}"
    assert not await accepted(algorithm, encode(header) + b".e30.AAAA")


async def test_none_of_over_two_thousand_pretenders_is_accepted():
    tried: Counter[str] = Counter()
    for seed, algorithm in enumerate(SIGNERS):
        genuine = sign(claims(**PARTIES), SIGNERS[algorithm])
        assert await accepted(algorithm, genuine)
        for token in (*forgeries(algorithm), *damaged(genuine, seed, 600)):
            assert not await accepted(algorithm, token), token
            tried[algorithm] += 1
    assert sum(tried.values()) > 2_000


# -- keys from the settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [RSA, EC], ids=["RSA", "EC"])
async def test_a_public_key_file_holds_rsa_or_p256(tmp_path, key):
    (tmp_path / "key.pem").write_bytes(key.as_pem(private=False))
    verifier = TokenVerifier(public_key(tmp_path / "key.pem"), ClaimRules())
    assert await verifier.verify(sign(claims(), key), NOW_MS)
    assert await verifier.verify(sign(claims(), EC if key is RSA else RSA), NOW_MS) is None


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize(
    ("pem", "fault"),
    [
        (RSA.as_pem(private=True), "holds a private key"),
        (ECKey.generate_key("P-384").as_pem(private=False), "must hold a public key in PEM"),
        (RSA.as_pem(private=True, password="sesame"), "holds a private key"),
        (EC.as_pem(private=True, password="sesame"), "holds a private key"),
        (OF_UNKNOWN_CURVE, "must hold a public key in PEM"),
        (OF_UNNAMED_CURVE, "must hold a public key in PEM"),
        (b"nonsense", "must hold a public key in PEM"),
        (b"", "must hold a public key in PEM"),
    ],
    ids=["private", "P-384", "locked RSA", "locked EC", "sect233r1", "brainpoolP256r1", "nonsense", "empty"],
)
def test_any_other_file_stops_the_start(tmp_path: Path, pem: bytes, fault: str):
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(SettingsError, match=f"KVOT_JWT_PUBLIC_KEY_FILE: .*{fault}"):
        public_key(tmp_path / "key.pem")


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_rsa_key_stops_the_start(tmp_path: Path):
    (tmp_path / "key.pem").write_bytes(RSAKey.generate_key(1024).as_pem(private=False))
    with pytest.raises(SettingsError, match="RSA of 2048 to 8192 bits"):
        public_key(tmp_path / "key.pem")


def test_a_missing_file_stops_the_start(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"key\.pem cannot be read: No such file"):
        public_key(tmp_path / "key.pem")


def test_a_public_key_is_no_secret():
    with pytest.raises(SettingsError, match="KVOT_JWT_SECRET holds a public key"):
        secret_key(RSA.as_pem(private=False).decode())
