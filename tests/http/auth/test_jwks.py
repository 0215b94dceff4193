"""Keys that a signer publishes: over a real https connection, from a file, and what is kept of them for how long."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from kvot.core.errors import TokenRejected
from kvot.http.auth import jwks as jwks_module
from kvot.http.auth.claims import ClaimRules
from kvot.http.auth.jwks import FRESH_MS, GOOD_MS, PAUSE_MS, Jwks, JwksUnusable, file_fetch, https_fetch, read_jwks
from kvot.http.auth.tokens import TokenVerifier, secret_key
from tests.http.auth.https_server import HttpsServer, reply
from tests.http.auth.signing import EC, NOW_MS, RSA, RSA_NEXT, claims, sign


def document(*keys: RSAKey | ECKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class Signer:
    """What a signer publishes now, and how often it was asked. `body` None: it cannot be reached."""

    def __init__(self, *keys: RSAKey | ECKey) -> None:
        self.body: bytes | None = document(*keys)
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> bytes:
        self.asked += 1
        await self.gate.wait()
        if self.body is None:
            raise OSError("unreachable")
        return self.body


async def settled(jwks: Jwks) -> None:
    """Let the fetch in the background end."""
    if jwks._task is not None:
        await jwks._task


async def finds(jwks: Jwks, key: RSAKey | ECKey, now_ms: int) -> bool:
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    found = await jwks.find(algorithm, key.kid, now_ms)
    await settled(jwks)
    return found is not None


class TestKeeping:
    async def test_the_first_token_fetches_and_the_next_ones_do_not(self):
        signer = Signer(RSA, EC)
        jwks = Jwks(signer.fetch)
        assert [await finds(jwks, key, NOW_MS) for key in (RSA, EC, RSA)] == [True] * 3
        assert signer.asked == 1

    async def test_a_thousand_unknown_key_ids_cost_one_fetch_a_minute(self):
        signer = Signer(RSA)
        jwks = Jwks(signer.fetch)
        for number in range(1_000):
            assert await jwks.find("RS256", f"unknown-{number}", NOW_MS + number) is None
        assert signer.asked == 1
        assert await jwks.find("RS256", "unknown", NOW_MS + PAUSE_MS) is None
        assert signer.asked == 2

    async def test_a_thousand_callers_at_once_wait_for_the_same_fetch(self):
        signer = Signer(RSA)
        signer.gate.clear()
        jwks = Jwks(signer.fetch)
        callers = [asyncio.create_task(jwks.find("RS256", "rsa-1", NOW_MS)) for _ in range(1_000)]
        await asyncio.sleep(0)
        signer.gate.set()
        assert all(await asyncio.gather(*callers))
        assert signer.asked == 1

    async def test_a_caller_who_leaves_does_not_end_the_fetch_of_others(self):
        signer = Signer(RSA)
        signer.gate.clear()
        jwks = Jwks(signer.fetch)
        leaving, staying = (asyncio.create_task(jwks.find("RS256", "rsa-1", NOW_MS)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        signer.gate.set()
        assert await staying is not None
        assert leaving.cancelled()

    async def test_after_five_minutes_keys_are_fetched_anew_and_nobody_waits(self):
        signer = Signer(RSA)
        jwks = Jwks(signer.fetch)
        await jwks.find("RS256", "rsa-1", NOW_MS)
        signer.gate.clear()
        assert await jwks.find("RS256", "rsa-1", NOW_MS + FRESH_MS - 1)
        assert signer.asked == 1
        assert await jwks.find("RS256", "rsa-1", NOW_MS + FRESH_MS)  # answers although the fetch hangs
        await asyncio.sleep(0)
        assert signer.asked == 2
        await jwks.close()

    async def test_a_key_that_was_taken_away_is_refused_within_ten_minutes(self):
        signer = Signer(RSA, EC)
        jwks = Jwks(signer.fetch)
        assert await finds(jwks, RSA, NOW_MS)
        signer.body = document(EC)
        assert await finds(jwks, RSA, NOW_MS + FRESH_MS)  # asked in passing: this call does not know yet
        assert not await finds(jwks, RSA, NOW_MS + FRESH_MS + 1)
        assert await finds(jwks, EC, NOW_MS + FRESH_MS + 1)

    async def test_a_key_says_until_when_it_counts(self):
        found = await Jwks(Signer(RSA).fetch).find("RS256", "rsa-1", NOW_MS)
        assert found is not None
        assert found.good_until_ms == NOW_MS + GOOD_MS == NOW_MS + 600_000

    async def test_a_new_key_is_found_as_soon_as_a_fetch_may_start(self):
        signer = Signer(RSA)
        jwks = Jwks(signer.fetch)
        assert await finds(jwks, RSA, NOW_MS)
        signer.body = document(RSA, RSA_NEXT)
        assert not await finds(jwks, RSA_NEXT, NOW_MS + PAUSE_MS - 1)
        assert await finds(jwks, RSA_NEXT, NOW_MS + PAUSE_MS)

    @pytest.mark.parametrize("body", [None, b"", b"<html>", b"{}", b'{"keys":{}}', b"[" * 100_000])
    async def test_while_the_signer_cannot_be_asked_keys_count_for_ten_minutes_and_then_no_more(self, body):
        signer = Signer(RSA)
        jwks = Jwks(signer.fetch)
        assert await finds(jwks, RSA, NOW_MS)
        signer.body = body
        assert await finds(jwks, RSA, NOW_MS + FRESH_MS)
        assert jwks.problem
        assert await finds(jwks, RSA, NOW_MS + GOOD_MS - 1)
        assert not await finds(jwks, RSA, NOW_MS + GOOD_MS)
        signer.body = document(RSA)
        assert await finds(jwks, RSA, NOW_MS + GOOD_MS + PAUSE_MS)
        assert jwks.problem is None

    async def test_a_signer_that_publishes_no_key_any_more_has_none(self):
        signer = Signer(RSA)
        jwks = Jwks(signer.fetch)
        assert await finds(jwks, RSA, NOW_MS)
        signer.body = document()
        await finds(jwks, RSA, NOW_MS + FRESH_MS)
        assert not await finds(jwks, RSA, NOW_MS + FRESH_MS + 1)

    async def test_a_token_without_key_id_is_for_the_only_key_of_its_kind(self):
        assert await Jwks(Signer(RSA, EC).fetch).find("RS256", None, NOW_MS)
        assert await Jwks(Signer(RSA, RSA_NEXT).fetch).find("RS256", None, NOW_MS) is None

    async def test_a_key_serves_its_own_algorithm_alone(self):
        jwks = Jwks(Signer(RSA, EC).fetch)
        assert await jwks.find("ES256", "rsa-1", NOW_MS) is None
        assert await jwks.find("HS256", "rsa-1", NOW_MS) is None

    async def test_a_fetch_that_takes_too_long_is_given_up(self, monkeypatch):
        monkeypatch.setattr(jwks_module, "FETCH_SECONDS_MAX", 0.01)
        signer = Signer(RSA)
        signer.gate.clear()
        jwks = Jwks(signer.fetch)
        assert not await finds(jwks, RSA, NOW_MS)
        assert jwks.problem == "TimeoutError: no answer within 0.01 s"


def public(key: RSAKey | ECKey, **changes: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **changes}


class TestReading:
    @pytest.mark.parametrize(
        "jwk",
        [
            public(RSA), public(RSA, use="sig"), public(RSA, key_ops=["verify"]), public(RSA, alg="RS256"),
            public(RSA, x5c=["MIIB"], more={"a": 1}), public(EC), public(EC, alg="ES256"),
            RSA.as_dict(private=True), EC.as_dict(private=True),
        ],
    )  # fmt: skip
    def test_keys_for_signatures_are_taken_as_their_public_half(self, jwk):
        ((_, _, key),) = read_jwks(json.dumps({"keys": [jwk]}).encode())
        assert not key.is_private

    @pytest.mark.parametrize(
        "jwk",
        [
            public(RSA, use="enc"), public(RSA, key_ops=["encrypt"]), public(RSA, key_ops=1), public(RSA, alg="RS512"),
            public(RSA, alg="HS256"), public(RSA, kty="oct", k="YWJj"), public(RSA, kty=["RSA"]), public(RSA, kid=7),
            public(RSA, n=None), public(RSA, n="AQAB"), public(RSA, n="é"), public(RSA, n="A" * 20_000),
            public(RSA, e="AQ"), public(RSA, e="Ag"), public(RSA, e="AAAAAAAAAAAAAQAB"), public(RSA, e=""),
            public(RSA, n="w" * 171), public(ECKey.generate_key("P-384")), public(EC, x="AAAA"),
            public(EC, crv="P-521"), public(EC, y=EC.as_dict(private=False)["x"]),
            OctKey.generate_key(256).as_dict(private=True), OKPKey.generate_key("Ed25519").as_dict(private=False),
            {}, [], None, 7, "key",
        ],
    )  # fmt: skip
    def test_other_keys_and_broken_ones_are_left_out_and_do_not_stop_good_ones(self, jwk):
        keys = read_jwks(json.dumps({"keys": [jwk, public(RSA_NEXT)]}).encode())
        assert [name for name, _, _ in keys] == ["rsa-2"]

    def test_a_set_of_hundreds_is_not_read(self):
        with pytest.raises(JwksUnusable, match="at most 100 keys"):
            read_jwks(document(*[RSA] * 101))


@pytest.fixture
async def server(tmp_path):
    async with HttpsServer(tmp_path).running() as running:
        yield running


async def problem_of(server: HttpsServer, context: ssl.SSLContext | None = None, host: str = "localhost") -> str:
    jwks = Jwks(https_fetch(server.url(host), context or server.client_context()))
    assert not await finds(jwks, RSA, NOW_MS)
    assert jwks.problem is not None
    return jwks.problem


class TestHttps:
    async def test_keys_come_over_a_verified_connection(self, server):
        server.answer = reply(document(RSA))
        verifier = TokenVerifier(Jwks(https_fetch(server.url(), server.client_context())), ClaimRules())
        identity = await verifier.verify(sign(claims(), RSA, kid="rsa-1"), NOW_MS)
        assert identity is not None
        assert identity.good_until_ms == NOW_MS + GOOD_MS
        assert await verifier.verify(sign(claims(), RSA_NEXT, kid="rsa-1"), NOW_MS) is None
        assert await verifier.verify(sign(claims(), RSA_NEXT, kid="rsa-2"), NOW_MS) is None
        with pytest.raises(TokenRejected):
            await verifier.verify(sign(claims(exp=1), RSA, kid="rsa-1"), NOW_MS)
        assert server.asked == ["GET /jwks HTTP/1.1"]

    @pytest.mark.parametrize("host", ["xn--\u00e9", "\u2603.example", "1.2.3.999"])
    async def test_an_address_that_cannot_be_asked_is_no_answer_and_not_named(self, host):
        jwks = Jwks(https_fetch(f"https://{host}/jwks", None))
        assert not await finds(jwks, RSA, NOW_MS)
        assert jwks.problem == "nothing can be asked at its address"

    async def test_a_certificate_of_nobody_known_is_refused(self, server):
        assert "CERTIFICATE_VERIFY_FAILED" in await problem_of(server, ssl.create_default_context())
        assert server.asked == []

    async def test_a_certificate_for_another_name_is_refused(self, server):
        assert "CERTIFICATE_VERIFY_FAILED" in await problem_of(server, host="127.0.0.1")
        assert server.asked == []

    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
    async def test_a_redirect_is_not_followed(self, server, status):
        server.answer = reply(document(RSA), status, f"Location: {server.url()}")
        assert f"status {status[:3]}" in await problem_of(server)
        assert len(server.asked) == 1

    @pytest.mark.parametrize("status", ["204 No Content", "404 Not Found", "500 Oops"])
    async def test_any_other_status_is_no_answer(self, server, status):
        server.answer = reply(document(RSA), status)
        assert f"status {status[:3]}" in await problem_of(server)

    async def test_a_giant_is_cut_short(self, server):
        server.answer = reply(b"x" * (8 * 1_048_576))
        assert "more than 1048576 bytes" in await problem_of(server)

    async def test_a_compressed_reply_is_refused(self, server):
        server.answer = reply(document(RSA), "200 OK", "Content-Encoding: gzip")
        assert "is compressed" in await problem_of(server)

    async def test_garbage_is_no_answer(self, server):
        server.answer = b"SSH-2.0-OpenSSH\r\n\r\n"
        assert "RemoteProtocolError" in await problem_of(server)

    async def test_a_connection_that_is_cut_is_no_answer(self, server):
        server.answer = reply(document(RSA))[:-10]
        assert "RemoteProtocolError" in await problem_of(server)

    async def test_a_signer_that_says_nothing_is_given_up(self, server, monkeypatch):
        monkeypatch.setattr(jwks_module, "FETCH_SECONDS_MAX", 0.2)
        server.answer = None
        assert "TimeoutError" in await problem_of(server)
        assert len(server.asked) == 1

    async def test_rotation_over_the_wire(self, server):
        server.answer = reply(document(RSA))
        jwks = Jwks(https_fetch(server.url(), server.client_context()))
        assert await finds(jwks, RSA, NOW_MS)
        server.answer = reply(document(RSA_NEXT))
        assert await finds(jwks, RSA_NEXT, NOW_MS + PAUSE_MS)
        assert not await finds(jwks, RSA, NOW_MS + PAUSE_MS)
        assert len(server.asked) == 2


class TestProblem:
    """Anybody may read it at /readyz."""

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
            (FileNotFoundError(2, "No such file", "/etc/private/jwks.json"), "FileNotFoundError: No such file"),
            (JwksUnusable("cannot ask https://user:pass@signer/jwks?token=x now"), "cannot ask its address now"),
        ],
    )
    async def test_it_names_no_address_no_password_and_no_file(self, error, said):
        async def fetch() -> bytes:
            raise error

        jwks = Jwks(fetch)
        assert not await finds(jwks, RSA, NOW_MS)
        assert jwks.problem == said

    async def test_a_verifier_passes_it_on_and_a_fixed_key_has_none(self):
        signer = Signer()
        signer.body = None
        verifier = TokenVerifier(Jwks(signer.fetch), ClaimRules())
        await verifier.verify(sign(claims(), RSA, kid="rsa-1"), NOW_MS)
        assert verifier.problem == "unreachable"
        assert TokenVerifier(secret_key("s" * 32), ClaimRules()).problem is None


class TestFile:
    async def test_keys_come_from_a_file_and_are_read_anew(self, tmp_path: Path):
        path = tmp_path / "jwks.json"
        path.write_bytes(document(RSA))
        jwks = Jwks(file_fetch(path))
        assert await finds(jwks, RSA, NOW_MS)
        path.write_bytes(document(RSA_NEXT))
        assert await finds(jwks, RSA_NEXT, NOW_MS + PAUSE_MS)

    async def test_a_file_that_is_not_there_or_too_big_gives_no_keys(self, tmp_path: Path):
        jwks = Jwks(file_fetch(tmp_path / "jwks.json"))
        assert not await finds(jwks, RSA, NOW_MS)
        assert "No such file" in str(jwks.problem)
        (tmp_path / "jwks.json").write_bytes(document(RSA) + b" " * 1_048_576)
        assert not await finds(jwks, RSA, NOW_MS + PAUSE_MS)
        assert "more than 1048576 bytes" in str(jwks.problem)
